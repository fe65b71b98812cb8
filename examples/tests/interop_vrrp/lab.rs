//! The network of a test: two routers and a client on one switch, each a namespace.
//!
//! ```text
//!  us 192.0.2.1       peer 192.0.2.2      client 192.0.2.9
//!  2001:db8::1        2001:db8::2         2001:db8::9
//!    eth0               eth0                eth0
//!      \                 |                 /
//!       us ---- br0 --- peer --- br0 --- client   (switch)
//! ```
//!
//! The virtual address is 192.0.2.100 or 2001:db8::100 (with fe80::100 before it).

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;
use std::thread;

use lvs_vrrp::Family;
use tempfile::TempDir;

use crate::holding::{self, Holding, Report, namespace_id};
use crate::host::{Host, eventually};
use crate::neighbours;
use crate::stall::Probe;
use crate::tap::Tap;

/// The interface of each host.
pub(crate) const INTERFACE: &str = "eth0";

/// One of the two routers.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Side {
    /// The one that runs what is tested.
    Us,
    /// The one that runs what it is tested with.
    Peer,
}

impl Side {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Us => Self::Peer,
            Self::Peer => Self::Us,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Peer => "peer",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Us => 1,
            Self::Peer => 2,
        }
    }

    /// The address of the interface itself.
    pub(crate) fn own_address(self, family: Family) -> IpAddr {
        address(family, self.number())
    }

    /// The MAC of the interface itself.
    pub(crate) fn own_mac(self) -> String {
        mac(self.number())
    }
}

fn address(family: Family, host: u8) -> IpAddr {
    let prefix = match family {
        Family::Ipv4 => "192.0.2.",
        Family::Ipv6 => "2001:db8::",
    };
    format!("{prefix}{host}").parse().unwrap()
}

fn mac(host: u8) -> String {
    format!("02:00:00:00:00:{host:02x}")
}

/// It goes away when it is dropped, with all that runs in it.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) family: Family,
    // Before the hosts: it ends while they are there.
    pub(crate) holding: Holding,
    pub(crate) tap: Tap,
    /// Whether the kernel lets anybody configure the network.
    pub(crate) probe: Arc<Probe>,
    us: Host,
    peer: Host,
    pub(crate) client: Host,
    switch: Host,
    /// For the files of programs.
    pub(crate) folder: TempDir,
}

impl Lab {
    pub(crate) fn new(family: Family) -> Self {
        let [us, peer, client, switch] = ["us", "peer", "client", "switch"].map(Host::new);
        for (side, host) in [(Side::Us, &us), (Side::Peer, &peer)] {
            let (name, number) = (host.name(), namespace_id(side));
            switch.ip(&format!("netns set {name} {number}"));
        }
        let virtual_address = address(family, 100);
        let holding = Holding::watch(&switch, virtual_address);
        switch.ip(
            "link add name br0 type bridge mcast_snooping 0 forward_delay 0\nlink set dev br0 up",
        );
        for (host, port, number) in [(&us, "us", 1), (&peer, "peer", 2), (&client, "client", 9)] {
            switch.ip(&format!(
                "link add name {port} type veth peer name {INTERFACE} netns {}\n\
                 link set dev {port} master br0 up",
                host.name()
            ));
            host.ip(&format!(
                "link set dev {INTERFACE} address {} up\n\
                 address add 192.0.2.{number}/24 dev {INTERFACE}\n\
                 address add fe80::{number}/64 dev {INTERFACE}\n\
                 address add 2001:db8::{number}/64 dev {INTERFACE}",
                mac(number)
            ));
        }
        Self {
            family,
            holding,
            tap: Tap::open(&switch),
            probe: switch.enter(Probe::open),
            us,
            peer,
            client,
            switch,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) const fn host(&self, side: Side) -> &Host {
        match side {
            Side::Us => &self.us,
            Side::Peer => &self.peer,
        }
    }

    /// The virtual address that clients use.
    pub(crate) fn virtual_address(&self) -> IpAddr {
        address(self.family, 100)
    }

    /// All virtual addresses, in the order in which they are advertised.
    pub(crate) fn virtual_addresses(&self) -> Vec<IpAddr> {
        let mut all = Vec::new();
        if self.family == Family::Ipv6 {
            all.push("fe80::100".parse().unwrap());
        }
        all.push(self.virtual_address());
        all
    }

    /// Takes a router off the network for good, as losing its power does.
    pub(crate) fn power_off(&self, side: Side) {
        self.host(side)
            .ip(&format!("link set dev {INTERFACE} down"));
    }

    /// Drops what a router sends, and nothing that it is sent.
    pub(crate) fn mute(&self, side: Side) {
        let rules = format!(
            "table bridge cut {{\nchain input {{\n\
             type filter hook prerouting priority 0\niifname {} drop\n}}\n}}\n",
            side.name()
        );
        self.switch.feed("nft", "-f -", &rules);
    }

    /// Lets through again what was dropped.
    pub(crate) fn unmute(&self) {
        self.switch.feed("nft", "-f -", "delete table bridge cut");
    }

    /// Sends a packet to the virtual address, which has to be answered.
    pub(crate) fn ping(&self) {
        let address = self.virtual_address();
        eventually("answer of the virtual address", || {
            let arguments = format!("-n -c 1 -W 1 {address}");
            let output = self.client.try_run("ping", &arguments);
            output.status.success().then_some(())
        });
    }

    /// Waits until the client believes that the virtual address has this MAC. It asks nobody: what
    /// it knows it was told.
    pub(crate) fn wait_for_neighbour(&self, mac: &str) {
        let mut seen = None;
        let found = (0..400).any(|_| {
            seen = self.neighbour();
            seen.as_deref() == Some(mac) || {
                thread::sleep(Duration::from_millis(10));
                false
            }
        });
        assert!(found, "the client has {seen:?}, not {mac}");
    }

    /// The MAC that the client has for the virtual address.
    pub(crate) fn neighbour(&self) -> Option<String> {
        neighbours::mac(&self.client, self.virtual_address())
    }

    /// Prints and gives for how long whom the address belonged to since then.
    pub(crate) fn report(&self, what: &str, from: Duration) -> Report {
        let report = self.holding.report(from);
        println!("{what}: {report}");
        report
    }

    /// The time since which a report counts when it starts now.
    pub(crate) fn now() -> Duration {
        holding::now()
    }
}
