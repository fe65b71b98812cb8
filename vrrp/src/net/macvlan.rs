//! Devices that have a virtual MAC address (spec §3.2).
//!
//! A device of kind `macvlan`, mode `bridge`, on the interface of the virtual router: what is sent
//! from it comes from the virtual MAC, and the virtual addresses on it are answered for with it.
//! Advertisements are received on the interface itself; in mode `private` the kernel would give those
//! of another router with the same virtual MAC to the device alone. The device is up whether the router is
//! Active or not; only the addresses come and go.
//!
//! # Settings
//!
//! | Setting | Device | Interface below |
//! |---|---|---|
//! | `net.ipv4.conf.*.arp_ignore` | 1 | at least 1 |
//! | `net.ipv4.conf.*.arp_filter` | | 1 |
//! | `net.ipv4.conf.*.arp_announce` | | at least 2 |
//! | `net.ipv4.conf.*.accept_local`, `promote_secondaries` | 1 | |
//! | `net.ipv4.conf.*.rp_filter` | 0, at rest 1 | |
//! | `net.ipv4.conf.*.forwarding` | as the interface's, at rest 0 | |
//! | `net.ipv6.conf.*.disable_ipv6` | as it is, at rest 1 | |
//! | `net.ipv6.conf.*.addr_gen_mode` | 1 (none) | |
//! | `net.ipv6.conf.*.accept_ra`, `autoconf` | 0 | |
//!
//! Those of the interface are restored when its last device leaves, whichever program's that is. Without `arp_announce` the
//! interface would ask for its neighbours in the name of a virtual address, and they would learn its
//! own MAC address for that (VRRP: "never the physical one"; spec §2.9). The virtual MAC makes no IPv6
//! addresses (RFC 9568 §7.4). Membership reports for groups are sent from the interface, as nothing
//! joins a group on the device but the kernel for its own addresses.
//!
//! # IPv6
//!
//! The device has no link-local address of its own. This deviates from spec §3.2, by which it has a copy
//! of the interface's so that a raw socket can send IPv6 packets from it: the kernel then answers
//! neighbour solicitations for that address on both devices, from the virtual MAC, too, and reports the
//! groups of the address from there, also while the router is Backup. So neighbours and switches look
//! here for the Active, and for this host at the Active. Advertisements leave as whole frames instead,
//! which the driver builds: from the interface's link-local address and the virtual MAC.
//!
//! # At rest
//!
//! While the router is Backup nothing that comes to the virtual MAC may be accepted or forwarded
//! (`VRRP-056`), though a switch may bring it: when it does not know where the Active is. A device
//! [at rest](Macvlans::set_at_rest) drops the packets of its family: those of IPv4, as it does not
//! forward and no route leads back through it; those of IPv6, as that is off there. It sends
//! advertisements all the same, those of IPv6 as whole frames. The driver lets devices rest that have no
//! address. Packets of the other family are not its concern: another device may have them, and the
//! kernel treats them as it does on any interface.
//!
//! # Whose device is it?
//!
//! Ours carry a mark as their alias (`ip link show`), in which the interface's settings before us
//! are written, too: so a restart after a crash can remove what is left and restore those. Devices
//! without the mark are never touched, whatever their names.

mod mark;
mod setting;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoMacVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, MacVlanMode,
};
use nix::errno::Errno;

use self::mark::Mark;
use self::setting::free_name;
use super::addresses::TAG;
use super::netlink::link::LinkRecord;
use super::netlink::{NetlinkCause, Request, RequestMessage, Rtnetlink};
use super::sysctl::{self, Sysctl, Sysctls};
use super::{NetError, Operation};
use crate::address::{Family, InterfaceIndex};

pub use self::setting::VirtualMac;

/// Settings of the interface below, each at least this.
const OF_BASE: [(&str, i32); 3] = [("arp_ignore", 1), ("arp_filter", 1), ("arp_announce", 2)];

/// A device of ours.
#[derive(Debug)]
struct Device {
    name: String,
    family: Family,
    base: InterfaceIndex,
    base_name: String,
}

