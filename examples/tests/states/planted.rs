//! Connections planted in any state by synchronisation messages: each gets its packets, and is read
//! again.

use core::net::SocketAddr;
use std::time::Instant;

use core::time::Duration;
use std::collections::BTreeMap;

use lvs_ipvs::procfs::{Connection, Connections};
use lvs_ipvs::{DaemonRole, Destination, Scheduler, ServiceKey, SyncDaemon, VirtualService};

use super::send;
use super::sync::{self, INACTIVE, Record};
use crate::schedulers::director::Director;
use crate::schedulers::packet::{Content, Packet};
use crate::schedulers::wire::eventually;

/// A connection to plant, and the packets it gets: whether from the server, and what.
pub(crate) struct Cell {
    pub(crate) state: u16,
    pub(crate) is_inactive: bool,
    pub(crate) packets: Vec<(bool, Content)>,
}

/// How connections are planted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Soil {
    /// Flags of the messages.
    pub(crate) flags: u32,
    /// The destination to plant them at; without it they belong to none, and keep their flags.
    pub(crate) destination: Option<fn(SocketAddr) -> Destination>,
}

/// What became of planted connections, how many are active and inactive as their destination counts
/// them, and how long after the first packet all this was read at the latest.
pub(crate) struct Grown {
    pub(crate) connections: Vec<Connection>,
    pub(crate) counts: Option<[u32; 2]>,
    pub(crate) took: Duration,
}

/// Plants a connection for each cell at a new service, and sends each its packets. Nothing if some may
/// have gone before they were read, having at least `shortest` to live: the machine was too busy.
pub(crate) fn grow(
    director: &mut Director,
    service: ServiceKey,
    protocol: u8,
    soil: Soil,
    cells: &[Cell],
    shortest: Duration,
) -> Option<Grown> {
    let ServiceKey::Address { address, port, .. } = service else {
        panic!("{service} has no address");
    };
    let to = SocketAddr::new(address, port);
    let server = SocketAddr::from(([10, 200, 1, 1], 80));
    let settings = VirtualService::new(service).with_scheduler(Scheduler::Rr);
    director.ipvs.add_service(&settings).unwrap();
    let daemon = SyncDaemon::new(DaemonRole::Backup, "lo".parse().unwrap(), 0);
    director.ipvs.start_daemon(&daemon).unwrap();
    if let Some(destination) = soil.destination {
        director
            .ipvs
            .add_destination(service, &destination(server))
            .unwrap();
    }
    let client = |number: usize| {
        let [.., high, low] = number.to_be_bytes();
        SocketAddr::from(([10, 1, high, low], 1000))
    };
    let records: Vec<_> = cells
        .iter()
        .enumerate()
        .map(|(number, cell)| Record {
            protocol,
            flags: soil.flags | if cell.is_inactive { INACTIVE } else { 0 },
            state: cell.state,
            client: client(number),
            virtual_address: to,
            destination: server,
            timeout: 500,
        })
        .collect();
    sync::send(&records);
    eventually("connections are planted", || {
        let table = table();
        records.iter().all(|it| table.contains_key(&it.client))
    });

    let mut packets = Vec::new();
    for (number, cell) in cells.iter().enumerate() {
        for &(from_server, content) in &cell.packets {
            let (source, destination) = if from_server {
                (server, client(number))
            } else {
                (client(number), to)
            };
            packets.push(Packet {
                source,
                destination,
                content,
            });
        }
    }
    let start = Instant::now();
    send(director, &packets);
    let mut seen = table();
    // A reading misses some while others leave the table.
    let is_missed =
        |seen: &BTreeMap<_, _>| (0..cells.len()).any(|number| !seen.contains_key(&client(number)));
    while is_missed(&seen) && start.elapsed() < shortest {
        seen.extend(table());
    }
    let counts = soil.destination.map(|_| {
        let entries = director.ipvs.destinations(service).unwrap();
        let entry = &entries[0];
        [entry.active_connections, entry.inactive_connections]
    });
    let took = start.elapsed();
    // The namespace lives on as long as a daemon runs in it.
    director.ipvs.stop_daemon(DaemonRole::Backup).unwrap();
    (took < shortest).then(|| Grown {
        connections: (0..cells.len())
            .map(|number| seen.remove(&client(number)).unwrap())
            .collect(),
        counts,
        took,
    })
}

/// The connections of this namespace, by client.
pub(crate) fn table() -> BTreeMap<SocketAddr, Connection> {
    Connections::open()
        .unwrap()
        .map(Result::unwrap)
        .map(|connection| (connection.client, connection))
        .collect()
}
