//! Any inputs in any order, beside the rules as their specification words them. The fuzz target
//! `check_policy` runs the same function.

use core::time::Duration;

use lvs_healthcheck::aggregate::{
    Aggregate, Damping, Desired, MAX_WEIGHT, Member, Reason, Role, SlowStart, Source, UnknownAs,
};
use lvs_healthcheck::policy::{
    Decision, Health, HealthChange, Initial, Machine, Observation, Observe, OnError, OnLocalError,
    Passive, Policy, ScheduleBase, Spread,
};
use lvs_healthcheck::{AdminHint, Code, Outcome, Phase, Verdict, WeightHint};

/// Steps of one run; the rest of the bytes is left alone.
const STEPS: usize = 400;

/// Bytes that decide; zeros once they are used up.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        let place = usize::from(self.byte()) % choices.len();
        *choices.get(place).unwrap()
    }

    /// Now and then 0, so that nothing valid comes of it.
    fn count(&mut self) -> u16 {
        u16::from(self.byte() % 7)
    }

    fn time(&mut self) -> Duration {
        Duration::from_millis(u64::from(self.byte()) * 50)
    }

    fn maybe<T>(&mut self, value: impl Fn(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| value(self))
    }
}

/// A policy, and the numbers that the rules need of it.
struct Rules {
    policy: Policy,
    rise: u32,
    fall: u32,
    rise_first: Option<u32>,
    initial: Initial,
    on_local_error: OnLocalError,
    passive: Option<OnError>,
    error_limit: u32,
    delays: Vec<Duration>,
    jitter: (u8, Duration),
    base: ScheduleBase,
    log_all: bool,
}

fn rules(input: &mut Input<'_>) -> Rules {
    let (rise, fall) = (input.count(), input.count());
    let rise_first = input.maybe(Input::count);
    let initial = input.of(&[
        Initial::FullyUp,
        Initial::Up1,
        Initial::Down1,
        Initial::FullyDown,
        Initial::Undecided,
    ]);
    let on_local_error = match input.byte() % 6 {
        0 => OnLocalError::Fail,
        1 => OnLocalError::FailAfter(input.count().into()),
        _ => OnLocalError::Ignore,
    };
    let base = input.of(&[ScheduleBase::EndToStart, ScheduleBase::StartToStart]);
    let jitter = (input.byte() % 52, input.time());
    let interval = input.time();
    let log_all = input.flag();
    let mut policy = Policy::default()
        .with_rise(rise)
        .with_fall(fall)
        .with_initial(initial)
        .with_on_local_error(on_local_error)
        .with_on_no_route(on_local_error)
        .with_schedule_base(base)
        .with_jitter_percent(jitter.0)
        .with_jitter_add(jitter.1)
        .with_interval(interval)
        .with_log_all_failures(log_all)
        .with_spread(Spread::Hash {
            cap: Duration::from_secs(5),
        });
    let mut delays = vec![interval];
    for with in [
        Policy::with_fast_interval,
        Policy::with_rising_interval,
        Policy::with_down_interval,
        Policy::with_idle_interval,
    ] {
        if let Some(time) = input.maybe(Input::time) {
            policy = with(policy, time);
            delays.push(time);
        }
    }
    if let Some(first) = rise_first {
        policy = policy.with_rise_first(first);
    }
    let passive = input.maybe(|input| {
        input.of(&[
            OnError::FastInterval,
            OnError::FailCheck,
            OnError::SuddenDeath,
            OnError::MarkDown,
        ])
    });
    let error_limit = input.count().into();
    if let Some(on_error) = passive {
        let passive = Passive::new(Observe::Layer4);
        policy = policy.with_passive(
            passive
                .with_error_limit(error_limit)
                .with_on_error(on_error),
        );
    }
    Rules {
        policy,
        rise: rise.into(),
        fall: fall.into(),
        rise_first: rise_first.map(u32::from),
        initial,
        on_local_error,
        passive,
        error_limit,
        delays,
        jitter,
        base,
        log_all,
    }
}

