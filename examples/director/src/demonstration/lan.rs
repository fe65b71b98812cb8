//! The network between the directors: real nodes, simulated packets, the time of the real clock.
//!
//! A host is a [`NodeHost`] whose preparations are not made by the simulation but by a director: its
//! virtual router gets the address when that says that its table is complete (OP-1).

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::collections::BTreeMap;

use lvs_ipvs::Timestamp;
use lvs_vrrp::address::{InterfaceIndex, MacAddress};
use lvs_vrrp::event::{Notification, ShutdownMode, State};
use lvs_vrrp::job::JobResult;
use lvs_vrrp::lease::{JobId, LeaseAnswer};
use lvs_vrrp::node::{InterfaceConfig, NodeConfig};
use lvs_vrrp::sim::{
    Effect, Effects, Host, HostId, Lan as Simulated, Link, NodeHost, RouterKey, Step, What,
};

use super::DemonstrationError;
use crate::keepalived::Config;
use crate::vrrp::{Plan, PlanError};

/// The only network there is.
pub(super) const INTERFACE: &str = "lan0";

const INDEX: InterfaceIndex = InterfaceIndex::new(2);

/// How long a packet is on its way.
const DELAY: Duration = Duration::from_millis(1);

/// A director's machine as the network sees it.
#[derive(Clone, Debug)]
struct Machine {
    node: NodeHost,
    /// What a director has to do before the address may come, or after it is gone, in order.
    asked: Vec<(RouterKey, Step)>,
}

/// Something that happened on the network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Occurrence {
    /// A virtual router is in another state.
    State(usize, State),
    /// A director is asked to make its table ready.
    Prepare(usize),
    /// A director is told that the address is gone.
    Settle(usize),
    /// A machine has the virtual address from now on.
    Installed(usize),
    /// A machine has told everybody where the virtual address is.
    Announced(usize),
    /// A machine has given back the virtual address.
    Removed(usize),
}

/// The network.
#[derive(Debug)]
pub(super) struct Lan {
    network: Simulated<Machine>,
    hosts: Vec<HostId>,
    router: RouterKey,
    /// The time at which that of the network began.
    start: Timestamp,
    /// Lines of the trace that were told.
    told: usize,
}

impl Lan {
    /// A network of one host for each configuration, with their virtual routers started.
    pub(super) fn new(now: Timestamp, configs: &[Config]) -> Result<Self, DemonstrationError> {
        let mut network = Simulated::new(0);
        network.set_link(Link::default().with_delay(DELAY));
        let mut hosts = Vec::new();
        let mut router = None;
        for (number, config) in configs.iter().enumerate() {
            let plan = Plan::new(config);
            let Some(planned) = plan.routers().first() else {
                return Err(refused(&"there is no virtual router"));
            };
            router = Some(RouterKey {
                family: planned.config.family(),
                vrid: planned.config.vrid(),
            });
            let node = node_config(&plan, number).map_err(|error| refused(&error))?;
            hosts.push(network.add(Machine {
                node: NodeHost::new(node, INDEX).map_err(|error| refused(&error))?,
                asked: Vec::new(),
            }));
        }
        let router = router.ok_or_else(|| refused(&"there is no director"))?;
        for host in &hosts {
            network.start(*host);
        }
        Ok(Self {
            network,
            hosts,
            router,
            start: now,
            told: 0,
        })
    }

    /// Lets everything happen that is due by now, and tells what did.
    pub(super) fn go_on(&mut self, now: Timestamp, occurred: &mut Vec<Occurrence>) {
        self.network.run_until(now.saturating_sub(self.start));
        let trace = self.network.trace().entries();
        for entry in trace.get(self.told..).unwrap_or_default() {
            let host = entry.host.index();
            occurred.extend(match entry.what {
                What::Reported(Notification::Transition(transition)) => {
                    Some(Occurrence::State(host, transition.to))
                }
                What::Installed => Some(Occurrence::Installed(host)),
                What::Announced => Some(Occurrence::Announced(host)),
                What::Removed => Some(Occurrence::Removed(host)),
                _ => None,
            });
        }
        self.told = trace.len();
        // One announcement for each address and round.
        occurred.dedup();
        for (number, host) in self.hosts.iter().enumerate() {
            self.network.with(*host, |machine, _, _| {
                occurred.extend(machine.asked.iter().map(|(_, step)| match step {
                    Step::Prepare => Occurrence::Prepare(number),
                    _ => Occurrence::Settle(number),
                }));
                machine.asked.clear();
            });
        }
    }

