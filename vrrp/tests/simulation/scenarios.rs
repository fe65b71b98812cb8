//! Scenarios of two and more routers.

use core::time::Duration;

use lvs_vrrp::checksum::{ChecksumForm, TxChecksum};
use lvs_vrrp::event::{Notification, ShutdownMode};
use lvs_vrrp::profile::StallPolicy;
use lvs_vrrp::receive::Versions;
use lvs_vrrp::sim::{Lan, Link, RouterHost, RouterKey, What};
use lvs_vrrp::{AddressList, Family, Priority, Profile, RouterConfig, State, Version};

use crate::{KEY, assert_active, config, count, every, lan, ms, promoted, started, state};

#[test]
fn of_two_that_start_together_the_better_is_the_only_active() {
    let (mut lan, hosts) = started(1, [config(100), config(200)]);
    lan.run_for(ms(60_000));
    assert_active(&lan, &hosts, &[hosts[1]]);
    assert_eq!(promoted(&lan), [hosts[1]]);
    assert_eq!(lan.overlaps(), []);
}

/// `VRRP-130`: the neighbours' skews are 3.9 ms apart, so that only a slower network lets the second
/// one time out as well.
#[test]
fn a_resignation_promotes_one_backup_if_skews_differ_by_more_than_the_delay() {
    for (delay, becomes) in [(1, &[0][..]), (5, &[0, 1][..])] {
        let (mut lan, hosts) = lan(1, [config(200), config(199), config(100), config(255)]);
        lan.set_link(Link::default().with_delay(ms(delay)));
        for host in &hosts {
            lan.start(*host);
        }
        lan.run_for(ms(5000));
        assert_eq!(promoted(&lan), [hosts[3]]);
        lan.stop(hosts[3], ShutdownMode::Graceful);
        lan.run_for(ms(5000));
        let after = promoted(&lan);
        let expected: Vec<_> = becomes.iter().map(|index| hosts[*index]).collect();
        assert_eq!(after[1..], expected, "{}", lan.trace());
        assert_active(&lan, &hosts[..3], &[hosts[0]]);
    }
}

/// `VRRP-213`: a cut network has two Active routers; when it is mended the winner announces again.
#[test]
fn the_winner_of_a_healed_partition_announces_again() {
    let (mut lan, hosts) = started(1, [config(200), config(100)]);
    lan.run_for(ms(10_000));
    lan.partition(&hosts[..1]);
    lan.run_for(ms(10_000));
    assert_active(&lan, &hosts, &hosts);
    let announced = |lan: &Lan<RouterHost>| {
        let entries = lan.trace().entries().iter();
        entries
            .filter(|entry| entry.host == hosts[0] && entry.what == What::Announced)
            .count()
    };
    let before = announced(&lan);
    lan.mend();
    lan.run_for(ms(3000));
    assert_active(&lan, &hosts, &hosts[..1]);
    assert_eq!(announced(&lan), before + 1, "{}", lan.trace());
    assert_eq!(lan.overlaps().len(), 1);
}

#[test]
fn without_preemption_a_better_router_that_returns_waits() {
    for (preempts, active) in [(true, 0), (false, 1)] {
        let config = |priority| config(priority).with_preempt(preempts);
        let (mut lan, hosts) = started(1, [config(200), config(100)]);
        lan.run_for(ms(10_000));
        lan.crash(hosts[0]);
        lan.run_for(ms(10_000));
        assert_eq!(state(&lan, hosts[1], KEY), State::Active);
        lan.start(hosts[0]);
        lan.run_for(ms(10_000));
        assert_active(&lan, &hosts, &hosts[active..=active]);
    }
}

#[test]
fn an_owner_that_returns_is_active_at_once() {
    let backup = config(100).with_preempt(false);
    let (mut lan, hosts) = started(1, [config(255), backup]);
    lan.run_for(ms(5000));
    lan.crash(hosts[0]);
    lan.run_for(ms(5000));
    assert_eq!(lan.holders(KEY), &hosts[1..]);
    lan.start(hosts[0]);
    lan.run_for(ms(10));
    assert_active(&lan, &hosts, &hosts[..1]);
}

/// Two that become Active at the same time: the greater address stays, in both families.
#[test]
fn of_equal_priorities_the_greater_address_wins() {
    let v6 = |_| {
        let addresses = AddressList::new(["fe80::100".parse().unwrap()]).unwrap();
        RouterConfig::new(KEY.vrid, addresses)
    };
    for (family, configs) in [
        (Family::Ipv4, [config(100), config(100)]),
        (Family::Ipv6, [0, 1].map(v6)),
    ] {
        let (mut lan, hosts) = started(1, configs);
        lan.run_for(ms(10_000));
        let key = RouterKey { family, ..KEY };
        assert_eq!(state(&lan, hosts[0], key), State::Backup);
        assert_eq!(state(&lan, hosts[1], key), State::Active);
        assert_eq!(lan.overlaps().len(), 1, "both were Active at first");
    }
}