/// What an earlier process left behind.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Leftover {
    /// The number of the device.
    pub index: InterfaceIndex,
    /// Its name.
    pub name: String,
}

/// The devices with virtual MACs that are there, and the means to make more.
///
/// # Blocking
///
/// Making and deleting a device takes the kernel milliseconds.
#[derive(Debug)]
pub struct Macvlans {
    netlink: Rtnetlink,
    sysctls: Sysctls,
    tag: u8,
    devices: BTreeMap<InterfaceIndex, Device>,
}

impl Macvlans {
    /// Begins without devices, in the network namespace of the calling thread, where all other
    /// calls have to be made, too.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn open() -> Result<Self, NetError> {
        Self::open_with_tag(TAG)
    }

    /// As [`open`](Self::open); two programs with devices in the same network namespace need
    /// different numbers, or the one takes the other's for leftovers.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn open_with_tag(tag: u8) -> Result<Self, NetError> {
        Ok(Self {
            netlink: Rtnetlink::open()?,
            sysctls: Sysctls::default(),
            tag,
            devices: BTreeMap::new(),
        })
    }

    /// Makes a device and sets it up, and gives its number. If anything fails, nothing is left of
    /// it. A device that an earlier process left behind for this virtual router is taken over, with
    /// the addresses on it.
    ///
    /// # Errors
    ///
    /// The operating system's: no such interface, a name that is taken or too long, a missing
    /// capability, a kernel without `macvlan` (`EOPNOTSUPP`), the virtual MAC in use on this
    /// interface (`EADDRINUSE`).
    pub fn create(&mut self, virtual_mac: &VirtualMac) -> Result<InterfaceIndex, NetError> {
        let links = self.netlink.links()?;
        let base = links.iter().find(|link| link.index == virtual_mac.base);
        let Some((base, base_name)) =
            base.and_then(|base| base.name.clone().map(|name| (base, name)))
        else {
            let subject = format!("on interface {}", virtual_mac.base.get());
            let cause = NetlinkCause::refused(Errno::ENODEV);
            return Err(cause.of(Operation::CreateDevice, &subject));
        };
        let left = links
            .iter()
            .find(|link| self.is_left_for(link, virtual_mac));
        if let Some((index, mark)) = left.and_then(|link| Some((link.index, self.mark_of(link)?))) {
            return self.adopt(virtual_mac, index, mark, base_name);
        }
        let name = free_name(virtual_mac, &links)?;
        let vrf = base.controller.filter(|controller| {
            let mut vrfs = links.iter().filter(|link| link.is_kind("vrf"));
            vrfs.any(|vrf| vrf.index == *controller)
        });
        // What was before is written on every device of this interface, whichever program's.
        let mut of_base = links
            .iter()
            .filter(|link| link.base == Some(virtual_mac.base));
        let earlier = of_base.find_map(any_mark_of);
        let before = self.hold_base(&base_name, earlier.map(|mark| mark.before))?;
        let mark = Mark {
            tag: self.tag,
            before,
        };
        let made = self.make(virtual_mac, base, vrf, &name, &mark);
        let index = match made {
            Ok(index) => index,
            Err(error) => {
                // Whatever comes of it, the first error is the one to tell.
                let _ = self.release_base(&base_name);
                return Err(error);
            }
        };
        let device = Device {
            name,
            family: virtual_mac.family,
            base: virtual_mac.base,
            base_name,
        };
        self.devices.insert(index, device);
        if let Err(error) = self.finish(index) {
            let _ = self.remove(index);
            return Err(error);
        }
        Ok(index)
    }

    /// Deletes a device, with the addresses on it. One that is gone, or not ours, is no failure and
    /// left alone. The interface's settings are restored with its last device.
    ///
    /// # Errors
    ///
    /// The operating system's. The device is ours no more if only the settings could not be
    /// restored.
    pub fn remove(&mut self, index: InterfaceIndex) -> Result<(), NetError> {
        let Some(device) = self.devices.get(&index) else {
            return Ok(());
        };
        let (name, base_name) = (device.name.clone(), device.base_name.clone());
        let base = device.base;
        let links = self.netlink.links()?;
        let link = links.iter().find(|link| link.index == index);
        // Its name and its alias may have changed, but not this.
        if link.is_some_and(|link| link.is_kind("macvlan") && link.base == Some(base)) {
            self.delete(index, &name)?;
        }
        self.devices.remove(&index);
        if self.is_shared(base, &links) {
            self.leave_base(&base_name);
            return Ok(());
        }
        self.release_base(&base_name)
    }

    /// Deletes all devices.
    ///
    /// # Errors
    ///
    /// The first that happens; the others are tried all the same.
    pub fn remove_all(&mut self) -> Result<(), NetError> {
        let indexes: Vec<InterfaceIndex> = self.devices.keys().copied().collect();
        let results = indexes.into_iter().map(|index| self.remove(index));
        let results: Vec<_> = results.collect();
        results.into_iter().collect()
    }

    /// The devices that are there as far as we know: number, name, interface below.
    pub fn devices(&self) -> impl Iterator<Item = (InterfaceIndex, &str, InterfaceIndex)> {
        let devices = self.devices.iter();
        devices.map(|(index, device)| (*index, device.name.as_str(), device.base))
    }

    /// The devices that an earlier process left behind: those that bear our mark and are not held.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn leftovers(&mut self) -> Result<Vec<Leftover>, NetError> {
        let links = self.netlink.links()?;
        let left = links.into_iter().filter_map(|link| {
            let is_left = self.mark_of(&link).is_some() && !self.devices.contains_key(&link.index);
            let name = link.name.filter(|_| is_left)?;
            let index = link.index;
            Some(Leftover { index, name })
        });
        Ok(left.collect())
    }

    /// Deletes the devices that an earlier process left behind, and restores the settings of their
    /// interfaces. Gives what was deleted.
    ///
    /// # Errors
    ///
    /// The first that happens; the others are tried all the same.
    pub fn remove_leftovers(&mut self) -> Result<Vec<Leftover>, NetError> {
        let links = self.netlink.links()?;
        let mut removed = Vec::new();
        let mut first_error = Ok(());
        for link in &links {
            let Some(mark) = self.mark_of(link) else {
                continue;
            };
            if self.devices.contains_key(&link.index) {
                continue;
            }
            let name = link.name.clone().unwrap_or_default();
            let base = links.iter().find(|base| Some(base.index) == link.base);
            let base_name = base.and_then(|base| base.name.as_deref());
            let restored = self.delete(link.index, &name).and_then(|()| {
                let index = link.index;
                removed.push(Leftover { index, name });
                let is_shared = link.base.is_some_and(|base| self.is_shared(base, &links));
                let base_name = base_name.filter(|_| !is_shared);
                base_name.map_or(Ok(()), |base_name| self.restore_base(base_name, &mark))
            });
            if first_error.is_ok() {
                first_error = restored;
            }
        }
        first_error.map(|()| removed)
    }

    /// Whether a device drops the packets of its family that come to it, as that of a Backup has to, or
    /// takes them: the default. To be called before its first address is installed, and after the last is removed:
    /// a device at rest can have no IPv6 address. One that is gone, or not ours, is left alone.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn set_at_rest(&self, index: InterfaceIndex, is_at_rest: bool) -> Result<(), NetError> {
        let Some(device) = self.devices.get(&index) else {
            return Ok(());
        };
        let name = &*device.name;
        let settings = match device.family {
            Family::Ipv4 => {
                let of_base = Sysctl::ipv4(&device.base_name, "forwarding").read()?;
                let forwarding = of_base.filter(|_| !is_at_rest).unwrap_or_default();
                [
                    Some((Sysctl::ipv4(name, "rp_filter"), is_at_rest.into())),
                    Some((Sysctl::ipv4(name, "forwarding"), forwarding)),
                ]
            }
            Family::Ipv6 => [
                Some((Sysctl::ipv6(name, "disable_ipv6"), is_at_rest.into())),
                None,
            ],
        };
        for (sysctl, value) in settings.into_iter().flatten() {
            // Writing what is there already has a cost, too.
            if sysctl.read()?.is_some_and(|now| now != value) {
                sysctl.write(value)?;
            }
        }
        Ok(())
    }

    /// Forgets the devices and leaves them as they are, for a successor (spec §3.7 `Handover`),
    /// which takes them over when it creates the same.
    pub fn forget(&mut self) {
        self.devices.clear();
        self.sysctls = Sysctls::default();
    }

    fn mark_of(&self, link: &LinkRecord) -> Option<Mark> {
        any_mark_of(link).filter(|mark| mark.tag == self.tag)
    }

    /// Whether another program has devices on this interface: the last one restores its settings.
    fn is_shared(&self, base: InterfaceIndex, links: &[LinkRecord]) -> bool {
        let mut of_base = links.iter().filter(|link| link.base == Some(base));
        of_base.any(|link| any_mark_of(link).is_some_and(|mark| mark.tag != self.tag))
    }

    /// Whether an earlier process left this device behind for this virtual router.
    fn is_left_for(&self, link: &LinkRecord, virtual_mac: &VirtualMac) -> bool {
        let mac = virtual_mac.vrid.virtual_mac(virtual_mac.family);
        self.mark_of(link).is_some()
            && !self.devices.contains_key(&link.index)
            && link.base == Some(virtual_mac.base)
            && link.mac == Some(mac)
            && (virtual_mac.name.is_none() || virtual_mac.name == link.name)
    }

    /// Goes on with a device that is there.
    fn adopt(
        &mut self,
        virtual_mac: &VirtualMac,
        index: InterfaceIndex,
        mark: Mark,
        base_name: String,
    ) -> Result<InterfaceIndex, NetError> {
        let links = self.netlink.links()?;
        let link = links.iter().find(|link| link.index == index);
        let name = link.and_then(|link| link.name.clone()).unwrap_or_default();
        self.hold_base(&base_name, Some(mark.before))?;
        let device = Device {
            name,
            family: virtual_mac.family,
            base: virtual_mac.base,
            base_name,
        };
        self.devices.insert(index, device);
        if let Err(error) = self.finish(index) {
            let _ = self.remove(index);
            return Err(error);
        }
        Ok(index)
    }

    /// Makes the device, down, with its mark: both in one system call, so that no crash comes
    /// between them.
    fn make(
        &mut self,
        virtual_mac: &VirtualMac,
        base: &LinkRecord,
        vrf: Option<InterfaceIndex>,
        name: &str,
        mark: &Mark,
    ) -> Result<InterfaceIndex, NetError> {
        let mac = virtual_mac.vrid.virtual_mac(virtual_mac.family);
        let mut message = LinkMessage::default();
        let attributes = &mut message.attributes;
        attributes.push(LinkAttribute::IfName(name.into()));
        attributes.push(LinkAttribute::Link(virtual_mac.base.get()));
        attributes.push(LinkAttribute::Address(mac.octets().into()));
        attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::MacVlan),
            LinkInfo::Data(InfoData::MacVlan(vec![InfoMacVlan::Mode(
                MacVlanMode::Bridge,
            )])),
        ]));
        attributes.extend(base.group.map(LinkAttribute::Group));
        attributes.extend(vrf.map(|vrf| LinkAttribute::Controller(vrf.get())));
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        let create = Request::new(&RequestMessage::NewLink(message), flags);

        let mut message = LinkMessage::default();
        let attributes = &mut message.attributes;
        attributes.push(LinkAttribute::IfName(name.into()));
        attributes.push(LinkAttribute::IfAlias(mark.to_string()));
        let set_mark = Request::new(&RequestMessage::SetLink(message), 0);

        let mut outcomes = self.netlink.execute(&[create, set_mark]).into_iter();
        let fail = |cause: NetlinkCause| cause.of(Operation::CreateDevice, name);
        outcomes.next().unwrap_or(Ok(())).map_err(fail)?;
        let marked = outcomes.next().unwrap_or(Ok(())).map_err(fail);
        let links = self.netlink.links()?;
        let made = links.iter().find(|link| {
            link.name.as_deref() == Some(name) && link.is_kind("macvlan") && link.mac == Some(mac)
        });
        let Some(made) = made else {
            return Err(fail(NetlinkCause::refused(Errno::ENODEV)));
        };
        if let Err(error) = marked {
            let _ = self.delete(made.index, name);
            return Err(error);
        }
        Ok(made.index)
    }

    /// Settings, up.
    fn finish(&mut self, index: InterfaceIndex) -> Result<(), NetError> {
        let Some(device) = self.devices.get(&index) else {
            return Ok(());
        };
        let name = device.name.clone();
        for (setting, value) in [
            ("arp_ignore", 1),
            ("accept_local", 1),
            ("rp_filter", 0),
            ("promote_secondaries", 1),
        ] {
            Sysctl::ipv4(&name, setting).write(value)?;
        }
        for (setting, value) in [("addr_gen_mode", 1), ("accept_ra", 0), ("autoconf", 0)] {
            Sysctl::ipv6(&name, setting).write(value)?;
        }
        let mut message = LinkMessage::default();
        message.header.index = index.get();
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        let set_up = Request::new(&RequestMessage::SetLink(message), 0);
        let outcomes = self.netlink.execute(&[set_up]);
        for outcome in outcomes {
            outcome.map_err(|cause| cause.of(Operation::ChangeDevice, &name))?;
        }
        Ok(())
    }

    /// Deletes a device, which may be gone.
    fn delete(&mut self, index: InterfaceIndex, name: &str) -> Result<(), NetError> {
        let mut message = LinkMessage::default();
        message.header.index = index.get();
        let request = Request::new(&RequestMessage::DelLink(message), 0);
        for outcome in self.netlink.execute(&[request]) {
            match outcome {
                Err(cause) if cause.is(Errno::ENODEV) => {}
                outcome => outcome.map_err(|cause| cause.of(Operation::DeleteDevice, name))?,
            }
        }
        Ok(())
    }

    /// Sets what the interface needs, and gives what was before. An earlier process that has left
    /// it that way knew that.
    fn hold_base(
        &mut self,
        base_name: &str,
        earlier: Option<[i32; OF_BASE.len()]>,
    ) -> Result<[i32; OF_BASE.len()], NetError> {
        let mut before = earlier.unwrap_or_default();
        let mut held = Vec::new();
        for ((setting, least), before) in OF_BASE.into_iter().zip(&mut before) {
            let sysctl = Sysctl::ipv4(base_name, setting);
            let earlier = earlier.map(|_| *before);
            match self.sysctls.hold(&sysctl, least, earlier) {
                Ok(value) => *before = value.unwrap_or_default(),
                Err(error) => {
                    for sysctl in &held {
                        let _ = self.sysctls.release(sysctl);
                    }
                    return Err(error);
                }
            }
            held.push(sysctl);
        }
        Ok(before)
    }

    fn release_base(&mut self, base_name: &str) -> Result<(), NetError> {
        let results = OF_BASE.map(|(setting, _)| {
            let sysctl = Sysctl::ipv4(base_name, setting);
            self.sysctls.release(&sysctl)
        });
        results.into_iter().collect()
    }

    /// Leaves the interface as it is, since somebody else needs that.
    fn leave_base(&mut self, base_name: &str) {
        for (setting, _) in OF_BASE {
            self.sysctls.leave(&Sysctl::ipv4(base_name, setting));
        }
    }

    /// As an earlier process would have done.
    fn restore_base(&self, base_name: &str, mark: &Mark) -> Result<(), NetError> {
        for ((setting, least), before) in OF_BASE.into_iter().zip(mark.before) {
            let sysctl = Sysctl::ipv4(base_name, setting);
            if !self.sysctls.is_held(&sysctl) {
                sysctl::restore(&sysctl, before.max(least), before)?;
            }
        }
        Ok(())
    }
}

/// The mark of whichever program.
fn any_mark_of(link: &LinkRecord) -> Option<Mark> {
    let mark = link.alias.as_deref().and_then(|alias| alias.parse().ok());
    mark.filter(|_| link.is_kind("macvlan"))
}
