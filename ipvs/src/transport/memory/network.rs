//! The interfaces and addresses that IPVS asks about: destinations must be reachable kinds of
//! addresses, sync daemons need an interface.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network interface of a [`MemoryKernel`](super::MemoryKernel).
///
/// ```
/// use lvs_ipvs::{Interface, MemoryKernel};
/// let kernel = MemoryKernel::default();
/// kernel.set_interfaces([
///     Interface::loopback(),
///     Interface::new("eth0").with_address("192.0.2.1".parse()?, 24).with_mtu(9000),
/// ]);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Interface {
    name: String,
    addresses: Vec<(IpAddr, u8)>,
    mtu: u32,
    up: bool,
    loopback: bool,
    ipv6: bool,
}

impl Interface {
    /// An interface that is up, with an MTU of 1500 bytes, IPv6, and no address.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            addresses: Vec::new(),
            mtu: 1500,
            up: true,
            loopback: false,
            ipv6: true,
        }
    }

    /// `lo` with 127.0.0.1/8 and ::1, MTU 65536: the only interface of a new kernel.
    pub fn loopback() -> Self {
        Self {
            loopback: true,
            mtu: 65536,
            ..Self::new("lo")
        }
        .with_address(Ipv4Addr::LOCALHOST.into(), 8)
        .with_address(Ipv6Addr::LOCALHOST.into(), 128)
    }

    /// Adds an address with its prefix length: 0 to 32 or 128, larger counts as that.
    ///
    /// The IPv4 network's broadcast address follows from it.
    pub fn with_address(mut self, address: IpAddr, prefix: u8) -> Self {
        self.addresses.push((address, prefix));
        self
    }

    /// Replaces the MTU, in bytes. Below 1280 there is no IPv6.
    pub const fn with_mtu(mut self, mtu: u32) -> Self {
        self.mtu = mtu;
        self
    }

    /// Takes the interface down: its addresses are not local then.
    pub const fn down(mut self) -> Self {
        self.up = false;
        self
    }

    /// Turns IPv6 off, as `disable_ipv6` does.
    pub const fn without_ipv6(mut self) -> Self {
        self.ipv6 = false;
        self
    }

    pub(super) const fn mtu(&self) -> u32 {
        self.mtu
    }

    /// Whether a socket bound to it can be connected to a group of that family.
    pub(super) const fn sends_multicast(&self, ipv6: bool) -> bool {
        // The loopback interface has no IPv6 multicast route, but an IPv4 one is not needed
        // (seen on 6.1.176).
        self.up && (!ipv6 || (self.ipv6 && !self.loopback && self.has_ipv6_state()))
    }

    /// Whether the kernel keeps IPv6 state for the interface at all.
    pub(super) const fn has_ipv6_state(&self) -> bool {
        self.mtu >= 1280
    }
}

/// All interfaces.
#[derive(Clone, Debug)]
pub(super) struct Network {
    interfaces: Vec<Interface>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            interfaces: vec![Interface::loopback()],
        }
    }
}

impl Network {
    pub(super) fn new(interfaces: Vec<Interface>) -> Self {
        Self { interfaces }
    }

    pub(super) fn interface(&self, name: &[u8]) -> Option<&Interface> {
        self.interfaces
            .iter()
            .find(|interface| interface.name.as_bytes() == name)
    }

    fn addresses(&self) -> impl Iterator<Item = (&Interface, IpAddr, u8)> {
        self.interfaces
            .iter()
            .filter(|interface| interface.up)
            .flat_map(|interface| {
                interface
                    .addresses
                    .iter()
                    .map(move |(address, prefix)| (interface, *address, *prefix))
            })
    }

    /// Whether the kernel takes the address for a new destination: unicast or its own
    /// (`ip_vs_new_dest`; classes as seen on 6.1.176).
    pub(super) fn accepts(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.accepts_inet(address),
            IpAddr::V6(address) => {
                let unicast = !address.is_unspecified()
                    && !address.is_multicast()
                    && address.to_ipv4_mapped().is_none();
                (unicast && !address.is_unicast_link_local()) || self.is_local_inet6(address)
            }
        }
    }

    fn accepts_inet(&self, address: Ipv4Addr) -> bool {
        if address.is_unspecified() || address.is_broadcast() || address.is_multicast() {
            return false;
        }
        // Where an address of this host is another network's broadcast address, the kernel finds
        // what was configured first (seen on 6.1.176).
        let own = self.addresses().find_map(|(_, own, prefix)| match own {
            IpAddr::V4(own) if own == address => Some(true),
            IpAddr::V4(own) if is_broadcast(address, own, prefix) => Some(false),
            _ => None,
        });
        own.unwrap_or(true)
    }

    fn is_local_inet6(&self, address: Ipv6Addr) -> bool {
        self.addresses()
            .any(|(interface, own, _)| own == address && (interface.ipv6 || interface.loopback))
    }
}

