//! Address families, lists of virtual addresses, MAC addresses, groups.
//!
//! Lists are kept as they travel: one family, 4 or 16 bytes an address. So a received list and a
//! configured one are the same thing to compare and to send, and none mixes families (`VRRP-030`).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::slice::ChunksExact;
use core::str::FromStr;

use crate::error::ValueError;

/// The IPv4 group advertisements are sent to. RFC 9568 §5.1.1.2 (`VRRP-002`).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// The IPv6 group advertisements are sent to. RFC 9568 §5.1.2.2 (`VRRP-008`).
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
/// The protocol number of VRRP. RFC 9568 §5.1.1.4 (`VRRP-006`).
pub const PROTOCOL: u8 = 112;
/// The time to live and hop limit of an advertisement. RFC 9568 §5.1.1.3, §5.1.2.3 (`VRRP-004`,
/// `VRRP-009`).
pub const TTL: u8 = 255;

/// Address family of a virtual router.
#[expect(
    clippy::exhaustive_enums,
    reason = "VRRP is defined for these two families only"
)]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// The family an address belongs to.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// Bytes of an address: 4 or 16.
    #[must_use]
    pub const fn address_len(self) -> usize {
        match self {
            Self::Ipv4 => 4,
            Self::Ipv6 => 16,
        }
    }

    /// The group advertisements of this family are sent to.
    #[must_use]
    pub const fn group(self) -> IpAddr {
        match self {
            Self::Ipv4 => IpAddr::V4(GROUP_V4),
            Self::Ipv6 => IpAddr::V6(GROUP_V6),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// Number of a network interface, as `if_nametoindex(3)` gives it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct InterfaceIndex(u32);

impl InterfaceIndex {
    /// The interface with that number.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for InterfaceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A borrowed list of addresses of one family, in the order in which they are advertised.
///
/// Received lists may hold anything: no address, or one twice.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Addresses<'a> {
    family: Family,
    /// A whole number of addresses.
    octets: &'a [u8],
}

impl<'a> Addresses<'a> {
    /// The addresses in these bytes, or `None` if the last one is cut off.
    #[must_use]
    pub fn new(family: Family, octets: &'a [u8]) -> Option<Self> {
        (octets.len() % family.address_len() == 0).then_some(Self { family, octets })
    }

    /// The family of all of them.
    #[must_use]
    pub const fn family(self) -> Family {
        self.family
    }

    /// The bytes of all of them, as on the wire.
    #[must_use]
    pub const fn octets(self) -> &'a [u8] {
        self.octets
    }

    /// How many there are.
    #[must_use]
    pub const fn len(self) -> usize {
        match self.family {
            Family::Ipv4 => self.octets.len() >> 2,
            Family::Ipv6 => self.octets.len() >> 4,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.octets.is_empty()
    }

    /// The addresses, in order.
    #[must_use]
    pub fn iter(self) -> AddressesIter<'a> {
        AddressesIter {
            octets: self.octets.chunks_exact(self.family.address_len()),
        }
    }

    /// The first address: for IPv6 the link-local one of the virtual router.
    #[must_use]
    pub fn first(self) -> Option<IpAddr> {
        self.iter().next()
    }

    /// Whether the first address may come first: any of IPv4, a link-local one (fe80::/10) of IPv6.
    /// RFC 9568 §5.2.9 (`VRRP-029`). An empty list has none, so no.
    #[must_use]
    pub fn first_is_valid(self) -> bool {
        match self.octets {
            [] => false,
            [first, second, ..] if self.family == Family::Ipv6 => {
                *first == 0xfe && second & 0xc0 == 0x80
            }
            _ => true,
        }
    }
}

impl fmt::Debug for Addresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

/// The addresses with commas between them.
impl fmt::Display for Addresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, address) in self.iter().enumerate() {
            if number > 0 {
                f.write_str(",")?;
            }
            write!(f, "{address}")?;
        }
        Ok(())
    }
}

impl<'a> IntoIterator for Addresses<'a> {
    type Item = IpAddr;
    type IntoIter = AddressesIter<'a>;

    fn into_iter(self) -> AddressesIter<'a> {
        self.iter()
    }
}

/// The addresses of an [`Addresses`], in order.
#[derive(Clone, Debug)]
pub struct AddressesIter<'a> {
    octets: ChunksExact<'a, u8>,
}

impl Iterator for AddressesIter<'_> {
    type Item = IpAddr;

    fn next(&mut self) -> Option<IpAddr> {
        let octets = self.octets.next()?;
        if let Ok(octets) = <[u8; 4]>::try_from(octets) {
            return Some(octets.into());
        }
        <[u8; 16]>::try_from(octets).ok().map(Into::into)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.octets.size_hint()
    }
}

impl ExactSizeIterator for AddressesIter<'_> {}

