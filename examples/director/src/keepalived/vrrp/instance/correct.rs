//! From what is written to what counts: defaults, and the corrections that keepalived makes.

use core::net::IpAddr;
use core::time::Duration;

use super::super::super::diagnostic::Report;
use super::super::super::global::Globals;
use super::super::super::groups::Family;
use super::super::transport::{Authentication, Destination, VirtualMac};
use super::read::note_twice;
use super::{Announce, Draft, InitialState, VrrpInstance};

/// The longest interval of version 3: 4095 centiseconds.
const INTERVAL_MAX: Duration = Duration::from_millis(40_950);

impl Draft {
    /// The virtual router that counts. One without interface or id, or one that strict mode does
    /// not take, is left out. What it follows still has the weights of its own lines only.
    pub(in super::super) fn finish(
        mut self,
        globals: &Globals,
        report: &mut Report,
    ) -> Option<VrrpInstance> {
        let position = self.position.take()?;
        let name = self.name.clone();
        let fail = |what: &str, report: &mut Report| {
            report.error(
                &position,
                format!("vrrp_instance {name}: {what}; the block is ignored"),
            );
        };
        let Some(vrid) = self.vrid else {
            fail("there is no virtual_router_id", report);
            return None;
        };
        if self.interface.is_none() {
            fail("there is no interface", report);
            return None;
        }
        let strict = self.strict.unwrap_or(globals.vrrp.strict);
        if self.addresses.is_empty() {
            if strict {
                fail(
                    "there is no virtual address, which strict mode needs",
                    report,
                );
                return None;
            }
            let message = format!("vrrp_instance {name}: there is no virtual address");
            report.warning(&position, message);
        }
        let family = self.family.unwrap_or(Family::V4);
        let version = match family {
            Family::V6 => 3,
            _ => self.version.unwrap_or(globals.vrrp.version),
        };
        if strict && family == Family::V6 && !self.first_is_link_local() {
            fail(
                "the first address is not link-local (fe80::/10), which strict mode needs",
                report,
            );
            return None;
        }
        self.excluded.retain(|address| {
            let first = self.addresses.iter().find(|first| first.ip == address.ip);
            if let Some(first) = first {
                note_twice(address, first, report);
            }
            first.is_none()
        });
        let priority = self.priority.unwrap_or(100);
        let check_unicast_source = self.checks_source(globals);
        let destination = self.destination(globals, family, report);
        let is_unicast = matches!(destination, Destination::Peers(_));
        let (preempt, preempt_delay) = self.preemption(priority, strict, report);
        Some(VrrpInstance {
            state: self.state.unwrap_or_default(),
            interface: self.interface.take(),
            virtual_router_id: vrid,
            priority,
            advert_interval: self.interval(version, report),
            version,
            family,
            preempt,
            preempt_delay,
            authentication: self.authenticated(version, strict, report),
            source: self.source,
            track_source: self.track_source,
            unicast_ttl: self.unicast_ttl,
            check_unicast_source,
            checksum_as_v2: self.checksum_as_v2.unwrap_or(false),
            virtual_mac: self.virtual_mac(is_unicast, strict, report),
            destination,
            accept: self.accepts(priority, version, strict, report),
            strict,
            skip_check_advert_addresses: self
                .skip_check
                .unwrap_or(globals.vrrp.skip_check_advert_addresses),
            announce: self.announce(globals, strict, report),
            lower_priority_no_advert: self.no_advert(globals, strict, report),
            higher_priority_send_advert: self.send_advert(globals, strict, report),
            down_timer_adverts: self.down_timer(globals, strict, report),
            track_primary: !self.ignore_primary,
            promote_secondaries: self.promote_secondaries,
            tracks: Vec::new(),
            notify: self.notify.finish(
                globals.vrrp.notify_priority_changes,
                globals.vrrp_alerts().unwrap_or(false),
            ),
            addresses: self.addresses,
            excluded_addresses: self.excluded,
            unsupported: self.unsupported,
            places: self.places,
            position,
            name: self.name,
        })
    }

