//! The timetable against a plain list, and one test per limit.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const START: Timestamp = Duration::from_secs(1000);

fn timetable(limits: Limits) -> Timetable {
    let mut timetable = Timetable::new(limits).unwrap();
    timetable.advance(START);
    timetable
}

fn due_now(timetable: &mut Timetable, resource: Resource, host: Option<&str>) -> CheckId {
    let host = host.map(|address| address.parse().unwrap());
    let check = timetable.add(resource, host).unwrap();
    timetable.schedule(check, START, false, SECOND);
    check
}

fn start_all(timetable: &mut Timetable, now: Timestamp) -> Vec<CheckId> {
    timetable.advance(now);
    core::iter::from_fn(|| timetable.start_next(now)).collect()
}

#[test]
fn never_more_in_flight_than_allowed() {
    let mut timetable = timetable(Limits::default().with_max_in_flight(2));
    let checks: Vec<_> = (0..3)
        .map(|_| due_now(&mut timetable, Resource::Socket, None))
        .collect();
    let started = start_all(&mut timetable, START);
    assert_eq!(started, checks[..2]);
    assert_eq!(timetable.load().waiting, 1);
    assert_eq!(timetable.next_wakeup(), None, "only an end can help");
    timetable.finish(started[0]);
    assert_eq!(timetable.next_wakeup(), Some(START));
    assert_eq!(start_all(&mut timetable, START), [checks[2]]);
}

#[test]
fn one_host_does_not_hold_up_the_others() {
    let mut timetable = timetable(Limits::default().with_max_in_flight_per_host(1));
    let a: Vec<_> = (0..3)
        .map(|_| due_now(&mut timetable, Resource::Socket, Some("10.0.0.1")))
        .collect();
    let b = due_now(&mut timetable, Resource::Socket, Some("10.0.0.2"));
    assert_eq!(start_all(&mut timetable, START), [a[0], b]);
    assert_eq!(timetable.load().waiting, 2);
    timetable.finish(a[0]);
    assert_eq!(start_all(&mut timetable, START), [a[1]]);
    assert!(timetable.remove(a[2]), "also while it waits for its host");
    timetable.finish(a[1]);
    assert!(start_all(&mut timetable, START).is_empty());
    assert_eq!(timetable.load().waiting, 0);
}

#[test]
fn turn_at_a_host_is_passed_on_when_its_check_goes() {
    let limits = Limits::default()
        .with_max_in_flight_per_host(1)
        .with_max_in_flight(2);
    let mut timetable = timetable(limits);
    let [a, b, c] =
        core::array::from_fn(|_| due_now(&mut timetable, Resource::Socket, Some("10.0.0.1")));
    let other = due_now(&mut timetable, Resource::Socket, None);
    assert_eq!(start_all(&mut timetable, START), [a, other]);
    let another = due_now(&mut timetable, Resource::Socket, None);
    timetable.finish(a); // b is next at this host …
    assert!(timetable.remove(b)); // … but goes before it starts
    assert_eq!(start_all(&mut timetable, START), [c]);
    timetable.finish(other);
    assert_eq!(start_all(&mut timetable, START), [another]);
}

#[test]
fn commands_wait_for_commands_while_sockets_go_on() {
    let limits = Limits::default().with_max_processes(1);
    let mut timetable = timetable(limits);
    let first = due_now(&mut timetable, Resource::Process, None);
    let second = due_now(&mut timetable, Resource::Process, None);
    let socket = due_now(&mut timetable, Resource::Socket, None);
    assert_eq!(start_all(&mut timetable, START), [first, socket]);
    assert_eq!(timetable.load().processes, 1);
    timetable.finish(first);
    assert_eq!(start_all(&mut timetable, START), [second]);
}