/// Whether `address` is the broadcast address of the network `own` is in.
fn is_broadcast(address: Ipv4Addr, own: Ipv4Addr, prefix: u8) -> bool {
    let host = u32::MAX.checked_shr(prefix.into());
    prefix < 31 && host.is_some_and(|host| address.to_bits() == own.to_bits() | host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network {
        Network::new(vec![
            Interface::loopback().with_address("192.0.2.7".parse().unwrap(), 32),
            Interface::new("dummy0")
                .with_address("10.5.0.1".parse().unwrap(), 24)
                .with_address("fd05::1".parse().unwrap(), 64)
                .with_address("fe80::5".parse().unwrap(), 64),
            Interface::new("d3").with_address("10.77.0.1".parse().unwrap(), 31),
            Interface::new("off")
                .with_address("10.6.0.1".parse().unwrap(), 24)
                .down(),
        ])
    }

    /// The table seen on 6.1.176 with the same addresses.
    #[test]
    fn address_classes_are_the_kernels() {
        let network = network();
        let accepts = |address: &str| network.accepts(address.parse().unwrap());
        for yes in [
            "0.0.0.1",
            "127.0.0.0",
            "127.0.0.1",
            "127.1.2.3",
            "10.5.0.0",
            "10.5.0.1",
            "10.5.0.2",
            "192.0.2.7",
            "192.0.2.8",
            "240.0.0.1",
            "255.255.255.254",
            "169.254.1.1",
            "10.77.0.0",
            "10.77.0.1",
            "10.6.0.255",
            "::1",
            "::2",
            "::10.0.0.1",
            "::fffe:1:2",
            "100::1",
            "64:ff9b::1",
            "e000::1",
            "fd05::",
            "fd05::1",
            "fe00::1",
            "fec0::1",
            "fe80::5",
        ] {
            assert!(accepts(yes), "{yes}");
        }
        for no in [
            "0.0.0.0",
            "127.255.255.255",
            "10.5.0.255",
            "224.0.0.1",
            "239.255.255.255",
            "255.255.255.255",
            "::",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "fe80::",
            "fe80::1",
            "febf::1",
            "ff00::1",
            "ff02::1",
        ] {
            assert!(!accepts(no), "{no}");
        }
    }

    /// Seen on 6.1.176.
    #[test]
    fn the_address_configured_first_decides() {
        let broadcast = |name| Interface::new(name).with_address("10.5.0.1".parse().unwrap(), 24);
        let local = |name| Interface::new(name).with_address("10.5.0.255".parse().unwrap(), 32);
        let own = "10.5.0.255".parse().unwrap();
        assert!(!Network::new(vec![broadcast("a"), local("b")]).accepts(own));
        assert!(Network::new(vec![local("a"), broadcast("b")]).accepts(own));
        let both = Interface::new("a").with_address(own, 24);
        assert!(Network::new(vec![both]).accepts(own));
        let small = Interface::new("a").with_address("10.9.0.1".parse().unwrap(), 30);
        let small = Network::new(vec![small]);
        assert!(!small.accepts("10.9.0.3".parse().unwrap()));
        assert!(small.accepts("10.9.0.0".parse().unwrap()));
    }

    #[test]
    fn multicast_needs_an_interface_that_is_up() {
        let can = |interface: &Interface| {
            (
                interface.sends_multicast(false),
                interface.sends_multicast(true),
            )
        };
        assert_eq!(can(&Interface::loopback()), (true, false));
        assert_eq!(can(&Interface::new("a")), (true, true));
        assert_eq!(can(&Interface::new("a").down()), (false, false));
        assert_eq!(can(&Interface::new("a").without_ipv6()), (true, false));
        assert_eq!(can(&Interface::new("a").with_mtu(100)), (true, false));
    }
}
