//! The director's core: what the checks say goes in, the table that should be comes out.
//!
//! Pure: it opens nothing and reads no clock, so a history can be replayed; equal inputs give equal
//! outputs. One [`Pool`] for each `virtual_server` block decides about weights, quorum, sorry server
//! and drains; the director fans that out to the services of a group, numbers what happened, and
//! takes over new configurations by difference.
//!
//! ```
//! use core::time::Duration;
//! use director::Director;
//! use director::director::Batch;
//! use director::keepalived::Config;
//! use director::setup::Setup;
//! use lvs_ipvs::Table;
//!
//! let config = Config::parse("t.conf", "virtual_server 192.0.2.1 80 {
//!     lb_algo rr
//!     lb_kind NAT
//!     protocol TCP
//!     real_server 10.0.0.1 80 {
//!         weight 4
//!     }
//! }");
//! let setup = Setup::new(&config);
//! let (now, nothing_there) = (Duration::ZERO, Table::new());
//! let mut director = Director::new(now, &setup, &nothing_there)?;
//! let mut batch = Batch::new();
//! director.settle(now, &mut batch);
//! assert!(batch.is_table_changed);
//! assert_eq!(director.desired().to_string(), "\
//! -A -t 192.0.2.1:80 -s rr
//! -a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 4
//! ");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod event;
pub(crate) mod fan_out;
mod reload;
mod service;
mod status;

use core::fmt;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use lvs_healthcheck::aggregate::{Contribution, Source};
use lvs_healthcheck::policy::Health;
use lvs_healthcheck::pool::{Drain, Pool};
use lvs_healthcheck::{AdminHint, Check, Invalid, Outcome, Report, WeightHint};
use lvs_ipvs::{DestinationKey, ServiceKey, Snapshot, Table, TableService, Timestamp};

use self::event::Events;
pub use self::event::{Batch, Event, EventKind};
pub use self::reload::CheckChanges;
use self::service::{ServerCheck, Service};
pub use self::status::{CheckStatus, ServerStatus, ServiceStatus};
use crate::setup::Setup;
pub use lvs_healthcheck::pool::Shutdown;

/// What a server is called in its pool: address and port, as configured.
pub type ServerKey = DestinationKey;

/// Numbers a check of a director; never used again for another one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CheckNumber(u64);

impl fmt::Display for CheckNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What a director is among others.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Role {
    /// There are no others.
    #[default]
    Alone,
    /// Another one has the addresses.
    Standby,
    /// It has the addresses, or is about to get them.
    Active,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Alone => "alone",
            Self::Standby => "standby",
            Self::Active => "active",
        })
    }
}

/// What a standby's table holds (`OP-19`).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum StandbyTable {
    /// The same as if it were active, so that a take-over only needs the addresses. Connections
    /// synchronised by the other director find their destinations. The default.
    #[default]
    Ready,
    /// Nothing: it is filled when the director becomes active.
    Empty,
}

/// A configuration that cannot be run.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectorError {
    /// A pool refuses its settings.
    #[error("{service}: {error}")]
    Pool {
        /// The services.
        service: String,
        /// What is out of range.
        error: Invalid,
    },
    /// The director has been stopped.
    #[error("the director is stopping")]
    Stopping,
}

/// What a check said, as far as the director is concerned: a [`Report`] by reference, or made up.
#[expect(clippy::exhaustive_structs, reason = "an argument, made by callers")]
#[derive(Clone, Copy, Debug)]
pub struct Finding<'a> {
    /// The check's health now.
    pub health: Health,
    /// How it changed, if it did: from, to.
    pub change: Option<(Health, Health)>,
    /// The weight it asks for.
    pub hint: Option<WeightHint>,
    /// Whether it asks for no new connections.
    pub no_new: bool,
    /// What it votes.
    pub admin: Option<AdminHint>,
    /// Whether weight, vote or the wish for no new connections is another than before.
    pub hint_changed: bool,
    /// Whether it is worth a line.
    pub log: bool,
    /// Whether this host, not the server, has a problem.
    pub is_local: bool,
    /// What it found out.
    pub outcome: &'a Outcome,
}