/// Of ten packets one is lost: a Backup that needs three lost in a row is promoted now and then, and
/// gives way again within an interval.
#[test]
fn a_lossy_link_splits_for_an_interval_at_most() {
    for interval in [1, 100] {
        let config = |priority| config(priority).with_interval(every(interval));
        let (mut lan, hosts) = started(1, [config(200), config(100)]);
        let link = Link::default().with_delay(Duration::from_micros(100));
        lan.set_link(link.with_loss(100_000));
        let cycle = every(interval).as_duration();
        lan.run_for(cycle * 20_000);
        lan.set_link(link);
        lan.run_for(cycle * 10);
        assert_active(&lan, &hosts, &hosts[..1]);
        let overlaps = lan.overlaps();
        assert!(
            (3..60).contains(&overlaps.len()),
            "{} overlaps",
            overlaps.len()
        );
        for overlap in overlaps {
            let length = overlap.until.unwrap() - overlap.from;
            assert!(length <= cycle * 4, "{length:?}");
        }
    }
}

#[test]
fn a_backup_that_does_not_hear_is_a_second_active_until_the_link_is_mended() {
    let (mut lan, hosts) = started(1, [config(200), config(100)]);
    lan.run_for(ms(5000));
    lan.cut(hosts[0], hosts[1]);
    lan.run_for(ms(5000));
    // The other direction is whole: the better one hears it and stays.
    assert_active(&lan, &hosts, &hosts);
    lan.mend();
    lan.run_for(ms(1100));
    assert_active(&lan, &hosts, &hosts[..1]);
}

#[test]
fn clocks_that_differ_by_200_ppm_do_no_harm() {
    let (mut lan, hosts) = lan(1, [config(200), config(199), config(100)]);
    for (host, rate) in hosts.iter().zip([-200, 200, 0]) {
        lan.set_clock(*host, ms(77_777), rate);
        lan.start(*host);
    }
    lan.run_for(Duration::from_secs(3600));
    assert_eq!(promoted(&lan), hosts[..1]);
    assert_active(&lan, &hosts, &hosts[..1]);
}

/// A router of VRRPv2 and those of VRRPv3 do not hear each other; one that speaks both hears all.
#[test]
fn a_v2_router_among_v3_routers_is_heard_by_one_that_speaks_both() {
    let v2 = config(150).with_versions(Versions::Only(Version::V2));
    let (mut lan, hosts) = started(1, [config(200), v2.clone()]);
    lan.run_for(ms(10_000));
    assert_active(&lan, &hosts, &hosts);
    assert!(lan.host(hosts[0]).unwrap().rejected() > 0);

    let dual = config(200).with_versions(Versions::Dual);
    let (mut lan, hosts) = started(1, [dual, v2, config(100)]);
    lan.run_for(ms(10_000));
    assert_active(&lan, &hosts, &hosts[..1]);
}

/// `VRRP-022`: a fast Backup that starts beside a slow Active may not hear it in time; the next
/// advertisement of the Active ends that, and is reported as a flap.
#[test]
fn a_fast_backup_upsets_a_slow_active_until_its_next_advertisement() {
    let slow = config(200).with_interval(every(400));
    let fast = config(100).with_interval(every(50));
    let (mut lan, hosts) = lan(1, [slow, fast]);
    lan.start(hosts[0]);
    // Active at 12.875 s, advertising every 4 s.
    lan.run_until(ms(13_000));
    assert_eq!(lan.holders(KEY), &hosts[..1]);
    lan.start(hosts[1]);
    lan.run_for(ms(30_000));
    assert_active(&lan, &hosts, &hosts[..1]);
    assert_eq!(promoted(&lan), [hosts[0], hosts[1]], "once, and no more");
    let observed = count(&lan, |_, told| {
        matches!(told, Notification::Flap(_) | Notification::LosingAdvert(_))
    });
    assert!(observed > 0);
}

/// `VRRP-137`: queues that hold advertisements back for longer than the down interval make a Backup
/// flap, and it counts that.
#[test]
fn flapping_through_queues_is_counted() {
    let config = |priority| config(priority).with_interval(every(1));
    let (mut lan, hosts) = started(1, [config(200), config(100)]);
    lan.run_for(ms(500));
    for _ in 0..5 {
        // A queue: what is sent meanwhile is 30 ms on the way, and the Backup waits for 36 ms.
        lan.set_link_between(hosts[0], hosts[1], Link::default().with_delay(ms(30)));
        lan.run_for(ms(20));
        lan.set_link_between(hosts[0], hosts[1], Link::default().with_delay(ms(1)));
        lan.run_for(ms(480));
    }
    let machine = lan.host(hosts[1]).unwrap().router(KEY).unwrap();
    let flaps = machine.counters().flaps;
    assert!(flaps >= 3, "{flaps}\n{}", lan.trace());
    let told = count(&lan, |host, told| {
        host == hosts[1] && matches!(told, Notification::Flap(_))
    });
    assert_eq!(u64::try_from(told).unwrap(), flaps);
}

