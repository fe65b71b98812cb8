//! A configuration with the interfaces and devices that are there.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use core::net::IpAddr;

use super::{AddressSetup, DriverConfig, DriverError, RouterSetup};
use crate::address::{InterfaceIndex, MacAddress};
use crate::net::addresses::{AddressKey, VirtualAddress};
use crate::net::links::{Link, LinkTable};
use crate::net::macvlan::VirtualMac;
use crate::node::{InterfaceConfig, NodeConfig, NodeRouter, RouterId, virtual_addresses};
use crate::receive::Mode;

/// Indexes of interfaces that are not there: no system gives these.
const ABSENT: u32 = 0x8000_0000;
/// Up to here tags are the kernel's own: `IFAPROT_*` of linux/if_addr.h.
const LAST_OF_KERNEL: u8 = 3;
/// That of a device that is not there.
const NO_DEVICE: InterfaceIndex = InterfaceIndex::new(u32::MAX);

/// A device with a virtual MAC that was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::net) struct Device {
    pub(in crate::net) index: InterfaceIndex,
    pub(in crate::net) name: String,
    /// What it was made as.
    pub(in crate::net) made_as: VirtualMac,
}

/// What there is.
#[derive(Clone, Copy, Debug)]
pub(in crate::net) struct View<'a> {
    pub(in crate::net) links: Option<&'a LinkTable>,
    /// What our addresses are tagged with.
    pub(in crate::net) tag: Option<u8>,
    pub(in crate::net) devices: &'a BTreeMap<RouterId, Device>,
}

impl View<'_> {
    /// Nothing.
    pub(in crate::net) const EMPTY: Self = Self {
        links: None,
        tag: None,
        devices: &BTreeMap::new(),
    };
}

/// A configuration with what there is.
#[derive(Clone, Debug)]
pub(in crate::net) struct Resolved {
    /// Where each interface is.
    pub(in crate::net) places: BTreeMap<String, Place>,
    /// What the node gets; whoever gives it that takes it out.
    pub(in crate::net) node: NodeConfig,
    /// How each address is installed.
    pub(in crate::net) addresses: BTreeMap<(RouterId, IpAddr), VirtualAddress>,
    /// From where each router advertises, on the interface it is on.
    pub(in crate::net) mouths: BTreeMap<(RouterId, InterfaceIndex), Mouth>,
    /// The devices that routers with a virtual MAC should have, where their interface is there.
    pub(in crate::net) wanted_devices: BTreeMap<RouterId, VirtualMac>,
    /// The names of devices and interfaces that are there.
    pub(in crate::net) names: BTreeMap<InterfaceIndex, String>,
}

/// From where a router advertises.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::net) struct Mouth {
    pub(in crate::net) device: InterfaceIndex,
    /// It is a device with a virtual MAC, not the interface.
    pub(in crate::net) is_macvlan: bool,
}

impl Mouth {
    /// The interface itself.
    pub(in crate::net) const fn of(interface: InterfaceIndex) -> Self {
        Self {
            device: interface,
            is_macvlan: false,
        }
    }
}

impl Resolved {
    /// Whether a router is on this interface.
    pub(in crate::net) fn is_on(&self, router: RouterId, interface: InterfaceIndex) -> bool {
        self.mouths.contains_key(&(router, interface))
    }

    /// Where an address is.
    pub(in crate::net) fn key(&self, router: RouterId, address: IpAddr) -> Option<AddressKey> {
        self.addresses
            .get(&(router, address))
            .map(VirtualAddress::key)
    }
}

/// What routers know of an interface from the beginning; if it changes, they are others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::net) struct Place {
    /// Of an interface that is not there, one that nothing has.
    pub(in crate::net) index: InterfaceIndex,
    mac: Option<MacAddress>,
    mtu: u32,
}

impl Place {
    fn new(index: InterfaceIndex, link: Option<&Link>) -> Self {
        Self {
            index,
            mac: link.and_then(|link| link.mac),
            mtu: link.map_or(0, |link| link.mtu),
        }
    }

