//! Virtual addresses: the lines of `virtual_ipaddress` and `virtual_ipaddress_excluded`
//! (keepalived.conf(5), there also for `static_ipaddress`).
//!
//! ```text
//! 192.0.2.1/24 brd + dev eth1 scope link label eth1:1
//! 2001:db8::1/64 -nodad preferred_lft forever
//! ```

use core::fmt;
use core::net::{IpAddr, Ipv4Addr};

use super::super::ast::Statement;
use super::super::diagnostic::{Position, Report};
use super::super::values;

/// An address that moves with the virtual router.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a keyword of its own"
)]
#[non_exhaustive]
pub struct VrrpAddress {
    /// Where its line starts.
    pub position: Position,
    /// The address.
    pub ip: IpAddr,
    /// Bits of its network, 0..=32 or 0..=128. Default all of them.
    pub prefix_length: u8,
    /// `peer`: the other end of a point-to-point link.
    pub peer: Option<IpAddr>,
    /// `brd`: the broadcast address.
    pub broadcast: Option<Broadcast>,
    /// `dev`: the interface it is put on. Default that of the virtual router.
    pub device: Option<String>,
    /// `use_vmac`: a virtual MAC device of its own on `dev`.
    pub use_vmac: bool,
    /// `scope`, 0..=255: 0 global, 200 site, 253 link, 254 host, 255 nowhere. Default by the kernel.
    pub scope: Option<u8>,
    /// `label`, 1 to 15 bytes; IPv4 only.
    pub label: Option<String>,
    /// `home`: a home address (IPv6).
    pub home: bool,
    /// `-nodad`: no duplicate address detection (IPv6).
    pub no_dad: bool,
    /// `mngtmpaddr`: the kernel makes temporary addresses of it (IPv6).
    pub manage_temporary: bool,
    /// `noprefixroute`: the kernel adds no route for its network.
    pub no_prefix_route: bool,
    /// `autojoin`: the kernel joins multicast groups on it.
    pub auto_join: bool,
    /// `no_track`: losing it has no consequences.
    pub no_track: bool,
    /// `preferred_lft`: for how long it is preferred as a source. Default: 0 for IPv6 addresses of
    /// /128, else forever.
    pub preferred: Option<Preferred>,
}

/// `brd` of an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Broadcast {
    /// This address.
    Address(Ipv4Addr),
    /// `+`: all host bits set.
    HostBitsSet,
    /// `-`: all host bits clear.
    HostBitsClear,
}

/// `preferred_lft` of an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Preferred {
    /// Seconds.
    Seconds(u32),
    /// `forever`
    Forever,
}

/// Names of scopes, as in rtnetlink(7).
const SCOPES: [(&str, u8); 5] = [
    ("global", 0),
    ("site", 200),
    ("link", 253),
    ("host", 254),
    ("nowhere", 255),
];

/// The longest label: an interface name with its end is 16 bytes.
const LABEL_MAX: usize = 15;

impl VrrpAddress {
    /// Reads a line; an address that cannot be used is left out.
    pub(super) fn read(statement: &Statement, report: &mut Report) -> Option<Self> {
        values::leaf(statement, usize::MAX, report);
        let mut address = Self::start(statement, report)?;
        let mut index = 0;
        while let Some(word) = statement.argument(index) {
            let at = index;
            index = index.saturating_add(1);
            if address.read_flag(word) {
                continue;
            }
            let value = index;
            index = index.saturating_add(1);
            let has_value = statement.argument(value).is_some();
            match word {
                "brd" | "broadcast" | "dev" | "scope" | "label" | "peer" | "preferred_lft"
                    if !has_value =>
                {
                    let message = format!("{}: {word} has no value; address ignored", address.ip);
                    report.error(statement.argument_position(at), message);
                    return None;
                }
                "brd" | "broadcast" => {
                    address.broadcast = Some(broadcast(statement, value, report)?)
                }
                "dev" => {
                    let expected = "an interface name of 1 to 15 bytes";
                    let read = |word: &str| values::is_interface(word).then(|| word.to_owned());
                    address.device =
                        Some(values::word_at(statement, value, expected, report, read)?);
                }
                "scope" => address.read_scope(statement, value, report),
                "label" => address.read_label(statement, value, report)?,
                "peer" => address.read_peer(statement, value, report),
                "preferred_lft" => address.read_preferred(statement, value, report),
                other => {
                    let message = format!(
                        "{}: '{other}' is no option of an address; the word is ignored",
                        address.ip
                    );
                    report.error(statement.argument_position(at), message);
                    index = value;
                }
            }
        }
        Some(address)
    }

    fn start(statement: &Statement, report: &mut Report) -> Option<Self> {
        let word = statement.keyword();
        let (ip, length) = match word.split_once('/') {
            Some((ip, length)) => (ip, Some(length)),
            None => (word, None),
        };
        let Ok(ip) = ip.parse::<IpAddr>() else {
            let message = format!("'{word}' is not an IPv4 or IPv6 address; line ignored");
            report.error(statement.position(), message);
            return None;
        };
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let prefix_length = match length {
            None => most,
            Some(length) => {
                let read = length.parse().ok().filter(|length| *length <= most);
                if read.is_none() {
                    let message = format!(
                        "{ip}: prefix length '{length}' is not in 0..={most}, set to {most}"
                    );
                    report.warning(statement.position(), message);
                }
                read.unwrap_or(most)
            }
        };
        Some(Self {
            position: statement.position().clone(),
            ip,
            prefix_length,
            peer: None,
            broadcast: None,
            device: None,
            use_vmac: false,
            scope: None,
            label: None,
            home: false,
            no_dad: false,
            manage_temporary: false,
            no_prefix_route: false,
            auto_join: false,
            no_track: false,
            preferred: None,
        })
    }