#[test]
fn starts_are_gathered_within_the_slack_and_deadlines_are_not() {
    let ms = Duration::from_millis;
    for slack in [10, 25, 40, 1000].map(ms) {
        let mut table = timetable(Limits::default().with_start_rate(1_000_000));
        table.set_start_slack(slack).unwrap();
        let dues: Vec<_> = (1..=200).map(|n| START + ms(n * 7)).collect();
        for due in &dues {
            let check = table.add(Resource::Socket, None).unwrap();
            table.schedule(check, *due, false, SECOND);
        }
        let (mut woken, mut started) = (0, 0);
        while let Some(next) = table.next_wakeup() {
            let checks = start_all(&mut table, next);
            for check in &checks {
                let due = dues[check.slot as usize];
                assert!(next >= due && next - due <= slack, "{next:?} {due:?}");
                table.finish(*check);
            }
            started += checks.len();
            woken += usize::from(!checks.is_empty());
        }
        assert_eq!(started, dues.len());
        let ticks = slack.as_millis() / 10 * 10;
        assert!(woken as u128 <= 1400 / ticks + 1, "{woken} for {slack:?}");
        assert_eq!(table.load().lag.iter().sum::<u64>(), 200);
    }
    let mut table = timetable(Limits::default());
    table.set_start_slack(SECOND).unwrap();
    let check = due_now(&mut table, Resource::Socket, None);
    assert_eq!(start_all(&mut table, START), [check]);
    table.set_deadline(check, START + ms(15));
    assert_eq!(table.next_wakeup(), Some(START + ms(20)));
    for wrong in [Duration::ZERO, ms(9), ms(1001)] {
        assert_eq!(
            table.set_start_slack(wrong).unwrap_err().field,
            "start_slack"
        );
    }
}

#[test]
fn lag_is_counted_by_its_range() {
    let mut table = timetable(Limits::default());
    for late in [0, 10, 11, 60, 600, 60_000] {
        let check = table.add(Resource::Socket, None).unwrap();
        let now = table.now + 100 * SECOND;
        table.schedule(check, now, false, SECOND);
        let started = start_all(&mut table, now + Duration::from_millis(late));
        assert_eq!(started, [check]);
        table.finish(check);
    }
    assert_eq!(table.load().lag, [2, 1, 0, 1, 0, 0, 1, 0, 1]);
    assert_eq!(table.load().late_total, 1);
}

#[test]
fn start_rates_smooth_a_burst() {
    let mut table = timetable(Limits::default().with_start_rate(100));
    for _ in 0..30 {
        due_now(&mut table, Resource::Socket, None);
    }
    assert_eq!(start_all(&mut table, START).len(), 10, "a tenth at once");
    assert_eq!(table.next_wakeup(), Some(START + SECOND / 100));
    assert_eq!(start_all(&mut table, START + SECOND / 10).len(), 10);

    let mut table = timetable(Limits::default().with_fork_rate(50));
    for _ in 0..30 {
        due_now(&mut table, Resource::Process, None);
    }
    assert_eq!(start_all(&mut table, START).len(), 5);
    assert_eq!(table.next_wakeup(), Some(START + SECOND / 50));
}

#[test]
fn transitional_checks_go_first_then_the_longest_waiting() {
    let mut timetable = timetable(Limits::default().with_max_in_flight(1));
    let [early, late, urgent] =
        core::array::from_fn(|_| timetable.add(Resource::Socket, None).unwrap());
    timetable.schedule(late, START + SECOND, false, SECOND);
    timetable.schedule(early, START, false, SECOND);
    timetable.schedule(urgent, START + 2 * SECOND, true, SECOND);
    let now = START + 3 * SECOND;
    let mut order = Vec::new();
    timetable.advance(now);
    while let Some(check) = timetable.start_next(now) {
        order.push(check);
        timetable.finish(check);
    }
    assert_eq!(order, [urgent, early, late]);
    assert_eq!(
        timetable.load().late_total,
        2,
        "two were later than their interval"
    );
    assert_eq!(timetable.load().latest, 3 * SECOND);
}

#[test]
fn deadline_belongs_to_a_running_attempt_only() {
    let mut timetable = timetable(Limits::default());
    let check = due_now(&mut timetable, Resource::Socket, None);
    timetable.set_deadline(check, START);
    assert_eq!(start_all(&mut timetable, START), [check]);
    assert_eq!(timetable.expire_next(), None, "set before it ran");
    timetable.set_deadline(check, START + SECOND);
    timetable.advance(START + 2 * SECOND);
    timetable.finish(check);
    assert_eq!(
        timetable.expire_next(),
        None,
        "finished before it was handed out"
    );
    timetable.schedule(check, START, false, SECOND);
    assert_eq!(start_all(&mut timetable, START + 2 * SECOND), [check]);
}

#[test]
fn removed_check_is_unknown_even_when_its_place_is_used_again() {
    let mut timetable = timetable(Limits::default());
    let old = due_now(&mut timetable, Resource::Socket, Some("10.0.0.1"));
    start_all(&mut timetable, START);
    assert!(timetable.remove(old));
    assert_eq!(timetable.load().in_flight, 0);
    let new = due_now(&mut timetable, Resource::Socket, Some("10.0.0.1"));
    assert_ne!(old, new);
    assert!(!timetable.remove(old));
    timetable.schedule(old, START + SECOND, false, SECOND);
    assert_eq!(start_all(&mut timetable, START), [new]);
}

