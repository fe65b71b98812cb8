//! The Internet checksum (RFC 1071), and which bytes a VRRP checksum covers.
//!
//! | Message | Covered |
//! |---|---|
//! | VRRPv2 | the whole message, authentication data included (`VRRP-027`) |
//! | VRRPv3 over IPv6 | pseudo-header and message (`VRRP-024`) |
//! | VRRPv3 over IPv4, RFC 9568 | the message (`VRRP-025`) |
//! | VRRPv3 over IPv4, RFC 5798 to the letter | pseudo-header and message (`VRRP-026`) |
//!
//! Both forms of VRRPv3 over IPv4 are deployed. What to accept and what to send is a
//! [`ChecksumPolicy`]; a [`FormFollower`] remembers which form the peers use.

mod follow;
mod policy;

use core::net::IpAddr;

pub use follow::FormFollower;
pub use policy::{ChecksumFinding, ChecksumForm, ChecksumPolicy, RxChecksum, TxChecksum};

use crate::address::PROTOCOL;

/// A one's complement sum in the making.
///
/// ```
/// use lvs_vrrp::checksum::Sum;
///
/// let sum = Sum::new().with(&[0x31, 0x05, 0x42, 0x01, 0x00, 0x64]).with(&[10, 0, 21, 1]);
/// assert_eq!(sum.checksum(), 0x6d94);
/// assert!(sum.with(&[0x6d, 0x94]).verifies());
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct Sum(u64);

impl Sum {
    /// The sum of nothing.
    pub const fn new() -> Self {
        Self(0)
    }

    /// Adds bytes as big-endian words of 16 bits; an odd byte at the end counts as if a zero
    /// followed. So all pieces but the last have an even length.
    #[inline]
    pub fn with(self, bytes: &[u8]) -> Self {
        // Words of 32 bits fold to the same sum. 2^32 of them fit, more than any packet has.
        let mut sum = self.0;
        let mut rest = bytes;
        while let Some((word, further)) = rest.split_first_chunk::<8>() {
            sum = sum.wrapping_add(halves(u64::from_be_bytes(*word)));
            rest = further;
        }
        if let Some((word, further)) = rest.split_first_chunk::<4>() {
            sum = sum.wrapping_add(u32::from_be_bytes(*word).into());
            rest = further;
        }
        let last = match *rest {
            [a] => [a, 0, 0, 0],
            [a, b] => [a, b, 0, 0],
            [a, b, c] => [a, b, c, 0],
            _ => return Self(sum),
        };
        Self(sum.wrapping_add(u32::from_be_bytes(last).into()))
    }

    /// Adds the pseudo-header of a VRRP message of `length` bytes between these addresses: both
    /// addresses, the length, the protocol. RFC 8200 §8.1 for IPv6; the same idea for IPv4.
    #[inline]
    pub fn with_pseudo_header(self, source: IpAddr, destination: IpAddr, length: usize) -> Self {
        self.with_pseudo_header_of(source, destination, length, PROTOCOL)
    }

    /// The same for another protocol.
    #[inline]
    pub(crate) fn with_pseudo_header_of(
        self,
        source: IpAddr,
        destination: IpAddr,
        length: usize,
        protocol: u8,
    ) -> Self {
        self.with_address(source)
            .with_address(destination)
            .with_length(length, protocol)
    }

    /// The pseudo-header without its addresses.
    #[inline]
    pub(crate) fn with_length(self, length: usize, protocol: u8) -> Self {
        let length = u64::try_from(length).unwrap_or(u64::MAX) & 0xffff_ffff;
        Self(self.0.wrapping_add(length).wrapping_add(protocol.into()))
    }

    /// What two sums give together.
    #[inline]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// An address of the pseudo-header.
    #[inline]
    pub(crate) fn with_address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self(self.0.wrapping_add(address.to_bits().into())),
            IpAddr::V6(address) => {
                let [high, low] = [
                    address.to_bits() >> 64,
                    address.to_bits() & u128::from(u64::MAX),
                ];
                let half = |bits| halves(u64::try_from(bits).unwrap_or(u64::MAX));
                Self(self.0.wrapping_add(half(high)).wrapping_add(half(low)))
            }
        }
    }

    /// The value of a checksum field that was zero, or left out, in the sum.
    #[inline]
    #[must_use]
    pub fn checksum(self) -> u16 {
        !self.folded()
    }

    /// Whether a sum that includes the checksum field is right.
    #[inline]
    #[must_use]
    pub fn verifies(self) -> bool {
        self.folded() == 0xffff
    }

    #[inline]
    fn folded(self) -> u16 {
        let sum = halves(halves(self.0));
        let sum = (sum & 0xffff).wrapping_add(sum >> 16);
        let sum = (sum & 0xffff).wrapping_add(sum >> 16);
        u16::try_from(sum).unwrap_or(u16::MAX)
    }
}

/// The sum of the upper and the lower 32 bits.
#[inline]
const fn halves(word: u64) -> u64 {
    (word >> 32).wrapping_add(word & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The plain algorithm of RFC 1071 §4.1, to compare with.
    fn plain(bytes: &[u8]) -> u16 {
        let mut sum: u32 = bytes
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
            .sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !u16::try_from(sum).unwrap()
    }

    #[test]
    fn agrees_with_the_plain_algorithm_at_every_length() {
        let bytes: std::vec::Vec<u8> = (0..600_u32)
            .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
            .collect();
        for length in 0..bytes.len() {
            assert_eq!(
                Sum::new().with(&bytes[..length]).checksum(),
                plain(&bytes[..length])
            );
            let (head, tail) = bytes[..length].split_at(length / 4 * 2);
            assert_eq!(
                Sum::new().with(head).with(tail).checksum(),
                plain(&bytes[..length])
            );
        }
        for length in [65_534, 65_535] {
            let ones = std::vec![0xff; length];
            assert_eq!(Sum::new().with(&ones).checksum(), plain(&ones));
        }
    }

    /// RFC 1071 §3 has the sum ddf2 for these bytes.
    #[test]
    fn agrees_with_the_example_of_rfc_1071() {
        let sum = Sum::new().with(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.checksum(), !0xddf2);
    }
}
