//! From names of hosts and services to numbers, and the odd ways to write numbers.

use core::cell::OnceCell;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::HashMap;

use dns_lookup::{AddrFamily, AddrInfoHints};
use lvs_ipvs::text::parse::{Lookup, number};
use lvs_ipvs::{Family, PersistenceMask, Protocol};

use super::services::Services;

/// Looks names up, each host once.
///
/// As in ipvsadm, names of hosts give IPv4 addresses only.
#[derive(Debug, Default)]
pub(crate) struct Forward {
    hosts: HashMap<String, Option<Ipv4Addr>>,
    services: OnceCell<Services>,
}

impl Lookup for Forward {
    fn endpoint(
        &mut self,
        text: &str,
        protocol: Option<Protocol>,
    ) -> Option<(IpAddr, Option<u16>)> {
        // Otherwise an address as good as any for inet_aton, and most likely a forgotten one.
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let mut text = text;
        if let Some((inside, port)) = text
            .strip_prefix('[')
            .and_then(|text| text.split_once(']'))
            .and_then(|(inside, rest)| Some((inside, rest.strip_prefix(':')?)))
        {
            if let Ok(address) = inside.parse::<Ipv6Addr>() {
                return Some((address.into(), Some(self.port(port, protocol)?)));
            }
            // ipvsadm goes on with what is inside and overlooks the port behind the brackets.
            text = inside;
        }
        let Some((host, port)) = text.split_once(':') else {
            return Some((self.host(text)?.into(), None));
        };
        let address = self.host(host)?;
        Some((address.into(), Some(self.port(port, protocol)?)))
    }

    fn mask(&mut self, text: &str, family: Family) -> Option<PersistenceMask> {
        match family {
            Family::Inet => self.host(text).map(PersistenceMask::Inet),
            Family::Inet6 => prefix_length(text).map(PersistenceMask::Inet6),
        }
    }
}

impl Forward {
    fn host(&mut self, name: &str) -> Option<Ipv4Addr> {
        if let Some(address) = inet_aton(name) {
            return Some(address);
        }
        if let Some(known) = self.hosts.get(name) {
            return *known;
        }
        let found = resolve(name);
        self.hosts.insert(name.to_owned(), found);
        found
    }

    fn port(&self, text: &str, protocol: Option<Protocol>) -> Option<u16> {
        if let Some(port) = number(text, 0..=u16::MAX.into()) {
            return u16::try_from(port).ok();
        }
        let protocol = match protocol? {
            Protocol::TCP => "tcp",
            Protocol::UDP => "udp",
            Protocol::SCTP => "sctp",
            _ => return None,
        };
        self.services
            .get_or_init(Services::system)
            .port(text, protocol)
    }
}

/// The first IPv4 address of a host.
fn resolve(name: &str) -> Option<Ipv4Addr> {
    // No host has such a name, and some resolvers take long to say so.
    if name.is_empty() || name.contains(|letter: char| letter.is_whitespace()) {
        return None;
    }
    let hints = AddrInfoHints {
        address: AddrFamily::Inet.into(),
        ..AddrInfoHints::default()
    };
    let mut found = dns_lookup::getaddrinfo(Some(name), None, Some(hints)).ok()?;
    found.find_map(|entry| match entry.ok()?.sockaddr.ip() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    })
}

/// Reads an IPv4 address as inet_aton(3) does: one to four numbers, decimal, octal after `0` or
/// hexadecimal after `0x`, of which the last fills what is left of the address. A blank ends it.
fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let text = text
        .split(|letter: char| letter.is_ascii_whitespace())
        .next()?;
    let mut parts = Vec::new();
    for part in text.split('.') {
        if parts.len() == 4 {
            return None;
        }
        parts.push(inet_aton_part(part)?);
    }
    let last = parts.pop()?;
    let mut bits: u32 = 0;
    let mut shift: u32 = 32;
    for part in parts {
        shift = shift.checked_sub(8)?;
        bits |= u32::from(u8::try_from(part).ok()?).checked_shl(shift)?;
    }
    let limit = 1_u64.checked_shl(shift)?;
    (u64::from(last) < limit).then(|| Ipv4Addr::from_bits(bits | last))
}

