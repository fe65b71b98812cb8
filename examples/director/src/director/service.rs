//! One `virtual_server` block at work: a pool, and the services its destinations are in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use lvs_healthcheck::Invalid;
use lvs_healthcheck::aggregate::{Aggregate, Combine, Desired, Member, UnknownAs};
use lvs_healthcheck::pool::{self, Connections, Drain, Pool, PoolEvent, Settings, Shutdown, Sorry};
use lvs_ipvs::{
    Destination, Protocol, ServiceKey, Snapshot, SnapshotService, Table, TableService, Timestamp,
    VirtualService,
};

use super::event::{EventKind, Events};
use super::fan_out::fitted;
use super::{CheckNumber, ServerKey};
use crate::setup::{PlannedPool, name_of};

/// A check of a server, and whether it counts as down before its first verdict.
pub(super) type ServerCheck = (CheckNumber, bool);

/// A pool and its services.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) name: Arc<str>,
    pub(super) services: Vec<VirtualService>,
    /// The configured servers and the sorry server, in the order of the file.
    order: Vec<ServerKey>,
    /// Everything that may be in the table, by what it is called in the pool.
    servers: BTreeMap<ServerKey, Server>,
    pub(super) pool: Pool<ServerKey, CheckNumber>,
    batch: pool::Batch<ServerKey>,
    ha_suspend: bool,
    stopped: Option<Shutdown>,
    /// Whether it is in the configuration.
    pub(super) is_configured: bool,
    /// Whether it was settled before: changes at the start are not told.
    was_settled: bool,
    pub(super) is_ready: bool,
    pub(super) is_draining: bool,
    /// Its place among the director's deadlines.
    pub(super) timer: Option<Timestamp>,
}

/// A destination as configured.
#[derive(Clone, Debug, PartialEq)]
struct Server {
    destination: Destination,
    /// Where it was found; `None` for one that belongs into every service.
    only_in: Option<Vec<ServiceKey>>,
}

impl Server {
    const fn everywhere(destination: Destination) -> Self {
        Self {
            destination,
            only_in: None,
        }
    }

    /// As it can be in that service, with that weight.
    fn fitted(&self, service: &ServiceKey, weight: u32) -> Option<Destination> {
        let is_out = |services: &Vec<ServiceKey>| !services.contains(service);
        if self.only_in.as_ref().is_some_and(is_out) {
            return None;
        }
        Some(fitted(&self.destination, service)?.with_weight(weight))
    }
}

/// What a plan comes to before it is at work.
struct Prepared {
    servers: BTreeMap<ServerKey, Server>,
    settings: Settings<ServerKey>,
    aggregates: Vec<(ServerKey, Aggregate<CheckNumber>)>,
}

/// `found` is the kernel's table where the service is taken over, and empty where it goes on.
fn prepare(plan: &PlannedPool, checks: &[Vec<ServerCheck>], found: &Table) -> Prepared {
    let mut servers = BTreeMap::new();
    let mut settings = plan.settings.clone();
    let weight_found = |destination: &Destination| {
        let weights = plan.services.iter().filter_map(|service| {
            let key = service.key();
            let fitted = fitted(destination, &key)?;
            Some(found.get(&key)?.destination(&fitted.key())?.weight())
        });
        weights
            .max()
            .map_or(Desired::Absent, |weight| Desired::Present { weight })
    };
    if let Some(planned) = &plan.sorry {
        let destination = planned.destination.clone();
        let sorry = Sorry::new(destination.key())
            .with_weight(destination.weight())
            .with_removal(planned.removal)
            .with_adopted(weight_found(&destination));
        settings = settings.with_sorry(Some(sorry));
        servers.insert(destination.key(), Server::everywhere(destination));
    }
    let mut aggregates = Vec::with_capacity(plan.servers.len());
    for (planned, checks) in plan.servers.iter().zip(checks) {
        let destination = planned.destination.clone();
        let adopted = weight_found(&destination);
        let mut aggregate = Aggregate::new(destination.weight())
            .with_combine(Combine::Additive)
            .with_removal(planned.removal)
            .with_adopted(adopted);
        for (check, is_alpha) in checks {
            let unknown = match (adopted, is_alpha) {
                (Desired::Present { .. }, _) => UnknownAs::Hold,
                (_, true) => UnknownAs::Down,
                (_, false) => UnknownAs::Up,
            };
            aggregate.insert(*check, Member::required(unknown));
        }
        aggregates.push((destination.key(), aggregate));
        servers.insert(destination.key(), Server::everywhere(destination));
    }
    Prepared {
        servers,
        settings,
        aggregates,
    }
}