    /// When something is due next.
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let machines = self.hosts.iter();
        let machines = machines.filter_map(|host| self.network.host(*host));
        let earliest = machines.filter_map(Host::next_deadline).min()?;
        // What is sent then is on its way for a while.
        let arrived = earliest.saturating_add(DELAY);
        Some(self.start.saturating_add(arrived))
    }

    /// A director did what it was asked for, or could not.
    pub(super) fn done(&mut self, number: usize, step: Step, is_done: bool) {
        let (router, result) = match is_done {
            true => (self.router, JobResult::Done),
            false => (self.router, JobResult::Failed),
        };
        if let Some(host) = self.hosts.get(number) {
            self.network.with(*host, |machine, now, out| {
                machine.worked(now, router, step, result, out);
            });
        }
    }

    /// A machine loses power.
    pub(super) fn kill(&mut self, number: usize) {
        if let Some(host) = self.hosts.get(number) {
            self.network.crash(*host);
        }
    }

    /// A machine is switched on again.
    pub(super) fn revive(&mut self, number: usize) {
        if let Some(host) = self.hosts.get(number) {
            self.network.start(*host);
        }
    }

    /// Which machine has the virtual address; of several, who took it last.
    pub(super) fn holder(&self) -> Option<usize> {
        let mut holdings = self.network.holdings().iter().rev();
        let present = holdings.find(|holding| holding.until.is_none());
        present.map(|holding| holding.host.index())
    }
}

fn refused(error: &dyn core::fmt::Display) -> DemonstrationError {
    DemonstrationError::Configuration(error.to_string())
}

fn node_config(plan: &Plan, number: usize) -> Result<NodeConfig, PlanError> {
    let last = u8::try_from(number).unwrap_or(u8::MAX).saturating_add(1);
    let own = IpAddr::from(Ipv4Addr::new(192, 0, 2, last));
    let interface = InterfaceConfig::new(MacAddress::new([2, 0, 0, 0, 0, last])).up([own]);
    plan.node_config(&BTreeMap::from([(
        INTERFACE.to_owned(),
        (INDEX, interface),
    )]))
}

impl Machine {
    /// Lets the node do something; what a director has to do is kept back.
    fn act(&mut self, out: &mut Effects, act: impl FnOnce(&mut NodeHost, &mut Effects)) {
        let mut effects = Effects::default();
        act(&mut self.node, &mut effects);
        while let Some(effect) = effects.pop() {
            match effect {
                Effect::Work(router, work)
                    if matches!(work.step(), Step::Prepare | Step::Settle) =>
                {
                    self.asked.push((router, work.step()));
                }
                other => out.push(other),
            }
        }
    }
}

impl Host for Machine {
    fn start(&mut self, now: Timestamp, out: &mut Effects) {
        self.act(out, |node, out| node.start(now, out));
    }

    fn stop(&mut self, now: Timestamp, mode: ShutdownMode, out: &mut Effects) {
        self.act(out, |node, out| node.stop(now, mode, out));
    }

    fn crash(&mut self) {
        self.asked.clear();
        self.node.crash();
    }

    fn receive(
        &mut self,
        now: Timestamp,
        received_at: Timestamp,
        packet: &[u8],
        out: &mut Effects,
    ) {
        self.act(out, |node, out| node.receive(now, received_at, packet, out));
    }

    fn tick(&mut self, now: Timestamp, out: &mut Effects) {
        self.act(out, |node, out| node.tick(now, out));
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        self.node.next_deadline()
    }

    fn worked(
        &mut self,
        now: Timestamp,
        router: RouterKey,
        step: Step,
        result: JobResult,
        out: &mut Effects,
    ) {
        self.act(out, |node, out| node.worked(now, router, step, result, out));
    }

