//! Reading the statements of a `vrrp_instance`.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use super::super::super::ast::Statement;
use super::super::super::diagnostic::{Position, Report};
use super::super::super::groups::Family;
use super::super::super::values;
use super::super::address::VrrpAddress;
use super::super::notify;
use super::super::track::Lines;
use super::super::transport::{Authentication, UnicastPeer, VirtualMac};
use super::super::write;
use super::{InitialState, Unsupported};

/// Keywords that exist, matter, and are not read further.
const UNSUPPORTED: [&str; 6] = [
    "auth_hmac",
    "use_ipvlan",
    "use_vmac_addr",
    "virtual_routes",
    "virtual_rules",
    "vrf",
];

/// Keywords that exist and that nothing here needs.
const IGNORED: [&str; 2] = ["debug", "kernel_rx_buf_size"];

/// Keywords that only older files have.
const DEPRECATED: [&str; 2] = ["linkbeat_use_polling", "lvs_sync_daemon_interface"];

/// A virtual router as it is written.
#[derive(Debug, Default)]
pub(in super::super) struct Draft {
    pub(super) position: Option<Position>,
    pub(in super::super) name: String,
    pub(super) state: Option<InitialState>,
    pub(super) interface: Option<String>,
    pub(super) vrid: Option<u8>,
    pub(super) priority: Option<u8>,
    pub(super) interval: Option<(Duration, Position)>,
    pub(super) version: Option<u8>,
    pub(super) family: Option<Family>,
    pub(super) no_preempt: Option<Position>,
    pub(super) preempt_delay: Option<(Duration, Position)>,
    pub(super) authentication: Option<Authentication>,
    pub(super) addresses: Vec<VrrpAddress>,
    pub(super) excluded: Vec<VrrpAddress>,
    pub(super) source: Option<IpAddr>,
    pub(super) track_source: bool,
    /// A unicast keyword was there.
    pub(super) unicast: Option<Position>,
    pub(super) peers: Vec<UnicastPeer>,
    pub(super) fault_without_peer: bool,
    pub(super) group: Option<IpAddr>,
    pub(super) unicast_ttl: Option<u8>,
    pub(super) check_unicast_source: Option<bool>,
    pub(super) checksum_as_v2: Option<bool>,
    pub(super) vmac: Option<VirtualMac>,
    pub(super) transmit_from_base: Option<Position>,
    pub(super) accept: Option<(bool, Position)>,
    pub(super) strict: Option<bool>,
    pub(super) skip_check: Option<bool>,
    pub(super) master_delay: Option<u32>,
    pub(super) master_repeat: Option<u32>,
    pub(super) lower_delay: Option<u32>,
    pub(super) lower_repeat: Option<(u32, Position)>,
    pub(super) refresh: Option<u32>,
    pub(super) refresh_repeat: Option<u32>,
    pub(super) extra: Option<(u32, bool)>,
    pub(super) no_advert: Option<(bool, Position)>,
    pub(super) send_advert: Option<(bool, Position)>,
    pub(super) down_timer: Option<(u8, Position)>,
    pub(super) ignore_primary: bool,
    pub(super) promote_secondaries: bool,
    pub(super) tracks: Lines,
    pub(super) notify: notify::Draft,
    pub(super) unsupported: Vec<Unsupported>,
    pub(super) places: BTreeMap<String, Position>,
}

impl Draft {
    /// Reads a block; one without a name is left out.
    pub(in super::super) fn read(statement: &Statement, report: &mut Report) -> Option<Self> {
        let mut draft = Self {
            position: Some(statement.position().clone()),
            name: write::name(statement, report)?,
            ..Self::default()
        };
        for inner in values::block(statement, report) {
            let handled = draft.read_identity(inner, report)
                || draft.read_transport(inner, report)
                || draft.read_addresses(inner, report)
                || draft.read_behaviour(inner, report)
                || draft.read_announce(inner, report)
                || draft.tracks.read(inner, report)
                || draft.notify.read(inner, report)
                || draft.read_unsupported(inner, report);
            if !handled {
                values::unknown(inner, report);
            } else if !draft.places.contains_key(inner.keyword()) {
                let place = inner.position().clone();
                draft.places.insert(inner.keyword().to_owned(), place);
            }
        }
        Some(draft)
    }

    /// What it follows, which is resolved by name.
    pub(in super::super) fn take_tracks(&mut self) -> Lines {
        core::mem::take(&mut self.tracks)
    }

