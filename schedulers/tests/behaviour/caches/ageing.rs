//! Spec §9.1: the timer, to the second, and the limits of the cache.

use core::time::Duration;

use lvs_schedulers::{
    Algorithm, CacheLimit, Context, DestinationEntry, Lblc, Lblcr, Scheduler, Semantics,
};

use super::Caches;

const BOTH: [Algorithm; 2] = [Algorithm::Lblc, Algorithm::Lblcr];

const MINUTE: u64 = 60;
const HALF_HOUR: u64 = 30 * MINUTE;
const DAY: u64 = 86_400;

fn scheduler(
    algorithm: Algorithm,
    semantics: Semantics,
    expiration: u64,
) -> Box<dyn Scheduler<DestinationEntry>> {
    let expiration = Duration::from_secs(expiration);
    match algorithm {
        Algorithm::Lblc => Box::new(Lblc::new(semantics).with_expiration(expiration)),
        _ => Box::new(Lblcr::new(semantics).with_expiration(expiration)),
    }
}

fn caches(algorithm: Algorithm, semantics: Semantics, expiration: u64) -> Caches {
    Caches::with(scheduler(algorithm, semantics, expiration), semantics, &[1])
}

impl Caches {
    fn at(&mut self, secs: u64) -> &mut Self {
        self.now = Duration::from_secs(secs);
        self
    }

    /// Whether there is an entry; the question makes one or uses it.
    fn has(&mut self, number: u32) -> bool {
        let why = self.explain(number);
        let mut lines = why.iter().filter(|line| line.starts_with("203."));
        lines.next().unwrap().contains("is cached, ")
    }

    fn picks(&mut self, numbers: core::ops::Range<u32>) {
        for number in numbers {
            self.pick(number);
        }
    }

    /// How many entries the collections of the pending ticks drop, and for what age.
    fn collected(&mut self) -> Vec<String> {
        let why = self.explain(u32::MAX >> 8);
        let mut lines: Vec<_> = why
            .into_iter()
            .filter(|line| line.contains("collection"))
            .collect();
        for line in &mut lines {
            *line = line
                .replace("collection: ", "")
                .replace(" of the cache's entries dropped, unused for", "");
        }
        lines
    }
}

/// Expiration 1,800 s: the full scans are at 1,800 s, 3,600 s, … after the scheduler was bound.
#[test]
fn spec_9_1_a_full_scan_drops_what_is_unused_for_the_expiration() {
    for algorithm in BOTH {
        for (used, asked, expected) in [
            // Used at 0: unused for exactly 1,800 s at the scan, which is enough.
            (0, HALF_HOUR - 1, true),
            (0, HALF_HOUR, false),
            // Used a second later: the next scan only.
            (1, HALF_HOUR, true),
            (1, 2 * HALF_HOUR - 1, true),
            (1, 2 * HALF_HOUR, false),
            // Around the first scan.
            (HALF_HOUR - 1, 2 * HALF_HOUR, false),
            (HALF_HOUR + 1, 2 * HALF_HOUR, true),
            (HALF_HOUR, 2 * HALF_HOUR - 1, true),
            (HALF_HOUR, 2 * HALF_HOUR, false),
        ] {
            let mut caches = caches(algorithm, Semantics::LINUX_6_1, HALF_HOUR);
            assert!(!caches.at(used).has(0));
            assert_eq!(
                caches.at(asked).has(0),
                expected,
                "{algorithm} {used} {asked}"
            );
        }
    }
}

/// Between two ticks of the timer nothing happens, whatever the fraction of a second.
#[test]
fn spec_9_1_the_tick_is_on_the_full_second_of_the_binding() {
    let mut caches = caches(Algorithm::Lblc, Semantics::LINUX_6_1, HALF_HOUR);
    assert!(!caches.at(0).has(0));
    caches.now = Duration::from_secs(HALF_HOUR) - Duration::from_nanos(1);
    assert_eq!(caches.collected(), [""; 0]);
    caches.now += Duration::from_nanos(1);
    assert_eq!(caches.collected(), ["1 1800 s"]);
}

