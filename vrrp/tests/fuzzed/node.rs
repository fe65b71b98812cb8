//! A node under a script of bytes: packets, ticks, results of jobs in any order, links, trackers,
//! guards, configurations. What must hold whatever happens is looked at after each step; in the end
//! everything is well again, and the node has to become so too.
//!
//! | | Invariant |
//! |---|---|
//! | 1 | a priority other than 0 is handed out only while the router is Active |
//! | 2 | members of a group are in one state after each step (`VRRP-214`) |
//! | 3 | addresses are installed once, then removed once, in turn; one job at a time |
//! | 4 | a guard goes back only when no address of the group is left |
//! | 5 | no address is removed that another router of the interface has |
//! | 6 | a deadline that is left lies ahead; a second tick changes nothing (`VRRP-206`) |
//! | 7 | reports are numbered in order |
//! | 8 | with all well, all become Active with their addresses; after shutdown none is left |
//! | 9 | a process that hands over becomes idle, and names exactly the addresses that are there |

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use lvs_vrrp::codec::{Advertisement, Transmission};
use lvs_vrrp::event::{ShutdownMode, State};
use lvs_vrrp::group::{GroupConfig, GroupId};
use lvs_vrrp::job::{Job, JobKind, JobResult};
use lvs_vrrp::node::{InterfaceConfig, NodeRouter, RouterId, Settings};
use lvs_vrrp::receive::Meta;
use lvs_vrrp::track::{Track, TrackerId, TrackerStatus};
use lvs_vrrp::{
    AddressList, GuardStatus, InterfaceIndex, Interval, MacAddress, Node, NodeConfig, Priority,
    RouterConfig, Timestamp, Version, Vrid,
};

const LANS: [InterfaceIndex; 2] = [InterfaceIndex::new(2), InterfaceIndex::new(3)];
const GROUP: GroupId = GroupId::new(1);
const TRACKERS: [TrackerId; 2] = [TrackerId::new(1), TrackerId::new(2)];
const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));

fn virtual_address(number: u8) -> IpAddr {
    IpAddr::from([198, 51, 100, number])
}

fn router(lan: usize, number: u8, addresses: &[u8]) -> NodeRouter {
    let list = addresses.iter().map(|number| virtual_address(*number));
    let vrid = Vrid::new(number).unwrap();
    let config = RouterConfig::new(vrid, AddressList::new(list).unwrap());
    let mut switches = *config.switches();
    // Or the last of an Active comes when it is Backup.
    switches.yield_with_advert = false;
    NodeRouter::new(LANS[lan], config.with_switches(switches))
}

/// Several configurations to go between.
fn config(variant: u8) -> NodeConfig {
    let mut settings = Settings::default();
    settings.spread = variant & 1 == 1;
    settings.announce.rounds.repeat = 2;
    settings.reports = 8;
    settings.install_retry = Duration::from_secs(5);
    let mut lan = InterfaceConfig::new(MacAddress::new([2, 0, 0, 0, 0, 9])).up([OWN]);
    if variant & 64 != 0 {
        lan = lan.with_link_delays(Duration::from_millis(300), Duration::from_millis(900));
    }
    let (one, two, three): (&[u8], &[u8], &[u8]) = match variant % 5 {
        // Addresses go from one router to another, both ways.
        1 => (&[1, 11], &[2, 13], &[3]),
        2 => (&[1], &[2, 11], &[3, 13]),
        _ => (&[1, 11, 13], &[2], &[3]),
    };
    let id = RouterId::new;
    let three = router(usize::from(variant % 5 == 3), 3, three);
    let config = NodeConfig::new()
        .with_interface(LANS[0], lan.clone())
        .with_interface(LANS[1], lan)
        .with_tracker(TRACKERS[0], Some(true))
        .with_tracker(TRACKERS[1], None)
        .with_settings(settings)
        .with_router(
            id(1),
            router(0, 1, one).with_track(Track::new(TRACKERS[1], -50)),
        )
        .with_router(id(3), three.with_track(Track::new(TRACKERS[0], 0)));
    let group = |members: &[u32]| GroupConfig::new(members.iter().copied().map(id));
    match variant % 7 {
        0 | 1 => config
            .with_router(id(2), router(0, 2, two))
            .with_group(GROUP, group(&[1, 2]).with_guard(Duration::from_millis(300))),
        2 => config.with_group(GROUP, group(&[1]).with_guard(Duration::from_millis(300))),
        3 | 4 => config
            .with_router(id(2), router(0, 2, two))
            .with_group(GROUP, group(&[2, 1])),
        5 => config
            .with_router(id(2), router(0, 2, two))
            .with_group(GROUP, group(&[1, 2, 3])),
        _ => config.with_router(id(2), router(0, 2, two)),
    }
}

