//! The options that describe services, destinations and sync daemons.

use crate::text::parse::error::RuleError;
use crate::text::parse::lexer::OptionName;

/// Whether an option has a value.
#[expect(clippy::exhaustive_enums, reason = "popt has these three")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TakesValue {
    /// It stands alone.
    Never,
    /// A value follows.
    Always,
    /// A value may follow (`-p`).
    Optional,
}

/// An option that describes what a command is about.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SettingsOption {
    /// `-t`
    TcpService,
    /// `-u`
    UdpService,
    /// `--sctp-service`
    SctpService,
    /// `-f`
    FirewallMark,
    /// `-6`
    Ipv6,
    /// `-s`
    Scheduler,
    /// `-p`
    Persistent,
    /// `-M`
    Netmask,
    /// `--pe`
    Engine,
    /// `-o`
    OnePacket,
    /// `-b`
    SchedulerFlags,
    /// `-r`
    RealServer,
    /// `-g`
    DirectRoute,
    /// `-i`
    Tunnel,
    /// `-m`
    Masquerade,
    /// `-w`
    Weight,
    /// `-x`
    UpperThreshold,
    /// `-y`
    LowerThreshold,
    /// `--tun-type`
    TunnelType,
    /// `--tun-port`
    TunnelPort,
    /// `--tun-nocsum`
    TunnelNoChecksum,
    /// `--tun-csum`
    TunnelChecksum,
    /// `--tun-remcsum`
    TunnelRemoteChecksum,
    /// `--mcast-interface`
    McastInterface,
    /// `--syncid`
    SyncId,
    /// `--sync-maxlen`
    SyncMaxLength,
    /// `--mcast-group`
    McastGroup,
    /// `--mcast-port`
    McastPort,
    /// `--mcast-ttl`
    McastTtl,
}

bitflags::bitflags! {
    /// Which options were given; the ones of which only one may be given are one.
    #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
    pub struct Given: u32 {
        /// `-t`, `-u`, `--sctp-service` or `-f`
        const SERVICE = 1;
        /// `-s`
        const SCHEDULER = 1 << 1;
        /// `-p`
        const PERSISTENT = 1 << 2;
        /// `-M`
        const NETMASK = 1 << 3;
        /// `--pe`
        const ENGINE = 1 << 4;
        /// `-o`
        const ONE_PACKET = 1 << 5;
        /// `-b`
        const SCHEDULER_FLAGS = 1 << 6;
        /// `-r`
        const REAL_SERVER = 1 << 7;
        /// `-g`, `-i` or `-m`
        const METHOD = 1 << 8;
        /// `-w`
        const WEIGHT = 1 << 9;
        /// `-x`
        const UPPER_THRESHOLD = 1 << 10;
        /// `-y`
        const LOWER_THRESHOLD = 1 << 11;
        /// `--tun-type`
        const TUNNEL_TYPE = 1 << 12;
        /// `--tun-port`
        const TUNNEL_PORT = 1 << 13;
        /// `--tun-nocsum`
        const TUNNEL_NO_CHECKSUM = 1 << 14;
        /// `--tun-csum`
        const TUNNEL_CHECKSUM = 1 << 15;
        /// `--tun-remcsum`
        const TUNNEL_REMOTE_CHECKSUM = 1 << 16;
        /// `--mcast-interface`
        const MCAST_INTERFACE = 1 << 17;
        /// `--syncid`
        const SYNC_ID = 1 << 18;
        /// `--sync-maxlen`
        const SYNC_MAX_LENGTH = 1 << 19;
        /// `--mcast-group`
        const MCAST_GROUP = 1 << 20;
        /// `--mcast-port`
        const MCAST_PORT = 1 << 21;
        /// `--mcast-ttl`
        const MCAST_TTL = 1 << 22;

        /// The three options for checksums of tunnels.
        const TUNNEL_CHECKSUMS = Self::TUNNEL_NO_CHECKSUM.bits()
            | Self::TUNNEL_CHECKSUM.bits()
            | Self::TUNNEL_REMOTE_CHECKSUM.bits();
        /// All options for tunnels.
        const TUNNEL = Self::TUNNEL_TYPE.bits()
            | Self::TUNNEL_PORT.bits()
            | Self::TUNNEL_CHECKSUMS.bits();
    }
}

impl Given {
    /// Refuses options that are not among the allowed ones of a command.
    ///
    /// # Errors
    ///
    /// The first option too many.
    pub fn check_allowed(self, allowed: Self, command: &'static str) -> Result<(), RuleError> {
        match self.difference(allowed).first_name() {
            None => Ok(()),
            Some(option) => Err(RuleError::NotAllowed { option, command }),
        }
    }

    /// How the first of the options is written.
    pub(super) fn first_name(self) -> Option<&'static str> {
        let first = self.iter().next()?;
        if first == Self::SERVICE {
            return Some("a service (-t, -u, --sctp-service or -f)");
        }
        if first == Self::METHOD {
            return Some("forwarding method (-g, -i or -m)");
        }
        let entry = OPTIONS.iter().find(|entry| entry.given == first);
        entry.map(|entry| entry.name)
    }
}

/// What is known of an option.
struct Entry {
    option: SettingsOption,
    short: Option<u8>,
    long: &'static str,
    takes: TakesValue,
    name: &'static str,
    given: Given,
}

use SettingsOption as O;
use TakesValue::{Always, Never, Optional};