/// The default is a day; every use counts.
#[test]
fn spec_9_1_an_entry_stays_a_day_after_its_last_use() {
    for algorithm in BOTH {
        let semantics = Semantics::LINUX_6_1;
        let mut caches = Caches::with(algorithm.scheduler(semantics), semantics, &[1]);
        assert!(!caches.at(0).has(0));
        assert!(caches.at(DAY - 1).has(0));
        assert!(caches.at(2 * DAY - 1).has(0), "{algorithm}");
        assert!(caches.at(3 * DAY - 1).has(0));
        // Unused for a day at 4 days - 1 s; the scan comes a second later.
        assert!(!caches.at(4 * DAY).has(0), "{algorithm}");
    }
}

/// A pick that ends with nobody uses the entry, too.
#[test]
fn spec_9_3_the_last_use_counts_even_if_nobody_is_picked() {
    for algorithm in BOTH {
        let mut caches = caches(algorithm, Semantics::LINUX_6_1, 2 * HALF_HOUR);
        assert!(!caches.at(0).has(0));
        caches.edit('A', 0);
        assert_eq!(caches.at(1).pick(0), '-');
        caches.edit('A', 1);
        assert!(caches.at(2 * HALF_HOUR).has(0), "{algorithm}");
    }
}

/// The timer starts when the scheduler is bound, with an empty cache.
#[test]
fn spec_9_1_the_timer_starts_with_the_binding() {
    for algorithm in BOTH {
        let semantics = Semantics::LINUX_6_1;
        let mut caches = caches(algorithm, semantics, HALF_HOUR);
        // The service's clock is 100 s then; ticks are at 160 s, … and full scans at 1,900 s, …
        assert!(!caches.at(100).has(0));
        caches
            .service
            .set_scheduler(scheduler(algorithm, semantics, HALF_HOUR));
        assert!(
            !caches.at(100).has(0),
            "{algorithm}: the new one knows nothing"
        );
        assert!(caches.at(100 + HALF_HOUR - 1).has(0));
        let mut again = Caches::new(algorithm, &[1]);
        again.at(100).pick(0);
        again
            .service
            .set_scheduler(scheduler(algorithm, semantics, HALF_HOUR));
        assert!(!again.at(100).has(0));
        assert!(!again.at(100 + HALF_HOUR).has(0), "{algorithm}");
    }
}

/// One long wait does the same as many short ones.
#[test]
fn spec_9_1_a_jump_is_as_good_as_many_steps() {
    for algorithm in BOTH {
        for expiration in [0, 1, 1_800, 5_000, DAY] {
            let mut steps = caches(algorithm, Semantics::LINUX_6_1, expiration);
            let mut jump = caches(algorithm, Semantics::LINUX_6_1, expiration);
            for caches in [&mut steps, &mut jump] {
                for number in 0..40 {
                    caches.at(u64::from(number) * 97).pick(number);
                }
            }
            let context = |at| Context::new(Duration::from_secs(at));
            for at in (4_000..200_000).step_by(59) {
                // A packet to an address of its own, so that the clock is seen.
                let flow = steps.flow(1_000);
                steps.service.schedule(&flow, &mut context(at));
            }
            let flow = jump.flow(1_000);
            jump.service.schedule(&flow, &mut context(199_999));
            let kept = |caches: &mut Caches| {
                caches.at(199_999);
                (0..40)
                    .filter(|&number| caches.has(number))
                    .collect::<Vec<_>>()
            };
            assert_eq!(
                kept(&mut steps),
                kept(&mut jump),
                "{algorithm} {expiration}"
            );
        }
    }
}

/// However far the time jumps, the ticks cost no more than a few scans; the count that is too high
/// (below) does not change that.
#[test]
fn jumps_of_ages_take_no_time() {
    for algorithm in BOTH {
        for expiration in [0, DAY, u64::MAX] {
            let mut caches = caches(algorithm, Semantics::LINUX_6_1, expiration);
            caches.picks(0..20_000);
            for years in [1_u64, 1_000, 1_000_000, 500_000_000_000] {
                caches.at(years * 365 * DAY).pick(0);
            }
            caches.now = Duration::MAX;
            assert_eq!(caches.pick(0), 'A');
            caches.now = Duration::ZERO;
            assert_eq!(caches.pick(0), 'A');
        }
    }
}