/// The interface of a router in a configuration that has it.
fn place_of(variant: u8, router: RouterId) -> Option<InterfaceIndex> {
    match router.get() {
        2 if variant % 7 == 2 => None,
        3 if variant % 5 == 3 => Some(LANS[1]),
        _ => Some(LANS[0]),
    }
}

fn members(variant: u8) -> &'static [u32] {
    match variant % 7 {
        0 | 1 | 3 | 4 => &[1, 2],
        2 => &[1],
        5 => &[1, 2, 3],
        _ => &[],
    }
}

fn advert(number: u8, priority: u8, source: u8) -> Vec<u8> {
    let list = AddressList::new([virtual_address(number)]).unwrap();
    let advertisement = Advertisement {
        version: Version::V3,
        vrid: Vrid::new(number).unwrap(),
        priority: Priority::new(priority),
        interval: Interval::DEFAULT,
        addresses: list.as_addresses(),
    };
    let mut bytes = [0; 100];
    let length = Transmission::multicast(IpAddr::from([192, 0, 2, source]))
        .emit_packet(&advertisement, &mut bytes)
        .unwrap();
    bytes[..length].to_vec()
}

/// Whose address work it is: a router that moved to another interface is another one. There may be
/// two, if it was removed and added again while its addresses are still being removed; then they have
/// no address in common.
type Owner = (RouterId, InterfaceIndex);

struct Harness {
    node: Node,
    now: Timestamp,
    variant: u8,
    open: Vec<Job>,
    /// What is there, by who installed it.
    kernel: BTreeMap<(InterfaceIndex, IpAddr), RouterId>,
    /// What was told to be installed, and not to be removed since.
    serving: BTreeSet<(Owner, IpAddr)>,
    /// A configuration needed no guard: it is given back at once, whatever is there.
    is_unguarded: bool,
    sequence: u64,
}

impl Harness {
    fn fetch(&mut self, most: usize) {
        for _ in 0..most {
            let Some(job) = self.node.poll_job() else {
                return;
            };
            self.look_at(&job);
            match job.kind {
                JobKind::Notify(report) => {
                    assert!(report.sequence > self.sequence, "7: {report:?}");
                    self.sequence = report.sequence;
                }
                _ => self.open.push(job),
            }
        }
    }

    fn look_at(&mut self, job: &Job) {
        match &job.kind {
            JobKind::Send(send) if !send.priority().is_resign() => {
                let state = self.node.state(send.router());
                assert_eq!(state, Some(State::Active), "1: {job:?}");
            }
            JobKind::InstallAddresses {
                router,
                interface,
                addresses,
            } => self.tell((*router, *interface), addresses, &[], job),
            JobKind::ChangeAddresses {
                router,
                interface,
                install,
                remove,
            } => self.tell((*router, *interface), install, remove, job),
            JobKind::RemoveAddresses {
                router,
                interface,
                addresses,
            } => {
                let again = self.open.iter().any(|other| {
                    matches!(&other.kind, JobKind::RemoveAddresses {
                        router: r, interface: i, addresses: a,
                    } if r == router && i == interface && a.iter().any(|a| addresses.contains(a)))
                });
                assert!(!again, "3: removed twice: {job:?}");
                self.tell((*router, *interface), &[], addresses, job);
            }
            JobKind::ReleaseGuard { .. } if self.variant % 7 <= 2 => {
                let left = self.kernel.values().filter(|router| router.get() <= 2);
                assert!(
                    self.is_unguarded || left.count() == 0,
                    "4: {:?}",
                    self.kernel
                );
            }
            _ => {}
        }
    }

    fn tell(&mut self, owner: Owner, install: &[IpAddr], remove: &[IpAddr], job: &Job) {
        for &address in install {
            let is_first = self.serving.insert((owner, address));
            assert!(is_first, "3: installed twice: {job:?}");
        }
        for &address in remove {
            self.serving.remove(&(owner, address));
        }
    }

