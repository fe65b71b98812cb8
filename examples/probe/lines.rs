//! Watching where no terminal is: a line whenever something changes.

use std::time::{SystemTime, UNIX_EPOCH};

use lvs_healthcheck::{Code, Health};

use crate::duration::show;
use crate::explain::explain;
use crate::json;
use crate::output::Finding;
use crate::subject::Subject;

/// What was said last.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    last: Option<(Health, u32, Code)>,
}

impl Lines {
    /// The line for an attempt; `None` if health, counter and code are as before.
    pub(crate) fn line(&mut self, subject: &Subject, finding: &Finding) -> Option<String> {
        let now = (finding.health, finding.counter, finding.outcome.code);
        if self.last.replace(now) == Some(now) {
            return None;
        }
        Some(format!("{}\n", line(subject, finding)))
    }
}

/// An attempt in a line.
pub(crate) fn line(subject: &Subject, finding: &Finding) -> String {
    let outcome = &finding.outcome;
    let highest = subject.policy.highest();
    let what = match explain(subject, outcome) {
        Some(explanation) => format!(
            "{}: expected {}, got {}",
            outcome.code, explanation.expected, explanation.got
        ),
        None => outcome.to_string(),
    };
    let total = outcome.timing.total.map(show).unwrap_or_default();
    format!(
        "{} {:<7} {} of {highest}  {:<7} {total:>10}  {what}",
        clock(finding.time),
        finding.health,
        finding.counter,
        json::verdict(outcome.verdict),
    )
}

/// The time of day, UTC.
pub(crate) fn clock(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
        % 86_400;
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn clock_shows_the_time_of_day() {
        assert_eq!(
            clock(UNIX_EPOCH + Duration::from_secs(86_400 * 3 + 3_723)),
            "01:02:03"
        );
    }
}