    fn first_is_link_local(&self) -> bool {
        match self.addresses.first().map(|address| address.ip) {
            Some(IpAddr::V6(first)) => first.is_unicast_link_local(),
            _ => true,
        }
    }

    fn destination(
        &mut self,
        globals: &Globals,
        family: Family,
        report: &mut Report,
    ) -> Destination {
        let peers = core::mem::take(&mut self.peers);
        if !peers.is_empty() || self.fault_without_peer {
            return Destination::Peers(peers);
        }
        if let Some(unicast) = &self.unicast {
            let message = format!(
                "vrrp_instance {}: unicast without a peer in unicast_peer; multicast is used",
                self.name
            );
            report.warning(unicast, message);
        }
        let default = match family {
            Family::V6 => IpAddr::V6(globals.vrrp.multicast_group6),
            _ => IpAddr::V4(globals.vrrp.multicast_group4),
        };
        Destination::Group(self.group.unwrap_or(default))
    }

    /// keepalived checks the sources if it is told to, or as soon as a peer has limits.
    fn checks_source(&self, globals: &Globals) -> bool {
        let checks = self.check_unicast_source;
        checks.unwrap_or(globals.vrrp.check_unicast_source)
            || self.peers.iter().any(|peer| peer.ttl().is_some())
    }

    fn preemption(&self, priority: u8, strict: bool, report: &mut Report) -> (bool, Duration) {
        let name = &self.name;
        let mut is_master = self.state == Some(InitialState::Master);
        let mut preempt = true;
        if let Some(position) = &self.no_preempt {
            let reason = if priority == 255 {
                "priority 255"
            } else {
                "state MASTER"
            };
            if priority == 255 || is_master {
                let message =
                    format!("vrrp_instance {name}: nopreempt contradicts {reason}, cleared");
                report.warning(position, message);
            } else {
                preempt = false;
            }
        }
        is_master |= priority == 255;
        let Some((delay, position)) = &self.preempt_delay else {
            return (preempt, Duration::ZERO);
        };
        let reason = match () {
            () if delay.is_zero() => return (preempt, Duration::ZERO),
            () if strict => "strict mode",
            () if is_master => "state MASTER",
            () if !preempt => "nopreempt",
            () => return (preempt, *delay),
        };
        let message = format!("vrrp_instance {name}: preempt_delay contradicts {reason}, set to 0");
        report.warning(position, message);
        (preempt, Duration::ZERO)
    }

    /// What a version can say: whole seconds, or whole centiseconds up to 4095.
    fn interval(&self, version: u8, report: &mut Report) -> Duration {
        let Some((interval, position)) = &self.interval else {
            return Duration::from_secs(1);
        };
        let unit: u128 = if version == 2 { 1_000_000 } else { 10_000 };
        let units = interval.as_micros().saturating_add(unit >> 1) / unit;
        let micros = units.max(1).saturating_mul(unit);
        let mut rounded = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        let mut reason = if version == 2 {
            "is not a whole number of seconds"
        } else {
            "is not a whole number of 10 ms"
        };
        if version != 2 && rounded > INTERVAL_MAX {
            (rounded, reason) = (INTERVAL_MAX, "is over 40.95 s");
        }
        if rounded != *interval {
            let message = format!(
                "advert_int {} {reason} in version {version}, set to {}",
                super::super::write::Seconds(*interval),
                super::super::write::Seconds(rounded)
            );
            report.warning(position, message);
        }
        rounded
    }

    fn authenticated(
        &mut self,
        version: u8,
        strict: bool,
        report: &mut Report,
    ) -> Option<Authentication> {
        let authentication = self.authentication.take()?;
        let reason = match (version, strict) {
            (3, _) => "version 3 has none",
            (_, true) => "strict mode has none",
            _ => return Some(authentication),
        };
        let message = format!("authentication: {reason}; block ignored");
        report.warning(&authentication.position, message);
        None
    }

