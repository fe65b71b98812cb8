//! A director with a kernel in memory, and what must hold about the two at any time.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::collections::BTreeMap;

use director::Director;
use director::director::{
    Batch, CheckChanges, CheckNumber, Event, Finding, Role, ServerKey, StandbyTable,
};
use lvs_healthcheck::aggregate::Source;
use lvs_healthcheck::policy::Health;
use lvs_healthcheck::{AdminHint, Code, Outcome, Phase};
use lvs_ipvs::{
    Client, Destination, MemoryKernel, Policy, Reconciler, Scope, Snapshot, Table, Timestamp,
    VirtualService,
};

use crate::history::{ServerSpec, Spec, Step};

/// A director at work.
pub(crate) struct Bed {
    pub(crate) director: Director,
    pub(crate) now: Timestamp,
    pub(crate) spec: Spec,
    /// Everything that was said.
    pub(crate) said: Vec<Event>,
    /// The desired table after each step.
    pub(crate) tables: Vec<Table>,
    /// Changes made to the kernel's table.
    pub(crate) written: usize,
    /// Connections of whatever drains.
    pub(crate) connections: u32,
    client: Client,
    reconciler: Reconciler,
    foreign: Table,
    /// What checks said, those of the present configuration.
    health: BTreeMap<CheckNumber, Health>,
    /// Services and servers an operator has touched.
    touched: Vec<(usize, usize)>,
}

const START: Timestamp = Duration::from_secs(1000);

fn server_key(last: u8) -> ServerKey {
    core::net::SocketAddr::from((Ipv4Addr::new(10, 0, 0, last), 80)).into()
}

impl Bed {
    pub(crate) fn new(spec: &Spec) -> Self {
        Self::found(spec, &Table::new())
    }

    /// A director that finds that in the table, beside what is somebody else's.
    pub(crate) fn found(spec: &Spec, found: &Table) -> Self {
        let kernel = MemoryKernel::default();
        let mut client = Client::with_transport(kernel.socket()).unwrap();
        let mut foreign = Table::new();
        let service = VirtualService::tcp("198.51.100.1:80".parse().unwrap());
        let servers =
            [1, 2].map(|last| Destination::masquerade((Ipv4Addr::new(10, 0, 0, last), 80).into()));
        foreign.insert(service, servers.map(|server| server.with_weight(7)));
        let service = VirtualService::udp("192.0.2.1:80".parse().unwrap());
        foreign.insert(service, []);
        for table in [&foreign, found] {
            for service in table.services() {
                client.add_service(&service.service).unwrap();
                for destination in &service.destinations {
                    client
                        .add_destination(service.service.key(), destination)
                        .unwrap();
                }
            }
        }
        let there = client.snapshot().unwrap().table();
        let mut director = Director::new(START, &spec.setup(), &there).unwrap();
        director.set_standby_table(StandbyTable::Empty);
        Self {
            director,
            now: START,
            spec: spec.clone(),
            said: Vec::new(),
            tables: Vec::new(),
            written: 0,
            connections: 0,
            client,
            reconciler: Reconciler::new(Policy::new(Scope::all())),
            foreign,
            health: BTreeMap::new(),
            touched: Vec::new(),
        }
    }

    /// Lets the director settle and puts the kernel's table in order, as the shell does; returns
    /// the lines of what was said.
    pub(crate) fn settle(&mut self) -> Vec<String> {
        let mut batch = Batch::new();
        let mut lines = Vec::new();
        // A second time for what the snapshot says about drains.
        for _ in 0..2 {
            let before = self.director.desired();
            self.director.settle(self.now, &mut batch);
            if let Some(last) = self.tables.last().filter(|_| !batch.is_table_changed) {
                assert_eq!(*last, self.director.desired(), "changed without a word");
                assert_eq!(before, self.director.desired());
            }
            if batch.is_table_changed {
                self.reconciler.set_desired(self.director.desired());
            }
            lines.extend(batch.events.iter().map(ToString::to_string));
            self.said.append(&mut batch.events);
            self.tables.push(self.director.desired());
            let snapshot = self.client.snapshot().unwrap();
            let (plan, _) = self.reconciler.step(self.now, &snapshot);
            self.written += plan.steps().len();
            let report = self.client.apply(&plan).unwrap();
            self.reconciler.record_report(&report);
            let snapshot = self.snapshot();
            self.director.observe(self.now, &snapshot);
        }
        lines
    }

