//! What is refused, and how it is told.

use std::env;
use std::fs;
use std::process::Command;

use lvs_vrrp::net::addresses::{AddressBook, Removed};
use lvs_vrrp::net::clock::now;
use lvs_vrrp::net::links::LinkMonitor;
use lvs_vrrp::net::macvlan::{Macvlans, VirtualMac};
use lvs_vrrp::{Family, InterfaceIndex, Vrid};

use super::{address, both, cable, ip, isolated, keys};

#[test]
#[ignore = "needs root, for a network namespace"]
fn an_interface_without_ipv6_is_not_taken_for_a_missing_capability() {
    isolated(|| {
        let device = cable("eth0", "peer0");
        fs::write("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "1").unwrap();
        let mut book = AddressBook::open().unwrap();
        let refused = book
            .install(now(), &[address(device, "2001:db8::1")])
            .remove(0);
        let error = refused.unwrap_err();
        assert_eq!(error.missing_capability(), None, "{error}");
        assert!(error.to_string().contains("2001:db8::1/128"), "{error}");
    });
}

/// The same test without the capability: its other half runs in a process of its own.
#[test]
#[ignore = "needs root, for a network namespace"]
fn a_missing_capability_is_named() {
    const CHILD: &str = "LVS_TEST_INTERFACE_WITHOUT_CAPABILITY";
    if let Ok(interface) = env::var(CHILD) {
        let device = InterfaceIndex::new(interface.parse().unwrap());
        let mut book = AddressBook::open().unwrap();
        for refused in book.install(now(), &both(device, None)) {
            let error = refused.unwrap_err();
            assert_eq!(error.missing_capability(), Some("CAP_NET_ADMIN"), "{error}");
            assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
        }
        let mut macvlans = Macvlans::open().unwrap();
        let vrid = Vrid::try_from(1).unwrap();
        let refused = macvlans.create(&VirtualMac::new(device, Family::Ipv4, vrid));
        let error = refused.unwrap_err();
        assert_eq!(error.missing_capability(), Some("CAP_NET_ADMIN"), "{error}");
        println!("{error}");
        // Looking is free.
        LinkMonitor::open().unwrap();
        return;
    }
    isolated(|| {
        let device = cable("eth0", "peer0");
        let mut without = Command::new("setpriv");
        without.args(["--inh-caps=-all", "--bounding-set=-net_admin", "--"]);
        without.arg(env::current_exe().unwrap());
        without.args([
            "--include-ignored",
            "--show-output",
            "a_missing_capability_is_named",
        ]);
        without.env(CHILD, device.get().to_string());
        let output = without.output().expect("setpriv (package util-linux)");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("1 passed"), "{said}");
        println!("{said}");
    });
}

#[test]
#[ignore = "needs root, for a network namespace"]
fn what_the_kernel_refuses_is_reported_for_each_address() {
    isolated(|| {
        let device = cable("eth0", "peer0");
        let mut book = AddressBook::open().unwrap();
        let nowhere = InterfaceIndex::new(4711);
        let batch = [
            address(device, "192.0.2.1"),
            address(nowhere, "192.0.2.2"),
            address(device, "ff02::1"),
            address(device, "2001:db8::1"),
        ];
        let outcomes: Vec<_> = book
            .install(now(), &batch)
            .into_iter()
            .map(|outcome| outcome.map_err(|error| error.to_string()))
            .collect();
        println!("{outcomes:#?}");
        assert!(outcomes[0].is_ok() && outcomes[3].is_ok());
        let error = outcomes[1].as_ref().unwrap_err();
        assert!(error.contains("192.0.2.2/32 on interface 4711"), "{error}");
        assert!(error.contains("No such device"), "{error}");
        assert!(outcomes[2].is_err());
        // A device that goes takes its addresses with it: nothing to remove.
        ip("link del eth0");
        for removed in book.remove(&keys(&batch)) {
            assert_eq!(removed.unwrap(), Removed::Absent);
        }
    });
}
