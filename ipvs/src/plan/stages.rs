//! The steps of a plan in the making, stage by stage.

use core::ops::Range;

use super::fate::{Fate, Judge, Verdict};
use super::order;
use super::present::{Held, Present};
use super::swap::waits;
use super::{Cause, Oversight, Plan, PlanStep, Policy, Previous, Surplus};
use crate::destination::{Destination, DestinationKey};
use crate::request::Change;
use crate::service::{ServiceKey, VirtualService};
use crate::table::TableService;

/// The stages in the order in which they are sent: capacity is added before it is taken away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    NewServices,
    NewDestinations,
    Raised,
    Services,
    Reordered,
    Destinations,
    RemovedDestinations,
    RemovedServices,
}

/// Steps from which on a stage is long.
const LONG: usize = 1024;

/// Stages whose steps may give a service a usable destination.
const GAINS: [Stage; 3] = [Stage::NewDestinations, Stage::Raised, Stage::Reordered];

/// What a step must wait for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Guard {
    /// It takes a usable destination from a service all of whose usable destinations at the end
    /// are gained by the plan itself: where in the plan these gains are. Of each stage of `GAINS`
    /// what belongs to the service; positions in the stage at first, in the plan at last.
    Gained([Range<usize>; GAINS.len()]),
    /// It adds a destination to a service that must be ours: the step that creates it. That
    /// stage is the first, so positions in it are those in the plan.
    Created(usize),
}

impl Guard {
    /// Whether one of the steps waited for is done; `gives` says of a step whether it gives its
    /// service a usable destination.
    pub(super) fn is_satisfied(
        &self,
        gives: impl Fn(usize) -> bool,
        mut done: impl FnMut(usize) -> bool,
    ) -> bool {
        match self {
            Self::Gained(gains) => gains
                .iter()
                .cloned()
                .flatten()
                .any(|index| gives(index) && done(index)),
            Self::Created(index) => done(*index),
        }
    }
}

/// Builds a plan.
#[derive(Debug)]
pub(super) struct Stages<'a, O> {
    policy: &'a Policy,
    oversight: &'a O,
    steps: [Vec<PlanStep>; 8],
    /// Entries on both sides of the comparison: about the most steps there can be.
    entries: usize,
    plan: Plan,
}

impl<'a, O: Oversight> Stages<'a, O> {
    pub(super) fn new(policy: &'a Policy, oversight: &'a O, entries: usize) -> Self {
        Self {
            policy,
            oversight,
            steps: [const { Vec::new() }; 8],
            entries,
            plan: Plan::default(),
        }
    }

    fn stage(&mut self, stage: Stage) -> &mut Vec<PlanStep> {
        let [a, b, c, d, e, f, g, h] = &mut self.steps;
        match stage {
            Stage::NewServices => a,
            Stage::NewDestinations => b,
            Stage::Raised => c,
            Stage::Services => d,
            Stage::Reordered => e,
            Stage::Destinations => f,
            Stage::RemovedDestinations => g,
            Stage::RemovedServices => h,
        }
    }

    fn push(&mut self, stage: Stage, change: Change, cause: Cause, drift: bool) {
        self.enter(stage, PlanStep::new(change, cause, drift));
    }

    /// Adds a step. A stage that gets long makes room for all it may get: stages that grow by
    /// turns would be moved again and again.
    fn enter(&mut self, stage: Stage, step: PlanStep) {
        let entries = self.entries;
        let steps = self.stage(stage);
        if steps.len() == steps.capacity() && steps.len() >= LONG {
            steps.reserve(entries.saturating_sub(steps.len()));
        }
        steps.push(step);
    }

