//! Watching on a terminal: health, counter, time to the next attempt and the last outcomes.

use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::time::SystemTime;

use director::canvas::{Canvas, ENTER, LEAVE};
use lvs_healthcheck::Health;
use rustix::termios::tcgetwinsize;

use crate::duration::show;
use crate::failure::Failure;
use crate::lines::{clock, line};
use crate::output::{Finding, print};
use crate::subject::Subject;

/// So many outcomes are kept.
const LAST: usize = 100;

/// The screen, given back when this goes.
#[derive(Debug)]
pub(crate) struct Screen {
    view: View,
    canvas: Canvas,
}

/// What is shown.
#[derive(Debug, Default)]
struct View {
    /// The newest first.
    outcomes: VecDeque<String>,
    health: Option<Health>,
    since: Option<SystemTime>,
    counter: u32,
    attempts: u64,
    passed: u64,
}

impl Screen {
    pub(crate) fn enter(subject: &Subject) -> Result<Self, Failure> {
        let mut screen = Self {
            view: View::default(),
            canvas: Canvas::default(),
        };
        print(ENTER)?;
        screen.draw(subject, None)?;
        Ok(screen)
    }

    /// Takes note of an attempt.
    pub(crate) fn remember(&mut self, subject: &Subject, finding: &Finding) -> Result<(), Failure> {
        self.view.remember(subject, finding);
        self.draw(subject, finding.next)
    }

    /// Draws over what is there.
    pub(crate) fn draw(
        &mut self,
        subject: &Subject,
        next: Option<Duration>,
    ) -> Result<(), Failure> {
        let size = tcgetwinsize(io::stdout());
        let size = size.map_or((24, 80), |size| (size.ws_row.into(), size.ws_col.into()));
        let lines = self.view.lines(subject, next, size.0.max(4));
        print(&self.canvas.paint(&lines, size))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // What it came to stays to be seen.
        let last = self.view.outcomes.front().map(|line| format!("{line}\n"));
        // Who cannot see it needs it no more.
        let _ = print(&format!("{LEAVE}{}", last.unwrap_or_default()));
    }
}

impl View {
    fn remember(&mut self, subject: &Subject, finding: &Finding) {
        if self.health.replace(finding.health) != Some(finding.health) {
            self.since = Some(finding.time);
        }
        self.counter = finding.counter;
        self.attempts = finding.attempt;
        self.passed += u64::from(finding.outcome.verdict.is_pass());
        self.outcomes.push_front(line(subject, finding));
        self.outcomes.truncate(LAST);
    }

    fn lines(&self, subject: &Subject, next: Option<Duration>, rows: usize) -> Vec<String> {
        let policy = &subject.policy;
        let (rise, highest) = (u32::from(policy.rise()), policy.highest());
        let (color, health) = match self.health {
            Some(Health::Up) => ("\x1b[32m", "UP"),
            Some(Health::Down) => ("\x1b[31m", "DOWN"),
            _ => ("\x1b[33m", "UNKNOWN"),
        };
        let since = self.since.map(|since| format!(" since {}", clock(since)));
        let next = match next {
            Some(next) => format!("next attempt in {:.1} s", next.as_secs_f64()),
            None => "attempt is running".to_owned(),
        };
        let mut lines = vec![
            format!(
                "{}  every {}, {} each, rise {rise}, fall {}",
                subject.title(),
                show(policy.interval()),
                show(policy.timeout()),
                policy.fall(),
            ),
            format!("{color}{health}\x1b[0m{}", since.unwrap_or_default()),
            format!(
                "counter {} of {highest}  {}",
                self.counter,
                gauge(self.counter, rise, highest)
            ),
            format!("{next}; {} attempts, {} passed", self.attempts, self.passed),
            String::new(),
            "OUTCOMES, the last first (UTC; Ctrl-C ends)".to_owned(),
        ];
        lines.extend(self.outcomes.iter().cloned());
        lines.truncate(rows);
        lines
    }
}

/// The counter as a bar, with a stroke from where on it is up.
fn gauge(counter: u32, rise: u32, highest: u32) -> String {
    if highest > 60 {
        return format!("up from {rise}");
    }
    let place = |number: u32| {
        let stroke = if number == rise { "|" } else { "" };
        format!("{stroke}{}", if number <= counter { '#' } else { '.' })
    };
    (1..=highest).map(place).collect()
}

#[cfg(test)]
mod tests {
    use lvs_healthcheck::{Code, Outcome, Phase, Policy};

    use super::*;
    use crate::kind::Kind;

    #[test]
    fn view_shows_where_the_policy_stands() {
        let subject = Subject {
            name: "tcp://h:80".to_owned(),
            kind: Kind::Tcp,
            tls: false,
            server_name: "h".to_owned(),
            address: Some("192.0.2.7:80".parse().unwrap()),
            expected: "a connection".to_owned(),
            policy: Policy::default().with_rise(2).with_fall(3),
        };
        let mut view = View::default();
        let finding = Finding {
            attempt: 3,
            time: std::time::UNIX_EPOCH,
            outcome: Outcome::new(Code::Refused, Phase::Connect),
            health: Health::Down,
            counter: 1,
            changed: true,
            next: None,
        };
        view.remember(&subject, &finding);
        let lines = view.lines(&subject, Some(Duration::from_millis(1240)), 24);
        assert_eq!(
            lines[0],
            "tcp://h:80 at 192.0.2.7:80  every 5 s, 3 s each, rise 2, fall 3"
        );
        assert_eq!(lines[1], "\x1b[31mDOWN\x1b[0m since 00:00:00");
        assert_eq!(lines[2], "counter 1 of 4  #|...");
        assert_eq!(lines[3], "next attempt in 1.2 s; 3 attempts, 0 passed");
        assert!(
            lines[6].contains("down    1 of 4  fail") && lines[6].contains("refused"),
            "{}",
            lines[6]
        );
        assert_eq!(view.lines(&subject, None, 4).len(), 4);
    }

    #[test]
    fn gauge_has_its_stroke_where_up_begins() {
        assert_eq!(gauge(2, 1, 2), "|##");
        assert_eq!(gauge(0, 2, 4), ".|...");
        assert_eq!(gauge(0, 2, 400), "up from 2");
    }
}
