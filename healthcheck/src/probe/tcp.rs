//! TCP connect: the handshake completes, and that is all that is asked.
//!
//! The kernel completes handshakes for a listening socket by itself, so a hung program whose
//! accept queue is not full passes. keepalived's `TCP_CHECK`.

use core::net::IpAddr;

use super::{Action, CloseMode, Engine, Event, Probe, Step};
use crate::Timestamp;
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Code, Detail, Outcome, Phase, Timing};
use crate::target::Target;

/// Passes when a TCP connection can be opened.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct TcpProbe {
    target: Target,
    close: CloseMode,
}

impl TcpProbe {
    /// Connects to the target and closes in order.
    #[must_use]
    pub const fn new(target: Target) -> Self {
        Self {
            target,
            close: CloseMode::Fin,
        }
    }

    /// Closes in another way. Default [`CloseMode::Fin`].
    #[must_use]
    pub const fn with_close(mut self, close: CloseMode) -> Self {
        self.close = close;
        self
    }
}

impl Probe for TcpProbe {
    fn engine(&self, attempt: &Attempt) -> Box<dyn Engine> {
        Box::new(TcpEngine {
            probe: self.clone(),
            attempt: *attempt,
        })
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.target.validate()
    }

    fn host(&self) -> Option<IpAddr> {
        Some(self.target.address().ip())
    }
}

#[derive(Debug)]
struct TcpEngine {
    probe: TcpProbe,
    attempt: Attempt,
}

impl TcpEngine {
    fn timing(&self, now: Timestamp, connected: bool) -> Timing {
        let passed = Some(now.saturating_sub(self.attempt.started));
        Timing {
            connect: passed.filter(|_| connected),
            total: passed,
            ..Timing::default()
        }
    }
}

impl Engine for TcpEngine {
    fn start(&mut self, _now: Timestamp) -> Step {
        Step::Do(vec![
            Action::SetDeadline(self.attempt.connect_deadline),
            Action::Connect {
                target: self.probe.target.clone(),
                close: self.probe.close,
            },
        ])
    }

    fn on_event(&mut self, event: Event<'_>, now: Timestamp) -> Step {
        let outcome = match event {
            Event::Connected => {
                return Step::Done(
                    Outcome::new(Code::Ok, Phase::Connect).with_timing(self.timing(now, true)),
                );
            }
            Event::Failed {
                operation,
                errno,
                origin,
                detail,
            } => {
                let mut outcome = operation.outcome(errno, origin);
                if !detail.is_empty() {
                    outcome.detail = Detail::new(&format!("{}; {detail}", outcome.detail));
                }
                outcome
            }
            Event::Deadline => Outcome::new(Code::TimeoutConnect, Phase::Connect),
            Event::Cancel => Outcome::new(Code::Cancelled, Phase::Connect),
            _ => return Step::Do(Vec::new()),
        };
        Step::Done(outcome.with_timing(self.timing(now, false)))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::super::{Errno, Operation, Origin};
    use super::*;
    use crate::outcome::Verdict;
    use crate::policy::Health;

    const START: Timestamp = Duration::from_secs(50);

    fn engine() -> Box<dyn Engine> {
        let probe = TcpProbe::new(Target::new("192.0.2.7:80".parse().unwrap()))
            .with_close(CloseMode::HalfOpen);
        let connect = Some(Duration::from_secs(1));
        let attempt = Attempt::new(1, START, Duration::from_secs(3), connect, Health::Up);
        let mut engine = probe.engine(&attempt);
        let Step::Do(actions) = engine.start(START) else {
            panic!("done before it began")
        };
        let [
            Action::SetDeadline(deadline),
            Action::Connect { target, close },
        ] = &actions[..]
        else {
            panic!("unexpected {actions:?}")
        };
        assert_eq!(
            *deadline,
            START + Duration::from_secs(1),
            "that of connecting"
        );
        assert_eq!((target, *close), (&probe.target, CloseMode::HalfOpen));
        engine
    }

    fn after(event: Event<'_>) -> Outcome {
        match engine().on_event(event, START + Duration::from_millis(20)) {
            Step::Done(outcome) => outcome,
            other => panic!("not done: {other:?}"),
        }
    }

    #[test]
    fn connected_is_a_pass_with_the_time_it_took() {
        let outcome = after(Event::Connected);
        assert_eq!((outcome.code, outcome.verdict), (Code::Ok, Verdict::Pass));
        assert_eq!(outcome.timing.connect, Some(Duration::from_millis(20)));
        assert_eq!(outcome.timing.total, Some(Duration::from_millis(20)));
    }

    #[test]
    fn deadline_is_a_connect_timeout() {
        let outcome = after(Event::Deadline);
        assert_eq!(
            (outcome.code, outcome.phase),
            (Code::TimeoutConnect, Phase::Connect)
        );
        assert_eq!(outcome.timing.connect, None);
    }

    #[test]
    fn failure_keeps_the_systems_text_and_what_the_driver_adds() {
        let failed = |detail| Event::Failed {
            operation: Operation::Connect,
            errno: Errno::from_raw(111),
            origin: Origin::Network,
            detail,
        };
        assert_eq!(after(failed("")).detail.as_str(), "Connection refused");
        let outcome = after(failed("ICMP from 192.0.2.1"));
        assert_eq!(
            outcome.detail.as_str(),
            "Connection refused; ICMP from 192.0.2.1"
        );
        assert_eq!(outcome.code, Code::Refused);
    }

    #[test]
    fn cancelled_attempt_says_nothing() {
        assert_eq!(after(Event::Cancel).verdict, Verdict::Neutral);
    }
}
