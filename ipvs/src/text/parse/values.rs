//! Values of options: numbers, addresses, masks.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::RangeInclusive;

use crate::address::Family;
use crate::persistence::PersistenceMask;
use crate::service::Protocol;
use crate::text::parse::error::RuleError;

/// Finds numbers for what is not written as numbers.
///
/// Asked only for what is no plain address, port or mask; so numbers cost no look-up.
pub trait Lookup {
    /// Address and, if one is named, port for a text such as `www:http`, given the protocol of
    /// the service as far as it is known. `None` when there is no such thing.
    fn endpoint(&mut self, text: &str, protocol: Option<Protocol>)
    -> Option<(IpAddr, Option<u16>)>;

    /// Persistence mask for a text that is no dotted address and no prefix length.
    fn mask(&mut self, text: &str, family: Family) -> Option<PersistenceMask>;
}

/// A [`Lookup`] that finds nothing: text with names in it is refused.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to it")]
pub struct NumbersOnly;

impl Lookup for NumbersOnly {
    fn endpoint(&mut self, _: &str, _: Option<Protocol>) -> Option<(IpAddr, Option<u16>)> {
        None
    }

    fn mask(&mut self, _: &str, _: Family) -> Option<PersistenceMask> {
        None
    }
}

/// Reads a number as `ipvsadm` does: decimal, with blanks and a sign before it, nothing behind.
///
/// ```
/// use lvs_ipvs::text::parse::number;
/// assert_eq!(number(" +010", 0..=99), Some(10));
/// assert_eq!(number("10 ", 0..=99), None);
/// assert_eq!(number("100", 0..=99), None);
/// ```
#[must_use]
pub fn number(text: &str, range: RangeInclusive<u32>) -> Option<u32> {
    let digits = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    // What does not fit 64 bits is out of every range.
    let number: i64 = digits.parse().ok()?;
    let number = u32::try_from(number).ok()?;
    range.contains(&number).then_some(number)
}

pub(super) fn ranged(
    option: &'static str,
    value: &str,
    range: RangeInclusive<u32>,
    limit: &'static str,
) -> Result<u32, RuleError> {
    number(value, range).ok_or_else(|| RuleError::value(option, value, limit))
}

/// Reads `ADDRESS[:PORT]` or `[IPv6]:PORT`; a bare IPv6 address has no port.
pub(super) fn endpoint(
    option: &'static str,
    value: &str,
    protocol: Option<Protocol>,
    lookup: &mut dyn Lookup,
) -> Result<(IpAddr, Option<u16>), RuleError> {
    let found = plain_endpoint(value).or_else(|| lookup.endpoint(value, protocol));
    found.ok_or_else(|| {
        let limit = "must be ADDRESS, ADDRESS:PORT or [IPV6]:PORT, with names that can be found";
        RuleError::value(option, value, limit)
    })
}

fn plain_endpoint(value: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Some(bracketed) = value.strip_prefix('[') {
        let (address, port) = bracketed.split_once("]:")?;
        return Some((IpAddr::V6(address.parse().ok()?), Some(plain_port(port)?)));
    }
    match value.split_once(':') {
        None => Some((IpAddr::V4(value.parse().ok()?), None)),
        Some((address, port)) => match address.parse() {
            Ok(address) => Some((IpAddr::V4(address), Some(plain_port(port)?))),
            Err(_) => Some((IpAddr::V6(value.parse().ok()?), None)),
        },
    }
}

fn plain_port(text: &str) -> Option<u16> {
    u16::try_from(number(text, 0..=u16::MAX.into())?).ok()
}

/// Reads a persistence mask for that family.
pub(super) fn mask(
    option: &'static str,
    value: &str,
    family: Family,
    lookup: &mut dyn Lookup,
) -> Result<PersistenceMask, RuleError> {
    let plain = match family {
        Family::Inet => value.parse::<Ipv4Addr>().ok().map(PersistenceMask::Inet),
        Family::Inet6 => number(value, 1..=128).map(PersistenceMask::Inet6),
    };
    plain.or_else(|| lookup.mask(value, family)).ok_or_else(|| {
        let limit = match family {
            Family::Inet => "must be a netmask such as 255.255.255.0",
            Family::Inet6 => "must be a prefix length from 1 to 128",
        };
        RuleError::value(option, value, limit)
    })
}

/// Reads a multicast group.
pub(super) fn group(option: &'static str, value: &str) -> Result<IpAddr, RuleError> {
    let address = if value.contains(':') {
        value.parse::<Ipv6Addr>().map(IpAddr::V6)
    } else {
        value.parse::<Ipv4Addr>().map(IpAddr::V4)
    };
    match address {
        Ok(address) if address.is_multicast() => Ok(address),
        _ => {
            let limit = "must be an IPv4 address from 224.0.0.0 to 239.255.255.255 or an IPv6 \
                         address of ff00::/8";
            Err(RuleError::value(option, value, limit))
        }
    }
}

/// The beginning of a name that fits into that many bytes.
pub(super) fn cut(name: &str, bytes: usize) -> &str {
    let mut end = bytes.min(name.len());
    while !name.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    name.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_strtols() {
        for (text, expected) in [
            ("0", Some(0)),
            ("010", Some(10)),
            ("+5", Some(5)),
            (" 5", Some(5)),
            ("-0", Some(0)),
            ("2147483647", Some(2_147_483_647)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("99999999999999999999", None),
            ("-1", None),
            ("5 ", None),
            ("0x5", None),
            ("", None),
            (" ", None),
            ("+", None),
            ("+-5", None),
            ("+ 5", None),
            ("five", None),
        ] {
            assert_eq!(number(text, 0..=u32::MAX), expected, "{text:?}");
        }
    }

    #[test]
    fn endpoints_without_names() {
        let read = |text| {
            let (address, port) = endpoint("-r", text, None, &mut NumbersOnly).ok()?;
            Some(match port {
                Some(port) => format!("{address} {port}"),
                None => address.to_string(),
            })
        };
        for (text, expected) in [
            ("10.0.0.1:80", "10.0.0.1 80"),
            ("10.0.0.1", "10.0.0.1"),
            ("10.0.0.1:0", "10.0.0.1 0"),
            ("10.0.0.1:+080", "10.0.0.1 80"),
            ("[fd00::1]:80", "fd00::1 80"),
            ("fd00::1", "fd00::1"),
            ("fd00::5:80", "fd00::5:80"),
            ("[::ffff:10.0.0.1]:80", "::ffff:10.0.0.1 80"),
            ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            ":80",
            "10.0.0.1:",
            "10.0.0.1:65536",
            "10.0.0.1:-1",
            "10.0.0.1:http",
            "10.0.0.1:80:90",
            "10.0.1:80",
            "010.0.0.1:80",
            "localhost:80",
            "80",
            "[fd00::1]",
            "[fd00::1]:",
            "[fd00::1]80",
            "[fd00::1]:80x",
            "[fd00::1:80",
            "fd00::1]:80",
            "[10.0.0.1]:80",
            "fe80::1%lo",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(cut("abc", 5), "abc");
        assert_eq!(cut("abcdef", 3), "abc");
        assert_eq!(cut("aéb", 2), "a");
    }
}
