//! How addresses become slots: folding to 32 bits, and the two hashes of the address tables.
//!
//! dh, sh, lblc and lblcr find the slot of an address in two steps: [`fold`] makes 32 bits of it, and
//! [`AddressHash`] picks as many bits of a product as the table needs. Kernels until about 4.17 took
//! the low bits of the product, later ones the high bits, see
//! [`Semantics::address_hash`](crate::Semantics::address_hash). mh folds in the same way and hashes
//! with [`siphash`].
//!
//! ```
//! use lvs_schedulers::AddressHash;
//! use lvs_schedulers::hash::fold;
//!
//! let folded = fold("192.168.0.1".parse()?);
//! assert_eq!(folded, 0xc0a8_0001);
//! assert_eq!(AddressHash::HighBits.slot(folded, 8), 192);
//! assert_eq!(AddressHash::LowBits.slot(folded, 8), 177);
//! # Ok::<(), std::net::AddrParseError>(())
//! ```
//!
//! Sources: `ip_vs_dh.c`, `ip_vs_sh.c`, `ip_vs_mh.c`, `ip_vs_lblc.c`, `ip_vs_lblcr.c` and
//! `include/linux/hash.h` of the kernel.

pub mod siphash;
pub(crate) mod slots;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::flags::SchedulerFlags;
use crate::flow::{Flow, Protocol};
use crate::semantics::AddressHash;

/// Makes 32 bits of an address: an IPv4 address as it is, of an IPv6 address the exclusive or of its
/// four 32-bit words.
///
/// Addresses that differ only by an exchange of words, or by the same change of two words, fold to
/// the same number and share their slots.
pub const fn fold(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => fold_v4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d] = words(address);
            a ^ b ^ c ^ d
        }
    }
}

/// Folds the address of a destination as the kernel does for a service of the given family.
///
/// The kernel folds with the family of the *service*. In an IPv4 service it takes only the first
/// word of an IPv6 destination (tunnelled to), so that all destinations of one /32 network fold to
/// the same number. In an IPv6 service an IPv4 destination folds to its address, for the words after
/// the first are zero.
///
/// ```
/// use lvs_schedulers::hash::fold_destination;
///
/// let destination = "2001:db8::7".parse()?;
/// assert_eq!(fold_destination(destination, true), 0x2001_0db8 ^ 7);
/// assert_eq!(fold_destination(destination, false), 0x2001_0db8);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub const fn fold_destination(address: IpAddr, service_is_ipv6: bool) -> u32 {
    match address {
        IpAddr::V6(address) if !service_is_ipv6 => {
            let [first, ..] = words(address);
            first
        }
        address => fold(address),
    }
}

const fn fold_v4(address: Ipv4Addr) -> u32 {
    u32::from_be_bytes(address.octets())
}

const fn words(address: Ipv6Addr) -> [u32; 4] {
    let bits = u128::from_be_bytes(address.octets());
    [
        (bits >> 96) as u32,
        (bits >> 64) as u32,
        (bits >> 32) as u32,
        bits as u32,
    ]
}

/// The client's port, if the flags want it hashed and the protocol has one; otherwise 0.
#[inline]
pub(crate) const fn client_port(flow: &Flow, flags: SchedulerFlags) -> u16 {
    match flow.protocol() {
        Protocol::Tcp | Protocol::Udp | Protocol::Sctp if flags.port() => flow.client().port(),
        Protocol::Tcp | Protocol::Udp | Protocol::Sctp => 0,
    }
}

impl AddressHash {
    /// The slot of `value` (a folded address, plus a port where ports count) in a table of
    /// 2^`bits` slots; 1 to 32 bits, with 0 there is only slot 0.
    #[inline]
    pub const fn slot(self, value: u32, bits: u32) -> u32 {
        let unused = 32_u32.saturating_sub(bits);
        let hash = match self {
            Self::HighBits => value.wrapping_mul(0x61C8_8647).checked_shr(unused),
            // Shifted out at the top and back, so that only the low bits are left.
            Self::LowBits => match value.wrapping_mul(2_654_435_761).checked_shl(unused) {
                Some(low) => low.checked_shr(unused),
                None => None,
            },
        };
        match hash {
            Some(slot) => slot,
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spec §1.8: the table of folds and of high-bit hashes with 8 and 10 bits.
    #[test]
    fn section_1_8_folds_and_hashes() {
        for (address, folded, bits8, bits10) in [
            ("192.168.0.1", 0xc0a8_0001, 192, 769),
            ("192.168.0.2", 0xc0a8_0002, 34, 136),
            ("192.168.7.9", 0xc0a8_0709, 74, 297),
            ("10.0.0.1", 0x0a00_0001, 39, 159),
            ("2001:db8::1", 0x2001_0db9, 63, 252),
        ] {
            let value = fold(address.parse().unwrap());
            assert_eq!(value, folded, "{address}");
            let slots = [8, 10].map(|bits| AddressHash::HighBits.slot(value, bits));
            assert_eq!(slots, [bits8, bits10], "{address}");
        }
    }

    /// Spec §11: the slots before 4.18, 8 bits, no port.
    #[test]
    fn section_11_slots_of_the_older_hash() {
        for (address, slot) in [
            ("192.168.0.1", 177),
            ("192.168.0.2", 98),
            ("192.168.0.3", 19),
            ("10.20.30.40", 168),
            ("2001:db8::1", 233),
        ] {
            let value = fold(address.parse().unwrap());
            assert_eq!(AddressHash::LowBits.slot(value, 8), slot, "{address}");
        }
    }

    /// Spec §1.8: of the older hash with 8 bits only the last byte (plus port) matters.
    #[test]
    fn the_older_hash_sees_only_the_low_bits() {
        for value in [0, 1, 0x1234_56ff, u32::MAX] {
            assert_eq!(
                AddressHash::LowBits.slot(value, 8),
                AddressHash::LowBits.slot(value & 0xff, 8)
            );
            for bits in 1..=32 {
                let modulus = 1_u64 << bits;
                let product = u64::from(value) * 2_654_435_761;
                let slot = AddressHash::LowBits.slot(value, bits);
                assert_eq!(u64::from(slot), product % modulus, "{value} {bits}");
            }
        }
    }

    #[test]
    fn every_slot_is_within_the_table() {
        for hash in [AddressHash::HighBits, AddressHash::LowBits] {
            for value in [0, 1, 0xc0a8_0001, u32::MAX] {
                assert_eq!(hash.slot(value, 0), 0);
                for bits in 1..32 {
                    assert!(hash.slot(value, bits) < 1 << bits);
                }
                assert_eq!(hash.slot(value, 40), hash.slot(value, 32));
            }
        }
    }

    #[test]
    fn all_four_words_of_an_ipv6_address_are_folded() {
        let address = "1:2:30:40:500:600:7000:8000".parse().unwrap();
        assert_eq!(
            fold(address),
            0x0001_0002 ^ 0x0030_0040 ^ 0x0500_0600 ^ 0x7000_8000
        );
    }

    /// Spec §1.8: the family is that of the service, also for a destination of the other one.
    #[test]
    fn destinations_are_folded_with_the_family_of_the_service() {
        let (v4, v6) = ("10.0.0.1".parse().unwrap(), "fd00:1::5".parse().unwrap());
        assert_eq!(fold_destination(v4, false), 0x0a00_0001);
        assert_eq!(fold_destination(v4, true), 0x0a00_0001);
        assert_eq!(fold_destination(v6, true), 0xfd00_0001 ^ 5);
        assert_eq!(fold_destination(v6, false), 0xfd00_0001);
    }
}
