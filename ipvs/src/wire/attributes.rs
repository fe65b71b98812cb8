//! Numbers of the protocol: commands and attributes of `linux/ip_vs.h`, `linux/genetlink.h` and
//! `linux/netlink.h`, with the names that errors use.

use core::fmt;

/// Commands of the `IPVS` family (`IPVS_CMD_*`).
pub mod command {
    /// Adds a service; also the command of service replies.
    pub const NEW_SERVICE: u8 = 1;
    /// Replaces the settings of a service.
    pub const SET_SERVICE: u8 = 2;
    /// Removes a service.
    pub const DEL_SERVICE: u8 = 3;
    /// Reads one service or dumps all.
    pub const GET_SERVICE: u8 = 4;
    /// Adds a destination; also the command of destination replies.
    pub const NEW_DEST: u8 = 5;
    /// Replaces the settings of a destination.
    pub const SET_DEST: u8 = 6;
    /// Removes a destination.
    pub const DEL_DEST: u8 = 7;
    /// Dumps the destinations of a service.
    pub const GET_DEST: u8 = 8;
    /// Starts a sync daemon; also the command of daemon replies.
    pub const NEW_DAEMON: u8 = 9;
    /// Stops a sync daemon.
    pub const DEL_DAEMON: u8 = 10;
    /// Dumps the running sync daemons.
    pub const GET_DAEMON: u8 = 11;
    /// Sets timeouts; also the command of timeout replies.
    pub const SET_CONFIG: u8 = 12;
    /// Reads timeouts.
    pub const GET_CONFIG: u8 = 13;
    /// The command of information replies; no request.
    pub const SET_INFO: u8 = 14;
    /// Reads version and table size.
    pub const GET_INFO: u8 = 15;
    /// Zeroes counters.
    pub const ZERO: u8 = 16;
    /// Removes every service.
    pub const FLUSH: u8 = 17;
}

/// Attributes at the top level of a request or reply (`IPVS_CMD_ATTR_*`).
pub mod top {
    /// Nest: see [`super::service`].
    pub const SERVICE: u16 = 1;
    /// Nest: see [`super::destination`].
    pub const DEST: u16 = 2;
    /// Nest: see [`super::daemon`].
    pub const DAEMON: u16 = 3;
    /// `u32`, seconds.
    pub const TIMEOUT_TCP: u16 = 4;
    /// `u32`, seconds.
    pub const TIMEOUT_TCP_FIN: u16 = 5;
    /// `u32`, seconds.
    pub const TIMEOUT_UDP: u16 = 6;
}

/// Attributes of a service (`IPVS_SVC_ATTR_*`).
pub mod service {
    /// `u16`.
    pub const AF: u16 = 1;
    /// `u16`.
    pub const PROTOCOL: u16 = 2;
    /// Up to 16 bytes, network order.
    pub const ADDR: u16 = 3;
    /// `u16`, network order.
    pub const PORT: u16 = 4;
    /// `u32`.
    pub const FWMARK: u16 = 5;
    /// Text with a NUL, at most 15 characters.
    pub const SCHED_NAME: u16 = 6;
    /// Flags and mask, `u32` each.
    pub const FLAGS: u16 = 7;
    /// `u32`, seconds.
    pub const TIMEOUT: u16 = 8;
    /// IPv4 netmask, or IPv6 prefix length as `u32`.
    pub const NETMASK: u16 = 9;
    /// Nest: see [`super::stats`].
    pub const STATS: u16 = 10;
    /// Text with a NUL, at most 16 characters.
    pub const PE_NAME: u16 = 11;
    /// Nest: see [`super::stats`].
    pub const STATS64: u16 = 12;
}

/// Attributes of a destination (`IPVS_DEST_ATTR_*`).
pub mod destination {
    /// Up to 16 bytes, network order.
    pub const ADDR: u16 = 1;
    /// `u16`, network order.
    pub const PORT: u16 = 2;
    /// `u32`, low three bits.
    pub const FWD_METHOD: u16 = 3;
    /// `u32`, read as signed.
    pub const WEIGHT: u16 = 4;
    /// `u32`.
    pub const U_THRESH: u16 = 5;
    /// `u32`.
    pub const L_THRESH: u16 = 6;
    /// `u32`.
    pub const ACTIVE_CONNS: u16 = 7;
    /// `u32`.
    pub const INACT_CONNS: u16 = 8;
    /// `u32`.
    pub const PERSIST_CONNS: u16 = 9;
    /// Nest: see [`super::stats`].
    pub const STATS: u16 = 10;
    /// `u16`.
    pub const ADDR_FAMILY: u16 = 11;
    /// Nest: see [`super::stats`].
    pub const STATS64: u16 = 12;
    /// `u8`.
    pub const TUN_TYPE: u16 = 13;
    /// `u16`, network order.
    pub const TUN_PORT: u16 = 14;
    /// `u16`.
    pub const TUN_FLAGS: u16 = 15;
}