    /// The table with the connections that this bed has.
    fn snapshot(&mut self) -> Snapshot {
        let mut snapshot = self.client.snapshot().unwrap();
        for service in &mut snapshot.services {
            for entry in &mut service.destinations {
                entry.active_connections = self.connections;
            }
        }
        snapshot
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    pub(crate) fn reload(&mut self, spec: &Spec) -> CheckChanges {
        let changes = self.director.reload(self.now, &spec.setup()).unwrap();
        self.spec = spec.clone();
        for check in &changes.removed {
            self.health.remove(check);
        }
        changes
    }

    /// Says something in the name of a check.
    fn say(&mut self, check: CheckNumber, health: Health) {
        let before = self.health.insert(check, health).unwrap_or(Health::Unknown);
        let outcome = Outcome::new(Code::Ok, Phase::Connect);
        let finding = Finding {
            health,
            change: (before != health).then_some((before, health)),
            hint: None,
            no_new: false,
            admin: None,
            hint_changed: false,
            log: false,
            is_local: false,
            outcome: &outcome,
        };
        self.director.report(self.now, check, finding);
    }

    /// Says something in the name of all checks of a server.
    pub(crate) fn report(&mut self, service: usize, server: usize, health: Health) {
        for check in self.checks_of(service, server) {
            self.say(check, health);
        }
    }

    pub(crate) fn report_all(&mut self, health: Health) {
        let checks: Vec<_> = self.director.checks().map(|(check, _)| check).collect();
        for check in checks {
            self.say(check, health);
        }
    }

    /// The checks of a server of the specification. Names say which they are.
    fn checks_of(&self, service: usize, server: usize) -> Vec<CheckNumber> {
        let service = &self.spec.services[service];
        let server = server_key(service.servers[server].last);
        let explanation = self.director.explain(&service.key(), &server).unwrap();
        let steps = explanation.steps.into_iter();
        let checks = steps.filter_map(|step| match step {
            lvs_healthcheck::pool::Step::Check { check, .. } => Some(check),
            _ => None,
        });
        checks.collect()
    }

    pub(crate) fn vote(&mut self, service: usize, server: usize, vote: Option<AdminHint>) -> bool {
        let service = &self.spec.services[service];
        let key = server_key(service.servers[server].last);
        self.director
            .set_vote(self.now, &service.key(), &key, Source::Api, vote)
    }

    /// Takes back everything that operators said.
    pub(crate) fn forget_operators(&mut self) {
        for service in &self.spec.services {
            for server in &service.servers {
                let (service, server) = (service.key(), server_key(server.last));
                let director = &mut self.director;
                director.set_weight(self.now, &service, &server, None);
                director.set_vote(self.now, &service, &server, Source::Api, None);
            }
        }
        self.touched.clear();
    }

    pub(crate) fn act(&mut self, step: &Step) {
        match step {
            Step::Report(check, health) => {
                let checks: Vec<_> = self.director.checks().map(|(check, _)| check).collect();
                if !checks.is_empty() {
                    self.say(checks[check % checks.len()], *health);
                }
            }
            Step::Weight(service, server, weight) => {
                let (service, server) = self.touch(*service, *server);
                let spec = &self.spec.services[service];
                let key = server_key(spec.servers[server].last);
                assert!(
                    self.director
                        .set_weight(self.now, &spec.key(), &key, *weight)
                );
            }
            Step::Vote(service, server, vote) => {
                let (service, server) = self.touch(*service, *server);
                assert!(self.vote(service, server, *vote));
            }
            Step::Role(role) => self.director.set_role(self.now, *role),
            Step::Reload(spec) => {
                // Whom operators touched is told by place, which is another now.
                self.forget_operators();
                self.reload(spec);
            }
            Step::Pass(seconds) => self.pass(Duration::from_secs(*seconds)),
            Step::Connections(count) => self.connections = *count,
        }
    }

    fn touch(&mut self, service: usize, server: usize) -> (usize, usize) {
        let service = service % self.spec.services.len();
        let server = server % self.spec.services[service].servers.len();
        self.touched.push((service, server));
        (service, server)
    }

    /// Weights of the servers of a service in the kernel's table.
    pub(crate) fn weights(&mut self, service: usize) -> Vec<Option<u32>> {
        let servers = self.spec.services[service].servers.clone();
        let servers: Vec<_> = servers.iter().collect();
        self.weights_of(service, &servers)
    }

    pub(crate) fn weights_of(
        &mut self,
        service: usize,
        servers: &[&ServerSpec],
    ) -> Vec<Option<u32>> {
        let table = self.client.snapshot().unwrap().table();
        let service = table.get(&self.spec.services[service].key());
        let weight = |server: &&ServerSpec| {
            let destination = service?.destination(&server_key(server.last))?;
            Some(destination.weight())
        };
        servers.iter().map(weight).collect()
    }

    /// What must hold at any time.
    pub(crate) fn check(&mut self) {
        let desired = self.director.desired();
        let table = self.client.snapshot().unwrap().table();
        // The kernel has what is desired, and what others have put there, and nothing else.
        let mut expected = desired.clone();
        for service in self.foreign.services() {
            expected.insert(service.service.clone(), service.destinations.clone());
        }
        assert_eq!(sorted(&table), sorted(&expected));
        if self.director.role() == Role::Standby {
            assert!(desired.is_empty(), "{desired}");
            return;
        }
        // Nobody who asks is turned away while there is somebody to answer.
        for (place, service) in self.spec.services.iter().enumerate() {
            let destinations = desired.destinations(&service.key());
            assert!(desired.get(&service.key()).is_some(), "{service:?}");
            let is_usable = destinations.iter().any(|entry| entry.weight() > 0);
            let can_serve = |number: usize| {
                let is_touched = self.touched.contains(&(place, number));
                let server = &service.servers[number];
                let checks = self.checks_of(place, number);
                let is_up = |check: &CheckNumber| self.health.get(check) == Some(&Health::Up);
                server.weight > 0 && !is_touched && checks.iter().all(is_up)
            };
            let can_serve = (0..service.servers.len()).any(can_serve);
            assert!(is_usable || !can_serve, "{service:?} has {destinations:?}");
        }
        // A look for changes finds none, and nothing is written for nothing.
        let written = self.written;
        self.now += Duration::from_millis(1);
        let snapshot = self.client.snapshot().unwrap();
        let (plan, _) = self.reconciler.step(self.now, &snapshot);
        assert!(plan.is_empty(), "{plan}");
        assert_eq!(self.written, written);
    }
}

/// The lines of a table, whatever the order of destinations.
fn sorted(table: &Table) -> Vec<String> {
    let mut lines: Vec<_> = table.to_string().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}
