//! Draining with live connections (`OP-10`, `OP-11`).

use core::net::SocketAddr;
use core::time::Duration;
use std::thread;
use std::time::Instant;

use lvs_ipvs::{
    Cause, Change, Client, Destination, DestinationEntry, DestinationKey, Drain, Plan, Policy,
    Reconciler, Scheduler, Scope, ServiceKey, Surplus, Table, VirtualService,
};

use crate::download::{Connection, SlowServer, who};
use crate::network::topology::{Network, SERVERS};
use crate::network::udp::{UdpClient, UdpServer};

/// A director whose table a reconciler keeps, and two servers behind it.
pub(crate) struct Site {
    // First, so that they end before their network does.
    _servers: Vec<SlowServer>,
    pub(crate) network: Network,
    pub(crate) ipvs: Client,
    pub(crate) reconciler: Reconciler,
    service: VirtualService,
    start: Instant,
}

impl Site {
    /// Both servers are in.
    pub(crate) fn new(service: VirtualService, policy: Policy) -> Self {
        let network = Network::masquerading();
        let any = SocketAddr::from(([0; 4], 80));
        let servers = network.servers.iter().zip(SERVERS);
        let servers = servers.map(|(host, name)| SlowServer::start(host, name, any));
        let mut site = Self {
            _servers: servers.collect(),
            ipvs: network.director.ipvs(),
            network,
            reconciler: Reconciler::new(policy),
            service: service.with_scheduler(Scheduler::Rr),
            start: Instant::now(),
        };
        site.desire(&SERVERS);
        let plan = site.look();
        assert_eq!(plan.len(), 3);
        site
    }

    pub(crate) fn to(&self) -> SocketAddr {
        let ServiceKey::Address { address, port, .. } = self.service.key() else {
            panic!("a service with an address");
        };
        (address, port).into()
    }

    pub(crate) fn key(&self) -> ServiceKey {
        self.service.key()
    }

    pub(crate) fn destination(&self, name: &str) -> Destination {
        let number = SERVERS.iter().position(|other| *other == name).unwrap();
        let port = self.to().port();
        Destination::masquerade((self.network.addresses[number], port).into()).with_weight(3)
    }

    fn server(&self, name: &str) -> DestinationKey {
        self.destination(name).key()
    }

    /// Desires these servers, in this order.
    pub(crate) fn desire(&mut self, names: &[&str]) {
        let mut table = Table::new();
        let destinations = names.iter().map(|name| self.destination(name));
        table.insert(self.service.clone(), destinations);
        self.reconciler.set_desired(table);
    }

    /// Looks, and does what is to be done.
    pub(crate) fn look(&mut self) -> Plan {
        let snapshot = self.ipvs.snapshot().unwrap();
        let (plan, _) = self.reconciler.step(self.start.elapsed(), &snapshot);
        let report = self.ipvs.apply(&plan).unwrap();
        assert!(report.is_success(), "{report}");
        for (change, outcome) in report.entries() {
            self.reconciler.record(change, outcome);
        }
        plan
    }

    /// Sleeps until the next look is due, and looks.
    fn next_look(&mut self) -> Plan {
        let due = self.reconciler.next_look().unwrap();
        thread::sleep(due.saturating_sub(self.start.elapsed()));
        self.look()
    }

    /// Looks when looks are due until there is something to do, at most that long from now.
    fn wait_for_plan(&mut self, patience: Duration) -> Plan {
        let deadline = self.start.elapsed() + patience;
        loop {
            let plan = self.next_look();
            if !plan.is_empty() {
                return plan;
            }
            let now = self.start.elapsed();
            assert!(now < deadline, "{:?}", self.ipvs.destinations(self.key()));
        }
    }

    pub(crate) fn entry(&mut self, name: &str) -> Option<DestinationEntry> {
        let key = self.server(name);
        let mut entries = self.ipvs.destinations(self.key()).unwrap().into_iter();
        entries.find(|entry| entry.destination.key() == key)
    }

    pub(crate) fn who(&self) -> String {
        who(&self.network.client, self.to())
    }
}

/// The server that is not that one.
pub(crate) fn other(name: &str) -> &'static str {
    SERVERS.into_iter().find(|other| *other != name).unwrap()
}