/// Attributes of a sync daemon (`IPVS_DAEMON_ATTR_*`).
pub mod daemon {
    /// `u32`.
    pub const STATE: u16 = 1;
    /// Text with a NUL, at most 15 characters.
    pub const MCAST_IFN: u16 = 2;
    /// `u32`.
    pub const SYNC_ID: u16 = 3;
    /// `u16`.
    pub const SYNC_MAXLEN: u16 = 4;
    /// 4 bytes, network order.
    pub const MCAST_GROUP: u16 = 5;
    /// 16 bytes.
    pub const MCAST_GROUP6: u16 = 6;
    /// `u16`, host order unlike every other port.
    pub const MCAST_PORT: u16 = 7;
    /// `u8`.
    pub const MCAST_TTL: u16 = 8;
}

/// Attributes of both statistics nests (`IPVS_STATS_ATTR_*`).
pub mod stats {
    /// Connections scheduled.
    pub const CONNS: u16 = 1;
    /// Packets from clients.
    pub const INPKTS: u16 = 2;
    /// Packets from servers.
    pub const OUTPKTS: u16 = 3;
    /// Bytes from clients.
    pub const INBYTES: u16 = 4;
    /// Bytes from servers.
    pub const OUTBYTES: u16 = 5;
    /// Connections per second.
    pub const CPS: u16 = 6;
    /// Packets from clients per second.
    pub const INPPS: u16 = 7;
    /// Packets from servers per second.
    pub const OUTPPS: u16 = 8;
    /// Bytes from clients per second.
    pub const INBPS: u16 = 9;
    /// Bytes from servers per second.
    pub const OUTBPS: u16 = 10;
    /// Empty; alignment only.
    pub const PAD: u16 = 11;
}

/// Top-level attributes of the information reply (`IPVS_INFO_ATTR_*`).
pub mod info {
    /// `u32`.
    pub const VERSION: u16 = 1;
    /// `u32`.
    pub const CONN_TAB_SIZE: u16 = 2;
}

/// The family that resolves names of families.
pub mod control {
    /// Message type of the `nlctrl` family (`GENL_ID_CTRL`).
    pub const FAMILY: u16 = 16;
    /// Describes a family; the command of replies.
    pub const CMD_NEWFAMILY: u8 = 1;
    /// Asks for a family by name.
    pub const CMD_GETFAMILY: u8 = 3;
    /// `u16`.
    pub const FAMILY_ID: u16 = 1;
    /// Text with a NUL.
    pub const FAMILY_NAME: u16 = 2;
    /// `u32`.
    pub const VERSION: u16 = 3;
    /// `u32`.
    pub const HDRSIZE: u16 = 4;
    /// `u32`.
    pub const MAXATTR: u16 = 5;
}

/// Attributes of an extended acknowledgement (`NLMSGERR_ATTR_*`).
pub mod ext_ack {
    /// Text with a NUL.
    pub const MSG: u16 = 1;
    /// `u32`, offset of the attribute at fault within the request.
    pub const OFFS: u16 = 2;
}

/// The place of an attribute: which nest it belongs to.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Nest {
    /// Top level of a message of the `IPVS` family.
    Top,
    /// `SERVICE`.
    Service,
    /// `DEST`.
    Destination,
    /// `DAEMON`.
    Daemon,
    /// `STATS`, 32-bit counters.
    Stats,
    /// `STATS64`.
    Stats64,
    /// Top level of the information reply.
    Info,
    /// Top level of a message of the `nlctrl` family.
    Control,
    /// Behind a netlink error.
    ExtAck,
}

/// An attribute by place and number; `Display` writes its name in `linux/ip_vs.h`, without the
/// common prefix.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct AttributeId {
    pub(crate) nest: Nest,
    pub(crate) number: u16,
}

impl AttributeId {
    /// Where the attribute stands.
    #[must_use]
    pub const fn nest(self) -> Nest {
        self.nest
    }

