//! A node in steady state allocates nothing, neither for what it hears nor for what it sends; and
//! what it keeps of each router is bounded.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::net::IpAddr;
use core::time::Duration;

use allocation_counter::measure;
use lvs_vrrp::codec::{Advertisement, Transmission};
use lvs_vrrp::event::State;
use lvs_vrrp::job::{JobKind, JobResult};
use lvs_vrrp::node::{InterfaceConfig, Node, NodeConfig, NodeRouter, RouterId};
use lvs_vrrp::receive::{Meta, Peer};
use lvs_vrrp::{
    AddressList, InterfaceIndex, Interval, MacAddress, Priority, RouterConfig, Timestamp, Version,
    Vrid,
};

const LAN: InterfaceIndex = InterfaceIndex::new(2);
const OTHER: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 200));

fn addresses(number: u8) -> AddressList {
    AddressList::new([[198, 51, 100, number].into(), [198, 51, 101, number].into()]).unwrap()
}

fn node(routers: u8, peers: u8) -> Node {
    let mac = MacAddress::new([2, 0, 0, 0, 0, 9]);
    let lan = InterfaceConfig::new(mac).up([[192, 0, 2, 9].into()]);
    let config = (1..=routers).fold(
        NodeConfig::new().with_interface(LAN, lan),
        |config, number| {
            let router = RouterConfig::new(Vrid::new(number).unwrap(), addresses(number));
            let router = match peers {
                0 => router,
                _ => {
                    router.with_unicast_peers((1..=peers).map(|n| Peer::new([10, 0, 0, n].into())))
                }
            };
            config.with_router(RouterId::new(number.into()), NodeRouter::new(LAN, router))
        },
    );
    Node::new(config).unwrap()
}

/// Does all jobs at once; gives how many packets were sent.
fn work(node: &mut Node, now: Timestamp, buffer: &mut [u8]) -> usize {
    let mut packets = 0;
    while let Some(job) = node.poll_job() {
        if let JobKind::Send(send) = &job.kind {
            for destination in node.destinations(send) {
                node.emit_packet(now, send, destination, buffer).unwrap();
                packets += 1;
            }
        }
        node.complete(now, job.id, JobResult::Done);
    }
    packets
}

/// Lets it run, deadline by deadline, until the end.
fn run(node: &mut Node, end: Timestamp, buffer: &mut [u8]) -> usize {
    let mut packets = 0;
    while let Some(now) = node.next_deadline().filter(|at| *at <= end) {
        node.tick(now);
        packets += work(node, now, buffer);
    }
    packets
}

/// 20 Active routers for 20 s, to the group and to peers.
#[test]
fn sending_allocates_nothing() {
    let mut buffer = [0; 1500];
    for peers in [0, 1, 4] {
        let mut node = node(20, peers);
        run(&mut node, Duration::from_secs(30), &mut buffer);
        assert!((1..=20).all(|n| node.state(RouterId::new(n)) == Some(State::Active)));
        let mut packets = 0;
        let count = measure(|| packets = run(&mut node, Duration::from_secs(50), &mut buffer));
        assert_eq!(packets, 20 * 20 * usize::from(peers.max(1)));
        assert_eq!(count.count_total, 0, "{peers} peers");
    }
}

/// 20 Backups that hear their Active for 20 s, each advertisement once good and once bad.
#[test]
fn receiving_allocates_nothing() {
    let (mut buffer, mut packet) = ([0; 1500], [0; 1500]);
    let mut node = node(20, 0);
    let lists: Vec<_> = (1..=20).map(addresses).collect();
    let mut hear = |node: &mut Node, second: u64| {
        let now = Duration::from_secs(second);
        let meta = Meta::ipv4(LAN, now);
        for (number, list) in (1..).zip(&lists) {
            let advertisement = Advertisement {
                version: Version::V3,
                vrid: Vrid::new(number).unwrap(),
                priority: Priority::new(200),
                interval: Interval::DEFAULT,
                addresses: list.as_addresses(),
            };
            let length = Transmission::multicast(OTHER)
                .emit_packet(&advertisement, &mut packet)
                .unwrap();
            node.receive(now, &meta, packet.get(..length).unwrap());
            packet[8] = 1;
            node.receive(now, &meta, packet.get(..length).unwrap());
        }
        run(node, now, &mut buffer);
    };
    (0..10).for_each(|second| hear(&mut node, second));
    let count = measure(|| (10..30).for_each(|second| hear(&mut node, second)));
    assert!((1..=20).all(|n| node.state(RouterId::new(n)) == Some(State::Backup)));
    let heard = node.router_counters(RouterId::new(20)).unwrap().received();
    assert!((29..=30).contains(&heard), "{heard}");
    assert_eq!(count.count_total, 0);
}

/// What 250 routers keep, from their configuration on: when they were made, when all are Active, and
/// a minute later.
#[test]
fn a_router_keeps_little() {
    const ROUTERS: u8 = 250;
    let mut buffer = [0; 1500];
    let mut kept = 0;
    let mut made = None;
    for (step, bound) in [(0, 2000), (10, 2400), (70, 2400)] {
        let counted = measure(|| {
            let node = made.get_or_insert_with(|| node(ROUTERS, 0));
            run(node, Duration::from_secs(step), &mut buffer);
        });
        kept += counted.bytes_current;
        let each = kept / i64::from(ROUTERS);
        println!("after {step} s: {each} bytes a router");
        assert!((1000..=bound).contains(&each), "after {step} s: {each}");
    }
    let node = made.unwrap();
    assert!((1..=ROUTERS).all(|n| node.state(RouterId::new(n.into())) == Some(State::Active)));
}