/// What the specification's pseudo-code keeps.
struct State {
    h: u32,
    /// The number of verdicts, neutral ones apart.
    runs: u32,
    /// Verdicts of one kind in a row: successes positive, failures negative.
    row: i64,
    was_up: bool,
    local_errors: u32,
    traffic_errors: u32,
    hint: Option<WeightHint>,
    admin: Option<AdminHint>,
    is_suspended: bool,
}

impl State {
    fn new(rules: &Rules) -> Self {
        Self {
            h: match rules.initial {
                Initial::FullyUp => rules.rise + rules.fall - 1,
                Initial::Up1 => rules.rise,
                Initial::Down1 => rules.rise - 1,
                _ => 0,
            },
            runs: 0,
            row: 0,
            was_up: false,
            local_errors: 0,
            traffic_errors: 0,
            hint: None,
            admin: None,
            is_suspended: false,
        }
    }

    fn health(&self, rules: &Rules) -> Health {
        let is_up = self.h >= rules.rise;
        match self.runs {
            0 => Health::Unknown,
            _ if is_up => Health::Up,
            _ => Health::Down,
        }
    }

    fn on_verdict(&mut self, rules: &Rules, verdict: Verdict, hint: Option<WeightHint>) {
        let highest = rules.rise + rules.fall - 1;
        let failed = matches!(verdict, Verdict::Fail | Verdict::FailNow);
        self.hint = match verdict {
            Verdict::Neutral => hint.or(self.hint),
            _ if failed => None,
            _ => hint,
        };
        if verdict == Verdict::Neutral {
            return;
        }
        self.row = match failed {
            true => self.row.min(0) - 1,
            false => self.row.max(0) + 1,
        };
        let first = i64::from(rules.rise_first.unwrap_or(rules.rise));
        if self.runs == 0 && rules.initial == Initial::Undecided {
            if self.row >= first {
                (self.h, self.runs, self.was_up) = (highest, 1, true);
            } else if verdict == Verdict::FailNow || -self.row >= i64::from(rules.fall) {
                (self.h, self.runs, self.row) = (0, 1, 0);
            }
            return;
        }
        self.runs += 1;
        match verdict {
            Verdict::Fail => {
                self.h = self.h.saturating_sub(1);
                if self.h < rules.rise {
                    self.h = 0;
                }
            }
            Verdict::FailNow => self.h = 0,
            _ => {
                let is_first = !self.was_up && self.h < rules.rise && rules.rise_first.is_some();
                self.h = (self.h + 1).min(highest);
                if is_first {
                    self.h = match self.row >= first {
                        true => rules.rise,
                        false => self.h.min(rules.rise - 1),
                    };
                }
                if self.h >= rules.rise {
                    (self.h, self.was_up) = (highest, true);
                }
            }
        }
    }
}

/// A machine beside its rules, and a destination fed by it.
struct Run {
    rules: Rules,
    state: State,
    machine: Machine,
    server: Aggregate<u8>,
    now: Duration,
}

/// Carries out what the bytes say.
pub(crate) fn check(bytes: &[u8]) {
    let mut input = Input(bytes);
    let rules = rules(&mut input);
    let Ok(machine) = Machine::new(rules.policy.clone()) else {
        assert!(rules.policy.validate().is_err());
        return;
    };
    let mut server = Aggregate::new(input.byte().into())
        .with_weight_scale(u32::from(input.byte() % 4))
        .with_min_down_time(input.time())
        .with_min_up_time(input.time());
    if let Some(time) = input.maybe(Input::time) {
        server = server.with_slow_start(SlowStart::new(time));
    }
    if input.flag() {
        server = server.with_damping(Damping::default());
    }
    server.insert(0, Member::required(UnknownAs::Down));
    server.insert(1, Member::new(Role::Agent, UnknownAs::Up));
    let mut run = Run {
        state: State::new(&rules),
        rules,
        machine,
        server,
        now: Duration::from_secs(1000),
    };
    for _ in 0..STEPS {
        if input.0.is_empty() {
            break;
        }
        run.step(&mut input);
    }
}

