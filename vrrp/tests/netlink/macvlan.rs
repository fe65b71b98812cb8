//! Virtual MAC devices in a real kernel.

use core::net::IpAddr;
use core::time::Duration;
use std::fs;
use std::panic;
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Instant;

use lvs_vrrp::event::ShutdownMode;
use lvs_vrrp::net::addresses::{AddressBook, Installed, VirtualAddress};
use lvs_vrrp::net::clock::now;
use lvs_vrrp::net::links::LinkMonitor;
use lvs_vrrp::net::macvlan::{Macvlans, VirtualMac};
use lvs_vrrp::net::sysctl::{Finding, review};
use lvs_vrrp::net::{
    Driver, DriverConfig, DriverEventKind, NetError, RouterSetup, VirtualMacSetup,
};
use lvs_vrrp::node::RouterId;
use lvs_vrrp::{AddressList, Family, InterfaceIndex, Interval, RouterConfig, Vrid};
use nix::errno::Errno;
use nix::unistd::gettid;

use crate::netlink::isolated::{PATIENCE, cable, index, ip, isolated};

fn vrid(number: u8) -> Vrid {
    Vrid::try_from(number).unwrap()
}

fn ipv4(base: InterfaceIndex, number: u8) -> VirtualMac {
    VirtualMac::new(base, Family::Ipv4, vrid(number))
}

fn ipv6(base: InterfaceIndex, number: u8) -> VirtualMac {
    VirtualMac::new(base, Family::Ipv6, vrid(number))
}

fn sysctl(path: &str) -> i32 {
    let text = fs::read_to_string(format!("/proc/sys/net/{path}")).unwrap();
    text.trim().parse().unwrap()
}

fn set_sysctl(path: &str, value: i32) {
    fs::write(format!("/proc/sys/net/{path}"), value.to_string()).unwrap();
}

/// `arp_ignore`, `arp_filter`, `arp_announce` of the interface.
fn of_base() -> [i32; 3] {
    ["arp_ignore", "arp_filter", "arp_announce"]
        .map(|name| sysctl(&format!("ipv4/conf/eth0/{name}")))
}

fn macvlans() -> Vec<String> {
    let all = ip("-o link show type macvlan");
    let names = all.lines().map(|line| {
        let name = line.split(": ").nth(1).unwrap();
        name.split('@').next().unwrap().to_owned()
    });
    names.collect()
}

fn has_errno(error: &NetError, errno: Errno) -> bool {
    error.io().raw_os_error() == Some(errno as i32)
}

/// Runs a function on a thread in another network namespace, after another function has moved
/// devices there; that one gets the number by which `ip link set netns` knows it.
fn beside<T: Send>(move_there: impl FnOnce(&str), inside: impl FnOnce() -> T + Send) -> T {
    let (to_here, from_there) = mpsc::channel();
    let (to_there, from_here) = mpsc::channel();
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            isolated(move || {
                to_here.send(gettid().to_string()).unwrap();
                from_here.recv().unwrap();
                inside()
            })
        });
        move_there(&from_there.recv().unwrap());
        to_there.send(()).unwrap();
        other
            .join()
            .unwrap_or_else(|panic| panic::resume_unwind(panic))
    })
}

#[test]
#[ignore = "needs a kernel with macvlan: run through .ci/test"]
fn a_device_is_made_as_it_should_be_and_the_last_one_restores_the_interface() {
    isolated(|| {
        let eth0 = cable("eth0", "peer0");
        assert_eq!(of_base(), [0, 0, 0]);
        let mut macvlans = Macvlans::open().unwrap();
        let device = macvlans.create(&ipv4(eth0, 51)).unwrap();
        assert_eq!(index("vrrp.51"), device);
        let shown = ip("-d link show vrrp.51");
        for expected in [
            "vrrp.51@eth0",
            "00:00:5e:00:01:33",
            "macvlan mode bridge",
            "UP",
            "addrgenmode none",
            "alias lvs-vrrp/112 arp_ignore=0 arp_filter=0 arp_announce=0",
        ] {
            assert!(shown.contains(expected), "{expected}: {shown}");
        }
        for (name, value) in [
            ("ipv4/conf/vrrp.51/arp_ignore", 1),
            ("ipv4/conf/vrrp.51/accept_local", 1),
            ("ipv4/conf/vrrp.51/rp_filter", 0),
            ("ipv4/conf/vrrp.51/promote_secondaries", 1),
            ("ipv6/conf/vrrp.51/accept_ra", 0),
            ("ipv6/conf/vrrp.51/autoconf", 0),
        ] {
            assert_eq!(sysctl(name), value, "{name}");
        }
        assert_eq!(of_base(), [1, 1, 2]);
        assert_eq!(ip("-6 -o address show dev vrrp.51"), "");

        let second = macvlans.create(&ipv6(eth0, 51)).unwrap();
        assert!(ip("link show vrrp6.51").contains("00:00:5e:00:02:33"));
        macvlans.remove(device).unwrap();
        assert_eq!(of_base(), [1, 1, 2], "the second one needs them");
        macvlans.remove(second).unwrap();
        assert_eq!(of_base(), [0, 0, 0]);
        assert_eq!(self::macvlans(), [""; 0]);
        // Once more is no failure.
        macvlans.remove(second).unwrap();
    });
}

