//! What the review knows of a host.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use lvs_ipvs::SyncDaemon;
use lvs_vrrp::net::sysctl::Finding as RouterFinding;

/// What is known of a host. [`Host::default`] knows nothing: what is `None` gives no findings.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Host {
    /// Its interfaces, in the order of their numbers.
    pub interfaces: Option<Vec<Interface>>,
    /// Sysctls by their path below `/proc/sys/net`, such as `ipv4/ip_forward`, with their values as
    /// the kernel writes them.
    pub sysctls: Option<BTreeMap<String, String>>,
    /// Its IPVS.
    pub ipvs: Option<Ipvs>,
    /// The sync daemons that run.
    pub daemons: Option<Vec<SyncDaemon>>,
    /// What this process may do.
    pub capabilities: Option<Capabilities>,
    /// Its routes: of IPv4 those of the main table, of IPv6 all.
    pub routes: Option<Vec<Route>>,
    /// Networks, and single addresses, whose packets end here, in whatever table.
    pub local: Option<Vec<InterfaceAddress>>,
    /// The marks that rules of nftables, iptables and traffic control set.
    pub marks: Option<Marks>,
    /// What is in the way of its virtual routers, as [`lvs_vrrp`] sees it.
    pub routers: Vec<RouterFinding>,
    /// Commands that were to show more of it and gave no answer in time, so that it is not known.
    pub unanswered: Vec<String>,
    /// This program, for the commands that name it.
    pub program: Option<PathBuf>,
}

/// A network interface.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its kind, such as `ipip`; physical ones have none.
    pub kind: Option<String>,
    /// Whether it is set up.
    pub is_up: bool,
    /// Whether what is sent there stays on the host.
    pub is_loopback: bool,
    /// Whether nobody asks for addresses there: tunnels, `dummy`.
    pub has_no_arp: bool,
    /// The longest packet it carries, in bytes.
    pub mtu: u32,
    /// Its addresses.
    pub addresses: Vec<InterfaceAddress>,
    /// Whether it merges what it receives into larger packets (large receive offload).
    pub merges_packets: Option<bool>,
}

impl Interface {
    /// Whether neighbours ask for addresses there.
    #[must_use]
    pub const fn is_asked(&self) -> bool {
        !self.is_loopback && !self.has_no_arp
    }
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InterfaceAddress {
    /// The address.
    pub ip: IpAddr,
    /// Bits of its network.
    pub prefix_length: u8,
}

impl InterfaceAddress {
    /// An address with the bits of its network.
    #[must_use]
    pub const fn new(ip: IpAddr, prefix_length: u8) -> Self {
        Self { ip, prefix_length }
    }

    /// Whether another one is in its network.
    #[must_use]
    pub fn reaches(&self, other: IpAddr) -> bool {
        let (own, other, most) = match (self.ip, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits().into(), u128::from(other.to_bits()), 32_u8)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits(), other.to_bits(), 128),
            _ => return false,
        };
        let host_bits = most.saturating_sub(self.prefix_length);
        let shift = u32::from(host_bits);
        // All of 128 bits is too far to shift.
        own.checked_shr(shift) == other.checked_shr(shift)
    }
}

/// A route.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Route {
    /// Where it leads.
    pub network: InterfaceAddress,
    /// The router it goes through; none for neighbours.
    pub gateway: Option<IpAddr>,
    /// The interface.
    pub interface: String,
}

impl Route {
    /// A route to a network.
    #[must_use]
    pub const fn new(
        network: InterfaceAddress,
        gateway: Option<IpAddr>,
        interface: String,
    ) -> Self {
        Self {
            network,
            gateway,
            interface,
        }
    }
}

/// Firewall marks that rules set.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Marks {
    /// As the whole mark.
    pub set: BTreeSet<u32>,
    /// As some of its bits.
    pub partly: BTreeSet<u32>,
    /// Some rule calculates marks.
    pub has_others: bool,
}

/// Whether there is IPVS.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Ipvs {
    /// It is there.
    Ready,
    /// The kernel does not have it, or has not loaded it.
    Missing,
}

/// What a process may do; see capabilities(7).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Capabilities {
    /// `CAP_NET_ADMIN`: the table, addresses.
    pub net_admin: bool,
    /// `CAP_NET_RAW`: advertisements, pings.
    pub net_raw: bool,
}

impl Capabilities {
    /// From the effective ones, as a set of bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self {
            net_admin: bits & (1 << 12) != 0,
            net_raw: bits & (1 << 13) != 0,
        }
    }
}

