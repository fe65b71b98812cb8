//! A question that is another one in each attempt, and what is an answer to it.

use core::fmt;
use core::net::IpAddr;

use crate::Timestamp;
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Code, Outcome, Phase, Timing};
use crate::probe::{Action, Engine, Event, Identity, Probe, Step, Transport, failure};
use crate::target::Target;

/// What is asked over UDP, and what answers it: what [`Protocol`](crate::probe::Protocol) is over
/// TCP. [`preset`](crate::probe::preset) has some.
///
/// ```
/// use lvs_healthcheck::probe::udp::{Answer, Exchange, ExchangeProbe};
/// use lvs_healthcheck::{Attempt, Code, Outcome, Phase, Target};
///
/// /// The echo service of RFC 862.
/// #[derive(Clone, Debug)]
/// struct Echo;
///
/// impl Exchange for Echo {
///     fn ask(&self, attempt: &Attempt) -> Vec<u8> {
///         attempt.random.to_be_bytes().to_vec()
///     }
///
///     fn examine(&self, attempt: &Attempt, bytes: &[u8]) -> Answer {
///         if bytes != attempt.random.to_be_bytes() {
///             return Answer::Other("not what was sent");
///         }
///         Answer::Known(Outcome::new(Code::Ok, Phase::Match))
///     }
/// }
///
/// let probe = ExchangeProbe::new(Target::new("192.0.2.7:7".parse()?), Echo);
/// # Ok::<_, std::net::AddrParseError>(())
/// ```
pub trait Exchange: fmt::Debug + Send + Sync {
    /// The question, the same each time it is repeated in one attempt.
    ///
    /// [`Attempt::random`] makes it one that nobody can answer who has not seen it.
    fn ask(&self, attempt: &Attempt) -> Vec<u8>;

    /// Judges what the server says.
    fn examine(&self, attempt: &Attempt, bytes: &[u8]) -> Answer;

    /// Checks the settings; called once, when the check is added.
    ///
    /// # Errors
    ///
    /// The first setting out of range.
    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }

    /// As [`Protocol::identity`](crate::probe::Protocol::identity).
    fn identity(&self) -> Option<Identity<'_>> {
        None
    }
}

/// What a datagram is to an [`Exchange`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// No answer to this question: late, forged, or somebody else's. It is ignored; if nothing
    /// better comes, this is said of the first one.
    Other(&'static str),
    /// The outcome.
    Known(Outcome),
}

/// Asks a server over UDP, some times if need be, until it answers.
#[derive(Clone, Debug)]
#[must_use]
pub struct ExchangeProbe<E> {
    connection: Connection,
    exchange: E,
}

/// Whom is asked, and how often.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Connection {
    target: Target,
    tries: u8,
}

impl<E: Exchange + Clone + 'static> ExchangeProbe<E> {
    /// Asks this, twice if need be.
    pub const fn new(target: Target, exchange: E) -> Self {
        Self {
            connection: Connection { target, tries: 2 },
            exchange,
        }
    }

    /// How often it is asked, 1 to 10, spread evenly over the time of the attempt. Default 2.
    pub const fn with_tries(mut self, tries: u8) -> Self {
        self.connection.tries = tries;
        self
    }
}

impl<E: Exchange + Clone + 'static> Probe for ExchangeProbe<E> {
    fn identity(&self) -> Option<Identity<'_>> {
        Some(self.exchange.identity()?.over(&self.connection))
    }

    fn engine(&self, attempt: &Attempt) -> Box<dyn Engine> {
        let attempt = attempt.with_server(self.connection.target.address(), false);
        Box::new(Asking {
            question: self.exchange.ask(&attempt),
            probe: self.clone(),
            attempt,
            timing: Timing::default(),
            tries: 0,
            ignored: None,
        })
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.connection.target.validate()?;
        let tries = self.connection.tries;
        if !(1..=10).contains(&tries) {
            return Err(Invalid::new("tries", tries.to_string(), "must be 1 to 10"));
        }
        self.exchange.validate()
    }

    fn target(&self) -> Option<&Target> {
        Some(&self.connection.target)
    }

    fn host(&self) -> Option<IpAddr> {
        Some(self.connection.target.address().ip())
    }
}

#[derive(Debug)]
struct Asking<E> {
    probe: ExchangeProbe<E>,
    attempt: Attempt,
    question: Vec<u8>,
    timing: Timing,
    tries: u8,
    ignored: Option<&'static str>,
}

impl<E: Exchange> Asking<E> {
    fn done(&mut self, outcome: Outcome, now: Timestamp) -> Step {
        self.timing.total = Some(now.saturating_sub(self.attempt.started));
        Step::Done(outcome.with_timing(self.timing))
    }

    /// Sends the question, and asks to be told when to send it again.
    fn ask(&mut self) -> Vec<Action> {
        self.tries = self.tries.saturating_add(1);
        let tries = self.probe.connection.tries;
        let whole = self.attempt.deadline.saturating_sub(self.attempt.started);
        let part = whole / u32::from(tries.max(1)) * u32::from(self.tries);
        let deadline = if self.tries < tries {
            self.attempt.started.saturating_add(part)
        } else {
            self.attempt.deadline
        };
        let question = self.question.clone();
        vec![Action::Send(question), Action::SetDeadline(deadline)]
    }
}