    fn complete(&mut self, index: usize, result: JobResult) {
        let job = self.open.swap_remove(index);
        let done = result == JobResult::Done;
        match &job.kind {
            JobKind::InstallAddresses {
                router,
                interface,
                addresses,
            } => self.install(*router, *interface, addresses),
            JobKind::ChangeAddresses {
                router,
                interface,
                install,
                remove,
            } => {
                self.install(*router, *interface, install);
                if done {
                    self.remove(*router, *interface, remove);
                }
            }
            JobKind::RemoveAddresses {
                router,
                interface,
                addresses,
            } if done => self.remove(*router, *interface, addresses),
            _ => {}
        }
        self.node.complete(self.now, job.id, result);
    }

    fn install(&mut self, router: RouterId, interface: InterfaceIndex, addresses: &[IpAddr]) {
        for &address in addresses {
            let before = self.kernel.insert((interface, address), router);
            assert!(
                before.is_none_or(|before| before == router),
                "5: {address} of {before:?} installed for {router:?}"
            );
        }
    }

    fn remove(&mut self, router: RouterId, interface: InterfaceIndex, addresses: &[IpAddr]) {
        for &address in addresses {
            let before = self.kernel.remove(&(interface, address));
            assert!(
                before.is_none_or(|before| before == router),
                "5: {address} of {before:?} removed for {router:?}"
            );
        }
    }

    fn check(&self) {
        let members = members(self.variant).iter();
        let states: BTreeSet<_> = members
            .map(|id| format!("{:?}", self.node.state(RouterId::new(*id))))
            .collect();
        assert!(states.len() <= 1, "2: {states:?}");
    }

    fn tick(&mut self) {
        self.node.tick(self.now);
        let next = self.node.next_deadline();
        assert!(next.is_none_or(|next| next > self.now), "6: {next:?}");
    }

    /// The process stops, and another one goes on with this configuration after some time.
    fn hand_over(&mut self, variant: u8, pause: Duration) {
        self.node.shutdown(self.now, ShutdownMode::Handover);
        for _ in 0..20 {
            self.fetch(usize::MAX);
            while !self.open.is_empty() {
                self.complete(0, JobResult::Done);
                self.fetch(usize::MAX);
            }
            match self.node.next_deadline() {
                Some(next) if !self.node.is_idle() => self.now = self.now.max(next),
                _ => break,
            }
            self.tick();
        }
        assert!(self.node.is_idle(), "9: {:#?}", self.node);
        let mut left = self.node.hand_over();
        let handed = left.routers.iter();
        let handed: BTreeSet<_> = handed
            .flat_map(|(id, router)| router.addresses.iter().map(|address| (*id, *address)))
            .collect();
        let there = self.kernel.iter();
        let there: BTreeSet<_> = there.map(|((_, address), id)| (*id, *address)).collect();
        assert_eq!(handed, there, "9");
        // Whoever starts removes what is not configured any more, or elsewhere.
        self.kernel
            .retain(|(lan, _), id| place_of(variant, *id) == Some(*lan));
        let kept: BTreeSet<_> = self.kernel.values().copied().collect();
        let routers = &mut left.routers;
        routers.retain(|id, router| kept.contains(id) || router.addresses.is_empty());
        let there = self.kernel.iter();
        self.serving = there
            .map(|((lan, address), id)| ((*id, *lan), *address))
            .collect();
        self.now += pause;
        self.node = Node::resume(config(variant), self.now, &left).unwrap();
        self.variant = variant;
        self.is_unguarded |= variant % 7 > 2;
        self.sequence = 0;
    }

    /// Whatever there is to do is done, until so much later.
    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.fetch(usize::MAX);
            while !self.open.is_empty() {
                let job = &self.open[0];
                if let JobKind::AcquireGuard { group, .. } = job.kind {
                    let held = GuardStatus::Held {
                        until: self.now + Duration::from_secs(1000),
                        epoch: 1,
                    };
                    self.node.set_guard(self.now, group, held);
                }
                self.complete(0, JobResult::Done);
                self.fetch(usize::MAX);
                self.check();
            }
            match self.node.next_deadline() {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ => break,
            }
            self.tick();
        }
        self.now = end;
        self.tick();
        self.check();
    }
}

/// Runs a script.
pub(crate) fn node(script: &[u8]) {
    let mut bytes = script.iter().copied();
    let mut harness = Harness {
        node: Node::new(config(0)).unwrap(),
        now: Duration::from_secs(10),
        variant: 0,
        open: Vec::new(),
        kernel: BTreeMap::new(),
        serving: BTreeSet::new(),
        is_unguarded: false,
        sequence: 0,
    };
    harness.tick();
    while let Some(operation) = bytes.next() {
        step(&mut harness, operation, &mut bytes);
        harness.check();
    }
    become_well(harness);
}