    /// Its number within the nest.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.number
    }

    const fn name(self) -> Option<&'static str> {
        const SERVICE: [&str; 12] = [
            "AF",
            "PROTOCOL",
            "ADDR",
            "PORT",
            "FWMARK",
            "SCHED_NAME",
            "FLAGS",
            "TIMEOUT",
            "NETMASK",
            "STATS",
            "PE_NAME",
            "STATS64",
        ];
        const DESTINATION: [&str; 15] = [
            "ADDR",
            "PORT",
            "FWD_METHOD",
            "WEIGHT",
            "U_THRESH",
            "L_THRESH",
            "ACTIVE_CONNS",
            "INACT_CONNS",
            "PERSIST_CONNS",
            "STATS",
            "ADDR_FAMILY",
            "STATS64",
            "TUN_TYPE",
            "TUN_PORT",
            "TUN_FLAGS",
        ];
        const TOP: [&str; 6] = [
            "SERVICE",
            "DEST",
            "DAEMON",
            "TIMEOUT_TCP",
            "TIMEOUT_TCP_FIN",
            "TIMEOUT_UDP",
        ];
        const DAEMON: [&str; 8] = [
            "STATE",
            "MCAST_IFN",
            "SYNC_ID",
            "SYNC_MAXLEN",
            "MCAST_GROUP",
            "MCAST_GROUP6",
            "MCAST_PORT",
            "MCAST_TTL",
        ];
        const STATS: [&str; 11] = [
            "CONNS", "INPKTS", "OUTPKTS", "INBYTES", "OUTBYTES", "CPS", "INPPS", "OUTPPS", "INBPS",
            "OUTBPS", "PAD",
        ];
        const INFO: [&str; 2] = ["VERSION", "CONN_TAB_SIZE"];
        const CONTROL: [&str; 5] = ["FAMILY_ID", "FAMILY_NAME", "VERSION", "HDRSIZE", "MAXATTR"];
        const EXT_ACK: [&str; 2] = ["MSG", "OFFS"];
        let names: &[&str] = match self.nest {
            Nest::Top => &TOP,
            Nest::Service => &SERVICE,
            Nest::Destination => &DESTINATION,
            Nest::Daemon => &DAEMON,
            Nest::Stats | Nest::Stats64 => &STATS,
            Nest::Info => &INFO,
            Nest::Control => &CONTROL,
            Nest::ExtAck => &EXT_ACK,
        };
        // `get` on slices is not constant yet, hence the walk.
        let mut rest = names;
        let mut number = 1;
        while let Some((name, tail)) = rest.split_first() {
            if number == self.number {
                return Some(name);
            }
            rest = tail;
            number += 1;
        }
        None
    }
}

impl fmt::Display for AttributeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nest = match self.nest {
            Nest::Top => "",
            Nest::Service => "SERVICE.",
            Nest::Destination => "DEST.",
            Nest::Daemon => "DAEMON.",
            Nest::Stats => "STATS.",
            Nest::Stats64 => "STATS64.",
            Nest::Info => "INFO.",
            Nest::Control => "CTRL.",
            Nest::ExtAck => "EXT_ACK.",
        };
        match self.name() {
            Some(name) => write!(f, "{nest}{name}"),
            None => write!(f, "{nest}{}", self.number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(nest: Nest, number: u16) -> String {
        AttributeId { nest, number }.to_string()
    }

    #[test]
    fn names_follow_the_numbers() {
        assert_eq!(name(Nest::Top, top::TIMEOUT_UDP), "TIMEOUT_UDP");
        assert_eq!(name(Nest::Service, service::STATS64), "SERVICE.STATS64");
        assert_eq!(
            name(Nest::Destination, destination::TUN_FLAGS),
            "DEST.TUN_FLAGS"
        );
        assert_eq!(name(Nest::Daemon, daemon::MCAST_TTL), "DAEMON.MCAST_TTL");
        assert_eq!(name(Nest::Stats64, stats::PAD), "STATS64.PAD");
        assert_eq!(name(Nest::Info, info::CONN_TAB_SIZE), "INFO.CONN_TAB_SIZE");
        assert_eq!(name(Nest::Control, control::MAXATTR), "CTRL.MAXATTR");
        assert_eq!(name(Nest::Destination, 99), "DEST.99");
        assert_eq!(name(Nest::Destination, 0), "DEST.0");
    }
}