/// The virtual addresses of a router: 1 to 255 of one family, none twice, in the order in which
/// they are advertised (`VRRP-031`).
///
/// ```
/// use lvs_vrrp::AddressList;
///
/// let list = AddressList::new(["192.0.2.1".parse()?, "192.0.2.2".parse()?])?;
/// assert_eq!(list.as_addresses().to_string(), "192.0.2.1,192.0.2.2");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct AddressList {
    family: Family,
    octets: Box<[u8]>,
    /// The places in the list, sorted by address.
    sorted: Box<[u8]>,
}

impl AddressList {
    /// A list of these addresses.
    ///
    /// # Errors
    ///
    /// [`ValueError::AddressCount`] for none or more than 255, [`ValueError::AddressFamily`] where
    /// IPv4 and IPv6 are mixed, [`ValueError::AddressTwice`].
    pub fn new(addresses: impl IntoIterator<Item = IpAddr>) -> Result<Self, ValueError> {
        let addresses: Vec<IpAddr> = addresses.into_iter().take(256).collect();
        let (Some(first), Ok(count)) = (addresses.first(), u8::try_from(addresses.len())) else {
            return Err(ValueError::AddressCount {
                value: addresses.len(),
            });
        };
        let family = Family::of(*first);
        if let Some(&address) = addresses.iter().find(|a| Family::of(**a) != family) {
            return Err(ValueError::AddressFamily { address });
        }
        let mut order: Vec<(IpAddr, u8)> = addresses.iter().copied().zip(0..count).collect();
        order.sort_unstable();
        let mut pairs = order.iter().zip(order.iter().skip(1));
        if let Some(((address, _), _)) = pairs.find(|(one, next)| one.0 == next.0) {
            return Err(ValueError::AddressTwice { address: *address });
        }
        let mut octets = Vec::new();
        for address in &addresses {
            match address {
                IpAddr::V4(address) => octets.extend(address.octets()),
                IpAddr::V6(address) => octets.extend(address.octets()),
            }
        }
        Ok(Self {
            family,
            octets: octets.into(),
            sorted: order.into_iter().map(|(_, place)| place).collect(),
        })
    }

    /// The list, borrowed.
    #[must_use]
    pub fn as_addresses(&self) -> Addresses<'_> {
        Addresses {
            family: self.family,
            octets: &self.octets,
        }
    }

    /// The family of all of them.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// Whether the other list has the same addresses, in whatever order. RFC 9568 §7.1
    /// (`VRRP-097`).
    ///
    /// The usual case, the same order, is one comparison of bytes; another takes n · log n of them.
    #[must_use]
    #[inline]
    pub fn is_same_set(&self, other: Addresses<'_>) -> bool {
        self.as_addresses() == other || self.is_permutation(other)
    }

    fn is_permutation(&self, other: Addresses<'_>) -> bool {
        if self.family != other.family || self.octets.len() != other.octets.len() {
            return false;
        }
        // As many addresses as here, each one of these, and no place found twice.
        let mut seen = [0_u64; 4];
        other
            .octets
            .chunks_exact(self.family.address_len())
            .all(|address| {
                let Ok(place) = self
                    .sorted
                    .binary_search_by(|place| self.at(*place).cmp(address))
                else {
                    return false;
                };
                let bit = 1_u64.rotate_left(u32::try_from(place).unwrap_or(0) % 64);
                match seen.get_mut(place >> 6) {
                    Some(word) if *word & bit == 0 => {
                        *word |= bit;
                        true
                    }
                    _ => false,
                }
            })
    }

    /// The bytes of the address at a place of the list.
    fn at(&self, place: u8) -> &[u8] {
        let mut chunks = self.octets.chunks_exact(self.family.address_len());
        chunks.nth(usize::from(place)).unwrap_or_default()
    }
}

impl fmt::Debug for AddressList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_addresses().fmt(f)
    }
}

impl<'a> From<&'a AddressList> for Addresses<'a> {
    fn from(list: &'a AddressList) -> Self {
        list.as_addresses()
    }
}

/// Copies a received list that is fit to be configured: not empty, no address twice.
impl TryFrom<Addresses<'_>> for AddressList {
    type Error = ValueError;

    fn try_from(addresses: Addresses<'_>) -> Result<Self, ValueError> {
        Self::new(addresses)
    }
}

