//! Targets that have a name: looked up at every attempt.

use core::any::TypeId;
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec;

use super::call::Call;
use super::{Action, Engine, Event, Identity, Probe, Resource, Step};
use crate::Timestamp;
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::outcome::{Code, Outcome, Phase, Verdict};
#[cfg(doc)]
use crate::target::Target;

/// Looks up a name, then does what another probe does with the address.
///
/// A name that cannot be looked up, or not in time, says nothing about the destination
/// ([`Code::Resolve`], neutral). Of several addresses, in the system's order, the first is taken that
/// the other probe can use: not one of another family than its [source](Target::with_source), nor one
/// to which this host has no route, address or socket. The system's resolver is asked, which may
/// block, on one of the driver's threads; of these there are
/// [few](crate::timetable::Limits::with_max_threads).
///
/// Destinations of a load balancer have addresses; names are for probes of other things. Which
/// machine an attempt puts load on is not known before, so
/// [limits per host](crate::timetable::Limits::with_max_in_flight_per_host) do not apply.
///
/// ```
/// use lvs_healthcheck::probe::NamedProbe;
/// use lvs_healthcheck::{Check, Policy, Target, TcpProbe};
///
/// let probe = NamedProbe::new("localhost:5432", |address| TcpProbe::new(Target::new(address)));
/// let check = Check::new(probe, Policy::default());
/// ```
pub struct NamedProbe<P, F> {
    name: Arc<str>,
    make: F,
    /// The port of the name, and what is made for some address with it; none if it has no port.
    example: Option<(u16, P)>,
    key: Key,
}

/// What is the same for all who look up the same name for the same kind of probe.
#[derive(Debug, Eq, Hash, PartialEq)]
struct Key {
    name: Arc<str>,
    /// The function's.
    make: TypeId,
}

impl<P: Probe, F: Fn(SocketAddr) -> P + Send + Sync + 'static> NamedProbe<P, F> {
    /// Looks up `name:port`, and makes the probe for the address.
    ///
    /// The function is called for the address 127.0.0.1, too, to find out what kind of probe that
    /// is. What it makes must not depend on more of the address than where it leads: checks that
    /// look up the same name by the same function, which makes the same of 127.0.0.1, share their
    /// attempts.
    pub fn new(name: &str, make: F) -> Self {
        let port = name.rsplit_once(':').filter(|(name, _)| !name.is_empty());
        let port = port.and_then(|(_, port)| port.parse().ok());
        let port = port.filter(|port: &u16| *port > 0);
        let name: Arc<str> = name.into();
        Self {
            example: port.map(|port| (port, make((Ipv4Addr::LOCALHOST, port).into()))),
            key: Key {
                name: name.clone(),
                make: TypeId::of::<F>(),
            },
            name,
            make,
        }
    }

    fn example(&self) -> Option<&P> {
        self.example.as_ref().map(|(_, example)| example)
    }
}

impl<P, F> fmt::Debug for NamedProbe<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedProbe")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<P, F> Probe for NamedProbe<P, F>
where
    P: Probe + 'static,
    F: Fn(SocketAddr) -> P + Clone + Send + Sync + 'static,
{
    fn engine(&self, attempt: &Attempt) -> Box<dyn Engine> {
        let (make, attempt) = (self.make.clone(), *attempt);
        Box::new(Resolving {
            name: self.name.clone(),
            found: Found::default(),
            make: Box::new(move |address| {
                let probe = make(address);
                // It may have settings for one family only.
                probe.validate().is_ok().then(|| probe.engine(&attempt))
            }),
            others: Vec::new().into_iter(),
            inner: None,
            reported: false,
        })
    }

    /// The form of the name, and the probe made for an address of either family.
    fn validate(&self) -> Result<(), Invalid> {
        let Some((port, example)) = &self.example else {
            let limit = "must be a name, a colon and a port from 1 to 65535";
            return Err(Invalid::new("name", format!("{:?}", self.name), limit));
        };
        let v6 = || (self.make)((Ipv6Addr::LOCALHOST, *port).into()).validate();
        example
            .validate()
            .or_else(|refused| v6().map_err(|_| refused))
    }

    fn resource(&self) -> Resource {
        self.example().map_or(Resource::Socket, Probe::resource)
    }

    fn watches(&self) -> Vec<PathBuf> {
        self.example().map(Probe::watches).unwrap_or_default()
    }

    fn identity(&self) -> Option<Identity<'_>> {
        let identity = self.example()?.identity()?;
        Some(identity.by_way_of(&self.key))
    }
}

/// Where the thread that looks up leaves what it has found.
type Found = Arc<Mutex<Vec<SocketAddr>>>;

struct Resolving {
    name: Arc<str>,
    found: Found,
    make: Box<dyn Fn(SocketAddr) -> Option<Box<dyn Engine>> + Send>,
    /// The addresses that were not tried yet.
    others: vec::IntoIter<SocketAddr>,
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
        Ok(addresses) => {
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.extend(addresses);
            if !found.is_empty() {
                return Outcome::new(Code::Ok, Phase::Resolve);
            }
            format!("{name} has no address")
        }
        Err(error) => format!("{name}: {error}"),
    };
    Outcome::new(Code::Resolve, Phase::Resolve).with_detail(&detail)
}

impl Resolving {
    /// Begins with the next address that can be used.
    fn next(&mut self, now: Timestamp) -> Option<Step> {
        loop {
            let address = self.others.next()?;
            if let Some(engine) = (self.make)(address) {
                let inner = self.inner.insert(engine);
                let step = inner.start(now);
                return Some(self.or_next(step, now));
            }
        }
    }

