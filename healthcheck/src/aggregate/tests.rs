//! How checks make health, and health and hints an entry of the table.

use super::*;

fn of(rule: Rule, members: &[(Health, UnknownAs)]) -> Standing {
    let mut server = Aggregate::new(1).with_rule(rule);
    for (key, (health, unknown)) in members.iter().enumerate() {
        server.insert(key, Member::required(*unknown));
        server.update(&key, *health, None, false);
    }
    server.standing()
}

const UP: (Health, UnknownAs) = (Health::Up, UnknownAs::Down);
const DOWN: (Health, UnknownAs) = (Health::Down, UnknownAs::Up);
const NEW: (Health, UnknownAs) = (Health::Unknown, UnknownAs::Up);
const ALPHA: (Health, UnknownAs) = (Health::Unknown, UnknownAs::Down);
const HOLD: (Health, UnknownAs) = (Health::Unknown, UnknownAs::Hold);

#[test]
fn rules_decide_with_unknown_as_up_down_or_hold() {
    use Standing as S;
    let rows: [(Rule, &[_], S); 20] = [
        (Rule::All, &[], S::Up),
        (Rule::All, &[UP, UP], S::Up),
        (Rule::All, &[UP, DOWN], S::Down),
        (Rule::All, &[NEW], S::Up),
        (Rule::All, &[ALPHA], S::Down),
        (Rule::All, &[UP, ALPHA], S::Down),
        (Rule::All, &[UP, HOLD], S::Hold),
        (Rule::All, &[DOWN, HOLD], S::Down),
        (Rule::Any, &[], S::Up),
        (Rule::Any, &[UP, DOWN], S::Up),
        (Rule::Any, &[DOWN, DOWN], S::Down),
        (Rule::Any, &[DOWN, HOLD], S::Hold),
        (Rule::Any, &[UP, HOLD], S::Up),
        (Rule::AtLeast(2), &[UP, UP, DOWN], S::Up),
        (Rule::AtLeast(2), &[UP, DOWN, DOWN], S::Down),
        (Rule::AtLeast(2), &[UP, HOLD, DOWN], S::Hold),
        (Rule::AtLeast(2), &[HOLD, DOWN, DOWN], S::Down),
        (Rule::AtLeast(9), &[UP, UP], S::Up),
        (Rule::AtLeast(0), &[DOWN], S::Up),
        (Rule::AtLeast(2), &[], S::Up),
    ];
    for (rule, members, expected) in rows {
        assert_eq!(of(rule, members), expected, "{rule:?} {members:?}");
    }
}

#[test]
fn advisory_checks_give_weight_only_and_info_checks_nothing() {
    let mut server = Aggregate::new(10);
    server.insert("load", Member::new(Role::Advisory, UnknownAs::Down));
    server.insert("look", Member::new(Role::Info, UnknownAs::Down));
    server.update(&"load", Health::Down, None, false);
    server.update(&"look", Health::Down, Some(WeightHint::Absolute(0)), true);
    assert_eq!(server.desired(), Desired::Present { weight: 10 });
    server.update(&"load", Health::Up, Some(WeightHint::Percent(50)), false);
    assert_eq!(server.desired(), Desired::Present { weight: 5 });
}

#[test]
fn inhibit_keeps_a_destination_that_is_down_with_weight_0() {
    let mut server = Aggregate::new(10).with_removal(Removal::Inhibit);
    server.insert(1, Member::required(UnknownAs::Down));
    assert_eq!(server.desired(), Desired::Present { weight: 0 });
    assert!(server.update(&1, Health::Up, None, false));
    assert_eq!(server.desired(), Desired::Present { weight: 10 });
}

#[test]
fn conditional_pass_stays_in_the_table_without_new_connections() {
    let mut server = Aggregate::new(10);
    server.insert(1, Member::required(UnknownAs::Up));
    assert!(server.update(&1, Health::Up, None, true));
    assert_eq!(server.desired(), Desired::Present { weight: 0 });
}

#[test]
fn held_destination_stays_as_adopted_until_the_first_verdict() {
    let adopted = Desired::Present { weight: 3 };
    let mut server = Aggregate::new(10).with_adopted(adopted);
    server.insert(1, Member::required(UnknownAs::Hold));
    assert_eq!(server.desired(), adopted);
    server.update(&1, Health::Up, None, false);
    assert_eq!(server.desired(), Desired::Present { weight: 10 });
}

#[test]
fn hint_of_one_check_waits_while_another_keeps_the_destination_down() {
    let mut server = Aggregate::new(10).with_combine(Combine::Additive);
    server.insert("a", Member::required(UnknownAs::Up));
    server.insert("b", Member::required(UnknownAs::Up));
    server.update(&"a", Health::Down, None, false);
    assert!(!server.update(&"b", Health::Up, Some(WeightHint::Absolute(4)), false));
    assert!(server.update(&"a", Health::Up, None, false));
    assert_eq!(server.desired(), Desired::Present { weight: 4 });
}

#[test]
fn unknown_names_and_equal_updates_change_nothing() {
    let mut server = Aggregate::new(10);
    server.insert(1, Member::required(UnknownAs::Up));
    assert!(!server.update(&2, Health::Down, None, false));
    assert!(!server.update(&1, Health::Up, None, false));
    assert!(server.update(&1, Health::Down, None, false));
    assert!(server.remove(&1) && !server.remove(&1));
    assert_eq!(server.desired(), Desired::Present { weight: 10 });
}
