//! Targets that have a name: looked up at every attempt.

use core::fmt;
use core::net::{Ipv4Addr, SocketAddr};
use std::net::ToSocketAddrs;
use std::sync::{Arc, Mutex, PoisonError};

use super::call::Call;
use super::{Action, Engine, Event, Probe, Step};
use crate::Timestamp;
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Code, Outcome, Phase};

/// Looks up a name, then does what another probe does with the address.
///
/// A name that cannot be looked up, or not in time, says nothing about the destination
/// ([`Code::Resolve`], neutral). Of several addresses the first is taken, as the system sorts them.
/// The system's resolver is asked, which may block, on one of the driver's threads.
///
/// Destinations of a load balancer have addresses; names are for probes of other things.
///
/// ```
/// use lvs_healthcheck::probe::NamedProbe;
/// use lvs_healthcheck::{Check, Policy, Target, TcpProbe};
///
/// let probe = NamedProbe::new("localhost:5432", |address| TcpProbe::new(Target::new(address)));
/// let check = Check::new(probe, Policy::default());
/// ```
pub struct NamedProbe<F> {
    name: Arc<str>,
    make: F,
}

impl<P: Probe, F: Fn(SocketAddr) -> P + Send + Sync> NamedProbe<F> {
    /// Looks up `name:port`, and makes the probe for the address.
    pub fn new(name: &str, make: F) -> Self {
        Self {
            name: name.into(),
            make,
        }
    }
}

impl<F> fmt::Debug for NamedProbe<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedProbe")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<P: Probe, F: Fn(SocketAddr) -> P + Clone + Send + Sync + 'static> Probe for NamedProbe<F> {
    fn engine(&self, attempt: &Attempt) -> Box<dyn Engine> {
        let (make, attempt) = (self.make.clone(), *attempt);
        Box::new(Resolving {
            name: self.name.clone(),
            found: Found::default(),
            make: Box::new(move |address| make(address).engine(&attempt)),
            inner: None,
            reported: false,
        })
    }

    /// The probe made for some address, and the form of the name.
    fn validate(&self) -> Result<(), Invalid> {
        let port = self
            .name
            .rsplit_once(':')
            .filter(|(name, _)| !name.is_empty());
        let port = port.and_then(|(_, port)| port.parse().ok());
        let Some(port) = port.filter(|port: &u16| *port > 0) else {
            let limit = "must be a name, a colon and a port from 1 to 65535";
            return Err(Invalid::new("name", format!("{:?}", self.name), limit));
        };
        (self.make)((Ipv4Addr::LOCALHOST, port).into()).validate()
    }
}

/// Where the thread that looks up leaves what it has found.
type Found = Arc<Mutex<Option<SocketAddr>>>;

struct Resolving {
    name: Arc<str>,
    found: Found,
    make: Box<dyn Fn(SocketAddr) -> Box<dyn Engine> + Send>,
    /// The engine for the address, once there is one.
    inner: Option<Box<dyn Engine>>,
    /// Time was up; only the end of the look-up is waited for.
    reported: bool,
}

impl fmt::Debug for Resolving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolving")
            .field("name", &self.name)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// Asks the system; the outcome is only looked at if nothing was found.
fn look_up(name: &str, found: &Found) -> Outcome {
    let detail = match name.to_socket_addrs() {
        Ok(mut addresses) => match addresses.next() {
            Some(address) => {
                *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
                return Outcome::new(Code::Ok, Phase::Resolve);
            }
            None => format!("{name} has no address"),
        },
        Err(error) => format!("{name}: {error}"),
    };
    Outcome::new(Code::Resolve, Phase::Resolve).with_detail(&detail)
}

impl Engine for Resolving {
    fn start(&mut self, _now: Timestamp) -> Step {
        let (name, found) = (self.name.clone(), self.found.clone());
        Step::Do(vec![Action::Call(Call::new(move || {
            look_up(&name, &found)
        }))])
    }

