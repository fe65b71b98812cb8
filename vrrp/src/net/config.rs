//! What a driver runs: virtual routers on interfaces that are known by name.

mod resolve;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use super::NetError;
use super::addresses::{AddressError, TAG, VirtualAddress};
use crate::address::InterfaceIndex;
use crate::announce::Rounds;
use crate::config::RouterConfig;
use crate::group::{GroupConfig, GroupId};
use crate::node::{NodeError, RouterId, Settings};
use crate::receive::Mode;
use crate::track::{Track, TrackerId, TrackerStatus};

pub(super) use resolve::{Device, Mouth, Resolved, View};

/// The shortest lifetime of an address that the driver chooses by itself.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(3);

/// For how long the kernel keeps a virtual address when nobody renews it (OP-4): that long it may
/// stay after the process was killed, or hangs.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Lifetime {
    /// Three times the down interval of its virtual router, and at least 3 s.
    #[default]
    ByRouter,
    /// This long, rounded up to whole seconds.
    Limited(Duration),
    /// For ever: after a crash it stays until somebody removes it. Refused where the group of its
    /// virtual router has a guard: there no lifetime reaches beyond the time until which that is held,
    /// less the time by which the kernel may be late ([`KERNEL_LAG`](crate::lease::KERNEL_LAG)).
    Unlimited,
}

/// Where and how a virtual address is installed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct AddressSetup {
    device: Option<String>,
    prefix_len: Option<u8>,
    scope: u8,
    label: Option<String>,
    broadcast: Option<Ipv4Addr>,
    has_prefix_route: bool,
    is_preferred: Option<bool>,
}

impl AddressSetup {
    /// On the interface of the virtual router, or the device of its virtual MAC; alone in its
    /// subnet; of scope 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Installs it on this device instead.
    pub fn on_device(mut self, name: impl Into<String>) -> Self {
        self.device = Some(name.into());
        self
    }

    /// Gives it a subnet: [`VirtualAddress::with_prefix_len`].
    pub const fn with_prefix_len(mut self, length: u8) -> Self {
        self.prefix_len = Some(length);
        self
    }

    /// Gives it another scope: [`VirtualAddress::with_scope`].
    pub const fn with_scope(mut self, scope: u8) -> Self {
        self.scope = scope;
        self
    }

    /// Gives it a name: [`VirtualAddress::with_label`].
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Gives it a broadcast address: [`VirtualAddress::with_broadcast`].
    pub const fn with_broadcast(mut self, address: Ipv4Addr) -> Self {
        self.broadcast = Some(address);
        self
    }

    /// Has a route made to its subnet: [`VirtualAddress::with_prefix_route`]. A link-local address
    /// of IPv6 that is not on the interface of its router always has one, and 64 bits if nothing
    /// else is said, or neighbours would have no answer from it.
    pub const fn with_prefix_route(mut self, has_route: bool) -> Self {
        self.has_prefix_route = has_route;
        self
    }

    /// Lets packets come from it: [`VirtualAddress::with_preferred`].
    pub const fn with_preferred(mut self, is_preferred: bool) -> Self {
        self.is_preferred = Some(is_preferred);
        self
    }

    fn build(
        &self,
        device: InterfaceIndex,
        address: IpAddr,
        lifetime: Option<Duration>,
        is_alone: bool,
    ) -> Result<VirtualAddress, AddressError> {
        let mut built = VirtualAddress::new(device, address)
            .with_scope(self.scope)
            .with_prefix_route(self.has_prefix_route || is_alone)
            .with_lifetime(lifetime)?;
        if let Some(length) = self.prefix_len.or_else(|| is_alone.then_some(64)) {
            built = built.with_prefix_len(length)?;
        }
        if let Some(label) = &self.label {
            built = built.with_label(label)?;
        }
        if let Some(broadcast) = self.broadcast {
            built = built.with_broadcast(broadcast)?;
        }
        if let Some(is_preferred) = self.is_preferred {
            built = built.with_preferred(is_preferred);
        }
        Ok(built)
    }
}

/// A device with the virtual MAC, from which the router advertises and on which its addresses are
/// (RFC 9568 §7.3): a macvlan that the driver makes and deletes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct VirtualMacSetup {
    name: Option<String>,
    sends_from_interface: bool,
}

impl VirtualMacSetup {
    /// A device named `vrrp.51`, or `vrrp6.51` for IPv6, of virtual router 51.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives it another name.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Advertises from the interface all the same: some networks drop packets from MACs that they
    /// do not know. Routers with unicast peers always do.
    pub const fn sending_from_interface(mut self) -> Self {
        self.sends_from_interface = true;
        self
    }
}

