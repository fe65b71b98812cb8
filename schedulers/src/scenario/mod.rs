//! Scenarios: what happens to a virtual service, as a value, as JSON, and played back.
//!
//! A [`Scenario`] names a scheduler, the servers of a service and the events after that: flows that
//! begin, are established, close and expire; servers that are added, edited and removed; time that
//! passes. The same file can be replayed by this crate and by a real kernel, and the two compared
//! pick by pick.
//!
//! ```
//! use lvs_schedulers::scenario::Scenario;
//!
//! let scenario: Scenario = r#"{
//!   "scheduler": "wrr",
//!   "virtual": "10.1.0.100:80",
//!   "servers": [
//!     {"id": 0, "address": "10.2.1.1:80", "weight": 4},
//!     {"id": 1, "address": "10.2.1.2:80", "weight": 3}
//!   ],
//!   "events": [
//!     {"op": "flow", "client": "10.1.1.1:1000"},
//!     {"op": "edit", "id": 1, "weight": 0},
//!     {"op": "flow", "client": "10.1.1.2:1000"},
//!     {"op": "remove", "id": 0},
//!     {"op": "flow", "client": "10.1.1.3:1000"}
//!   ]
//! }"#.parse()?;
//! let replay = scenario.replay();
//! assert_eq!(replay.picks(), [Some(1), Some(0), None]);
//! assert_eq!(replay.to_string(), r#"{"picks":[1,0,null]}"#);
//! # Ok::<(), lvs_schedulers::scenario::ScenarioError>(())
//! ```
//!
//! # The document
//!
//! | Field | Meaning | Default |
//! |---|---|---|
//! | `scheduler` | an [`Algorithm`] by the kernel's name | required |
//! | `flags` | list of `sh-fallback`, `sh-port`, `mh-fallback`, `mh-port` | none |
//! | `kernel` | `"6.1"`, `"6.12"`, `"7.2"`, or an object of switches (see [`kernel`]) | `"6.1"` |
//! | `protocol` | `tcp`, `udp` or `sctp` | `tcp` |
//! | `virtual` | `ADDR:PORT`, `[ADDR6]:PORT` or `fwmark N` | required |
//! | `persistent` | timeout of persistence in seconds | no persistence |
//! | `mask` | with `persistent`: netmask (IPv4) or prefix length (0 to 32, IPv6 1 to 128) | each client by itself |
//! | `seed` | where the random numbers of `twos` start (SplitMix64), 0 to 2⁶⁴ - 1 | 0 |
//! | `servers` | list of `id`, `address`, `weight`, `upper` (0), `lower` (0), added in this order | required |
//! | `events` | list of what follows, see [`Event`] | none |
//!
//! Nothing else is accepted: a misspelt field is an error, as is a number out of range, an address
//! of another family, a flow that has not begun. Errors say which field of which server or event it
//! is, and where a document cannot be read at all, its line and column.

mod checks;
mod error;
mod event;
mod field;
pub mod kernel;
mod read;
mod replay;
mod write;

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;

use crate::destination::{Destination, DestinationEntry};
use crate::flags::SchedulerFlags;
use crate::flow::Protocol;
use crate::persistence::Persistence;
use crate::scheduler::{Algorithm, Scheduler};
use crate::semantics::Semantics;

use checks::State;
pub use error::{Place, Problem, ScenarioError};
pub use event::{Change, Event};
pub use replay::{Outcome, Replay, Replayer};

/// How the service is reached.
#[expect(
    clippy::exhaustive_enums,
    reason = "the kernel has no third way to name a service"
)]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Target {
    /// By its address and port; port 0 stands for all ports.
    Address(SocketAddr),
    /// By the firewall mark of the packets, from 1 on; each flow says where it was sent.
    Mark(u32),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Mark(mark) => write!(f, "fwmark {mark}"),
        }
    }
}

/// A server of a scenario: its name in the scenario, and its settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Server {
    id: u32,
    destination: Destination,
}

impl Server {
    /// The server that the scenario calls `id`.
    pub const fn new(id: u32, destination: Destination) -> Self {
        Self { id, destination }
    }

    /// Its name in the scenario.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Address, weight and thresholds.
    pub const fn destination(&self) -> &Destination {
        &self.destination
    }
}

/// A service, its servers and what happens to it. Always consistent: what contradicts what went
/// before is refused when it is added.
///
/// ```
/// use lvs_schedulers::scenario::{Event, Scenario, Server, Target};
/// use lvs_schedulers::{Algorithm, Destination};
///
/// let server = |id: u32, address: &str| -> Result<_, Box<dyn std::error::Error>> {
///     Ok(Server::new(id, Destination::new(address.parse()?)))
/// };
/// let servers = [server(0, "10.2.1.1:80")?, server(1, "10.2.1.2:80")?];
/// let target = Target::Address("10.1.0.100:80".parse()?);
/// let mut scenario = Scenario::new(Algorithm::Rr, target, servers)?;
/// for port in 1000..1003 {
///     scenario.push(Event::flow(([10, 1, 1, 1], port).into()))?;
/// }
/// assert_eq!(scenario.replay().picks(), [Some(1), Some(0), Some(1)]);
///
/// let error = scenario.push(Event::Expire { flow: 3 }).unwrap_err();
/// assert_eq!(error.to_string(), "events[3].flow: 3 is out of range: flows so far: 3");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scenario {
    settings: Settings,
    servers: Vec<Server>,
    events: Vec<Event>,
    /// How things stand before the first event, and after the last.
    start: State,
    state: State,
}