    fn on_event(&mut self, event: Event<'_>, now: Timestamp) -> Step {
        if let Some(inner) = &mut self.inner {
            return inner.on_event(event, now);
        }
        let outcome = match event {
            Event::Returned(_) | Event::Failed { .. } if self.reported => {
                return Step::End(Vec::new());
            }
            Event::Returned(outcome) => {
                let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
                match *found {
                    Some(address) => {
                        let inner = self.inner.insert((self.make)(address));
                        return inner.start(now);
                    }
                    None => outcome,
                }
            }
            Event::Failed {
                operation,
                errno,
                origin,
                ..
            } => operation.outcome(errno, origin),
            Event::Deadline if !self.reported => {
                self.reported = true;
                let detail = format!("{} was not looked up in time", self.name);
                let outcome = Outcome::new(Code::Resolve, Phase::Resolve);
                return Step::Report(outcome.with_detail(&detail), Vec::new());
            }
            Event::Cancel if !self.reported => Outcome::new(Code::Cancelled, Phase::Resolve),
            _ => return Step::Do(Vec::new()),
        };
        Step::Done(outcome)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::TcpProbe;
    use crate::outcome::Verdict;
    use crate::policy::Health;
    use crate::target::Target;

    fn engine(name: &str) -> Box<dyn Engine> {
        let second = Duration::from_secs(1);
        let attempt = Attempt::new(1, second, second, None, Health::Unknown);
        NamedProbe::new(name, |address| TcpProbe::new(Target::new(address))).engine(&attempt)
    }

    /// What the attempt does after the look-up.
    fn resolved(name: &str) -> Step {
        let now = Duration::from_secs(1);
        let mut engine = engine(name);
        let Step::Do(actions) = engine.start(now) else {
            panic!("done before it began")
        };
        let Ok([Action::Call(call)]) = <[Action; 1]>::try_from(actions) else {
            panic!("does not look up")
        };
        engine.on_event(Event::Returned(call.run()), now)
    }

    #[test]
    fn address_is_given_to_the_probe() {
        let Step::Do(actions) = resolved("127.0.0.1:80") else {
            panic!("done")
        };
        let connects = |action: &Action| match action {
            Action::Connect { target, .. } => target.address() == "127.0.0.1:80".parse().unwrap(),
            _ => false,
        };
        assert!(actions.iter().any(connects), "{actions:?}");
    }

    #[test]
    fn name_without_address_says_nothing() {
        // RFC 6761 §6.4: never exists. Without a network the look-up fails, too.
        let Step::Done(outcome) = resolved("nowhere.invalid:80") else {
            panic!("goes on")
        };
        assert_eq!(
            (outcome.code, outcome.verdict),
            (Code::Resolve, Verdict::Neutral)
        );
        assert!(
            outcome.detail.as_str().starts_with("nowhere.invalid:80"),
            "{outcome}"
        );
    }

    #[test]
    fn late_look_up_says_nothing_either() {
        let mut engine = engine("nowhere.invalid:80");
        let now = Duration::from_secs(2);
        let Step::Report(outcome, _) = engine.on_event(Event::Deadline, now) else {
            panic!("not reported")
        };
        assert_eq!(outcome.code, Code::Resolve);
        // The next attempt waits for the end of this look-up.
        let returned = Event::Returned(Outcome::new(Code::Ok, Phase::Resolve));
        assert!(matches!(engine.on_event(returned, now), Step::End(_)));
    }

    #[test]
    fn names_without_a_port_are_refused() {
        let refused = |name: &str| {
            let make = |address| TcpProbe::new(Target::new(address));
            NamedProbe::new(name, make).validate().is_err()
        };
        for name in [
            "",
            "localhost",
            ":80",
            "localhost:",
            "localhost:0",
            "localhost:http",
        ] {
            assert!(refused(name), "{name:?}");
        }
        assert!(!refused("localhost:80"));
    }
}