#[rustfmt::skip] // a table
const OPTIONS: [Entry; 29] = [
    entry(O::TcpService,           Some(b't'), "tcp-service",     Always,   "-t", Given::SERVICE),
    entry(O::RealServer,           Some(b'r'), "real-server",     Always,   "-r", Given::REAL_SERVER),
    entry(O::Weight,               Some(b'w'), "weight",          Always,   "-w", Given::WEIGHT),
    entry(O::Masquerade,           Some(b'm'), "masquerading",    Never,    "-m", Given::METHOD),
    entry(O::DirectRoute,          Some(b'g'), "gatewaying",      Never,    "-g", Given::METHOD),
    entry(O::Tunnel,               Some(b'i'), "ipip",            Never,    "-i", Given::METHOD),
    entry(O::Scheduler,            Some(b's'), "scheduler",       Always,   "-s", Given::SCHEDULER),
    entry(O::UdpService,           Some(b'u'), "udp-service",     Always,   "-u", Given::SERVICE),
    entry(O::SctpService,          None,       "sctp-service",    Always,   "--sctp-service", Given::SERVICE),
    entry(O::FirewallMark,         Some(b'f'), "fwmark-service",  Always,   "-f", Given::SERVICE),
    entry(O::Ipv6,                 Some(b'6'), "ipv6",            Never,    "-6", Given::empty()),
    entry(O::Persistent,           Some(b'p'), "persistent",      Optional, "-p", Given::PERSISTENT),
    entry(O::Netmask,              Some(b'M'), "netmask",         Always,   "-M", Given::NETMASK),
    entry(O::Engine,               None,       "pe",              Always,   "--pe", Given::ENGINE),
    entry(O::OnePacket,            Some(b'o'), "ops",             Never,    "-o", Given::ONE_PACKET),
    entry(O::SchedulerFlags,       Some(b'b'), "sched-flags",     Always,   "-b", Given::SCHEDULER_FLAGS),
    entry(O::UpperThreshold,       Some(b'x'), "u-threshold",     Always,   "-x", Given::UPPER_THRESHOLD),
    entry(O::LowerThreshold,       Some(b'y'), "l-threshold",     Always,   "-y", Given::LOWER_THRESHOLD),
    entry(O::TunnelType,           None,       "tun-type",        Always,   "--tun-type", Given::TUNNEL_TYPE),
    entry(O::TunnelPort,           None,       "tun-port",        Always,   "--tun-port", Given::TUNNEL_PORT),
    entry(O::TunnelNoChecksum,     None,       "tun-nocsum",      Never,    "--tun-nocsum", Given::TUNNEL_NO_CHECKSUM),
    entry(O::TunnelChecksum,       None,       "tun-csum",        Never,    "--tun-csum", Given::TUNNEL_CHECKSUM),
    entry(O::TunnelRemoteChecksum, None,       "tun-remcsum",     Never,    "--tun-remcsum", Given::TUNNEL_REMOTE_CHECKSUM),
    entry(O::McastInterface,       None,       "mcast-interface", Always,   "--mcast-interface", Given::MCAST_INTERFACE),
    entry(O::SyncId,               None,       "syncid",          Always,   "--syncid", Given::SYNC_ID),
    entry(O::SyncMaxLength,        None,       "sync-maxlen",     Always,   "--sync-maxlen", Given::SYNC_MAX_LENGTH),
    entry(O::McastGroup,           None,       "mcast-group",     Always,   "--mcast-group", Given::MCAST_GROUP),
    entry(O::McastPort,            None,       "mcast-port",      Always,   "--mcast-port", Given::MCAST_PORT),
    entry(O::McastTtl,             None,       "mcast-ttl",       Always,   "--mcast-ttl", Given::MCAST_TTL),
];

const fn entry(
    option: SettingsOption,
    short: Option<u8>,
    long: &'static str,
    takes: TakesValue,
    name: &'static str,
    given: Given,
) -> Entry {
    Entry {
        option,
        short,
        long,
        takes,
        name,
        given,
    }
}

impl SettingsOption {
    /// The option of that name, and whether it takes a value.
    #[must_use]
    pub fn find(name: OptionName<'_>) -> Option<(Self, TakesValue)> {
        let entry = match name {
            OptionName::Short(letter) => OPTIONS.iter().find(|one| one.short == Some(letter)),
            OptionName::Long(long) => OPTIONS.iter().find(|one| one.long == long),
        };
        entry.map(|entry| (entry.option, entry.takes))
    }

    /// How it is written, in the short form if it has one: `-t`, `--pe`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().map_or("", |entry| entry.name)
    }

    pub(super) fn given(self) -> Given {
        self.entry().map_or(Given::empty(), |entry| entry.given)
    }

    fn entry(self) -> Option<&'static Entry> {
        OPTIONS.iter().find(|entry| entry.option == self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_in_the_table_once() {
        for (index, entry) in OPTIONS.iter().enumerate() {
            for earlier in OPTIONS.iter().take(index) {
                assert_ne!(earlier.option, entry.option);
                assert_ne!(earlier.long, entry.long);
                assert!(earlier.short.is_none() || earlier.short != entry.short);
            }
            let found = SettingsOption::find(OptionName::Long(entry.long));
            assert_eq!(found, Some((entry.option, entry.takes)));
        }
    }

    #[test]
    fn every_bit_has_a_name() {
        for one in Given::all().iter() {
            assert!(one.first_name().is_some(), "{one:?}");
        }
        assert_eq!(Given::empty().first_name(), None);
    }
}
