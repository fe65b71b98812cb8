//! The timing knobs that a check inherits: checker → real server → virtual server → built-in
//! (keepalived.conf(5)).

use core::time::Duration;

use super::ast::Statement;
use super::diagnostic::Report;
use super::values::{self, TIMER_MAX};

/// Largest `connect_timeout`, in microseconds.
const CONNECT_TIMEOUT_MAX: u64 = 4_294_967_295;

/// When a check runs, with everything inherited filled in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Timing {
    /// Time between two attempts: from the end of one, with `MISC_CHECK` from its start.
    /// Default 60 s.
    pub delay_loop: Duration,
    /// Failures tolerated in a row while the check is up. Default 1; `DNS_CHECK` 3, `MISC_CHECK` 0.
    pub retry: u32,
    /// Time after a tolerated failure. Default 1 s; `HTTP_GET` and `SSL_GET` 3 s, `DNS_CHECK`
    /// the delay loop.
    pub delay_before_retry: Duration,
    /// The first attempt comes 1 s plus a random part of this after the start. Default the delay
    /// loop; 0 for no random part.
    pub warmup: Duration,
    /// Time for each phase of an attempt over the network. Default 5 s; `MISC_CHECK` has none.
    pub connect_timeout: Duration,
}

/// Where a knob stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Level {
    VirtualServer,
    RealServer,
    Checker,
    /// A checker that connects to nothing.
    LocalChecker,
}

/// Checks whose built-in values differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Class {
    Plain,
    Http,
    Dns,
    Misc,
}

/// Knobs as written at one level.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Knobs {
    pub(super) delay_loop: Option<Duration>,
    retry: Option<u32>,
    delay_before_retry: Option<Duration>,
    warmup: Option<Duration>,
    connect_timeout: Option<Duration>,
    alpha: Option<bool>,
}

impl Knobs {
    /// Reads a statement if it is a knob of this level.
    pub(super) fn read(
        &mut self,
        statement: &Statement,
        level: Level,
        report: &mut Report,
    ) -> bool {
        match statement.keyword() {
            "delay_loop" => {
                values::set(
                    &mut self.delay_loop,
                    values::timer(statement, 1..=TIMER_MAX, report),
                );
            }
            "retry" => self.read_retry(statement, level, report),
            "delay_before_retry" => {
                values::set(
                    &mut self.delay_before_retry,
                    values::timer(statement, 0..=TIMER_MAX, report),
                );
            }
            "warmup" => values::set(
                &mut self.warmup,
                values::timer(statement, 0..=TIMER_MAX, report),
            ),
            "connect_timeout" if level != Level::LocalChecker => {
                let range = 1..=CONNECT_TIMEOUT_MAX;
                values::set(
                    &mut self.connect_timeout,
                    values::timer(statement, range, report),
                );
            }
            "alpha" if level == Level::VirtualServer => {
                self.alpha = Some(values::flag(statement, report));
            }
            "alpha" => values::set(&mut self.alpha, values::switch(statement, report)),
            _ => return false,
        }
        true
    }

    /// Reads the number of failures tolerated, whatever the keyword is.
    pub(super) fn read_retry(&mut self, statement: &Statement, level: Level, report: &mut Report) {
        let least = u64::from(matches!(level, Level::VirtualServer | Level::RealServer));
        let range = least..=u64::from(u32::MAX);
        values::set(&mut self.retry, values::number(statement, range, report));
    }

    /// These knobs, and where one is not set the outer one.
    pub(super) fn within(&self, outer: &Self) -> Self {
        Self {
            delay_loop: self.delay_loop.or(outer.delay_loop),
            retry: self.retry.or(outer.retry),
            delay_before_retry: self.delay_before_retry.or(outer.delay_before_retry),
            warmup: self.warmup.or(outer.warmup),
            connect_timeout: self.connect_timeout.or(outer.connect_timeout),
            alpha: self.alpha.or(outer.alpha),
        }
    }

    /// Whether checks start down.
    pub(super) fn alpha(&self) -> bool {
        self.alpha.unwrap_or(false)
    }

    /// The values in force for a class of checks.
    pub(super) fn timing(&self, class: Class) -> Timing {
        let delay_loop = self.delay_loop.unwrap_or(Duration::from_secs(60));
        let (retry, delay_before_retry) = match class {
            Class::Plain => (1, Duration::from_secs(1)),
            Class::Http => (1, Duration::from_secs(3)),
            Class::Dns => (3, delay_loop),
            Class::Misc => (0, Duration::from_secs(1)),
        };
        Timing {
            delay_loop,
            retry: self.retry.unwrap_or(retry),
            delay_before_retry: self.delay_before_retry.unwrap_or(delay_before_retry),
            warmup: self.warmup.unwrap_or(delay_loop),
            connect_timeout: self.connect_timeout.unwrap_or(Duration::from_secs(5)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ast::tests_support::statement;
    use super::*;

    fn knobs(level: Level, lines: &[&str]) -> Knobs {
        let mut knobs = Knobs::default();
        let mut report = Report::new(10);
        for line in lines {
            assert!(knobs.read(&statement(line), level, &mut report), "{line}");
        }
        knobs
    }

    #[test]
    fn built_in_values_depend_on_the_check() {
        let none = Knobs::default();
        let plain = none.timing(Class::Plain);
        assert_eq!(plain.delay_loop, Duration::from_secs(60));
        assert_eq!(plain.warmup, Duration::from_secs(60));
        assert_eq!(plain.connect_timeout, Duration::from_secs(5));
        let summary = |class| {
            let timing = none.timing(class);
            (timing.retry, timing.delay_before_retry.as_secs())
        };
        assert_eq!(summary(Class::Plain), (1, 1));
        assert_eq!(summary(Class::Http), (1, 3));
        assert_eq!(summary(Class::Dns), (3, 60));
        assert_eq!(summary(Class::Misc), (0, 1));
    }

    #[test]
    fn inner_levels_win_knob_by_knob() {
        let service = knobs(Level::VirtualServer, &["delay_loop 10", "retry 5", "alpha"]);
        let server = knobs(Level::RealServer, &["retry 4", "warmup 2"]);
        let check = knobs(Level::Checker, &["retry 0", "alpha no"]);
        let all = check.within(&server.within(&service));
        let timing = all.timing(Class::Dns);
        assert_eq!(timing.delay_loop, Duration::from_secs(10));
        assert_eq!(timing.delay_before_retry, Duration::from_secs(10));
        assert_eq!((timing.retry, timing.warmup), (0, Duration::from_secs(2)));
        assert!(!all.alpha() && server.within(&service).alpha());
    }

    #[test]
    fn retry_of_zero_is_for_checkers_only() {
        let mut report = Report::new(10);
        let mut knobs = Knobs::default();
        knobs.read(&statement("retry 0"), Level::VirtualServer, &mut report);
        assert_eq!(knobs.timing(Class::Plain).retry, 1);
        assert!(report.finish().0[0].message.contains("1..=4294967295"));
    }

    #[test]
    fn checks_without_a_connection_have_no_connect_timeout() {
        let mut report = Report::new(10);
        let line = statement("connect_timeout 3");
        assert!(!Knobs::default().read(&line, Level::LocalChecker, &mut report));
    }
}