    fn answered(
        &mut self,
        now: Timestamp,
        router: RouterKey,
        id: JobId,
        answer: LeaseAnswer,
        out: &mut Effects,
    ) {
        self.act(out, |node, out| node.answered(now, router, id, answer, out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREPARED: [Step; 1] = [Step::Prepare];

    fn lan() -> Lan {
        let config = |priority| {
            let text = format!(
                "vrrp_instance V {{\ninterface {INTERFACE}\nvirtual_router_id 51\n\
                 priority {priority}\nadvert_int 1\nvirtual_ipaddress {{ 127.0.0.10 }}\n}}\n"
            );
            Config::parse("t.conf", &text)
        };
        Lan::new(START, &[config(150), config(100)]).unwrap()
    }

    /// The network does not care when it began.
    const START: Timestamp = Duration::from_secs(1_000_000);

    /// What happens until then, with directors that do what they are asked for at once, or not.
    fn go_on(lan: &mut Lan, seconds: u64, does: &[Step]) -> Vec<Occurrence> {
        let end = START + Duration::from_secs(seconds);
        let mut all = Vec::new();
        // As the demonstration does: from one deadline to the next.
        while let Some(next) = lan.next_deadline().filter(|next| *next <= end) {
            let mut occurred = Vec::new();
            lan.go_on(next, &mut occurred);
            for occurrence in &occurred {
                let (number, step) = match occurrence {
                    Occurrence::Prepare(number) => (*number, Step::Prepare),
                    Occurrence::Settle(number) => (*number, Step::Settle),
                    _ => continue,
                };
                if does.contains(&step) {
                    lan.done(number, step, true);
                }
            }
            lan.go_on(next, &mut occurred);
            all.extend(occurred);
        }
        lan.go_on(end, &mut all);
        all.retain(|it| !matches!(it, Occurrence::Announced(_)));
        all
    }

    #[test]
    fn the_address_comes_when_the_table_is_ready() {
        let mut lan = lan();
        let occurred = go_on(&mut lan, 20, &[]);
        // Nobody says that a table is ready, so that there is no address.
        assert!(occurred.contains(&Occurrence::Prepare(0)), "{occurred:?}");
        assert!(
            !occurred
                .iter()
                .any(|it| matches!(it, Occurrence::Installed(_)))
        );
        assert_eq!(lan.holder(), None);

        lan.done(0, Step::Prepare, true);
        let occurred = go_on(&mut lan, 21, &PREPARED);
        assert!(occurred.contains(&Occurrence::Installed(0)), "{occurred:?}");
        assert_eq!(lan.holder(), Some(0));
    }

    #[test]
    fn the_other_machine_takes_over_and_gives_back() {
        let mut lan = lan();
        let does = [Step::Prepare, Step::Settle];
        let occurred = go_on(&mut lan, 10, &does);
        assert!(
            occurred.contains(&Occurrence::State(0, State::Active)),
            "{occurred:?}"
        );
        assert_eq!(lan.holder(), Some(0));

        lan.kill(0);
        // Its address goes with it, and the other one waits three intervals and a skew.
        assert_eq!(lan.holder(), None);
        assert_eq!(go_on(&mut lan, 12, &does), []);
        assert_eq!(lan.holder(), None);
        let occurred = go_on(&mut lan, 14, &does);
        let expected = [
            Occurrence::Prepare(1),
            Occurrence::Installed(1),
            Occurrence::State(1, State::Active),
        ];
        assert!(
            expected.iter().all(|it| occurred.contains(it)),
            "{occurred:?}"
        );
        assert_eq!(lan.holder(), Some(1));

        lan.revive(0);
        let occurred = go_on(&mut lan, 24, &does);
        let expected = [
            Occurrence::Removed(1),
            Occurrence::Settle(1),
            Occurrence::State(1, State::Backup),
            Occurrence::Installed(0),
        ];
        assert!(
            expected.iter().all(|it| occurred.contains(it)),
            "{occurred:?}"
        );
        assert_eq!(lan.holder(), Some(0));
    }

    #[test]
    fn a_director_that_cannot_prepare_leaves_the_address_to_the_other() {
        let mut lan = lan();
        let mut occurred = Vec::new();
        for seconds in 4..30 {
            let asked = go_on(&mut lan, seconds, &[]);
            for (number, is_done) in [(0, false), (1, true)] {
                if asked.contains(&Occurrence::Prepare(number)) {
                    lan.done(number, Step::Prepare, is_done);
                }
            }
            occurred.extend(asked);
        }
        assert!(occurred.contains(&Occurrence::Installed(1)), "{occurred:?}");
    }
}
