//! The states of an SCTP association as IPVS sees them pass by.
//!
//! The table was read off running kernels (6.1.176 and 7.2.7, which agree): each state was set up on
//! a director, each type of chunk sent through it in each direction, and the state read again.
//! `examples/tests/kernel_states.rs` does so for every cell.

use core::fmt;
use core::time::Duration;

use crate::connection::Column;

/// The state of an SCTP association.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "the kernel's set")]
pub enum SctpState {
    /// `NONE`: no packet was seen.
    #[default]
    None,
    /// `INIT1`: the client's INIT was seen.
    Init1,
    /// `INIT`: the client's INIT was seen again.
    Init,
    /// `C-SENT`: the server answered INIT, with its cookie.
    CookieSent,
    /// `C-REPLIED`: the client sent the cookie back.
    CookieReplied,
    /// `C-WAIT`: the server sent an INIT of its own.
    CookieWait,
    /// `COOKIE`: the client answered the server's INIT.
    Cookie,
    /// `C-ECHOED`: the server sent the client's cookie back.
    CookieEchoed,
    /// `ESTABLISHED`.
    Established,
    /// `S-SENT`: the server is closing.
    ShutdownSent,
    /// `S-RECEIVED`: the client is closing.
    ShutdownReceived,
    /// `S-ACK-SENT`: the server agreed to close.
    ShutdownAckSent,
    /// `REJECTED`: an INIT was answered by ABORT.
    Rejected,
    /// `CLOSED`.
    Closed,
}

/// A chunk, by what its type means for the state.
///
/// ```
/// use lvs_schedulers::SctpChunk;
///
/// assert_eq!(SctpChunk::from(1), SctpChunk::Init);
/// assert_eq!(u8::from(SctpChunk::Other(4)), 4);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "others do not bear on the state")]
pub enum SctpChunk {
    /// 1, INIT: asks for an association.
    Init,
    /// 2, INIT ACK: answers it, with a cookie.
    InitAck,
    /// 6, ABORT: ends the association at once.
    Abort,
    /// 7, SHUTDOWN: asks to close it.
    Shutdown,
    /// 8, SHUTDOWN ACK: agrees.
    ShutdownAck,
    /// 9, ERROR.
    Error,
    /// 10, COOKIE ECHO: the cookie sent back.
    CookieEcho,
    /// 11, COOKIE ACK: accepts it.
    CookieAck,
    /// 14, SHUTDOWN COMPLETE: the association is closed.
    ShutdownComplete,
    /// Any other type, DATA (0) among them: all of them mean the same.
    Other(u8),
}

impl SctpChunk {
    /// DATA, the first type of [`Other`](Self::Other).
    pub const DATA: Self = Self::Other(0);

    /// The chunk of a packet that decides, given all of them: the first, unless it is COOKIE ECHO or
    /// COOKIE ACK with an ABORT right behind it. `None` if there is none.
    pub fn deciding(chunks: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut chunks = chunks.into_iter();
        let first = chunks.next()?;
        if matches!(first, Self::CookieEcho | Self::CookieAck) && chunks.next() == Some(Self::Abort)
        {
            return Some(Self::Abort);
        }
        Some(first)
    }
}

impl From<u8> for SctpChunk {
    fn from(kind: u8) -> Self {
        match kind {
            1 => Self::Init,
            2 => Self::InitAck,
            6 => Self::Abort,
            7 => Self::Shutdown,
            8 => Self::ShutdownAck,
            9 => Self::Error,
            10 => Self::CookieEcho,
            11 => Self::CookieAck,
            14 => Self::ShutdownComplete,
            other => Self::Other(other),
        }
    }
}

impl From<SctpChunk> for u8 {
    fn from(chunk: SctpChunk) -> Self {
        match chunk {
            SctpChunk::Init => 1,
            SctpChunk::InitAck => 2,
            SctpChunk::Abort => 6,
            SctpChunk::Shutdown => 7,
            SctpChunk::ShutdownAck => 8,
            SctpChunk::Error => 9,
            SctpChunk::CookieEcho => 10,
            SctpChunk::CookieAck => 11,
            SctpChunk::ShutdownComplete => 14,
            SctpChunk::Other(kind) => kind,
        }
    }
}