    /// Whether the interface is not there.
    pub(in crate::net) const fn is_absent(self) -> bool {
        self.index.get() >= ABSENT
    }

    /// Whether this is still so.
    pub(in crate::net) fn is_current(self, link: Option<&Link>) -> bool {
        match link {
            Some(link) => self == Self::new(link.index, Some(link)),
            None => self.is_absent(),
        }
    }
}

impl DriverConfig {
    /// The names of all interfaces and devices it needs.
    fn names(&self) -> impl Iterator<Item = &str> {
        let routers = self.routers.values().flat_map(|router| {
            let devices = router.addresses.values();
            let devices = devices.filter_map(|address| address.device.as_deref());
            core::iter::once(router.interface.as_str()).chain(devices)
        });
        routers.chain(self.link_trackers.values().map(String::as_str))
    }

    /// What it comes to with what there is.
    pub(in crate::net) fn resolve(&self, view: &View<'_>) -> Result<Resolved, DriverError> {
        if self.tag <= LAST_OF_KERNEL {
            return Err(DriverError::Tag { value: self.tag });
        }
        for name in self.delays.keys().chain(self.spacings.keys()) {
            check_name(name)?;
        }
        let names: BTreeSet<&str> = self.names().collect();
        let (mut places, mut links) = (BTreeMap::new(), BTreeMap::new());
        let mut present = BTreeMap::new();
        for (name, absent) in names.into_iter().zip(ABSENT..) {
            check_name(name)?;
            let found = view.links.and_then(|links| links.by_name(name));
            let index = found.map_or_else(|| InterfaceIndex::new(absent), |link| link.index);
            if found.is_some() {
                present.insert(index, String::from(name));
            }
            places.insert(String::from(name), Place::new(index, found));
            links.insert(name, found);
        }
        let link = |name: &str| links.get(name).copied().flatten();
        let place = |name: &str| {
            let place: Option<&Place> = places.get(name);
            place.map_or_else(InterfaceIndex::default, |place| place.index)
        };
        let mut node = NodeConfig::new().with_settings(self.settings.clone());
        let (mut addresses, mut mouths) = (BTreeMap::new(), BTreeMap::new());
        let mut wanted_devices = BTreeMap::new();
        for (&id, router) in &self.routers {
            let name = &router.interface;
            let interface = place(name);
            let (up, down) = self.delays.get(name).copied().unwrap_or_default();
            let mut config = interface_config(link(name), view.tag).with_link_delays(up, down);
            if let Some(spacing) = self.spacings.get(name) {
                config = config.with_spacing(*spacing);
            }
            node = node.with_interface(interface, config);
            let mut built = NodeRouter::new(interface, router.config.clone());
            let (mut home, mut mouth) = (interface, Mouth::of(interface));
            if router.virtual_mac.is_some() {
                let device = view.devices.get(&id);
                home = device.map_or(NO_DEVICE, |device| device.index);
                if !router.sends_from_interface() {
                    mouth = Mouth {
                        device: home,
                        is_macvlan: true,
                    };
                }
                if link(name).is_some() {
                    wanted_devices.extend(router.device(interface).map(|wanted| (id, wanted)));
                }
                if let Some(device) = device {
                    present.insert(device.index, device.name.clone());
                }
            } else {
                built = built.without_virtual_mac();
            }
            mouths.insert((id, interface), mouth);
            if let Some(rounds) = router.rounds {
                built = built.with_rounds(rounds);
            }
            if router.ignores_link {
                built = built.ignoring_link();
            }
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
            if let Some(group) = self.guarded_group(id).filter(|_| lifetime.is_none()) {
                return Err(DriverError::UnlimitedLifetime { router: id, group });
            }
            let default = AddressSetup::new();
            for address in virtual_addresses(&router.config) {
                let setup = router.addresses.get(&address).unwrap_or(&default);
                let device = setup.device.as_deref().map_or(home, place);
                // Neighbours are answered from the link they asked at.
                let is_alone = device != interface && is_link_local(address);
                let built = setup.build(device, address, lifetime, is_alone);
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
            mouths,
            wanted_devices,
            names: present,
        })
    }
}

