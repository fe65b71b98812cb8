//! A flood is bounded, and harms nobody who advertises rightly.

use core::time::Duration;

use lvs_vrrp::event::State;
use lvs_vrrp::node::{FloodLimit, NodeError, NodeRouter, ReportKind, Settings};
use lvs_vrrp::receive::Meta;
use lvs_vrrp::{Interval, NodeConfig, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::rig::*;

fn limited(flood: Option<FloodLimit>) -> NodeConfig {
    let mut settings = Settings::default();
    settings.spread = false;
    settings.flood = flood;
    config(1).with_settings(settings)
}

fn flooded(rig: &Rig) -> u64 {
    rig.node.router_counters(id(1)).unwrap().flooded()
}

/// Advertisements that lose against an Active, which answers each: the answers are bounded, and what
/// is beyond moves one counter only. Off, all are looked at.
#[test]
fn what_is_beyond_the_limit_is_counted_and_has_no_effect() {
    for limit in [Some(FloodLimit::default()), None] {
        let mut rig = Rig::active(limited(limit));
        let received = rig.node.router_counters(id(1)).unwrap().received();
        let bytes = advert(1, 50, LOWER);
        let mut answers = 0;
        for _ in 0..50_000 {
            rig.now += Duration::from_micros(20);
            rig.hear_bytes(&bytes);
            answers += rig
                .log
                .drain(..)
                .filter(|word| word == "1 send 100")
                .count();
        }
        let counters = rig.node.router_counters(id(1)).unwrap();
        let received = counters.received() - received;
        assert_eq!(received + counters.flooded(), 50_000);
        assert_eq!(counters.rejected_in_all(), 0);
        if limit.is_some() {
            // A second's worth and the burst.
            assert!((1099..=1102).contains(&received), "{received}");
            assert_eq!(u64::try_from(answers), Ok(received));
        } else {
            assert_eq!(received, 50_000);
        }
        let reports = rig.take_reports().into_iter();
        let told = reports.filter(|kind| matches!(kind, ReportKind::Flooded { .. }));
        assert_eq!(told.count(), usize::from(limit.is_some()));
    }
}

/// What waited in a socket while the process was busy counts as when it came.
#[test]
fn a_backlog_is_no_flood() {
    let mut rig = Rig::new(limited(Some(FloodLimit::default())));
    let bytes = advert(1, 200, HIGHER);
    let begin = rig.now;
    rig.now += ms(60_000);
    for number in 0..6000_u64 {
        let received_at = begin + ms(10 * number);
        let meta = Meta::ipv4(LAN, received_at);
        rig.node.receive(rig.now, &meta, &bytes);
    }
    assert_eq!(flooded(&rig), 0);
    assert_eq!(rig.node.router_counters(id(1)).unwrap().received(), 6000);
}

#[test]
fn limits_that_would_meet_rightful_adverts_are_refused() {
    for (per_second, burst, text) in [
        (
            399,
            100,
            "flood limit: adverts per second of 399 is not at least 400",
        ),
        (
            400,
            9,
            "flood limit: burst of adverts of 9 is not at least 10",
        ),
    ] {
        let error = limited(Some(FloodLimit { per_second, burst })).validate();
        assert_eq!(
            error.as_ref().map_err(NodeError::to_string),
            Err(text.into())
        );
    }
    let least = FloodLimit {
        per_second: 400,
        burst: 10,
    };
    assert_eq!(limited(Some(least)).validate(), Ok(()));
}

/// One forged advertisement: when after the last, priority, source.
#[derive(Clone, Debug)]
struct Forged {
    after: Duration,
    priority: u8,
    source: &'static str,
}

fn forged() -> impl Strategy<Value = Forged> {
    let source = prop::sample::select(vec![LOWER, "192.0.2.7", "192.0.2.77"]);
    (1_u64..400, 1_u8..100, source).prop_map(|(micros, priority, source)| Forged {
        after: Duration::from_micros(micros),
        priority,
        source,
    })
}

/// An Active of priority 200 that advertises every 10 ms or slower, for half a second, resigns or
/// falls silent; a flood of losing advertisements meanwhile and after. Gives when this node, which
/// has priority 100, took over.
fn run(flood: &[Forged], interval_cs: u16, resigns: bool) -> (Option<Timestamp>, u64, u64) {
    let interval = Interval::from_centiseconds(interval_cs).unwrap();
    let router = NodeRouter::new(LAN, router_config(1).with_interval(interval));
    let least = FloodLimit {
        per_second: FloodLimit::MIN_PER_SECOND,
        burst: FloodLimit::MIN_BURST,
    };
    let mut rig = Rig::new(limited(Some(least)).with_router(id(1), router));
    let begin = rig.now;
    let ends_at = begin + ms(500);
    // Not at the times at which buckets are filled.
    let (mut next_advert, mut is_over) = (begin + Duration::from_micros(1234), false);
    let (mut from_active, mut taken) = (0, None);
    let mut flood = flood.iter().cycle();
    let mut next_forged = flood.clone().next().map(|forged| begin + forged.after);
    while rig.now < begin + ms(1200) && taken.is_none() {
        let candidates = [
            (!is_over).then_some(next_advert),
            next_forged,
            rig.node.next_deadline(),
        ];
        rig.now = candidates.into_iter().flatten().min().unwrap().max(rig.now);
        if !is_over && next_advert <= rig.now {
            is_over = rig.now >= ends_at;
            if !is_over || resigns {
                rig.hear_bytes(&advert_of(
                    1,
                    if is_over { 0 } else { 200 },
                    HIGHER,
                    interval,
                ));
                from_active += 1;
            }
            next_advert += interval.as_duration();
        } else if next_forged.is_some_and(|at| at <= rig.now) {
            let forged = flood.next().unwrap();
            rig.hear(1, forged.priority, forged.source);
            next_forged = Some(rig.now + forged.after);
        } else {
            rig.node.tick(rig.now);
        }
        rig.work();
        if rig.state(1) == State::Active {
            taken = Some(rig.now - begin);
        }
        assert!(is_over || taken.is_none(), "took over from a living Active");
    }
    let counters = rig.node.router_counters(id(1)).unwrap();
    (taken, from_active, counters.received_resignations())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// At the lowest limit there may be: whatever loses, however much of it, the Active is heard,
    /// its resignation too, and the node takes over at the very time at which it would without.
    #[test]
    fn a_flood_neither_keeps_an_active_out_nor_delays_a_take_over(
        flood in vec(forged(), 1..50),
        interval_cs in 1_u16..=5,
        resigns: bool,
    ) {
        let (calm, sent, _) = run(&[], interval_cs, resigns);
        let (taken, sent_too, resigned) = run(&flood, interval_cs, resigns);
        prop_assert!(calm.is_some());
        prop_assert_eq!(taken, calm);
        prop_assert_eq!((sent_too, resigned), (sent, u64::from(resigns)));
    }
}

/// The rate, and the burst beyond it, to the packet.
#[test]
fn a_burst_is_as_long_as_the_limit_says() {
    let (per_second, burst) = (400, 10);
    let mut rig = Rig::active(limited(Some(FloodLimit { per_second, burst })));
    for _ in 0..50 {
        rig.hear(1, 50, LOWER);
    }
    assert_eq!(flooded(&rig), 50 - 11);
    rig.now += Duration::from_micros(2500);
    for _ in 0..50 {
        rig.hear(1, 50, LOWER);
    }
    assert_eq!(flooded(&rig), 100 - 12);
}

/// Each effect has its own bucket: losers do not use up what winners need, nor strangers that win
/// what the known Active needs.
#[test]
fn effects_do_not_share_a_bucket() {
    let mut rig = Rig::active(limited(Some(FloodLimit::default())));
    for _ in 0..2000 {
        rig.hear(1, 50, LOWER);
    }
    let before = flooded(&rig);
    assert!(before > 0);
    rig.hear(1, 200, HIGHER);
    assert_eq!((rig.state(1), flooded(&rig)), (State::Backup, before));

    // The known Active of 200 lives, whoever says 150.
    for _ in 0..2000 {
        rig.hear(1, 150, LOWER);
        let known = rig.node.machine(id(1)).unwrap().active();
        if known.is_none_or(|known| known.priority().get() != 200) {
            rig.hear(1, 200, HIGHER);
        }
    }
    let before = flooded(&rig);
    rig.hear(1, 200, HIGHER);
    assert_eq!(flooded(&rig), before);
}
