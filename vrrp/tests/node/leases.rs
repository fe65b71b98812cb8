//! Nodes with leases, driven together as the documentation of the guard says: a better node that
//! waits gets the guard from the one that has it (spec 4.3).

use core::time::Duration;

use lvs_vrrp::event::State;
use lvs_vrrp::group::{GroupConfig, GroupId};
use lvs_vrrp::job::{Job, JobId, JobKind, JobResult};
use lvs_vrrp::lease::{HolderId, LeaseEvent, MemoryStore};
use lvs_vrrp::node::{InterfaceConfig, Node, NodeRouter};
use lvs_vrrp::receive::Meta;
use lvs_vrrp::{
    GuardStatus, Lease, LeaseConfig, MacAddress, NodeConfig, Priority, Rank, Timestamp,
};

use crate::rig::*;

const GROUP: GroupId = GroupId::new(1);
/// How long it takes to remove addresses.
const REMOVAL: Duration = ms(200);

/// A host with a group of two routers.
struct Host {
    node: Node,
    lease: Lease,
    packets: Vec<Vec<u8>>,
    /// Removals under way, and when they are done.
    removals: Vec<(Timestamp, JobId, u32)>,
    /// Whose addresses are there.
    installed: Vec<u32>,
    resignations: usize,
}

impl Host {
    fn new(last: u8, priority: u8) -> Self {
        let config = LeaseConfig::new(ms(4000), ms(300), ms(200)).unwrap();
        let config = config.with_preemption(ms(8000)).unwrap();
        let lan = InterfaceConfig::new(MacAddress::new([2, 0, 0, 0, 0, last]));
        let members = [1, 2].map(|number| {
            let router = router_config(number).with_priority(Priority::new(priority));
            (id(number.into()), NodeRouter::new(LAN, router))
        });
        let group = GroupConfig::new([id(1), id(2)]).with_guard(config.request_timeout());
        let node = members.into_iter().fold(
            NodeConfig::new().with_interface(LAN, lan.up([[192, 0, 2, last].into()])),
            |node, (id, router)| node.with_router(id, router),
        );
        Self {
            node: Node::new(node.with_group(GROUP, group)).unwrap(),
            lease: Lease::new(config, HolderId::new(last.into())),
            packets: Vec::new(),
            removals: Vec::new(),
            installed: Vec::new(),
            resignations: 0,
        }
    }

    fn tick(&mut self, now: Timestamp, store: &mut MemoryStore) {
        for (at, id, router) in core::mem::take(&mut self.removals) {
            if at <= now {
                self.installed.retain(|other| *other != router);
                self.node.complete(now, id, JobResult::Done);
            } else {
                self.removals.push((at, id, router));
            }
        }
        self.node.tick(now);
        self.lease.tick(now);
        self.work(now, store);
    }

    fn work(&mut self, now: Timestamp, store: &mut MemoryStore) {
        loop {
            while let Some(job) = self.node.poll_job() {
                self.perform(now, job);
            }
            if let Some(rank) = self.node.group_rank(GROUP) {
                self.lease.set_rank(rank);
            }
            if self.node.is_group_clear(GROUP) {
                self.lease.addresses_gone(now);
            }
            match self.lease.poll_event() {
                Some(LeaseEvent::Status(status)) => self.node.set_guard(now, GROUP, status),
                Some(LeaseEvent::Yield(_)) => self.node.yield_group(now, GROUP),
                Some(_) => {}
                None => break,
            }
        }
        while let Some(job) = self.lease.poll_job() {
            let answer = store.handle(now, &job.request);
            self.lease.answer(now, job.id, answer);
        }
    }

    fn perform(&mut self, now: Timestamp, job: Job) {
        match job.kind {
            JobKind::Send(send) => {
                let mut packet = [0; 100];
                let group = self.node.destinations(&send)[0];
                if let Ok(length) = self.node.emit_packet(now, &send, group, &mut packet) {
                    self.resignations += usize::from(send.priority().is_resign());
                    self.packets.push(packet[..length].to_vec());
                }
            }
            JobKind::InstallAddresses { router, .. } => self.installed.push(router.get()),
            JobKind::RemoveAddresses { router, .. } => {
                self.removals.push((now + REMOVAL, job.id, router.get()));
                return;
            }
            JobKind::AcquireGuard { rank, .. } => self.lease.request(now, rank),
            JobKind::ReleaseGuard { .. } => self.lease.withdraw(now),
            _ => {}
        }
        self.node.complete(now, job.id, JobResult::Done);
    }

    fn next(&self) -> Option<Timestamp> {
        let removals = self.removals.iter().map(|(at, _, _)| *at);
        let deadlines = [self.node.next_deadline(), self.lease.next_deadline()];
        removals.chain(deadlines.into_iter().flatten()).min()
    }

    fn states(&self) -> [State; 2] {
        [1, 2].map(|number| self.node.state(id(number)).unwrap())
    }
}