/// A virtual router on an interface.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct RouterSetup {
    pub(super) interface: String,
    pub(super) config: RouterConfig,
    pub(super) tracks: Vec<Track>,
    pub(super) addresses: BTreeMap<IpAddr, AddressSetup>,
    pub(super) lifetime: Lifetime,
    virtual_mac: Option<VirtualMacSetup>,
    rounds: Option<Rounds>,
    ignores_link: bool,
}

impl RouterSetup {
    /// This virtual router on the interface of this name, with the interface's own MAC.
    pub fn new(interface: impl Into<String>, config: RouterConfig) -> Self {
        Self {
            interface: interface.into(),
            config,
            tracks: Vec::new(),
            addresses: BTreeMap::new(),
            lifetime: Lifetime::default(),
            virtual_mac: None,
            rounds: None,
            ignores_link: false,
        }
    }

    /// Gives it a device with the virtual MAC.
    pub fn with_virtual_mac(mut self, setup: VirtualMacSetup) -> Self {
        self.virtual_mac = Some(setup);
        self
    }

    /// Lets it follow this tracker.
    pub fn with_track(mut self, track: Track) -> Self {
        self.tracks.push(track);
        self
    }

    /// Says how one of its virtual addresses is installed; [`AddressSetup::new`] if nothing is said.
    pub fn with_address(mut self, address: IpAddr, setup: AddressSetup) -> Self {
        self.addresses.insert(address, setup);
        self
    }

    /// Sets when it announces its addresses: [`NodeRouter::with_rounds`](crate::node::NodeRouter::with_rounds).
    pub const fn with_rounds(mut self, rounds: Rounds) -> Self {
        self.rounds = Some(rounds);
        self
    }

    /// Lets it run while its interface is down: [`NodeRouter::ignoring_link`](crate::node::NodeRouter::ignoring_link).
    pub const fn ignoring_link(mut self) -> Self {
        self.ignores_link = true;
        self
    }

    /// Sets for how long its addresses stay when nobody renews them.
    pub const fn with_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// The name of its interface.
    #[must_use]
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// Its configuration.
    pub const fn config(&self) -> &RouterConfig {
        &self.config
    }

    fn lifetime(&self) -> Option<Duration> {
        match self.lifetime {
            Lifetime::ByRouter => {
                let three = self.config.active_down_interval().saturating_mul(3);
                Some(three.max(SHORTEST_LIFETIME))
            }
            Lifetime::Limited(duration) => Some(duration),
            Lifetime::Unlimited => None,
        }
    }
}

/// What is wrong with a configuration, or went wrong with it.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The system refused something that nothing goes without.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The virtual routers.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A virtual address that no device can have.
    #[error("router {}: {source}", router.get())]
    Address {
        /// The router.
        router: RouterId,
        /// What.
        source: AddressError,
    },
    /// A name that no interface can have.
    #[error(
        "interface name {value:?}: 1 to 15 bytes without blanks, '/' and ':', and neither . nor .."
    )]
    InterfaceName {
        /// The name.
        value: String,
    },
    /// It is said how an address is installed that the router does not have.
    #[error("router {} has no virtual address {address}", router.get())]
    NoAddress {
        /// The router.
        router: RouterId,
        /// The address.
        address: IpAddr,
    },
    /// Addresses that stay for ever, of a router that may be Active only for a time.
    #[error("lifetime of router {}: unlimited, but group {} has a guard", router.get(), group.get())]
    UnlimitedLifetime {
        /// The router.
        router: RouterId,
        /// Its group.
        group: GroupId,
    },
    /// A tag that is not a driver's.
    #[error("tag {value}: 0 to 3 are the kernel's, 4 to 255 a driver's")]
    Tag {
        /// The tag.
        value: u8,
    },
    /// Another driver in this network namespace has the tag.
    #[error("tag {value}: another driver in this network namespace has it; give this one another")]
    TagInUse {
        /// The tag.
        value: u8,
    },
    /// A driver cannot get another tag while it runs.
    #[error("tag {value}: this driver runs with {running}")]
    TagChanged {
        /// The new one.
        value: u8,
        /// The one it runs with.
        running: u8,
    },
    /// A thread of the driver panicked. The addresses go when their lifetimes end.
    #[error("the thread {thread} has ended: it panicked")]
    ThreadEnded {
        /// Its name.
        thread: &'static str,
    },
    /// The driver has ended, or was dropped.
    #[error("the driver does not run any more")]
    Ended,
}

