//! The bytes of the protocol: checked views over what was received, values, and writing into a
//! caller's buffer. Nothing here allocates.
//!
//! ```text
//! 0       1       2       3       4       5       6       7       8
//! +---+---+-------+-------+-------+-------+-------+-------+-------+----
//! |ver|typ| VRID  |prio   | count | auth  | int s | checksum      | count × 4 bytes, 8 bytes   VRRPv2
//! |ver|typ| VRID  |prio   | count |res|    int cs | checksum      | count × 4 or 16 bytes      VRRPv3
//! +---+---+-------+-------+-------+-------+-------+-------+-------+----
//! ```
//!
//! A view ([`Message`], [`v2::View`], [`v3::View`], [`AhView`], [`Ipv4View`], …) borrows the bytes,
//! has checked their length and nothing else, and has a getter for each field. The value is
//! [`Advertisement`]. A [`Transmission`] says how it travels, and writes message, packet or frame.
//! Announcements are [`GratuitousArp`] and [`UnsolicitedNa`].
//!
//! Whether an advertisement is to be believed is not decided here but by
//! [`receive`](crate::receive()).

#![deny(clippy::arithmetic_side_effects, clippy::as_conversions)]

mod arp;
mod auth;
mod emit;
mod ethernet;
mod ip;
mod neighbor;
mod packet;
#[cfg(feature = "hmac-trailer")]
mod trailer;
pub mod v2;
pub mod v3;

pub use arp::{ArpOperation, ArpTarget, GratuitousArp};
pub use auth::{AhFlavour, AhKey, AhView, AuthType, Authentication, Password};
pub use emit::Transmission;
pub use ethernet::{EthernetView, ethernet_header};
pub use ip::{Ipv4View, Ipv6View};
pub use neighbor::UnsolicitedNa;
pub use packet::{Advertisement, Message};
#[cfg(feature = "hmac-trailer")]
pub use trailer::{TrailerKey, TrailerView};

/// Why bytes are not what they were read as.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end too early, or too late.
    #[error("{what} has {given} bytes instead of {needed}")]
    Length {
        /// What was read.
        what: &'static str,
        /// How many bytes it needs: exactly, or at least.
        needed: usize,
        /// How many there are.
        given: usize,
    },
    /// A field has a value that it cannot have.
    #[error("{field} of {what} at byte {offset} cannot be {value}")]
    Field {
        /// What was read.
        what: &'static str,
        /// The field.
        field: &'static str,
        /// Where it begins, in bytes.
        offset: usize,
        /// The value read.
        value: u32,
    },
}

/// Appends to a slice.
struct Writer<'a> {
    rest: &'a mut [u8],
}

impl<'a> Writer<'a> {
    const fn new(rest: &'a mut [u8]) -> Self {
        Self { rest }
    }

    /// Writes these bytes, or nothing where they do not fit.
    ///
    /// Callers have looked at the length before; so a miss, which would leave the end of a packet
    /// unwritten, cannot happen.
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if let Some((place, rest)) =
            core::mem::take(&mut self.rest).split_at_mut_checked(bytes.len())
        {
            place.copy_from_slice(bytes);
            self.rest = rest;
        }
    }
}
