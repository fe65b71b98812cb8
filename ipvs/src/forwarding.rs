//! How packets get from the director to a destination.

use core::fmt;

use crate::flags::TunnelFlags;

/// The forwarding method of a destination: the low three bits of `FWD_METHOD`.
///
/// The kernel stores all eight values and acts on the first four as described; the others are
/// never asked for by this crate and refused by validation.
#[expect(clippy::exhaustive_enums, reason = "three bits: the set is complete")]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Forwarding {
    /// Masquerading (NAT): addresses are rewritten, replies pass the director. The kernel's
    /// default (0) and the only method that can change the port.
    #[default]
    Masquerade,
    /// The director itself. Destinations with a local address are delivered locally whatever
    /// their method.
    Local,
    /// Encapsulated; see [`Encapsulation`]. The only method that may cross address families.
    Tunnel,
    /// Direct routing: only the link-layer destination changes; replies go straight back.
    DirectRoute,
    /// Cache bypass; the kernel uses it for itself.
    Bypass,
    /// Value 5, without meaning.
    Undefined5,
    /// Value 6, without meaning.
    Undefined6,
    /// Value 7, without meaning.
    Undefined7,
}

impl Forwarding {
    /// The value on the wire, 0 to 7.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Masquerade => 0,
            Self::Local => 1,
            Self::Tunnel => 2,
            Self::DirectRoute => 3,
            Self::Bypass => 4,
            Self::Undefined5 => 5,
            Self::Undefined6 => 6,
            Self::Undefined7 => 7,
        }
    }

    /// Reads the low three bits, as the kernel does.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        match bits & 7 {
            0 => Self::Masquerade,
            1 => Self::Local,
            2 => Self::Tunnel,
            3 => Self::DirectRoute,
            4 => Self::Bypass,
            5 => Self::Undefined5,
            6 => Self::Undefined6,
            _ => Self::Undefined7,
        }
    }
}

impl fmt::Display for Forwarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Masquerade => "masquerade",
            Self::Local => "local",
            Self::Tunnel => "tunnel",
            Self::DirectRoute => "direct route",
            Self::Bypass => "bypass",
            Self::Undefined5 => "method 5",
            Self::Undefined6 => "method 6",
            Self::Undefined7 => "method 7",
        })
    }
}

/// Outer protocol of a tunnel (`TUN_TYPE`). Other numbers are stored by the kernel unchecked.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TunnelType(u8);

impl TunnelType {
    /// IP in IP, the kernel's default (0).
    pub const IPIP: Self = Self(0);
    /// Generic UDP encapsulation; needs a port (since Linux 5.2).
    pub const GUE: Self = Self(1);
    /// GRE (since Linux 5.3).
    pub const GRE: Self = Self(2);

    /// The type with that number.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        Self(number)
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for TunnelType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IPIP => f.pad("ipip"),
            Self::GUE => f.pad("gue"),
            Self::GRE => f.pad("gre"),
            Self(number) => write!(f, "tunnel type {number}"),
        }
    }
}

/// Tunnel data of a destination; used when its method is [`Forwarding::Tunnel`].
///
/// The kernel stores and reports it for every method, and resets it to the default when a
/// request leaves it out, so it is always read and always sent.
#[expect(
    clippy::exhaustive_structs,
    reason = "the three tunnel attributes of a destination"
)]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Encapsulation {
    /// Outer protocol. Default: IP in IP.
    pub tunnel_type: TunnelType,
    /// UDP port of GUE, 1 to 65535; 0 for the others.
    pub port: u16,
    /// Checksums of GUE and GRE. Default: none.
    pub flags: TunnelFlags,
}

impl Encapsulation {
    /// IP in IP.
    #[must_use]
    pub const fn ipip() -> Self {
        Self {
            tunnel_type: TunnelType::IPIP,
            port: 0,
            flags: TunnelFlags::empty(),
        }
    }

    /// Generic UDP encapsulation to that port, without checksum.
    #[must_use]
    pub const fn gue(port: u16) -> Self {
        Self {
            tunnel_type: TunnelType::GUE,
            port,
            flags: TunnelFlags::empty(),
        }
    }

    /// GRE without checksum.
    #[must_use]
    pub const fn gre() -> Self {
        Self {
            tunnel_type: TunnelType::GRE,
            port: 0,
            flags: TunnelFlags::empty(),
        }
    }

    /// Replaces the checksum flags.
    #[must_use]
    pub const fn with_flags(mut self, flags: TunnelFlags) -> Self {
        self.flags = flags;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_their_low_three_bits() {
        for number in 0..=7 {
            assert_eq!(Forwarding::from_bits(number).number(), number);
            assert_eq!(Forwarding::from_bits(number | 0xffff_fff8).number(), number);
        }
    }
}
