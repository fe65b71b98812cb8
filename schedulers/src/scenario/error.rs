//! What can be wrong with a scenario, and where.

use alloc::string::String;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use crate::destination::Destination;
use crate::scenario::event::Event;

/// Why a scenario was refused.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ScenarioError {
    /// The text is not such a document: no JSON, an unknown field or word, a value of the wrong
    /// type or out of its range.
    #[error("{prefix}{message} (line {line}, column {column})", prefix = Prefix(path))]
    Unreadable {
        /// The field, as in `events[3].weight`; empty where the reader was in none.
        path: String,
        /// What was found and what expected.
        message: String,
        /// The line, from 1 on.
        line: usize,
        /// The column, from 1 on; 0 if the line ended before it began.
        column: usize,
    },
    /// Well-formed, but in contradiction to what went before.
    #[error("{place}{field}: {problem}", field = problem.field())]
    Inconsistent {
        /// In which server or event.
        place: Place,
        /// The field and what is wrong with it.
        problem: Problem,
    },
}

/// The part of a document that something is wrong with. Displayed as the beginning of a path.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// None of the lists.
    Document,
    /// The server of that index in `servers`, from 0 on.
    Server(usize),
    /// The event of that index in `events`, from 0 on.
    Event(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document => Ok(()),
            Self::Server(index) => write!(f, "servers[{index}]."),
            Self::Event(index) => write!(f, "events[{index}]."),
        }
    }
}

/// A contradiction within a scenario.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Problem {
    /// The service has mark 0, which means unmarked.
    #[error("a firewall mark is at least 1")]
    Mark,
    /// Two servers have the same id.
    #[error("{id} is the id of an earlier server")]
    DuplicateId {
        /// The id.
        id: u32,
    },
    /// A server is added that is there.
    #[error("server {id} is present already")]
    Present {
        /// The server.
        id: u32,
    },
    /// A server is edited or removed that is not there.
    #[error("no server {id} is present")]
    Absent {
        /// The server.
        id: u32,
    },
    /// Two present servers have the same address.
    #[error("{address} is the address of server {id}")]
    AddressInUse {
        /// The address.
        address: SocketAddr,
        /// Who has it.
        id: u32,
    },
    /// A server is added for the first time without this field.
    #[error("missing, and no earlier server {id} has one")]
    Missing {
        /// The server.
        id: u32,
        /// `address` or `weight`.
        field: &'static str,
    },
    /// An edit gives an address.
    #[error("an edit cannot change the address; remove the server and add another")]
    EditedAddress,
    /// The weight is one that the kernel would read as negative.
    #[error("{value} is above {limit}", limit = Destination::MAX_WEIGHT)]
    Weight {
        /// The weight.
        value: u32,
    },
    /// The lower threshold is above the upper one.
    #[error("{lower} is above the upper threshold {upper}")]
    Thresholds {
        /// The upper threshold; 0 = none.
        upper: u32,
        /// The lower threshold.
        lower: u32,
    },
    /// A server is not masqueraded.
    #[error("servers are masqueraded; the format has no other method")]
    Forwarding,
    /// IPv4 where all before is IPv6, or the other way round.
    #[error("{address} is not IPv{version}, as the addresses before are", version = if *.ipv6 { 6 } else { 4 })]
    Family {
        /// `address`, `client` or `to`.
        field: &'static str,
        /// The address.
        address: SocketAddr,
        /// Whether the others are IPv6.
        ipv6: bool,
    },
    /// A flow to a service by mark does not say where it was sent.
    #[error("missing: a service by mark has no address of its own")]
    MissingTo,
    /// A flow to a service with an address says where it was sent.
    #[error("only for a service by mark; this one is {address}")]
    SurplusTo {
        /// The service.
        address: SocketAddr,
    },
    /// The timeout of persistence is none that the kernel takes.
    #[error("{timeout:?} is not a whole number of seconds from 1 to 4294967295")]
    Timeout {
        /// The timeout.
        timeout: Duration,
    },
    /// The mask of persistence is for the other address family.
    #[error("a mask for IPv{mask}, but the addresses are IPv{version}", mask = if *.ipv6 { 4 } else { 6 }, version = if *.ipv6 { 6 } else { 4 })]
    MaskFamily {
        /// Whether the addresses are IPv6.
        ipv6: bool,
    },
    /// The prefix length of persistence is out of its range.
    #[error("{length} is outside {least} to {most}")]
    MaskLength {
        /// The length.
        length: u8,
        /// The shortest length possible.
        least: u8,
        /// The longest length possible.
        most: u8,
    },
    /// There is a mask without persistence.
    #[error("only with \"persistent\"")]
    SurplusMask,
    /// An event is about a flow that has not begun.
    #[error("{flow} is out of range: flows so far: {flows}")]
    FlowRange {
        /// The flow.
        flow: usize,
        /// How many have begun.
        flows: usize,
    },
    /// More time passes than one event can let pass.
    #[error("{by:?} is longer than {limit:?}", limit = Event::MAX_ADVANCE)]
    Advance {
        /// The time.
        by: Duration,
    },
}

impl Problem {
    /// The field that it is about.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Mark => "virtual",
            Self::DuplicateId { .. } | Self::Present { .. } | Self::Absent { .. } => "id",
            Self::AddressInUse { .. } | Self::EditedAddress => "address",
            Self::Missing { field, .. } | Self::Family { field, .. } => field,
            Self::Weight { .. } => "weight",
            Self::Thresholds { .. } => "lower",
            Self::Forwarding => "forwarding",
            Self::MissingTo | Self::SurplusTo { .. } => "to",
            Self::Timeout { .. } => "persistent",
            Self::MaskFamily { .. } | Self::MaskLength { .. } | Self::SurplusMask => "mask",
            Self::FlowRange { .. } => "flow",
            Self::Advance { .. } => "seconds",
        }
    }

    pub(super) const fn at(self, place: Place) -> ScenarioError {
        ScenarioError::Inconsistent {
            place,
            problem: self,
        }
    }
}

/// A path before a message.
struct Prefix<'a>(&'a str);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, "{}: ", self.0)
    }
}
