//! Checks whose results come from outside: no report in time counts as a failure.

use core::time::Duration;

use super::Policy;
use crate::Timestamp;
use crate::error::Invalid;
use crate::outcome::{Code, Outcome, Phase};

/// How long a report of an external reporter is good for.
///
/// Whoever reports makes [`Outcome`]s, which go to
/// [`Machine::on_outcome`](super::Machine::on_outcome) like those of a probe. When none has come
/// for the time to live, that is one failure, and again after each further such time. With a
/// [`Driver`](crate::Driver), see [`PushProbe`](crate::probe::PushProbe).
///
/// ```
/// use std::time::Duration;
/// use lvs_healthcheck::policy::{Health, Machine, Policy, Ttl};
///
/// let second = Duration::from_secs(1);
/// let mut machine = Machine::new(Policy::default().with_fall(1))?;
/// let mut ttl = Ttl::new(10 * second, 100 * second)?;
/// ttl.on_report(105 * second);
/// assert_eq!(ttl.next_deadline(), 115 * second);
/// assert!(ttl.tick(114 * second).is_none());
/// let missing = ttl.tick(115 * second).unwrap();
/// assert_eq!(machine.on_outcome(&missing).health, Health::Down);
/// # Ok::<_, lvs_healthcheck::Invalid>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ttl {
    ttl: Duration,
    due: Timestamp,
}

impl Ttl {
    /// Starts to wait for the first report.
    ///
    /// # Errors
    ///
    /// The time to live is not 1 ms to 10⁹ s.
    pub fn new(ttl: Duration, now: Timestamp) -> Result<Self, Invalid> {
        Self::check(ttl)?;
        Ok(Self {
            ttl,
            due: now.saturating_add(ttl),
        })
    }

    /// Refuses a time to live out of range.
    pub(crate) fn check(ttl: Duration) -> Result<(), Invalid> {
        if !(Policy::MIN_TIME..=Policy::MAX_TIME).contains(&ttl) {
            let limit = "must be 1 ms to 1000000000 s";
            return Err(Invalid::new("ttl", format!("{ttl:?}"), limit));
        }
        Ok(())
    }

    /// The failure of a reporter that has said nothing for so long.
    pub(crate) fn missing(ttl: Duration) -> Outcome {
        let detail = format!("no report within {ttl:?}");
        Outcome::new(Code::TimeoutIo, Phase::Recv).with_detail(&detail)
    }

    /// A report has come, whatever it said.
    pub fn on_report(&mut self, now: Timestamp) {
        self.due = now.saturating_add(self.ttl);
    }

    /// When the next report has to have come.
    #[must_use]
    pub const fn next_deadline(&self) -> Timestamp {
        self.due
    }

    /// The failure if no report has come in time.
    ///
    /// However late this is called, it is one failure: where nobody could listen, nobody can have
    /// been heard. The next one is due a time to live later.
    #[must_use = "it is a failure of the check"]
    pub fn tick(&mut self, now: Timestamp) -> Option<Outcome> {
        if now < self.due {
            return None;
        }
        self.due = now.saturating_add(self.ttl);
        Some(Self::missing(self.ttl))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_ttl_without_a_report_is_one_failure() {
        let mut ttl = Ttl::new(3 * SECOND, SECOND).unwrap();
        let failed: Vec<u64> = (1_u64..=13)
            .filter(|second| ttl.tick(Duration::from_secs(*second)).is_some())
            .collect();
        assert_eq!(failed, [4, 7, 10, 13]);
    }

    #[test]
    fn stall_is_one_failure_and_reports_push_the_deadline() {
        let mut ttl = Ttl::new(3 * SECOND, Duration::ZERO).unwrap();
        let outcome = ttl.tick(100 * SECOND).unwrap();
        assert_eq!(outcome.code, Code::TimeoutIo);
        assert_eq!(outcome.detail.as_str(), "no report within 3s");
        assert!(ttl.tick(102 * SECOND).is_none());
        ttl.on_report(102 * SECOND);
        assert!(ttl.tick(104 * SECOND).is_none());
        assert_eq!(ttl.next_deadline(), 105 * SECOND);
        assert!(ttl.tick(105 * SECOND).is_some());
    }

    #[test]
    fn range_is_checked() {
        let error = Ttl::new(Duration::ZERO, SECOND).unwrap_err();
        assert_eq!(
            error.to_string(),
            "ttl is 0ns: must be 1 ms to 1000000000 s"
        );
        assert!(Ttl::new(Duration::MAX, SECOND).is_err());
    }
}
