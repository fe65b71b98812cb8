//! Versions of the protocol.

use core::fmt;

/// A version of the protocol.
#[expect(
    clippy::exhaustive_enums,
    reason = "the two versions in use; another is rejected"
)]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Version {
    /// VRRPv2: IPv4 only, whole seconds. RFC 3768; authentication from RFC 2338.
    V2,
    /// VRRPv3: IPv4 and IPv6, centiseconds. RFC 9568, RFC 5798.
    V3,
}

impl Version {
    /// The number on the wire: 2 or 3.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }

    /// The version with that number, or `None`.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            2 => Some(Self::V2),
            3 => Some(Self::V3),
            _ => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V2 => "VRRPv2",
            Self::V3 => "VRRPv3",
        })
    }
}
