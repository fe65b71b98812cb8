//! The states of a TCP connection as IPVS sees them pass by (scheduler specification, section 1.3).
//!
//! A director sees packets, not sockets: often those of one side only, and some it never sees. So its
//! states follow rules of their own, with a table for each [`Column`]. All cells, with and without
//! `secure_tcp`, are compared with running kernels by `examples/tests/kernel_states.rs`.

use core::fmt;
use core::ops::BitOr;
use core::time::Duration;

use crate::connection::Column;
use crate::semantics::TcpActive;
use crate::settings::Settings;

/// The state of a TCP connection.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the kernel's set, unchanged for decades"
)]
pub enum TcpState {
    /// `NONE`: no packet was seen.
    #[default]
    None,
    /// `ESTABLISHED`.
    Established,
    /// `SYN_SENT`: the server's SYN was seen.
    SynSent,
    /// `SYN_RECV`: the client's SYN was seen.
    SynRecv,
    /// `FIN_WAIT`: the server closed its side; of one-way connections, the client.
    FinWait,
    /// `TIME_WAIT`: both sides are closed.
    TimeWait,
    /// `CLOSE`: reset.
    Close,
    /// `CLOSE_WAIT`: the client closed its side.
    CloseWait,
    /// `LAST_ACK`; no packet leads here.
    LastAck,
    /// `LISTEN`; no packet leads here.
    Listen,
    /// `SYNACK`: the client's SYN was seen, or answered, under `secure_tcp`.
    SynAck,
}

/// Flags of a TCP segment; those that do not bear on the state are kept and mean nothing.
///
/// ```
/// use lvs_schedulers::TcpFlags;
///
/// let answer = TcpFlags::SYN | TcpFlags::ACK;
/// assert_eq!(answer.bits(), 0x12);
/// assert!(answer.contains(TcpFlags::ACK));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct TcpFlags(u8);

impl TcpFlags {
    /// No flag: a segment that no sound sender sends.
    pub const NONE: Self = Self(0);
    /// The sender has no more data.
    pub const FIN: Self = Self(0x01);
    /// Start of a connection.
    pub const SYN: Self = Self(0x02);
    /// End of a connection, without further words.
    pub const RST: Self = Self(0x04);
    /// The acknowledgement number counts.
    pub const ACK: Self = Self(0x10);
    /// The server's answer to a SYN.
    pub(crate) const SYN_ACK: Self = Self(0x12);
    /// The end of one side, as it is usually said.
    pub(crate) const FIN_ACK: Self = Self(0x11);

    /// The flags as they stand in the header's 14th byte.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// The flags as they stand in the header's 14th byte.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all of these flags are set.
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}

impl BitOr for TcpFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Short names for the table.
mod short {
    use super::TcpState;

    pub(super) const NO: TcpState = TcpState::None;
    pub(super) const ES: TcpState = TcpState::Established;
    pub(super) const SS: TcpState = TcpState::SynSent;
    pub(super) const SR: TcpState = TcpState::SynRecv;
    pub(super) const FW: TcpState = TcpState::FinWait;
    pub(super) const TW: TcpState = TcpState::TimeWait;
    pub(super) const CL: TcpState = TcpState::Close;
    pub(super) const CW: TcpState = TcpState::CloseWait;
    pub(super) const LA: TcpState = TcpState::LastAck;
    pub(super) const LI: TcpState = TcpState::Listen;
    pub(super) const SA: TcpState = TcpState::SynAck;
}

use short::*;

/// By state as numbered by the kernel: syn, fin, ack, rst of each column.
#[rustfmt::skip]
const TABLE: [[[TcpState; 4]; 3]; 11] = [
    //    in                out               one-way
    /*NO*/[[SR, CL, ES, CL], [SS, TW, ES, CL], [SR, CL, ES, CL]],
    /*ES*/[[ES, CW, ES, CL], [ES, FW, ES, CL], [ES, FW, ES, CL]],
    /*SS*/[[ES, SS, SS, CL], [SS, SS, SS, SS], [ES, SS, SS, CL]],
    /*SR*/[[SR, TW, ES, SR], [SR, TW, ES, CL], [SR, TW, ES, SR]],
    /*FW*/[[SR, TW, FW, CL], [SS, FW, FW, CL], [SR, FW, FW, CL]],
    /*TW*/[[SR, TW, TW, CL], [SS, TW, TW, TW], [SR, TW, TW, CL]],
    /*CL*/[[SR, CL, CL, CL], [SS, CL, CL, CL], [SR, CL, CL, CL]],
    /*CW*/[[SR, CW, CW, CL], [SS, TW, CW, CL], [SR, CW, CW, CL]],
    /*LA*/[[SR, LA, CL, LA], [SS, LA, LA, CL], [SR, LA, CL, LA]],
    /*LI*/[[SR, LI, LI, LI], [LI, LI, ES, CL], [SR, LI, LI, LI]],
    /*SA*/[[SR, TW, ES, SR], [SR, TW, ES, CL], [SR, TW, ES, CL]],
];