    fn judge(&self, service: ServiceKey) -> Judge<'a, O> {
        Judge {
            service,
            policy: self.policy,
            oversight: self.oversight,
        }
    }

    /// A desired service outside the scope.
    pub(super) fn leave_outside(&mut self, key: ServiceKey) {
        self.plan.outside_scope.push(key);
    }

    /// A desired service that is there and somebody else's.
    pub(super) fn leave_conflict(&mut self, key: ServiceKey) {
        self.plan.conflicts.push(key);
    }

    /// A desired service that is not there.
    pub(super) fn create(&mut self, wanted: &TableService) {
        let key = wanted.service.key();
        let is_drift = self.oversight.is_drift(&(key, None));
        if is_drift && self.oversight.leaves_drift() {
            self.plan.drift_left.push((key, None));
            return;
        }
        let change = Change::AddService(wanted.service.clone());
        let created = self.stage(Stage::NewServices).len();
        let guard = match self.oversight.takes_over() {
            true => None,
            false => Some(self.add_guard(Guard::Created(created))),
        };
        self.push(Stage::NewServices, change, Cause::Missing, is_drift);
        for destination in &wanted.destinations {
            let destination_key = destination.key();
            let is_drift = self.oversight.is_drift(&(key, Some(destination_key)));
            let mut destination = destination.clone();
            if let Some(weight) = self.oversight.weight(&key, &destination_key) {
                destination = destination.with_weight(weight);
            }
            let change = Change::AddDestination(key, destination);
            let mut step = PlanStep::new(change, Cause::Missing, is_drift);
            step.guard = guard;
            self.enter(Stage::NewDestinations, step);
        }
    }

    /// A desired service that is there.
    pub(super) fn update(&mut self, present: &Present<'_>, wanted: &TableService) {
        let key = wanted.service.key();
        if !wanted.service.same_settings(present.service) {
            let is_drift = self.oversight.is_drift(&(key, None));
            if is_drift && self.oversight.leaves_drift() {
                self.plan.drift_left.push((key, None));
            } else {
                let (change, cause) = set_service(present.service, wanted);
                self.push(Stage::Services, change, cause, is_drift);
            }
        }
        let held = present.destinations.as_slice();
        let policy = self.policy.surplus_destinations;
        let (desired, surplus) = self.judge(key).verdicts(held, &wanted.destinations, policy);
        let lasting = order::lasting_beginning(&desired);
        let mut beginning = desired.len();
        if let Some(rest) = desired.get(lasting..).filter(|rest| !rest.is_empty()) {
            let mut out_of_order = order::cost(key, rest);
            let policy = self.policy.order;
            out_of_order.rebuilt = policy.matters_to(wanted.service.scheduler())
                && waits(&desired, lasting, &surplus).is_some();
            if out_of_order.rebuilt {
                beginning = lasting;
            }
            self.plan.out_of_order.push(out_of_order);
        }
        self.destinations(key, desired, beginning, surplus);
    }

    /// The steps for the destinations of a service; the desired ones from `beginning` on are put
    /// in order.
    fn destinations(
        &mut self,
        key: ServiceKey,
        mut desired: Vec<Verdict<'_>>,
        beginning: usize,
        surplus: Vec<Verdict<'_>>,
    ) {
        let waits = waits(&desired, beginning, &surplus).unwrap_or_default();
        let starts = GAINS.map(|stage| self.stage(stage).len());
        let reordered = desired.split_off(beginning.min(desired.len()));
        let staying = || desired.iter().chain(&surplus);
        for verdict in staying() {
            self.gain(key, verdict);
        }
        for (verdict, must_wait) in reordered.into_iter().zip(waits.reordered) {
            self.reordered(key, verdict, must_wait.then_some(starts));
        }
        let guard = waits.others.then(|| self.guard(starts));
        for verdict in desired.into_iter().chain(surplus) {
            self.take(key, verdict, guard);
        }
    }

    /// Notes what is to be known of a destination that keeps its place, and the step if it gives
    /// something.
    fn gain(&mut self, key: ServiceKey, verdict: &Verdict<'_>) {
        self.note_draining(key, verdict);
        let is_drift = verdict.is_drift;
        match verdict.fate {
            Fate::Missed => self.plan.drift_left.push((key, Some(verdict.key))),
            Fate::Stays if is_drift => self.plan.drift_left.push((key, Some(verdict.key))),
            Fate::Added(wanted, weight) => {
                let change = Change::AddDestination(key, wanted.clone().with_weight(weight));
                self.push(Stage::NewDestinations, change, Cause::Missing, is_drift);
            }
            Fate::Set(wanted, weight) if verdict.rises() => {
                if let Some(step) = set(key, wanted, weight, verdict) {
                    self.enter(Stage::Raised, step);
                }
            }
            Fate::Stays | Fate::Drains | Fate::Set(..) | Fate::Quieted | Fate::Removed(_) => {}
        }
    }

    /// The step of a destination that keeps its place if it takes something or gives nothing.
    fn take(&mut self, key: ServiceKey, verdict: Verdict<'_>, guard: Option<usize>) {
        let guard = guard.filter(|_| verdict.was_usable());
        let (stage, step) = match verdict.fate {
            Fate::Set(wanted, weight) if !verdict.rises() => {
                (Stage::Destinations, set(key, wanted, weight, &verdict))
            }
            Fate::Quieted => (Stage::Destinations, quiet(key, &verdict)),
            Fate::Removed(cause) => {
                let change = Change::RemoveDestination(key, verdict.key);
                let step = PlanStep::new(change, cause, verdict.is_drift);
                (Stage::RemovedDestinations, Some(step))
            }
            _ => return,
        };
        if let Some(step) = step {
            self.enter(stage, PlanStep { guard, ..step });
        }
    }

    /// The steps for a destination that is to become the newest one.
    fn reordered(
        &mut self,
        key: ServiceKey,
        verdict: Verdict<'_>,
        waits_since: Option<[usize; GAINS.len()]>,
    ) {
        let is_drift = verdict.is_drift;
        let guard = waits_since.map(|starts| self.guard(starts));
        let cause = match verdict.held {
            None => Cause::Missing,
            Some(_) => {
                let remove = Change::RemoveDestination(key, verdict.key);
                let mut step = PlanStep::new(remove, Cause::OutOfOrder, is_drift);
                step.guard = guard;
                self.enter(Stage::Reordered, step);
                Cause::OutOfOrder
            }
        };
        let present = verdict.held.map(|held| held.destination);
        let settings = match (verdict.fate, present) {
            (Fate::Added(wanted, weight) | Fate::Set(wanted, weight), _) => {
                settings(wanted, weight, present)
            }
            (_, Some(present)) => present.clone(),
            (_, None) => {
                self.plan.drift_left.push((key, Some(verdict.key)));
                return;
            }
        };
        // It waits too: added to where the removal was left out it would replace the settings
        // (see `Change::repair`), and its weight may be 0.
        let change = Change::AddDestination(key, settings);
        let mut step = PlanStep::new(change, cause, is_drift);
        step.guard = guard;
        self.enter(Stage::Reordered, step);
    }

    /// A guard that is satisfied by the steps pushed since then.
    fn guard(&mut self, starts: [usize; GAINS.len()]) -> usize {
        let ends = GAINS.map(|stage| self.stage(stage).len());
        let mut gains = starts.map(|start| start..start);
        for (gain, end) in gains.iter_mut().zip(ends) {
            gain.end = end;
        }
        self.add_guard(Guard::Gained(gains))
    }

    /// Enters a guard; gives its place.
    fn add_guard(&mut self, guard: Guard) -> usize {
        self.plan.guards.push(guard);
        self.plan.guards.len().saturating_sub(1)
    }

    /// A service that is there, may be removed, and is not desired.
    pub(super) fn remove_surplus(&mut self, key: ServiceKey, present: &Present<'_>) {
        let drain = &self.policy.drain;
        if self.policy.surplus_services != Surplus::Drain || !drain.applies_to(&key) {
            self.remove_service(key, Cause::Surplus);
            return;
        }
        let held = present.destinations.as_slice();
        let (_, verdicts) = self.judge(key).verdicts(held, &[], Surplus::Drain);
        for verdict in &verdicts {
            self.note_draining(key, verdict);
        }
        // The kernel removes the destinations along with the service.
        let is_done = |verdict: &Verdict<'_>| matches!(verdict.fate, Fate::Removed(_));
        if verdicts.iter().all(is_done) {
            self.remove_service(key, cause_of_all(&verdicts));
            return;
        }
        // Until then it has to be sure that nothing takes new connections.
        let is_due = |verdict: &Verdict<'_>| !is_done(verdict) || verdict.was_usable();
        for verdict in verdicts.into_iter().filter(is_due) {
            self.take(key, verdict, None);
        }
    }

    /// Of a service that is not ours alone: the destinations that are ours.
    pub(super) fn remove_own_destinations(&mut self, key: ServiceKey, present: &Present<'_>) {
        let (held, policy) = (
            present.destinations.as_slice(),
            self.policy.surplus_services,
        );
        let (_, verdicts) = self.judge(key).verdicts(held, &[], policy);
        for verdict in verdicts {
            self.gain(key, &verdict);
            self.take(key, verdict, None);
        }
    }

    fn note_draining(&mut self, key: ServiceKey, verdict: &Verdict<'_>) {
        if let Some(held) = verdict.held.filter(|_| verdict.is_draining()) {
            let connections = held.connections();
            self.plan.draining.push((key, verdict.key, connections));
        }
    }

    /// A service to be removed whatever the policy says.
    pub(super) fn remove_service(&mut self, key: ServiceKey, cause: Cause) {
        let change = Change::RemoveService(key);
        self.push(Stage::RemovedServices, change, cause, false);
    }

    /// Destinations to be removed whatever the policy says, where they are there.
    pub(super) fn remove_destinations(
        &mut self,
        key: ServiceKey,
        held: &[Held<'_>],
        own: &[DestinationKey],
    ) {
        for destination in own {
            if held
                .iter()
                .any(|held| held.destination.key() == *destination)
            {
                let change = Change::RemoveDestination(key, *destination);
                self.push(Stage::RemovedDestinations, change, Cause::Surplus, false);
            }
        }
    }

    /// A usable destination to be set to weight 0 whatever the policy says.
    pub(super) fn quiesce(&mut self, key: ServiceKey, held: Held<'_>) {
        let change = Change::SetDestination(key, held.destination.clone().with_weight(0));
        let cause = Cause::draining(held.destination);
        self.push(Stage::Destinations, change, cause, false);
    }

    /// The stages one after another.
    pub(super) fn into_plan(self) -> Plan {
        let mut plan = self.plan;
        let mut offsets = [0; 8];
        let mut steps: Vec<PlanStep> = Vec::new();
        for (offset, stage) in offsets.iter_mut().zip(self.steps) {
            *offset = steps.len();
            match steps.is_empty() {
                true => steps = stage,
                false => steps.extend(stage),
            }
        }
        let offsets = GAINS.map(|stage| offsets.get(stage as usize).copied().unwrap_or(0));
        for guard in &mut plan.guards {
            if let Guard::Gained(gains) = guard {
                for (gain, by) in gains.iter_mut().zip(offsets) {
                    *gain = gain.start.saturating_add(by)..gain.end.saturating_add(by);
                }
            }
        }
        if !self.oversight.takes_over() {
            for step in &mut steps {
                let service = step.change.service();
                step.is_exclusive = matches!(step.change, Change::AddService(_))
                    || service.is_some_and(|service| self.oversight.is_shared(&service));
            }
        }
        plan.steps = steps;
        plan
    }
}