fn web() -> VirtualService {
    VirtualService::tcp("192.0.2.10:80".parse().unwrap())
}

fn draining(drain: Drain) -> Policy {
    let policy = Policy::new(Scope::all()).with_drain(drain);
    policy.with_surplus_destinations(Surplus::Drain)
}

/// The changes of a plan with their causes' names.
fn steps(plan: &Plan) -> Vec<String> {
    let steps = plan.steps().iter();
    steps
        .map(|step| format!("{}: {}", step.change, step.cause))
        .collect()
}

/// `OP-11`
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_download_goes_on_to_its_end_while_its_server_drains() {
    let policy = draining(Drain::new().with_inactive(false));
    let mut site = Site::new(web(), policy);
    let mut connection = Connection::open(&site.network.client, site.to());
    let name = connection.say("download").unwrap();
    let download = connection.receive();

    site.desire(&[other(&name)]);
    let plan = site.look();
    let quiet = site.destination(&name).with_weight(0);
    let (service, key) = (site.key(), quiet.key());
    let changes: Vec<_> = plan.changes().cloned().collect();
    assert_eq!(changes, [Change::SetDestination(service, quiet)]);
    assert!(matches!(plan.steps()[0].cause, Cause::Draining(_)));

    // New connections go to the other server, and the download goes on.
    let mut looks = 0;
    loop {
        assert_eq!(site.who(), other(&name));
        let plan = site.next_look();
        let entry = site.entry(&name);
        // It has ended for the director when the server has closed it.
        if entry.is_none_or(|entry| entry.active_connections == 0) {
            let mut steps = plan.steps().iter();
            assert!(steps.all(|step| step.cause == Cause::Drained), "{plan}");
            break;
        }
        assert!(plan.is_empty(), "{plan}");
        looks += 1;
    }
    // It is complete: every byte is checked.
    drop(download.join().unwrap());
    if site.entry(&name).is_some() {
        let plan = site.wait_for_plan(Duration::from_secs(10));
        assert_eq!(plan.steps()[0].cause, Cause::Drained, "{:?}", steps(&plan));
        assert_eq!(removals(&plan), [(service, key)]);
    }
    assert_eq!(site.entry(&name), None);
    assert!(looks >= 2, "{looks} looks during the download");
    assert_eq!(site.who(), other(&name));
    eprintln!("{looks} looks while it went on");
}

/// The destinations a plan removes, if that is all it does.
fn removals(plan: &Plan) -> Vec<(ServiceKey, DestinationKey)> {
    let removed = plan.changes().map(|change| match change {
        Change::RemoveDestination(service, key) => (*service, *key),
        other => panic!("{other}"),
    });
    removed.collect()
}