impl<'a> From<&'a Report> for Finding<'a> {
    fn from(report: &'a Report) -> Self {
        Self {
            health: report.health,
            change: report.change.map(|change| (change.from, change.to)),
            hint: report.hint,
            no_new: report.no_new,
            admin: report.admin,
            hint_changed: report.hint_changed,
            log: report.log,
            is_local: report.local_errors > 0,
            outcome: &report.outcome,
        }
    }
}

impl Finding<'_> {
    fn contribution(&self) -> Contribution {
        let mut says = Contribution::new(self.health).with_no_new(self.no_new);
        if let Some(hint) = self.hint {
            says = says.with_hint(hint);
        }
        if let Some(vote) = self.admin {
            says = says.with_admin(vote);
        }
        says
    }
}

/// A check, and where it belongs.
#[derive(Clone, Debug)]
struct Known {
    check: Check,
    name: Arc<str>,
    service: usize,
    server: ServerKey,
}

/// Keeps what every check last said, and works out the table.
#[derive(Clone, Debug)]
pub struct Director {
    /// In the order of the file; those that left the configuration are last.
    services: Vec<Service>,
    checks: BTreeMap<CheckNumber, Known>,
    /// How many checks there were so far.
    numbered: u64,
    role: Role,
    standby_table: StandbyTable,
    /// How what leaves drains; `None`: it leaves at once.
    drain: Option<Drain>,
    stopped: Option<Shutdown>,
    is_ready: bool,
    events: Events,
    /// Services to be settled.
    touched: BTreeSet<usize>,
    deadlines: BTreeSet<(Timestamp, usize)>,
    /// Whether the desired table is another for reasons that no pool knows.
    is_table_changed: bool,
    /// How many services have something that drains.
    draining: usize,
}

impl Director {
    /// A director for that setup. `found` is the kernel's table: what of it is configured is taken
    /// over as it is, until the checks have their verdicts (spec §3.8). A server that is there with
    /// a weight counts as up, one with weight 0 stays at 0 until it proves to be up; one that is
    /// not there comes at once, or with `alpha` when its checks say up.
    ///
    /// # Errors
    ///
    /// A setting out of range.
    pub fn new(now: Timestamp, setup: &Setup, found: &Table) -> Result<Self, DirectorError> {
        let mut director = Self {
            services: Vec::with_capacity(setup.pools.len()),
            checks: BTreeMap::new(),
            numbered: 0,
            role: Role::Alone,
            standby_table: StandbyTable::Ready,
            drain: setup.drain(),
            stopped: None,
            is_ready: false,
            events: Events::default(),
            touched: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            is_table_changed: true,
            draining: 0,
        };
        let checks = director.number(setup);
        for (plan, checks) in setup.pools.iter().zip(&checks) {
            let service = Service::new(now, plan, checks, found);
            let service = service.map_err(|error| DirectorError::Pool {
                service: plan.name(),
                error,
            })?;
            director.touched.insert(director.services.len());
            director.services.push(service);
        }
        Ok(director)
    }

    /// Replaces what the table holds while the director is a standby. Default
    /// [`StandbyTable::Ready`].
    pub fn set_standby_table(&mut self, standby_table: StandbyTable) {
        self.is_table_changed |= self.standby_table != standby_table;
        self.standby_table = standby_table;
    }

    /// Gives every check of a setup a new number: per pool and server what checks it has.
    fn number(&mut self, setup: &Setup) -> Vec<Vec<Vec<ServerCheck>>> {
        let mut numbers: Vec<Vec<Vec<ServerCheck>>> = setup
            .pools
            .iter()
            .map(|pool| vec![Vec::new(); pool.servers.len()])
            .collect();
        for planned in &setup.checks {
            let server = setup
                .pools
                .get(planned.pool)
                .and_then(|pool| pool.servers.get(planned.server));
            let checks = numbers
                .get_mut(planned.pool)
                .and_then(|pool| pool.get_mut(planned.server));
            let (Some(server), Some(checks)) = (server, checks) else {
                continue;
            };
            let number = CheckNumber(self.numbered);
            self.numbered = self.numbered.saturating_add(1);
            checks.push((number, planned.is_alpha));
            let known = Known {
                check: planned.check.clone(),
                name: planned.name.as_str().into(),
                service: planned.pool,
                server: server.destination.key(),
            };
            self.checks.insert(number, known);
        }
        numbers
    }