/// Short names for the table.
mod short {
    use super::SctpState;

    pub(super) const NO: SctpState = SctpState::None;
    pub(super) const I1: SctpState = SctpState::Init1;
    pub(super) const IN: SctpState = SctpState::Init;
    pub(super) const CS: SctpState = SctpState::CookieSent;
    pub(super) const CR: SctpState = SctpState::CookieReplied;
    pub(super) const CW: SctpState = SctpState::CookieWait;
    pub(super) const CO: SctpState = SctpState::Cookie;
    pub(super) const CE: SctpState = SctpState::CookieEchoed;
    pub(super) const ES: SctpState = SctpState::Established;
    pub(super) const SS: SctpState = SctpState::ShutdownSent;
    pub(super) const SR: SctpState = SctpState::ShutdownReceived;
    pub(super) const SA: SctpState = SctpState::ShutdownAckSent;
    pub(super) const RJ: SctpState = SctpState::Rejected;
    pub(super) const CL: SctpState = SctpState::Closed;
}

use short::*;

/// By column and state as numbered by the kernel, after: any other chunk, INIT, INIT ACK, ABORT,
/// SHUTDOWN, SHUTDOWN ACK, ERROR, COOKIE ECHO, COOKIE ACK, SHUTDOWN COMPLETE.
#[rustfmt::skip]
const TABLE: [[[SctpState; 10]; 14]; 3] = [
    // From the client.
    [
    /*NO*/ [ES, I1, CW, CL, SR, CL, CL, CR, ES, CL],
    /*I1*/ [I1, IN, CW, CL, I1, IN, I1, IN, I1, CL],
    /*IN*/ [IN, IN, CW, CL, IN, IN, IN, IN, IN, CL],
    /*CS*/ [CS, CS, CS, CL, CS, CS, CS, CR, CS, CS],
    /*CR*/ [CR, CR, CR, CL, CR, CR, CR, CR, CR, CR],
    /*CW*/ [CW, CW, CO, RJ, CW, CW, CW, CW, CW, CW],
    /*CO*/ [CO, CO, CO, CL, CO, CO, CO, CO, CO, CO],
    /*CE*/ [CE, CE, CE, CL, CE, CE, CL, CE, ES, CE],
    /*ES*/ [ES, ES, ES, CL, SR, ES, ES, ES, ES, ES],
    /*SS*/ [SS, SS, SS, CL, SS, CL, SS, SS, SS, SS],
    /*SR*/ [SR, SR, SR, CL, SR, SR, SR, SR, SR, SR],
    /*SA*/ [SA, SA, SA, CL, SA, CL, SA, SA, SA, CL],
    /*RJ*/ [RJ, IN, RJ, CL, RJ, RJ, RJ, RJ, RJ, RJ],
    /*CL*/ [CL, IN, CL, CL, CL, CL, CL, CL, CL, CL],
    ],
    // From the server.
    [
    /*NO*/ [ES, CW, CS, CL, SS, SA, CL, CE, ES, CL],
    /*I1*/ [I1, CW, CS, RJ, SS, SA, CL, CE, ES, I1],
    /*IN*/ [IN, CW, CS, CL, SS, SA, CL, CE, ES, IN],
    /*CS*/ [CS, CW, CS, CL, SS, SA, CL, CE, ES, CS],
    /*CR*/ [CR, CW, CR, CL, SS, SA, CL, CE, ES, CR],
    /*CW*/ [CW, CW, CW, CL, SS, CW, CW, CE, ES, CW],
    /*CO*/ [CO, CW, CO, CL, SS, CO, CO, CE, ES, CO],
    /*CE*/ [CE, CW, CE, CL, SS, CE, CE, CE, ES, CE],
    /*ES*/ [ES, ES, ES, CL, SS, ES, ES, ES, ES, ES],
    /*SS*/ [SS, CW, SS, CL, SS, SA, SS, SS, SS, SS],
    /*SR*/ [SR, CW, SR, CL, SR, SA, SR, SR, SR, SR],
    /*SA*/ [SA, CW, SA, CL, SA, SA, SA, SA, SA, SA],
    /*RJ*/ [RJ, CW, RJ, CL, RJ, RJ, RJ, RJ, RJ, RJ],
    /*CL*/ [CL, CW, CL, CL, CL, CL, CL, CL, CL, CL],
    ],
    // From the client, one-way.
    [
    /*NO*/ [ES, I1, CE, CL, SR, CL, CL, ES, ES, CL],
    /*I1*/ [I1, IN, CE, CL, I1, IN, I1, ES, I1, CL],
    /*IN*/ [IN, IN, CE, CL, IN, IN, IN, ES, IN, CL],
    /*CS*/ [CS, IN, CE, CL, CS, CS, CS, ES, ES, CL],
    /*CR*/ [CR, IN, CE, CL, CR, CR, CR, ES, ES, CL],
    /*CW*/ [ES, IN, CE, RJ, CW, CW, CW, ES, CW, CW],
    /*CO*/ [CO, CO, CO, CL, CO, CO, CO, CO, ES, CO],
    /*CE*/ [CE, CE, CE, CL, CE, CE, CE, CE, ES, CE],
    /*ES*/ [ES, ES, ES, CL, SR, CL, ES, ES, ES, ES],
    /*SS*/ [SS, SS, SS, CL, SS, CL, SS, SS, SS, SS],
    /*SR*/ [SR, SR, SR, CL, SR, SR, SR, SR, SR, CL],
    /*SA*/ [SA, SA, SA, CL, SA, CL, SA, SA, SA, CL],
    /*RJ*/ [RJ, IN, RJ, CL, RJ, RJ, RJ, RJ, RJ, RJ],
    /*CL*/ [CL, IN, CL, CL, CL, CL, CL, CL, CL, CL],
    ],
];

