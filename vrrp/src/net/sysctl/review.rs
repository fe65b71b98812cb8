//! What is in the way of virtual routers, and is not ours to change.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::Sysctl;
use crate::net::NetError;
use crate::net::config::{DriverConfig, DriverError, View};
use crate::net::links::{Link, LinkMonitor};

/// Something about the host that keeps a virtual router from working as it should.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum Finding {
    /// Reverse path filtering of the whole host applies to the virtual MAC's device, too, as the
    /// larger of the two numbers counts: packets to virtual addresses may be dropped (spec §3.2,
    /// OP-16).
    #[error(
        "net.ipv4.conf.all.rp_filter = {value} filters on {device}, too: packets to virtual addresses \
         may be dropped; set it to 0, and that of each interface to {value}"
    )]
    RpFilterOfAll {
        /// The virtual MAC's device.
        device: String,
        /// The setting: 1 strict, 2 loose.
        value: i32,
    },
    /// The interface answers ARP requests for others: also those for addresses of another router.
    #[error(
        "net.ipv4.conf.{device}.{setting} = 1 answers ARP requests for virtual addresses that another \
         router has; set it to 0"
    )]
    ProxyArp {
        /// The interface.
        device: String,
        /// Which setting.
        setting: &'static str,
    },
    /// Nobody gets an answer who asks for an address of a device that is not asked itself (OP-6).
    #[error(
        "net.ipv4.conf.{setting_of}.arp_ignore = {value}: {device} does not answer ARP requests for \
         {address}, which is on {holder}; set it to 0, or put the address on {device}"
    )]
    ArpIgnored {
        /// The interface of the virtual router.
        device: String,
        /// The device whose setting it is, or `all`.
        setting_of: String,
        /// The setting.
        value: i32,
        /// The virtual address.
        address: IpAddr,
        /// The device that has it.
        holder: String,
    },
    /// Neighbour solicitations are only answered on the interface that has the address (OP-7).
    #[error(
        "{address} on {holder}: neighbours on {device} cannot reach an IPv6 address there; put it on \
         {device}"
    )]
    Unreachable {
        /// The interface of the virtual router.
        device: String,
        /// The virtual address.
        address: IpAddr,
        /// The device that has it.
        holder: String,
    },
}

/// Looks for what is in the way of virtual routers on an interface: with these virtual addresses,
/// each on a link, and with these devices for virtual MACs. Changes nothing.
///
/// # Errors
///
/// A setting that cannot be read.
pub fn review<'a>(
    interface: &Link,
    macvlans: impl IntoIterator<Item = &'a str>,
    addresses: impl IntoIterator<Item = (IpAddr, &'a Link)>,
) -> Result<Vec<Finding>, NetError> {
    let mut findings = Vec::new();
    let name = interface.name.as_str();
    let read = |device: &str, setting| {
        let value = Sysctl::ipv4(device, setting).read()?;
        Ok::<i32, NetError>(value.unwrap_or_default())
    };
    let value = read("all", "rp_filter")?;
    for device in macvlans {
        if value > 0 {
            let device = device.into();
            findings.push(Finding::RpFilterOfAll { device, value });
        }
    }
    for setting in ["proxy_arp", "proxy_arp_pvlan"] {
        if read(name, setting)? > 0 {
            let device = name.into();
            findings.push(Finding::ProxyArp { device, setting });
        }
    }
    let (of_all, own) = (read("all", "arp_ignore")?, read(name, "arp_ignore")?);
    for (address, link) in addresses {
        if link.index == interface.index || link.is_asked() {
            continue;
        }
        let (device, holder) = (name.into(), link.name.clone());
        if address.is_ipv6() {
            findings.push(Finding::Unreachable {
                device,
                address,
                holder,
            });
        } else if of_all.max(own) > 0 {
            findings.push(Finding::ArpIgnored {
                device,
                setting_of: if of_all > own { "all" } else { name }.into(),
                value: of_all.max(own),
                address,
                holder,
            });
        }
    }
    Ok(findings)
}

/// What is on an interface.
#[derive(Debug, Default)]
struct Load<'a> {
    macvlans: BTreeSet<String>,
    addresses: Vec<(IpAddr, &'a Link)>,
}

impl DriverConfig {
    /// [Looks](review) for what is in the way of its virtual routers on this host, in the network
    /// namespace of this thread: at interfaces and devices that are there. Changes nothing, and needs
    /// no privileges. Best asked at the start of a driver, once it has made its devices.
    ///
    /// # Errors
    ///
    /// What [`validate`](Self::validate) finds, and why it does not fit the interfaces as they are
    /// now; links or settings that cannot be read.
    pub fn review(&self) -> Result<Vec<Finding>, DriverError> {
        let monitor = LinkMonitor::open()?;
        let links = monitor.links();
        let resolved = self.resolve(&View {
            links: Some(links),
            ..View::EMPTY
        })?;
        let mut loads: BTreeMap<&str, Load<'_>> = BTreeMap::new();
        for (id, router) in self.routers() {
            let load = loads.entry(router.interface()).or_default();
            let device = resolved.wanted_devices.get(&id);
            load.macvlans
                .extend(device.and_then(|device| device.names().next()));
            // Addresses of a device with a virtual MAC are at home there.
            let here = resolved
                .addresses
                .iter()
                .filter(|((other, _), _)| *other == id);
            load.addresses
                .extend(here.filter_map(|((_, address), setup)| {
                    Some((*address, links.get(setup.key().interface)?))
                }));
        }
        let mut findings = Vec::new();
        for (name, load) in loads {
            if let Some(link) = links.by_name(name) {
                let macvlans = load.macvlans.iter().map(String::as_str);
                findings.extend(review(link, macvlans, load.addresses)?);
            }
        }
        Ok(findings)
    }
}
