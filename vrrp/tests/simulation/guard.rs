//! The guard: with a lease at most one host has the addresses, whatever the network does. §4.4.
//!
//! `VRRP_SCHEDULES` sets how many schedules are drawn: half of them with pauses as declared, half with
//! longer ones and lifetimes; a tenth of these also without a lease.

use core::ops::Range;
use core::time::Duration;

use lvs_vrrp::GuardStatus;
use lvs_vrrp::event::ShutdownMode;
use lvs_vrrp::lease::{LeaseConfig, MemoryStore};
use lvs_vrrp::sim::{HostId, Lan, Link, Overlap, Pace, Random, RouterHost, Step, What};

use crate::{KEY, config, every, ms};

/// What is declared: S, and J.
const STOPPING: Duration = ms(300);
pub(crate) const DELAY: Duration = ms(500);
/// The host's part of J is this, and pauses have the rest.
pub(crate) const LATENESS: Duration = ms(100);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Guard {
    None,
    /// Pauses stay within J.
    Lease,
    /// The addresses have a lifetime, and pauses are as long as they like.
    LeaseAndLifetime,
}

/// What both kinds of host declare.
pub(crate) fn lease(stores: u8, preempts: bool) -> LeaseConfig {
    let config = LeaseConfig::new(ms(6000), STOPPING, DELAY).unwrap();
    let config = config.with_stores(stores).unwrap();
    if preempts {
        config.with_preemption(ms(3600)).unwrap()
    } else {
        config
    }
}

fn host(index: u8, priority: u8, guard: Guard, lease: LeaseConfig) -> RouterHost {
    let config = config(priority).with_interval(every(100));
    let source = [192, 0, 2, index + 1].into();
    match guard {
        Guard::None => RouterHost::new().with_router(config, source),
        Guard::Lease | Guard::LeaseAndLifetime => {
            let has_lifetime = guard == Guard::LeaseAndLifetime;
            RouterHost::new().with_leased_router(config, source, lease, index.into(), has_lifetime)
        }
    }
    .unwrap()
}

/// A network and what happens to it in half a minute, drawn from the seed; the same for every guard.
fn run(seed: u64, guard: Guard) -> Lan<RouterHost> {
    let mut random = Random::new(seed);
    let mut lan = Lan::new(seed);
    let link = Link::default().with_delay(random.up_to(ms(20)));
    let link = link.with_jitter(random.up_to(ms(200)));
    lan.set_link(link.with_loss(u32::try_from(random.below(200_000)).unwrap()));
    let link = Link::default().with_delay(random.up_to(ms(50)));
    let link = link.with_jitter(random.up_to(ms(150)));
    lan.set_store_link(link.with_loss(u32::try_from(random.below(100_000)).unwrap()));

    // Clocks of hosts and stores differ by less than 1000 ppm.
    let rate = |random: &mut Random| i32::try_from(random.below(981)).unwrap() - 490;
    let stores = [1, 3][usize::try_from(random.below(2)).unwrap()];
    for _ in 0..stores {
        lan.add_store(MemoryStore::new().with_clock_rate_ppm(rate(&mut random)));
    }
    let lease = lease(stores, random.happens(500_000));
    let mut hosts = Vec::new();
    for index in 0..2 + u8::try_from(random.below(2)).unwrap() {
        let priority = [200, 150, 100][usize::from(index)];
        let id = lan.add(host(index, priority, guard, lease));
        lan.set_clock(id, random.up_to(ms(100_000)), rate(&mut random));
        lan.set_lateness(id, LATENESS);
        // The slowest that was declared, for a third of them always.
        let least = [Duration::ZERO, STOPPING][usize::from(random.happens(333_333))];
        lan.set_pace(id, Step::Remove, Pace::between(least, STOPPING));
        lan.start(id);
        hosts.push(id);
    }
    lan.run_for(ms(5000));
    for _ in 0..8 {
        happen(&mut lan, &hosts, guard, &mut random);
        // Two pauses do not follow each other as one.
        lan.run_for(ms(1000) + random.up_to(ms(5000)));
        for id in &hosts {
            lan.start(*id);
        }
    }
    lan
}

fn happen(lan: &mut Lan<RouterHost>, hosts: &[HostId], guard: Guard, random: &mut Random) {
    let mut draw = || hosts[usize::try_from(random.below(100)).unwrap() % hosts.len()];
    let (one, other) = (draw(), draw());
    let long = random.up_to(ms(15_000));
    let short = random.up_to(DELAY - LATENESS);
    match random.below(11) {
        0 | 1 => lan.partition(&[one]),
        2 if one != other => lan.cut(one, other),
        3 => {
            lan.partition(&[one]);
            lan.cut_from_stores(one);
        }
        4 => lan.cut_from_stores(one),
        5 if guard == Guard::Lease => lan.pause(one, short),
        5 => lan.pause(one, long),
        6 => lan.crash(one),
        7 => {
            lan.stop(one, ShutdownMode::Graceful);
            lan.run_for(ms(1000));
            lan.crash(one);
        }
        8 | 9 => {
            // The worst: no renewal, and the process stands still when it should stop.
            lan.partition(&[one]);
            lan.cut_from_stores(one);
            let early = random.up_to(ms(20));
            if let Some(time) = until_the_end(lan, one) {
                lan.run_for(time.saturating_sub(early));
                lan.pause(one, DELAY - LATENESS);
            }
        }
        _ => lan.mend(),
    }
}