impl Service {
    /// What is configured, on top of what is in the table already (spec §3.8): a server that is
    /// there stays as it is until its checks have a verdict, and one that is there without being
    /// configured leaves as the settings say.
    pub(super) fn new(
        now: Timestamp,
        plan: &PlannedPool,
        checks: &[Vec<ServerCheck>],
        found: &Table,
    ) -> Result<Self, Invalid> {
        let mut prepared = prepare(plan, checks, found);
        let strays = strays(plan, &prepared.servers, found);
        for (key, server) in &strays {
            let weight = server.destination.weight();
            let aggregate = Aggregate::new(weight).with_adopted(Desired::Present { weight });
            prepared.aggregates.push((*key, aggregate));
        }
        let mut pool = Pool::new(now, prepared.settings, prepared.aggregates)?;
        for key in strays.keys() {
            pool.remove(now, key);
        }
        prepared.servers.extend(strays);
        let services = plan.services.clone();
        let mut service = Self::with_pool(services, prepared.servers, pool);
        service.order = order(plan);
        service.ha_suspend = plan.ha_suspend;
        service.is_configured = true;
        Ok(service)
    }

    /// Services that are not configured any more, with what is in them: they stay as they are until
    /// they are [stopped](Self::stop).
    pub(super) fn departing(
        now: Timestamp,
        service: &TableService,
        drain: Option<Drain>,
    ) -> Result<Self, Invalid> {
        let own = drain_of(&service.service.key(), drain.unwrap_or_default());
        let settings = Settings::new().with_drain(own);
        let mut servers = BTreeMap::new();
        let mut aggregates = Vec::new();
        for destination in &service.destinations {
            let (key, weight) = (destination.key(), destination.weight());
            let aggregate = Aggregate::new(weight).with_adopted(Desired::Present { weight });
            aggregates.push((key, aggregate));
            servers.insert(key, Server::everywhere(destination.clone()));
        }
        let pool = Pool::new(now, settings, aggregates)?;
        let services = vec![service.service.clone()];
        Ok(Self::with_pool(services, servers, pool))
    }

    fn with_pool(
        services: Vec<VirtualService>,
        servers: BTreeMap<ServerKey, Server>,
        pool: Pool<ServerKey, CheckNumber>,
    ) -> Self {
        Self {
            name: name_of(&services).into(),
            services,
            order: Vec::new(),
            servers,
            pool,
            batch: pool::Batch::new(),
            ha_suspend: false,
            stopped: None,
            is_configured: false,
            was_settled: false,
            is_ready: false,
            is_draining: false,
            timer: None,
        }
    }

    /// Goes on with another plan.
    pub(super) fn replace(
        &mut self,
        now: Timestamp,
        plan: &PlannedPool,
        checks: &[Vec<ServerCheck>],
    ) -> Result<(), Invalid> {
        let mut prepared = prepare(plan, checks, &Table::new());
        self.pool
            .replace(now, prepared.settings, prepared.aggregates)?;
        // What leaves is what it was until it is gone.
        for (key, server) in core::mem::take(&mut self.servers) {
            if self.pool.entry(&key).is_some() {
                prepared.servers.entry(key).or_insert(server);
            }
        }
        self.servers = prepared.servers;
        self.services.clone_from(&plan.services);
        self.order = order(plan);
        self.name = plan.name().into();
        self.ha_suspend = plan.ha_suspend;
        Ok(())
    }

