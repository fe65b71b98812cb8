//! Two directors, a client, and what they share.

use core::time::Duration;
use std::process::{Command, Stdio};

use lvs_vrrp::net::{AddressSetup, DriverConfig, RouterSetup, VirtualMacSetup};
use lvs_vrrp::node::RouterId;
use lvs_vrrp::{
    AddressList, Family, Interval, Priority, RouterConfig, State, Switches, Version, Vrid,
    receive::Versions,
};

use crate::network::{Host, Switch};
use crate::running::Running;

/// Long enough for an answer.
pub(crate) const WHILE: Duration = Duration::from_millis(500);
/// From one advertisement to the next, in hundredths of a second: a machine that holds the Active up
/// for three of them sees the Backup take over, as it has to.
const INTERVAL: u16 = 30;
/// In this time several are sent.
pub(crate) const LONG: Duration = Duration::from_millis(1500);

/// What differs between the families.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    /// The virtual address, in the subnet of the interface.
    pub(crate) address: &'static str,
    pub(crate) mac: &'static str,
    /// The device that bears it.
    pub(crate) device: &'static str,
    /// The client's address.
    pub(crate) client: &'static str,
    /// The other director's own address.
    pub(crate) other: &'static str,
    /// Where advertisements go.
    pub(crate) group_mac: &'static str,
}

pub(crate) const fn words(family: Family) -> Words {
    match family {
        Family::Ipv4 => Words {
            address: "192.0.2.100",
            mac: "00:00:5e:00:01:33",
            device: "vrrp.51",
            client: "192.0.2.9",
            other: "192.0.2.2",
            group_mac: "01:00:5e:00:00:12",
        },
        Family::Ipv6 => Words {
            address: "2001:db8::100",
            mac: "00:00:5e:00:02:33",
            device: "vrrp6.51",
            client: "2001:db8::9",
            other: "2001:db8::2",
            group_mac: "33:33:00:00:00:12",
        },
    }
}

pub(crate) const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

/// A segment with two directors and a client. The last byte of a MAC is that of the addresses.
#[derive(Debug)]
pub(crate) struct Scene {
    _switch: Switch,
    pub(crate) one: Host,
    pub(crate) other: Host,
    pub(crate) client: Host,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let switch = Switch::new();
        // All hear all: what a switch would keep from a host must not be answered either.
        switch.forget_at_once();
        let host = |role, number: u8| {
            let host = Host::new(role);
            // A virtual router is a router.
            host.sysctl("ipv4/ip_forward", "1");
            host.sysctl("ipv6/conf/all/forwarding", "1");
            attach(&switch, &host, "eth0", number);
            host
        };
        let (one, other) = (host("one", 1), host("other", 2));
        let client = Host::new("client");
        attach(&switch, &client, "eth0", 9);
        Self {
            _switch: switch,
            one,
            other,
            client,
        }
    }

    /// From now on this host sends, and hears nothing.
    pub(crate) fn deafen(&self, host: &Host) {
        host.run(
            "nft",
            "add table netdev deaf ; add chain netdev deaf ears { type filter hook ingress device eth0 priority 0 ; } ; add rule netdev deaf ears drop",
        );
    }

    /// The better one Active, the other one Backup.
    pub(crate) fn run(&self, family: Family) -> (Running, Running) {
        let active = Running::start(&self.one, driver(family, 200));
        active.until_state(1, State::Active);
        let backup = Running::start(&self.other, driver(family, 100));
        backup.until_state(1, State::Backup);
        (active, backup)
    }
}

/// Connects a host to the first segment.
fn attach(switch: &Switch, host: &Host, name: &str, number: u8) {
    switch.connect(host, name, &[]);
    host.ip(&format!(
        "link set dev {name} address {}\n\
         address add 192.0.2.{number}/24 dev {name}\n\
         address add 2001:db8::{number}/64 dev {name}",
        own_mac(number)
    ));
}

/// The physical MAC of a host.
pub(crate) fn own_mac(number: u8) -> String {
    format!("02:00:00:00:00:{number:02x}")
}

/// A virtual router with a virtual MAC on `eth0`.
pub(crate) fn router(family: Family, priority: u8) -> RouterSetup {
    let address = words(family).address.parse().unwrap();
    let mut switches = Switches::default();
    // Whether it owns them or not, virtual addresses are on the device of the virtual MAC only.
    switches.permits.any_owner = true;
    let config = RouterConfig::new(Vrid::new(51).unwrap(), addresses(family))
        .with_versions(Versions::Only(Version::V3))
        .with_switches(switches)
        .with_interval(Interval::from_centiseconds(INTERVAL).unwrap());
    let config = if priority == 255 {
        config.as_owner()
    } else {
        config.with_priority(Priority::new(priority))
    };
    let setup = AddressSetup::new().with_prefix_len(match family {
        Family::Ipv4 => 24,
        Family::Ipv6 => 64,
    });
    RouterSetup::new("eth0", config)
        .with_address(address, setup)
        .with_virtual_mac(VirtualMacSetup::new())
}

/// The first address of IPv6 is link-local.
fn addresses(family: Family) -> AddressList {
    let address = words(family).address.parse().unwrap();
    let list = match family {
        Family::Ipv4 => AddressList::new([address]),
        Family::Ipv6 => AddressList::new(["fe80::100".parse().unwrap(), address]),
    };
    list.unwrap()
}

pub(crate) fn driver(family: Family, priority: u8) -> DriverConfig {
    DriverConfig::new().with_router(RouterId::new(1), router(family, priority))
}

/// Whether somebody at this address answers an echo request; the options are those of ping(8).
pub(crate) fn is_reached(host: &Host, address: &str, options: &str) -> bool {
    let mut command = Command::new("ping");
    command.args(["-n", "-c", "1", "-W", "1"]);
    command.args(options.split_whitespace()).arg(address);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    host.enter(|| command.status()).unwrap().success()
}