/// How long this host may have the addresses as it stands.
fn until_the_end(lan: &mut Lan<RouterHost>, host: HostId) -> Option<Duration> {
    let mut time = None;
    lan.with(host, |host, now, _| {
        let guard = host.router(KEY).unwrap().guard();
        if let GuardStatus::Held { until, .. } = guard {
            time = until.checked_sub(now);
        }
    });
    time
}

pub(crate) fn schedules() -> u64 {
    std::env::var("VRRP_SCHEDULES").map_or(10_000, |text| text.parse().unwrap())
}

/// How many of the schedules had an overlap, and in how many the addresses were installed at all.
fn overlaps(guard: Guard, seeds: Range<u64>) -> (u64, u64) {
    let (mut overlapping, mut served) = (0, 0);
    for seed in seeds.clone() {
        let lan = run(seed, guard);
        let entries = lan.trace().entries().iter();
        let installed = entries.filter(|entry| entry.what == What::Installed);
        served += u64::from(installed.count() > 0);
        overlapping += u64::from(!lan.overlaps().is_empty());
        assert!(
            guard == Guard::None || lan.overlaps().is_empty(),
            "seed {seed}, {guard:?}: {:?}\n{}",
            lan.overlaps(),
            lan.trace()
        );
    }
    eprintln!(
        "{guard:?}: {overlapping} with an overlap, {served} with a holder, of {}",
        seeds.count()
    );
    (overlapping, served)
}

/// `VRRP-216`
#[test]
fn with_a_lease_addresses_are_never_in_two_places() {
    let half = schedules() / 2;
    let (_, served) = overlaps(Guard::Lease, 0..half);
    assert!(served >= half * 9 / 10, "{served}");
}

/// `VRRP-216`: pauses beyond J, and the kernel removes the addresses in time.
#[test]
fn with_a_lifetime_they_are_not_either_however_long_the_pause() {
    let half = schedules() / 2;
    let (_, served) = overlaps(Guard::LeaseAndLifetime, half..2 * half);
    assert!(served >= half * 9 / 10, "{served}");
}

/// The same schedules can bring about what the lease prevents.
#[test]
fn without_a_lease_they_are() {
    let (half, some) = (schedules() / 2, schedules() / 10);
    let (overlapping, _) = overlaps(Guard::None, half..half + some);
    assert!(overlapping > some / 2, "{overlapping}");
}

/// Host 0 has the lease, does not reach the store from 10 s on, and is paused for this long a moment
/// before it would stop.
fn paused(pause: Duration, removal: Duration, guard: Guard) -> (Lan<RouterHost>, Vec<Overlap>) {
    let lease = lease(1, false);
    let mut lan = Lan::new(1);
    // The store's clock is as much faster as was declared.
    lan.add_store(MemoryStore::new().with_clock_rate_ppm(1000));
    let hosts =
        [0, 1].map(|index| lan.add(host(index, [200, 100][usize::from(index)], guard, lease)));
    lan.set_pace(hosts[0], Step::Remove, Pace::between(removal, removal));
    for id in hosts {
        lan.start(id);
    }
    lan.run_until(ms(10_000));
    assert_eq!(lan.holders(KEY), &hosts[..1]);
    lan.partition(&hosts[..1]);
    lan.cut_from_stores(hosts[0]);
    let machine = lan.host(hosts[0]).unwrap().router(KEY).unwrap();
    let GuardStatus::Held { until, .. } = machine.guard() else {
        unreachable!("it has the addresses");
    };
    lan.run_until(until - Duration::from_nanos(1));
    lan.pause(hosts[0], pause);
    lan.run_for(ms(20_000));
    assert_eq!(lan.holders(KEY), &hosts[1..]);
    let overlaps = lan.overlaps().to_vec();
    (lan, overlaps)
}

/// A pause of J is borne, one that is longer is not, by as little as the other host takes to ask
/// again; with a lifetime none does harm.
#[test]
fn the_first_overlap_comes_with_a_pause_beyond_the_bound() {
    let retry = lease(1, false).request_timeout();
    let mut first = None;
    for millis in (0..2000).step_by(5) {
        let (_, overlaps) = paused(ms(millis), STOPPING, Guard::Lease);
        if !overlaps.is_empty() && first.is_none() {
            first = Some(ms(millis));
        }
        let (_, overlaps) = paused(ms(millis), STOPPING, Guard::LeaseAndLifetime);
        assert_eq!(overlaps, []);
    }
    let first = first.unwrap();
    eprintln!("first overlap with a pause of {first:?}, retry {retry:?}");
    assert!(
        first > DELAY && first <= DELAY + retry + ms(10),
        "{first:?}"
    );
}

/// OP-4: a removal that overruns its bound is reported as a breach, and the lifetime has ended before.
#[test]
fn a_removal_that_is_too_slow_is_a_breach() {
    let told = |lan: &Lan<RouterHost>| {
        let entries = lan.trace().entries().iter();
        entries
            .filter(|entry| matches!(entry.what, What::Breach(_)))
            .count()
    };
    let (lan, _) = paused(Duration::ZERO, STOPPING, Guard::Lease);
    assert_eq!(told(&lan), 0);
    for guard in [Guard::Lease, Guard::LeaseAndLifetime] {
        let (lan, overlaps) = paused(Duration::ZERO, ms(5000), guard);
        assert_eq!(told(&lan), 1, "{}", lan.trace());
        assert_eq!(overlaps.is_empty(), guard == Guard::LeaseAndLifetime);
        assert_eq!(
            lan.trace()
                .entries()
                .iter()
                .any(|e| e.what == What::Expired),
            overlaps.is_empty()
        );
    }
}
