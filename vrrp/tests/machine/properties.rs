//! Invariants of one machine over arbitrary configurations and sequences of events.
//!
//! | | Invariant |
//! |---|---|
//! | 1 | a priority other than 0 is sent only while Active, or on becoming it |
//! | 2 | 0 is sent once on leaving Active for another reason than a better advertisement, never else |
//! | 3 | addresses are installed and announced once on becoming Active, removed once on leaving it, and that before it is reported |
//! | 4 | a Backup has a deadline, within the longest down interval from what started it |
//! | 5 | what is not for this virtual router changes nothing |
//! | 6 | a second tick at the same time does nothing, nor does one before the deadline |
//! | 10 | with a guard: no advertisement and no address outside of the time for which it is held |
//! | 11 | no panic, no overflow, no more actions than the list holds |

use core::net::IpAddr;
use core::time::Duration;

use lvs_vrrp::event::{
    Action, Announce, Event, HeardAdvert, InitReason, LastEvent, Notification, ShutdownMode, State,
    Transition,
};
use lvs_vrrp::machine::VirtualRouter;
use lvs_vrrp::profile::{AnswerLosing, PromotionLimit, StallPolicy};
use lvs_vrrp::receive::Versions;
use lvs_vrrp::{
    Actions, GuardStatus, Interval, Priority, Profile, RouterConfig, Switches, Timestamp, Version,
};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;

use crate::rig::{HIGHER, LOWER, OWN, address, config};

const SOURCES: [&str; 3] = [LOWER, OWN, HIGHER];

/// When the next event happens.
#[derive(Clone, Copy, Debug)]
enum When {
    /// So many nanoseconds later.
    After(u64),
    /// When the machine wants its tick, and so many nanoseconds later.
    Deadline(u64),
    /// So long before the last time.
    Before(u64),
    /// The greatest time there is.
    End,
}

#[derive(Clone, Debug)]
enum Step {
    Event(Event),
    /// An advertisement received so many nanoseconds ago.
    Advert(u64, HeardAdvert),
    /// The guard is granted for so many nanoseconds from now.
    Grant(u64),
    Reconfigure(Box<RouterConfig>),
    Resume,
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        4 => (0_u64..2_000_000_000).prop_map(When::After),
        4 => prop_oneof![Just(0), 0_u64..10_000_000].prop_map(When::Deadline),
        1 => Just(When::After(0)),
        1 => (0_u64..200_000_000_000).prop_map(When::After),
        1 => (0_u64..5_000_000_000).prop_map(When::Before),
    ]
}

fn advert() -> impl Strategy<Value = HeardAdvert> {
    let priority = prop_oneof![Just(0), Just(100), Just(255), 1_u8..=254];
    let interval = prop_oneof![Just(100), 1_u16..=4095];
    let version = select(&[Version::V2, Version::V3, Version::V3][..]);
    (select(&SOURCES[..]), priority, interval, version).prop_map(
        |(source, priority, centiseconds, version)| HeardAdvert {
            received_at: Timestamp::ZERO,
            source: address(source),
            priority: Priority::new(priority),
            interval: Interval::from_centiseconds(centiseconds).unwrap(),
            version,
        },
    )
}

fn switches() -> impl Strategy<Value = Switches> {
    let stall = [
        StallPolicy::Assert,
        StallPolicy::Listen,
        StallPolicy::StepDown,
    ];
    let answers = [AnswerLosing::Never, AnswerLosing::V3, AnswerLosing::Always];
    let limit = prop_oneof![
        3 => Just(None),
        1 => (1_u8..4, 0_u64..100).prop_map(|(promotions, seconds)| {
            let window = Duration::from_secs(seconds);
            Some(PromotionLimit { promotions, window })
        }),
    ];
    let longest = prop_oneof![Just(None), (1_u16..=4095).prop_map(Some)];
    (
        select(stall.to_vec()),
        select(answers.to_vec()),
        any::<[bool; 4]>(),
        limit,
        longest,
    )
        .prop_map(
            |(stall, answers, [reannounce, yields, zero_only, fast], limit, longest)| {
                let mut switches = Profile::Linux.switches();
                switches.stall = stall;
                switches.answer_losing_adverts = answers;
                switches.reannounce = reannounce;
                switches.yield_with_advert = yields;
                switches.zero_only_from_current_active = zero_only;
                switches.fast_handover = fast;
                switches.promotion_limit = limit;
                switches.max_adopted_interval =
                    longest.map(|cs| Interval::from_centiseconds(cs).unwrap());
                switches
            },
        )
}

