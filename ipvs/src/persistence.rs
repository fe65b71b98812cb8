//! Persistence: which clients stick to their destination, and for how long.

use core::fmt;
use core::net::Ipv4Addr;

use crate::address::Family;
use crate::name::EngineName;

/// Persistence of a virtual service, to be given to
/// [`VirtualService::with_persistence`](crate::VirtualService::with_persistence).
///
/// ```
/// use lvs_ipvs::{Persistence, PersistenceMask};
/// let mask = PersistenceMask::Inet([255, 255, 255, 0].into());
/// let per_network = Persistence::new(300).with_mask(mask);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Persistence {
    /// How long a client sticks after its last connection: seconds, 1 to 2678400 (31 days).
    pub timeout_secs: u32,
    /// Clients that share this part of their address count as one. Default: each address.
    pub mask: Option<PersistenceMask>,
    /// Engine that reads a further key from the packet; the kernel ships `sip` only.
    pub engine: Option<EngineName>,
}

impl Persistence {
    /// Persistence with that timeout in seconds, for each client address on its own.
    #[must_use]
    pub const fn new(timeout_secs: u32) -> Self {
        Self {
            timeout_secs,
            mask: None,
            engine: None,
        }
    }

    /// Groups clients by this mask.
    #[must_use]
    pub const fn with_mask(mut self, mask: PersistenceMask) -> Self {
        self.mask = Some(mask);
        self
    }

    /// Uses a persistence engine.
    #[must_use]
    pub const fn with_engine(mut self, engine: EngineName) -> Self {
        self.engine = Some(engine);
        self
    }
}

/// The part of a client address that persistence looks at (`NETMASK`).
///
/// The kernel keeps one for every service, persistent or not.
#[expect(clippy::exhaustive_enums, reason = "one form for each address family")]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum PersistenceMask {
    /// IPv4: a contiguous netmask.
    Inet(Ipv4Addr),
    /// IPv6: a prefix length, 1 to 128.
    Inet6(u32),
}

impl PersistenceMask {
    /// The mask that keeps the whole address: `255.255.255.255` or 128.
    #[must_use]
    pub const fn full(family: Family) -> Self {
        match family {
            Family::Inet => Self::Inet(Ipv4Addr::BROADCAST),
            Family::Inet6 => Self::Inet6(128),
        }
    }

    /// The family the mask is for.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::Inet(_) => Family::Inet,
            Self::Inet6(_) => Family::Inet6,
        }
    }

    /// Whether the mask keeps the whole address.
    #[must_use]
    pub fn is_full(self) -> bool {
        self == Self::full(self.family())
    }

    pub(crate) const fn to_attribute(self) -> [u8; 4] {
        match self {
            Self::Inet(mask) => mask.octets(),
            // Unlike the IPv4 mask this is a plain number in host order.
            Self::Inet6(prefix) => prefix.to_ne_bytes(),
        }
    }

    pub(crate) const fn from_attribute(family: Family, bytes: [u8; 4]) -> Self {
        match family {
            Family::Inet => {
                let [a, b, c, d] = bytes;
                Self::Inet(Ipv4Addr::new(a, b, c, d))
            }
            Family::Inet6 => Self::Inet6(u32::from_ne_bytes(bytes)),
        }
    }
}

impl fmt::Display for PersistenceMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(mask) => mask.fmt(f),
            Self::Inet6(prefix) => prefix.fmt(f),
        }
    }
}

impl From<Ipv4Addr> for PersistenceMask {
    fn from(mask: Ipv4Addr) -> Self {
        Self::Inet(mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_masks_are_address_bytes_and_ipv6_prefixes_host_order() {
        let mask = PersistenceMask::Inet([255, 255, 255, 0].into());
        assert_eq!(mask.to_attribute(), [255, 255, 255, 0]);
        assert_eq!(
            PersistenceMask::Inet6(64).to_attribute(),
            64_u32.to_ne_bytes()
        );
        for mask in [mask, PersistenceMask::Inet6(64)] {
            let read = PersistenceMask::from_attribute(mask.family(), mask.to_attribute());
            assert_eq!(read, mask);
        }
    }

    #[test]
    fn full_masks() {
        assert!(PersistenceMask::full(Family::Inet).is_full());
        assert!(PersistenceMask::full(Family::Inet6).is_full());
        assert!(!PersistenceMask::Inet6(64).is_full());
    }
}