    /// Words without a value.
    fn read_flag(&mut self, word: &str) -> bool {
        let flag = match word {
            "use_vmac" => &mut self.use_vmac,
            "home" => &mut self.home,
            "-nodad" => &mut self.no_dad,
            "mngtmpaddr" => &mut self.manage_temporary,
            "noprefixroute" => &mut self.no_prefix_route,
            "autojoin" => &mut self.auto_join,
            "no_track" => &mut self.no_track,
            _ => return false,
        };
        *flag = true;
        true
    }

    fn read_scope(&mut self, statement: &Statement, value: usize, report: &mut Report) {
        let word = statement.argument(value).unwrap_or_default();
        let named = SCOPES.iter().find(|(name, _)| *name == word);
        let scope = named.map(|(_, scope)| *scope).or_else(|| word.parse().ok());
        if scope.is_none() {
            let message = format!(
                "{}: scope '{word}' is none of global, site, link, host, nowhere, 0..=255; ignored",
                self.ip
            );
            report.error(statement.argument_position(value), message);
        }
        values::set(&mut self.scope, scope);
    }

    fn read_label(
        &mut self,
        statement: &Statement,
        value: usize,
        report: &mut Report,
    ) -> Option<()> {
        let word = statement.argument(value)?;
        let position = statement.argument_position(value);
        if self.ip.is_ipv6() {
            let message = format!("{}: IPv6 addresses have no label; ignored", self.ip);
            report.warning(position, message);
        } else if (1..=LABEL_MAX).contains(&word.len()) {
            self.label = Some(word.to_owned());
        } else {
            let message = format!(
                "{}: label '{word}' has not 1 to {LABEL_MAX} bytes; address ignored",
                self.ip
            );
            report.error(position, message);
            return None;
        }
        Some(())
    }

    fn read_peer(&mut self, statement: &Statement, value: usize, report: &mut Report) {
        let word = statement.argument(value).unwrap_or_default();
        let position = statement.argument_position(value);
        let peer = word.parse().ok();
        let peer = peer.filter(|peer: &IpAddr| peer.is_ipv4() == self.ip.is_ipv4());
        if peer.is_none() {
            let message = format!(
                "{}: peer '{word}' is not an address of the same family; ignored",
                self.ip
            );
            report.error(position, message);
        } else if statement.keyword().contains('/') {
            let message = format!("{}: a peer excludes a prefix length; peer ignored", self.ip);
            report.warning(position, message);
        } else {
            self.peer = peer;
        }
    }

    fn read_preferred(&mut self, statement: &Statement, value: usize, report: &mut Report) {
        let expected = "forever or a whole number in 0..=4294967295";
        let read = values::word_at(statement, value, expected, report, |word| match word {
            "forever" => Some(Preferred::Forever),
            seconds => seconds.parse().ok().map(Preferred::Seconds),
        });
        values::set(&mut self.preferred, read);
    }
}

fn broadcast(statement: &Statement, value: usize, report: &mut Report) -> Option<Broadcast> {
    let expected = "a broadcast address, + or -";
    values::word_at(statement, value, expected, report, |word| match word {
        "+" => Some(Broadcast::HostBitsSet),
        "-" => Some(Broadcast::HostBitsClear),
        word => word.parse().ok().map(Broadcast::Address),
    })
}

/// As it is written in a file.
impl fmt::Display for VrrpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ip)?;
        if self.peer.is_none() {
            write!(f, "/{}", self.prefix_length)?;
        }
        match self.broadcast {
            Some(Broadcast::Address(address)) => write!(f, " brd {address}")?,
            Some(Broadcast::HostBitsSet) => f.write_str(" brd +")?,
            Some(Broadcast::HostBitsClear) => f.write_str(" brd -")?,
            None => {}
        }
        if let Some(device) = &self.device {
            write!(f, " dev {device}")?;
        }
        if let Some(scope) = self.scope {
            write!(f, " scope {scope}")?;
        }
        if let Some(label) = &self.label {
            write!(f, " label {label}")?;
        }
        if let Some(peer) = self.peer {
            write!(f, " peer {peer}")?;
        }
        match self.preferred {
            Some(Preferred::Seconds(seconds)) => write!(f, " preferred_lft {seconds}")?,
            Some(Preferred::Forever) => f.write_str(" preferred_lft forever")?,
            None => {}
        }
        for (word, is_on) in [
            ("use_vmac", self.use_vmac),
            ("home", self.home),
            ("-nodad", self.no_dad),
            ("mngtmpaddr", self.manage_temporary),
            ("noprefixroute", self.no_prefix_route),
            ("autojoin", self.auto_join),
            ("no_track", self.no_track),
        ] {
            if is_on {
                write!(f, " {word}")?;
            }
        }
        Ok(())
    }
}