    fn read_identity(&mut self, statement: &Statement, report: &mut Report) -> bool {
        match statement.keyword() {
            "state" => {
                let read = values::word(statement, "MASTER or BACKUP", report, |word| match word {
                    "MASTER" => Some(InitialState::Master),
                    "BACKUP" => Some(InitialState::Backup),
                    _ => None,
                });
                values::set(&mut self.state, read);
            }
            "interface" => {
                let name = values::interface(statement, report);
                if name.as_deref() == Some("lo") {
                    let message = "interface: lo is a loopback interface; line ignored";
                    report.error(statement.argument_position(0), message);
                } else {
                    values::set(&mut self.interface, name);
                }
            }
            "virtual_router_id" => {
                values::set(&mut self.vrid, values::number(statement, 1..=255, report));
            }
            "priority" => {
                values::set(
                    &mut self.priority,
                    values::number(statement, 1..=255, report),
                );
            }
            "advert_int" => {
                let time = values::timer(statement, 10_000..=255_000_000, report);
                values::set(&mut self.interval, time.map(placed(statement)));
            }
            "version" => values::set(&mut self.version, values::number(statement, 2..=3, report)),
            "native_ipv6" => {
                values::flag(statement, report);
                self.belongs(Family::V6);
            }
            "authentication" => {
                values::set(
                    &mut self.authentication,
                    Authentication::read(statement, report),
                );
            }
            _ => return false,
        }
        true
    }

    fn read_transport(&mut self, statement: &Statement, report: &mut Report) -> bool {
        match statement.keyword() {
            "mcast_src_ip" => self.read_source(statement, report),
            "unicast_src_ip" => {
                self.unicast
                    .get_or_insert_with(|| statement.position().clone());
                self.read_source(statement, report);
            }
            "track_src_ip" => self.track_source = values::flag(statement, report),
            "mcast_dst_ip" => {
                let expected = "a multicast address";
                let group = values::word(statement, expected, report, |word| {
                    word.parse().ok().filter(IpAddr::is_multicast)
                });
                if let Some(group) = group.filter(|group| self.fits(*group, statement, report)) {
                    self.group = Some(group);
                }
            }
            "unicast_peer" => {
                self.unicast
                    .get_or_insert_with(|| statement.position().clone());
                for inner in values::block(statement, report) {
                    let peer = UnicastPeer::read(inner, report);
                    if let Some(peer) = peer.filter(|peer| self.fits(peer.ip, inner, report)) {
                        self.add_peer(peer, report);
                    }
                }
            }
            "unicast_fault_no_peer" => self.fault_without_peer = values::flag(statement, report),
            "unicast_ttl" => {
                values::set(
                    &mut self.unicast_ttl,
                    values::number(statement, 0..=255, report),
                );
            }
            "check_unicast_src" => {
                self.unicast
                    .get_or_insert_with(|| statement.position().clone());
                values::set(
                    &mut self.check_unicast_source,
                    values::switch(statement, report),
                );
            }
            "use_vmac" => self.vmac = Some(VirtualMac::read(statement, report)),
            "vmac_xmit_base" => {
                values::flag(statement, report);
                self.transmit_from_base = Some(statement.position().clone());
            }
            "v3_checksum_as_v2" => {
                values::set(&mut self.checksum_as_v2, values::switch(statement, report));
            }
            "old_unicast_checksum" => {
                self.unicast
                    .get_or_insert_with(|| statement.position().clone());
                self.leave(statement, "old_unicast_checksum");
            }
            _ => return false,
        }
        true
    }

    fn read_source(&mut self, statement: &Statement, report: &mut Report) {
        let source = values::address(statement, report);
        if let Some(source) = source.filter(|source| self.fits(*source, statement, report)) {
            self.source = Some(source);
        }
    }

    fn add_peer(&mut self, peer: UnicastPeer, report: &mut Report) {
        if let Some(first) = self.peers.iter().find(|first| first.ip == peer.ip) {
            let message = format!(
                "unicast_peer {}: already at {}; this one is ignored",
                peer.ip, first.position
            );
            report.note(&peer.position, message);
        } else {
            self.peers.push(peer);
        }
    }

    fn read_addresses(&mut self, statement: &Statement, report: &mut Report) -> bool {
        let advertised = match statement.keyword() {
            "virtual_ipaddress" => true,
            "virtual_ipaddress_excluded" => false,
            _ => return false,
        };
        for inner in values::block(statement, report) {
            let Some(address) = VrrpAddress::read(inner, report) else {
                continue;
            };
            if advertised && !self.fits(address.ip, inner, report) {
                continue;
            }
            let list = if advertised {
                &mut self.addresses
            } else {
                &mut self.excluded
            };
            if let Some(first) = list.iter().find(|first| first.ip == address.ip) {
                note_twice(&address, first, report);
            } else {
                list.push(address);
            }
        }
        true
    }

