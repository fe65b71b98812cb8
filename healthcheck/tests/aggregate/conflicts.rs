//! The table of conflicts: one test for each row, named after it.

use core::time::Duration;

use lvs_healthcheck::aggregate::{
    Aggregate, Combine, Contribution, Desired, Member, Reason, Role, SlowStart, Source, Standing,
    UnknownAs,
};
use lvs_healthcheck::policy::{Haproxy, Health, Machine, Policy, Warning};
use lvs_healthcheck::{AdminHint, Code, Outcome, Phase, Verdict, WeightHint};

const NOW: Duration = Duration::from_secs(1000);

/// A server of weight 10 with two required checks, all up.
fn two_checks() -> Aggregate<&'static str> {
    let mut server = Aggregate::new(10);
    server.insert("a", Member::required(UnknownAs::Up));
    server.insert("b", Member::required(UnknownAs::Up));
    server.apply(NOW, &"a", Contribution::new(Health::Up));
    server.apply(NOW, &"b", Contribution::new(Health::Up));
    server
}

/// An agent beside a check, and what its words lead to.
struct Agent {
    server: Aggregate<&'static str>,
    machine: Machine,
}

impl Agent {
    fn new() -> Self {
        let mut server = Aggregate::new(10);
        server.insert("check", Member::required(UnknownAs::Up));
        server.insert("agent", Member::new(Role::Agent, UnknownAs::Up));
        Self {
            server,
            machine: Machine::new(Policy::haproxy_agent(&Haproxy::new())).unwrap(),
        }
    }

    fn check(&mut self, health: Health) -> Desired {
        self.server.apply(NOW, &"check", Contribution::new(health));
        self.server.desired()
    }

    /// A line of words of an agent, as its probe reports them.
    fn says(&mut self, line: &str) -> Desired {
        let mut outcome = Outcome::new(Code::Ok, Phase::Match).with_verdict(Verdict::Neutral);
        for word in line.split(' ') {
            outcome = match word {
                "up" => outcome.with_verdict(Verdict::Pass),
                "down" => outcome.with_verdict(Verdict::FailNow),
                "ready" => outcome.with_admin(AdminHint::Ready),
                "drain" => outcome.with_admin(AdminHint::Drain),
                "maint" => outcome.with_admin(AdminHint::Maint),
                percent => {
                    let percent = percent.trim_end_matches('%').parse().unwrap();
                    outcome.with_weight(WeightHint::Percent(percent))
                }
            };
        }
        let decision = self.machine.on_outcome(&outcome);
        self.server.apply(NOW, &"agent", &decision);
        self.server.desired()
    }

    fn is_silent(&mut self) -> Desired {
        let outcome = Outcome::new(Code::Refused, Phase::Connect).with_verdict(Verdict::Neutral);
        let decision = self.machine.on_outcome(&outcome);
        self.server.apply(NOW, &"agent", &decision);
        self.server.desired()
    }
}

const fn weight(weight: u32) -> Desired {
    Desired::Present { weight }
}

#[test]
fn one_required_up_one_required_down_is_down() {
    let mut server = two_checks();
    assert_eq!(server.desired(), weight(10));
    server.apply(NOW, &"b", Contribution::new(Health::Down));
    assert_eq!(server.standing(), Standing::Down);
    assert_eq!(
        (server.desired(), server.reason()),
        (Desired::Absent, Reason::Down)
    );
}

#[test]
fn check_down_agent_says_up_is_down() {
    let mut agent = Agent::new();
    assert_eq!(agent.check(Health::Down), Desired::Absent);
    assert_eq!(agent.says("up"), Desired::Absent);
    assert_eq!(agent.says("up ready 100%"), Desired::Absent);
    assert_eq!(agent.check(Health::Up), weight(10));
}

#[test]
fn check_up_agent_says_down_is_down_until_the_agent_says_up() {
    let mut agent = Agent::new();
    assert_eq!(agent.check(Health::Up), weight(10));
    assert_eq!(agent.says("down"), Desired::Absent);
    assert_eq!(agent.check(Health::Up), Desired::Absent);
    assert_eq!(agent.says("50%"), Desired::Absent, "no word about health");
    assert_eq!(agent.says("ready"), Desired::Absent, "nor is this one");
    assert_eq!(agent.is_silent(), Desired::Absent, "nor is silence");
    assert_eq!(agent.says("up"), weight(10));
}

