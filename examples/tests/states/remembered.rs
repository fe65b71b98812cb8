//! A persistent service of a running kernel and one of the library, side by side in real time.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::thread;
use std::time::Instant;

use lvs_ipvs::procfs::{Connection, Connections};
use lvs_ipvs::{self as kernel, PersistenceMask, ServiceKey, Timeouts};
use lvs_schedulers::{
    Algorithm, Context, Destination, Flow, Persistence, Protocol, Semantics, Settings,
    VirtualService,
};

use super::send;
use crate::schedulers::director::Director;
use crate::schedulers::packet::{ACK, Content, FIN, Packet, SYN};

/// Timers of the kernel and of the library may be that far apart.
const SLACK: Duration = Duration::from_millis(1900);

/// Both, and when they began.
pub(crate) struct Pair<'a> {
    director: &'a mut Director,
    key: ServiceKey,
    pub(crate) model: VirtualService,
    protocol: Protocol,
    to: SocketAddr,
    start: Instant,
}

pub(crate) fn server(name: char) -> SocketAddr {
    let number = u8::try_from(name).unwrap();
    SocketAddr::from(([10, 200, 1, number], 80))
}

impl<'a> Pair<'a> {
    /// A service of rr with destinations of these names, and templates of whole /24 networks.
    pub(crate) fn new(
        director: &'a mut Director,
        protocol: Protocol,
        timeout: u32,
        is_one_packet: bool,
        semantics: Semantics,
        names: &[char],
    ) -> Self {
        let to = SocketAddr::from(([10, 64, 1, 1], 80));
        let service = match protocol {
            Protocol::Tcp => kernel::VirtualService::tcp(to),
            Protocol::Sctp => kernel::VirtualService::sctp(to),
            _ => kernel::VirtualService::udp(to),
        };
        let mask = [255, 255, 255, 0].into();
        let persistence = kernel::Persistence::new(timeout).with_mask(PersistenceMask::Inet(mask));
        let mut service = service
            .with_scheduler(kernel::Scheduler::Rr)
            .with_persistence(persistence);
        if is_one_packet {
            service = service.with_one_packet();
        }
        director.ipvs.add_service(&service).unwrap();
        // Connections that the server ends leave soon.
        let timeouts = Timeouts {
            tcp_fin_secs: Some(1),
            ..Timeouts::default()
        };
        director.ipvs.set_timeouts(timeouts).unwrap();

        let mask = lvs_schedulers::PersistenceMask::Inet(mask);
        let persistence = Persistence::new(Duration::from_secs(timeout.into())).with_mask(mask);
        let mut model = VirtualService::new(Algorithm::Rr, semantics).with_persistence(persistence);
        if is_one_packet {
            model = model.with_one_packet();
        }
        let mut settings = Settings::default();
        settings.tcp_fin_timeout = Duration::from_secs(1);
        model.set_settings(settings);
        let mut pair = Self {
            director,
            key: service.key(),
            model,
            protocol,
            to,
            start: Instant::now(),
        };
        for &name in names {
            pair.add(name);
        }
        pair
    }

    pub(crate) fn add(&mut self, name: char) {
        let destination = kernel::Destination::masquerade(server(name));
        self.director
            .ipvs
            .add_destination(self.key, &destination)
            .unwrap();
        self.now();
        self.model.add(Destination::new(server(name))).unwrap();
    }

    pub(crate) fn remove(&mut self, name: char) {
        let key = kernel::Destination::masquerade(server(name)).key();
        self.director
            .ipvs
            .remove_destination(self.key, key)
            .unwrap();
        self.now();
        self.model.remove(server(name)).unwrap();
    }

    pub(crate) fn edit(&mut self, name: char, weight: u32, [upper, lower]: [u32; 2]) {
        let destination = kernel::Destination::masquerade(server(name))
            .with_weight(weight)
            .with_thresholds(lower, upper);
        self.director
            .ipvs
            .set_destination(self.key, &destination)
            .unwrap();
        self.now();
        let destination = Destination::new(server(name))
            .with_weight(weight)
            .with_thresholds(upper, lower);
        self.model.edit(destination).unwrap();
    }

    pub(crate) fn expire_quiescent_templates(&mut self) {
        let path = "/proc/sys/net/ipv4/vs/expire_quiescent_template";
        std::fs::write(path, "1").unwrap();
        let mut settings = *self.model.settings();
        settings.expire_quiescent_template = true;
        self.model.set_settings(settings);
    }

