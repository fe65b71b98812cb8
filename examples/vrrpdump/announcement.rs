//! Announcements of virtual addresses: gratuitous ARP and unsolicited neighbour advertisements.

use core::net::IpAddr;

use lvs_vrrp::codec::{ArpOperation, GratuitousArp, UnsolicitedNa};
use lvs_vrrp::{Family, MacAddress, Vrid};

use crate::link::Carried;

/// An address announced to be at a virtual MAC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Announcement {
    pub(crate) vrid: Vrid,
    pub(crate) address: IpAddr,
    pub(crate) mac: MacAddress,
    /// Of ARP; `None` for neighbour advertisements.
    pub(crate) operation: Option<ArpOperation>,
}

impl Announcement {
    /// The announcement in what a frame carries, whatever lies around it.
    pub(crate) fn read(carried: &Carried<'_>) -> Option<Self> {
        // As a frame without tags; who sent it is said within.
        let [high, low] = carried.ether_type.to_be_bytes();
        let header = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, high, low];
        let frame = [&header, carried.bytes].concat();
        let announcement = match GratuitousArp::parse_frame(&frame) {
            Ok(arp) => Self {
                vrid: virtual_router(arp.mac, Family::Ipv4)?,
                address: arp.address.into(),
                mac: arp.mac,
                operation: Some(arp.operation),
            },
            Err(_) => {
                let na = UnsolicitedNa::parse_frame(&frame).ok()?;
                Self {
                    vrid: virtual_router(na.mac, Family::Ipv6)?,
                    address: na.target.into(),
                    mac: na.mac,
                    operation: None,
                }
            }
        };
        Some(announcement)
    }
}

/// Which virtual router has this MAC address, if it is a virtual one.
fn virtual_router(mac: MacAddress, family: Family) -> Option<Vrid> {
    let [.., last] = mac.octets();
    let vrid = Vrid::new(last)?;
    (vrid.virtual_mac(family) == mac).then_some(vrid)
}