/// `OP-11`: closing connections count too, unless they are told not to.
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_server_goes_when_its_last_connection_is_forgotten() {
    let mut site = Site::new(web(), draining(Drain::new()));
    let mut connection = Connection::open(&site.network.client, site.to());
    let name = connection.say("who").unwrap();
    site.desire(&[other(&name)]);
    assert_eq!(site.look().len(), 1);
    assert!(site.next_look().is_empty());

    // A reset connection is remembered for ten seconds, as an inactive one.
    connection.abort();
    let ended = site.start.elapsed();
    assert!(site.next_look().is_empty());
    let entry = site.entry(&name).unwrap();
    let connections = (entry.active_connections, entry.inactive_connections);
    assert_eq!(connections, (0, 1));
    let plan = site.wait_for_plan(Duration::from_secs(30));
    assert_eq!(plan.steps()[0].cause, Cause::Drained);
    assert_eq!(site.entry(&name), None);
    eprintln!("removed {:?} after the reset", site.start.elapsed() - ended);
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_connected_server_goes_at_the_limit() {
    let limit = Duration::from_millis(2500);
    let mut site = Site::new(web(), draining(Drain::new().with_limit(Some(limit))));
    let mut connection = Connection::open(&site.network.client, site.to());
    let name = connection.say("who").unwrap();
    site.desire(&[other(&name)]);
    assert_eq!(site.look().len(), 1);
    let since = site.reconciler.draining().next().unwrap().since;

    let plan = site.wait_for_plan(Duration::from_secs(10));
    let cause = Cause::DrainLimit { connections: 1 };
    assert_eq!(plan.steps()[0].cause, cause, "{:?}", steps(&plan));
    let took = site.start.elapsed() - since;
    assert!(took >= limit, "{took:?}");
    assert!(took < limit + Duration::from_secs(2), "{took:?}");
    assert_eq!(site.entry(&name), None);
    // Its packets are dropped now.
    assert!(!connection.is_alive());
    assert_eq!(site.reconciler.draining().len(), 0);
    eprintln!("removed after {took:?}");
}

/// `OP-11`
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_server_that_returns_keeps_place_counters_and_connections() {
    let mut site = Site::new(web(), draining(Drain::new()));
    let mut connection = Connection::open(&site.network.client, site.to());
    let name = connection.say("who").unwrap();
    let order = |site: &mut Site| -> Vec<_> {
        let entries = site.ipvs.destinations(site.key()).unwrap();
        entries
            .iter()
            .map(|entry| entry.destination.key())
            .collect()
    };
    let before = order(&mut site);
    // Until the counters are in.
    thread::sleep(Duration::from_millis(2500));
    let counted = site.entry(&name).unwrap().stats;
    assert_eq!(counted.connections, 1);

    site.desire(&[other(&name)]);
    assert_eq!(site.look().len(), 1);
    assert_eq!(site.entry(&name).unwrap().destination.weight(), 0);
    assert!(connection.is_alive());
    assert!(site.next_look().is_empty());

    site.desire(&SERVERS);
    let plan = site.look();
    let back = site.destination(&name);
    let changes: Vec<_> = plan.changes().cloned().collect();
    assert_eq!(changes, [Change::SetDestination(site.key(), back.clone())]);
    assert_eq!(site.reconciler.draining().len(), 0);
    assert!(connection.is_alive());
    assert_eq!(order(&mut site), before);
    let entry = site.entry(&name).unwrap();
    assert_eq!(entry.destination, back);
    assert_eq!(entry.active_connections, 1);
    assert!(entry.stats.connections >= counted.connections);
    assert!(entry.stats.packets_in >= counted.packets_in);
    let names: Vec<_> = (0..4).map(|_| site.who()).collect();
    assert!(names.contains(&name), "{names:?}");
}

/// `OP-10`
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_udp_server_goes_at_once_unless_udp_shall_drain() {
    let dns = || VirtualService::udp("192.0.2.10:53".parse().unwrap());
    for drains in [false, true] {
        let limit = Some(Duration::from_secs(3));
        let policy = draining(Drain::new().with_limit(limit).with_udp(drains));
        let mut site = Site::new(dns(), policy);
        let any = SocketAddr::from(([0; 4], 53));
        let servers = site.network.servers.iter().zip(SERVERS);
        let _servers: Vec<_> = servers
            .map(|(host, name)| UdpServer::start(host, name, any))
            .collect();
        let to = site.to();
        let port = |port: u16| SocketAddr::from(([10, 1, 0, 2], port));
        let client = UdpClient::open(&site.network.client, port(5000), to);
        let name = client.ask().unwrap();

        site.desire(&[other(&name)]);
        let plan = site.look();
        let removed = [(site.key(), site.server(&name))];
        if drains {
            assert!(matches!(plan.steps()[0].cause, Cause::Draining(_)));
            // A client that keeps sending keeps its entry: only the limit ends it.
            let plan = loop {
                assert_eq!(client.ask().unwrap(), name);
                let plan = site.next_look();
                if !plan.is_empty() {
                    break plan;
                }
            };
            let cause = Cause::DrainLimit { connections: 1 };
            assert_eq!(plan.steps()[0].cause, cause);
            assert_eq!(removals(&plan), removed);
        } else {
            assert_eq!(plan.steps()[0].cause, Cause::Surplus);
            assert_eq!(removals(&plan), removed);
        }
        assert_eq!(site.entry(&name), None);
        for number in 1..=4 {
            let client = UdpClient::open(&site.network.client, port(5000 + number), to);
            assert_eq!(client.ask().unwrap(), other(&name));
        }
    }
}
