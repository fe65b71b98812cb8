//! What a node is made of, and what is refused.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use super::emit::check_advertisements;
use super::{FloodLimit, virtual_addresses};
use crate::address::{InterfaceIndex, MacAddress};
use crate::announce::{AnnounceSettings, Rounds};
use crate::config::{ConfigError, RouterConfig};
use crate::error::EncodeError;
use crate::group::{GroupConfig, GroupId};
use crate::receive::Mode;
use crate::track::{MAX_WEIGHT, Track, TrackerId, TrackerStatus};

/// Names a virtual router of a node. The caller chooses the number, and keeps it when the
/// configuration changes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RouterId(u32);

impl RouterId {
    /// The router of this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// An interface.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct InterfaceConfig {
    pub(crate) mac: MacAddress,
    pub(crate) mtu: u16,
    pub(crate) is_up: bool,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) spacing: Option<Duration>,
    up_delay: Duration,
    down_delay: Duration,
}

impl InterfaceConfig {
    /// An interface of this hardware address, which is down; packets may have 1500 bytes.
    pub const fn new(mac: MacAddress) -> Self {
        Self {
            mac,
            mtu: 1500,
            is_up: false,
            addresses: Vec::new(),
            spacing: None,
            up_delay: Duration::ZERO,
            down_delay: Duration::ZERO,
        }
    }

    /// Sets for how long the link must be up, or down, before that is believed; 0. The down delay
    /// must be less than (down factor − 1) intervals of each router on the interface, or a Backup
    /// elsewhere takes over while this one still takes itself for Active.
    pub const fn with_link_delays(mut self, up: Duration, down: Duration) -> Self {
        (self.up_delay, self.down_delay) = (up, down);
        self
    }

    pub(crate) const fn link_delay(&self, is_up: bool) -> Duration {
        if is_up {
            self.up_delay
        } else {
            self.down_delay
        }
    }

    /// It is up, and has these addresses.
    pub fn up(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        (self.is_up, self.addresses) = (true, addresses.into_iter().collect());
        self
    }

    /// It is down, as it is from the beginning, and has these addresses all the same.
    pub fn down(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        (self.is_up, self.addresses) = (false, addresses.into_iter().collect());
        self
    }

    /// Sets the space between two announcements on it, at least 1 ns; that of the
    /// [settings](AnnounceSettings::spacing) if it is not set.
    pub const fn with_spacing(mut self, spacing: Duration) -> Self {
        self.spacing = Some(spacing);
        self
    }

    /// Sets how many bytes a packet may have. Advertisements are never fragmented: a virtual router
    /// whose addresses do not fit is refused, also when the MTU becomes less by a new configuration.
    pub const fn with_mtu(mut self, mtu: u16) -> Self {
        self.mtu = mtu;
        self
    }
}

/// A virtual router of a node.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct NodeRouter {
    pub(crate) interface: InterfaceIndex,
    pub(crate) config: RouterConfig,
    pub(crate) tracks: Vec<Track>,
    pub(crate) has_virtual_mac: bool,
    pub(crate) rounds: Option<Rounds>,
    pub(crate) ignores_link: bool,
}

impl NodeRouter {
    /// This virtual router on this interface, with the virtual MAC and without trackers.
    pub const fn new(interface: InterfaceIndex, config: RouterConfig) -> Self {
        Self {
            interface,
            config,
            tracks: Vec::new(),
            has_virtual_mac: true,
            rounds: None,
            ignores_link: false,
        }
    }

    /// Lets it follow this tracker.
    pub fn with_track(mut self, track: Track) -> Self {
        self.tracks.push(track);
        self
    }

    /// Sets when it announces its addresses, and how often; as the
    /// [settings](AnnounceSettings::rounds) say if it is not set.
    pub const fn with_rounds(mut self, rounds: Rounds) -> Self {
        self.rounds = Some(rounds);
        self
    }

