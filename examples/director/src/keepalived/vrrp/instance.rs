//! `vrrp_instance NAME { … }`: a virtual router (keepalived.conf(5)).

mod correct;
mod read;
mod write;

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use super::super::diagnostic::Position;
use super::super::groups::Family;
use super::address::VrrpAddress;
use super::notify::Notify;
use super::track::Tracked;
use super::transport::{Authentication, Destination, VirtualMac};

pub(super) use read::Draft;

/// A virtual router, corrected, with the defaults of the globals.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a keyword of its own"
)]
#[non_exhaustive]
pub struct VrrpInstance {
    /// Where its block starts.
    pub position: Position,
    /// Its name.
    pub name: String,
    /// `state`: what it wishes to be. Default backup.
    pub state: InitialState,
    /// `interface`. None where the unicast peers alone decide.
    pub interface: Option<String>,
    /// `virtual_router_id`, 1..=255.
    pub virtual_router_id: u8,
    /// `priority`, 1..=255; 255 for the owner of the addresses. Default 100.
    pub priority: u8,
    /// `advert_int`: whole seconds, 1 s to 255 s, in version 2; whole 10 ms, 10 ms to 40.95 s, in
    /// version 3. Default 1 s.
    pub advert_interval: Duration,
    /// `version`, 2 or 3; 3 for IPv6. Default that of the globals.
    pub version: u8,
    /// The family of its addresses.
    pub family: Family,
    /// Not `nopreempt`: it takes over from an active router of lower priority. Default on.
    pub preempt: bool,
    /// `preempt_delay`, 0 s to 1000 s. Default 0.
    pub preempt_delay: Duration,
    /// `authentication`, version 2 only.
    pub authentication: Option<Authentication>,
    /// `virtual_ipaddress`: advertised.
    pub addresses: Vec<VrrpAddress>,
    /// `virtual_ipaddress_excluded`: not advertised, of either family.
    pub excluded_addresses: Vec<VrrpAddress>,
    /// `mcast_src_ip` or `unicast_src_ip`. Default the primary address of the interface.
    pub source: Option<IpAddr>,
    /// `track_src_ip`: it is in fault without that address.
    pub track_source: bool,
    /// `unicast_peer`, or `mcast_dst_ip`. Default the group of the globals.
    pub destination: Destination,
    /// `unicast_ttl`, 0..=255: of packets to peers. Default 255.
    pub unicast_ttl: Option<u8>,
    /// `check_unicast_src`: only peers may send.
    pub check_unicast_source: bool,
    /// `v3_checksum_as_v2`, of keepalived after 2.2.7: over IPv4, version 3 sums up the message only,
    /// without the pseudo-header. Default off.
    pub checksum_as_v2: bool,
    /// `use_vmac`
    pub virtual_mac: Option<VirtualMac>,
    /// `accept` or `no_accept`: packets to the addresses are taken. Default on; in strict mode only
    /// with priority 255.
    pub accept: bool,
    /// `strict_mode`. Default that of the globals.
    pub strict: bool,
    /// `skip_check_adv_addr`. Default that of the globals.
    pub skip_check_advert_addresses: bool,
    /// How addresses are announced.
    pub announce: Announce,
    /// `lower_prio_no_advert`: a losing advertisement is not answered. Default that of the globals.
    pub lower_priority_no_advert: bool,
    /// `higher_prio_send_advert`: one more advertisement before giving way. Default that of the
    /// globals.
    pub higher_priority_send_advert: bool,
    /// `down_timer_adverts`, 1..=100: missing advertisements that mean the other one is gone.
    /// Default 3.
    pub down_timer_adverts: u8,
    /// Not `dont_track_primary`: it is in fault while its interface is down. Default on.
    pub track_primary: bool,
    /// `promote_secondaries`: the kernel keeps other addresses of a network when one goes.
    pub promote_secondaries: bool,
    /// `track_interface`, `track_script`, `track_file`, `track_process`, `track_bfd`.
    pub tracks: Vec<Tracked>,
    /// What is run when its state changes.
    pub notify: Notify,
    /// What is written and has no typed value: for whoever runs this to name to its user.
    pub unsupported: Vec<Unsupported>,
    /// Where each keyword stands; the first one if it is there more than once.
    places: BTreeMap<String, Position>,
}

impl VrrpInstance {
    /// Where a keyword stands; the block itself if the value is a default.
    #[must_use]
    pub fn place(&self, keyword: &str) -> &Position {
        self.places.get(keyword).unwrap_or(&self.position)
    }
}

/// `state`
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum InitialState {
    /// `MASTER`: with priority 255 active at once; else like `BACKUP`.
    Master,
    /// `BACKUP`
    #[default]
    Backup,
}

/// `garp_…`: gratuitous ARP and unsolicited neighbour advertisements.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Announce {
    /// `garp_master_delay`: a second round after it became active; 0 for none. Default that of the
    /// globals, 5 s.
    pub master_delay: Duration,
    /// `garp_master_repeat`: announcements of an address per round, at least 1. Default 5.
    pub master_repeat: u32,
    /// `garp_lower_prio_delay`: a second round after a losing advertisement. Default `master_delay`.
    pub lower_priority_delay: Duration,
    /// `garp_lower_prio_repeat`: announcements after one; 0 for none. Default `master_repeat`.
    pub lower_priority_repeat: u32,
    /// `garp_master_refresh`: time between rounds while active; 0 for none. Default 0.
    pub master_refresh: Duration,
    /// `garp_master_refresh_repeat`: announcements then, at least 1. Default 1.
    pub master_refresh_repeat: u32,
    /// `garp_extra_if`: time between rounds on other interfaces; 0 for none. Default 0.
    pub extra_interface: Duration,
    /// `garp_extra_if all`: also on interfaces without virtual MAC.
    pub extra_interface_all: bool,
}

/// A keyword that is known and whose meaning is not read.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Unsupported {
    /// Where.
    pub position: Position,
    /// Which.
    pub keyword: &'static str,
}