/// Each state with its number in the kernel's messages, in order, and its name.
const NAMED: [(TcpState, &str); 11] = [
    (NO, "NONE"),
    (ES, "ESTABLISHED"),
    (SS, "SYN_SENT"),
    (SR, "SYN_RECV"),
    (FW, "FIN_WAIT"),
    (TW, "TIME_WAIT"),
    (CL, "CLOSE"),
    (CW, "CLOSE_WAIT"),
    (LA, "LAST_ACK"),
    (LI, "LISTEN"),
    (SA, "SYNACK"),
];

/// The flag that counts: the first of these that is set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Event {
    Rst,
    Syn,
    Fin,
    Ack,
}

impl Event {
    const fn of(flags: TcpFlags) -> Option<Self> {
        if flags.contains(TcpFlags::RST) {
            Some(Self::Rst)
        } else if flags.contains(TcpFlags::SYN) {
            Some(Self::Syn)
        } else if flags.contains(TcpFlags::FIN) {
            Some(Self::Fin)
        } else if flags.contains(TcpFlags::ACK) {
            Some(Self::Ack)
        } else {
            None
        }
    }
}

impl TcpState {
    /// All states, in the order of their numbers.
    pub const ALL: [Self; 11] = [NO, ES, SS, SR, FW, TW, CL, CW, LA, LI, SA];

    /// The state after a segment with these flags: the first of RST, SYN, FIN and ACK decides; none
    /// of them leads to `CLOSE`.
    ///
    /// ```
    /// use lvs_schedulers::{Column, TcpFlags, TcpState};
    ///
    /// let state = TcpState::None.after(Column::In, TcpFlags::SYN, false);
    /// assert_eq!(state, TcpState::SynRecv);
    /// let state = state.after(Column::Out, TcpFlags::SYN | TcpFlags::ACK, false);
    /// assert_eq!(state, TcpState::SynRecv);
    /// assert_eq!(state.after(Column::In, TcpFlags::ACK, false), TcpState::Established);
    /// ```
    pub fn after(self, column: Column, flags: TcpFlags, secure: bool) -> Self {
        let Some(event) = Event::of(flags) else {
            return CL;
        };
        let exception = self.after_secure(column, event).filter(|_| secure);
        if let Some(state) = exception {
            return state;
        }
        let [within, out, one_way] = TABLE.get(self.number()).copied().unwrap_or_default();
        let [syn, fin, ack, rst] = match column {
            Column::In => within,
            Column::Out => out,
            Column::OneWay => one_way,
        };
        match event {
            Event::Syn => syn,
            Event::Fin => fin,
            Event::Ack => ack,
            Event::Rst => rst,
        }
    }

    /// Where `secure_tcp` differs: what the client alone sends does not establish a connection.
    const fn after_secure(self, column: Column, event: Event) -> Option<Self> {
        match (column, event, self) {
            (Column::In, Event::Syn | Event::Fin | Event::Ack, SA)
            | (Column::Out, Event::Syn, SR | SA)
            | (Column::OneWay, Event::Syn, NO | FW | TW | CL | CW | LA | LI | SA) => Some(SA),
            (Column::In, Event::Ack, SR) => Some(SR),
            (Column::In, Event::Rst, SA) => Some(CL),
            _ => None,
        }
    }

    /// How long a connection in this state lives without another packet.
    pub const fn timeout(self, settings: &Settings) -> Duration {
        Duration::from_secs(match self {
            Self::Established => return settings.tcp_timeout,
            Self::FinWait => return settings.tcp_fin_timeout,
            Self::None => 2,
            Self::Close => 10,
            Self::LastAck => 30,
            Self::SynRecv | Self::CloseWait => 60,
            Self::SynSent | Self::TimeWait | Self::Listen | Self::SynAck => 120,
        })
    }

    /// Whether a connection in this state counts as active.
    pub const fn is_active(self, rule: TcpActive) -> bool {
        match self {
            Self::Established => true,
            Self::SynSent | Self::SynRecv | Self::SynAck => matches!(rule, TcpActive::FromSyn),
            _ => false,
        }
    }

    /// Its number in synchronisation messages: 0 to 10.
    pub const fn number(self) -> usize {
        self as usize
    }

    /// The kernel's name, as in `/proc/net/ip_vs_conn`.
    pub fn name(self) -> &'static str {
        NAMED.get(self.number()).map_or("", |(_, name)| name)
    }
}

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    /// The table of the specification, section 1.3, as it stands there; `.` = stay.
    const DEFAULT: &str = "