#[derive(Clone, Debug)]
enum Move {
    Schedule(usize, u64, bool),
    Remove(usize),
    Finish(usize),
    Wait(u64),
}

proptest! {
    /// Random use against a plain list: nothing starts early, twice, or beyond a limit; and when
    /// nothing more starts there is a limit that says so.
    #[test]
    fn agrees_with_a_plain_list(
        moves in proptest::collection::vec(
            prop_oneof![
                3 => (0_usize..24, 0_u64..5000, any::<bool>())
                    .prop_map(|(n, ms, first)| Move::Schedule(n, ms, first)),
                1 => (0_usize..24).prop_map(Move::Remove),
                3 => (0_usize..24).prop_map(Move::Finish),
                3 => (0_u64..3000).prop_map(Move::Wait),
            ],
            0..150,
        )
    ) {
        let limits = Limits::default()
            .with_max_in_flight(6)
            .with_max_in_flight_per_host(2)
            .with_max_processes(2);
        let mut timetable = timetable(limits);
        let resource = |n: usize| if n % 3 == 0 { Resource::Process } else { Resource::Socket };
        let host = |n: usize| (n % 2 == 0).then(|| [10, 0, 0, (n % 5) as u8].into());
        let mut ids: Vec<_> =
            (0..24).map(|n| timetable.add(resource(n), host(n)).unwrap()).collect();
        let mut planned: BTreeMap<usize, Timestamp> = BTreeMap::new();
        let mut running: Vec<usize> = Vec::new();
        let mut now = START;
        for step in moves {
            match step {
                Move::Schedule(n, ms, first) => {
                    let due = now + Duration::from_millis(ms);
                    timetable.schedule(ids[n], due, first, SECOND);
                    if !running.contains(&n) {
                        planned.insert(n, due);
                    }
                }
                Move::Remove(n) => {
                    prop_assert!(timetable.remove(ids[n]));
                    ids[n] = timetable.add(resource(n), host(n)).unwrap();
                    planned.remove(&n);
                    running.retain(|other| *other != n);
                }
                Move::Finish(n) => {
                    timetable.finish(ids[n]);
                    running.retain(|other| *other != n);
                }
                Move::Wait(ms) => now += Duration::from_millis(ms),
            }
            timetable.advance(now);
            while let Some(id) = timetable.start_next(now) {
                let n = ids.iter().position(|other| *other == id).unwrap();
                let due = planned.remove(&n);
                prop_assert!(due.is_some_and(|due| due <= now), "not planned or too early");
                running.push(n);
            }
            let at = |address| running.iter().filter(|n| host(**n) == Some(address)).count();
            let processes =
                running.iter().filter(|n| resource(**n) == Resource::Process).count();
            prop_assert!(running.len() <= 6 && processes <= 2);
            for n in 0..24 {
                let full = host(n).is_some_and(|address| at(address) >= 2);
                prop_assert!(host(n).is_none_or(|address| at(address) <= 2));
                let late = Duration::from_millis(10);
                if planned.get(&n).is_some_and(|due| *due + late <= now) {
                    let process = resource(n) == Resource::Process && processes == 2;
                    prop_assert!(running.len() == 6 || full || process, "{n} could start");
                }
            }
            prop_assert_eq!(timetable.load().in_flight as usize, running.len());
            prop_assert_eq!(timetable.load().processes as usize, processes);
        }
        for id in ids {
            prop_assert!(timetable.remove(id));
        }
        prop_assert_eq!(timetable.next_wakeup(), None);
        prop_assert_eq!(timetable.load().waiting, 0);
        prop_assert!(timetable.hosts.is_empty(), "nothing is left behind");
    }
}

#[test]
fn commands_that_outlive_their_attempts_count() {
    let mut timetable = Timetable::new(Limits::default().with_max_processes(2)).unwrap();
    let command = timetable.add(Resource::Process, None).unwrap();
    let second = Duration::from_secs(1);
    timetable.schedule(command, second, false, second);
    timetable.set_outliving(2);
    timetable.advance(2 * second);
    assert_eq!(timetable.start_next(2 * second), None);
    assert_eq!(timetable.next_wakeup(), None, "somebody has to go first");
    timetable.set_outliving(1);
    assert!(timetable.next_wakeup().is_some());
    assert_eq!(timetable.start_next(2 * second), Some(command));
}
