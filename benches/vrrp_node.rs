//! What a node of many virtual routers costs per packet: `cargo bench -p benches --bench vrrp_node`.
//!
//! Received: one right advertisement, up the ladder, to its router, through its machine, with the
//! deadline asked for afterwards. Sent: a tick, the job, the packet written, the job completed. With
//! 1, 250 and 2000 routers, 250 to an interface; each packet is for another router than the one
//! before. Allocations are counted over 1000 packets and printed before the figures. The floor, in
//! the same run: a tick with nothing due.

use core::hint::black_box;
use core::net::IpAddr;
use core::time::Duration;
use std::time::Instant;

use allocation_counter::measure;
use criterion::{Criterion, criterion_group, criterion_main};
use lvs_vrrp::codec::{Advertisement, Transmission};
use lvs_vrrp::job::{JobKind, JobResult};
use lvs_vrrp::node::{InterfaceConfig, Node, NodeConfig, NodeRouter, RouterId};
use lvs_vrrp::receive::Meta;
use lvs_vrrp::{
    AddressList, InterfaceIndex, Interval, MacAddress, Priority, RouterConfig, Timestamp, Version,
    Vrid,
};

const OTHER: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 200));
const SECOND: Duration = Duration::from_secs(1);

/// Where a router is, and its number there.
fn place(number: u16) -> Option<(InterfaceIndex, Vrid)> {
    let index = InterfaceIndex::new(2 + u32::from(number / 250));
    Some((index, Vrid::new(u8::try_from(number % 250).ok()? + 1)?))
}

fn list(vrid: Vrid) -> Option<AddressList> {
    AddressList::new([[198, 51, 100, vrid.get()].into()]).ok()
}

fn node(count: u16) -> Option<Node> {
    let mut config = NodeConfig::new();
    for number in 0..count {
        let (lan, vrid) = place(number)?;
        let mac = MacAddress::new([2, 0, 0, 0, 0, 9]);
        let interface = InterfaceConfig::new(mac).up([[192, 0, 2, 9].into()]);
        let router = NodeRouter::new(lan, RouterConfig::new(vrid, list(vrid)?));
        config = config
            .with_interface(lan, interface)
            .with_router(RouterId::new(number.into()), router);
    }
    Node::new(config).ok()
}

/// Packets for all routers, in an order that visits neighbours seldom.
fn packets(count: u16) -> Option<Vec<(InterfaceIndex, Vec<u8>)>> {
    let order = (0..count).map(|number| u16::try_from(u32::from(number) * 7919 % u32::from(count)));
    order
        .map(|number| {
            let (lan, vrid) = place(number.ok()?)?;
            let list = list(vrid)?;
            let advertisement = Advertisement {
                version: Version::V3,
                vrid,
                priority: Priority::new(200),
                interval: Interval::DEFAULT,
                addresses: list.as_addresses(),
            };
            let mut buffer = [0; 64];
            let sender = Transmission::multicast(OTHER);
            let length = sender.emit_packet(&advertisement, &mut buffer).ok()?;
            Some((lan, buffer.get(..length)?.to_vec()))
        })
        .collect()
}

/// Does all that is to be done; gives how many packets were sent.
fn work(node: &mut Node, now: Timestamp) -> u32 {
    let (mut buffer, mut sent) = ([0; 64], 0);
    while let Some(job) = node.poll_job() {
        if let JobKind::Send(send) = &job.kind {
            for destination in node.destinations(send) {
                let _ = black_box(node.emit_packet(now, send, destination, &mut buffer));
                sent += 1;
            }
        }
        node.complete(now, job.id, JobResult::Done);
    }
    sent
}

/// Goes on to the next deadlines until this many packets were sent; gives how many, as some leave
/// together.
fn send(node: &mut Node, packets: u32) -> u32 {
    let mut sent = 0;
    while sent < packets {
        let Some(now) = node.next_deadline() else {
            break;
        };
        node.tick(now);
        sent += work(node, now);
    }
    sent
}

/// A node that hears one packet after the other: 250 000 of them a second.
struct Listener {
    node: Node,
    packets: Vec<(InterfaceIndex, Vec<u8>)>,
    next: usize,
    now: Timestamp,
}

impl Listener {
    fn hear(&mut self) {
        if let Some((lan, bytes)) = self.packets.get(self.next) {
            let meta = Meta::ipv4(*lan, self.now);
            self.node.receive(self.now, &meta, black_box(bytes));
            black_box(self.node.next_deadline());
        }
        self.next = (self.next + 1) % self.packets.len();
        // A packet of each router in a second, so that nothing is a flood.
        self.now += SECOND / u32::try_from(self.packets.len()).unwrap_or(1);
    }
}

fn receiving(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("node receives an advertisement");
    for count in [1, 250, 2000] {
        let (Some(mut node), Some(packets)) = (node(count), packets(count)) else {
            return;
        };
        let mut now = SECOND * 60;
        node.tick(now);
        now += SECOND;
        node.tick(now);
        work(&mut node, now);
        let mut listener = Listener {
            node,
            packets,
            next: 0,
            now,
        };
        (0..3 * count).for_each(|_| listener.hear());
        let allocations = measure(|| (0..1000).for_each(|_| listener.hear())).count_total;
        eprintln!("{count} routers: {allocations} allocations in 1000 packets received");
        group.bench_function(format!("{count} routers"), |bencher| {
            bencher.iter(|| listener.hear());
        });
    }
    group.finish();
}

fn sending(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("node sends an advertisement");
    for count in [1, 250, 2000] {
        let Some(mut node) = node(count) else {
            return;
        };
        // All are Active, and what follows that is over.
        send(&mut node, u32::from(count) * 60);
        let allocations = measure(|| {
            send(&mut node, 1000);
        });
        let allocations = allocations.count_total;
        eprintln!("{count} routers: {allocations} allocations in 1000 packets sent");
        group.bench_function(format!("{count} routers"), |bencher| {
            bencher.iter_custom(|packets| {
                let begin = Instant::now();
                let packets = u32::try_from(packets).unwrap_or(u32::MAX);
                let sent = send(&mut node, packets);
                let share = f64::from(packets) / f64::from(sent.max(1));
                begin.elapsed().mul_f64(share)
            });
        });
        if count == 250 {
            let now = node.next_deadline().unwrap_or_default() - Duration::from_nanos(1);
            group.bench_function("floor: 250 routers, tick with nothing due", |bencher| {
                bencher.iter(|| node.tick(black_box(now)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, receiving, sending);
criterion_main!(benches);