    /// What happens by timers has happened on both sides.
    fn now(&mut self) {
        self.model.expire_due(self.start.elapsed());
    }

    /// Waits until so much time has passed since the beginning.
    pub(crate) fn until(&mut self, seconds: f64) {
        let left = Duration::from_secs_f64(seconds).saturating_sub(self.start.elapsed());
        thread::sleep(left);
        self.now();
    }

    /// A client begins a connection.
    pub(crate) fn connect(&mut self, from: [u8; 4], port: u16) {
        let client = SocketAddr::from((from, port));
        self.now();
        let first = Packet::first(self.protocol, client, self.to);
        send(self.director, &[first]);
        let flow = Flow::new(self.protocol, client, self.to);
        let mut context = Context::new(self.start.elapsed());
        self.model.connect(&flow, &mut context);
    }

    /// A client begins a TCP connection that is established, and goes after a second if it `ends`.
    pub(crate) fn exchange(&mut self, from: [u8; 4], port: u16, ends: bool) {
        use lvs_schedulers::{Direction, TcpFlags};

        let client = SocketAddr::from((from, port));
        self.now();
        let flow = Flow::tcp(client, self.to);
        let mut context = Context::new(self.start.elapsed());
        let connection = self.model.connect(&flow, &mut context).unwrap();
        let server = self.model.destination_of(connection).unwrap().address();
        let mut say = |direction, flags: u8| {
            let (source, destination) = match direction {
                Direction::In => (client, self.to),
                Direction::Out => (server, client),
            };
            let content = Content::Tcp(flags);
            let packet = Packet {
                source,
                destination,
                content,
            };
            send(self.director, &[packet]);
            if flags != SYN {
                let flags = TcpFlags::from_bits(flags);
                self.model
                    .packet(connection, direction, flags, &mut context);
            }
        };
        say(Direction::In, SYN);
        say(Direction::Out, SYN | ACK);
        say(Direction::In, ACK);
        if ends {
            say(Direction::Out, FIN | ACK);
        }
    }

    /// Compares templates, as they are asked for, and the counts of all destinations.
    pub(crate) fn compare(&mut self, what: &str) {
        self.now();
        // A reading repeats or misses some while others come and go, also those of other namespaces.
        let mut templates = BTreeMap::new();
        for _ in 0..5 {
            templates.extend(honoured());
            if templates.len() == self.model.templates() {
                break;
            }
        }
        assert_eq!(self.model.templates(), templates.len(), "{what}");
        for row in templates.values() {
            let template = self.model.template(row.client.ip());
            let template = *template.unwrap_or_else(|| panic!("{what}: not known: {row:?}"));
            let destination = self.model.destination(template.destination).unwrap();
            assert_eq!(
                destination.address().ip(),
                row.destination.address,
                "{what}"
            );
            assert_eq!(
                row.state.name(),
                if template.is_assured {
                    "ASSURED"
                } else {
                    "NONE"
                },
                "{what}: {row:?}"
            );
            let left = template.due.saturating_sub(self.start.elapsed());
            assert!(
                row.expires_in.abs_diff(left) <= SLACK,
                "{what}: {row:?}, not {left:?}"
            );
        }
        for entry in self.director.ipvs.destinations(self.key).unwrap() {
            let key = entry.destination.key();
            let address = SocketAddr::new(key.address, key.port);
            let modelled = self.model.destination_at(address).unwrap();
            assert_eq!(
                [
                    entry.active_connections,
                    entry.inactive_connections,
                    entry.persistent_connections
                ],
                [modelled.active(), modelled.inactive(), modelled.templates()],
                "{what}: {address}"
            );
        }
    }

    /// Whether the kernel takes a connection of a new client; nothing is told to the library.
    pub(crate) fn takes(&mut self, from: [u8; 4], port: u16) -> bool {
        let client = SocketAddr::from((from, port));
        let first = Packet::first(self.protocol, client, self.to);
        send(self.director, &[first]);
        super::planted::table().contains_key(&client)
    }
}

/// The templates of this namespace by client, but those that are not honoured any more: they lead to
/// port 65535.
fn honoured() -> BTreeMap<SocketAddr, Connection> {
    let rows = Connections::open().unwrap().map(Result::unwrap);
    rows.filter(|row| row.is_template() && row.destination.port != u16::MAX)
        .map(|row| (row.client, row))
        .collect()
}