/// Why a service goes all of whose destinations have drained or are overdue.
fn cause_of_all(verdicts: &[Verdict<'_>]) -> Cause {
    if verdicts.is_empty() {
        return Cause::Surplus;
    }
    let mut connections = 0_u64;
    for verdict in verdicts {
        if let Fate::Removed(Cause::DrainLimit { connections: left }) = verdict.fate {
            connections = connections.saturating_add(left);
        }
    }
    match connections {
        0 => Cause::Drained,
        connections => Cause::DrainLimit { connections },
    }
}

fn set_service(present: &VirtualService, wanted: &TableService) -> (Change, Cause) {
    let mut service = wanted.service.clone();
    if service.unknown().is_empty() {
        service = service.with_unknown(present.unknown().clone());
    }
    let cause = Cause::Changed(Box::new(Previous::Service(present.clone())));
    (Change::SetService(service), cause)
}

/// What is wanted, with that weight and the attributes of what is there that nobody knows.
fn settings(wanted: &Destination, weight: u32, present: Option<&Destination>) -> Destination {
    let settings = wanted.clone().with_weight(weight);
    match present {
        Some(present) if settings.unknown().is_empty() => {
            settings.with_unknown(present.unknown().clone())
        }
        _ => settings,
    }
}

fn set(
    key: ServiceKey,
    wanted: &Destination,
    weight: u32,
    verdict: &Verdict<'_>,
) -> Option<PlanStep> {
    let present = verdict.held?.destination;
    let change = Change::SetDestination(key, settings(wanted, weight, Some(present)));
    let cause = Cause::changed(present);
    Some(PlanStep::new(change, cause, verdict.is_drift))
}

fn quiet(key: ServiceKey, verdict: &Verdict<'_>) -> Option<PlanStep> {
    let present = verdict.held?.destination;
    let change = Change::SetDestination(key, present.clone().with_weight(0));
    let cause = Cause::draining(present);
    Some(PlanStep::new(change, cause, verdict.is_drift))
}
