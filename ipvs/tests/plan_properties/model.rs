//! A plain model of the kernel's table, connections included.

use std::collections::BTreeMap;

use lvs_ipvs::{
    Change, Destination, DestinationKey, Drain, Outcome, Plan, Rejected, Repair, Request,
    ServiceKey, Snapshot, Table, TableService, VirtualService,
};

const ENOENT: i32 = 2;
const ESRCH: i32 = 3;
const EEXIST: i32 = 17;

/// Active and inactive connections, and persistence templates.
pub(crate) type Connections = [u32; 3];

/// A destination with its connections.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Server {
    pub(crate) destination: Destination,
    pub(crate) connections: Connections,
}

impl Server {
    pub(crate) fn key(&self) -> DestinationKey {
        self.destination.key()
    }

    /// Whether new connections may go there.
    pub(crate) fn is_usable(&self) -> bool {
        self.destination.weight() > 0
    }

    /// Active and inactive connections.
    pub(crate) fn all_connections(&self) -> u32 {
        let [active, inactive, _] = self.connections;
        active + inactive
    }

    /// Connections that have to end before it has drained.
    pub(crate) fn open(&self, drain: &Drain) -> u32 {
        let [active, inactive, templates] = self.connections;
        let counted = |count, counts| if counts { count } else { 0 };
        active + counted(inactive, drain.inactive) + counted(templates, drain.persistent)
    }
}

/// A service with its destinations, newest first.
pub(crate) type Service = (VirtualService, Vec<Server>);

/// A table that behaves as the kernel's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Model {
    pub(crate) services: BTreeMap<ServiceKey, Service>,
    /// Connections of removed destinations.
    trash: BTreeMap<(ServiceKey, DestinationKey), Connections>,
}

impl Model {
    pub(crate) fn of(table: &Table) -> Self {
        let service = |entry: &TableService| {
            let servers = entry.destinations.iter().rev().map(|destination| Server {
                destination: destination.clone(),
                connections: [0; 3],
            });
            (
                entry.service.key(),
                (entry.service.clone(), servers.collect()),
            )
        };
        Self {
            services: table.services().map(service).collect(),
            trash: BTreeMap::new(),
        }
    }

    /// What a snapshot shows.
    pub(crate) fn seen(snapshot: &Snapshot) -> Self {
        let mut model = Self::default();
        for service in &snapshot.services {
            let servers = service.destinations.iter().map(|entry| Server {
                destination: entry.destination.clone(),
                connections: [
                    entry.active_connections,
                    entry.inactive_connections,
                    entry.persistent_connections,
                ],
            });
            let settings = service.entry.service.clone();
            model
                .services
                .insert(settings.key(), (settings, servers.collect()));
        }
        model
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut table = Table::new();
        for (service, servers) in self.services.values() {
            let oldest_first = servers.iter().rev();
            table.insert(
                service.clone(),
                oldest_first.map(|server| server.destination.clone()),
            );
        }
        let mut snapshot = Snapshot::from(&table);
        for service in &mut snapshot.services {
            let servers = self.servers(&service.entry.service.key());
            for (entry, server) in service.destinations.iter_mut().zip(servers) {
                let [active, inactive, templates] = server.connections;
                entry.active_connections = active;
                entry.inactive_connections = inactive;
                entry.persistent_connections = templates;
            }
        }
        snapshot
    }

    /// The destinations of a service, newest first.
    pub(crate) fn servers(&self, service: &ServiceKey) -> &[Server] {
        let found = self.services.get(service);
        found.map_or(&[], |(_, servers)| servers.as_slice())
    }

    pub(crate) fn server(&self, service: &ServiceKey, key: DestinationKey) -> Option<&Server> {
        let mut servers = self.servers(service).iter();
        servers.find(|server| server.key() == key)
    }

    /// The connections a destination would have if it were added now.
    pub(crate) fn kept(&self, service: &ServiceKey, key: DestinationKey) -> Connections {
        self.trash
            .get(&(*service, key))
            .copied()
            .unwrap_or_default()
    }

    /// Gives the destinations of a service, newest first, these connections.
    pub(crate) fn connect(&mut self, service: &ServiceKey, connections: &[Connections]) {
        if let Some((_, servers)) = self.services.get_mut(service) {
            for (server, connections) in servers.iter_mut().zip(connections) {
                server.connections = *connections;
            }
        }
    }

    /// Ends every connection.
    pub(crate) fn end_connections(&mut self) {
        self.trash.clear();
        for (_, servers) in self.services.values_mut() {
            for server in servers {
                server.connections = [0; 3];
            }
        }
    }

    /// Does what the kernel would do, or refuses with its error number.
    pub(crate) fn apply(&mut self, change: &Change) -> Result<(), i32> {
        let position = |list: &[Server], key| list.iter().position(|one| one.key() == key);
        match change {
            Change::AddService(service) if self.services.contains_key(&service.key()) => {
                return Err(EEXIST);
            }
            Change::AddService(service) => {
                let entry = (service.clone(), Vec::new());
                self.services.insert(service.key(), entry);
            }
            Change::SetService(service) => {
                self.services.get_mut(&service.key()).ok_or(ESRCH)?.0 = service.clone();
            }
            Change::RemoveService(key) => {
                let (_, servers) = self.services.remove(key).ok_or(ESRCH)?;
                for server in servers {
                    self.trash.insert((*key, server.key()), server.connections);
                }
            }
            Change::AddDestination(key, destination) => {
                let (_, list) = self.services.get_mut(key).ok_or(ESRCH)?;
                if position(list, destination.key()).is_some() {
                    return Err(EEXIST);
                }
                let kept = self.trash.remove(&(*key, destination.key()));
                let server = Server {
                    destination: destination.clone(),
                    connections: kept.unwrap_or_default(),
                };
                list.insert(0, server);
            }
            Change::SetDestination(key, destination) => {
                let (_, list) = self.services.get_mut(key).ok_or(ESRCH)?;
                let index = position(list, destination.key()).ok_or(ENOENT)?;
                list[index].destination = destination.clone();
            }
            Change::RemoveDestination(service, key) => {
                let (_, list) = self.services.get_mut(service).ok_or(ESRCH)?;
                let server = list.remove(position(list, *key).ok_or(ENOENT)?);
                self.trash.insert((*service, *key), server.connections);
            }
            other => panic!("not the business of a plan: {other}"),
        }
        Ok(())
    }

    /// Like a client: what the table's state explains is repaired, once.
    pub(crate) fn execute(&mut self, plan: &Plan, step: usize) -> Outcome {
        let refuse =
            |change: &Change, errno| Rejected::new(&Request::Change(change.clone()), errno);
        let change = &plan.steps()[step].change;
        let Err(errno) = self.apply(change) else {
            return Outcome::Done;
        };
        let rejected = refuse(change, errno);
        match plan.repair(step, rejected.reason) {
            Some(Repair::Satisfied) => Outcome::Done,
            Some(Repair::Instead(instead)) => match self.apply(&instead) {
                Ok(()) => Outcome::Done,
                Err(errno) => Outcome::Rejected(refuse(&instead, errno)),
            },
            None => Outcome::Rejected(rejected),
        }
    }

    /// Whether new connections to that service find a destination.
    pub(crate) fn is_usable(&self, key: &ServiceKey) -> bool {
        self.servers(key).iter().any(Server::is_usable)
    }
}