    /// Lets it run while its interface is down, as long as that has an address to advertise from:
    /// on a cable between two routers the link fails with the other router, and that is when this one
    /// is needed. A Backup that hears nothing any more becomes Active then, whatever the cause.
    /// keepalived's `dont_track_primary`.
    pub const fn ignoring_link(mut self) -> Self {
        self.ignores_link = true;
        self
    }

    /// Announces the interface's own MAC: hosts learn of a take-over from announcements alone.
    pub const fn without_virtual_mac(mut self) -> Self {
        self.has_virtual_mac = false;
        self
    }
}

/// What all routers of a node share.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// For how long nothing runs after the node began: links and switches pass no traffic for
    /// seconds. 0.
    pub startup_delay: Duration,
    /// For how long routers wait after their interface came up, unless a frame is received before;
    /// 0.
    pub link_settle: Duration,
    /// Whether routers start at different times within an interval, so that their advertisements
    /// are spread; on. Those of a group start together.
    pub spread: bool,
    /// By how much an advertisement may leave before it is due, so that those of several routers
    /// leave together and the process wakes up once for them; 10 ms, and never more than a sixteenth
    /// of its interval. It never leaves later, and the next one is due an interval after it. 0: each
    /// leaves when it is due.
    pub slack: Duration,
    /// How addresses are announced.
    pub announce: AnnounceSettings,
    /// For how long a router does not run after its addresses could not be installed, or were lost;
    /// 30 s.
    pub install_retry: Duration,
    /// After what time removing addresses is tried again; 1 s.
    pub remove_retry: Duration,
    /// How long removing addresses may take before it is reported as a breach; 1 s.
    pub remove_bound: Duration,
    /// After what time the same is reported again, with the number of times it was not; 60 s.
    pub report_interval: Duration,
    /// How many reports may wait, or as many as there are routers if that is more; 1024. The last
    /// state of each router is never dropped.
    pub reports: usize,
    /// Whether packets for virtual routers that are not configured are reported; off, as they are
    /// normal where others use VRRP too.
    pub report_unknown_vrids: bool,
    /// How many advertisements a virtual router looks at; 1000 in a second. `None`: all.
    pub flood: Option<FloodLimit>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            startup_delay: Duration::ZERO,
            link_settle: Duration::ZERO,
            spread: true,
            slack: Duration::from_millis(10),
            announce: AnnounceSettings::default(),
            install_retry: Duration::from_secs(30),
            remove_retry: Duration::from_secs(1),
            remove_bound: Duration::from_secs(1),
            report_interval: Duration::from_secs(60),
            reports: 1024,
            report_unknown_vrids: false,
            flood: Some(FloodLimit::default()),
        }
    }
}

/// All that a node is made of.
///
/// ```
/// use lvs_vrrp::node::{InterfaceConfig, NodeConfig, NodeRouter, RouterId};
/// use lvs_vrrp::{AddressList, InterfaceIndex, MacAddress, RouterConfig, Vrid};
///
/// let lan = InterfaceIndex::new(2);
/// let mac = MacAddress::new([2, 0, 0, 0, 0, 1]);
/// let addresses = AddressList::new(["192.0.2.1".parse()?])?;
/// let config = NodeConfig::new()
///     .with_interface(lan, InterfaceConfig::new(mac).up(["192.0.2.9".parse()?]))
///     .with_router(
///         RouterId::new(1),
///         NodeRouter::new(lan, RouterConfig::new(Vrid::try_from(51)?, addresses)),
///     );
/// config.validate()?;
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct NodeConfig {
    pub(crate) interfaces: BTreeMap<InterfaceIndex, InterfaceConfig>,
    pub(crate) routers: BTreeMap<RouterId, NodeRouter>,
    pub(crate) groups: BTreeMap<GroupId, GroupConfig>,
    pub(crate) trackers: BTreeMap<TrackerId, TrackerStatus>,
    pub(crate) settings: Settings,
}

impl NodeConfig {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an interface, or replaces it.
    pub fn with_interface(mut self, index: InterfaceIndex, interface: InterfaceConfig) -> Self {
        self.interfaces.insert(index, interface);
        self
    }

