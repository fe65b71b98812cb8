//! What a driver runs: virtual routers on interfaces that are known by name.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use super::addresses::{AddressError, AddressKey, VirtualAddress};
use super::{NetError, links::Link};
use crate::address::{InterfaceIndex, MacAddress};
use crate::config::RouterConfig;
use crate::group::{GroupConfig, GroupId};
use crate::node::{
    InterfaceConfig, NodeConfig, NodeError, NodeRouter, RouterId, Settings, virtual_addresses,
};
use crate::receive::Mode;
use crate::track::{Track, TrackerId, TrackerStatus};

/// The shortest lifetime of an address that the driver chooses by itself.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(3);
/// Indexes of interfaces that are not there: no system gives these.
const ABSENT: u32 = 0x8000_0000;

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
    /// For ever: after a crash it stays until somebody removes it.
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

    /// Has a route made to its subnet: [`VirtualAddress::with_prefix_route`].
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
    ) -> Result<VirtualAddress, AddressError> {
        let mut built = VirtualAddress::new(device, address)
            .with_scope(self.scope)
            .with_prefix_route(self.has_prefix_route)
            .with_lifetime(lifetime)?;
        if let Some(length) = self.prefix_len {
            built = built.with_prefix_len(length)?;
        }
        if let Some(label) = &self.label {
            built = built.with_label(label)?;
        }
        if let Some(is_preferred) = self.is_preferred {
            built = built.with_preferred(is_preferred);
        }
        Ok(built)
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
        }
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
    settings: Settings,
    pub(super) gap: Duration,
}

impl Default for DriverConfig {
    fn default() -> Self {
        Self {
            routers: BTreeMap::new(),
            groups: BTreeMap::new(),
            trackers: BTreeMap::new(),
            link_trackers: BTreeMap::new(),
            settings: Settings::default(),
            gap: Duration::from_millis(5),
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

    /// Sets what all share.
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets how long addresses wait for their removal elsewhere where a router takes over from one
    /// that is alive: after its first advertisement when it preempts, and when the other has
    /// resigned; 5 ms. Without it both hold the addresses for some 100 microseconds.
    pub const fn with_gap(mut self, gap: Duration) -> Self {
        self.gap = gap;
        self
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
        self.resolve(|_| None, None).map(drop)
    }

    /// The names of all interfaces and devices it needs.
    fn names(&self) -> impl Iterator<Item = &str> {
        let routers = self.routers.values().flat_map(|router| {
            let devices = router.addresses.values();
            let devices = devices.filter_map(|address| address.device.as_deref());
            core::iter::once(router.interface.as_str()).chain(devices)
        });
        routers.chain(self.link_trackers.values().map(String::as_str))
    }

    /// What it comes to with the interfaces that are there.
    pub(super) fn resolve<'a>(
        &self,
        link: impl Fn(&str) -> Option<&'a Link>,
        tag: Option<u8>,
    ) -> Result<Resolved, DriverError> {
        let mut places = BTreeMap::new();
        let names: BTreeSet<&str> = self.names().collect();
        let mut links = BTreeMap::new();
        for (name, absent) in names.into_iter().zip(ABSENT..) {
            check_name(name)?;
            let found = link(name);
            let index = found.map_or_else(|| InterfaceIndex::new(absent), |link| link.index);
            places.insert(String::from(name), Place::new(index, found));
            links.insert(name, found);
        }
        let link = |name: &str| links.get(name).copied().flatten();
        let place = |name: &str| {
            let place: Option<&Place> = places.get(name);
            place.map_or_else(InterfaceIndex::default, |place| place.index)
        };
        let mut node = NodeConfig::new().with_settings(self.settings.clone());
        let mut addresses = BTreeMap::new();
        for (&id, router) in &self.routers {
            let interface = place(&router.interface);
            node = node.with_interface(interface, interface_config(link(&router.interface), tag));
            let mut built = NodeRouter::new(interface, router.config.clone()).without_virtual_mac();
            for track in &router.tracks {
                built = built.with_track(*track);
            }
            node = node.with_router(id, built);
            for address in router.addresses.keys() {
                if !virtual_addresses(&router.config).any(|other| other == *address) {
                    let (router, address) = (id, *address);
                    return Err(DriverError::NoAddress { router, address });
                }
            }
            let lifetime = router.lifetime();
            let default = AddressSetup::new();
            for address in virtual_addresses(&router.config) {
                let setup = router.addresses.get(&address).unwrap_or(&default);
                let device = setup.device.as_deref().map_or(interface, place);
                let built = setup.build(device, address, lifetime);
                let built = built.map_err(|source| DriverError::Address { router: id, source })?;
                addresses.insert((id, address), built);
            }
        }
        for (id, group) in &self.groups {
            node = node.with_group(*id, group.clone());
        }
        for (id, status) in &self.trackers {
            node = node.with_tracker(*id, *status);
        }
        for (id, name) in &self.link_trackers {
            node = node.with_tracker(*id, link(name).is_some_and(|link| link.is_running));
        }
        node.validate()?;
        Ok(Resolved {
            places,
            node,
            addresses,
        })
    }
}

/// A configuration with the interfaces that are there.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    /// Where each interface is.
    pub(super) places: BTreeMap<String, Place>,
    pub(super) node: NodeConfig,
    /// How each address is installed.
    pub(super) addresses: BTreeMap<(RouterId, IpAddr), VirtualAddress>,
}