impl Run {
    fn step(&mut self, input: &mut Input<'_>) {
        let before = self.state.health(&self.rules);
        match input.byte() % 16 {
            0 => self.wait(input.time()),
            1 => {
                self.machine.suspend();
                self.state.is_suspended = true;
            }
            2 | 3 => {
                self.machine.resume();
                self.state.is_suspended = false;
                (self.state.local_errors, self.state.traffic_errors) = (0, 0);
            }
            4 => {
                self.machine.set_traffic(input.flag());
            }
            5 => self.plan(input),
            6 => {
                let vote = input.maybe(|input| input.of(&[AdminHint::Drain, AdminHint::Maint]));
                self.server.set_vote(Source::Api, vote);
            }
            7 | 8 => self.observe(input.flag(), before),
            9 => self.replace(input),
            _ => self.judge(input, before),
        }
        assert_eq!(self.machine.health(), self.state.health(&self.rules));
        assert_eq!(self.machine.counter(), self.state.h);
        assert!(self.machine.counter() <= self.rules.policy.highest());
        self.look();
    }

    fn judge(&mut self, input: &mut Input<'_>, before: Health) {
        let code = input.of(Code::ALL);
        let mut outcome = Outcome::new(code, Phase::Connect);
        if let Some(verdict) = input.maybe(|input| {
            input.of(&[
                Verdict::Pass,
                Verdict::PassNoNew,
                Verdict::Fail,
                Verdict::FailNow,
                Verdict::Neutral,
            ])
        }) {
            outcome = outcome.with_verdict(verdict);
        }
        outcome.weight = match input.byte() % 8 {
            0 => Some(WeightHint::Absolute(input.byte().into())),
            1 => Some(WeightHint::Percent(input.byte().into())),
            2 => Some(WeightHint::Delta(i64::from(input.byte()) - 128)),
            _ => None,
        };
        outcome.admin = match input.byte() % 8 {
            0 => Some(AdminHint::Ready),
            1 => Some(AdminHint::Drain),
            _ => None,
        };
        let state = &mut self.state;
        let mut verdict = outcome.verdict;
        let mut is_told = false;
        if state.is_suspended {
            verdict = Verdict::Neutral;
        } else {
            if verdict != Verdict::Neutral {
                state.local_errors = 0;
            } else if code.is_local() {
                state.local_errors += 1;
                is_told = state.local_errors & (state.local_errors - 1) == 0;
                let fails = match self.rules.on_local_error {
                    OnLocalError::Fail => true,
                    OnLocalError::FailAfter(count) => state.local_errors >= count,
                    _ => false,
                };
                if fails {
                    verdict = Verdict::Fail;
                }
            }
            state.on_verdict(&self.rules, verdict, outcome.weight);
            state.admin = outcome.admin.or(state.admin);
        }
        let decision = self.machine.on_outcome(&outcome);
        assert_eq!(decision.verdict, verdict);
        assert_eq!(decision.local_errors, self.state.local_errors);
        let fails = matches!(verdict, Verdict::Fail | Verdict::FailNow);
        let expected = is_told || decision.change.is_some() || (fails && self.rules.log_all);
        assert_eq!(decision.log, expected);
        self.decided(&decision, before);
    }

    fn observe(&mut self, is_good: bool, before: Health) {
        let observation = match is_good {
            true => Observation::Connected,
            false => Observation::ConnectFailed,
        };
        let decision = self.machine.observe(observation);
        let (state, rules) = (&mut self.state, &self.rules);
        let Some(on_error) = rules.passive.filter(|_| !state.is_suspended) else {
            assert_eq!(decision, None);
            return;
        };
        state.traffic_errors = if is_good { 0 } else { state.traffic_errors + 1 };
        if state.traffic_errors < rules.error_limit {
            assert_eq!(decision, None);
            return;
        }
        state.traffic_errors = 0;
        match on_error {
            OnError::FastInterval => {}
            OnError::SuddenDeath if state.h > rules.rise => {
                state.on_verdict(rules, Verdict::Fail, None);
                state.h = rules.rise;
            }
            OnError::MarkDown => state.on_verdict(rules, Verdict::FailNow, None),
            _ => state.on_verdict(rules, Verdict::Fail, None),
        }
        self.decided(&decision.unwrap(), before);
    }