/// A time that goes backwards counts as the last one.
#[test]
fn time_that_goes_backwards_uses_and_drops_nothing_earlier() {
    for algorithm in BOTH {
        let mut caches = caches(algorithm, Semantics::LINUX_6_1, HALF_HOUR);
        assert!(!caches.at(1_700).has(0));
        // Counts as used at 1,700 s.
        assert!(!caches.at(3).has(1));
        assert!(caches.at(HALF_HOUR + 1).has(0), "{algorithm}");
        assert!(
            caches.at(0).has(1),
            "{algorithm}: counts as used at 1,801 s"
        );
        assert!(caches.at(2 * HALF_HOUR).has(1), "{algorithm}");
    }
}

/// More than 16,384 entries: the next tick makes room, a third more than needed, but only of what
/// has been unused for six minutes, and full scans do not come nearer meanwhile.
#[test]
fn spec_9_1_too_many_entries_are_collected_after_six_minutes() {
    for algorithm in BOTH {
        let mut caches = caches(algorithm, Semantics::LINUX_6_1, DAY);
        caches.at(1).picks(0..16_384);
        // Old enough, but not too many; asking makes one more.
        assert_eq!(caches.at(420).collected(), [""; 0], "{algorithm}");
        assert_eq!(caches.at(479).collected(), [""; 0], "{algorithm}");
        let first = caches.at(480).collected();
        // The goal is 1, but the bucket in which it is met is collected to its end.
        let count: usize = first[0].strip_suffix(" 360 s").unwrap().parse().unwrap();
        assert!((1..=40).contains(&count), "{algorithm}: {first:?}");
        assert_eq!(caches.at(540).collected(), [""; 0], "few enough now");
    }
}

/// 20,000 entries: 3,616 too many, so that 4,821 are to go.
#[test]
fn spec_9_1_the_goal_is_four_thirds_of_the_surplus_and_half_the_size_at_most() {
    for algorithm in BOTH {
        for (entries, goal) in [(20_000, 4_821), (22_528, 8_192), (30_000, 8_192)] {
            let mut caches = caches(algorithm, Semantics::LINUX_6_1, DAY);
            caches.at(0).picks(0..entries);
            assert_eq!(caches.at(359).collected(), [""; 0], "{algorithm}");
            let dropped = caches.at(360).collected();
            let count: u32 = dropped[0].strip_suffix(" 360 s").unwrap().parse().unwrap();
            // Met within a bucket, of which each has up to some thirty.
            assert!(
                (goal..goal + 40).contains(&count),
                "{algorithm} {entries}: {dropped:?}"
            );
        }
    }
}

/// What was used within six minutes stays, although there are too many.
#[test]
fn spec_9_1_entries_in_use_are_not_collected_to_make_room() {
    let mut caches = caches(Algorithm::Lblcr, Semantics::LINUX_6_1, DAY);
    caches.at(0).picks(0..20_000);
    for minute in 1..=10 {
        assert_eq!(caches.at(minute * MINUTE - 1).collected(), [""; 0]);
        caches.picks(0..20_000);
    }
    let dropped = caches.at(10 * MINUTE + 5 * MINUTE).collected();
    assert_eq!(dropped, [""; 0]);
    assert_eq!(caches.at(10 * MINUTE + 6 * MINUTE).collected().len(), 1);
}

/// The next collection goes on with the bucket after the one where the last stopped: an entry next
/// to the end of the round is dropped last.
#[test]
fn spec_9_1_collections_go_round() {
    let mut caches = caches(Algorithm::Lblc, Semantics::LINUX_6_1, DAY);
    caches.at(0).picks(0..40_000);
    // Every tick drops 8,192 or more until there are 16,384 or fewer.
    let rounds: Vec<u32> = (6..12)
        .map_while(|minute| {
            let dropped = caches.at(minute * MINUTE).collected();
            let count = dropped.first()?.strip_suffix(" 360 s")?.parse().unwrap();
            Some(count)
        })
        .collect();
    assert_eq!(rounds.len(), 3, "{rounds:?}");
    assert!(
        rounds.iter().all(|count| (8_192..8_232).contains(count)),
        "{rounds:?}"
    );
}

