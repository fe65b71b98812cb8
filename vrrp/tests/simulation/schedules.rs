//! Thousands of random schedules for nodes with a lease: partitions, cuts from the stores, pauses,
//! crashes, kills, wrong clocks, and address work that is slow or fails. §4.4, OP-4.
//!
//! `VRRP_SCHEDULES` sets how many are drawn: half of them within the bounds that are declared, half
//! beyond; a tenth of these also without a lease.

use core::ops::Range;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use lvs_vrrp::event::ShutdownMode;
use lvs_vrrp::lease::MemoryStore;
use lvs_vrrp::node::ReportKind;
use lvs_vrrp::sim::{HostId, Lan, Link, NodeHost, Pace, Random, Step, What};

use crate::guard::{DELAY, LATENESS, lease, schedules};
use crate::ms;
use crate::nodes::host;

/// Together S: an installation under way has to be over first, and the lease is released when what
/// was prepared is undone.
const INSTALL: Duration = ms(100);
const REMOVAL: Duration = ms(150);
const SETTLE: Duration = ms(50);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// Everything stays within what is declared.
    Declared,
    /// Pauses are as long as they like, processes are killed, work fails and overruns its bounds; the
    /// addresses have a lifetime.
    Beyond,
    /// The same without a lease, nor lifetimes.
    Unguarded,
}

/// Two or three nodes of two routers each, and half a minute, drawn from the seed.
fn run(seed: u64, kind: Kind) -> Lan<NodeHost> {
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
        let node = match kind {
            Kind::Declared => host(index, [priority; 2], Some(lease)),
            Kind::Beyond => {
                host(index, [priority; 2], Some(lease)).with_address_lifetime(ms(10_000))
            }
            Kind::Unguarded => host(index, [priority; 2], None),
        };
        let id = lan.add(node);
        lan.set_clock(id, random.up_to(ms(100_000)), rate(&mut random));
        lan.set_lateness(id, LATENESS);
        set_paces(&mut lan, id, kind, &mut random);
        lan.start(id);
        hosts.push(id);
    }
    lan.run_for(ms(5000));
    for _ in 0..8 {
        happen(&mut lan, &hosts, kind, &mut random);
        // Two pauses do not follow each other as one.
        lan.run_for(ms(1000) + random.up_to(ms(5000)));
        for id in &hosts {
            lan.start(*id);
        }
    }
    lan
}

fn set_paces(lan: &mut Lan<NodeHost>, id: HostId, kind: Kind, random: &mut Random) {
    // For a third of them always the slowest.
    let always = random.happens(333_333);
    let pace = |most| Pace::between(if always { most } else { Duration::ZERO }, most);
    let fails = |pace: Pace| match kind {
        Kind::Declared => pace,
        _ => pace.with_failures(100_000),
    };
    let removal = match kind {
        Kind::Declared => REMOVAL,
        _ if random.happens(500_000) => ms(5000),
        _ => REMOVAL,
    };
    lan.set_pace(id, Step::Prepare, fails(pace(ms(400))));
    lan.set_pace(id, Step::Install, fails(pace(INSTALL)));
    lan.set_pace(id, Step::Remove, fails(pace(removal)));
    lan.set_pace(id, Step::Settle, fails(pace(SETTLE)));
}

fn happen(lan: &mut Lan<NodeHost>, hosts: &[HostId], kind: Kind, random: &mut Random) {
    let mut draw = || hosts[usize::try_from(random.below(100)).unwrap() % hosts.len()];
    let (one, other) = (draw(), draw());
    let long = random.up_to(ms(15_000));
    let short = random.up_to(DELAY - LATENESS);
    let is_beyond = kind != Kind::Declared;
    match random.below(12) {
        0 | 1 => lan.partition(&[one]),
        2 if one != other => lan.cut(one, other),
        3 => {
            lan.partition(&[one]);
            lan.cut_from_stores(one);
        }
        4 => lan.cut_from_stores(one),
        5 => lan.pause(one, if is_beyond { long } else { short }),
        6 => lan.crash(one),
        7 if is_beyond => lan.kill(one),
        7 | 8 => {
            lan.stop(one, ShutdownMode::Graceful);
            lan.run_for(ms(1000));
            lan.crash(one);
        }
        9 | 10 => {
            // The worst: no renewal, and the process stands still when it should stop.
            lan.partition(&[one]);
            lan.cut_from_stores(one);
            let early = random.up_to(ms(20));
            if let Some(time) = until_the_end(lan, one) {
                lan.run_for(time.saturating_sub(early));
            }
            lan.pause(one, if is_beyond { long } else { DELAY - LATENESS });
        }
        _ => lan.mend(),
    }
}

/// How long this host may have the addresses as it stands.
fn until_the_end(lan: &mut Lan<NodeHost>, host: HostId) -> Option<Duration> {
    let mut time = None;
    lan.with(host, |host, now, _| {
        let stop_at = host.lease().and_then(lvs_vrrp::Lease::stop_at);
        time = stop_at.and_then(|at| at.checked_sub(now));
    });
    time
}

