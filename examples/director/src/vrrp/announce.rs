//! Announcements: a node has one set of settings, keepalived one for each virtual router.

use core::time::Duration;

use lvs_vrrp::announce::AnnounceSettings;

use super::plan::Messages;
use crate::keepalived::VrrpGlobals;
use crate::keepalived::vrrp::{Announce, VrrpInstance};

/// The settings of the first virtual router, with which the others are compared.
pub(super) fn settings(
    instances: &[&VrrpInstance],
    globals: &VrrpGlobals,
    messages: &mut Messages,
) -> AnnounceSettings {
    let mut settings = AnnounceSettings::default();
    let spacing = globals.garp_interval.max(globals.gna_interval);
    if !spacing.is_zero() {
        settings.spacing = spacing;
    }
    let Some(first) = instances.first() else {
        return settings;
    };
    let announce = &first.announce;
    let name = &first.name;
    let mut count = |keyword: &str, value: u32| {
        u8::try_from(value).unwrap_or_else(|_| {
            let message =
                format!("vrrp_instance {name}: {keyword} {value} is over 255, set to 255");
            messages.warning(first.place(keyword), message);
            u8::MAX
        })
    };
    settings.repeat = count("garp_master_repeat", announce.master_repeat);
    settings.refresh_repeat = count("garp_master_refresh_repeat", announce.master_refresh_repeat);
    settings.losing_repeat = count("garp_lower_prio_repeat", announce.lower_priority_repeat);
    settings.second_round = some(announce.master_delay);
    settings.refresh = some(announce.master_refresh);
    for instance in instances {
        compare(instance, first, messages);
    }
    settings
}

fn some(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}

fn compare(instance: &VrrpInstance, first: &VrrpInstance, messages: &mut Messages) {
    let name = &instance.name;
    if !instance.announce.extra_interface.is_zero() {
        let message = format!("vrrp_instance {name}: garp_extra_if is not supported; ignored");
        messages.warning(instance.place("garp_extra_if"), message);
    }
    // Whether there is any after a losing advertisement is a switch of the router.
    let relevant = |announce: &Announce| {
        (
            announce.master_delay,
            announce.master_repeat,
            announce.master_refresh,
            announce.master_refresh_repeat,
        )
    };
    let lower = |instance: &VrrpInstance| match instance.announce.lower_priority_repeat {
        0 => first.announce.lower_priority_repeat,
        count => count,
    };
    let is_same = relevant(&instance.announce) == relevant(&first.announce)
        && lower(instance) == first.announce.lower_priority_repeat;
    if !is_same {
        let message = format!(
            "vrrp_instance {name}: other garp_ settings than vrrp_instance {}; those of {} count \
             for all",
            first.name, first.name
        );
        messages.warning(&instance.position, message);
    }
    if instance.announce.lower_priority_delay != instance.announce.master_delay {
        let message = format!(
            "vrrp_instance {name}: garp_lower_prio_delay is not supported: there is one round after \
             a losing advertisement; ignored"
        );
        messages.warning(instance.place("garp_lower_prio_delay"), message);
    }
}
