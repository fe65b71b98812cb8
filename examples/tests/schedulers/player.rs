//! One scenario on its way: what it sends next, what it configures next, whom its flows went to.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use lvs_ipvs::{
    Change, Destination as Server, DestinationKey, Family, Persistence, PersistenceMask as Mask,
    Protocol as ServiceProtocol, Scheduler, SchedulerName, ServiceFlags, ServiceKey,
    VirtualService,
};
use lvs_schedulers::scenario::{self, Event, Scenario, Target};
use lvs_schedulers::{Destination, PersistenceMask, Protocol};

use super::kernel::Picks;
use super::packet::Packet;
use super::talk::Connection;

/// Services with port 0 are sent to at these ports.
const ANY_PORT: u16 = 8000;

/// An entry of the connection table: protocol, client, what it sends to.
pub(crate) type Key = (ServiceProtocol, SocketAddr, SocketAddr);

/// What is sent in one round.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub(crate) packets: Vec<Packet>,
    /// Those of them that begin a flow.
    pub(crate) first: Vec<(usize, Packet)>,
}

/// Entries that have to leave the table, and what makes them.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub(crate) keys: Vec<Key>,
    /// Sent while timeouts are short.
    pub(crate) touches: Vec<Packet>,
    /// Sent while the kernel ends entries whose server is gone.
    pub(crate) provocations: Vec<Packet>,
}

#[derive(Clone, Copy, Debug)]
struct Flow {
    client: SocketAddr,
    to: SocketAddr,
    pick: Pick,
    is_closed: bool,
}

#[derive(Clone, Copy, Debug)]
enum Pick {
    Waiting,
    Refused,
    Server {
        id: u32,
        /// Its address as it is configured.
        configured: SocketAddr,
        /// Where the packet went.
        address: SocketAddr,
        has_expired: bool,
    },
}

/// A scenario and how far it has come.
#[derive(Debug)]
pub(crate) struct Player<'a> {
    scenario: &'a Scenario,
    service: ServiceKey,
    next: usize,
    /// Latest settings of each server.
    servers: BTreeMap<u32, Destination>,
    /// Addresses of those that are there.
    present: BTreeSet<SocketAddr>,
    flows: Vec<Flow>,
}

impl<'a> Player<'a> {
    /// A mark service gets the mark `mark`, whatever the scenario calls it.
    pub(crate) fn new(scenario: &'a Scenario, mark: u32) -> Self {
        let service = match scenario.target() {
            Target::Mark(_) => {
                let addresses = mentioned(scenario).next();
                let family = Family::of(addresses.expect("a server, for the family"));
                ServiceKey::firewall_mark(family, mark)
            }
            Target::Address(address) => match scenario.protocol() {
                Protocol::Tcp => ServiceKey::tcp(address),
                Protocol::Udp => ServiceKey::udp(address),
                Protocol::Sctp => ServiceKey::sctp(address),
                other => panic!("no packets of {other:?}"),
            },
        };
        Self {
            scenario,
            service,
            next: 0,
            servers: BTreeMap::new(),
            present: BTreeSet::new(),
            flows: Vec::new(),
        }
    }

    /// All addresses that servers ever have.
    pub(crate) fn servers(&self) -> impl Iterator<Item = IpAddr> {
        mentioned(self.scenario)
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.scenario.protocol()
    }

    pub(crate) fn mark(&self) -> Option<u32> {
        match self.service {
            ServiceKey::FirewallMark { mark, .. } => Some(mark),
            ServiceKey::Address { .. } => None,
        }
    }