    /// Says whether it is a standby's now; see [`Pool::suspend`].
    pub(super) fn set_standby(&mut self, now: Timestamp, is_standby: bool) {
        if self.ha_suspend && is_standby {
            self.pool.suspend(now);
        } else {
            self.pool.resume(now, false);
        }
    }

    /// Ends it; the first end counts.
    pub(super) fn stop(&mut self, now: Timestamp, how: Shutdown) {
        if self.stopped.is_none() {
            self.pool.stop(now, how);
            self.stopped = Some(how);
            self.is_configured = false;
        }
    }

    /// Whether it is not configured any more, and has not been told to leave yet.
    pub(super) const fn is_kept(&self) -> bool {
        !self.is_configured && self.stopped.is_none()
    }

    /// Its services go on as others: what drains in them does not do so any more.
    pub(super) fn tell_return(&self, now: Timestamp, events: &mut Events) {
        for (destination, _) in self.pool.draining() {
            let destination = *destination;
            let service = Arc::clone(&self.name);
            let event = PoolEvent::DrainCancelled { destination };
            events.push(now, EventKind::Service { service, event });
        }
    }

    /// Replaces how it drains.
    pub(super) fn set_drain(&mut self, now: Timestamp, drain: Drain) {
        let drain = match self.services.first() {
            Some(service) => drain_of(&service.key(), drain),
            None => drain,
        };
        let settings = self.pool.settings().clone().with_drain(drain);
        // They were right before, and this cannot be wrong.
        drop(self.pool.set_settings(now, settings));
    }

    /// All servers: in the order of the file, then those that leave.
    pub(super) fn servers(&self) -> impl Iterator<Item = ServerKey> {
        let configured: BTreeSet<ServerKey> = self.order.iter().copied().collect();
        let leaving = self.servers.keys().copied();
        let leaving = leaving.filter(move |key| !configured.contains(key));
        self.order.iter().copied().chain(leaving)
    }

    /// Some of its services as they should be in the table.
    pub(super) fn table_of(&self, keys: &[ServiceKey]) -> Table {
        let mut all = Table::new();
        self.fill(&mut all);
        let mut some = Table::new();
        for entry in keys.iter().filter_map(|key| all.get(key)) {
            some.insert(entry.service.clone(), entry.destinations.iter().cloned());
        }
        some
    }

    /// Whether it has left the table for good.
    pub(super) fn is_over(&self) -> bool {
        let leaves = matches!(self.stopped, Some(Shutdown::Remove | Shutdown::Drain));
        leaves && self.pool.table().next().is_none()
    }

    /// Lets time pass and tells what happened. Says whether its part of the table is another.
    pub(super) fn settle(&mut self, now: Timestamp, events: &mut Events) -> bool {
        self.pool.settle(now, &mut self.batch);
        let is_another = !self.batch.changes.is_empty();
        if is_another || !self.batch.events.is_empty() {
            self.is_draining = self.pool.draining().next().is_some();
        }
        for event in self.batch.events.drain(..) {
            if event == PoolEvent::Ready {
                self.is_ready = true;
                continue;
            }
            let service = Arc::clone(&self.name);
            events.push(now, EventKind::Service { service, event });
        }
        for change in self.batch.changes.drain(..) {
            if change.to == Desired::Absent && self.pool.entry(&change.destination).is_none() {
                self.servers.remove(&change.destination);
            }
            if self.was_settled {
                let service = Arc::clone(&self.name);
                events.push(now, EventKind::Server { service, change });
            }
        }
        self.was_settled = true;
        is_another
    }