/// A tick that makes room does not count towards the next full scan.
#[test]
fn spec_9_1_ticks_that_make_room_put_the_full_scan_off() {
    let mut caches = caches(Algorithm::Lblcr, Semantics::LINUX_6_1, HALF_HOUR);
    // Quiet at 60 s; then six ticks that find nothing to drop and one that does.
    caches.at(70).picks(0..17_000);
    assert_eq!(caches.at(479).collected(), [""; 0]);
    assert_eq!(caches.at(480).collected().len(), 1);
    let full_scan = (7 + 30) * MINUTE;
    assert_eq!(caches.at(full_scan - 1).collected(), [""; 0]);
    let dropped = caches.at(full_scan).collected();
    assert!(dropped[0].ends_with(" 1800 s"), "{dropped:?}");
}

/// `CacheLimit::Hard`: no entry beyond 24,576, the pick is used all the same. `Soft`: no limit.
#[test]
fn spec_9_1_the_hard_limit_only_keeps_new_entries_out() {
    for algorithm in BOTH {
        let mut semantics = Semantics::LINUX_7_2;
        assert_eq!(semantics.cache_limit, CacheLimit::Hard);
        let mut caches = Caches::with(scheduler(algorithm, semantics, DAY), semantics, &[1, 1]);
        caches.picks(0..24_576);
        assert!(caches.has(0) && caches.has(24_575), "{algorithm}");
        assert!(!caches.has(24_576));
        assert!(!caches.has(24_576), "{algorithm}: was not cached");
        let why = caches.explain(24_576);
        assert_eq!(
            why.last().unwrap(),
            "203.0.96.0 is not cached, the cache is full"
        );
        // An entry that is there may be replaced, or get another server.
        caches.edit('B', 0);
        assert_eq!(caches.pick(0), 'A');
        caches.edit('B', 1);
        assert_eq!(caches.pick(0), 'A', "{algorithm}: and that is remembered");
        // Six minutes later there is room.
        caches.wait(360);
        assert!(!caches.has(24_576));
        assert!(caches.has(24_576), "{algorithm}");

        semantics.cache_limit = CacheLimit::Soft;
        let mut caches = Caches::with(scheduler(algorithm, semantics, DAY), semantics, &[1, 1]);
        caches.picks(0..24_577);
        assert!(caches.has(24_576), "{algorithm}");
    }
}

/// Kernels without the hard limit count an entry of lblc twice when it is replaced. After 16,384
/// replacements each tick makes room, and what is unused for six minutes goes instead of staying a
/// day.
#[test]
fn spec_9_1_replacements_leak_into_the_count_of_older_kernels() {
    for (algorithm, limit, leaks) in [
        (Algorithm::Lblc, CacheLimit::Soft, true),
        (Algorithm::Lblc, CacheLimit::Hard, false),
        (Algorithm::Lblcr, CacheLimit::Soft, false),
    ] {
        let mut semantics = Semantics::LINUX_6_1;
        semantics.cache_limit = limit;
        let mut caches = Caches::with(scheduler(algorithm, semantics, DAY), semantics, &[1, 1]);
        // The first pick makes the entry, and 16,383 replacements fill the count up.
        for turn in 0..16_384 {
            let (on, off) = if turn % 2 == 0 {
                ('A', 'B')
            } else {
                ('B', 'A')
            };
            caches.edit(on, 1);
            caches.edit(off, 0);
            assert_eq!(caches.pick(0), on);
        }
        assert!(caches.at(720).has(0), "{algorithm}, {limit:?}: still quiet");
        let on = caches.pick(0);
        caches.edit(if on == 'A' { 'B' } else { 'A' }, 1);
        caches.edit(on, 0);
        caches.pick(0);
        assert_eq!(
            caches.at(720 + 360).has(0),
            !leaks,
            "{algorithm}, {limit:?}"
        );
    }
}