/// Each state by its number in the kernel's messages, and its name.
const NAMED: [(SctpState, &str); 14] = [
    (NO, "NONE"),
    (I1, "INIT1"),
    (IN, "INIT"),
    (CS, "C-SENT"),
    (CR, "C-REPLIED"),
    (CW, "C-WAIT"),
    (CO, "COOKIE"),
    (CE, "C-ECHOED"),
    (ES, "ESTABLISHED"),
    (SS, "S-SENT"),
    (SR, "S-RECEIVED"),
    (SA, "S-ACK-SENT"),
    (RJ, "REJECTED"),
    (CL, "CLOSED"),
];

impl SctpState {
    /// All states, in the order of their numbers.
    pub const ALL: [Self; 14] = [NO, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL];

    /// The state after a packet whose [deciding](SctpChunk::deciding) chunk is this.
    ///
    /// ```
    /// use lvs_schedulers::{Column, SctpChunk, SctpState};
    ///
    /// let state = SctpState::None.after(Column::In, SctpChunk::Init);
    /// let state = state.after(Column::Out, SctpChunk::InitAck);
    /// let state = state.after(Column::In, SctpChunk::CookieEcho);
    /// assert_eq!(state.after(Column::Out, SctpChunk::CookieAck), SctpState::Established);
    /// ```
    #[must_use]
    pub fn after(self, column: Column, chunk: SctpChunk) -> Self {
        let [within, out, one_way] = &TABLE;
        let states = match column {
            Column::In => within,
            Column::Out => out,
            Column::OneWay => one_way,
        };
        let row = states.get(self.number()).copied().unwrap_or_default();
        let [
            other,
            init,
            init_ack,
            abort,
            shutdown,
            shutdown_ack,
            error,
            cookie_echo,
            cookie_ack,
            shutdown_complete,
        ] = row;
        match chunk {
            SctpChunk::Other(_) => other,
            SctpChunk::Init => init,
            SctpChunk::InitAck => init_ack,
            SctpChunk::Abort => abort,
            SctpChunk::Shutdown => shutdown,
            SctpChunk::ShutdownAck => shutdown_ack,
            SctpChunk::Error => error,
            SctpChunk::CookieEcho => cookie_echo,
            SctpChunk::CookieAck => cookie_ack,
            SctpChunk::ShutdownComplete => shutdown_complete,
        }
    }

