//! In steady state nothing is allocated: not for a pick, not for a new table of the same size.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::net::Ipv4Addr;
use core::time::Duration;
use std::collections::VecDeque;

use allocation_counter::measure;
use lvs_schedulers::{
    Algorithm, Context, Destination, Direction, Flow, Persistence, SchedulerFlags, Semantics,
    TcpFlags, VirtualService,
};

const TABLES: [Algorithm; 3] = [Algorithm::Dh, Algorithm::Sh, Algorithm::Mh];

/// A service with destinations of weights 0 to 4.
fn service(algorithm: Algorithm, destinations: u32) -> VirtualService {
    let mut service = VirtualService::new(Algorithm::Rr, Semantics::LINUX_6_1);
    for number in 0..destinations {
        service.add(destination(number, number % 5)).unwrap();
    }
    service.set_scheduler(algorithm.scheduler(Semantics::LINUX_6_1));
    service.with_flags(SchedulerFlags::NONE.with_fallback().with_port())
}

fn destination(number: u32, weight: u32) -> Destination {
    let address = Ipv4Addr::from(0x0a00_0001 + number);
    Destination::new((address, 80).into()).with_weight(weight)
}

fn flows() -> impl Iterator<Item = Flow> {
    (0..1000_u32).map(|number| {
        let client = (Ipv4Addr::from(number.wrapping_mul(0x9e37_79b9)), 40000).into();
        Flow::tcp(client, (Ipv4Addr::from(number), 80).into())
    })
}

#[test]
fn looking_a_client_up_allocates_nothing() {
    for algorithm in TABLES {
        for destinations in [10, 1000] {
            let mut service = service(algorithm, destinations);
            let mut context = Context::new(Duration::ZERO);
            let mut picked = 0;
            let count = measure(|| {
                for flow in flows() {
                    picked += u32::from(service.schedule(&flow, &mut context).is_some());
                }
            });
            assert_eq!(count.count_total, 0, "{algorithm}");
            assert!(picked > 700, "{algorithm}: {picked}");
        }
    }
}

/// Every algorithm, once it knows the addresses that clients ask for: picks, and connections that
/// come and go.
#[test]
fn neither_picks_nor_connections_allocate_in_steady_state() {
    for &algorithm in Algorithm::ALL {
        let mut service = service(algorithm, 100);
        let mut context = Context::new(Duration::ZERO);
        let mut open = VecDeque::new();
        let mut round = || {
            for flow in flows() {
                service.schedule(&flow, &mut context);
                open.push_back(service.connect(&flow, &mut context));
                if open.len() > 50 {
                    let oldest = open.pop_front().flatten();
                    oldest.map(|connection| service.expire(connection));
                }
            }
        };
        round();
        assert_eq!(measure(round).count_total, 0, "{algorithm}");
        let connected = open.iter().flatten().count();
        assert!(connected > 30, "{algorithm}: {connected} of 50");
    }
}

#[test]
fn an_edit_fills_the_table_in_its_former_room() {
    for algorithm in TABLES {
        let mut service = service(algorithm, 1000);
        let count = measure(|| {
            for weight in 1..10 {
                service.edit(destination(7, weight)).unwrap();
            }
        });
        assert_eq!(count.count_total, 0, "{algorithm}");
    }
}

/// Connections that come and go, with all their packets, in the room of former ones.
#[test]
fn connections_allocate_nothing_where_as_many_were_before() {
    for persistence in [None, Some(Persistence::default())] {
        let mut service = service(Algorithm::Wlc, 10);
        service.set_persistence(persistence);
        let mut connections = Vec::with_capacity(1000);
        let mut round = |service: &mut VirtualService, now| {
            let mut context = Context::new(Duration::from_secs(now));
            connections.extend(flows().filter_map(|flow| service.connect(&flow, &mut context)));
            assert_eq!(connections.len(), 1000);
            for &connection in &connections {
                let answer = TcpFlags::SYN | TcpFlags::ACK;
                service.packet(connection, Direction::Out, answer, &mut context);
                service.packet(connection, Direction::In, TcpFlags::ACK, &mut context);
            }
            for connection in connections.drain(..) {
                assert!(service.close(connection) && service.expire(connection));
            }
        };
        round(&mut service, 0);
        let count = measure(|| round(&mut service, 0));
        assert_eq!(count.count_current, 0, "{persistence:?}");
        if persistence.is_none() {
            assert_eq!(count.count_total, 0);
        }
    }
}

const CACHES: [Algorithm; 2] = [Algorithm::Lblc, Algorithm::Lblcr];

/// Addresses that were sent to before: also when they move to another destination and back, and
/// when the timer ticks.
#[test]
fn a_cached_address_allocates_nothing() {
    for algorithm in CACHES {
        let mut service = service(algorithm, 10);
        let schedule = |service: &mut VirtualService, secs| {
            let mut context = Context::new(Duration::from_secs(secs));
            flows().fold(0, |picked, flow| {
                picked + u32::from(service.schedule(&flow, &mut context).is_some())
            })
        };
        assert_eq!(schedule(&mut service, 0), 1000);
        // Each becomes the only one to pick, so that sets have all of them once.
        let only = |service: &mut VirtualService, only: u32| {
            for number in 0..10 {
                let weight = u32::from(number == only);
                service.edit(destination(number, weight)).unwrap();
            }
        };
        for number in 0..10 {
            only(&mut service, number);
            assert_eq!(schedule(&mut service, 0), 1000);
        }
        let count = measure(|| {
            for number in 0..10 {
                only(&mut service, number);
                let secs = 1000 * u64::from(number);
                assert_eq!(schedule(&mut service, secs), 1000);
            }
        });
        assert_eq!(count.count_total, 0, "{algorithm}");
    }
}

/// Entries that were dropped leave their room to new ones.
#[test]
fn a_new_address_takes_the_room_of_a_dropped_one() {
    for algorithm in CACHES {
        let mut service = service(algorithm, 10);
        // A thousand addresses of their own for each day.
        let mut day = |day: u32| {
            let mut context = Context::new(Duration::from_secs(200_000 * u64::from(day)));
            for number in 1000 * day..1000 * (day + 1) {
                let client = (Ipv4Addr::new(192, 0, 2, 7), 40000).into();
                let flow = Flow::tcp(client, (Ipv4Addr::from(number), 80).into());
                assert!(service.schedule(&flow, &mut context).is_some());
            }
        };
        assert!(measure(|| day(1)).count_total > 0, "{algorithm}");
        assert_eq!(measure(|| day(2)).count_total, 0, "{algorithm}");
    }
}
