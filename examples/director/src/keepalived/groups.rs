//! `virtual_server_group`: addresses, ranges and marks that share their real servers
//! (keepalived.conf(5)).
//!
//! ```text
//! virtual_server_group WEB {
//!   192.0.2.1 80
//!   192.0.2.10-20 80                192.0.2.10 to 192.0.2.20
//!   192.0.2.250-198.51.100.5 80     up to a whole address
//!   198.51.100.8/29 443             all eight addresses
//!   2001:db8::1-a 80                2001:db8::1 to 2001:db8::a
//!   fwmark 7 inet6
//! }
//! ```

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::num::NonZeroU32;

use super::ast::Statement;
use super::diagnostic::{Position, Report};
use super::values;

/// The most addresses a group may have; keepalived has no limit, and the kernel's table suffers.
const ADDRESSES_MAX: u128 = 65_536;

/// Address family.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Family {
    /// IPv4, `inet`.
    V4,
    /// IPv6, `inet6`.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    pub(super) fn from_keyword(word: &str) -> Option<Self> {
        match word {
            "inet" => Some(Self::V4),
            "inet6" => Some(Self::V6),
            _ => None,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// A named set of addresses and marks.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct VirtualServerGroup {
    /// Where its block starts.
    pub position: Position,
    /// Its name.
    pub name: String,
    /// What it consists of, in the file's order.
    pub entries: Vec<GroupEntry>,
}

/// A part of a group.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum GroupEntry {
    /// An address or a range of them.
    Addresses(AddressRange),
    /// Packets with a firewall mark.
    Fwmark {
        /// The mark.
        mark: NonZeroU32,
        /// The family, if it is given.
        family: Option<Family>,
    },
}

/// Addresses from `first` to `last`, both included, with a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AddressRange {
    /// Lowest address.
    pub first: IpAddr,
    /// Highest address, of the same family.
    pub last: IpAddr,
    /// Port; 0 for all ports.
    pub port: u16,
}

impl AddressRange {
    /// The addresses, lowest first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let first = self.first;
        let (low, high) = (to_bits(self.first), to_bits(self.last));
        (low..=high).map(move |bits| from_bits(bits, first))
    }

    fn count(&self) -> u128 {
        to_bits(self.last)
            .saturating_sub(to_bits(self.first))
            .saturating_add(1)
    }
}

fn to_bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// An address of the same family as `like`.
fn from_bits(bits: u128, like: IpAddr) -> IpAddr {
    match like {
        // Bits of an IPv4 range stay within 32.
        IpAddr::V4(_) => Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or(u32::MAX)).into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(bits).into(),
    }
}

/// Reads a group; none without a name.
pub(super) fn read(statement: &Statement, report: &mut Report) -> Option<VirtualServerGroup> {
    let name = values::word_at(statement, 0, "a group name", report, |word| {
        Some(word.to_owned())
    })?;
    let mut entries = Vec::new();
    let mut total = 0_u128;
    for inner in values::block(statement, report) {
        let entry = if inner.keyword() == "fwmark" {
            mark(inner, report)
        } else {
            range(inner, report)
        };
        let Some(entry) = entry else { continue };
        if let GroupEntry::Addresses(range) = &entry {
            total = total.saturating_add(range.count());
            if total > ADDRESSES_MAX {
                let message = format!(
                    "virtual_server_group {name}: more than {ADDRESSES_MAX} addresses; line ignored"
                );
                report.error(inner.position(), message);
                total = total.saturating_sub(range.count());
                continue;
            }
        }
        entries.push(entry);
    }
    Some(VirtualServerGroup {
        position: statement.position().clone(),
        name,
        entries,
    })
}

fn mark(statement: &Statement, report: &mut Report) -> Option<GroupEntry> {
    values::leaf(statement, 2, report);
    let mark = values::number_at(statement, 0, 1..=u64::from(u32::MAX), report)?;
    let family = match statement.argument(1) {
        None => None,
        Some(_) => Some(values::word_at(
            statement,
            1,
            "inet or inet6",
            report,
            Family::from_keyword,
        )?),
    };
    Some(GroupEntry::Fwmark {
        mark: NonZeroU32::new(mark)?,
        family,
    })
}

/// The keyword is the address.
fn range(statement: &Statement, report: &mut Report) -> Option<GroupEntry> {
    values::leaf(statement, 1, report);
    let (first, last) = match addresses(statement.keyword()) {
        Ok(addresses) => addresses,
        Err(reason) => {
            let message = format!("'{}' {reason}; line ignored", statement.keyword());
            report.error(statement.position(), message);
            return None;
        }
    };
    let port = match statement.argument(0) {
        None => 0,
        Some(_) => values::number_at(statement, 0, 0..=65_535, report)?,
    };
    Some(GroupEntry::Addresses(AddressRange { first, last, port }))
}