impl Resolved {
    /// Where an address is.
    pub(super) fn key(&self, router: RouterId, address: IpAddr) -> Option<AddressKey> {
        self.addresses
            .get(&(router, address))
            .map(VirtualAddress::key)
    }
}

/// What routers know of an interface from the beginning; if it changes, they are others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    /// Of an interface that is not there, one that nothing has.
    pub(super) index: InterfaceIndex,
    mac: Option<MacAddress>,
    mtu: u32,
}

impl Place {
    const fn new(index: InterfaceIndex, link: Option<&Link>) -> Self {
        match link {
            Some(link) => Self {
                index,
                mac: link.mac,
                mtu: link.mtu,
            },
            None => Self {
                index,
                mac: None,
                mtu: 0,
            },
        }
    }

    /// Whether the interface is not there.
    pub(super) const fn is_absent(self) -> bool {
        self.index.get() >= ABSENT
    }

    /// Whether this is still so.
    pub(super) fn is_current(self, link: Option<&Link>) -> bool {
        match link {
            Some(link) => self == Self::new(link.index, Some(link)),
            None => self.is_absent(),
        }
    }
}

fn interface_config(link: Option<&Link>, tag: Option<u8>) -> InterfaceConfig {
    let Some(link) = link else {
        return InterfaceConfig::new(MacAddress::ZERO);
    };
    let mtu = u16::try_from(link.mtu).unwrap_or(u16::MAX);
    let interface = InterfaceConfig::new(link.mac.unwrap_or(MacAddress::ZERO)).with_mtu(mtu);
    if link.is_running {
        interface.up(link.sources(tag))
    } else {
        interface
    }
}

fn check_name(name: &str) -> Result<(), DriverError> {
    let is_printable = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':');
    let is_fine = (1..=15).contains(&name.len())
        && name.as_bytes().iter().all(is_printable)
        && !matches!(name, "." | "..");
    if is_fine {
        Ok(())
    } else {
        let value = name.into();
        Err(DriverError::InterfaceName { value })
    }
}

/// The groups that are to be joined for a virtual router, if it speaks to a group.
pub(super) fn group_of(config: &RouterConfig) -> Option<IpAddr> {
    match config.mode() {
        Mode::Multicast { group } => Some(group),
        Mode::Unicast { .. } => None,
    }
}