    /// How long an association in this state lives without another packet; not configurable.
    pub const fn timeout(self) -> Duration {
        Duration::from_secs(match self {
            Self::None => 2,
            Self::Init1 | Self::Rejected => 4,
            Self::Established => 900,
            _ => 61,
        })
    }

    /// Whether an association in this state counts as active: established alone does.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Established)
    }

    /// Its number in synchronisation messages: 0 to 13.
    pub const fn number(self) -> usize {
        self as usize
    }

    /// The kernel's name, as in `/proc/net/ip_vs_conn`.
    pub fn name(self) -> &'static str {
        NAMED.get(self.number()).map_or("", |(_, name)| name)
    }
}

impl fmt::Display for SctpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    /// Read off a kernel.
    const OBSERVED: &str = include_str!("../tests/data/sctp-states-6.1.176.txt");

    const CHUNKS: [u8; 10] = [0, 1, 2, 6, 7, 8, 9, 10, 11, 14];

    fn named(name: &str) -> SctpState {
        NAMED.into_iter().find(|named| named.1 == name).unwrap().0
    }

    #[test]
    fn every_cell_is_what_a_kernel_showed() {
        let mut cells = 0;
        let mut column = None;
        for line in OBSERVED.lines().filter(|line| !line.starts_with('#')) {
            match line {
                "" => continue,
                "[client]" => column = Some(Column::In),
                "[server]" => column = Some(Column::Out),
                "[one-way]" => column = Some(Column::OneWay),
                _ => {
                    let mut words = line.split(' ').map(named);
                    let from = words.next().unwrap();
                    let after = |chunk: u8| from.after(column.unwrap(), chunk.into());
                    for (chunk, to) in CHUNKS.into_iter().zip(words.by_ref()) {
                        assert_eq!(after(chunk), to, "{column:?} {line} {chunk}");
                        cells += 1;
                    }
                    assert_eq!(words.next(), None);
                    for other in (0..=u8::MAX).filter(|kind| !CHUNKS.contains(kind)) {
                        assert_eq!(after(other), after(0), "{column:?} {line} {other}");
                    }
                }
            }
        }
        assert_eq!(cells, 3 * 14 * 10);
    }

    #[test]
    fn abort_behind_a_cookie_decides() {
        let deciding = |kinds: &[u8]| {
            SctpChunk::deciding(kinds.iter().copied().map(SctpChunk::from)).map(u8::from)
        };
        for (kinds, expected) in [
            (&[10, 6][..], Some(6)),
            (&[11, 6], Some(6)),
            (&[10, 0, 6], Some(10)),
            (&[0, 6], Some(0)),
            (&[1, 6], Some(1)),
            (&[14, 6], Some(14)),
            (&[10, 14], Some(10)),
            (&[10], Some(10)),
            (&[], None),
        ] {
            assert_eq!(deciding(kinds), expected, "{kinds:?}");
        }
    }

    #[test]
    fn timeouts_and_activity() {
        let timeouts = SctpState::ALL.map(|state| state.timeout().as_secs());
        assert_eq!(
            timeouts,
            [2, 4, 61, 61, 61, 61, 61, 61, 900, 61, 61, 61, 4, 61]
        );
        let active = SctpState::ALL.map(SctpState::is_active);
        assert_eq!(active.iter().filter(|active| **active).count(), 1);
        assert!(SctpState::Established.is_active());
    }

    #[test]
    fn types_and_numbers_round_trip() {
        for kind in 0..=u8::MAX {
            assert_eq!(u8::from(SctpChunk::from(kind)), kind);
        }
        for (number, (state, name)) in NAMED.into_iter().enumerate() {
            assert_eq!((state.number(), state.name()), (number, name));
            assert_eq!(SctpState::ALL[number], state);
        }
    }
}
