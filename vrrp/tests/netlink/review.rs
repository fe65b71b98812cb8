//! What of this host is in the way of a configuration.

use core::net::IpAddr;
use std::fs;

use lvs_vrrp::net::sysctl::Finding;
use lvs_vrrp::net::{AddressSetup, DriverConfig, RouterSetup, VirtualMacSetup};
use lvs_vrrp::node::RouterId;
use lvs_vrrp::{AddressList, RouterConfig, Vrid};

use super::isolated::{cable, isolated};

fn set_sysctl(path: &str, value: i32) {
    fs::write(format!("/proc/sys/net/{path}"), value.to_string()).unwrap();
}

/// VRRP-115, OP-6, OP-7, OP-16: interfaces by name; those that are not there are left out.
#[test]
#[ignore = "needs root, for a network namespace"]
fn a_configuration_is_reviewed_on_the_host_as_it_is() {
    isolated(|| {
        cable("eth0", "peer0");
        let (v4, v6): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "fe80::1".parse().unwrap());
        let router = |interface: &str, vrid: u8, address: IpAddr, setup: AddressSetup| {
            let config = RouterConfig::new(
                Vrid::new(vrid).unwrap(),
                AddressList::new([address]).unwrap(),
            );
            RouterSetup::new(interface, config).with_address(address, setup)
        };
        let other = "192.0.2.3".parse().unwrap();
        let there = || AddressSetup::new().on_device("lo");
        let config = DriverConfig::new()
            .with_router(RouterId::new(1), router("eth0", 1, v4, there()))
            .with_router(RouterId::new(2), router("eth0", 2, v6, there()))
            .with_router(
                RouterId::new(3),
                router("eth0", 3, other, AddressSetup::new())
                    .with_virtual_mac(VirtualMacSetup::new()),
            )
            .with_router(
                RouterId::new(4),
                router("absent", 4, v4, there()).with_virtual_mac(VirtualMacSetup::new()),
            );
        set_sysctl("ipv4/conf/all/rp_filter", 0);
        let look = || -> Vec<_> {
            let found = config.review().unwrap();
            found.iter().map(Finding::to_string).collect()
        };
        assert_eq!(
            look(),
            [
                "fe80::1 on lo: neighbours on eth0 cannot reach an IPv6 address there; put it on eth0"
            ]
        );
        set_sysctl("ipv4/conf/all/rp_filter", 1);
        set_sysctl("ipv4/conf/all/arp_ignore", 1);
        set_sysctl("ipv4/conf/eth0/proxy_arp", 1);
        let found = look();
        assert_eq!(found.len(), 4, "{found:?}");
        for (finding, parts) in found.iter().zip([
            ["on vrrp.3, too", "set it to 0"],
            ["net.ipv4.conf.eth0.proxy_arp", "; set it to 0"],
            [
                "net.ipv4.conf.all.arp_ignore",
                "set it to 0, or put the address on eth0",
            ],
            ["fe80::1 on lo", "put it on eth0"],
        ]) {
            assert!(parts.iter().all(|part| finding.contains(part)), "{finding}");
        }
    });
}