    /// Adds a virtual router, or replaces it.
    pub fn with_router(mut self, id: RouterId, router: NodeRouter) -> Self {
        self.routers.insert(id, router);
        self
    }

    /// Adds a group, or replaces it.
    pub fn with_group(mut self, id: GroupId, group: GroupConfig) -> Self {
        self.groups.insert(id, group);
        self
    }

    /// Adds a tracker; nothing may be known of it yet.
    pub fn with_tracker(mut self, id: TrackerId, status: impl Into<TrackerStatus>) -> Self {
        self.trackers.insert(id, status.into());
        self
    }

    /// Sets what all share.
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// The group each router is in.
    pub(crate) fn groups_of_routers(&self) -> BTreeMap<RouterId, GroupId> {
        let groups = self.groups.iter();
        let members = groups.flat_map(|(id, group)| group.members.iter().map(|m| (*m, *id)));
        members.collect()
    }

    /// The configuration its machine gets: as a member of a group it asks the group.
    pub(crate) fn machine_config(
        &self,
        router: &NodeRouter,
        group: Option<GroupId>,
    ) -> RouterConfig {
        let config = router.config.clone();
        match group.and_then(|id| self.groups.get(&id)) {
            Some(group) => {
                // Members ask the group about as often as its guard is asked.
                config.with_guard(group.guard.unwrap_or_default())
            }
            None => config,
        }
    }

    /// Looks at every value and every reference.
    ///
    /// # Errors
    ///
    /// The first that is wrong.
    pub fn validate(&self) -> Result<(), NodeError> {
        for (&router, setup) in &self.routers {
            setup
                .config
                .validate()
                .map_err(|source| NodeError::Router { router, source })?;
            if setup.config.guard_retry().is_some() {
                return Err(NodeError::RouterGuard { router });
            }
            let interface = setup.interface;
            let Some(at) = self.interfaces.get(&interface) else {
                return Err(NodeError::NoInterface { router, interface });
            };
            if at.is_up {
                setup
                    .config
                    .check_ownership(&at.addresses)
                    .map_err(|source| NodeError::Router { router, source })?;
            }
            let limit = down_delay_limit(&setup.config);
            let value = at.down_delay;
            if !value.is_zero() && value >= limit {
                return Err(NodeError::DownDelay {
                    interface,
                    value,
                    limit,
                    router,
                });
            }
            check_advertisements(&setup.config, at.mtu)
                .map_err(|source| NodeError::Unsendable { router, source })?;
            for track in &setup.tracks {
                self.check_tracker(track)?;
            }
        }
        self.validate_keys()?;
        self.validate_addresses()?;
        self.validate_groups()?;
        self.validate_announcements()?;
        self.validate_flood()
    }

    fn validate_announcements(&self) -> Result<(), NodeError> {
        let announce = &self.settings.announce;
        if announce.spacing.is_zero() {
            return Err(NodeError::Spacing);
        }
        let mut interfaces = self.interfaces.iter();
        let unspaced = interfaces.find(|(_, it)| it.spacing.is_some_and(|own| own.is_zero()));
        if let Some((&interface, _)) = unspaced {
            return Err(NodeError::InterfaceSpacing { interface });
        }
        let own = self.routers.iter();
        let own = own.filter_map(|(id, setup)| Some((Some(*id), setup.rounds.as_ref()?)));
        for (router, rounds) in core::iter::once((None, &announce.rounds)).chain(own) {
            for (field, time) in [
                ("second round", rounds.second_round),
                ("refresh", rounds.refresh),
                (
                    "second round after a losing advert",
                    rounds.losing_second_round,
                ),
            ] {
                if time.is_some_and(|time| time.is_zero()) {
                    return Err(NodeError::Rounds { router, field });
                }
            }
        }
        Ok(())
    }