/// `VRRP-202`: one peer of each form; what is sent does not go to and fro.
#[test]
fn the_checksum_form_does_not_flap_between_peers() {
    let fixed = |priority, form| {
        let mut switches = Profile::Linux.switches();
        switches.tx_checksum = TxChecksum::Fixed(form);
        config(priority).with_switches(switches)
    };
    let (mut lan, hosts) = started(
        1,
        [
            config(150),
            fixed(200, ChecksumForm::MessageOnly),
            fixed(100, ChecksumForm::PseudoHeader),
        ],
    );
    let form = |lan: &Lan<RouterHost>| lan.host(hosts[0]).unwrap().checksum_form(KEY).unwrap();
    lan.run_for(ms(10_000));
    assert_eq!(form(&lan), ChecksumForm::MessageOnly, "the only one heard");
    // The third one hears nobody any more, and is Active too: there is one of each now.
    lan.cut(hosts[1], hosts[2]);
    lan.cut(hosts[0], hosts[2]);
    lan.run_for(ms(10_000));
    for _ in 0..100 {
        lan.run_for(ms(100));
        assert_eq!(form(&lan), ChecksumForm::PseudoHeader, "the default");
    }
}

/// `VRRP-210`: an Active that was paused for longer than the others wait.
#[test]
fn after_a_pause_an_active_does_what_its_policy_says() {
    for policy in [
        StallPolicy::Assert,
        StallPolicy::Listen,
        StallPolicy::StepDown,
    ] {
        let mut switches = Profile::Linux.switches();
        switches.stall = policy;
        let (mut lan, hosts) = started(1, [200, 100].map(|p| config(p).with_switches(switches)));
        lan.run_for(ms(10_000));
        lan.pause(hosts[0], ms(10_000));
        lan.run_for(ms(9_999));
        // The kernel of the paused one still has the addresses.
        assert_eq!(lan.holders(KEY), &hosts[..]);
        lan.run_for(ms(2));
        let stalled = count(&lan, |_, told| matches!(told, Notification::Stalled { .. }));
        assert_eq!(stalled, 1, "{policy:?}");
        let expected = if policy == StallPolicy::StepDown {
            State::Backup
        } else {
            State::Active
        };
        assert_eq!(state(&lan, hosts[0], KEY), expected, "{policy:?}");
        lan.run_for(ms(20_000));
        assert_active(&lan, &hosts, &hosts[..1]);
        assert_eq!(lan.holders(KEY), &hosts[..1]);
    }
}

/// `VRRP-207`: what waited in the socket of a paused Backup is heard before its deadline is looked
/// at.
#[test]
fn a_backup_that_was_paused_hears_what_waited_first() {
    let (mut lan, hosts) = started(1, [config(200), config(100)]);
    lan.run_for(ms(10_000));
    lan.pause(hosts[1], ms(20_000));
    lan.run_for(ms(40_000));
    assert_eq!(promoted(&lan), hosts[..1]);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let (mut lan, hosts) = started(seed, [config(200), config(199), config(198)]);
        let link = Link::default().with_delay(ms(1)).with_jitter(ms(900));
        let link = link.with_loss(300_000).with_duplication(100_000);
        lan.set_link(link.with_reordering(500_000));
        lan.set_lateness(hosts[1], ms(100));
        lan.run_for(Duration::from_secs(200));
        lan.trace().to_string()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_trace_can_be_read() {
    let (mut lan, _) = started(1, [config(200)]);
    lan.run_for(ms(4000));
    let text = lan.trace().to_string();
    assert_eq!(
        text,
        "     0.000000000  host 0  started\n     \
         0.000000000  host 0  IPv4 10  Backup, Startup\n     \
         3.218750000  host 0  IPv4 10  addresses installed\n     \
         3.218750000  host 0  IPv4 10  addresses announced\n     \
         3.218750000  host 0  IPv4 10  Active, ActiveTimeout\n"
    );
}

/// A priority that falls below that of the other: it takes over within its running down interval.
#[test]
fn a_priority_that_falls_hands_over() {
    let (mut lan, hosts) = started(1, [config(200), config(150)]);
    lan.run_for(ms(10_000));
    lan.with(hosts[0], |host, now, out| {
        host.tell(now, KEY, lvs_vrrp::Event::Contribution(-100), out);
    });
    lan.run_for(ms(3_500));
    assert_active(&lan, &hosts, &hosts[1..]);
    let machine = lan.host(hosts[0]).unwrap().router(KEY).unwrap();
    assert_eq!(machine.effective_priority(), Priority::new(100));
}