    /// What is true of every decision.
    fn decided(&mut self, decision: &Decision, from: Health) {
        let to = self.state.health(&self.rules);
        assert_eq!(decision.health, to);
        let change = decision
            .change
            .map(|HealthChange { from, to, .. }| (from, to));
        assert_eq!(change, (from != to).then_some((from, to)));
        assert_eq!(decision.counter, self.state.h);
        assert_eq!(decision.hint, self.state.hint);
        assert_eq!(decision.admin, self.state.admin);
        assert!(self.rules.delays.contains(&decision.delay));
        let before = self.server.desired();
        let changed = self.server.apply(self.now, &0, decision);
        assert_eq!(changed, self.server.desired() != before);
    }

    fn plan(&mut self, input: &mut Input<'_>) {
        let draws = [input.byte(), input.byte()].map(|byte| u64::from(byte) << 56);
        let mut draw = draws.into_iter().cycle();
        let (started, ended) = (self.now, self.now + input.time());
        let next = self
            .machine
            .next_start(started, ended, &mut || draw.next().unwrap());
        let longest = self.rules.delays.iter().max().unwrap();
        let shortest = self.rules.delays.iter().min().unwrap();
        let (percent, add) = (u32::from(self.rules.jitter.0), self.rules.jitter.1);
        let most = *longest + *longest * percent / 100 + add;
        let least = *shortest - *shortest * percent / 100;
        assert!(next >= ended && next <= ended + most.max(Policy::MIN_TIME));
        if self.rules.base == ScheduleBase::EndToStart {
            assert!(next >= ended + least.max(Policy::MIN_TIME));
        }
        let first = self.machine.first_start(self.now, "key", &mut || 0);
        assert!(first >= self.now && first < self.now + Duration::from_secs(5));
    }

    fn replace(&mut self, input: &mut Input<'_>) {
        let rules = rules(input);
        if self.machine.set_policy(rules.policy.clone()).is_err() {
            return;
        }
        let (old, new) = (&self.rules, &rules);
        let state = &mut self.state;
        if state.runs == 0 {
            state.h = State::new(new).h;
            state.row = 0;
        } else if state.h < old.rise {
            state.h = state.h.min(new.rise - 1);
        } else if state.h == old.rise + old.fall - 1 {
            state.h = new.rise + new.fall - 1;
        } else {
            state.h = (new.rise + state.h - old.rise).min(new.rise + new.fall - 1);
        }
        self.rules = rules;
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.server.next_deadline().filter(|at| *at <= end) {
            let mut early = self.server.clone();
            assert!(!early.tick(deadline - Duration::from_nanos(1)), "too late");
            self.server.tick(deadline);
        }
        self.now = end;
        assert!(!self.server.tick(end), "without a deadline");
    }

    fn look(&self) {
        let server = &self.server;
        if let Desired::Present { weight } = server.desired() {
            let serves = matches!(
                server.reason(),
                Reason::Up | Reason::SlowStart | Reason::MinUpTime
            );
            assert!(weight <= MAX_WEIGHT && (weight == 0 || serves));
            assert_eq!(weight == 0, server.weight() == 0 || !serves);
        }
        assert!(server.next_deadline().is_none_or(|at| at > self.now));
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::check;

    proptest! {
        #[test]
        fn rules_hold_whatever_comes(bytes in vec(any::<u8>(), 0..600)) {
            check(&bytes);
        }

        /// Settings that are allowed, so that most of the bytes are steps.
        #[test]
        fn rules_hold_under_usual_settings(
            rise in 1_u8..7, fall in 1_u8..7, initial in 0_u8..5, bytes in vec(any::<u8>(), 0..600),
        ) {
            let settings = [rise, fall, 0, initial, 5, 0, 5, 1, 100];
            check(&[&settings[..], &bytes].concat());
        }
    }
}