/// A MAC address.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// Every station: `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// `00:00:00:00:00:00`.
    pub const ZERO: Self = Self([0; 6]);
    /// Where IPv6's all-nodes group, ff02::1, is sent to.
    pub const ALL_NODES: Self = Self([0x33, 0x33, 0, 0, 0, 1]);

    /// The address with these bytes.
    #[must_use]
    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// Where packets to a group are sent to on Ethernet, or `None` for an address that is no group.
    /// RFC 1112 §6.4, RFC 2464 §7.
    ///
    /// ```
    /// use lvs_vrrp::{Family, MacAddress};
    ///
    /// let mac = MacAddress::of_group(Family::Ipv4.group()).unwrap();
    /// assert_eq!(mac.to_string(), "01:00:5e:00:00:12");
    /// ```
    #[must_use]
    pub const fn of_group(group: IpAddr) -> Option<Self> {
        if !group.is_multicast() {
            return None;
        }
        Some(match group {
            IpAddr::V4(group) => {
                let [_, b, c, d] = group.octets();
                Self([0x01, 0x00, 0x5e, b & 0x7f, c, d])
            }
            IpAddr::V6(group) => {
                let [.., a, b, c, d] = group.octets();
                Self([0x33, 0x33, a, b, c, d])
            }
        })
    }

    /// The bytes.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl FromStr for MacAddress {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            *octet = parts
                .next()
                .filter(|part| part.len() == 2 && !part.starts_with('+'))
                .and_then(|part| u8::from_str_radix(part, 16).ok())
                .ok_or(ValueError::MacAddress)?;
        }
        match parts.next() {
            None => Ok(Self(octets)),
            Some(_) => Err(ValueError::MacAddress),
        }
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn list(text: &[&str]) -> Result<AddressList, ValueError> {
        AddressList::new(text.iter().map(|address| address.parse().unwrap()))
    }

    /// `VRRP-018`, `VRRP-030`
    #[test]
    fn bad_lists_are_refused_by_name() {
        for (addresses, message) in [
            (&[][..], "0 virtual addresses are not in 1..=255"),
            (
                &["192.0.2.1", "fe80::1"],
                "virtual address fe80::1 is of another family than the first",
            ),
            (
                &["192.0.2.2", "192.0.2.1", "192.0.2.2"],
                "virtual address 192.0.2.2 is given twice",
            ),
        ] {
            assert_eq!(list(addresses).unwrap_err().to_string(), message);
        }
        let many = |count| AddressList::new((0..count).map(|n: u32| Ipv4Addr::from(n).into()));
        assert_eq!(many(255).unwrap().as_addresses().len(), 255);
        assert_eq!(many(256), Err(ValueError::AddressCount { value: 256 }));
    }

    /// `VRRP-031`, `VRRP-097`: the order is kept, and is nothing to a comparison.
    #[test]
    fn lists_compare_as_sets() {
        let ours = list(&["192.0.2.9", "192.0.2.1", "192.0.2.5"]).unwrap();
        assert_eq!(
            ours.as_addresses().to_string(),
            "192.0.2.9,192.0.2.1,192.0.2.5"
        );
        for (other, same) in [
            (&["192.0.2.9", "192.0.2.1", "192.0.2.5"][..], true),
            (&["192.0.2.1", "192.0.2.5", "192.0.2.9"], true),
            (&["192.0.2.1", "192.0.2.5", "192.0.2.8"], false),
            (&["192.0.2.1", "192.0.2.5"], false),
            (&["fe80::1"], false),
        ] {
            let other = list(other).unwrap();
            assert_eq!(ours.is_same_set(other.as_addresses()), same);
            assert_eq!(other.is_same_set(ours.as_addresses()), same);
        }
        // Received lists may have an address twice.
        let twice = [192, 0, 2, 1, 192, 0, 2, 1, 192, 0, 2, 9];
        assert!(!ours.is_same_set(Addresses::new(Family::Ipv4, &twice).unwrap()));
    }

    #[test]
    fn a_full_list_in_reverse_is_the_same_set() {
        let addresses: Vec<IpAddr> = (0..255_u32).map(|n| Ipv4Addr::from(n).into()).collect();
        let ours = AddressList::new(addresses.iter().copied()).unwrap();
        let reversed = AddressList::new(addresses.into_iter().rev()).unwrap();
        assert!(ours.is_same_set(reversed.as_addresses()));
    }

    /// `VRRP-029`: fe80::/10.
    #[test]
    fn only_link_local_addresses_may_come_first_in_ipv6() {
        for (address, valid) in [
            ("fe80::1", true),
            ("febf::1", true),
            ("fec0::1", false),
            ("fe7f::1", false),
            ("2001:db8::1", false),
            ("254.128.0.1", true),
            ("10.0.0.1", true),
        ] {
            let list = list(&[address]).unwrap();
            assert_eq!(list.as_addresses().first_is_valid(), valid, "{address}");
        }
    }

    #[test]
    fn mac_addresses_read_what_they_print() {
        let mac = MacAddress::of_group(GROUP_V6.into()).unwrap();
        assert_eq!(mac.to_string(), "33:33:00:00:00:12");
        assert_eq!(mac.to_string().parse(), Ok(mac));
        assert_eq!(MacAddress::of_group(Ipv4Addr::LOCALHOST.into()), None);
        for text in [
            "",
            "1:2:3:4:5:6",
            "01:02:03:04:05",
            "01:02:03:04:05:06:07",
            "+1:02:03:04:05:06",
        ] {
            assert_eq!(
                text.parse::<MacAddress>(),
                Err(ValueError::MacAddress),
                "{text}"
            );
        }
    }
}
