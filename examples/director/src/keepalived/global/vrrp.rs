//! The `vrrp_…` statements of `global_defs`: defaults of virtual routers (keepalived.conf(5)).

use core::net::{Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use super::super::ast::Statement;
use super::super::diagnostic::Report;
use super::super::values::{self, TIMER_MAX};
use super::read::{SECONDS, seconds};

/// Defaults of virtual routers.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a keyword of its own"
)]
#[non_exhaustive]
pub struct VrrpGlobals {
    /// `vrrp_version`, 2 or 3; IPv6 is always 3. Default 2.
    pub version: u8,
    /// `vrrp_garp_master_delay`: second burst of announcements after promotion. Default 5 s.
    pub garp_master_delay: Duration,
    /// `vrrp_garp_master_repeat`: announcements per burst. Default 5.
    pub garp_master_repeat: u32,
    /// `vrrp_garp_lower_prio_delay`: second burst after a losing advertisement. Default
    /// `garp_master_delay`.
    pub garp_lower_prio_delay: Option<Duration>,
    /// `vrrp_garp_lower_prio_repeat`: announcements then. Default `garp_master_repeat`.
    pub garp_lower_prio_repeat: Option<u32>,
    /// `vrrp_garp_master_refresh`: time between bursts while active; 0 for none. Default 0.
    pub garp_master_refresh: Duration,
    /// `vrrp_garp_master_refresh_repeat`. Default 1.
    pub garp_master_refresh_repeat: u32,
    /// `vrrp_garp_extra_if`: seconds between bursts on other interfaces, 0..=86400, and whether
    /// `all`. Default 0.
    pub garp_extra_if: (u32, bool),
    /// `vrrp_min_garp`: one announcement and no second burst, where nothing else is said.
    pub min_garp: bool,
    /// `vrrp_garp_interval`: time between two announcements. Default 0.
    pub garp_interval: Duration,
    /// `vrrp_gna_interval`: the same for IPv6. Default 0.
    pub gna_interval: Duration,
    /// `vrrp_mcast_group4`. Default 224.0.0.18.
    pub multicast_group4: Ipv4Addr,
    /// `vrrp_mcast_group6`. Default ff02::12.
    pub multicast_group6: Ipv6Addr,
    /// `vrrp_strict`
    pub strict: bool,
    /// `vrrp_skip_check_adv_addr`
    pub skip_check_advert_addresses: bool,
    /// `vrrp_check_unicast_src`: only peers may send.
    pub check_unicast_source: bool,
    /// `vrrp_lower_prio_no_advert`: losing advertisements are not answered.
    pub lower_prio_no_advert: bool,
    /// `vrrp_higher_prio_send_advert`: one more advertisement before giving way.
    pub higher_prio_send_advert: bool,
    /// `vrrp_down_timer_adverts`, 1..=100. Default 3.
    pub down_timer_adverts: u8,
    /// `vrrp_notify_priority_changes`: pipes are told of priorities, too.
    pub notify_priority_changes: bool,
    /// `log_unknown_vrids`: virtual routers that are not configured are reported.
    pub log_unknown_vrids: bool,
    /// `vrrp_startup_delay`. Default 0.
    pub startup_delay: Duration,
}

impl Default for VrrpGlobals {
    fn default() -> Self {
        Self {
            version: 2,
            garp_master_delay: Duration::from_secs(5),
            garp_master_repeat: 5,
            garp_lower_prio_delay: None,
            garp_lower_prio_repeat: None,
            garp_master_refresh: Duration::ZERO,
            garp_master_refresh_repeat: 1,
            garp_extra_if: (0, false),
            min_garp: false,
            garp_interval: Duration::ZERO,
            gna_interval: Duration::ZERO,
            multicast_group4: Ipv4Addr::new(224, 0, 0, 18),
            multicast_group6: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12),
            strict: false,
            skip_check_advert_addresses: false,
            check_unicast_source: false,
            lower_prio_no_advert: false,
            higher_prio_send_advert: false,
            down_timer_adverts: 3,
            notify_priority_changes: false,
            log_unknown_vrids: false,
            startup_delay: Duration::ZERO,
        }
    }
}

impl VrrpGlobals {
    /// Reads a statement if it is one of these.
    pub(super) fn read(&mut self, statement: &Statement, report: &mut Report) -> bool {
        self.read_announcements(statement, report)
            || self.read_switch(statement, report)
            || self.read_protocol(statement, report)
    }

    fn read_announcements(&mut self, statement: &Statement, report: &mut Report) -> bool {
        let count =
            |report: &mut Report| values::number::<u32>(statement, 0..=u64::from(u32::MAX), report);
        // keepalived has no spacing of 0 other than by leaving the keyword out.
        let spacing = |value: &mut Duration, report: &mut Report| {
            let time = values::timer(statement, 1..=4_294_967_295, report);
            *value = time.unwrap_or(*value);
        };
        match statement.keyword() {
            "vrrp_garp_master_delay" => {
                seconds(&mut self.garp_master_delay, statement, SECONDS, report);
            }
            "vrrp_garp_master_repeat" => {
                let read = values::at_least_one(statement, report);
                self.garp_master_repeat = read.unwrap_or(self.garp_master_repeat);
            }
            "vrrp_garp_lower_prio_delay" => {
                let seconds = count(report).map(u64::from);
                values::set(
                    &mut self.garp_lower_prio_delay,
                    seconds.map(Duration::from_secs),
                );
            }
            "vrrp_garp_lower_prio_repeat" => {
                values::set(&mut self.garp_lower_prio_repeat, count(report));
            }
            "vrrp_garp_master_refresh" => {
                seconds(&mut self.garp_master_refresh, statement, SECONDS, report);
            }
            "vrrp_garp_master_refresh_repeat" => {
                let read = values::at_least_one(statement, report);
                self.garp_master_refresh_repeat = read.unwrap_or(self.garp_master_refresh_repeat);
            }
            "vrrp_garp_extra_if" => {
                let read = values::extra_interface(statement, report);
                self.garp_extra_if = read.unwrap_or(self.garp_extra_if);
            }
            "vrrp_garp_interval" => spacing(&mut self.garp_interval, report),
            "vrrp_gna_interval" => spacing(&mut self.gna_interval, report),
            _ => return false,
        }
        true
    }