/// All that a driver runs.
///
/// ```
/// use lvs_vrrp::net::{AddressSetup, DriverConfig, RouterSetup};
/// use lvs_vrrp::node::RouterId;
/// use lvs_vrrp::{AddressList, RouterConfig, Vrid};
///
/// let address = "192.0.2.1".parse()?;
/// let router = RouterConfig::new(Vrid::try_from(51)?, AddressList::new([address])?);
/// let setup = RouterSetup::new("eth0", router)
///     .with_address(address, AddressSetup::new().with_prefix_len(24));
/// DriverConfig::new().with_router(RouterId::new(1), setup).validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct DriverConfig {
    pub(super) routers: BTreeMap<RouterId, RouterSetup>,
    groups: BTreeMap<GroupId, GroupConfig>,
    trackers: BTreeMap<TrackerId, TrackerStatus>,
    pub(super) link_trackers: BTreeMap<TrackerId, String>,
    delays: BTreeMap<String, (Duration, Duration)>,
    spacings: BTreeMap<String, Duration>,
    settings: Settings,
    pub(super) gap: Duration,
    pub(super) tag: u8,
}

impl Default for DriverConfig {
    fn default() -> Self {
        Self {
            routers: BTreeMap::new(),
            groups: BTreeMap::new(),
            trackers: BTreeMap::new(),
            link_trackers: BTreeMap::new(),
            delays: BTreeMap::new(),
            spacings: BTreeMap::new(),
            settings: Settings::default(),
            gap: Duration::from_millis(5),
            tag: TAG,
        }
    }
}

impl DriverConfig {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a virtual router, or replaces it.
    pub fn with_router(mut self, id: RouterId, router: RouterSetup) -> Self {
        self.routers.insert(id, router);
        self
    }

    /// Adds a group, or replaces it.
    pub fn with_group(mut self, id: GroupId, group: GroupConfig) -> Self {
        self.groups.insert(id, group);
        self
    }

    /// Adds a tracker that the program feeds; nothing may be known of it yet.
    pub fn with_tracker(mut self, id: TrackerId, status: impl Into<TrackerStatus>) -> Self {
        self.trackers.insert(id, status.into());
        self
    }

    /// Adds a tracker that is fine while the interface of this name is there, up, and has a carrier.
    pub fn with_link_tracker(mut self, id: TrackerId, interface: impl Into<String>) -> Self {
        self.link_trackers.insert(id, interface.into());
        self
    }

    /// Sets for how long the interface of this name must be up, or down, before that is believed; 0:
    /// [`InterfaceConfig::with_link_delays`](crate::node::InterfaceConfig::with_link_delays). Where no
    /// virtual router is on it, now or after a reload, it means nothing.
    pub fn with_link_delays(
        mut self,
        interface: impl Into<String>,
        up: Duration,
        down: Duration,
    ) -> Self {
        self.delays.insert(interface.into(), (up, down));
        self
    }

    /// Sets the space between two announcements on the interface of this name:
    /// [`InterfaceConfig::with_spacing`](crate::node::InterfaceConfig::with_spacing). Where no virtual
    /// router is on it it means nothing.
    pub fn with_spacing(mut self, interface: impl Into<String>, spacing: Duration) -> Self {
        self.spacings.insert(interface.into(), spacing);
        self
    }

    /// Sets what all share.
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets how long addresses wait for their removal elsewhere where a router takes over from one
    /// that is alive: from when its first advertisement has left when it preempts, and when the
    /// other has resigned; 5 ms. Without it both hold the addresses for some 100 microseconds.
    pub const fn with_gap(mut self, gap: Duration) -> Self {
        self.gap = gap;
        self
    }

    /// Sets what its addresses ([`AddressBook::open_with_tag`]) and devices with virtual MACs are
    /// marked with, 4 to 255; [`TAG`]. What bears it and is not the driver's own is left over from a
    /// dead process, and removed: so each driver in a network namespace needs its own, and one that
    /// asks for that of another is [refused](DriverError::TagInUse). On kernels before 5.18
    /// addresses bear none: there no two drivers may be configured with the same address.
    ///
    /// [`AddressBook::open_with_tag`]: super::addresses::AddressBook::open_with_tag
    pub const fn with_tag(mut self, tag: u8) -> Self {
        self.tag = tag;
        self
    }

    /// The group with a guard that a router is a member of.
    pub(super) fn guarded_group(&self, router: RouterId) -> Option<GroupId> {
        let mut groups = self.groups.iter();
        let group =
            groups.find(|(_, group)| group.guard.is_some() && group.members.contains(&router));
        group.map(|(id, _)| *id)
    }

    /// Its virtual routers.
    pub fn routers(&self) -> impl Iterator<Item = (RouterId, &RouterSetup)> {
        self.routers.iter().map(|(id, router)| (*id, router))
    }

    /// Looks at every value and every reference, but not at the system: interfaces may come later.
    ///
    /// # Errors
    ///
    /// The first that is wrong.
    pub fn validate(&self) -> Result<(), DriverError> {
        self.resolve(&View::EMPTY).map(drop)
    }
}

/// The groups that are to be joined for a virtual router, if it speaks to a group.
pub(super) fn group_of(config: &RouterConfig) -> Option<IpAddr> {
    match config.mode() {
        Mode::Multicast { group } => Some(group),
        Mode::Unicast { .. } => None,
    }
}