#[test]
#[ignore = "needs a kernel with macvlan: run through .ci/test"]
fn settings_that_suit_or_that_others_change_are_left_alone() {
    isolated(|| {
        let eth0 = cable("eth0", "peer0");
        set_sysctl("ipv4/conf/eth0/arp_ignore", 2);
        let mut macvlans = Macvlans::open().unwrap();
        let device = macvlans.create(&ipv4(eth0, 1)).unwrap();
        assert_eq!(of_base(), [2, 1, 2]);
        macvlans.remove(device).unwrap();
        assert_eq!(of_base(), [2, 0, 0]);

        set_sysctl("ipv4/conf/eth0/arp_ignore", 0);
        let device = macvlans.create(&ipv4(eth0, 1)).unwrap();
        set_sysctl("ipv4/conf/eth0/arp_ignore", 8);
        macvlans.remove(device).unwrap();
        assert_eq!(of_base(), [8, 0, 0]);
    });
}

#[test]
#[ignore = "needs a kernel with macvlan: run through .ci/test"]
fn an_ipv6_device_has_no_address_but_those_installed() {
    isolated(|| {
        let eth0 = cable("eth0", "peer0");
        ip("address add fe80::1/64 dev eth0 nodad");
        let mut macvlans = Macvlans::open().unwrap();
        let device = macvlans.create(&ipv6(eth0, 7)).unwrap();
        let own = || {
            let monitor = LinkMonitor::open().unwrap();
            let addresses = &monitor.links().get(device).unwrap().addresses;
            let all = addresses.iter().map(|there| there.address.to_string());
            all.collect::<Vec<_>>()
        };
        assert_eq!(own(), [""; 0]);
        // The groups of the addresses that it would have are those a switch looks for it by.
        let groups = || ip("-6 maddress show dev vrrp6.7");
        assert!(!groups().contains("ff02::1:ff"), "{}", groups());
        let mut book = AddressBook::open().unwrap();
        let address = VirtualAddress::new(device, "fe80::51".parse().unwrap());
        let installed = book.install(now(), &[address]).remove(0).unwrap();
        assert_eq!(installed, Installed::Ours);
        assert_eq!(own(), ["fe80::51"]);
        ip("link set vrrp6.7 down");
        ip("link set vrrp6.7 up");
        assert_eq!(own(), [""; 0]);
    });
}

