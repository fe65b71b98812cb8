//! What random tables found, one by one.

use core::time::Duration;

use lvs_ipvs::{
    Adoption, Change, Client, Destination, DestinationOrder, Drain, MemoryKernel, NotSentCause,
    Outcome, Plan, Policy, Reason, Reconciler, Report, Scheduler, Scope, ServiceKey, Snapshot,
    Surplus, Table, VirtualService,
};

fn web() -> VirtualService {
    VirtualService::tcp("192.0.2.10:80".parse().unwrap())
}

fn key() -> ServiceKey {
    web().key()
}

fn server(host: u8) -> Destination {
    Destination::masquerade(([10, 0, 0, host], 80).into())
}

fn table(hosts: &[u8]) -> Table {
    let mut table = Table::new();
    table.insert(web(), hosts.iter().copied().map(server));
    table
}

/// A kernel, a client, and a reconciler that desires that table.
struct Site {
    kernel: MemoryKernel,
    client: Client,
    reconciler: Reconciler,
    now: Duration,
}

impl Site {
    fn new(policy: Policy, adoption: Adoption, hosts: &[u8]) -> Self {
        let kernel = MemoryKernel::default();
        let client = Client::with_transport(kernel.socket()).unwrap();
        let mut reconciler = Reconciler::new(policy).with_adoption(adoption);
        reconciler.set_desired(table(hosts));
        Self {
            kernel,
            client,
            reconciler,
            now: Duration::ZERO,
        }
    }

    fn plan(&mut self, snapshot: &Snapshot) -> Plan {
        self.now += Duration::from_secs(1);
        self.reconciler.step(self.now, snapshot).0
    }

    fn apply(&mut self, plan: &Plan) -> Report {
        let report = self.client.apply(plan).unwrap();
        for (change, outcome) in report.entries() {
            self.reconciler.record(change, outcome);
        }
        report
    }

    fn look(&mut self) -> Plan {
        let snapshot = self.client.snapshot().unwrap();
        let plan = self.plan(&snapshot);
        assert!(self.apply(&plan).is_success());
        plan
    }

    fn add(&mut self, service: &VirtualService, hosts: &[u8]) {
        self.client.add_service(service).unwrap();
        for host in hosts {
            self.client.add_destination(key(), &server(*host)).unwrap();
        }
    }

    fn hosts(&mut self) -> Vec<Destination> {
        let entries = self.client.destinations(key()).unwrap();
        entries
            .into_iter()
            .rev()
            .map(|entry| entry.destination)
            .collect()
    }
}

fn torn() -> Snapshot {
    Snapshot::new(Vec::new(), false)
}

/// The addition that finds the service there does not change it, and nothing is added to it.
#[test]
fn a_service_that_appears_after_the_look_is_left_alone() {
    let mut site = Site::new(Policy::new(Scope::all()), Adoption::Refuse, &[1, 2]);
    let plan = site.plan(&Snapshot::from(&Table::new()));
    assert_eq!(plan.len(), 3);
    let theirs = web().with_scheduler(Scheduler::Sh);
    site.add(&theirs, &[9]);
    let report = site.apply(&plan);
    let outcomes: Vec<_> = report.entries().map(|(_, outcome)| outcome).collect();
    assert!(matches!(
        outcomes[0],
        Outcome::Rejected(rejected) if rejected.reason == Reason::ServiceExists
    ));
    let withheld = Outcome::NotSent(NotSentCause::Withheld);
    assert_eq!(outcomes[1..], [&withheld, &withheld]);
    assert_eq!(site.client.service(key()).unwrap().service, theirs);
    assert_eq!(site.hosts(), [server(9)]);
    assert!(!site.reconciler.ledger().contains(&key()));
    assert!(site.look().is_empty());
    assert_eq!(site.reconciler.conflicts(), [key()]);
}

/// Under merging the same is found out at the next look: what they have stays theirs.
#[test]
fn a_service_that_appears_after_the_look_is_merged_with() {
    let mut site = Site::new(Policy::new(Scope::all()), Adoption::Merge, &[1]);
    let plan = site.plan(&Snapshot::from(&Table::new()));
    site.add(&web(), &[9]);
    assert_eq!(site.apply(&plan).failures().count(), 2);
    let _ = site.look();
    assert_eq!(site.hosts(), [server(9), server(1)]);
    site.reconciler.set_desired(Table::new());
    let _ = site.look();
    assert_eq!(site.hosts(), [server(9)]);
}

/// What is ours stays ours when a torn dump lacks it and adding it is refused.
#[test]
fn a_refused_addition_after_a_torn_dump_disowns_nothing() {
    for adoption in [Adoption::Refuse, Adoption::Merge] {
        let mut site = Site::new(Policy::new(Scope::all()), adoption, &[1]);
        let _ = site.look();
        let plan = site.plan(&torn());
        assert_eq!(plan.len(), 2);
        assert!(!site.apply(&plan).is_success());
        site.reconciler.set_desired(Table::new());
        let plan = site.look();
        let changes: Vec<_> = plan.changes().cloned().collect();
        assert_eq!(changes, [Change::RemoveService(key())], "{adoption:?}");
    }
}

/// A torn dump does not make all of a service ours of which a part is.
#[test]
fn a_torn_dump_leaves_a_shared_service_shared() {
    let mut site = Site::new(Policy::new(Scope::all()), Adoption::Merge, &[1]);
    site.add(&web(), &[9]);
    let _ = site.look();
    let plan = site.plan(&torn());
    assert!(!site.apply(&plan).is_success());
    assert!(site.reconciler.ledger().is_shared(&key()));
    assert!(site.look().is_empty());
    assert_eq!(site.hosts(), [server(9), server(1)]);
}