| NONE NO | SR | CL | ES | CL | SS | TW | ES | CL | SR | CL | ES | CL |
| ESTABLISHED ES | . | CW | . | CL | . | FW | . | CL | . | FW | . | CL |
| SYN_SENT SS | ES | . | . | CL | . | . | . | . | ES | . | . | CL |
| SYN_RECV SR | . | TW | ES | . | . | TW | ES | CL | . | TW | ES | . |
| FIN_WAIT FW | SR | TW | . | CL | SS | . | . | CL | SR | . | . | CL |
| TIME_WAIT TW | SR | . | . | CL | SS | . | . | . | SR | . | . | CL |
| CLOSE CL | SR | . | . | . | SS | . | . | . | SR | . | . | . |
| CLOSE_WAIT CW | SR | . | . | CL | SS | TW | . | CL | SR | . | . | CL |
| LAST_ACK LA | SR | . | CL | . | SS | . | . | CL | SR | . | CL | . |
| LISTEN LI | SR | . | . | . | . | . | ES | CL | SR | . | . | . |
| SYNACK SA | SR | TW | ES | SR | SR | TW | ES | CL | SR | TW | ES | CL |
";

    /// Cells that differ with secure_tcp: column, event, from, to.
    const SECURE: &str = "
IN syn SA SA
IN fin SA SA
IN ack SR SR
IN ack SA SA
IN rst SA CL
OUT syn SR SA
OUT syn SA SA
ONE-WAY syn NO SA
ONE-WAY syn FW SA
ONE-WAY syn TW SA
ONE-WAY syn CL SA
ONE-WAY syn CW SA
ONE-WAY syn LA SA
ONE-WAY syn LI SA
ONE-WAY syn SA SA
";

    const COLUMNS: [(&str, Column); 3] = [
        ("IN", Column::In),
        ("OUT", Column::Out),
        ("ONE-WAY", Column::OneWay),
    ];
    const EVENTS: [(&str, TcpFlags); 4] = [
        ("syn", TcpFlags::SYN),
        ("fin", TcpFlags::FIN),
        ("ack", TcpFlags::ACK),
        ("rst", TcpFlags::RST),
    ];

    fn short(text: &str) -> TcpState {
        let names = [
            "NO", "ES", "SS", "SR", "FW", "TW", "CL", "CW", "LA", "LI", "SA",
        ];
        TcpState::ALL[names.iter().position(|name| *name == text).unwrap()]
    }

    #[test]
    fn every_cell_is_that_of_the_specification() {
        let mut cells = 0;
        for line in DEFAULT.trim().lines() {
            let mut words = line.split('|').map(str::trim).skip(1);
            let (name, from) = words.next().unwrap().split_once(' ').unwrap();
            let from = short(from);
            assert_eq!(from.to_string(), name);
            for (column_name, column) in COLUMNS {
                for (event_name, flags) in EVENTS {
                    let to = words.next().unwrap();
                    let to = if to == "." { from } else { short(to) };
                    assert_eq!(
                        from.after(column, flags, false),
                        to,
                        "{line} {column_name} {event_name}"
                    );
                    let exception = SECURE.trim().lines().find_map(|line| {
                        let words: std::vec::Vec<_> = line.split(' ').collect();
                        (words[0] == column_name
                            && words[1] == event_name
                            && short(words[2]) == from)
                            .then(|| short(words[3]))
                    });
                    assert_eq!(
                        from.after(column, flags, true),
                        exception.unwrap_or(to),
                        "{line} {column_name} {event_name}, secure"
                    );
                    cells += 2;
                }
            }
        }
        assert_eq!(cells, 11 * 12 * 2);
    }

    #[test]
    fn first_of_rst_syn_fin_ack_decides_and_none_of_them_closes() {
        for state in TcpState::ALL {
            for column in Column::ALL {
                for bits in 0..=u8::MAX {
                    let flags = TcpFlags::from_bits(bits);
                    let order = [TcpFlags::RST, TcpFlags::SYN, TcpFlags::FIN, TcpFlags::ACK];
                    let expected = order.into_iter().find(|flag| flags.contains(*flag));
                    for secure in [false, true] {
                        assert_eq!(
                            state.after(column, flags, secure),
                            expected.map_or(CL, |flag| state.after(column, flag, secure))
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn timeouts_are_the_kernels_and_three_are_configurable() {
        let defaults = TcpState::ALL.map(|state| state.timeout(&Settings::DEFAULT).as_secs());
        assert_eq!(defaults, [2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120]);
        let settings = Settings {
            tcp_timeout: Duration::from_secs(1),
            tcp_fin_timeout: Duration::from_secs(3),
            ..Settings::DEFAULT
        };
        let changed = TcpState::ALL.map(|state| state.timeout(&settings).as_secs());
        assert_eq!(changed, [2, 1, 120, 60, 3, 120, 10, 60, 30, 120, 120]);
    }

    #[test]
    fn active_states_differ_by_generation() {
        let active = |rule| {
            TcpState::ALL
                .into_iter()
                .filter(move |state| state.is_active(rule))
                .collect::<std::vec::Vec<_>>()
        };
        assert_eq!(active(TcpActive::FromSyn), [ES, SS, SR, SA]);
        assert_eq!(active(TcpActive::Established), [ES]);
    }

    #[test]
    fn numbers_follow_the_order_of_names() {
        for (number, (state, name)) in NAMED.into_iter().enumerate() {
            assert_eq!((state.number(), state.name()), (number, name));
            assert_eq!(TcpState::ALL[number], state);
        }
    }
}
