//! Announcements: their rounds, of each virtual router, and their pace, of each interface.

use core::time::Duration;
use std::collections::BTreeMap;

use lvs_vrrp::announce::{AnnounceSettings, Rounds};

use crate::keepalived::Messages;
use crate::keepalived::VrrpGlobals;
use crate::keepalived::vrrp::{GarpGroup, VrrpInstance};

/// What all virtual routers share.
pub(super) fn settings(globals: &VrrpGlobals) -> AnnounceSettings {
    let mut settings = AnnounceSettings::default();
    let spacing = globals.garp_interval.max(globals.gna_interval);
    if !spacing.is_zero() {
        settings.spacing = spacing;
    }
    settings
}

/// When a virtual router announces its addresses, and how often. Whether it does after a losing
/// advertisement is a switch.
pub(super) fn rounds(instance: &VrrpInstance, messages: &mut Messages) -> Rounds {
    let (announce, name) = (&instance.announce, &instance.name);
    let mut count = |keyword: &str, value: u32| {
        u8::try_from(value).unwrap_or_else(|_| {
            let message =
                format!("vrrp_instance {name}: {keyword} {value} is over 255, set to 255");
            messages.warning(instance.place(keyword), message);
            u8::MAX
        })
    };
    let mut rounds = Rounds::default();
    rounds.repeat = count("garp_master_repeat", announce.master_repeat);
    rounds.refresh_repeat = count("garp_master_refresh_repeat", announce.master_refresh_repeat);
    rounds.losing_repeat = count("garp_lower_prio_repeat", announce.lower_priority_repeat);
    rounds.second_round = some(announce.master_delay);
    rounds.refresh = some(announce.master_refresh);
    rounds.losing_second_round = some(announce.lower_priority_delay);
    if !announce.extra_interface.is_zero() {
        let message = format!("vrrp_instance {name}: garp_extra_if is not supported; ignored");
        messages.warning(instance.place("garp_extra_if"), message);
    }
    rounds
}

fn some(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}

/// The space between announcements of each interface that is in a group. Interfaces are paced by
/// themselves: each gets its share, so that together they are never faster than the group.
pub(super) fn spacings(
    groups: &[GarpGroup],
    messages: &mut Messages,
) -> BTreeMap<String, Duration> {
    let mut spacings = BTreeMap::new();
    for group in groups {
        let spacing = group.garp_interval.max(group.gna_interval);
        let count = u32::try_from(group.interfaces.len()).unwrap_or(u32::MAX);
        let share = spacing.saturating_mul(count);
        if count > 1 {
            let message = format!(
                "garp_group: its {count} interfaces are paced each by itself: by {share:?}, so that \
                 together they keep {spacing:?}"
            );
            messages.note(&group.position, message);
        }
        for interface in &group.interfaces {
            spacings.insert(interface.clone(), share);
        }
    }
    spacings
}
