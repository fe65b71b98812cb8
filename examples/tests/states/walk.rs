//! Connections on random walks through their states: the kernel's table and a service of the library
//! side by side, packet by packet.

use core::net::SocketAddr;
use core::ops::Range;
use core::time::Duration;
use std::time::Instant;

use lvs_ipvs as kernel;
use lvs_schedulers::{
    Algorithm, ConnectionId, Context, Destination, Direction, Flow, Forwarding, Protocol,
    SctpChunk, Semantics, Settings, TcpFlags, VirtualService,
};

use super::planted::table;
use super::send;
use crate::schedulers::director::Director;
use crate::schedulers::packet::{Content, Packet};
use crate::schedulers::random::Random;

/// Connections of one walk.
const CONNECTIONS: u8 = 120;

/// Packets of each connection, after its first.
const STEPS: usize = 12;

/// Those that find the destination removed.
const REMOVED: Range<usize> = 5..8;

/// Chunks that bear on states, and two that do not.
const CHUNKS: [u8; 11] = [0, 1, 2, 4, 6, 7, 8, 9, 10, 11, 14];

/// Walks with connections of one protocol, forwarded in one way. Returns how many states were
/// compared.
pub(crate) fn walk(
    director: &mut Director,
    protocol: Protocol,
    forwarding: Forwarding,
    is_secure: bool,
    seed: u64,
) -> usize {
    let number = u8::try_from(seed).unwrap();
    let to = SocketAddr::from(([10, 64, number, 1], 80));
    let server = SocketAddr::from(([10, 200, number, 1], 80));
    let service = match protocol {
        Protocol::Tcp => kernel::VirtualService::tcp(to),
        Protocol::Sctp => kernel::VirtualService::sctp(to),
        _ => kernel::VirtualService::udp(to),
    };
    let service = service.with_scheduler(kernel::Scheduler::Rr);
    director.ipvs.add_service(&service).unwrap();
    let destination = match forwarding {
        Forwarding::Masquerade => kernel::Destination::masquerade(server),
        _ => kernel::Destination::direct_route(server),
    };
    director
        .ipvs
        .add_destination(service.key(), &destination)
        .unwrap();

    let mut settings = Settings::default();
    settings.secure_tcp = is_secure;
    let mut model = VirtualService::new(Algorithm::Rr, Semantics::LINUX_6_1);
    model.set_settings(settings);
    let id = model
        .add(Destination::new(server).with_forwarding(forwarding))
        .unwrap();

    let start = Instant::now();
    let mut random = Random::new(seed);
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|last| SocketAddr::from(([10, 1, number, last], 1000)))
        .collect();
    let mut connections: Vec<ConnectionId> = Vec::new();
    let mut compared = 0;
    for step in 0..=STEPS {
        // For a while the destination is not there.
        if step == REMOVED.start {
            director
                .ipvs
                .remove_destination(service.key(), destination.key())
                .unwrap();
            model.remove(server).unwrap();
        }
        if step == REMOVED.end {
            director
                .ipvs
                .add_destination(service.key(), &destination)
                .unwrap();
            model
                .add(Destination::new(server).with_forwarding(forwarding))
                .unwrap();
        }
        let mut context = Context::new(start.elapsed());
        let mut packets = Vec::new();
        for (index, &client) in clients.iter().enumerate() {
            if step == 0 {
                let flow = Flow::new(protocol, client, to);
                connections.push(model.connect(&flow, &mut context).unwrap());
                packets.push(Packet::first(protocol, client, to));
                continue;
            }
            let connection = connections[index];
            let direction = [Direction::In, Direction::Out][random.below(2)];
            let content = match protocol {
                Protocol::Tcp => {
                    let flags = [0, 1, 2, 4, 16, 16, 17, 18][random.below(8)];
                    let flags = TcpFlags::from_bits(flags);
                    model.packet(connection, direction, flags, &mut context);
                    Content::Tcp(flags.bits())
                }
                Protocol::Sctp => {
                    let kind = CHUNKS[random.below(CHUNKS.len())];
                    model.packet(connection, direction, SctpChunk::from(kind), &mut context);
                    Content::Sctp(kind)
                }
                _ => {
                    let datagram = lvs_schedulers::Packet::Udp;
                    model.packet(connection, direction, datagram, &mut context);
                    Content::Udp
                }
            };
            let (source, destination) = match direction {
                Direction::In => (client, to),
                Direction::Out => (server, client),
            };
            packets.push(Packet {
                source,
                destination,
                content,
            });
        }
        send(director, &packets);

        let seen = table();
        for (client, connection) in clients.iter().zip(&connections) {
            let found = &seen[client];
            let what = format!("{protocol:?} {forwarding:?} {is_secure} {client} step {step}");
            let state = model.state_of(*connection).unwrap();
            assert_eq!(found.state.name(), state.to_string(), "{what}");
            let left = model.due_of(*connection).unwrap() - start.elapsed();
            let (least, most) = (
                left.saturating_sub(Duration::from_secs(2)),
                left + Duration::from_secs(2),
            );
            assert!(
                (least..=most).contains(&found.expires_in),
                "{what}: {found:?} {left:?}"
            );
            compared += 1;
        }
        for entry in director.ipvs.destinations(service.key()).unwrap() {
            let modelled = model.destination(id).unwrap();
            assert_eq!(
                (entry.active_connections, entry.inactive_connections),
                (modelled.active(), modelled.inactive()),
                "{protocol:?} {forwarding:?} step {step}"
            );
        }
    }
    compared
}
