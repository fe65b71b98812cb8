//! The plan: everything a node is made of, with interfaces by name.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, HashMap};

use lvs_vrrp::address::InterfaceIndex;
use lvs_vrrp::node::{InterfaceConfig, NodeConfig, NodeRouter, Settings};

use super::announce;
use super::group::{self, PlannedGroup};
use super::numbers::Ids;
use super::router::{self, PlannedRouter};
use super::tracker::{PlannedTracker, Trackers};
use crate::keepalived::vrrp::{InterfaceDelay, VrrpSyncGroup};
use crate::keepalived::{Config, Diagnostic, Messages, Position, sort};

/// What a node, and whoever installs its addresses, is to run.
#[derive(Clone, Debug)]
pub struct Plan {
    routers: Vec<PlannedRouter>,
    groups: Vec<PlannedGroup>,
    trackers: Vec<PlannedTracker>,
    delays: Vec<InterfaceDelay>,
    spacings: BTreeMap<String, Duration>,
    settings: Settings,
    diagnostics: Vec<Diagnostic>,
    ids: Ids,
}

/// A configuration that cannot become a node here.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// An interface that is not there.
    #[error("{position}: vrrp_instance {router}: there is no interface {interface}")]
    NoInterface {
        /// Where the virtual router is configured.
        position: Position,
        /// Its name.
        router: String,
        /// The interface.
        interface: String,
    },
}

impl Plan {
    /// The plan of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self::build(config, Ids::default())
    }

    /// The plan of a configuration that was read again: what has the same name keeps its number.
    #[must_use]
    pub fn following(&self, config: &Config) -> Self {
        Self::build(config, self.ids.clone())
    }

    fn build(config: &Config, mut ids: Ids) -> Self {
        let (vrrp, globals) = (config.vrrp(), config.globals());
        let mut messages = Messages::default();
        let mut trackers = Trackers::new(vrrp);
        let mut routers: Vec<PlannedRouter> = Vec::with_capacity(vrrp.instances.len());
        let mut addresses = HashMap::new();
        let mut devices = Vec::new();
        for instance in &vrrp.instances {
            let planned = router::plan(
                instance,
                &mut ids,
                &mut trackers,
                &mut devices,
                &mut messages,
            );
            let free = planned.and_then(|it| free(it, &mut addresses, &vrrp.groups, &mut messages));
            routers.extend(free);
        }
        let groups = vrrp.groups.iter();
        let groups = groups
            .filter_map(|it| group::plan(it, &routers, &mut ids, &mut trackers, &mut messages))
            .collect();
        let mut settings = Settings::default();
        settings.startup_delay = globals.vrrp.startup_delay;
        settings.report_unknown_vrids = globals.vrrp.log_unknown_vrids;
        settings.announce = announce::settings(&globals.vrrp);
        let spacings = announce::spacings(&vrrp.garp_groups, &mut messages);
        let delays = vrrp.interface_delays.iter();
        let delays = delays
            .map(|delay| limited(delay, &routers, &mut messages))
            .collect();
        unsupported(config, &mut messages);
        sort(&mut messages.list);
        Self {
            routers,
            groups,
            trackers: trackers.finish(),
            delays,
            spacings,
            settings,
            diagnostics: messages.list,
            ids,
        }
    }

    /// Virtual routers, in the file's order.
    #[must_use]
    pub fn routers(&self) -> &[PlannedRouter] {
        &self.routers
    }

    /// Groups, in the file's order.
    #[must_use]
    pub fn groups(&self) -> &[PlannedGroup] {
        &self.groups
    }

    /// What routers and groups follow, each once.
    #[must_use]
    pub fn trackers(&self) -> &[PlannedTracker] {
        &self.trackers
    }

    /// For how long interfaces must be up, or down, before that is believed.
    #[must_use]
    pub fn interface_delays(&self) -> &[InterfaceDelay] {
        &self.delays
    }

    /// The space between announcements on the interfaces that have one of their own.
    pub fn spacings(&self) -> impl Iterator<Item = (&str, Duration)> {
        let spacings = self.spacings.iter();
        spacings.map(|(interface, spacing)| (interface.as_str(), *spacing))
    }

    /// What all routers share.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What the file asks for and is not run, or run differently. Those of
    /// [`Config::diagnostics`] are not among them.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The node, on the interfaces there are.
    ///
    /// # Errors
    ///
    /// [`PlanError::NoInterface`]. Whether real addresses contradict the configuration is for
    /// [`NodeConfig::validate`].
    pub fn node_config(
        &self,
        interfaces: &BTreeMap<String, (InterfaceIndex, InterfaceConfig)>,
    ) -> Result<NodeConfig, PlanError> {
        let mut node = NodeConfig::new().with_settings(self.settings.clone());
        for router in &self.routers {
            let Some((index, interface)) = interfaces.get(&router.interface) else {
                return Err(PlanError::NoInterface {
                    position: router.position.clone(),
                    router: router.name.clone(),
                    interface: router.interface.clone(),
                });
            };
            let mut setup = NodeRouter::new(*index, router.config.clone());
            setup = setup.with_rounds(router.rounds);
            if router.virtual_mac.is_none() {
                setup = setup.without_virtual_mac();
            }
            if router.ignores_link {
                setup = setup.ignoring_link();
            }
            for track in &router.tracks {
                setup = setup.with_track(*track);
            }
            let mut interface = interface.clone();
            let mut delays = self.delays.iter();
            if let Some(delay) = delays.find(|delay| delay.interface == router.interface) {
                interface = interface.with_link_delays(delay.up, delay.down);
            }
            if let Some(spacing) = self.spacings.get(&router.interface) {
                interface = interface.with_spacing(*spacing);
            }
            node = node
                .with_interface(*index, interface)
                .with_router(router.id, setup);
        }
        for group in &self.groups {
            node = node.with_group(group.id, group.config.clone());
        }
        for tracker in &self.trackers {
            node = node.with_tracker(tracker.id, tracker.status);
        }
        Ok(node)
    }
}

