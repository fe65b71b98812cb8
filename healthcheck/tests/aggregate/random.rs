//! Invariants under random inputs.

use core::time::Duration;

use lvs_healthcheck::aggregate::{
    Aggregate, Combine, Contribution, Damping, Desired, MAX_WEIGHT, Member, Reason, Removal, Role,
    Rule, SlowStart, Source, Standing, UnknownAs,
};
use lvs_healthcheck::policy::Health;
use lvs_healthcheck::{AdminHint, WeightHint};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

#[derive(Clone, Debug)]
enum Input {
    Says(usize, Contribution),
    Vote(u32, Option<AdminHint>),
    Wait(u64),
    Override(Option<u32>),
}

fn admin() -> impl Strategy<Value = AdminHint> {
    select(vec![AdminHint::Ready, AdminHint::Drain, AdminHint::Maint])
}

fn contribution() -> impl Strategy<Value = Contribution> {
    let health = select(vec![Health::Up, Health::Up, Health::Down, Health::Unknown]);
    let hint = prop_oneof![
        (0..300_u32).prop_map(WeightHint::Percent),
        (0..50_u32).prop_map(WeightHint::Absolute),
        (-20..20_i64).prop_map(WeightHint::Delta),
    ];
    (
        health,
        option::of(hint),
        prop::bool::weighted(0.1),
        option::weighted(0.1, admin()),
    )
        .prop_map(|(health, hint, no_new, admin)| {
            let mut says = Contribution::new(health).with_no_new(no_new);
            says.hint = hint;
            says.admin = admin;
            says
        })
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        4 => (0..4_usize, contribution()).prop_map(|(check, says)| Input::Says(check, says)),
        1 => (0..2_u32, option::of(admin())).prop_map(|(source, vote)| Input::Vote(source, vote)),
        3 => (0..40_000_u64).prop_map(Input::Wait),
        1 => option::of(0..30_u32).prop_map(Input::Override),
    ]
}

/// Any destination with four checks.
fn server() -> impl Strategy<Value = Aggregate<usize>> {
    let roles = vec![
        Role::Required,
        Role::Required,
        Role::Advisory,
        Role::Info,
        Role::Agent,
    ];
    let member = (
        select(roles),
        select(vec![UnknownAs::Up, UnknownAs::Down, UnknownAs::Hold]),
    );
    let settings = (
        0..30_u32,
        select(vec![Rule::All, Rule::Any, Rule::AtLeast(2)]),
        select(vec![
            Combine::Min,
            Combine::Max,
            Combine::Product,
            Combine::Last,
            Combine::Additive,
        ]),
        select(vec![Removal::Remove, Removal::Inhibit]),
        1..5_u32,
    );
    let times = (
        option::of((1..30_000_u64).prop_map(Duration::from_millis)),
        any::<bool>(),
        select(vec![0_u64, 0, 10_000]).prop_map(Duration::from_millis),
        select(vec![0_u64, 0, 10_000]).prop_map(Duration::from_millis),
    );
    (vec(member, 4), settings, times).prop_map(|(members, settings, times)| {
        let (weight, rule, combine, removal, scale) = settings;
        let (slow_start, damped, min_up, min_down) = times;
        let mut server = Aggregate::new(weight)
            .with_rule(rule)
            .with_combine(combine)
            .with_removal(removal)
            .with_weight_scale(scale)
            .with_min_up_time(min_up)
            .with_min_down_time(min_down);
        if let Some(duration) = slow_start {
            server = server.with_slow_start(SlowStart::new(duration));
        }
        if damped {
            server = server.with_damping(Damping::default());
        }
        for (check, (role, unknown)) in members.into_iter().enumerate() {
            server.insert(check, Member::new(role, unknown));
        }
        server
    })
}

fn apply(server: &mut Aggregate<usize>, now: &mut Duration, input: &Input) -> bool {
    match input {
        Input::Says(check, says) => server.apply(*now, check, *says),
        Input::Vote(source, vote) => server.set_vote(Source::Other(*source), *vote),
        Input::Wait(millis) => {
            *now += Duration::from_millis(*millis);
            server.tick(*now)
        }
        Input::Override(weight) => {
            let before = server.desired();
            server.set_override(*weight);
            server.desired() != before
        }
    }
}

/// Lets time pass as a driver would: no deadline is missed.
fn pass(server: &mut Aggregate<usize>, end: Duration) {
    while let Some(deadline) = server.next_deadline().filter(|at| *at <= end) {
        server.tick(deadline);
    }
    server.tick(end);
}

proptest! {
    #[test]
    fn rules_hold_after_every_input(mut server in server(), inputs in vec(input(), 1..60)) {
        let mut now = Duration::from_secs(1000);
        server.tick(now);
        for input in &inputs {
            let before = server.desired();
            let changed = apply(&mut server, &mut now, input);
            let (desired, reason) = (server.desired(), server.reason());
            prop_assert_eq!(changed, desired != before, "{:?} to {:?}", before, desired);
            if let Desired::Present { weight } = desired {
                prop_assert!(weight <= MAX_WEIGHT);
                let serves = matches!(reason, Reason::Up | Reason::SlowStart | Reason::MinUpTime);
                prop_assert!(weight == 0 || serves, "{reason}");
                // Slow start takes away, but never the last bit.
                prop_assert_eq!(weight == 0, server.weight() == 0 || !serves);
            }
            prop_assert!(server.kernel_weight() >= server.weight().min(1));
            prop_assert!(server.quorum_weight() == 0 || server.standing() == Standing::Up);
            let objects = server.members().any(|(_, member)| {
                member.role() == Role::Agent && member.health() == Health::Down
            });
            prop_assert!(!objects || server.checked() == Standing::Down);
            if let Some(deadline) = server.next_deadline() {
                prop_assert!(deadline > now, "in the past");
            }
        }
    }

    #[test]
    fn nothing_changes_between_deadlines(mut server in server(), inputs in vec(input(), 1..40)) {
        let mut now = Duration::from_secs(1000);
        for input in &inputs {
            apply(&mut server, &mut now, input);
        }
        // From deadline to deadline; none is missed, and after the last one nothing happens.
        for _ in 0..500 {
            let desired = server.desired();
            let Some(deadline) = server.next_deadline() else {
                prop_assert!(!server.clone().tick(now + Duration::from_secs(100_000)));
                return Ok(());
            };
            let mut early = server.clone();
            early.tick(deadline - Duration::from_nanos(1));
            prop_assert_eq!(early.desired(), desired, "before its time");
            server.tick(deadline);
            now = deadline;
        }
        prop_assert!(false, "no end");
    }

    #[test]
    fn how_often_time_is_told_does_not_matter(
        server in server(), inputs in vec(input(), 1..40), ticks in vec(0_u64..5_000, 0..20),
    ) {
        let (mut seldom, mut often) = (server.clone(), server);
        let mut now = Duration::from_secs(1000);
        for input in &inputs {
            if let Input::Wait(millis) = input {
                let end = now + Duration::from_millis(*millis);
                for tick in &ticks {
                    now = (now + Duration::from_millis(*tick)).min(end);
                    pass(&mut often, now);
                }
                pass(&mut often, end);
                pass(&mut seldom, end);
                now = end;
            } else {
                let mut at = now;
                apply(&mut seldom, &mut at, input);
                apply(&mut often, &mut at, input);
            }
            prop_assert_eq!(seldom.desired(), often.desired());
            prop_assert_eq!(seldom.reason(), often.reason());
        }
    }
}