    fn read_behaviour(&mut self, statement: &Statement, report: &mut Report) -> bool {
        match statement.keyword() {
            "nopreempt" => {
                values::flag(statement, report);
                self.no_preempt = Some(statement.position().clone());
            }
            "preempt" => {
                values::flag(statement, report);
                self.no_preempt = None;
            }
            "preempt_delay" => {
                let time = values::timer(statement, 0..=1_000_000_000, report);
                values::set(&mut self.preempt_delay, time.map(placed(statement)));
            }
            "accept" | "no_accept" => {
                values::flag(statement, report);
                let on = statement.keyword() == "accept";
                self.accept = Some((on, statement.position().clone()));
            }
            "strict_mode" => values::set(&mut self.strict, values::switch(statement, report)),
            "skip_check_adv_addr" => {
                values::set(&mut self.skip_check, values::switch(statement, report));
            }
            "lower_prio_no_advert" => {
                let on = values::switch(statement, report);
                values::set(&mut self.no_advert, on.map(placed(statement)));
            }
            "higher_prio_send_advert" => {
                let on = values::switch(statement, report);
                values::set(&mut self.send_advert, on.map(placed(statement)));
            }
            "down_timer_adverts" => {
                let count = values::number(statement, 1..=100, report);
                values::set(&mut self.down_timer, count.map(placed(statement)));
            }
            "dont_track_primary" => self.ignore_primary = values::flag(statement, report),
            "promote_secondaries" => self.promote_secondaries = values::flag(statement, report),
            _ => return false,
        }
        true
    }

    fn read_announce(&mut self, statement: &Statement, report: &mut Report) -> bool {
        let number =
            |report: &mut Report| values::number::<u32>(statement, 0..=u64::from(u32::MAX), report);
        match statement.keyword() {
            "garp_master_delay" => values::set(&mut self.master_delay, number(report)),
            "garp_master_repeat" => {
                values::set(
                    &mut self.master_repeat,
                    values::at_least_one(statement, report),
                );
            }
            "garp_lower_prio_delay" => values::set(&mut self.lower_delay, number(report)),
            "garp_lower_prio_repeat" => {
                let count = number(report);
                values::set(&mut self.lower_repeat, count.map(placed(statement)));
            }
            "garp_master_refresh" => values::set(&mut self.refresh, number(report)),
            "garp_master_refresh_repeat" => {
                values::set(
                    &mut self.refresh_repeat,
                    values::at_least_one(statement, report),
                );
            }
            "garp_extra_if" => {
                values::set(&mut self.extra, values::extra_interface(statement, report))
            }
            _ => return false,
        }
        true
    }

    fn read_unsupported(&mut self, statement: &Statement, report: &mut Report) -> bool {
        let keyword = statement.keyword();
        if let Some(keyword) = UNSUPPORTED.into_iter().find(|known| *known == keyword) {
            self.leave(statement, keyword);
            return true;
        }
        if let Some(keyword) = DEPRECATED.into_iter().find(|known| *known == keyword) {
            let message = format!("{keyword} is deprecated and has no effect here");
            report.warning(statement.position(), message);
            return true;
        }
        if keyword == "debug" {
            values::number::<u8>(statement, 0..=4, report);
        }
        if IGNORED.contains(&keyword) {
            let message = format!("{keyword} is known and has no effect here");
            report.note(statement.position(), message);
            return true;
        }
        false
    }

    fn leave(&mut self, statement: &Statement, keyword: &'static str) {
        self.unsupported.push(Unsupported {
            position: statement.position().clone(),
            keyword,
        });
    }

    /// The first address decides on the family.
    fn belongs(&mut self, family: Family) -> bool {
        *self.family.get_or_insert(family) == family
    }

    fn fits(&mut self, ip: IpAddr, statement: &Statement, report: &mut Report) -> bool {
        let fits = self.belongs(Family::of(ip));
        if !fits {
            let family = self.family.map(|family| family.to_string());
            let message = format!(
                "{ip} is not {}, as the first address of vrrp_instance {}; ignored",
                family.unwrap_or_default(),
                self.name
            );
            report.error(statement.position(), message);
        }
        fits
    }
}

/// An address that is there already.
pub(super) fn note_twice(address: &VrrpAddress, first: &VrrpAddress, report: &mut Report) {
    let message = format!(
        "{}: already at {}; this one is ignored",
        address.ip, first.position
    );
    report.note(&address.position, message);
}

/// Adds where a value stands.
fn placed<T>(statement: &Statement) -> impl FnOnce(T) -> (T, Position) {
    let position = statement.argument_position(0).clone();
    |value| (value, position)
}