#[test]
#[ignore = "needs a kernel with macvlan: run through .ci/test"]
fn names_do_not_clash() {
    isolated(|| {
        let eth0 = cable("eth0", "peer0");
        let eth1 = cable("eth1", "peer1");
        ip("link add vrrp.255 type veth peer name other");
        let mut macvlans = Macvlans::open().unwrap();
        let first = macvlans.create(&ipv4(eth0, 255)).unwrap();
        let second = macvlans.create(&ipv4(eth1, 255)).unwrap();
        assert_eq!(index("vrrp.255.1"), first);
        assert_eq!(index("vrrp.255.2"), second);
        let named = ipv4(eth0, 3).with_name("virtual-web-one");
        let named = macvlans.create(&named).unwrap();
        assert_eq!(index("virtual-web-one"), named);
        for (name, words) in [
            ("vrrp.255", "(vrrp.255, a name that is taken): File exists"),
            ("sixteen-letters-", "not 1 to 15 bytes"),
            ("a b", "not 1 to 15 bytes"),
            ("", "not 1 to 15 bytes"),
            ("..", "not 1 to 15 bytes"),
        ] {
            let error = macvlans.create(&ipv4(eth0, 4).with_name(name)).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
        assert_eq!(macvlans.devices().count(), 3);
        macvlans.remove_all().unwrap();
        assert_eq!(self::macvlans(), [""; 0]);
        assert!(ip("link show vrrp.255").contains("vrrp.255"));
    });
}

#[test]
#[ignore = "needs a kernel with macvlan: run through .ci/test"]
fn a_restart_removes_what_a_crash_left_and_nothing_else() {
    isolated(|| {
        let eth0 = cable("eth0", "peer0");
        ip("link add vrrp.9 link eth0 address 00:00:5e:00:01:09 type macvlan mode private");
        let mut other = Macvlans::open_with_tag(113).unwrap();
        let others = other.create(&ipv4(eth0, 8)).unwrap();
        other.remove(others).unwrap();
        let mut crashed = Macvlans::open().unwrap();
        crashed.create(&ipv4(eth0, 1)).unwrap();
        crashed.create(&ipv6(eth0, 1)).unwrap();
        drop(crashed);
        assert_eq!(of_base(), [1, 1, 2]);

        let mut restarted = Macvlans::open().unwrap();
        let left: Vec<_> = restarted.leftovers().unwrap();
        let left: Vec<_> = left.into_iter().map(|left| left.name).collect();
        assert_eq!(left, ["vrrp.1", "vrrp6.1"]);
        assert!(other.leftovers().unwrap().is_empty());
        let removed = restarted.remove_leftovers().unwrap();
        assert_eq!(removed.len(), 2);
        assert_eq!(macvlans(), ["vrrp.9"]);
        assert_eq!(of_base(), [0, 0, 0], "as it was before the crash");

        // What is held is no leftover, and what was before is not lost either way.
        let mut crashed = Macvlans::open().unwrap();
        crashed.create(&ipv6(eth0, 1)).unwrap();
        drop(crashed);
        let device = restarted.create(&ipv4(eth0, 1)).unwrap();
        assert_eq!(restarted.remove_leftovers().unwrap().len(), 1);
        assert_eq!(index("vrrp.1"), device);
        assert_eq!(of_base(), [1, 1, 2]);
        restarted.remove(device).unwrap();
        assert_eq!(of_base(), [0, 0, 0]);
    });
}

#[test]
#[ignore = "needs a kernel with macvlan: run through .ci/test"]
fn a_successor_takes_devices_over_with_what_is_on_them() {
    isolated(|| {
        let eth0 = cable("eth0", "peer0");
        ip("address add fe80::1/64 dev eth0 nodad");
        let mut first = Macvlans::open().unwrap();
        let device = first.create(&ipv6(eth0, 1)).unwrap();
        let mut book = AddressBook::open().unwrap();
        let address = VirtualAddress::new(device, "fe80::51".parse().unwrap());
        book.install(now(), &[address]).remove(0).unwrap();
        first.forget();
        book.forget();
        first.remove(device).unwrap();
        drop((first, book));

        let mut second = Macvlans::open().unwrap();
        assert_eq!(second.create(&ipv6(eth0, 1)).unwrap(), device);
        assert!(second.leftovers().unwrap().is_empty());
        let on_device = || ip("-o -6 address show dev vrrp6.1");
        assert!(on_device().contains("fe80::51/128"));
        // And the interface's settings are still known.
        assert_eq!(of_base(), [1, 1, 2]);
        second.remove(device).unwrap();
        assert_eq!(of_base(), [0, 0, 0]);
    });
}

#[test]
#[ignore = "needs a kernel with macvlan: run through .ci/test"]
fn devices_that_disappear_and_errors_leave_no_trace() {
    isolated(|| {
        let eth0 = cable("eth0", "peer0");
        let mut macvlans = Macvlans::open().unwrap();
        let device = macvlans.create(&ipv4(eth0, 1)).unwrap();
        ip("link del vrrp.1");
        macvlans.remove(device).unwrap();
        assert_eq!(of_base(), [0, 0, 0]);

        // Somebody has the virtual MAC on this interface.
        ip("link add other link eth0 address 00:00:5e:00:01:01 type macvlan mode private");
        ip("link set other up");
        let error = macvlans.create(&ipv4(eth0, 1)).unwrap_err();
        assert!(has_errno(&error, Errno::EADDRINUSE), "{error}");
        assert_eq!(self::macvlans(), ["other"]);
        assert_eq!(of_base(), [0, 0, 0]);
        assert_eq!(macvlans.devices().count(), 0);

        let nowhere = InterfaceIndex::new(4711);
        let error = macvlans.create(&ipv4(nowhere, 1)).unwrap_err();
        assert!(has_errno(&error, Errno::ENODEV), "{error}");

        // With the interface its devices go.
        let device = macvlans.create(&ipv4(eth0, 2)).unwrap();
        ip("link del eth0");
        macvlans.remove(device).unwrap();
        assert_eq!(macvlans.devices().count(), 0);
    });
}

#[test]
#[ignore = "needs a kernel with macvlan: run through .ci/test"]
fn a_device_belongs_to_the_vrf_and_the_group_of_its_interface() {
    isolated(|| {
        let eth0 = cable("eth0", "peer0");
        ip("link set eth0 group 42");
        ip("link add red type vrf table 10");
        ip("link set eth0 master red");
        let mut macvlans = Macvlans::open().unwrap();
        macvlans.create(&ipv4(eth0, 1)).unwrap();
        let shown = ip("-d link show vrrp.1");
        assert!(shown.contains("master red"), "{shown}");
        assert!(shown.contains("group 42"), "{shown}");
    });
}

/// What the third party sees: the virtual MAC answers, and the interface's own does not.
#[test]
#[ignore = "needs a kernel with macvlan: run through .ci/test"]
fn neighbours_learn_the_virtual_mac() {
    isolated(|| {
        let eth0 = cable("eth0", "peer0");
        ip("address add 192.0.2.1/24 dev eth0");
        ip("address add fe80::1/64 dev eth0 nodad");
        ip("address add 2001:db8::1/64 dev eth0 nodad");
        let mut macvlans = Macvlans::open().unwrap();
        let v4 = macvlans.create(&ipv4(eth0, 1)).unwrap();
        let v6 = macvlans.create(&ipv6(eth0, 1)).unwrap();
        let mut book = AddressBook::open().unwrap();
        let batch = [
            VirtualAddress::new(v4, "192.0.2.10".parse().unwrap()),
            VirtualAddress::new(v6, "2001:db8::10".parse().unwrap()),
        ];
        for installed in book.install(now(), &batch) {
            installed.unwrap();
        }
        let own = ip("-o link show eth0");
        let own = own.split("link/ether ").nth(1).unwrap();
        let own = own.split(' ').next().unwrap();
        let learnt = beside(
            |there| {
                ip(&format!("link set peer0 netns {there}"));
            },
            || {
                ip("address add 192.0.2.2/24 dev peer0");
                ip("address add fe80::2/64 dev peer0 nodad");
                ip("address add 2001:db8::2/64 dev peer0 nodad");
                ip("link set peer0 up");
                for address in [
                    "192.0.2.10",
                    "192.0.2.1",
                    "2001:db8::10",
                    "2001:db8::1",
                    "fe80::1%peer0",
                ] {
                    let mut ping = Command::new("ping");
                    let pinged = ping
                        .args(["-c", "3", "-i", "0.2", "-w", "10", address])
                        .output();
                    let pinged = pinged.unwrap();
                    let said = String::from_utf8_lossy(&pinged.stdout);
                    assert!(pinged.status.success(), "{address}: {said}");
                }
                ip("neigh show dev peer0")
            },
        );
        println!("neighbours learnt:\n{learnt}");
        for (address, mac) in [
            ("192.0.2.10", "00:00:5e:00:01:01"),
            ("2001:db8::10", "00:00:5e:00:02:01"),
            ("192.0.2.1", own),
            ("2001:db8::1", own),
        ] {
            let line = learnt
                .lines()
                .find(|line| line.starts_with(&format!("{address} ")))
                .unwrap();
            assert!(line.contains(&format!("lladdr {mac}")), "{line}");
        }
    });
}

/// Two programs on one interface: its settings stay until neither needs them, and each leaves the
/// other's devices alone.
#[test]
#[ignore = "needs a kernel with macvlan: run through .ci/test"]
fn the_last_program_restores_the_interface() {
    isolated(|| {
        let eth0 = cable("eth0", "peer0");
        for first_is_killed in [false, true] {
            let mut first = Macvlans::open().unwrap();
            first.create(&ipv4(eth0, 51)).unwrap();
            let mut second = Macvlans::open_with_tag(113).unwrap();
            second.create(&ipv4(eth0, 52)).unwrap();
            assert_eq!(second.leftovers().unwrap(), []);
            if first_is_killed {
                drop(first);
                let mut restarted = Macvlans::open().unwrap();
                assert_eq!(restarted.remove_leftovers().unwrap().len(), 1);
            } else {
                first.remove_all().unwrap();
            }
            assert_eq!(of_base(), [1, 1, 2], "the second one needs them");
            second.remove_all().unwrap();
            assert_eq!(of_base(), [0, 0, 0]);
        }
    });
}

#[test]
#[ignore = "needs a kernel with macvlan: run through .ci/test"]
fn a_driver_that_cannot_begin_leaves_nothing_behind() {
    isolated(|| {
        cable("eth0", "peer0");
        ip("link add name taken type dummy");
        let router = |number, virtual_mac| {
            let address = format!("192.0.2.{number}").parse().unwrap();
            let config = RouterConfig::new(vrid(number), AddressList::new([address]).unwrap());
            RouterSetup::new("eth0", config).with_virtual_mac(virtual_mac)
        };
        let fits = router(51, VirtualMacSetup::new());
        let clashes = router(52, VirtualMacSetup::new().with_name("taken"));
        let config = DriverConfig::new()
            .with_router(RouterId::new(1), fits)
            .with_router(RouterId::new(2), clashes);
        let error = Driver::new(config).map(drop).unwrap_err().to_string();
        assert!(
            error.starts_with("cannot create a device (taken, "),
            "{error}"
        );
        assert_eq!(macvlans(), [""; 0]);
        assert_eq!(of_base(), [0, 0, 0]);
    });
}

/// The first advertisement leaves before the device has an address, and the last one may leave
/// after.
#[test]
#[ignore = "needs a kernel with macvlan: run through .ci/test"]
fn an_ipv6_device_without_an_address_sends_advertisements() {
    isolated(|| {
        cable("eth0", "peer0");
        ip("address add fe80::1/64 dev eth0 nodad");
        let before = received("peer0");
        let addresses = AddressList::new(["fe80::100".parse().unwrap()]).unwrap();
        let config = RouterConfig::new(vrid(51), addresses)
            .with_interval(Interval::from_centiseconds(10).unwrap());
        let router = RouterSetup::new("eth0", config).with_virtual_mac(VirtualMacSetup::new());
        let config = DriverConfig::new().with_router(RouterId::new(1), router);
        let mut driver = Driver::new(config).unwrap();
        let failures = Arc::new(Mutex::new(Vec::new()));
        driver.on_event({
            let failures = Arc::clone(&failures);
            move |event| {
                if let DriverEventKind::Failed(error) = &event.kind {
                    failures.lock().unwrap().push(error.to_string());
                }
            }
        });
        let handle = driver.handle();
        let start = Instant::now();
        let mut is_stopping = false;
        while driver.step(Some(Duration::from_millis(50))).unwrap() {
            if !is_stopping && start.elapsed() > Duration::from_secs(2) {
                is_stopping = true;
                handle.shutdown(ShutdownMode::ReleaseFirst).unwrap();
            }
            assert!(start.elapsed() < PATIENCE);
        }
        let failures = failures.lock().unwrap();
        assert!(failures.is_empty(), "{failures:?}");
        assert!(received("peer0") > before + 5);
    });
}

/// Packets a device has received.
fn received(device: &str) -> u64 {
    let shown = ip(&format!("-s -o link show {device}"));
    let mut words = shown.split_whitespace().skip_while(|word| *word != "RX:");
    let mut numbers = words.by_ref().filter_map(|word| word.parse().ok());
    // Bytes, then packets.
    numbers.nth(1).unwrap()
}

/// VRRP-115: Proxy ARP of the interface, which would tell its own MAC, is warned of.
#[test]
#[ignore = "needs a kernel with dummy devices: run through .ci/test"]
fn the_review_names_what_is_in_the_way() {
    isolated(|| {
        cable("eth0", "peer0");
        ip("link add idle type dummy");
        let monitor = LinkMonitor::open().unwrap();
        let link = |name| monitor.links().by_name(name).unwrap();
        assert!(!link("idle").is_asked());
        let (v4, v6): (IpAddr, IpAddr) =
            ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        let look = || {
            let addresses = [(v4, link("eth0")), (v4, link("idle")), (v6, link("eth0"))];
            review(link("eth0"), ["vrrp.1"], addresses).unwrap()
        };
        set_sysctl("ipv4/conf/all/rp_filter", 0);
        assert_eq!(look(), []);
        set_sysctl("ipv4/conf/all/rp_filter", 2);
        set_sysctl("ipv4/conf/eth0/proxy_arp", 1);
        set_sysctl("ipv4/conf/eth0/arp_ignore", 1);
        let found: Vec<_> = look().iter().map(Finding::to_string).collect();
        assert_eq!(found.len(), 3);
        for (finding, start) in found.iter().zip([
            "net.ipv4.conf.all.rp_filter = 2 filters on vrrp.1, too",
            "net.ipv4.conf.eth0.proxy_arp = 1 answers",
            "net.ipv4.conf.eth0.arp_ignore = 1: eth0 does not answer ARP requests for 192.0.2.1, which is on idle",
        ]) {
            assert!(finding.starts_with(start), "{finding}");
        }
        let found = review(link("eth0"), [], [(v6, link("lo"))]).unwrap();
        assert!(matches!(found.last(), Some(Finding::Unreachable { .. })));
        assert_eq!(sysctl("ipv4/conf/all/rp_filter"), 2);
    });
}