    /// The service and the servers that are there before the first event.
    pub(crate) fn set_up(&mut self) -> Vec<Change> {
        let scenario = self.scenario;
        let name = SchedulerName::new(scenario.algorithm().name()).unwrap();
        let mut flags = ServiceFlags::empty();
        flags.set(ServiceFlags::SCHED_1, scenario.flags().fallback());
        flags.set(ServiceFlags::SCHED_2, scenario.flags().port());
        let mut service = VirtualService::new(self.service)
            .with_scheduler(Scheduler::from_name(name))
            .with_flags(flags);
        if let Some(persistence) = scenario.persistence() {
            let seconds = u32::try_from(persistence.timeout().as_secs()).unwrap();
            let mut settings = Persistence::new(seconds);
            settings.mask = match persistence.mask() {
                PersistenceMask::Inet(mask) => Some(mask.into()),
                PersistenceMask::Inet6(length) => Some(Mask::Inet6(length.into())),
                _ => None,
            };
            service = service.with_persistence(settings);
        }
        let mut changes = vec![Change::AddService(service)];
        for server in scenario.servers() {
            let add = self.add(server.id(), *server.destination());
            changes.push(add);
        }
        changes
    }

    fn add(&mut self, id: u32, settings: Destination) -> Change {
        self.servers.insert(id, settings);
        self.present.insert(settings.address());
        Change::AddDestination(self.service, server(&settings))
    }

    /// What can be sent before something has to be known or done.
    pub(crate) fn packets(&mut self) -> Turn {
        let mut turn = Turn::default();
        while let Some(event) = self.scenario.events().get(self.next) {
            match *event {
                Event::Flow { client, to } => {
                    let index = self.flows.len();
                    let to = match self.scenario.target() {
                        Target::Mark(_) => to.unwrap(),
                        Target::Address(address) if address.port() == 0 => {
                            let port = ANY_PORT + u16::try_from(index % 16).unwrap();
                            SocketAddr::new(address.ip(), port)
                        }
                        Target::Address(address) => address,
                    };
                    let packet = Packet::first(self.scenario.protocol(), client, to);
                    turn.packets.push(packet);
                    turn.first.push((index, packet));
                    self.flows.push(Flow {
                        client,
                        to,
                        pick: Pick::Waiting,
                        is_closed: false,
                    });
                }
                Event::Establish { flow } | Event::Close { flow } => {
                    if matches!(self.flows[flow].pick, Pick::Waiting) {
                        break;
                    }
                    let is_close = matches!(event, Event::Close { .. });
                    if let Some(connection) = self.connection(flow) {
                        turn.packets.extend(match is_close {
                            true => connection.close(),
                            false => connection.establish(),
                        });
                        self.flows[flow].is_closed |= is_close;
                    }
                }
                Event::Expire { flow } => match self.flows[flow].pick {
                    Pick::Waiting => break,
                    _ if self.connection(flow).is_some() => break,
                    _ => {}
                },
                _ => break,
            }
            self.next += 1;
        }
        turn
    }

    /// The connection of a flow that has a server and has not expired.
    fn connection(&self, flow: usize) -> Option<Connection> {
        let flow = self.flows[flow];
        match flow.pick {
            Pick::Server {
                address,
                has_expired: false,
                ..
            } => Some(Connection {
                protocol: self.scenario.protocol(),
                client: flow.client,
                to: flow.to,
                server: address,
                is_closed: flow.is_closed,
            }),
            _ => None,
        }
    }

    /// Whether a flow was sent there.
    pub(crate) fn is_to(&self, flow: usize, to: SocketAddr) -> bool {
        self.flows[flow].to == to
    }

    /// The first packet of a flow came out there, or was refused.
    pub(crate) fn answer(&mut self, flow: usize, server: Option<SocketAddr>) {
        let pick = match server {
            None => Pick::Refused,
            Some(address) => {
                let found = self.server(address);
                let (id, configured) =
                    found.unwrap_or_else(|| panic!("no server {address} in {}", self.scenario));
                Pick::Server {
                    id,
                    configured,
                    address,
                    has_expired: false,
                }
            }
        };
        self.flows[flow].pick = pick;
    }