#[test]
fn check_up_agent_drain_is_present_with_weight_0() {
    let mut agent = Agent::new();
    agent.check(Health::Up);
    assert_eq!(agent.says("up drain"), weight(0));
    assert_eq!(agent.server.reason(), Reason::Drain);
    assert_eq!(agent.server.standing(), Standing::Up, "it is healthy");
    assert_eq!(
        agent.server.quorum_weight(),
        0,
        "but adds nothing to a quorum"
    );
    assert_eq!(agent.says("up"), weight(0), "the vote stays");
    assert_eq!(agent.is_silent(), weight(0));
    assert_eq!(agent.says("ready"), weight(10));
}

#[test]
fn agent_ready_after_operator_set_maint_is_still_maint() {
    let mut agent = Agent::new();
    agent.check(Health::Up);
    assert_eq!(agent.says("drain"), weight(0));
    assert!(agent.server.set_vote(Source::Api, Some(AdminHint::Maint)));
    assert_eq!(agent.says("ready"), Desired::Absent);
    assert_eq!(agent.server.reason(), Reason::Maint);
    agent.server.set_vote(Source::File, Some(AdminHint::Ready));
    assert_eq!(
        agent.server.desired(),
        Desired::Absent,
        "nor does another source"
    );
    agent.server.set_vote(Source::Api, Some(AdminHint::Ready));
    assert_eq!(
        agent.server.desired(),
        weight(10),
        "only the one that asked for it"
    );
}

#[test]
fn weight_hint_while_down_is_stored_and_applied_on_return() {
    let mut server = two_checks();
    server.apply(NOW, &"a", Contribution::new(Health::Down));
    let hint = Contribution::new(Health::Up).with_hint(WeightHint::Absolute(4));
    assert!(!server.apply(NOW, &"b", hint), "nothing to see yet");
    assert!(server.apply(NOW, &"a", Contribution::new(Health::Up)));
    assert_eq!(server.desired(), weight(4));
    let mut agent = Agent::new();
    agent.check(Health::Down);
    agent.says("up 30%");
    assert_eq!(agent.check(Health::Up), weight(3));
}

#[test]
fn hint_of_0_percent_is_present_with_weight_0_and_not_down() {
    for hint in [WeightHint::Percent(0), WeightHint::Absolute(0)] {
        let mut server = two_checks();
        assert_eq!(server.quorum_weight(), 10);
        server.apply(NOW, &"a", Contribution::new(Health::Up).with_hint(hint));
        assert_eq!(server.desired(), weight(0));
        assert_eq!(
            (server.standing(), server.reason()),
            (Standing::Up, Reason::Up)
        );
        assert_eq!(server.quorum_weight(), 0, "the sum drops");
    }
}

#[test]
fn percent_applies_to_the_operators_weight() {
    let mut server = two_checks();
    server.set_override(Some(40));
    assert_eq!(server.desired(), weight(40));
    let half = Contribution::new(Health::Up).with_hint(WeightHint::Percent(50));
    server.apply(NOW, &"a", half);
    assert_eq!(server.desired(), weight(20));
    server.set_weight(100);
    assert_eq!(server.desired(), weight(20), "the operator's goes first");
    server.set_override(None);
    assert_eq!(server.desired(), weight(50));
}

#[test]
fn hint_changed_while_slow_start_runs_gives_a_new_weight_on_the_same_clock() {
    let second = Duration::from_secs(1);
    let mut server = two_checks().with_slow_start(SlowStart::new(20 * second));
    server.apply(NOW, &"a", Contribution::new(Health::Down));
    server.apply(NOW, &"a", Contribution::new(Health::Up));
    server.tick(NOW + 10 * second);
    assert_eq!(server.desired(), weight(5));
    let more = Contribution::new(Health::Up).with_hint(WeightHint::Absolute(40));
    server.apply(NOW + 10 * second, &"a", more);
    assert_eq!(server.desired(), weight(20), "half of the new one");
    server.tick(NOW + 19 * second);
    assert_eq!(
        (server.desired(), server.reason()),
        (weight(38), Reason::SlowStart)
    );
    server.tick(NOW + 20 * second);
    assert_eq!(
        (server.desired(), server.reason()),
        (weight(40), Reason::Up),
        "not later"
    );
}

