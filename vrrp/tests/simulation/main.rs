//! Several hosts on a simulated network: real packets, bad links, pauses, crashes, wrong clocks, and
//! leases.

#![cfg(feature = "sim")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod addresses;
mod guard;
mod nodes;
mod scenarios;
mod schedules;

use core::time::Duration;

use lvs_vrrp::event::Notification;
use lvs_vrrp::sim::{
    Effects, HostId, Lan, Link, NodeHost, Overlap, Random, RouterHost, RouterKey, Trace, What,
};
use lvs_vrrp::{AddressList, Family, Interval, Priority, RouterConfig, State, Vrid};

const KEY: RouterKey = RouterKey {
    family: Family::Ipv4,
    vrid: Vrid::new(10).unwrap(),
};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// VRRPv3, id 10, 192.0.2.100.
fn config(priority: u8) -> RouterConfig {
    let addresses = AddressList::new(["192.0.2.100".parse().unwrap()]).unwrap();
    let config = RouterConfig::new(KEY.vrid, addresses);
    if priority == 255 {
        config.as_owner()
    } else {
        config.with_priority(Priority::new(priority))
    }
}

fn every(centiseconds: u16) -> Interval {
    Interval::from_centiseconds(centiseconds).unwrap()
}

/// Hosts 192.0.2.1, 192.0.2.2 and so on, a millisecond apart, not started.
fn lan(
    seed: u64,
    configs: impl IntoIterator<Item = RouterConfig>,
) -> (Lan<RouterHost>, Vec<HostId>) {
    let mut lan = Lan::new(seed);
    lan.set_link(Link::default().with_delay(ms(1)));
    let hosts = (1_u8..).zip(configs).map(|(last, config)| {
        let source = match config.family() {
            Family::Ipv4 => format!("192.0.2.{last}"),
            Family::Ipv6 => format!("fe80::{last}"),
        };
        let host = RouterHost::new().with_router(config, source.parse().unwrap());
        lan.add(host.unwrap())
    });
    let hosts = hosts.collect();
    (lan, hosts)
}

/// The same, started together.
fn started(
    seed: u64,
    configs: impl IntoIterator<Item = RouterConfig>,
) -> (Lan<RouterHost>, Vec<HostId>) {
    let (mut lan, hosts) = lan(seed, configs);
    for host in &hosts {
        lan.start(*host);
    }
    (lan, hosts)
}

fn state(lan: &Lan<RouterHost>, host: HostId, key: RouterKey) -> State {
    lan.host(host).unwrap().router(key).unwrap().state()
}

/// Asserts that these hosts are Active, and no others.
fn assert_active(lan: &Lan<RouterHost>, hosts: &[HostId], active: &[HostId]) {
    for host in hosts {
        let expected = if active.contains(host) {
            State::Active
        } else {
            State::Backup
        };
        assert_eq!(
            state(lan, *host, KEY),
            expected,
            "{host:?}\n{}",
            lan.trace()
        );
    }
}

/// Who became Active, in order.
fn promoted(lan: &Lan<RouterHost>) -> Vec<HostId> {
    lan.trace()
        .states(KEY)
        .filter(|(_, _, state)| *state == State::Active)
        .map(|(_, host, _)| host)
        .collect()
}

/// How often hosts told something.
fn count(lan: &Lan<RouterHost>, told: impl Fn(HostId, &Notification) -> bool) -> usize {
    let entries = lan.trace().entries().iter();
    entries
        .filter(|entry| {
            matches!(&entry.what, What::Reported(notification) if told(entry.host, notification))
        })
        .count()
}

#[test]
fn networks_can_be_sent_to_other_threads() {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Lan<RouterHost>>();
    is_send_and_sync::<Lan<NodeHost>>();
    is_send_and_sync::<(Effects, Random, Trace, Overlap)>();
}