fn router_config() -> impl Strategy<Value = RouterConfig> {
    let v2 = Versions::Only(Version::V2);
    let v3 = Versions::Only(Version::V3);
    let versions = select(vec![v2, v3, v3, Versions::Dual]);
    let hold = prop_oneof![2 => Just(0_u64), 1 => 0_u64..20];
    let guard = prop_oneof![1 => Just(None), 1 => (0_u64..5_000).prop_map(Some)];
    let factor = prop_oneof![3 => Just(3_u8), 1 => 1_u8..=100];
    let interval = prop_oneof![Just(100_u16), 1_u16..=4095];
    let priority = prop_oneof![Just(100_u8), 1_u8..=255];
    (
        switches(),
        versions,
        interval,
        priority,
        any::<bool>(),
        hold,
        guard,
        factor,
    )
        .prop_map(
            move |(switches, versions, interval, priority, preempt, hold, guard, factor)| {
                let interval = if versions == v2 {
                    interval / 100 * 100
                } else {
                    interval
                };
                let interval = Interval::from_centiseconds(interval).unwrap_or_default();
                let mut made = config(priority.min(254))
                    .with_switches(switches)
                    .with_versions(versions)
                    .with_interval(interval)
                    .with_preempt(preempt)
                    .with_preempt_hold(Duration::from_secs(hold))
                    .with_down_factor(factor);
                if priority == 255 {
                    made = made.as_owner();
                }
                if let Some(retry) = guard {
                    made = made.with_guard(Duration::from_millis(retry));
                }
                made.validate().unwrap();
                made
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    let fault = select(vec![
        InitReason::InterfaceDown,
        InitReason::NoSource,
        InitReason::Tracker,
    ]);
    let mode = select(vec![
        ShutdownMode::Graceful,
        ShutdownMode::ReleaseFirst,
        ShutdownMode::Handover,
        ShutdownMode::Abrupt,
    ]);
    let source = prop_oneof![
        3 => select(&SOURCES[..]).prop_map(|text| Some(address(text))),
        1 => Just(None::<IpAddr>),
    ];
    let refused = select(vec![
        GuardStatus::Free,
        GuardStatus::HeldByOther,
        GuardStatus::Unknown,
    ]);
    prop_oneof![
        20 => Just(Step::Event(Event::Tick)),
        12 => (prop_oneof![Just(0), 0_u64..3_000_000_000], advert())
            .prop_map(|(ago, advert)| Step::Advert(ago, advert)),
        8 => prop_oneof![Just(20_000_000_000), 0_u64..5_000_000_000].prop_map(Step::Grant),
        5 => Just(Step::Event(Event::Startup)),
        2 => prop_oneof![-300_i64..300, any::<i64>()]
            .prop_map(|sum| Step::Event(Event::Contribution(sum))),
        2 => source.prop_map(|source| Step::Event(Event::Source(source))),
        2 => refused.prop_map(|status| Step::Event(Event::Guard(status))),
        1 => Just(Step::Event(Event::Yield)),
        1 => Just(Step::Event(Event::Stalled)),
        1 => fault.prop_map(|reason| Step::Event(Event::Fault(reason))),
        1 => mode.prop_map(|mode| Step::Event(Event::Shutdown(mode))),
        2 => router_config().prop_map(|config| Step::Reconfigure(Box::new(config))),
        1 => Just(Step::Resume),
    ]
}

/// What an observer knows who sees events and actions only.
struct Observer {
    state: State,
    installed: bool,
    guard: GuardStatus,
    /// The machine has given the guard back.
    released: bool,
    /// It has stopped, and its addresses are left to a successor.
    handed_over: bool,
    /// The guard of an Active has ended before this step.
    expired: bool,
}

impl Observer {
    /// Looks at one step.
    fn observe(&mut self, now: Timestamp, router: &VirtualRouter, out: &Actions) {
        assert!(out.len() < 16, "invariant 11: {} actions", out.len());
        let before = self.state;
        let was_handed_over = self.handed_over;
        self.handed_over = router.init_reason() == Some(InitReason::HandedOver);
        let leaves_for_better = leaves_for_better(out);
        let mut announced = false;
        let mut zeros = 0;
        let mut entered = 0;
        let mut left = 0;
        for (place, action) in out.iter().enumerate() {
            match action {
                Action::SendAdvert(advert) if advert.priority.is_resign() => zeros += 1,
                Action::SendAdvert(advert) => {
                    let becomes = matches!(
                        out.as_slice().get(place + 1),
                        Some(Action::InstallAddresses)
                    );
                    assert!(self.state == State::Active || becomes, "invariant 1");
                    // The last word before giving way may say the longer interval of the winner.
                    let own = router.config().interval();
                    let is_right =
                        advert.interval == own || leaves_for_better && advert.interval > own;
                    assert!(is_right, "VRRP-102");
                    self.assert_guarded(now, router, "sends");
                }
                Action::InstallAddresses => {
                    assert!(!self.installed, "invariant 3: installed twice");
                    self.installed = true;
                    self.assert_guarded(now, router, "installs");
                }
                Action::RemoveAddresses => {
                    assert!(self.installed, "invariant 3: removed twice");
                    self.installed = false;
                }
                Action::Announce(announce) => {
                    assert!(self.installed, "announced before it is installed");
                    announced |= *announce == Announce::BecameActive;
                }
                Action::ChangeAddresses => assert_eq!(self.state, State::Active),
                Action::ReleaseGuard => {
                    let needed = self.installed && router.config().guard_retry().is_some();
                    assert!(!needed, "the guard goes before the addresses");
                    self.released = true;
                }
                Action::Notify(Notification::Transition(transition)) => {
                    let Transition { from, to, .. } = *transition;
                    assert_eq!(from, self.state);
                    assert_ne!(from, to);
                    entered += usize::from(to == State::Active);
                    left += usize::from(from == State::Active);
                    self.state = to;
                    if !self.handed_over {
                        assert_eq!(self.installed, to == State::Active, "invariant 3: order");
                    }
                    if to == State::Active {
                        assert!(announced, "invariant 3: announced");
                        announced = false;
                    }
                }
                _ => {}
            }
        }
        assert_eq!(self.state, router.state());
        assert!(
            zeros == 0 || zeros == 1 && (left == 1 && before == State::Active || was_handed_over),
            "invariant 2"
        );
        assert!(zeros == 0 || !leaves_for_better, "invariant 2: {out:?}");
        assert!(entered <= 1 && left <= 1);
        assert!(!self.handed_over || self.installed, "nothing was left");
        self.check_deadline(now, router);
        if self.installed {
            self.assert_guarded(now, router, "is");
        }
    }

    /// Invariant 10.
    fn assert_guarded(&self, now: Timestamp, router: &VirtualRouter, what: &str) {
        if router.config().guard_retry().is_some() {
            let held = self.guard.is_held_at(now) && !self.released && !self.expired;
            assert!(held, "invariant 10: {what} without the guard");
        }
    }

    /// Invariant 4, and that nothing is due in the past for long.
    fn check_deadline(&self, now: Timestamp, router: &VirtualRouter) {
        let Some(deadline) = router.next_deadline() else {
            assert!(router.state() == State::Initialize || now > ms_before_the_end());
            return;
        };
        if router.state() != State::Backup || router.config().switches().promotion_limit.is_some() {
            return;
        }
        let factor = u32::from(router.config().down_factor());
        let interval = if router.config().versions() == Versions::Only(Version::V3) {
            Interval::MAX_V3
        } else {
            Interval::MAX_V2
        };
        let skew = interval.as_duration().max(Duration::from_secs(1));
        let retry = router.config().guard_retry().unwrap_or_default();
        let longest = interval.as_duration() * factor + skew + retry;
        assert!(deadline <= now.saturating_add(longest), "invariant 4");
    }
}

/// From when on deadlines may lie beyond the end of time.
fn ms_before_the_end() -> Timestamp {
    Timestamp::MAX - Duration::from_secs(100_000)
}

fn leaves_for_better(out: &Actions) -> bool {
    out.iter().any(|action| {
        matches!(
            action,
            Action::Notify(Notification::Transition(Transition {
                from: State::Active,
                event: LastEvent::HigherPriorityBackup
                    | LastEvent::OwnerPreempt
                    | LastEvent::Stalled,
                ..
            }))
        )
    })
}

fn run(config: RouterConfig, steps: Vec<(When, Step)>) {
    let mut router = VirtualRouter::new(config).unwrap();
    let mut now = Timestamp::ZERO;
    let mut observer = Observer {
        state: State::Initialize,
        installed: false,
        guard: GuardStatus::Unknown,
        released: false,
        handed_over: false,
        expired: false,
    };
    let start = [
        (
            When::After(0),
            Step::Event(Event::Source(Some(address(OWN)))),
        ),
        (When::After(0), Step::Event(Event::Startup)),
    ];
    for (when, step) in start.into_iter().chain(steps) {
        let told = match when {
            When::After(nanos) => now.saturating_add(Duration::from_nanos(nanos)),
            When::Deadline(late) => router
                .next_deadline()
                .unwrap_or(now)
                .saturating_add(Duration::from_nanos(late)),
            When::Before(nanos) => now.saturating_sub(Duration::from_nanos(nanos)),
            When::End => Timestamp::MAX,
        };
        if router
            .next_deadline()
            .is_none_or(|deadline| told < deadline)
        {
            let mut early = router.clone();
            assert!(
                early.handle(told, Event::Tick).is_empty(),
                "invariant 6: early"
            );
        }
        now = now.max(told);
        // A renewal that comes after the end does not count.
        observer.expired = router.config().guard_retry().is_some()
            && observer.installed
            && !observer.guard.is_held_at(now);
        let out = match step {
            Step::Event(event) => {
                if let Event::Guard(status) = event {
                    (observer.guard, observer.released) = (status, false);
                }
                router.handle(told, event)
            }
            Step::Advert(ago, advert) => {
                let received_at = now.saturating_sub(Duration::from_nanos(ago));
                let advert = HeardAdvert {
                    received_at,
                    ..advert
                };
                if !router.config().versions().accepts(advert.version) {
                    assert_ignored(&router, now, advert);
                }
                router.handle(told, Event::Advert(advert))
            }
            Step::Grant(nanos) => {
                let until = now.saturating_add(Duration::from_nanos(nanos));
                let status = GuardStatus::Held { until, epoch: 0 };
                (observer.guard, observer.released) = (status, false);
                router.handle(told, Event::Guard(status))
            }
            Step::Reconfigure(config) => router.reconfigure(told, &config).unwrap(),
            Step::Resume => {
                // It is the successor of itself: what was left may be installed again.
                let holds =
                    router.guard().is_held_at(now) || router.config().guard_retry().is_none();
                observer.installed &= !(observer.handed_over && holds && router.source().is_some());
                router.resume(told)
            }
        };
        observer.observe(now, &router, &out);

        observer.expired = false;
        let ticked = router.handle(now, Event::Tick);
        observer.observe(now, &router, &ticked);
        let before = format!("{router:?}");
        assert!(
            router.handle(now, Event::Tick).is_empty(),
            "invariant 6: twice"
        );
        assert_eq!(format!("{router:?}"), before, "invariant 6: twice");
    }
}

/// Invariant 5: time passes with whatever is fed, and nothing else happens.
fn assert_ignored(router: &VirtualRouter, now: Timestamp, advert: HeardAdvert) {
    let mut router = router.clone();
    let _ = router.handle(now, Event::Tick);
    let before = format!("{router:?}");
    let out = router.handle(now, Event::Advert(advert));
    assert!(
        out.is_empty() && format!("{router:?}") == before,
        "invariant 5"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// `VRRP-206`, `VRRP-208`, `VRRP-216`, `VRRP-217`, `VRRP-052`, `VRRP-074`, `VRRP-093`
    #[test]
    fn invariants_hold_whatever_happens(
        config in router_config(),
        steps in vec((when(), step()), 0..80),
    ) {
        run(config, steps);
    }

    /// Invariant 11: the same with times up to the end.
    #[test]
    fn invariants_hold_at_the_end_of_time(
        config in router_config(),
        steps in vec((when(), step()), 0..10),
        last in vec((prop_oneof![Just(When::End), when()], step()), 1..20),
    ) {
        let end = (When::End, Step::Event(Event::Tick));
        run(config, steps.into_iter().chain([end]).chain(last).collect());
    }
}
