//! What can happen in a scenario.

use core::net::SocketAddr;
use core::time::Duration;

/// One thing that happens. Flows are counted from 0 in the order of their [`Flow`](Self::Flow)
/// events; servers are named by their ids.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// The first packet of a new connection (TCP: SYN) is scheduled.
    Flow {
        /// Who sends it.
        client: SocketAddr,
        /// Where to: required for a service by mark, and only there.
        to: Option<SocketAddr>,
    },
    /// The server answers and the client acknowledges. Nothing happens to a flow without a server,
    /// or one that has expired.
    Establish {
        /// Which flow.
        flow: usize,
    },
    /// Both sides say that they are done: the connection stays, inactive. Nothing happens to a flow
    /// without a server, or one that has expired.
    Close {
        /// Which flow.
        flow: usize,
    },
    /// The connection leaves the table. Nothing happens to a flow without a server, or one that has
    /// expired.
    Expire {
        /// Which flow.
        flow: usize,
    },
    /// A server is added: a new one with address and weight, or a removed one with what changes.
    Add(Change),
    /// Settings of a server are replaced, other than its address.
    Edit(Change),
    /// A server is removed; its connections go on.
    Remove {
        /// Which server.
        id: u32,
    },
    /// Virtual time passes, at most [`Event::MAX_ADVANCE`]; what is finer than a microsecond is
    /// rounded.
    Advance {
        /// How much.
        by: Duration,
    },
}

impl Event {
    /// The longest time that one event can let pass: 2³² - 1 seconds.
    pub const MAX_ADVANCE: Duration = Duration::from_secs(0xffff_ffff);

    /// The same as a document has it: times to the nearest microsecond, addresses without scope and
    /// flow label, which the kernel does not look at either.
    pub(super) fn normalized(self) -> Self {
        match self {
            Self::Advance { by } => Self::Advance {
                by: to_microseconds(by),
            },
            Self::Flow { client, to } => Self::Flow {
                client: bare(client),
                to: to.map(bare),
            },
            Self::Add(change) => Self::Add(Change {
                address: change.address.map(bare),
                ..change
            }),
            other => other,
        }
    }

    /// A flow to a service that has an address of its own.
    pub const fn flow(client: SocketAddr) -> Self {
        Self::Flow { client, to: None }
    }

    /// A flow to a service by mark, sent to that address.
    pub const fn flow_to(client: SocketAddr, to: SocketAddr) -> Self {
        Self::Flow {
            client,
            to: Some(to),
        }
    }

    /// The name of this kind of event in a document.
    pub const fn op(&self) -> &'static str {
        match self {
            Self::Flow { .. } => "flow",
            Self::Establish { .. } => "establish",
            Self::Close { .. } => "close",
            Self::Expire { .. } => "expire",
            Self::Add(_) => "add",
            Self::Edit(_) => "edit",
            Self::Remove { .. } => "remove",
            Self::Advance { .. } => "advance",
        }
    }
}

/// The address without scope and flow label.
pub(super) fn bare(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

pub(super) fn to_microseconds(by: Duration) -> Duration {
    let by = by.saturating_add(Duration::from_nanos(500));
    Duration::new(by.as_secs(), by.subsec_micros() * 1000)
}

/// New settings for a server; what is not given stays as it was.
///
/// ```
/// use lvs_schedulers::scenario::{Change, Event};
///
/// let drain = Event::Edit(Change::new(1).with_weight(0));
/// # let _ = drain;
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Change {
    pub(super) id: u32,
    pub(super) address: Option<SocketAddr>,
    pub(super) weight: Option<u32>,
    pub(super) upper: Option<u32>,
    pub(super) lower: Option<u32>,
}

impl Change {
    /// No new settings for the server of this name.
    pub const fn new(id: u32) -> Self {
        Self {
            id,
            address: None,
            weight: None,
            upper: None,
            lower: None,
        }
    }

    /// Gives the address, which only an added server takes.
    pub const fn with_address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Changes the weight: 0 to [`Destination::MAX_WEIGHT`](crate::Destination::MAX_WEIGHT).
    pub const fn with_weight(mut self, weight: u32) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Changes the upper connection threshold; 0 = no limit.
    pub const fn with_upper(mut self, upper: u32) -> Self {
        self.upper = Some(upper);
        self
    }

    /// Changes the lower connection threshold; 0 = three quarters of the upper one.
    pub const fn with_lower(mut self, lower: u32) -> Self {
        self.lower = Some(lower);
        self
    }

    /// The server.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// The address, if given.
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The weight, if given.
    pub const fn weight(&self) -> Option<u32> {
        self.weight
    }

    /// The upper threshold, if given.
    pub const fn upper(&self) -> Option<u32> {
        self.upper
    }

    /// The lower threshold, if given.
    pub const fn lower(&self) -> Option<u32> {
        self.lower
    }
}