    /// Puts services and destinations into a table.
    pub(super) fn fill(&self, table: &mut Table) {
        if self.is_over() {
            return;
        }
        let present: Vec<(&Server, u32)> = self
            .pool
            .table()
            .filter_map(|(key, weight)| Some((self.servers.get(key)?, weight)))
            .collect();
        for service in &self.services {
            let key = service.key();
            let mut destinations: Vec<Destination> = Vec::with_capacity(present.len());
            let mut places: HashMap<ServerKey, usize> = HashMap::with_capacity(present.len());
            for (server, weight) in &present {
                let Some(destination) = server.fitted(&key, *weight) else {
                    continue;
                };
                // Two ports become one where a service has its own: the larger weight counts.
                let place = *places
                    .entry(destination.key())
                    .or_insert(destinations.len());
                match destinations.get_mut(place) {
                    Some(other) if other.weight() < destination.weight() => *other = destination,
                    Some(_) => {}
                    None => destinations.push(destination),
                }
            }
            table.insert(service.clone(), destinations);
        }
    }

    /// Tells the pool the connections of what drains.
    pub(super) fn observe(
        &mut self,
        now: Timestamp,
        snapshot: &Snapshot,
        index: &HashMap<ServiceKey, &SnapshotService>,
    ) {
        let draining: Vec<ServerKey> = self.pool.draining().map(|(key, _)| *key).collect();
        for key in draining {
            if let Some(connections) = self.connections(&key, snapshot, index) {
                self.pool.observe(now, &key, connections);
            }
        }
    }

    /// Connections of a server in all its services; `None` while there may be new ones, or while
    /// nobody knows.
    fn connections(
        &self,
        server: &ServerKey,
        snapshot: &Snapshot,
        index: &HashMap<ServiceKey, &SnapshotService>,
    ) -> Option<Connections> {
        let server = self.servers.get(server)?;
        let mut sum = Connections::default();
        for service in &self.services {
            let key = service.key();
            let Some(destination) = server.fitted(&key, 0) else {
                continue;
            };
            let entry = index
                .get(&key)
                .and_then(|service| service.destination(&destination.key()));
            match entry {
                Some(entry) if entry.destination.weight() > 0 => return None,
                Some(entry) => {
                    sum.active = sum.active.saturating_add(entry.active_connections);
                    sum.inactive = sum.inactive.saturating_add(entry.inactive_connections);
                    sum.persistent = sum.persistent.saturating_add(entry.persistent_connections);
                }
                // A torn dump may lack what is there.
                None if !snapshot.agreed => return None,
                None => {}
            }
        }
        Some(sum)
    }
}

/// What is UDP never finishes its connections, so that it does not wait for that.
fn drain_of(service: &ServiceKey, drain: Drain) -> Drain {
    match service {
        ServiceKey::Address { protocol, .. } if *protocol == Protocol::UDP => Drain::none(),
        _ => drain,
    }
}

/// The servers of a plan, and its sorry server.
fn order(plan: &PlannedPool) -> Vec<ServerKey> {
    let servers = plan.servers.iter().map(|server| server.destination.key());
    let mut order: Vec<ServerKey> = servers.collect();
    let sorry = plan.sorry.as_ref().map(|sorry| sorry.destination.key());
    order.extend(sorry.filter(|key| !order.contains(key)));
    order
}

/// What is in the services of a plan without being configured, and where.
fn strays(
    plan: &PlannedPool,
    servers: &BTreeMap<ServerKey, Server>,
    found: &Table,
) -> BTreeMap<ServerKey, Server> {
    let mut strays: BTreeMap<ServerKey, Server> = BTreeMap::new();
    for service in &plan.services {
        let key = service.key();
        let there = found.destinations(&key);
        if there.is_empty() {
            continue;
        }
        let configured: BTreeSet<ServerKey> = servers
            .values()
            .filter_map(|server| Some(server.fitted(&key, 0)?.key()))
            .collect();
        for destination in there {
            let name = destination.key();
            // One that is configured for another service of the pool is left to the reconciler.
            if configured.contains(&name) || servers.contains_key(&name) {
                continue;
            }
            let stray = strays.entry(name).or_insert_with(|| Server {
                destination: destination.clone(),
                only_in: Some(Vec::new()),
            });
            if let Some(services) = &mut stray.only_in {
                services.push(key);
            }
        }
    }
    strays
}