    fn validate_flood(&self) -> Result<(), NodeError> {
        let Some(FloodLimit { per_second, burst }) = self.settings.flood else {
            return Ok(());
        };
        for (field, value, min) in [
            ("adverts per second", per_second, FloodLimit::MIN_PER_SECOND),
            ("burst of adverts", burst, FloodLimit::MIN_BURST),
        ] {
            if value < min {
                return Err(NodeError::Flood { field, value, min });
            }
        }
        Ok(())
    }

    fn check_tracker(&self, track: &Track) -> Result<(), NodeError> {
        let (tracker, value) = (track.tracker(), track.weight());
        if !self.trackers.contains_key(&tracker) {
            return Err(NodeError::NoTracker { tracker });
        }
        if !(-MAX_WEIGHT..=MAX_WEIGHT).contains(&value) {
            return Err(NodeError::Weight { tracker, value });
        }
        Ok(())
    }

    /// Routers of one interface, family and id must be told apart by their peers.
    fn validate_keys(&self) -> Result<(), NodeError> {
        let mut seen = BTreeMap::new();
        for (&router, setup) in &self.routers {
            let config = &setup.config;
            let key = (setup.interface, config.family(), config.vrid());
            let others: &mut Vec<RouterId> = seen.entry(key).or_default();
            for &other in others.iter() {
                let other_config = self.routers.get(&other).map(|setup| &setup.config);
                if !other_config.is_some_and(|other| have_disjoint_peers(config, other)) {
                    return Err(NodeError::SameKey { router, other });
                }
            }
            others.push(router);
        }
        Ok(())
    }

    /// Removing an address for one router would take it from the other.
    fn validate_addresses(&self) -> Result<(), NodeError> {
        let mut seen = BTreeMap::new();
        for (&router, setup) in &self.routers {
            for address in virtual_addresses(&setup.config) {
                if let Some(other) = seen.insert((setup.interface, address), router) {
                    return Err(NodeError::AddressTwice {
                        router,
                        other,
                        address,
                    });
                }
            }
        }
        Ok(())
    }

    fn validate_groups(&self) -> Result<(), NodeError> {
        let mut seen = BTreeSet::new();
        for (&group, config) in &self.groups {
            if config.members.is_empty() {
                return Err(NodeError::EmptyGroup { group });
            }
            let mut owners = 0_usize;
            for &router in &config.members {
                let Some(setup) = self.routers.get(&router) else {
                    return Err(NodeError::NoRouter { group, router });
                };
                if !seen.insert(router) {
                    return Err(NodeError::TwoGroups { router });
                }
                if setup.config.switches().promotion_limit.is_some() {
                    return Err(NodeError::LimitInGroup { router });
                }
                owners = owners.saturating_add(usize::from(setup.config.is_owner()));
            }
            if owners != 0 && owners != config.members.len() {
                return Err(NodeError::MixedOwners { group });
            }
            for track in &config.tracks {
                self.check_tracker(track)?;
            }
        }
        Ok(())
    }
}

/// How long a dead link may go unnoticed (spec 3.3).
fn down_delay_limit(config: &RouterConfig) -> Duration {
    let intervals = u32::from(config.down_factor()).saturating_sub(1);
    config.interval().as_duration().saturating_mul(intervals)
}

fn have_disjoint_peers(one: &RouterConfig, other: &RouterConfig) -> bool {
    match (one.mode(), other.mode()) {
        (Mode::Unicast { peers }, Mode::Unicast { peers: others }) => !peers
            .iter()
            .any(|peer| others.iter().any(|other| other.address() == peer.address())),
        _ => false,
    }
}