/// What holds for the whole of a scenario.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Settings {
    algorithm: Algorithm,
    flags: SchedulerFlags,
    semantics: Semantics,
    protocol: Protocol,
    target: Target,
    persistence: Option<Persistence>,
    seed: u64,
}

impl Scenario {
    /// A TCP service with these servers, added one after another, on Linux 6.1, to which nothing
    /// has happened yet.
    ///
    /// # Errors
    ///
    /// A mark of 0, an id or an address given twice, a weight above
    /// [`Destination::MAX_WEIGHT`], thresholds of which the lower is above the upper, an address of
    /// another family than those before.
    pub fn new(
        algorithm: Algorithm,
        target: Target,
        servers: impl IntoIterator<Item = Server>,
    ) -> Result<Self, ScenarioError> {
        let target = match target {
            Target::Address(address) => Target::Address(event::bare(address)),
            Target::Mark(_) => target,
        };
        let mut state = State::new(target)?;
        let servers: Vec<Server> = servers.into_iter().collect();
        for (index, server) in servers.iter().enumerate() {
            state.add_server(server, index)?;
        }
        Ok(Self {
            settings: Settings {
                algorithm,
                flags: SchedulerFlags::NONE,
                semantics: Semantics::LINUX_6_1,
                protocol: Protocol::Tcp,
                target,
                persistence: None,
                seed: 0,
            },
            servers,
            events: Vec::new(),
            start: state.clone(),
            state,
        })
    }

    /// The same traffic through another of the kernel's schedulers.
    #[must_use]
    pub const fn with_algorithm(mut self, algorithm: Algorithm) -> Self {
        self.settings.algorithm = algorithm;
        self
    }

    /// Sets the scheduler flags; algorithms without flags ignore them.
    #[must_use]
    pub const fn with_flags(mut self, flags: SchedulerFlags) -> Self {
        self.settings.flags = flags;
        self
    }

    /// Sets which kernel to imitate.
    #[must_use]
    pub const fn with_semantics(mut self, semantics: Semantics) -> Self {
        self.settings.semantics = semantics;
        self
    }

    /// Sets the protocol of all flows.
    #[must_use]
    pub const fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.settings.protocol = protocol;
        self
    }

    /// Makes the service persistent.
    ///
    /// # Errors
    ///
    /// A timeout that is not a whole number of seconds from 1 to 2³² - 1; a mask of the other
    /// address family; an IPv6 prefix length outside 1 to 128.
    pub fn with_persistence(mut self, persistence: Persistence) -> Result<Self, ScenarioError> {
        let ipv6 = checks::persistence(persistence, self.state.ipv6())?;
        self.start.set_family(ipv6);
        self.state.set_family(ipv6);
        self.settings.persistence = Some(persistence);
        Ok(self)
    }

    /// Sets where the random numbers of `twos` start.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// Adds what happens next.
    ///
    /// # Errors
    ///
    /// What happens contradicts what happened before: see [`Problem`]. The scenario is as before.
    pub fn push(&mut self, event: Event) -> Result<(), ScenarioError> {
        let event = event.normalized();
        self.state.apply(&event, self.events.len())?;
        self.events.push(event);
        Ok(())
    }

    /// Reads a document; see the [module](self) for its fields.
    ///
    /// # Errors
    ///
    /// Says which field of which server or event is wrong and, where it is not only in
    /// contradiction to others, in which line and column.
    pub fn from_json(text: &str) -> Result<Self, ScenarioError> {
        read::read(text)
    }

    /// The document that [`from_json`](Self::from_json) reads as this value: one server and one
    /// event a line, defaults left out. The same as [`Display`](fmt::Display).
    pub fn to_json(&self) -> String {
        self.to_string()
    }

    /// The scheduler.
    pub const fn algorithm(&self) -> Algorithm {
        self.settings.algorithm
    }

    /// The scheduler flags.
    pub const fn flags(&self) -> SchedulerFlags {
        self.settings.flags
    }

    /// Which kernel to imitate.
    pub const fn semantics(&self) -> Semantics {
        self.settings.semantics
    }

    /// The protocol of all flows.
    pub const fn protocol(&self) -> Protocol {
        self.settings.protocol
    }

    /// How the service is reached.
    pub const fn target(&self) -> Target {
        self.settings.target
    }

    /// Persistence of the service, if it is persistent.
    pub const fn persistence(&self) -> Option<Persistence> {
        self.settings.persistence
    }

    /// Where the random numbers of `twos` start.
    pub const fn seed(&self) -> u64 {
        self.settings.seed
    }

    /// The servers at the beginning, in the order in which they were added.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// What happens, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Plays all events back with the scheduler that the scenario names.
    pub fn replay(&self) -> Replay {
        self.replay_with(self.settings.algorithm.scheduler(self.settings.semantics))
    }

    /// Plays all events back with another scheduler, which may be the caller's own.
    pub fn replay_with(&self, scheduler: Box<dyn Scheduler<DestinationEntry>>) -> Replay {
        let mut replayer = self.replayer_with(scheduler);
        // All events were checked when they came in, so none is refused.
        let outcomes = self.events.iter().flat_map(|event| replayer.step(event));
        Replay::new(outcomes.filter_map(Outcome::pick).collect())
    }

    /// The service with its servers before the first event, to play back step by step.
    pub fn replayer(&self) -> Replayer {
        self.replayer_with(self.settings.algorithm.scheduler(self.settings.semantics))
    }

    /// Like [`replayer`](Self::replayer), with another scheduler.
    pub fn replayer_with(&self, scheduler: Box<dyn Scheduler<DestinationEntry>>) -> Replayer {
        Replayer::new(self, scheduler)
    }
}

impl FromStr for Scenario {
    type Err = ScenarioError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_json(text)
    }
}
