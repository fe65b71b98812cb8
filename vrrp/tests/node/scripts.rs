//! Scripts: when they run, what their results amount to, and what that does to a router.

use core::time::Duration;

use lvs_vrrp::event::{InitReason, State};
use lvs_vrrp::track::{Script, ScriptConfig, ScriptStep, Track, TrackerId, TrackerStatus};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::rig::*;

fn script(change: impl FnOnce(&mut ScriptConfig)) -> Script {
    let mut config = ScriptConfig::default();
    change(&mut config);
    Script::new(config).unwrap()
}

/// Runs it at its times, with these results at once; the status after each.
fn statuses(mut script: Script, results: &str) -> String {
    let mut now = Duration::from_secs(100);
    let after = results.chars().map(|result| {
        now = script.next_deadline().max(now);
        assert_eq!(script.tick(now).0, Some(ScriptStep::Start));
        let before = script.status();
        let change = script.finished(now, result == '+');
        assert_eq!(change, Some(script.status()).filter(|new| *new != before));
        match script.status() {
            TrackerStatus::Fine => '+',
            TrackerStatus::Failed => '-',
            _ => '?',
        }
    });
    after.collect()
}

/// Spec 3.3: results in a row; the first alone is enough, unless it begins as failed.
#[test]
fn rise_and_fall_count_results_in_a_row() {
    let counted = |init_fail| {
        script(|config| (config.rise, config.fall, config.init_fail) = (3, 2, init_fail))
    };
    for (init_fail, results, expected) in [
        (false, "+-+--++-+++", "++++------+"),
        (false, "-++-+++-", "------++"),
        (true, "++-+++--", "-----++-"),
        (true, "-+++", "---+"),
    ] {
        assert_eq!(statuses(counted(init_fail), results), expected, "{results}");
    }
}

/// From start to start, one at a time; a run that ends late is followed at once.
#[test]
fn runs_begin_at_the_interval() {
    let mut script = script(|config| config.timeout = Some(ms(5000)));
    let at = |millis| Duration::from_secs(100) + ms(millis);
    assert_eq!(script.tick(at(0)), (Some(ScriptStep::Start), None));
    assert_eq!(script.tick(at(1500)), (None, None), "it runs still");
    assert_eq!(script.finished(at(300), true), Some(TrackerStatus::Fine));
    assert_eq!(script.finished(at(310), false), None, "nothing runs");
    assert_eq!(script.next_deadline(), at(1000));
    assert_eq!(script.tick(at(999)), (None, None));
    assert_eq!(script.tick(at(1000)), (Some(ScriptStep::Start), None));
    assert_eq!(script.finished(at(3700), true), None);
    assert_eq!(script.next_deadline(), at(3700), "not in the past");
    assert_eq!(script.tick(at(3700)), (Some(ScriptStep::Start), None));
}

/// A run that takes too long counts once as a failure when it is killed, and what it then says does
/// not count; one that cannot be killed counts at each interval, and no second one is started.
#[test]
fn a_run_that_takes_too_long_is_a_failure() {
    let mut script = script(|config| (config.timeout, config.fall) = (Some(ms(400)), 3));
    let at = |millis| Duration::from_secs(100) + ms(millis);
    let _ = script.tick(at(0));
    let _ = script.finished(at(0), true);
    assert_eq!(script.tick(at(1000)).0, Some(ScriptStep::Start));
    assert_eq!(script.tick(at(1399)), (None, None));
    assert_eq!(script.tick(at(1400)), (Some(ScriptStep::Kill), None));
    assert_eq!(script.finished(at(1410), true), None);
    assert_eq!(script.status(), TrackerStatus::Fine);
    assert_eq!(script.tick(at(2000)), (Some(ScriptStep::Start), None));
    assert_eq!(script.tick(at(2400)), (Some(ScriptStep::Kill), None));
    let failed = Some(TrackerStatus::Failed);
    assert_eq!(script.tick(at(3399)), (None, None));
    assert_eq!(script.tick(at(3400)), (Some(ScriptStep::Kill), failed));
    assert_eq!(script.tick(at(4400)), (Some(ScriptStep::Kill), None));
}

#[test]
fn settings_out_of_range_are_refused() {
    type Change = fn(&mut ScriptConfig);
    let cases: [(Change, &str); 5] = [
        (
            |config| config.interval = Duration::ZERO,
            "script: interval of 0ns is not in 1 ms..=1000 days",
        ),
        (
            |config| config.interval = Duration::MAX,
            "script: interval of 18446744073709551615.999999999s is not in 1 ms..=1000 days",
        ),
        (
            |config| config.timeout = Some(Duration::from_micros(999)),
            "script: timeout of 999µs is not in 1 ms..=1000 days",
        ),
        (
            |config| config.rise = 0,
            "script: rise of 0 is not at least 1",
        ),
        (
            |config| config.fall = 0,
            "script: fall of 0 is not at least 1",
        ),
    ];
    for (change, text) in cases {
        let mut config = ScriptConfig::default();
        change(&mut config);
        assert_eq!(Script::new(config).unwrap_err().to_string(), text);
    }
}

/// Spec 3.3: a router with a script of weight 0 stays out of Backup until the first result.
#[test]
fn a_vital_script_keeps_a_router_out_until_its_first_result() {
    let tracker = TrackerId::new(1);
    let mut script = script(|config| config.rise = 5);
    let config = config(0)
        .with_tracker(tracker, script.status())
        .with_router(id(1), router(1).with_track(Track::new(tracker, 0)));
    let mut rig = Rig::new(config);
    assert_eq!(script.tick(rig.now).0, Some(ScriptStep::Start));
    rig.run(ms(500));
    let machine = rig.node.machine(id(1)).unwrap();
    assert_eq!(machine.init_reason(), Some(InitReason::Tracker));
    let status = script.finished(rig.now, true).unwrap();
    rig.node.set_tracker(rig.now, tracker, status);
    assert_eq!(rig.state(1), State::Backup);
}

proptest! {
    /// Whatever happens: at most one run at a time, never earlier than an interval after the last;
    /// the deadline is never in the past after a tick; changes are told exactly when they happen.
    #[test]
    fn any_course_of_events_keeps_the_rules(
        events in vec((0_u64..3000, any::<Option<bool>>()), 0..200),
        (timeout, rise, fall, init_fail) in (1_u64..3000, 1_u32..4, 1_u32..4, any::<bool>()),
    ) {
        let mut script = script(|config| {
            config.timeout = Some(ms(timeout));
            (config.rise, config.fall, config.init_fail) = (rise, fall, init_fail);
        });
        let mut now = Duration::from_secs(100);
        let (mut started, mut is_running, mut status) = (None, false, script.status());
        for (after, event) in events {
            now += ms(after);
            let change = if let Some(is_success) = event {
                is_running = false;
                script.finished(now, is_success)
            } else {
                let (step, change) = script.tick(now);
                match step {
                    Some(ScriptStep::Start) => {
                        prop_assert!(!is_running);
                        prop_assert!(started.is_none_or(|last| now - last >= ms(1000)));
                        (started, is_running) = (Some(now), true);
                    }
                    Some(ScriptStep::Kill) => prop_assert!(is_running),
                    None => {}
                }
                prop_assert!(script.next_deadline() > now);
                change
            };
            prop_assert_eq!(change, Some(script.status()).filter(|new| *new != status));
            status = script.status();
        }
    }
}
