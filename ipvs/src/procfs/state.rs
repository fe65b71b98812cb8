//! States of connections.

use core::fmt;

use crate::name::Name;

/// The state of a connection, as the kernel names it.
///
/// The set is open: an unknown name is a value. `Display` writes the kernel's name.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ConnectionState {
    /// `NONE`: nothing seen yet; a template through which no connection was established yet.
    None,
    /// `ASSURED`: a template through which a connection was established (Linux 4.20 **(unsure)**
    /// and later), for UDP through which a datagram went.
    Assured,
    /// `ESTABLISHED`, TCP and SCTP.
    Established,
    /// `SYN_SENT`.
    SynSent,
    /// `SYN_RECV`.
    SynRecv,
    /// `FIN_WAIT`.
    FinWait,
    /// `TIME_WAIT`.
    TimeWait,
    /// `CLOSE`, of TCP.
    Close,
    /// `CLOSE_WAIT`.
    CloseWait,
    /// `LAST_ACK`.
    LastAck,
    /// `LISTEN`.
    Listen,
    /// `SYNACK`.
    SynAck,
    /// `UDP`: the only one of that protocol.
    Udp,
    /// `INIT1`, of SCTP, as all that follow: the client's INIT was seen, not through the table.
    Init1,
    /// `INIT`.
    Init,
    /// `C-SENT`: cookie sent.
    CookieSent,
    /// `C-REPLIED`: cookie replied.
    CookieReplied,
    /// `C-WAIT`: cookie awaited.
    CookieWait,
    /// `COOKIE`.
    Cookie,
    /// `C-ECHOED`: cookie echoed.
    CookieEchoed,
    /// `S-SENT`: shutdown sent.
    ShutdownSent,
    /// `S-RECEIVED`: shutdown received.
    ShutdownReceived,
    /// `S-ACK-SENT`: shutdown acknowledged.
    ShutdownAckSent,
    /// `REJECTED`.
    Rejected,
    /// `CLOSED`, of SCTP.
    Closed,
    /// Any other name, such as `ERR!` for what the kernel has no name for.
    Other(OtherState),
}

/// A state this crate has no variant for. Made by [`ConnectionState::from_name`] only, so that
/// it never stands for a known one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct OtherState(Name<16>);

impl OtherState {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.as_str()
    }
}

/// Each named state, once.
const NAMED: [(ConnectionState, &str); 25] = [
    (ConnectionState::None, "NONE"),
    (ConnectionState::Assured, "ASSURED"),
    (ConnectionState::Established, "ESTABLISHED"),
    (ConnectionState::SynSent, "SYN_SENT"),
    (ConnectionState::SynRecv, "SYN_RECV"),
    (ConnectionState::FinWait, "FIN_WAIT"),
    (ConnectionState::TimeWait, "TIME_WAIT"),
    (ConnectionState::Close, "CLOSE"),
    (ConnectionState::CloseWait, "CLOSE_WAIT"),
    (ConnectionState::LastAck, "LAST_ACK"),
    (ConnectionState::Listen, "LISTEN"),
    (ConnectionState::SynAck, "SYNACK"),
    (ConnectionState::Udp, "UDP"),
    (ConnectionState::Init1, "INIT1"),
    (ConnectionState::Init, "INIT"),
    (ConnectionState::CookieSent, "C-SENT"),
    (ConnectionState::CookieReplied, "C-REPLIED"),
    (ConnectionState::CookieWait, "C-WAIT"),
    (ConnectionState::Cookie, "COOKIE"),
    (ConnectionState::CookieEchoed, "C-ECHOED"),
    (ConnectionState::ShutdownSent, "S-SENT"),
    (ConnectionState::ShutdownReceived, "S-RECEIVED"),
    (ConnectionState::ShutdownAckSent, "S-ACK-SENT"),
    (ConnectionState::Rejected, "REJECTED"),
    (ConnectionState::Closed, "CLOSED"),
];

impl ConnectionState {
    /// The state of that name, 1 to 16 bytes; anything longer is `None`.
    ///
    /// ```
    /// use lvs_ipvs::procfs::ConnectionState;
    /// assert_eq!(ConnectionState::from_name("SYN_RECV"), Some(ConnectionState::SynRecv));
    /// assert_eq!(ConnectionState::from_name("ERR!").unwrap().to_string(), "ERR!");
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        NAMED
            .iter()
            .find(|(_, named)| *named == name)
            .map(|(state, _)| *state)
            .or_else(|| Name::new(name).map(OtherState).map(Self::Other))
    }

    /// The kernel's name.
    #[must_use]
    pub fn name(&self) -> &str {
        if let Self::Other(other) = self {
            return other.name();
        }
        NAMED
            .iter()
            .find(|(state, _)| state == self)
            .map_or("", |(_, name)| name)
    }

    /// Whether a connection in this state counts as active for its destination: established, or
    /// for TCP on the way there (since Linux 4.8). UDP never does.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(
            self,
            Self::Established | Self::SynSent | Self::SynRecv | Self::SynAck
        )
    }
}

impl fmt::Display for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_that_of_one_state() {
        for (state, name) in NAMED {
            assert_eq!(state.name(), name);
            assert_eq!(ConnectionState::from_name(name), Some(state));
        }
    }

    #[test]
    fn unknown_names_are_kept() {
        let state = ConnectionState::from_name("BUG!").unwrap();
        assert_eq!(state.name(), "BUG!");
        assert!(matches!(state, ConnectionState::Other(_)));
        assert_eq!(ConnectionState::from_name("seventeen-letters"), None);
        assert_eq!(ConnectionState::from_name(""), None);
    }
}
