//! Addresses with the virtual MAC.

use core::time::Duration;

use lvs_vrrp::Version;
use lvs_vrrp::net::clock;

use crate::network::{Host, Switch, eventually};
use crate::process::Router;

/// A switch with two directors and a client.
fn network() -> (Switch, [Host; 3]) {
    let switch = Switch::new();
    let hosts = [Host::new("one"), Host::new("other"), Host::new("client")];
    for (host, number) in hosts.iter().zip(1..) {
        let addresses = [format!("192.0.2.{number}/24"), format!("fe80::{number}/64")];
        let addresses = addresses.each_ref().map(String::as_str);
        switch.connect(host, "eth0", &addresses);
    }
    (switch, hosts)
}

/// The MAC that answers for an address.
fn mac_of(client: &Host, address: &str) -> String {
    let scope = if address.contains(':') { "%eth0" } else { "" };
    client.run("ping", &format!("-c 3 -i 0.3 -W 5 {address}{scope}"));
    let entry = client.ask(&format!("neighbour show {address} dev eth0"));
    let mut words = entry
        .split_whitespace()
        .skip_while(|word| *word != "lladdr");
    words.nth(1).unwrap_or_default().into()
}

fn keeps_its_mac(address: &str, mac: &str, device: &str) {
    let (switch, [one, other, client]) = network();
    let router = |priority| Router {
        has_virtual_mac: true,
        interval: Duration::from_millis(500),
        ..Router::new(Version::V3, priority, address)
    };
    let mut lower = router(100).start(&other);
    lower.until("Active");
    assert_eq!(mac_of(&client, address), mac);
    let mut higher = router(200).start(&one);
    higher.until("Active");
    lower.until("Backup");
    assert_eq!(mac_of(&client, address), mac);
    assert!(one.holds(address) && !other.holds(address));
    // The own address of a router keeps the own MAC.
    let own = address.replace("100", "2");
    assert_ne!(mac_of(&client, &own), mac);

    // A device that somebody deletes comes back, and the address with it.
    one.ip(&format!("link delete dev {device}"));
    eventually(|| one.holds(address), |holds| *holds);
    assert_eq!(mac_of(&client, address), mac);

    // A device that a dead process left behind is deleted by the next one.
    let killed = clock::now();
    higher.kill();
    lower.until("Active");
    assert_eq!(mac_of(&client, address), mac);
    let mut higher = router(200).start(&one);
    higher.until("Active");
    let cleaned_up = clock::now();
    lower.until("Backup");
    assert_eq!(mac_of(&client, address), mac);

    higher.stop();
    lower.until("Active");
    let devices = one.ask("-o link show type macvlan");
    assert_eq!(devices, "");
    assert_eq!(mac_of(&client, address), mac);
    lower.stop();
    // From the kill to the clean-up both hold it, and otherwise they do not.
    for overlap in switch.holding.overlaps() {
        let is_over = overlap.to.is_some_and(|to| to < cleaned_up);
        if overlap.from < killed || !is_over {
            overlap.is_excused();
        }
    }
    println!("{address} at {mac} through two preemptions, a kill and a resignation");
}

#[test]
#[ignore = "needs root, and a kernel with macvlan"]
fn an_ipv4_address_keeps_its_mac() {
    keeps_its_mac("192.0.2.100", "00:00:5e:00:01:33", "vrrp.51");
}

#[test]
#[ignore = "needs root, and a kernel with macvlan"]
fn an_ipv6_address_keeps_its_mac() {
    keeps_its_mac("fe80::100", "00:00:5e:00:02:33", "vrrp6.51");
}