/// The router with the addresses that no other has: removing one for it would take it from the other.
/// Routers of a group have theirs together, so the first one's is as good if it is not advertised.
fn free(
    mut router: PlannedRouter,
    seen: &mut HashMap<(String, IpAddr), String>,
    groups: &[VrrpSyncGroup],
    messages: &mut Messages,
) -> Option<PlannedRouter> {
    let (name, interface) = (router.name.clone(), router.interface.clone());
    let mut own = Vec::with_capacity(router.addresses.len());
    for address in core::mem::take(&mut router.addresses) {
        let Some(other) = seen.get(&(interface.clone(), address.ip)) else {
            own.push(address);
            continue;
        };
        let mut together = groups.iter().map(|group| &group.members);
        if address.is_advertised
            || !together.any(|members| members.contains(other) && members.contains(&name))
        {
            let message = format!(
                "vrrp_instance {name}: {} is an address of vrrp_instance {other} on {interface}; \
                 not run",
                address.ip
            );
            messages.error(&address.position, message);
            return None;
        }
        let message = format!(
            "vrrp_instance {name}: {} comes and goes with vrrp_instance {other} of the same group",
            address.ip
        );
        messages.note(&address.position, message);
    }
    let excluded = own.iter().filter(|address| !address.is_advertised);
    let excluded = excluded.map(|address| address.ip);
    router.config = router.config.with_excluded_addresses(excluded);
    seen.extend(
        own.iter()
            .map(|it| ((interface.clone(), it.ip), name.clone())),
    );
    router.addresses = own;
    Some(router)
}

/// A delay of going down in which no other router takes over. keepalived reduces it, too.
fn limited(
    delay: &InterfaceDelay,
    routers: &[PlannedRouter],
    messages: &mut Messages,
) -> InterfaceDelay {
    let mut delay = delay.clone();
    let here = routers.iter().filter(|it| it.interface == delay.interface);
    let limit = here.map(|router| {
        let intervals = router.config.down_factor().saturating_sub(1);
        let interval = router.config.interval().as_duration();
        interval.saturating_mul(intervals.into())
    });
    if let Some(limit) = limit
        .min()
        .filter(|limit| !delay.down.is_zero() && delay.down >= *limit)
    {
        let most = limit.saturating_sub(Duration::from_millis(1));
        let message = format!(
            "interface_up_down_delays of {}: down {:?} is not less than {limit:?}, in which another \
             router takes over; set to {most:?}",
            delay.interface, delay.down
        );
        messages.warning(&delay.position, message);
        delay.down = most;
    }
    delay
}

/// Blocks that nothing here runs.
fn unsupported(config: &Config, messages: &mut Messages) {
    let vrrp = config.vrrp();
    for block in &vrrp.unsupported {
        let message = format!("{} is not supported; ignored", block.keyword);
        messages.warning(&block.position, message);
    }
}
