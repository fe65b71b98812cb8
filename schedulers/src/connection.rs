//! One connection: its state, whether it counts as active, when it will be forgotten.
//!
//! # Timers
//!
//! Each packet restarts a connection's timer with the [timeout](ConnectionState::timeout) of its
//! state. A service lets connections go by [`expire`](crate::VirtualService::expire) whenever the
//! caller says so, or by [`expire_due`](crate::VirtualService::expire_due) when their time is over.

use core::fmt;
use core::time::Duration;

use crate::arena::Key;
use crate::context::Timestamp;
use crate::flow::Protocol;
use crate::sctp_states::{SctpChunk, SctpState};
use crate::semantics::TcpActive;
use crate::settings::Settings;
use crate::tcp_states::{TcpFlags, TcpState};
use crate::virtual_service::DestinationId;

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Direction {
    /// From the client to the server.
    In,
    /// From the server to the client.
    Out,
}

/// The part of a state table that a packet falls under.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the tables have these columns")]
pub enum Column {
    /// From the client, of a masqueraded connection: its server's packets pass the director too.
    In,
    /// From the server.
    Out,
    /// From the client, of a connection that is not masqueraded: what the server says is not seen.
    ///
    /// The first packet of the server would end this for good, and does where a connection was
    /// reported as one-way by another director before its masqueraded destination was there. Packets
    /// of other servers are not taken for the connection's, so there it does not come to that (both
    /// seen with 6.1.176 and 7.2.7).
    OneWay,
}

impl Column {
    /// All columns.
    pub const ALL: [Self; 3] = [Self::In, Self::Out, Self::OneWay];
}

/// What of a packet bears on the state of its connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "one for each protocol that is scheduled"
)]
pub enum Packet {
    /// The flags of a TCP segment.
    Tcp(TcpFlags),
    /// A UDP datagram.
    Udp,
    /// The [deciding](SctpChunk::deciding) chunk of an SCTP packet.
    Sctp(SctpChunk),
}

impl From<TcpFlags> for Packet {
    fn from(flags: TcpFlags) -> Self {
        Self::Tcp(flags)
    }
}

impl From<SctpChunk> for Packet {
    fn from(chunk: SctpChunk) -> Self {
        Self::Sctp(chunk)
    }
}

/// The state of a connection. `Display` writes the kernel's name, as in `/proc/net/ip_vs_conn`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "one for each protocol that is scheduled"
)]
pub enum ConnectionState {
    /// Of a TCP connection.
    Tcp(TcpState),
    /// UDP has one state.
    Udp,
    /// Of an SCTP association.
    Sctp(SctpState),
}

impl ConnectionState {
    /// Before the first packet.
    pub const fn initial(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => Self::Tcp(TcpState::None),
            Protocol::Udp => Self::Udp,
            Protocol::Sctp => Self::Sctp(SctpState::None),
        }
    }

    /// The state after a packet; `None` if that is of another protocol.
    #[must_use]
    pub fn after(self, column: Column, packet: Packet, settings: &Settings) -> Option<Self> {
        match (self, packet) {
            (Self::Tcp(state), Packet::Tcp(flags)) => {
                Some(Self::Tcp(state.after(column, flags, settings.secure_tcp)))
            }
            (Self::Udp, Packet::Udp) => Some(Self::Udp),
            (Self::Sctp(state), Packet::Sctp(chunk)) => {
                Some(Self::Sctp(state.after(column, chunk)))
            }
            _ => None,
        }
    }

    /// How long a connection in this state lives without another packet.
    pub const fn timeout(self, settings: &Settings) -> Duration {
        match self {
            Self::Tcp(state) => state.timeout(settings),
            Self::Udp => settings.udp_timeout,
            Self::Sctp(state) => state.timeout(),
        }
    }

    /// Whether a connection that comes to this state counts as active from then on.
    pub const fn is_active(self, rule: TcpActive) -> bool {
        match self {
            Self::Tcp(state) => state.is_active(rule),
            Self::Udp => false,
            Self::Sctp(state) => state.is_active(),
        }
    }

    /// Whether its coming to this state assures the template it was made through.
    pub(crate) const fn assures(self) -> bool {
        matches!(
            self,
            Self::Tcp(TcpState::Established) | Self::Sctp(SctpState::Established)
        )
    }
}

impl fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(state) => state.fmt(f),
            Self::Udp => f.pad("UDP"),
            Self::Sctp(state) => state.fmt(f),
        }
    }
}

/// What another director says of a connection, in a synchronisation message.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the message's fields that bear on accounting"
)]
pub struct Synced {
    /// The state there.
    pub state: ConnectionState,
    /// Whether it counts as active there: the message's word is taken as it is.
    pub is_active: bool,
    /// How long it may live here without packets or further messages.
    pub timeout: Duration,
}

/// A connection of a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    pub(crate) destination: DestinationId,
    pub(crate) state: ConnectionState,
    pub(crate) is_active: bool,
    /// Not masqueraded.
    pub(crate) is_one_way: bool,
    pub(crate) timeout: Duration,
    /// When the last packet came.
    pub(crate) seen: Timestamp,
    pub(crate) template: Option<Key>,
}

/// A change of the counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Activity {
    Unchanged,
    Begins,
    Ends,
}

impl Connection {
    /// When the timer fires.
    pub(crate) const fn due(&self) -> Timestamp {
        self.seen.saturating_add(self.timeout)
    }

    /// The column of the state table for what the client sends.
    pub(crate) const fn column_in(&self) -> Column {
        if self.is_one_way {
            Column::OneWay
        } else {
            Column::In
        }
    }

    /// The column of the state table; `None` for what the director drops, because the destination is
    /// not available, or does not take for a part of the connection.
    pub(crate) const fn column(&self, direction: Direction, is_available: bool) -> Option<Column> {
        match direction {
            Direction::In if is_available => Some(self.column_in()),
            Direction::Out if !self.is_one_way => Some(Column::Out),
            _ => None,
        }
    }

    /// A packet comes: state, activity and timeout follow. `None` if it is of another protocol.
    pub(crate) fn take(
        &mut self,
        packet: Packet,
        column: Column,
        settings: &Settings,
        rule: TcpActive,
    ) -> Option<Activity> {
        let state = self.state.after(column, packet, settings)?;
        self.timeout = state.timeout(settings);
        // Only a change of the state has the activity looked at.
        if state == self.state {
            return Some(Activity::Unchanged);
        }
        self.state = state;
        Some(self.set_active(state.is_active(rule)))
    }

    pub(crate) const fn set_active(&mut self, is_active: bool) -> Activity {
        match (
            core::mem::replace(&mut self.is_active, is_active),
            is_active,
        ) {
            (false, true) => Activity::Begins,
            (true, false) => Activity::Ends,
            _ => Activity::Unchanged,
        }
    }
}