    /// The server that a packet to this address goes to: one of that address or, where the port of
    /// the packet is kept, the only one of that address with any port.
    fn server(&self, address: SocketAddr) -> Option<(u32, SocketAddr)> {
        let find = |is_it: &dyn Fn(SocketAddr) -> bool| {
            let servers = self.servers.iter().map(|(id, it)| (*id, it.address()));
            let mut found = servers.filter(|(_, address)| is_it(*address));
            let first = found.next();
            first.filter(|_| found.next().is_none())
        };
        find(&|it| it == address).or_else(|| find(&|it| it.ip() == address.ip()))
    }

    /// What is configured next.
    pub(crate) fn changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Some(event) = self.scenario.events().get(self.next) {
            changes.push(match *event {
                Event::Add(change) => {
                    let settings = self.changed(change);
                    self.add(change.id(), settings)
                }
                Event::Edit(change) => {
                    let settings = self.changed(change);
                    self.servers.insert(change.id(), settings);
                    Change::SetDestination(self.service, server(&settings))
                }
                Event::Remove { id } => {
                    let address = self.servers[&id].address();
                    self.present.remove(&address);
                    Change::RemoveDestination(self.service, DestinationKey::from(address))
                }
                _ => break,
            });
            self.next += 1;
        }
        changes
    }

    /// The settings of a server with what changes.
    fn changed(&self, change: scenario::Change) -> Destination {
        let former = self.servers.get(&change.id());
        let address = change
            .address()
            .or_else(|| former.map(Destination::address));
        let of = |new: Option<u32>, old: fn(&Destination) -> u32| new.or_else(|| former.map(old));
        Destination::new(address.unwrap())
            .with_weight(of(change.weight(), Destination::weight).unwrap())
            .with_thresholds(
                of(change.upper(), Destination::upper).unwrap_or(0),
                of(change.lower(), Destination::lower).unwrap_or(0),
            )
    }

    /// The entries that leave the table next.
    pub(crate) fn ends(&mut self) -> Ends {
        let mut ends = Ends::default();
        while let Some(&Event::Expire { flow }) = self.scenario.events().get(self.next) {
            self.next += 1;
            let Some(connection) = self.connection(flow) else {
                continue;
            };
            let Pick::Server {
                configured,
                has_expired,
                ..
            } = &mut self.flows[flow].pick
            else {
                continue;
            };
            *has_expired = true;
            let protocol = match connection.protocol {
                Protocol::Tcp => ServiceProtocol::TCP,
                Protocol::Udp => ServiceProtocol::UDP,
                other => panic!("entries of {other:?} do not expire soon"),
            };
            ends.keys.push((protocol, connection.client, connection.to));
            let is_silenced = !self.present.contains(configured);
            if is_silenced && connection.is_closed && connection.protocol == Protocol::Tcp {
                ends.provocations.push(connection.provoke());
            } else {
                ends.touches.extend(connection.touch());
            }
        }
        ends
    }

    /// The time that passes next.
    pub(crate) fn pause(&mut self) -> Option<Duration> {
        match self.scenario.events().get(self.next) {
            Some(Event::Advance { by }) => {
                self.next += 1;
                Some(*by)
            }
            _ => None,
        }
    }

    /// The picks; panics if the scenario has not come to its end.
    pub(crate) fn into_picks(self) -> Picks {
        let events = self.scenario.events();
        assert_eq!(self.next, events.len(), "{:?}", events.get(self.next));
        let picks = self.flows.iter().map(|flow| match flow.pick {
            Pick::Server { id, .. } => Some(id),
            Pick::Refused => None,
            Pick::Waiting => panic!("an unanswered flow"),
        });
        picks.collect()
    }
}

fn server(settings: &Destination) -> Server {
    Server::masquerade(settings.address())
        .with_weight(settings.weight())
        .with_thresholds(settings.lower(), settings.upper())
}

/// All server addresses in a scenario.
fn mentioned(scenario: &Scenario) -> impl Iterator<Item = IpAddr> {
    let added = scenario.events().iter().filter_map(|event| match event {
        Event::Add(change) => change.address(),
        _ => None,
    });
    let first = scenario.servers().iter();
    first
        .map(|server| server.destination().address())
        .chain(added)
        .map(|address| address.ip())
}
