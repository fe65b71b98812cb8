//! What the kernel says about its IPVS.

use core::fmt;

/// Reply to `GET_INFO`.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Info {
    /// IPVS version; 1.2.1 in every kernel seen, so of no use to tell kernels apart.
    pub version: IpvsVersion,
    /// Buckets of the connection table. Up to Linux 7.0 a constant (4096 by default), from 7.1
    /// its present size and 0 until the first service exists. For information only.
    pub connection_table_size: u32,
}

/// The version of IPVS, one byte for each component.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct IpvsVersion(u32);

impl IpvsVersion {
    /// Takes the number of the wire, such as `0x010201`.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The number of the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for IpvsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [_, major, minor, patch] = self.0.to_be_bytes();
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_three_components() {
        assert_eq!(IpvsVersion::from_number(0x0001_0201).to_string(), "1.2.1");
    }
}