/// Removing a destination and adding it again, to put it in order, leaves it whose it was.
#[test]
fn putting_in_order_changes_no_owner() {
    let policy = Policy::new(Scope::all()).with_order(DestinationOrder::Exact);
    let mut site = Site::new(policy, Adoption::Merge, &[1, 2]);
    // 1 is theirs, and 2 is there before it: 2 is theirs, too, and is put behind.
    site.add(&web(), &[2, 1]);
    assert_eq!(site.look().len(), 2);
    assert_eq!(site.hosts(), [server(1), server(2)]);
    // 3 is ours, and so it stays when it is put behind 4.
    site.reconciler.set_desired(table(&[1, 2, 3]));
    assert_eq!(site.look().len(), 1);
    site.reconciler.set_desired(table(&[1, 2, 4, 3]));
    assert_eq!(site.look().len(), 3);
    site.reconciler.set_desired(Table::new());
    let _ = site.look();
    assert_eq!(site.hosts(), [server(1), server(2)]);
}

/// A destination that was ours, is not wanted and was removed is its next maker's.
#[test]
fn a_destination_of_ours_that_is_gone_can_be_somebody_elses() {
    let mut site = Site::new(Policy::new(Scope::all()), Adoption::Merge, &[1]);
    site.add(&web(), &[9]);
    let _ = site.look();
    site.client
        .remove_destination(key(), server(1).key())
        .unwrap();
    site.reconciler.set_desired(table(&[]));
    assert!(site.look().is_empty());
    site.client.add_destination(key(), &server(1)).unwrap();
    assert!(site.look().is_empty());
    assert_eq!(site.hosts(), [server(9), server(1)]);
}

fn draining(limit: u64) -> Policy {
    let limit = Some(Duration::from_secs(limit));
    Policy::new(Scope::all())
        .with_surplus_destinations(Surplus::Drain)
        .with_drain(Drain::new().with_limit(limit))
}

/// What was to be quieted and is gone is not added again.
#[test]
fn a_draining_destination_that_somebody_removes_stays_removed() {
    let mut site = Site::new(draining(60), Adoption::Adopt, &[1, 2]);
    let _ = site.look();
    site.reconciler.set_desired(table(&[1]));
    let snapshot = site.client.snapshot().unwrap();
    let plan = site.plan(&snapshot);
    assert_eq!(plan.len(), 1);
    site.client
        .remove_destination(key(), server(2).key())
        .unwrap();
    assert!(site.apply(&plan).is_success());
    assert_eq!(site.hosts(), [server(1)]);
}

/// The time to drain begins when the weight is 0, not when that is refused.
#[test]
fn the_limit_counts_from_when_the_destination_is_quiet() {
    let mut site = Site::new(draining(3), Adoption::Adopt, &[1, 2]);
    let _ = site.look();
    assert!(site.kernel.set_connections(key(), server(2).key(), 1, 0, 0));
    site.reconciler.set_desired(table(&[1]));
    for _ in 0..5 {
        let snapshot = site.client.snapshot().unwrap();
        let plan = site.plan(&snapshot);
        let quiet = Change::SetDestination(key(), server(2).with_weight(0));
        assert_eq!(plan.changes().collect::<Vec<_>>(), [&quiet]);
        let not_sent = Outcome::NotSent(NotSentCause::TimedOutBefore);
        site.reconciler.record(&quiet, &not_sent);
    }
    assert_eq!(site.look().len(), 1);
    assert!(site.look().is_empty());
    assert!(site.look().is_empty());
    let plan = site.look();
    assert_eq!(
        plan.to_string(),
        "ipvsadm -d -t 192.0.2.10:80 -r 10.0.0.2:80\n"
    );
}

/// A server that has failed takes no connections of a service that drains.
#[test]
fn an_exception_goes_at_once_from_a_service_that_drains() {
    let policy = draining(60).with_surplus_services(Surplus::Drain);
    let mut site = Site::new(policy, Adoption::Adopt, &[1, 2]);
    let _ = site.look();
    assert!(site.kernel.set_connections(key(), server(1).key(), 1, 0, 0));
    site.reconciler.set_desired(Table::new());
    let failed = server(2).key();
    site.reconciler
        .set_surplus(key(), failed, Some(Surplus::Delete));
    assert_eq!(site.look().len(), 2);
    assert_eq!(site.hosts(), [server(1).with_weight(0)]);
}

/// An order that is out of reach at first is put in place soon, also when nobody looks for drift.
#[test]
fn an_order_that_has_to_wait_waits_for_the_next_look() {
    let policy = Policy::new(Scope::all()).with_order(DestinationOrder::Exact);
    let mut site = Site::new(policy, Adoption::Adopt, &[3, 2, 1]);
    site.reconciler = site.reconciler.with_drift_interval(None);
    // 2 is all there is, and nothing can take over before 1, which comes after it.
    site.add(&web(), &[]);
    let quiet = server(1).with_weight(0);
    for one in [&quiet, &server(2)] {
        site.client.add_destination(key(), one).unwrap();
    }
    let mut desired = Table::new();
    desired.insert(web(), [server(3).with_weight(0), server(2), server(1)]);
    site.reconciler.set_desired(desired.clone());
    let plan = site.look();
    assert!(!plan.out_of_order()[0].rebuilt);
    let soon = site.now + Duration::from_secs(1);
    assert_eq!(site.reconciler.next_look(), Some(soon));
    let _ = site.look();
    assert_eq!(site.hosts(), desired.destinations(&key()));
    assert_eq!(site.reconciler.next_look(), None);
}
