//! A node whose jobs are done at once, or as a test says, with a record of what happened.

use core::net::IpAddr;
use core::time::Duration;

use lvs_vrrp::codec::{Advertisement, Transmission};
use lvs_vrrp::event::{Notification, State};
use lvs_vrrp::job::{Job, JobId, JobKind, JobResult};
use lvs_vrrp::node::{
    HandOver, InterfaceConfig, Node, NodeConfig, NodeRouter, Report, ReportKind, RouterId,
};
use lvs_vrrp::receive::Meta;
use lvs_vrrp::{
    AddressList, InterfaceIndex, Interval, MacAddress, Priority, RouterConfig, Timestamp, Version,
    Vrid,
};

pub(crate) const LAN: InterfaceIndex = InterfaceIndex::new(2);
pub(crate) const OTHER_LAN: InterfaceIndex = InterfaceIndex::new(3);
/// Address of the node in the LAN.
pub(crate) const OWN: &str = "192.0.2.9";
pub(crate) const LOWER: &str = "192.0.2.1";
pub(crate) const HIGHER: &str = "192.0.2.200";

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn vrid(number: u8) -> Vrid {
    Vrid::new(number).unwrap()
}

pub(crate) fn id(number: u32) -> RouterId {
    RouterId::new(number)
}

pub(crate) fn interface() -> InterfaceConfig {
    InterfaceConfig::new(MacAddress::new([2, 0, 0, 0, 0, 9])).up([address(OWN)])
}

/// VRRPv3, priority 100, one address 198.51.100.VRID.
pub(crate) fn router_config(number: u8) -> RouterConfig {
    let own = IpAddr::from([198, 51, 100, number]);
    RouterConfig::new(vrid(number), AddressList::new([own]).unwrap())
}

pub(crate) fn router(number: u8) -> NodeRouter {
    NodeRouter::new(LAN, router_config(number))
}

/// Routers 1 to count in the LAN, which do not start at different times.
pub(crate) fn config(count: u8) -> NodeConfig {
    let mut settings = lvs_vrrp::node::Settings::default();
    settings.spread = false;
    let config = NodeConfig::new()
        .with_interface(LAN, interface())
        .with_interface(OTHER_LAN, interface())
        .with_settings(settings);
    (1..=count).fold(config, |config, number| {
        config.with_router(id(number.into()), router(number))
    })
}

/// A node, and what it said so far.
#[derive(Clone, Debug)]
pub(crate) struct Rig {
    pub(crate) node: Node,
    pub(crate) now: Timestamp,
    /// Jobs fetched, in order, without those reported elsewhere.
    pub(crate) log: Vec<String>,
    pub(crate) reports: Vec<Report>,
    /// Address work that nobody has done yet.
    pub(crate) open: Vec<Job>,
}

impl Rig {
    pub(crate) fn new(config: NodeConfig) -> Self {
        let mut rig = Self {
            node: Node::new(config).unwrap(),
            now: Duration::from_secs(100),
            log: Vec::new(),
            reports: Vec::new(),
            open: Vec::new(),
        };
        rig.node.tick(rig.now);
        rig
    }

    /// The successor of a node that was shut down.
    pub(crate) fn resume(config: NodeConfig, now: Timestamp, left: &HandOver) -> Self {
        let mut rig = Self {
            node: Node::resume(config, now, left).unwrap(),
            now,
            log: Vec::new(),
            reports: Vec::new(),
            open: Vec::new(),
        };
        rig.fetch();
        rig
    }

    /// All routers Active, jobs done, log empty.
    pub(crate) fn active(config: NodeConfig) -> Self {
        let mut rig = Self::new(config);
        rig.run(ms(4000));
        rig.log.clear();
        rig.reports.clear();
        rig
    }

    /// Fetches jobs; address work waits in `open`, everything else is done.
    pub(crate) fn fetch(&mut self) {
        while let Some(job) = self.node.poll_job() {
            match &job.kind {
                JobKind::Notify(report) => {
                    self.reports.push(*report);
                    if let ReportKind::Router(Notification::Transition(transition)) = report.kind {
                        let router = report.subject.router.unwrap().get();
                        self.log.push(format!("{router} {}", transition.to));
                    }
                    continue;
                }
                JobKind::Prepare { .. }
                | JobKind::InstallAddresses { .. }
                | JobKind::ChangeAddresses { .. }
                | JobKind::RemoveAddresses { .. }
                | JobKind::Establish { .. }
                | JobKind::Settle { .. } => self.open.push(job.clone()),
                _ => self.node.complete(self.now, job.id, JobResult::Done),
            }
            self.log.extend(brief(&job.kind));
        }
    }

    /// The same, with all address work done at once.
    pub(crate) fn work(&mut self) {
        self.fetch();
        while let Some(job) = self.open.pop() {
            self.complete(job.id, JobResult::Done);
        }
    }