impl RouterSetup {
    /// With peers the virtual MAC would mean nothing to the switches between.
    fn sends_from_interface(&self) -> bool {
        let mut setup = self.virtual_mac.iter();
        let is_unicast = matches!(self.config.mode(), Mode::Unicast { .. });
        is_unicast || setup.any(|setup| setup.sends_from_interface)
    }

    fn device(&self, interface: InterfaceIndex) -> Option<VirtualMac> {
        let setup = self.virtual_mac.as_ref()?;
        let device = VirtualMac::new(interface, self.config.family(), self.config.vrid());
        Some(match &setup.name {
            Some(name) => device.with_name(name),
            None => device,
        })
    }
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
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
        interface.down(link.sources(tag))
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

#[cfg(test)]
mod tests {
    use super::super::VirtualMacSetup;
    use super::*;
    use alloc::string::ToString;
    use core::time::Duration;

    use crate::node::Node;
    use crate::track::TrackerId;
    use crate::{AddressList, RouterConfig, Vrid};

    #[test]
    fn settings_are_of_names_that_interfaces_can_have() {
        let zero = Duration::ZERO;
        for wrong in [
            DriverConfig::new().with_spacing("no/name", zero),
            DriverConfig::new().with_link_delays("no/name", zero, zero),
        ] {
            let said = wrong.validate().unwrap_err().to_string();
            assert!(said.starts_with("interface name \"no/name\": "), "{said}");
        }
        let unused = DriverConfig::new().with_spacing("eth9", zero);
        unused.validate().unwrap();
    }

    /// Whatever tracks it, or has addresses on it.
    #[test]
    fn a_device_with_a_virtual_mac_is_known_as_one() {
        let address = IpAddr::from([192, 0, 2, 100]);
        let addresses = AddressList::new([address]).unwrap();
        let router = RouterConfig::new(Vrid::new(51).unwrap(), addresses);
        let plain = RouterSetup::new("eth0", router)
            .with_address(address, AddressSetup::new().on_device("vrrp.51"));
        let with_mac = plain.clone().with_virtual_mac(VirtualMacSetup::new());
        for (setup, is_macvlan) in [(plain, false), (with_mac, true)] {
            let config = DriverConfig::new()
                .with_router(RouterId::new(1), setup)
                .with_link_tracker(TrackerId::new(1), "vrrp.51");
            let resolved = config.resolve(&View::EMPTY).unwrap();
            assert_eq!(resolved.places.len(), 2);
            let eth0 = resolved.places.get("eth0").unwrap().index;
            let device = if is_macvlan { NO_DEVICE } else { eth0 };
            let mouth = Mouth { device, is_macvlan };
            let mouths = BTreeMap::from([((RouterId::new(1), eth0), mouth)]);
            assert_eq!(resolved.mouths, mouths);
        }
    }

    /// What a driver keeps of each of 250 virtual routers: its configuration, what that comes to, and
    /// the node.
    #[test]
    fn a_driver_keeps_little_of_a_router() {
        const ROUTERS: u8 = 250;
        let mut kept = None;
        let counted = allocation_counter::measure(|| {
            let config = (1..=ROUTERS).fold(DriverConfig::new(), |config, number| {
                let addresses = AddressList::new([[192, 0, 2, number].into()]).unwrap();
                let router = RouterConfig::new(Vrid::new(number).unwrap(), addresses);
                let setup = RouterSetup::new("eth0", router);
                config.with_router(RouterId::new(number.into()), setup)
            });
            let mut resolved = config.resolve(&View::EMPTY).unwrap();
            let node = Node::new(core::mem::take(&mut resolved.node)).unwrap();
            kept = Some((config, resolved, node));
        });
        let each = counted.bytes_current / i64::from(ROUTERS);
        assert!((1000..=2700).contains(&each), "{each} bytes");
        drop(kept);
    }
}