    /// What the probe wants, unless this host cannot reach the address, and there is another one.
    fn or_next(&mut self, step: Step, now: Timestamp) -> Step {
        let unusable = |outcome: &Outcome| {
            outcome.verdict == Verdict::Neutral
                && matches!(
                    outcome.code,
                    Code::LocalNoRoute | Code::LocalBind | Code::LocalSocket
                )
        };
        match step {
            Step::Done(outcome) if unusable(&outcome) => {
                self.next(now).unwrap_or(Step::Done(outcome))
            }
            step => step,
        }
    }
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
            let step = inner.on_event(event, now);
            return self.or_next(step, now);
        }
        let outcome = match event {
            Event::Returned(_) | Event::Failed { .. } if self.reported => {
                return Step::End(Vec::new());
            }
            Event::Returned(outcome) => {
                let found = self
                    .found
                    .lock()
                    .map(|mut found| core::mem::take(&mut *found));
                self.others = found.unwrap_or_default().into_iter();
                if self.others.len() == 0 {
                    return Step::Done(outcome);
                }
                return self.next(now).unwrap_or_else(|| {
                    let detail = format!("{} has no address that can be used", self.name);
                    Step::Done(Outcome::new(Code::Resolve, Phase::Resolve).with_detail(&detail))
                });
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

    use super::super::file::FileProbe;
    use super::super::{Errno, Operation, Origin};
    use super::*;
    use crate::TcpProbe;
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

    /// An engine whose look-up has found these, and what it does first.
    fn found(target: fn(SocketAddr) -> Target, addresses: &[&str]) -> (Box<dyn Engine>, Step) {
        let second = Duration::from_secs(1);
        let attempt = Attempt::new(1, second, second, None, Health::Unknown);
        let found: Vec<SocketAddr> = addresses.iter().map(|it| it.parse().unwrap()).collect();
        let mut engine: Box<dyn Engine> = Box::new(Resolving {
            name: "name:80".into(),
            found: Arc::new(Mutex::new(found)),
            make: Box::new(move |address| {
                let probe = TcpProbe::new(target(address));
                probe.validate().is_ok().then(|| probe.engine(&attempt))
            }),
            others: Vec::new().into_iter(),
            inner: None,
            reported: false,
        });
        let returned = Outcome::new(Code::Ok, Phase::Resolve);
        let step = engine.on_event(Event::Returned(returned), second);
        (engine, step)
    }

    fn connects_to(step: &Step) -> Option<SocketAddr> {
        let Step::Do(actions) = step else { return None };
        actions.iter().find_map(|action| match action {
            Action::Connect { target, .. } => Some(target.address()),
            _ => None,
        })
    }

    #[test]
    fn addresses_this_host_cannot_use_are_passed_over() {
        let both = ["[2001:db8::1]:80", "192.0.2.1:80"];
        let v4 = |address| Target::new(address).with_source("192.0.2.9".parse().unwrap());
        let (_, step) = found(v4, &both);
        assert_eq!(connects_to(&step), both[1].parse().ok(), "by its source");
        let (_, step) = found(v4, &both[..1]);
        let Step::Done(outcome) = step else {
            panic!("goes on")
        };
        assert_eq!(
            outcome.to_string(),
            "resolve (resolve): name:80 has no address that can be used"
        );

        let unreachable = || Event::Failed {
            operation: Operation::Connect,
            errno: Errno::from_raw(libc::ENETUNREACH),
            origin: Origin::Call,
            detail: "",
        };
        let now = Duration::from_secs(1);
        let (mut engine, step) = found(Target::new, &both);
        assert_eq!(connects_to(&step), both[0].parse().ok());
        let step = engine.on_event(unreachable(), now);
        assert_eq!(connects_to(&step), both[1].parse().ok(), "by its route");
        let Step::Done(outcome) = engine.on_event(unreachable(), now) else {
            panic!("goes on")
        };
        assert_eq!(outcome.code, Code::LocalNoRoute, "none is left");
        // What the server does is no reason to ask another one.
        let (mut engine, _) = found(Target::new, &both);
        let refused = Event::Failed {
            operation: Operation::Connect,
            errno: Errno::from_raw(libc::ECONNREFUSED),
            origin: Origin::Network,
            detail: "",
        };
        assert!(matches!(engine.on_event(refused, now), Step::Done(_)));
    }

    #[test]
    fn what_is_made_decides_what_an_attempt_occupies_and_with_whom_it_is_shared() {
        let file = |_| FileProbe::new("/run/a");
        let files = NamedProbe::new("localhost:80", file);
        assert_eq!(files.resource(), Resource::Thread);
        assert_eq!(files.watches(), ["/run/a"].map(PathBuf::from));
        let probe = |name: &str, mark: u32| {
            NamedProbe::new(name, move |address| {
                TcpProbe::new(Target::new(address).with_mark(mark))
            })
        };
        assert_eq!(probe("a:80", 1).identity(), probe("a:80", 1).identity());
        assert!(probe("a:80", 1).identity().is_some());
        for other in [probe("b:80", 1), probe("a:81", 1), probe("a:80", 2)] {
            assert_ne!(probe("a:80", 1).identity(), other.identity());
        }
        let same = |address| TcpProbe::new(Target::new(address).with_mark(1));
        let other = NamedProbe::new("a:80", same);
        assert_ne!(probe("a:80", 1).identity(), other.identity(), "other code");
        let direct = TcpProbe::new(Target::new("127.0.0.1:80".parse().unwrap()).with_mark(1));
        assert_ne!(probe("a:80", 1).identity(), direct.identity());
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