impl Host {
    /// The interface of that name.
    #[must_use]
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        let mut interfaces = self.interfaces.iter().flatten();
        interfaces.find(|interface| interface.name == name)
    }

    /// The interface that has an address.
    #[must_use]
    pub fn holder(&self, ip: IpAddr) -> Option<&Interface> {
        let mut interfaces = self.interfaces.iter().flatten();
        interfaces.find(|interface| interface.addresses.iter().any(|own| own.ip == ip))
    }

    /// Whether packets to an address end here.
    #[must_use]
    pub fn is_local(&self, ip: IpAddr) -> bool {
        let mut local = self.local.iter().flatten();
        ip.is_loopback() || self.holder(ip).is_some() || local.any(|network| network.reaches(ip))
    }

    /// The best route to an address.
    #[must_use]
    pub fn route(&self, ip: IpAddr) -> Option<&Route> {
        let routes = self.routes.iter().flatten();
        let fitting = routes.filter(|route| route.network.reaches(ip));
        fitting.reduce(
            |best, it| match it.network.prefix_length > best.network.prefix_length {
                true => it,
                false => best,
            },
        )
    }

    /// The interface with a network that an address is in, and its own address there: the smallest
    /// network if there are several.
    #[must_use]
    pub fn neighbour_of(&self, ip: IpAddr) -> Option<(&Interface, InterfaceAddress)> {
        let interfaces = self.interfaces.iter().flatten();
        let interfaces = interfaces.filter(|interface| !interface.is_loopback);
        let own = interfaces
            .flat_map(|interface| interface.addresses.iter().map(move |own| (interface, *own)));
        let near = own.filter(|(_, own)| {
            let most = if own.ip.is_ipv4() { 32 } else { 128 };
            own.prefix_length < most && own.reaches(ip)
        });
        // The first of several.
        near.reduce(|best, it| match it.1.prefix_length > best.1.prefix_length {
            true => it,
            false => best,
        })
    }

    /// A sysctl as a number; `None` if it is not known, not there or none.
    #[must_use]
    pub fn number(&self, path: &str) -> Option<i64> {
        self.sysctls.as_ref()?.get(path)?.parse().ok()
    }

    /// A setting of an interface for which the larger one of it and that of `all` counts:
    /// `rp_filter`, `arp_ignore`.
    #[must_use]
    pub fn larger(&self, interface: &str, setting: &str) -> Option<i64> {
        let of = |device: &str| self.number(&format!("ipv4/conf/{device}/{setting}"));
        of("all").max(of(interface))
    }
}

/// Sets a sysctl, as a command; from its path below `/proc/sys/net`.
pub(super) fn sysctl_command(path: &str, value: &str) -> String {
    format!("sysctl -w {}={value}", sysctl_name(path))
}

/// The name of a sysctl, from its path below `/proc/sys/net`. Dots of a path, as in `eth0.100`, are
/// slashes of the name.
pub(super) fn sysctl_name(path: &str) -> String {
    let swapped = path.chars().map(|character| match character {
        '/' => '.',
        '.' => '/',
        other => other,
    });
    format!("net.{}", swapped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(ip: &str, prefix_length: u8) -> InterfaceAddress {
        InterfaceAddress::new(ip.parse().unwrap(), prefix_length)
    }

    #[test]
    fn an_address_reaches_its_network() {
        for (own, length, other, expected) in [
            ("10.0.0.1", 24, "10.0.0.255", true),
            ("10.0.0.1", 24, "10.0.1.0", false),
            ("10.0.0.1", 32, "10.0.0.1", true),
            ("10.0.0.1", 32, "10.0.0.2", false),
            ("10.0.0.1", 0, "192.0.2.1", true),
            ("2001:db8::1", 64, "2001:db8::ffff", true),
            ("2001:db8::1", 64, "2001:db8:0:1::1", false),
            ("::1", 0, "2001:db8::1", true),
            ("::1", 0, "10.0.0.1", false),
        ] {
            let reaches = address(own, length).reaches(other.parse().unwrap());
            assert_eq!(reaches, expected, "{own}/{length} {other}");
        }
    }

    #[test]
    fn the_smallest_network_counts() {
        let interface = |name: &str, addresses: &[(&str, u8)]| Interface {
            name: name.to_owned(),
            addresses: addresses.iter().map(|it| address(it.0, it.1)).collect(),
            ..Interface::default()
        };
        let host = Host {
            interfaces: Some(vec![
                interface("eth0", &[("10.0.0.1", 8), ("10.0.1.1", 32)]),
                interface("eth1", &[("10.0.1.2", 24)]),
            ]),
            ..Host::default()
        };
        let near = |ip: &str| {
            let near = host.neighbour_of(ip.parse().unwrap());
            near.map(|(interface, own)| (interface.name.as_str(), own.ip.to_string()))
        };
        assert_eq!(near("10.0.1.1"), Some(("eth1", "10.0.1.2".to_owned())));
        assert_eq!(near("10.9.9.9"), Some(("eth0", "10.0.0.1".to_owned())));
        assert_eq!(near("192.0.2.1"), None);
    }

    #[test]
    fn sysctls_of_vlans_are_named_as_sysctl_takes_them() {
        assert_eq!(
            sysctl_command("ipv4/conf/eth0.100/rp_filter", "0"),
            "sysctl -w net.ipv4.conf.eth0/100.rp_filter=0"
        );
    }

    #[test]
    fn capabilities_are_two_of_many_bits() {
        let of = |bits| {
            let it = Capabilities::from_bits(bits);
            (it.net_admin, it.net_raw)
        };
        assert_eq!(of(0), (false, false));
        assert_eq!(of(0x1000), (true, false));
        assert_eq!(of(0x2000), (false, true));
        assert_eq!(of(0x1ff_ffff_ffff), (true, true));
    }
}