fn addresses(text: &str) -> Result<(IpAddr, IpAddr), &'static str> {
    const EXPECTED: &str = "is neither 'fwmark' nor an address, a range or a network";
    if let Some((network, length)) = text.split_once('/') {
        let network: IpAddr = network.parse().map_err(|_| EXPECTED)?;
        let width = if network.is_ipv4() { 32 } else { 128 };
        let length = length
            .parse::<u32>()
            .ok()
            .filter(|length| (1..=width).contains(length));
        let length = length.ok_or("has a prefix length outside 1..=32 (IPv6 1..=128)")?;
        let host = (1_u128.checked_shl(width.saturating_sub(length)))
            .map_or(u128::MAX, |size| size.saturating_sub(1));
        let first = to_bits(network) & !host;
        return Ok((from_bits(first, network), from_bits(first | host, network)));
    }
    let Some((first, last)) = text.split_once('-') else {
        let ip = text.parse().map_err(|_| EXPECTED)?;
        return Ok((ip, ip));
    };
    let first: IpAddr = first.parse().map_err(|_| EXPECTED)?;
    let last = match last.parse() {
        Ok(last) => last,
        Err(_) => last_component(first, last)?,
    };
    if last.is_ipv4() != first.is_ipv4() {
        return Err("joins two families");
    }
    if last < first {
        return Err("ends before it starts");
    }
    Ok((first, last))
}

/// `first` with another last number: decimal for IPv4, hexadecimal for IPv6.
fn last_component(first: IpAddr, text: &str) -> Result<IpAddr, &'static str> {
    match first {
        IpAddr::V4(first) => {
            let [a, b, c, _] = first.octets();
            let last = text
                .parse::<u8>()
                .map_err(|_| "ends with neither an address nor 0..=255")?;
            Ok(Ipv4Addr::new(a, b, c, last).into())
        }
        IpAddr::V6(first) => {
            let last = u16::from_str_radix(text, 16)
                .map_err(|_| "ends with neither an address nor 0..=ffff")?;
            let [a, b, c, d, e, f, g, _] = first.segments();
            Ok(Ipv6Addr::new(a, b, c, d, e, f, g, last).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ast::tests_support::statement;
    use super::*;

    fn group(lines: &str) -> (Vec<GroupEntry>, Vec<String>) {
        let mut report = Report::new(20);
        let statement = statement(&format!("virtual_server_group G {{\n{lines}\n}}"));
        let group = read(&statement, &mut report).expect("a group");
        (
            group.entries,
            report.finish().0.iter().map(ToString::to_string).collect(),
        )
    }

    fn listed(line: &str) -> Vec<String> {
        let (entries, messages) = group(line);
        assert!(messages.is_empty(), "{messages:?}");
        let GroupEntry::Addresses(range) = &entries[0] else {
            panic!("addresses")
        };
        range.addresses().map(|ip| ip.to_string()).collect()
    }

    #[test]
    fn ranges_include_both_ends() {
        assert_eq!(listed("192.0.2.1 80"), ["192.0.2.1"]);
        assert_eq!(
            listed("192.0.2.10-12 80"),
            ["192.0.2.10", "192.0.2.11", "192.0.2.12"]
        );
        assert_eq!(
            listed("192.0.2.255-192.0.3.0"),
            ["192.0.2.255", "192.0.3.0"]
        );
        assert_eq!(listed("2001:db8::9-a 80"), ["2001:db8::9", "2001:db8::a"]);
        assert_eq!(
            listed("192.0.2.9/30"),
            ["192.0.2.8", "192.0.2.9", "192.0.2.10", "192.0.2.11"]
        );
        assert_eq!(listed("192.0.2.9-192.0.2.9"), ["192.0.2.9"]);
        assert_eq!(listed("::/128 80"), ["::"]);
        assert_eq!(listed("255.255.255.254-255").len(), 2);
    }

    #[test]
    fn marks_may_name_a_family() {
        let (entries, _) = group("fwmark 7\nfwmark 8 inet6");
        let marks: Vec<_> = entries
            .iter()
            .map(|entry| match entry {
                GroupEntry::Fwmark { mark, family } => (mark.get(), *family),
                GroupEntry::Addresses(_) => panic!("a mark"),
            })
            .collect();
        assert_eq!(marks, [(7, None), (8, Some(Family::V6))]);
    }

    #[test]
    fn unusable_entries_are_named() {
        let cases = [
            ("10.0.0.5-1 80", "'10.0.0.5-1' ends before it starts"),
            ("10.0.0.1-300", "ends with neither an address nor 0..=255"),
            ("2001:db8::1-xyz", "nor 0..=ffff"),
            ("10.0.0.0/33", "prefix length outside"),
            ("10.0.0.0/0", "prefix length outside"),
            ("10.0.0.1-2001:db8::1", "joins two families"),
            (
                "host.example 80",
                "'host.example' is neither 'fwmark' nor an address",
            ),
            (
                "10.0.0.1 70000",
                "10.0.0.1: '70000' is not a whole number in 0..=65535",
            ),
            (
                "fwmark 0",
                "fwmark: '0' is not a whole number in 1..=4294967295",
            ),
            ("fwmark 5 ipv6", "'ipv6' is not inet or inet6"),
            ("fwmark", "fwmark: the value is missing"),
        ];
        for (line, reason) in cases {
            let (entries, messages) = group(line);
            assert!(entries.is_empty(), "{line}");
            assert!(messages[0].contains(reason), "{line}: {messages:?}");
        }
    }

    #[test]
    fn number_of_addresses_is_bounded() {
        let (entries, messages) = group("10.0.0.0/16\n2001:db8::/64\n10.1.0.1");
        assert_eq!(entries.len(), 1);
        assert_eq!(messages.len(), 2);
        assert!(
            messages[0].contains("more than 65536 addresses"),
            "{messages:?}"
        );
    }
}