    /// Says how a job went, and fetches what follows.
    pub(crate) fn complete(&mut self, id: JobId, result: JobResult) {
        self.open.retain(|job| job.id != id);
        self.node.complete(self.now, id, result);
        self.fetch();
    }

    /// The only open job goes so.
    pub(crate) fn finish(&mut self, result: JobResult) {
        assert_eq!(self.open.len(), 1, "{:?}", self.open);
        let id = self.open[0].id;
        self.complete(id, result);
    }

    /// Lets time pass, deadline by deadline, with all jobs done at once.
    pub(crate) fn run(&mut self, span: Duration) {
        self.pass(span, Self::work);
    }

    /// The same, with address work left open.
    pub(crate) fn run_open(&mut self, span: Duration) {
        self.pass(span, Self::fetch);
    }

    fn pass(&mut self, span: Duration, mut each: impl FnMut(&mut Self)) {
        let end = self.now + span;
        each(self);
        while let Some(deadline) = self.node.next_deadline().filter(|d| *d <= end) {
            assert!(
                deadline > self.now,
                "a deadline that has come is no deadline"
            );
            self.now = deadline;
            self.node.tick(deadline);
            each(self);
        }
        self.now = end;
        self.node.tick(end);
        each(self);
    }

    /// An advertisement of VRRPv3 for the router of this id, at the default interval.
    pub(crate) fn hear(&mut self, number: u8, priority: u8, source: &str) {
        let bytes = advert(number, priority, source);
        self.hear_bytes(&bytes);
    }

    pub(crate) fn hear_bytes(&mut self, bytes: &[u8]) {
        let meta = Meta::ipv4(LAN, self.now);
        self.node.receive(self.now, &meta, bytes);
        self.fetch();
    }

    pub(crate) fn state(&self, number: u32) -> State {
        self.node.state(id(number)).unwrap()
    }

    /// What was logged since the last time, but for announcements and data plane.
    pub(crate) fn take_log(&mut self) -> String {
        let log = core::mem::take(&mut self.log);
        let words = log.into_iter().filter(|word| !word.contains('~'));
        words.collect::<Vec<_>>().join(", ")
    }

    /// Reports other than transitions.
    pub(crate) fn take_reports(&mut self) -> Vec<ReportKind> {
        let reports = core::mem::take(&mut self.reports).into_iter();
        let kinds = reports.map(|report| report.kind);
        let is_transition =
            |kind: &ReportKind| matches!(kind, ReportKind::Router(Notification::Transition(_)));
        kinds.filter(|kind| !is_transition(kind)).collect()
    }
}

/// One word for a job; those that tests seldom look at have a `~`.
fn brief(kind: &JobKind) -> Option<String> {
    let list = |addresses: &[IpAddr]| {
        let last = addresses.iter().map(|address| match address {
            IpAddr::V4(v4) => v4.octets()[3].to_string(),
            IpAddr::V6(v6) => v6.to_string(),
        });
        last.collect::<Vec<_>>().join("+")
    };
    Some(match kind {
        JobKind::Send(send) => format!("{} send {}", send.router().get(), send.priority()),
        JobKind::Prepare { router } => format!("{} prepare", router.get()),
        JobKind::InstallAddresses {
            router, addresses, ..
        } => format!("{} install {}", router.get(), list(addresses)),
        JobKind::ChangeAddresses {
            router,
            install,
            remove,
            ..
        } => format!(
            "{} change +{} -{}",
            router.get(),
            list(install),
            list(remove)
        ),
        JobKind::RemoveAddresses {
            router, addresses, ..
        } => format!("{} remove {}", router.get(), list(addresses)),
        JobKind::Establish { router } => format!("{} establish", router.get()),
        JobKind::Settle { router } => format!("{} settle", router.get()),
        JobKind::DataPlane { router, plane } => {
            format!("{} ~plane {}", router.get(), plane.serves)
        }
        JobKind::Announce(announcement) => format!(
            "{} ~announce {}",
            announcement.router().get(),
            list(&[announcement.address()])
        ),
        JobKind::AcquireGuard { group, .. } => format!("acquire {}", group.get()),
        JobKind::ReleaseGuard { group } => format!("release {}", group.get()),
        _ => return None,
    })
}

/// A packet of VRRPv3.
pub(crate) fn advert(number: u8, priority: u8, source: &str) -> Vec<u8> {
    advert_of(number, priority, source, Interval::DEFAULT)
}

pub(crate) fn advert_of(number: u8, priority: u8, source: &str, interval: Interval) -> Vec<u8> {
    let config = router_config(number);
    let advertisement = Advertisement {
        version: Version::V3,
        vrid: vrid(number),
        priority: Priority::new(priority),
        interval,
        addresses: config.addresses().as_addresses(),
    };
    let mut bytes = [0; 1500];
    let length = Transmission::multicast(address(source))
        .emit_packet(&advertisement, &mut bytes)
        .unwrap();
    bytes[..length].to_vec()
}