/// §9.4: a set that has been the same for longer than the expiration loses its most loaded member,
/// one for each pick; the member is used once more if it is the one to take.
#[test]
fn spec_9_4_old_sets_lose_their_most_loaded_member() {
    let mut caches = caches(Algorithm::Lblcr, Semantics::LINUX_6_1, 1_000);
    caches.edit('A', 4);
    caches.add('B', 2);
    caches.add('C', 1);
    assert_eq!(caches.connects(0, 6), "CCBBBA");
    // {A 1/4, B 3/2, C 2/1}, the last change at 0 s: not *more than* 1,000 s ago.
    assert_eq!(
        caches.at(1_000).explain(0)[0],
        "203.0.0.0 is cached, 3 servers"
    );
    assert_eq!(caches.explain(0)[0], "203.0.0.0 is cached, 3 servers");
    assert_eq!(
        caches.at(1_001).explain(0).last().unwrap(),
        "203.0.0.0 loses C, the most loaded, after 1001 s without change"
    );
    // Counted anew from the loss on.
    assert_eq!(
        caches.at(2_001).explain(0)[0],
        "203.0.0.0 is cached, 2 servers"
    );
    assert_eq!(caches.explain(0)[0], "203.0.0.0 is cached, 2 servers");
    let why = caches.at(2_002).explain(0);
    assert!(why.last().unwrap().contains(" loses B, "), "{why:?}");
    // The last one stays.
    let why = caches.at(2_790).explain(0);
    assert_eq!(why.len(), 2, "{why:?}");
    caches.at(3_500).pick(0);
    assert_eq!(caches.at(4_400).explain(0).len(), 2);
}

/// §9.4: of those loaded alike the one added last goes, and it is used for that pick still.
#[test]
fn spec_9_4_a_member_that_is_lost_may_be_used_once_more() {
    let mut caches = caches(Algorithm::Lblcr, Semantics::LINUX_6_1, 1_000);
    caches.edit('A', 2);
    caches.add('B', 1);
    assert_eq!(caches.connects(0, 3), "BBA");
    caches.hang_up();
    assert_eq!(
        caches.at(900).pick(0),
        'A',
        "{{A, B}}, none has connections"
    );
    let why = caches.at(1_001).explain(0);
    assert!(why.last().unwrap().contains(" loses A, "), "{why:?}");
    let best = why
        .iter()
        .find(|line| line.contains("best so far"))
        .unwrap();
    assert!(best.starts_with('A'), "{why:?}");
    assert_eq!(caches.pick(0), 'B');
}

/// §9.4: weight 0 is never the most loaded; a removed server may be, with the connections it has.
#[test]
fn spec_9_4_removed_servers_leave_their_sets_when_they_are_the_most_loaded() {
    let mut caches = caches(Algorithm::Lblcr, Semantics::LINUX_6_1, 1_000);
    caches.edit('A', 4);
    caches.add('B', 2);
    caches.add('C', 1);
    assert_eq!(caches.connects(0, 6), "CCBBBA");
    caches.edit('C', 0);
    caches.remove('B');
    let why = caches.at(1_001).explain(0);
    assert_eq!(why[2], "B: left out, removed");
    assert!(why.last().unwrap().contains(" loses B, "), "{why:?}");
    let why = caches.at(2_002).explain(0);
    assert!(
        why.last().unwrap().contains(" loses A, "),
        "C has weight 0: {why:?}"
    );
}

/// Spec §9.4: the kernel keeps a removed server for as long as the cache knows it, connections or
/// not, so that it comes back as the same one; afterwards it is a new one.
#[test]
fn spec_9_4_a_removed_server_is_kept_while_the_cache_knows_it() {
    for algorithm in BOTH {
        for (back_after, expected) in [(HALF_HOUR, true), (HALF_HOUR + 4 * MINUTE, false)] {
            let mut caches = caches(algorithm, Semantics::LINUX_6_1, HALF_HOUR);
            caches.pick(0);
            let id = caches.service.destinations().next().unwrap().id();
            caches.remove('A');
            for secs in (0..=back_after).step_by(20) {
                caches.service.advance(Duration::from_secs(secs));
            }
            let is_kept = caches.service.destination(id).is_some();
            assert_eq!(is_kept, expected, "{algorithm} {back_after}");
            caches.add('A', 1);
            let again = caches.service.destinations().next().unwrap().id();
            assert_eq!(again == id, expected, "{algorithm} {back_after}");
        }
    }
}