    /// The checks to be run, by number.
    pub fn checks(&self) -> impl Iterator<Item = (CheckNumber, &Check)> {
        let checks = self.checks.iter();
        checks.map(|(number, known)| (*number, &known.check))
    }

    /// What a check is called: `TCP_CHECK 10.0.0.11:80`.
    fn check_name(&self, check: CheckNumber) -> Option<&str> {
        self.checks.get(&check).map(|known| &*known.name)
    }

    /// Takes over services that an earlier run left in the table and that are not configured any
    /// more: they leave, after a drain if the setup says so.
    ///
    /// # Errors
    ///
    /// A pool refuses what is there.
    pub fn retire(&mut self, now: Timestamp, service: &TableService) -> Result<(), DirectorError> {
        let key = service.service.key();
        let is_known = |known: &Service| known.services.iter().any(|known| known.key() == key);
        if self.services.iter().any(is_known) {
            return Ok(());
        }
        let departing = Service::departing(now, service, self.drain);
        let mut departing = departing.map_err(|error| DirectorError::Pool {
            service: key.to_string(),
            error,
        })?;
        let how = self.drain.map_or(Shutdown::Remove, |_| Shutdown::Drain);
        departing.stop(now, how);
        self.touched.insert(self.services.len());
        self.services.push(departing);
        self.is_table_changed = true;
        Ok(())
    }