/// Runs until then; looks after each step who has addresses. Gives how long nobody had both.
fn run(hosts: &mut [Host], store: &mut MemoryStore, from: Timestamp, to: Timestamp) -> Duration {
    let (mut now, mut nobody) = (from, Duration::ZERO);
    loop {
        for index in 0..hosts.len() {
            hosts[index].tick(now, store);
            let packets = core::mem::take(&mut hosts[index].packets);
            for (other, host) in hosts.iter_mut().enumerate() {
                for packet in packets.iter().filter(|_| other != index) {
                    host.node.receive(now, &Meta::ipv4(LAN, now), packet);
                }
                host.work(now, store);
            }
        }
        let holders = hosts
            .iter()
            .filter(|host| !host.installed.is_empty())
            .count();
        assert!(holders <= 1, "{holders} hosts have addresses at {now:?}");
        // Packets of answers go with the next step.
        let next = hosts.iter().filter_map(Host::next).min().unwrap();
        let next = next.max(now + Duration::from_micros(100)).min(to);
        if hosts.iter().all(|host| host.installed.len() < 2) {
            nobody += next - now;
        }
        if next >= to {
            return nobody;
        }
        now = next;
    }
}

/// Spec 4.3, `VRRP-216`: the node that has the guard removes its addresses, resigns and releases when
/// it reads a better claim; at no instant have two nodes addresses, and the better one ends up as the
/// only one.
#[test]
fn a_better_node_gets_the_guard_and_never_are_there_two() {
    let mut store = MemoryStore::new();
    let second = Duration::from_secs;
    let mut hosts = vec![Host::new(1, 100)];
    run(&mut hosts, &mut store, second(10), second(20));
    assert_eq!(hosts[0].states(), [State::Active; 2]);
    hosts.push(Host::new(2, 200));
    let nobody = run(&mut hosts, &mut store, second(20), second(40));
    assert_eq!(hosts[0].states(), [State::Backup; 2]);
    assert_eq!(hosts[1].states(), [State::Active; 2]);
    assert_eq!(hosts[1].installed.len(), 2);
    assert_eq!(hosts[0].resignations, 2, "one of each member");
    assert_eq!(store.holder(), Some(HolderId::new(2)));
    assert!(nobody >= REMOVAL && nobody < ms(2000), "{nobody:?}");
    // A worse one that comes changes nothing.
    hosts.push(Host::new(3, 50));
    assert_eq!(
        run(&mut hosts, &mut store, second(40), second(60)),
        Duration::ZERO
    );
    assert_eq!(store.holder(), Some(HolderId::new(2)));
}

#[test]
fn what_a_group_claims_its_guard_with_is_the_rank_of_its_first_member() {
    let config = || {
        let worse = router_config(1).with_priority(Priority::new(90));
        let group = GroupConfig::new([id(2), id(1)]).with_guard(ms(500));
        config(2)
            .with_router(id(1), NodeRouter::new(LAN, worse))
            .with_group(GROUP, group)
    };
    let mut rig = Rig::new(config());
    let rank = Rank::new(Priority::new(100), address(OWN));
    assert_eq!(rig.node.group_rank(GROUP), Some(rank));
    rig.now += ms(4000);
    rig.node.tick(rig.now);
    let jobs: Vec<_> = core::iter::from_fn(|| rig.node.poll_job()).collect();
    let acquire = JobKind::AcquireGuard { group: GROUP, rank };
    assert_eq!(
        jobs.iter().filter(|job| job.kind == acquire).count(),
        1,
        "{jobs:?}"
    );
    // One that does not run has none.
    rig.node.link(rig.now, LAN, true, &[]);
    assert_eq!(rig.node.group_rank(GROUP), None);
    assert_eq!(rig.node.group_rank(GroupId::new(9)), None);
}

/// A group that waits for the guard and gives up says so, though another one has it: whoever asks the
/// arbiter goes on asking until then.
#[test]
fn a_request_that_was_refused_is_taken_back() {
    let group = GroupConfig::new([id(1)]).with_guard(ms(500));
    let mut rig = Rig::new(config(1).with_group(GROUP, group));
    rig.run(ms(3700));
    rig.node.set_guard(rig.now, GROUP, GuardStatus::HeldByOther);
    assert!(rig.take_log().ends_with("acquire 1"));
    rig.hear(1, 200, HIGHER);
    assert_eq!(rig.take_log(), "release 1");
    rig.node.yield_group(rig.now, GROUP);
    rig.work();
    assert_eq!(rig.take_log(), "", "nothing to give");
}

#[test]
fn a_group_that_yields_removes_then_resigns_then_releases() {
    let group = GroupConfig::new([id(1), id(2)]).with_guard(ms(500));
    let mut rig = Rig::new(config(2).with_group(GROUP, group));
    rig.run(ms(3700));
    let until = rig.now + ms(60_000);
    rig.node
        .set_guard(rig.now, GROUP, GuardStatus::Held { until, epoch: 1 });
    rig.run(ms(10));
    rig.take_log();
    assert!(!rig.node.is_group_clear(GROUP));
    rig.node.yield_group(rig.now, GROUP);
    rig.fetch();
    assert_eq!(rig.take_log(), "1 remove 1, 2 remove 2");
    rig.work();
    let log = rig.take_log();
    assert!(
        log.contains("1 send 0") && log.contains("2 send 0"),
        "{log}"
    );
    assert!(log.contains("settle, release 1, "), "{log}");
    assert!(rig.node.is_group_clear(GROUP));
}