fn step(harness: &mut Harness, operation: u8, bytes: &mut impl Iterator<Item = u8>) {
    let mut byte = || bytes.next().unwrap_or_default();
    let now = harness.now;
    match operation % 16 {
        0..=2 => {
            if let Some(next) = harness.node.next_deadline() {
                harness.now = harness.now.max(next);
                harness.tick();
            }
        }
        3 => {
            harness.now += Duration::from_millis(u64::from(byte()) * 40);
            harness.tick();
        }
        4 => {
            let (number, priority) = (byte() % 4 + 1, byte());
            let packet = advert(number, priority, if priority & 1 == 1 { 1 } else { 200 });
            let meta = Meta::ipv4(LANS[usize::from(operation > 127)], now);
            harness.node.receive(now, &meta, &packet);
        }
        5 => {
            let mut packet = advert(1, 100, 1);
            let (place, value) = (usize::from(byte()), byte());
            let place = place % packet.len();
            packet[place] = value;
            let meta = Meta::ipv4(LANS[0], now);
            harness.node.receive(now, &meta, &packet);
        }
        6 => {
            let what = byte();
            let addresses = [OWN, virtual_address(1)];
            let count = usize::from(what >> 2) % 3;
            let lan = LANS[usize::from(what & 1)];
            harness
                .node
                .link(now, lan, what & 2 == 0, &addresses[..count]);
        }
        7 => {
            let what = byte();
            let tracker = TRACKERS[usize::from(what & 1)];
            let status = if what & 4 == 0 {
                TrackerStatus::from(what & 2 == 0)
            } else {
                TrackerStatus::Value(i32::from(what >> 3) - 16)
            };
            harness.node.set_tracker(now, tracker, status);
        }
        8 => {
            let status = match byte() % 8 {
                0 => GuardStatus::Free,
                1 => GuardStatus::HeldByOther,
                2 => GuardStatus::Unknown,
                number => GuardStatus::Held {
                    until: now + Duration::from_secs(u64::from(number) - 3),
                    epoch: u64::from(number),
                },
            };
            harness.node.set_guard(now, GROUP, status);
        }
        9 => {
            harness.variant = byte();
            let config = config(harness.variant);
            harness.node.reconfigure(now, config).unwrap();
            harness.is_unguarded |= harness.variant % 7 > 2;
        }
        10 => harness.fetch(usize::from(byte())),
        11..=13 if !harness.open.is_empty() => {
            let index = usize::from(byte()) % harness.open.len();
            let failed = operation % 16 == 13;
            let result = if failed {
                JobResult::Failed
            } else {
                JobResult::Done
            };
            harness.complete(index, result);
        }
        14 if byte() % 2 == 0 => harness.node.stalled(now),
        14 => harness.node.yield_group(now, GROUP),
        15 if operation > 127 => {
            let variant = byte();
            harness.hand_over(variant, Duration::from_millis(u64::from(byte()) * 20));
        }
        _ => {
            harness.tick();
            let before = format!("{:?}", harness.node);
            harness.node.tick(now);
            harness
                .node
                .tick(now.saturating_sub(Duration::from_secs(1)));
            assert_eq!(before, format!("{:?}", harness.node), "6");
        }
    }
}

/// Everything is well from now on.
fn become_well(mut harness: Harness) {
    for lan in LANS {
        harness.node.link(harness.now, lan, true, &[OWN]);
    }
    for tracker in TRACKERS {
        harness.node.set_tracker(harness.now, tracker, true);
    }
    harness
        .node
        .set_guard(harness.now, GROUP, GuardStatus::Free);
    harness.run(Duration::from_secs(60));
    let ids = if members(harness.variant) == [1] {
        &[1, 3][..]
    } else {
        &[1, 2, 3]
    };
    for &id in ids {
        assert_eq!(
            harness.node.state(RouterId::new(id)),
            Some(State::Active),
            "8: {:#?}",
            harness.node
        );
    }
    let of_second = if matches!(harness.variant % 5, 1 | 2) {
        2
    } else {
        1
    };
    let expected = if ids.len() == 2 { 5 - of_second } else { 5 };
    assert_eq!(harness.kernel.len(), expected, "8: {:?}", harness.kernel);
    for job in 0..harness.open.len() {
        harness.complete(job, JobResult::Done);
    }
    harness.node.shutdown(harness.now, ShutdownMode::Graceful);
    harness.run(Duration::from_secs(10));
    assert_eq!(harness.kernel, BTreeMap::new(), "8");
    assert!(harness.node.is_idle(), "8: {:#?}", harness.node);
}