    fn virtual_mac(
        &mut self,
        is_unicast: bool,
        strict: bool,
        report: &mut Report,
    ) -> Option<VirtualMac> {
        let from_base = self.transmit_from_base.take();
        let Some(mut vmac) = self.vmac.take() else {
            if let Some(position) = from_base {
                report.warning(&position, "vmac_xmit_base needs use_vmac; ignored");
            }
            return None;
        };
        vmac.transmit_from_base = from_base.is_some();
        if let Some(position) = from_base.filter(|_| strict) {
            let message = "vmac_xmit_base contradicts strict mode, cleared";
            report.warning(&position, message);
            vmac.transmit_from_base = false;
        } else if is_unicast && !vmac.transmit_from_base {
            if let Some(position) = &self.unicast {
                let message = "unicast with use_vmac needs vmac_xmit_base, set";
                report.warning(position, message);
            }
            vmac.transmit_from_base = true;
        }
        Some(vmac)
    }

    fn accepts(&self, priority: u8, version: u8, strict: bool, report: &mut Report) -> bool {
        match &self.accept {
            None => !strict || priority == 255,
            Some((true, position)) if strict && version == 2 => {
                let message = "accept contradicts strict mode in version 2, cleared";
                report.warning(position, message);
                priority == 255
            }
            Some((accept, _)) => *accept,
        }
    }

    fn announce(&self, globals: &Globals, strict: bool, report: &mut Report) -> Announce {
        let defaults = &globals.vrrp;
        let seconds = |own: Option<u32>, default: Duration| {
            own.map_or(default, |seconds| Duration::from_secs(seconds.into()))
        };
        let mut master_delay = seconds(self.master_delay, defaults.garp_master_delay);
        let mut master_repeat = self.master_repeat.unwrap_or(defaults.garp_master_repeat);
        if defaults.min_garp && self.master_delay.is_none() {
            master_delay = Duration::ZERO;
        }
        if defaults.min_garp && self.master_repeat.is_none() {
            master_repeat = 1;
        }
        let lower_delay = defaults.garp_lower_prio_delay.unwrap_or(master_delay);
        let default = defaults.garp_lower_prio_repeat.unwrap_or(master_repeat);
        let mut lower_repeat = match &self.lower_repeat {
            Some((count, position)) if strict && *count != 0 => {
                let message = "garp_lower_prio_repeat contradicts strict mode, set to 0";
                report.warning(position, message);
                0
            }
            Some((count, _)) => *count,
            None => default,
        };
        if strict {
            lower_repeat = 0;
        }
        let (extra, extra_all) = self.extra.unwrap_or(defaults.garp_extra_if);
        Announce {
            master_delay,
            master_repeat: master_repeat.max(1),
            lower_priority_delay: seconds(self.lower_delay, lower_delay),
            lower_priority_repeat: lower_repeat,
            master_refresh: seconds(self.refresh, defaults.garp_master_refresh),
            master_refresh_repeat: self
                .refresh_repeat
                .unwrap_or(defaults.garp_master_refresh_repeat)
                .max(1),
            extra_interface: Duration::from_secs(extra.into()),
            extra_interface_all: extra_all,
        }
    }

    fn no_advert(&self, globals: &Globals, strict: bool, report: &mut Report) -> bool {
        match &self.no_advert {
            Some((false, position)) if strict => {
                let message = "lower_prio_no_advert off contradicts strict mode, set to on";
                report.warning(position, message);
                true
            }
            Some((on, _)) => *on || strict,
            None => strict || globals.vrrp.lower_prio_no_advert,
        }
    }

    fn send_advert(&self, globals: &Globals, strict: bool, report: &mut Report) -> bool {
        match &self.send_advert {
            Some((true, position)) if strict => {
                let message = "higher_prio_send_advert contradicts strict mode, cleared";
                report.warning(position, message);
                false
            }
            Some((on, _)) => *on,
            None => !strict && globals.vrrp.higher_prio_send_advert,
        }
    }

    fn down_timer(&self, globals: &Globals, strict: bool, report: &mut Report) -> u8 {
        match &self.down_timer {
            Some((count, position)) if strict && *count != 3 => {
                let message =
                    format!("down_timer_adverts {count} contradicts strict mode, set to 3");
                report.warning(position, message);
                3
            }
            Some((count, _)) => *count,
            None if strict => 3,
            None => globals.vrrp.down_timer_adverts,
        }
    }
}