    /// Takes note of what a check said; numbers that nobody has change nothing.
    pub fn report<'a>(
        &mut self,
        now: Timestamp,
        check: CheckNumber,
        report: impl Into<Finding<'a>>,
    ) {
        let finding = report.into();
        let Some(known) = self.checks.get(&check) else {
            return;
        };
        let Some(service) = self.services.get_mut(known.service) else {
            return;
        };
        if finding.change.is_some() || finding.hint_changed || finding.log {
            let kind = EventKind::Check {
                check,
                name: Arc::clone(&known.name),
                service: Arc::clone(&service.name),
                change: finding.change,
                is_local: finding.is_local,
                outcome: finding.outcome.clone(),
            };
            self.events.push(now, kind);
        }
        let says = finding.contribution();
        service.pool.update(now, &known.server, &check, says);
        self.touched.insert(known.service);
    }

    /// Takes note of the connections of what drains; of everything else nothing is read.
    pub fn observe(&mut self, now: Timestamp, snapshot: &Snapshot) {
        if !self.is_draining() {
            return;
        }
        let index: HashMap<ServiceKey, _> = snapshot
            .services
            .iter()
            .map(|service| (service.entry.service.key(), service))
            .collect();
        for (place, service) in self.services.iter_mut().enumerate() {
            if service.is_draining {
                service.observe(now, snapshot, &index);
                self.touched.insert(place);
            }
        }
    }

    /// Whether something drains, so that its connections are to be
    /// [observed](Self::observe).
    #[must_use]
    pub const fn is_draining(&self) -> bool {
        self.draining > 0
    }

    /// The services in which something drains.
    pub fn draining(&self) -> impl Iterator<Item = ServiceKey> {
        let services = self.services.iter().filter(|service| service.is_draining);
        services.flat_map(|service| service.services.iter().map(lvs_ipvs::VirtualService::key))
    }

    /// The role.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Gives it another role.
    pub fn set_role(&mut self, now: Timestamp, role: Role) {
        if self.role == role {
            return;
        }
        self.role = role;
        self.events.push(now, EventKind::Role(role));
        for (place, service) in self.services.iter_mut().enumerate() {
            service.set_standby(now, role == Role::Standby);
            self.touched.insert(place);
        }
        self.is_table_changed |= self.standby_table == StandbyTable::Empty;
    }

    /// Ends it: nothing but drains and time counts from now on. The first end counts.
    pub fn stop(&mut self, now: Timestamp, how: Shutdown) {
        if self.stopped.is_some() {
            return;
        }
        self.stopped = Some(how);
        self.events.push(now, EventKind::Stopping(how));
        for (place, service) in self.services.iter_mut().enumerate() {
            service.stop(now, how);
            self.touched.insert(place);
        }
        self.is_table_changed = true;
    }

    /// Whether it has ended, and nothing of it is waited for any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stopped.is_some() && !self.is_draining()
    }

    /// Replaces the configured weight of a server, as an operator would, or (`None`) goes back to
    /// it. Says whether there is such a server.
    pub fn set_weight(
        &mut self,
        now: Timestamp,
        service: &ServiceKey,
        server: &ServerKey,
        weight: Option<u32>,
    ) -> bool {
        self.change(service, |pool| pool.set_override(now, server, weight))
    }

    /// Takes a vote about a server in place of the source's earlier one: to drain it, or to put it
    /// out of service. Says whether there is such a server.
    pub fn set_vote(
        &mut self,
        now: Timestamp,
        service: &ServiceKey,
        server: &ServerKey,
        source: Source,
        vote: Option<AdminHint>,
    ) -> bool {
        self.change(service, |pool| pool.set_vote(now, server, source, vote))
    }

    fn change(
        &mut self,
        key: &ServiceKey,
        change: impl FnOnce(&mut Pool<ServerKey, CheckNumber>) -> bool,
    ) -> bool {
        let mut services = self.services.iter_mut().enumerate();
        let found = services.find(|(_, service)| {
            service.is_configured && service.services.iter().any(|known| known.key() == *key)
        });
        let Some((place, service)) = found else {
            return false;
        };
        self.touched.insert(place);
        change(&mut service.pool)
    }

    /// Lets time pass, and gathers what happened since the last time; what was in `batch` before is
    /// dropped.
    pub fn settle(&mut self, now: Timestamp, batch: &mut Batch) {
        batch.events.clear();
        batch.is_table_changed = core::mem::take(&mut self.is_table_changed);
        while let Some((time, place)) = self.deadlines.first().copied() {
            if time > now {
                break;
            }
            self.deadlines.pop_first();
            if let Some(service) = self.services.get_mut(place) {
                service.timer = None;
            }
            self.touched.insert(place);
        }
        let mut is_anybody_over = false;
        for place in core::mem::take(&mut self.touched) {
            let Some(service) = self.services.get_mut(place) else {
                continue;
            };
            let was_draining = service.is_draining;
            batch.is_table_changed |= service.settle(now, &mut self.events);
            self.draining = self
                .draining
                .saturating_sub(was_draining.into())
                .saturating_add(service.is_draining.into());
            is_anybody_over |= service.is_over() && self.stopped.is_none();
            let timer = service.pool.next_deadline();
            if timer != service.timer {
                if let Some(timer) = service.timer {
                    self.deadlines.remove(&(timer, place));
                }
                if let Some(timer) = timer {
                    self.deadlines.insert((timer, place));
                }
                service.timer = timer;
            }
        }
        if is_anybody_over {
            self.drop_departed();
            batch.is_table_changed = true;
        }
        if !self.is_ready && self.services.iter().all(|service| service.is_ready) {
            self.is_ready = true;
            self.events.push(now, EventKind::Ready);
        }
        self.events.append_to(&mut batch.events);
    }

    /// Forgets services that left configuration and table; they are behind all others, whose places
    /// stay.
    fn drop_departed(&mut self) {
        self.services.retain(|service| !service.is_over());
        self.deadlines.clear();
        self.draining = self.services.iter().filter(|it| it.is_draining).count();
        for (place, service) in self.services.iter().enumerate() {
            if let Some(timer) = service.timer {
                self.deadlines.insert((timer, place));
            }
        }
    }

    /// When [`settle`](Self::settle) is due although nothing comes in.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(time, _)| *time)
    }

    /// The table that should be.
    #[must_use]
    pub fn desired(&self) -> Table {
        let mut table = Table::new();
        let is_empty = self.role == Role::Standby && self.standby_table == StandbyTable::Empty;
        if !is_empty {
            for service in &self.services {
                service.fill(&mut table);
            }
        }
        table
    }
}

#[cfg(test)]
mod tests;