/// A configuration that no node can have: the first thing that is wrong.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NodeError {
    /// A virtual router by itself.
    #[error("router {}", router.get())]
    Router {
        /// Which.
        router: RouterId,
        /// What.
        source: ConfigError,
    },
    /// Its advertisements cannot be sent, as they do not fit the MTU of the interface.
    #[error("advertisements of router {} cannot be sent", router.get())]
    Unsendable {
        /// The router.
        router: RouterId,
        /// Why.
        source: EncodeError,
    },
    /// Guards belong to groups.
    #[error("router {}: the guard of a router in a node is that of its group", router.get())]
    RouterGuard {
        /// The router.
        router: RouterId,
    },
    /// An interface that is not configured.
    #[error("router {} is on interface {}, which is not there", router.get(), interface.get())]
    NoInterface {
        /// The router.
        router: RouterId,
        /// The interface.
        interface: InterfaceIndex,
    },
    /// A tracker that is not configured.
    #[error("tracker {} is not there", tracker.get())]
    NoTracker {
        /// The tracker.
        tracker: TrackerId,
    },
    /// A weight that says more than a priority can.
    #[error("weight {value} of tracker {} is not in -253..=253", tracker.get())]
    Weight {
        /// The tracker.
        tracker: TrackerId,
        /// The weight given.
        value: i32,
    },
    /// Packets for these could not be told apart.
    #[error(
        "routers {} and {} have the same interface, family and id, and no peers to tell them apart",
        router.get(), other.get()
    )]
    SameKey {
        /// One.
        router: RouterId,
        /// The other.
        other: RouterId,
    },
    /// Two routers of an interface with the same virtual address: removing it for one would take it
    /// from the other, and keeping it for the other would leave it here when a peer that has taken
    /// over the one installs it too. keepalived accepts such; give the address to one of them, as
    /// routers of a [group](crate::group) have their addresses together anyway.
    #[error(
        "routers {} and {} of one interface both have the address {address}",
        router.get(), other.get()
    )]
    AddressTwice {
        /// One.
        router: RouterId,
        /// The other.
        other: RouterId,
        /// The address.
        address: IpAddr,
    },
    /// A group without members.
    #[error("group {} has no members", group.get())]
    EmptyGroup {
        /// The group.
        group: GroupId,
    },
    /// A member that is not configured.
    #[error("group {} has router {}, which is not there", group.get(), router.get())]
    NoRouter {
        /// The group.
        group: GroupId,
        /// The member.
        router: RouterId,
    },
    /// A member of two groups, or twice of one.
    #[error("router {} is in groups twice", router.get())]
    TwoGroups {
        /// The router.
        router: RouterId,
    },
    /// Some members could not become Active with the others.
    #[error("router {} has a promotion limit and is in a group", router.get())]
    LimitInGroup {
        /// The router.
        router: RouterId,
    },
    /// Owners do not wait for others.
    #[error("group {} has owners and others", group.get())]
    MixedOwners {
        /// The group.
        group: GroupId,
    },
    /// A down delay in which another router takes over.
    #[error(
        "interface {}: down delay of {value:?} is not less than {limit:?}, \
         (down factor - 1) x interval of router {}",
        interface.get(), router.get()
    )]
    DownDelay {
        /// The interface.
        interface: InterfaceIndex,
        /// The delay given.
        value: Duration,
        /// What it has to be less than.
        limit: Duration,
        /// The router whose timers say so.
        router: RouterId,
    },
    /// A limit that advertisements sent rightly would meet.
    #[error("flood limit: {field} of {value} is not at least {min}")]
    Flood {
        /// Which number.
        field: &'static str,
        /// The number given.
        value: u32,
        /// The least there may be.
        min: u32,
    },
    /// Announcements without space between them.
    #[error("spacing of announcements of 0 ns is not at least 1 ns")]
    Spacing,
    /// The same on an interface.
    #[error("interface {}: spacing of announcements of 0 ns is not at least 1 ns", interface.get())]
    InterfaceSpacing {
        /// The interface.
        interface: InterfaceIndex,
    },
    /// Announcements that follow others at once, and so for ever.
    #[error("announcements of {}: {field} after 0 ns is not after at least 1 ns", owner(*router))]
    Rounds {
        /// The router; `None`: the settings of all.
        router: Option<RouterId>,
        /// Which time.
        field: &'static str,
    },
}

fn owner(router: Option<RouterId>) -> String {
    router.map_or_else(
        || "all routers".into(),
        |router| format!("router {}", router.get()),
    )
}