    fn read_switch(&mut self, statement: &Statement, report: &mut Report) -> bool {
        let switch = match statement.keyword() {
            "vrrp_min_garp" => &mut self.min_garp,
            "vrrp_lower_prio_no_advert" => &mut self.lower_prio_no_advert,
            "vrrp_higher_prio_send_advert" => &mut self.higher_prio_send_advert,
            "vrrp_notify_priority_changes" => &mut self.notify_priority_changes,
            "vrrp_strict" => {
                self.strict = values::flag(statement, report);
                return true;
            }
            "vrrp_skip_check_adv_addr" => {
                self.skip_check_advert_addresses = values::flag(statement, report);
                return true;
            }
            "vrrp_check_unicast_src" => {
                self.check_unicast_source = values::flag(statement, report);
                return true;
            }
            "log_unknown_vrids" => {
                self.log_unknown_vrids = values::flag(statement, report);
                return true;
            }
            _ => return false,
        };
        *switch = values::switch(statement, report).unwrap_or(*switch);
        true
    }

    fn read_protocol(&mut self, statement: &Statement, report: &mut Report) -> bool {
        match statement.keyword() {
            "vrrp_version" => {
                self.version = values::number(statement, 2..=3, report).unwrap_or(self.version);
            }
            "vrrp_down_timer_adverts" => {
                let read = values::number(statement, 1..=100, report);
                self.down_timer_adverts = read.unwrap_or(self.down_timer_adverts);
            }
            "vrrp_startup_delay" => {
                let read = values::timer(statement, 0..=TIMER_MAX, report);
                self.startup_delay = read.unwrap_or(self.startup_delay);
            }
            "vrrp_mcast_group4" => {
                let expected = "an IPv4 multicast address";
                let group = values::word(statement, expected, report, |word| {
                    word.parse().ok().filter(Ipv4Addr::is_multicast)
                });
                self.multicast_group4 = group.unwrap_or(self.multicast_group4);
            }
            "vrrp_mcast_group6" => {
                let expected = "an IPv6 multicast address";
                let group = values::word(statement, expected, report, |word| {
                    word.parse().ok().filter(Ipv6Addr::is_multicast)
                });
                self.multicast_group6 = group.unwrap_or(self.multicast_group6);
            }
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::{clean, globals};
    use super::*;

    #[test]
    fn virtual_router_defaults() {
        let vrrp = clean(
            "vrrp_version 3\nvrrp_garp_master_delay 1\nvrrp_garp_master_repeat 2\n\
             vrrp_garp_interval 0.001\nvrrp_mcast_group4 224.0.0.19\nvrrp_mcast_group6 ff02::13\n\
             vrrp_strict\nvrrp_startup_delay 5.5",
        )
        .vrrp;
        assert_eq!((vrrp.version, vrrp.garp_master_repeat), (3, 2));
        assert_eq!(vrrp.garp_master_delay, Duration::from_secs(1));
        assert_eq!(vrrp.garp_interval, Duration::from_millis(1));
        assert_eq!(vrrp.startup_delay, Duration::from_millis(5500));
        assert_eq!(vrrp.multicast_group4.to_string(), "224.0.0.19");
        assert!(vrrp.strict);
        let (_, messages) = globals("vrrp_version 4\nvrrp_mcast_group4 10.0.0.1");
        assert!(
            messages[0].contains("'4' is not a whole number in 2..=3"),
            "{messages:?}"
        );
        assert!(
            messages[1].contains("'10.0.0.1' is not an IPv4 multicast"),
            "{messages:?}"
        );
    }

    #[test]
    fn switches_and_counts_of_virtual_routers() {
        let vrrp = clean(
            "vrrp_min_garp\nvrrp_lower_prio_no_advert on\nvrrp_higher_prio_send_advert no\n\
             vrrp_check_unicast_src\nvrrp_down_timer_adverts 5\nvrrp_garp_lower_prio_delay 7\n\
             vrrp_garp_lower_prio_repeat 0\nvrrp_garp_extra_if all 100\nlog_unknown_vrids",
        )
        .vrrp;
        assert!(vrrp.min_garp && vrrp.lower_prio_no_advert && !vrrp.higher_prio_send_advert);
        assert!(vrrp.check_unicast_source && vrrp.log_unknown_vrids);
        assert_eq!(
            (vrrp.down_timer_adverts, vrrp.garp_extra_if),
            (5, (100, true))
        );
        assert_eq!(vrrp.garp_lower_prio_delay, Some(Duration::from_secs(7)));
        assert_eq!(vrrp.garp_lower_prio_repeat, Some(0));
        let (_, messages) = globals("vrrp_down_timer_adverts 101\nvrrp_garp_master_repeat 0");
        assert!(
            messages[0].contains("'101' is not a whole number in 1..=100"),
            "{messages:?}"
        );
        assert!(
            messages[1].contains("0 is not over 0, set to 1"),
            "{messages:?}"
        );
    }
}
