//! Sets of lblcr that have been the same for longer than the expiration, in real time: who is taken
//! out of them, and who is not. Scenarios cannot wait, so these have steps of their own.

use core::net::SocketAddr;
use core::time::Duration;
use std::thread;

use lvs_ipvs::sysctl::LBLCR_EXPIRATION;
use lvs_ipvs::{
    Change, Destination as Server, DestinationKey, Family, Scheduler, SchedulerName, ServiceKey,
    VirtualService as Service,
};
use lvs_schedulers::{
    Context, Destination, Explanation, Flow, Lblcr, Protocol, Semantics, VirtualService,
};

use super::director::Director;
use super::packet::{Packet, Seen};
use super::probe;
use super::wire::eventually;

const EXPIRATION: Duration = Duration::from_secs(1);

/// Longer than the expiration, whatever the kernel's clock tick.
const WAIT: Duration = Duration::from_millis(1300);

const MARK: u32 = 1;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many connections to the one address.
    Connect(usize),
    /// A server is added, or edited if it is there, with this weight.
    Weight(char, u32),
    Remove(char),
    Wait,
}

use Step::{Connect, Remove, Wait, Weight};

/// A, B and C with weights 4, 2 and 1 get C C B B B A (spec §9.4): of 256 a connection they have for
/// their weights 64, 384 and 512, in the set A, B, C.
const SET: [Step; 4] = [Weight('A', 4), Weight('B', 2), Weight('C', 1), Connect(6)];

/// What comes then, and the picks. That a server is still in the set shows when it has the least
/// load of all: one outside gets nothing while somebody in the set is not too busy.
const CASES: &[(&[Step], &str)] = &[
    // Without a wait all three stay.
    (&[Connect(1), Weight('C', 100), Connect(1)], "AC"),
    // After it C leaves, at the next connection, and nobody else at the one after.
    (&[Wait, Connect(1), Weight('C', 100), Connect(1)], "AA"),
    (&[Wait, Connect(2), Weight('B', 100), Connect(1)], "AAB"),
    // Another wait, another one.
    (
        &[
            Wait,
            Connect(1),
            Wait,
            Connect(1),
            Weight('B', 100),
            Connect(1),
        ],
        "AAA",
    ),
    // Weight 0 is nobody's load: B leaves.
    (
        &[
            Weight('C', 0),
            Wait,
            Connect(1),
            Weight('B', 100),
            Connect(1),
            Weight('C', 100),
            Connect(1),
        ],
        "AAC",
    ),
    // A removed server stays in the set, and is valid again when it comes back.
    (
        &[Remove('C'), Connect(1), Weight('C', 100), Connect(1)],
        "AC",
    ),
    // It may also leave: its connections go on and count.
    (
        &[
            Remove('C'),
            Wait,
            Connect(1),
            Weight('B', 100),
            Connect(1),
            Weight('C', 100),
            Connect(1),
        ],
        "ABB",
    ),
];

fn servers() -> impl Iterator<Item = (char, SocketAddr)> {
    ('A'..='C').zip((1..).map(|host| SocketAddr::from(([10, 128, 0, host], 80))))
}

fn address(name: char) -> SocketAddr {
    let mut servers = servers();
    servers.find(|(it, _)| *it == name).unwrap().1
}

fn name(address: SocketAddr) -> char {
    let mut servers = servers();
    servers.find(|(_, it)| *it == address).unwrap().0
}

fn client(number: u16) -> SocketAddr {
    ([10, 1, 0, 1], 1024 + number).into()
}

fn target() -> SocketAddr {
    ([10, 64, 0, 1], 80).into()
}

fn by_the_kernel(steps: &[Step]) -> String {
    Director::enter(|director| {
        let service = ServiceKey::firewall_mark(Family::Inet, MARK);
        let lblcr = Scheduler::from_name(SchedulerName::new("lblcr").unwrap());
        let lblcr = Service::new(service).with_scheduler(lblcr);
        director.ipvs.add_service(&lblcr).unwrap();
        // It is there from the first service with this scheduler on.
        let sysctls = director.namespace.sysctls().unwrap();
        sysctls.set(LBLCR_EXPIRATION, &EXPIRATION).unwrap();
        let mut picks = String::new();
        let mut present = Vec::new();
        for step in steps {
            let change = match *step {
                Connect(count) => {
                    for _ in 0..count {
                        let number = u16::try_from(picks.len()).unwrap();
                        picks.push(connect(director, client(number)));
                    }
                    continue;
                }
                Wait => {
                    thread::sleep(WAIT);
                    continue;
                }
                Remove(name) => {
                    present.retain(|it| *it != name);
                    Change::RemoveDestination(service, DestinationKey::from(address(name)))
                }
                Weight(name, weight) => {
                    let server = Server::masquerade(address(name)).with_weight(weight);
                    if present.contains(&name) {
                        Change::SetDestination(service, server)
                    } else {
                        present.push(name);
                        Change::AddDestination(service, server)
                    }
                }
            };
            let report = director.ipvs.execute([change]).unwrap();
            assert!(report.is_success(), "{report}");
        }
        picks
    })
}

fn connect(director: &mut Director, client: SocketAddr) -> char {
    let packet = Packet::first(Protocol::Tcp, client, target());
    director.wire.send(MARK, &[packet]);
    let mut server = None;
    eventually("the packet comes out", || {
        director.wire.receive(|seen| match seen {
            Seen::Packet(packet) if packet.source == client => server = Some(packet.destination),
            _ => {}
        });
        server.is_some()
    });
    name(server.unwrap())
}

/// The picks, and the account of the last one.
fn by_the_library(semantics: Semantics, steps: &[Step]) -> (String, Explanation) {
    let lblcr = Lblcr::new(semantics).with_expiration(EXPIRATION);
    let mut service = VirtualService::with_scheduler(Box::new(lblcr), semantics);
    let mut why = Explanation::new();
    let mut now = Duration::ZERO;
    let mut picks = String::new();
    for step in steps {
        match *step {
            Connect(count) => {
                for _ in 0..count {
                    let number = u16::try_from(picks.len()).unwrap();
                    let flow = Flow::tcp(client(number), target());
                    let mut context = Context::new(now).with_trace(&mut why);
                    let connection = service.connect(&flow, &mut context).unwrap();
                    picks.push(name(service.destination_of(connection).unwrap().address()));
                }
            }
            Wait => now += WAIT,
            Remove(name) => service.remove(address(name)).unwrap(),
            Weight(name, weight) => {
                let server = Destination::new(address(name)).with_weight(weight);
                if service.edit(server).is_err() {
                    service.add(server).unwrap();
                }
            }
        }
    }
    (picks, why)
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn old_sets_of_lblcr_lose_the_same_servers() {
    let semantics = probe::semantics();
    for (steps, expected) in CASES {
        let steps = [&SET, *steps].concat();
        let expected = format!("CCBBBA{expected}");
        let (library, why) = by_the_library(semantics, &steps);
        let kernel = by_the_kernel(&steps);
        assert_eq!(kernel, library, "{steps:?}\n{why}");
        assert_eq!(kernel, expected, "{steps:?}\n{why}");
    }
}