/// What is counted.
#[derive(Debug, Default)]
struct Sum {
    overlapping: u64,
    served: u64,
    failed_removals: u64,
    late_removals: u64,
    expired: u64,
    breaches: u64,
}

impl Sum {
    fn add(&mut self, lan: &Lan<NodeHost>) {
        self.overlapping += u64::from(!lan.overlaps().is_empty());
        self.served += u64::from(!lan.holdings().is_empty());
        for entry in lan.trace().entries() {
            match entry.what {
                What::Trouble(ReportKind::RemoveFailed) => self.failed_removals += 1,
                What::Trouble(ReportKind::RemoveLate) => self.late_removals += 1,
                What::Expired => self.expired += 1,
                What::Breach(_) => self.breaches += 1,
                _ => {}
            }
        }
    }
}

/// Every removal that failed was told, unless the process came to an end, or
/// stood still at the end, before it heard of it.
fn assert_failures_are_told(seed: u64, lan: &Lan<NodeHost>) {
    let (mut owed, mut paused) = (BTreeMap::new(), BTreeSet::new());
    for entry in lan.trace().entries() {
        let (host, router) = (entry.host, entry.router.map(|router| router.vrid));
        match entry.what {
            What::Failed(Step::Remove) => *owed.entry((host, router)).or_insert(0_i32) += 1,
            What::Trouble(ReportKind::RemoveFailed) => {
                *owed.entry((host, router)).or_insert(0) -= 1;
            }
            What::Crashed | What::Killed => {
                owed.retain(|(other, _), _| *other != host);
                paused.remove(&host);
            }
            What::Paused(_) => {
                paused.insert(host);
            }
            What::Resumed => {
                paused.remove(&host);
            }
            _ => {}
        }
    }
    owed.retain(|(host, _), count| *count != 0 && !paused.contains(host));
    assert!(owed.is_empty(), "seed {seed}: {owed:?}\n{}", lan.trace());
}

fn sum_up(kind: Kind, seeds: &Range<u64>) -> Sum {
    let half = |offset: u64| {
        let mut sum = Sum::default();
        for seed in seeds.clone().filter(|seed| seed % 2 == offset) {
            let lan = run(seed, kind);
            sum.add(&lan);
            assert!(
                kind == Kind::Unguarded || lan.overlaps().is_empty(),
                "seed {seed}, {kind:?}: {:?}\n{}",
                lan.overlaps(),
                lan.trace()
            );
            assert_failures_are_told(seed, &lan);
        }
        sum
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        let (one, other) = (half(0), other.join().unwrap());
        let sum = Sum {
            overlapping: one.overlapping + other.overlapping,
            served: one.served + other.served,
            failed_removals: one.failed_removals + other.failed_removals,
            late_removals: one.late_removals + other.late_removals,
            expired: one.expired + other.expired,
            breaches: one.breaches + other.breaches,
        };
        eprintln!("{kind:?}, {} schedules: {sum:?}", seeds.end - seeds.start);
        sum
    })
}

/// `VRRP-216`: while what is declared holds, removals as slow as the bound included, no address is at
/// two nodes at the same instant, and no lease ends before the addresses are gone.
#[test]
fn within_the_bounds_a_lease_keeps_addresses_in_one_place() {
    let seeds = 0..schedules() / 2;
    let sum = sum_up(Kind::Declared, &seeds);
    assert!(sum.served >= seeds.end * 9 / 10, "{sum:?}");
    assert_eq!((sum.failed_removals, sum.breaches), (0, 0));
    // A process that was paused learns late of a removal that was in time, and tells it as late.
    assert!(sum.late_removals <= seeds.end / 100, "{sum:?}");
}

/// OP-4: beyond the bounds too, as the kernel removes the addresses before the lease ends; removals
/// that fail or are late are told.
#[test]
fn beyond_the_bounds_the_lifetime_of_addresses_does() {
    let seeds = schedules() / 2..schedules();
    let sum = sum_up(Kind::Beyond, &seeds);
    let count = seeds.end - seeds.start;
    assert!(sum.served >= count * 9 / 10, "{sum:?}");
    let least = count / 10;
    for (count, what) in [
        (sum.failed_removals, "failed"),
        (sum.late_removals, "late"),
        (sum.expired, "expired"),
        (sum.breaches, "breaches"),
    ] {
        assert!(count >= least, "{what}: {sum:?}");
    }
}

/// The same schedules can bring about what lease and lifetime prevent.
#[test]
fn without_a_lease_the_same_schedules_show_two() {
    let count = schedules() / 10;
    let sum = sum_up(Kind::Unguarded, &(schedules() / 2..schedules() / 2 + count));
    assert!(sum.overlapping > count / 2, "{sum:?}");
}