#[test]
fn every_policy_of_a_shared_probe_judges_for_itself() {
    let mut strict = Machine::new(Policy::default().with_fall(1)).unwrap();
    let mut patient = Machine::new(Policy::default().with_fall(3)).unwrap();
    let server = |machine: &mut Machine, outcome: &Outcome| {
        let mut server = Aggregate::new(10);
        server.insert("shared", Member::required(UnknownAs::Up));
        server.apply(NOW, &"shared", &machine.on_outcome(outcome));
        server.desired()
    };
    let ok = Outcome::new(Code::Ok, Phase::Connect);
    let refused = Outcome::new(Code::Refused, Phase::Connect);
    assert_eq!(server(&mut strict, &ok), weight(10));
    assert_eq!(server(&mut patient, &ok), weight(10));
    assert_eq!(server(&mut strict, &refused), Desired::Absent);
    assert_eq!(server(&mut patient, &refused), weight(10));
}

#[test]
fn required_check_of_an_address_of_the_director_warns_of_a_self_check() {
    let address = |text: &str| text.parse().unwrap();
    let local = [address("127.0.0.1"), address("192.0.2.80")];
    let warning = Warning::self_check(Role::Required, address("192.0.2.80"), local);
    assert_eq!(warning.unwrap().id(), "self_check");
    assert_eq!(
        warning.unwrap().to_string(),
        "192.0.2.80 is an address of this host: the check tests the director, not the server"
    );
    let mapped = Warning::self_check(Role::Required, address("::ffff:192.0.2.80"), local);
    assert!(mapped.is_some(), "the same address in IPv6 dress");
    assert_eq!(
        Warning::self_check(Role::Required, address("192.0.2.81"), local),
        None
    );
    assert_eq!(
        Warning::self_check(Role::Advisory, address("192.0.2.80"), local),
        None
    );
}

/// Not a row: the rule above it, for every combination of votes.
#[test]
fn strongest_vote_counts_and_each_source_has_one() {
    use AdminHint::{Drain, Maint, Ready};
    let votes = [None, Some(Ready), Some(Drain), Some(Maint)];
    for api in votes {
        for file in votes {
            for agent in votes {
                let mut server = two_checks();
                server.set_vote(Source::Api, Some(Maint));
                server.set_vote(Source::Api, api);
                server.set_vote(Source::File, file);
                let mut says = Contribution::new(Health::Up);
                says.admin = agent;
                server.apply(NOW, &"a", says);
                let strongest = if [api, file, agent].contains(&Some(Maint)) {
                    Maint
                } else if [api, file, agent].contains(&Some(Drain)) {
                    Drain
                } else {
                    Ready
                };
                assert_eq!(server.admin(), strongest, "{api:?} {file:?} {agent:?}");
                let expected = match strongest {
                    Maint => Desired::Absent,
                    Drain => weight(0),
                    _ => weight(10),
                };
                assert_eq!(server.desired(), expected);
            }
        }
    }
}

/// Not a row: keepalived once kept a difference after its script was killed.
#[test]
fn contribution_is_gone_on_any_failure_and_derived_anew_on_success() {
    let script = |code: Code| Outcome::new(code, Phase::Process);
    for failure in [
        Code::TimeoutProc,
        Code::ExitSignal,
        Code::ExitNonzero,
        Code::Spawn,
    ] {
        // So many are tolerated that the server stays in the table.
        let mut machine = Machine::new(Policy::default().with_fall(5)).unwrap();
        let mut server = Aggregate::new(5).with_combine(Combine::Additive);
        server.insert("script", Member::required(UnknownAs::Up));
        let mut step = |outcome: &Outcome| {
            server.apply(NOW, &"script", &machine.on_outcome(outcome));
            server.desired()
        };
        let eight = script(Code::Ok).with_weight(WeightHint::Absolute(8));
        assert_eq!(step(&eight), weight(8));
        assert_eq!(step(&script(failure)), weight(5), "{failure}");
        assert_eq!(step(&eight), weight(8));
        assert_eq!(
            step(&script(Code::Ok)),
            weight(5),
            "exit 0 has no difference"
        );
    }
}