fn inet_aton_part(part: &str) -> Option<u32> {
    let (digits, radix) = match part.as_bytes() {
        [b'0', b'x' | b'X', ..] => (part.get(2..)?, 16),
        [b'0', _, ..] => (part, 8),
        _ => (part, 10),
    };
    // from_str_radix takes a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

/// Reads a number as atoi(3) does: leading blanks and whatever follows the digits do not count,
/// and what does not fit 32 bits wraps.
fn prefix_length(text: &str) -> Option<u32> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let number = text.get(..end)?.parse::<i64>().ok()?;
    let wrapped = u32::try_from(number.rem_euclid(1 << 32)).ok()?;
    (1..=128).contains(&wrapped).then_some(wrapped)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen with ipvsadm 1.31: `-A -t TEXT -p`, and what `-S -n` then shows.
    #[test]
    fn endpoints_are_those_of_ipvsadm() {
        for (text, expected) in [
            ("10.0.8:9", Some("10.0.0.8:9")),
            ("10:9", Some("0.0.0.10:9")),
            ("167772170:9", Some("10.0.0.10:9")),
            ("0x0a000009:9", Some("10.0.0.9:9")),
            ("010.0.0.012:9", Some("8.0.0.10:9")),
            ("1.2.3:80", Some("1.2.0.3:80")),
            ("1.2", Some("1.0.0.2")),
            ("0x50", Some("0.0.0.80")),
            ("1.2.3.4 :80", Some("1.2.3.4:80")),
            ("[10.0.0.9]:9", Some("10.0.0.9")),
            ("[1.2.3.4]:bad", Some("1.2.3.4")),
            ("[1.2.3.4:80]:90", Some("1.2.3.4:80")),
            ("[80]:90", Some("0.0.0.80")),
            (" 1.2.3.4:80", None),
            ("10", None),
            ("0", None),
            ("", None),
            (":9", None),
            ("[]:80", None),
            ("[1.2.3.4]", None),
            ("[1.2.3.4]x", None),
            ("10.0.0.300:9", None),
            ("256.1.1.1:80", None),
            ("99999999999:80", None),
            ("1.2.3.4.5:80", None),
            ("1.2.3.4:", None),
            ("1.2.3.4:80:90", None),
            ("[fd00::1]", None),
            ("[fd00::1]:", None),
            ("[fd00::1]80", None),
            ("[fd00::1:80", None),
            ("[fe80::1%lo]:80", None),
        ] {
            let found = Forward::default().endpoint(text, Some(Protocol::TCP));
            let found = found.map(|(address, port)| match port {
                None => address.to_string(),
                Some(port) => format!("{address}:{port}"),
            });
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn masks_are_those_of_ipvsadm() {
        let mut names = Forward::default();
        let mut mask = |text, family| {
            let mask = names.mask(text, family);
            mask.map(|mask| mask.to_string())
        };
        assert_eq!(mask("24", Family::Inet).as_deref(), Some("0.0.0.24"));
        assert_eq!(
            mask("255.255.255", Family::Inet).as_deref(),
            Some("255.255.0.255")
        );
        for (text, expected) in [
            ("64x", Some("64")),
            ("64 ", Some("64")),
            (" +64", Some("64")),
            ("4294967360", Some("64")),
            ("255.255.255.0", None),
            ("129", None),
            ("0", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(mask(text, Family::Inet6).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn localhost_is_known_everywhere() {
        let found = Forward::default().endpoint("localhost:80", None);
        assert_eq!(found, Some((Ipv4Addr::LOCALHOST.into(), Some(80))));
    }
}