impl<E: Exchange> Engine for Asking<E> {
    fn start(&mut self, _now: Timestamp) -> Step {
        Step::Do(vec![Action::Connect {
            target: self.probe.connection.target.clone(),
            transport: Transport::Udp { from_any: false },
        }])
    }

    fn on_event(&mut self, event: Event<'_>, now: Timestamp) -> Step {
        match event {
            Event::Connected => {
                let mut actions = self.ask();
                actions.insert(0, Action::Read);
                Step::Do(actions)
            }
            Event::Datagram { bytes, .. } => {
                match self.probe.exchange.examine(&self.attempt, bytes) {
                    Answer::Other(why) => {
                        self.ignored.get_or_insert(why);
                        Step::Do(Vec::new())
                    }
                    Answer::Known(outcome) => {
                        let passed = now.saturating_sub(self.attempt.started);
                        self.timing.first_byte.get_or_insert(passed);
                        self.done(outcome, now)
                    }
                }
            }
            Event::Icmp(error) => match error.outcome() {
                Some(outcome) => self.done(outcome, now),
                None => Step::Do(Vec::new()),
            },
            Event::Failed {
                operation,
                errno,
                origin,
                detail,
            } => self.done(failure(operation, errno, origin, detail), now),
            Event::Deadline if now < self.attempt.deadline => Step::Do(self.ask()),
            Event::Deadline => {
                let mut detail = format!("no answer to {} questions", self.tries);
                if let Some(why) = self.ignored {
                    detail.push_str(&format!("; what came is {why}"));
                }
                let outcome = Outcome::new(Code::TimeoutIo, Phase::Recv);
                self.done(outcome.with_detail(&detail), now)
            }
            Event::Cancel => self.done(Outcome::new(Code::Cancelled, Phase::Recv), now),
            _ => Step::Do(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::policy::Health;

    const SECOND: Duration = Duration::from_secs(1);

    #[derive(Clone, Debug, Eq, Hash, PartialEq)]
    struct Echo(u8);

    impl Exchange for Echo {
        fn ask(&self, _attempt: &Attempt) -> Vec<u8> {
            vec![self.0]
        }

        fn examine(&self, attempt: &Attempt, bytes: &[u8]) -> Answer {
            if bytes == self.ask(attempt) {
                Answer::Known(Outcome::new(Code::Ok, Phase::Match))
            } else {
                Answer::Other("not what was sent")
            }
        }

        fn identity(&self) -> Option<Identity<'_>> {
            Some(Identity::of(self))
        }
    }

    fn probe(port: u16, byte: u8) -> ExchangeProbe<Echo> {
        let address = ([192, 0, 2, 7], port).into();
        ExchangeProbe::new(Target::new(address), Echo(byte))
    }

    /// What is sent, and when time is up.
    fn sent(step: Step) -> (Vec<u8>, Timestamp) {
        let Step::Do(actions) = step else {
            panic!("done")
        };
        match &actions[..] {
            [.., Action::Send(bytes), Action::SetDeadline(deadline)] => (bytes.clone(), *deadline),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn question_is_repeated_until_its_answer_comes() {
        let attempt = Attempt::new(1, SECOND, 4 * SECOND, None, Health::Up);
        let mut engine = probe(7, 42).engine(&attempt);
        let _ = engine.start(SECOND);
        assert_eq!(
            sent(engine.on_event(Event::Connected, SECOND)),
            (vec![42], 3 * SECOND)
        );
        let from = "192.0.2.7:7".parse().unwrap();
        let other = Event::Datagram { bytes: b"x", from };
        assert!(matches!(engine.on_event(other, 2 * SECOND), Step::Do(_)));
        let again = engine.on_event(Event::Deadline, 3 * SECOND);
        assert_eq!(sent(again), (vec![42], 5 * SECOND));
        let answer = Event::Datagram { bytes: &[42], from };
        let Step::Done(outcome) = engine.on_event(answer, 4 * SECOND) else {
            panic!("goes on")
        };
        assert_eq!(outcome.code, Code::Ok);
        assert_eq!(outcome.timing.first_byte, Some(3 * SECOND));
    }

    #[test]
    fn silence_is_a_failure_that_says_what_was_ignored() {
        let attempt = Attempt::new(1, SECOND, 4 * SECOND, None, Health::Up);
        let mut engine = probe(7, 42).with_tries(1).engine(&attempt);
        let _ = engine.start(SECOND);
        assert_eq!(
            sent(engine.on_event(Event::Connected, SECOND)).1,
            5 * SECOND
        );
        let from = "192.0.2.7:7".parse().unwrap();
        let _ = engine.on_event(Event::Datagram { bytes: b"x", from }, SECOND);
        let Step::Done(outcome) = engine.on_event(Event::Deadline, 5 * SECOND) else {
            panic!("goes on")
        };
        assert_eq!(
            outcome.to_string(),
            "timeout_io (recv): no answer to 1 questions; what came is not what was sent"
        );
    }

    #[test]
    fn settings_are_checked_and_decide_what_is_shared() {
        assert_eq!(
            probe(7, 1).with_tries(0).validate().unwrap_err().field,
            "tries"
        );
        assert_eq!(probe(7, 1).validate(), Ok(()));
        assert_eq!(probe(7, 1).identity(), probe(7, 1).identity());
        for other in [probe(8, 1), probe(7, 2), probe(7, 1).with_tries(3)] {
            assert_ne!(probe(7, 1).identity(), other.identity());
        }
    }
}
