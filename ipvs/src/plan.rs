//! From the table there is to the table there should be, with the fewest requests and in an
//! order that keeps services answering.
//!
//! A [`Plan`] compares a [`Snapshot`] with a desired [`Table`] under a [`Policy`]. It sends
//! nothing itself: a client applies it, and `Display` prints it as `ipvsadm` commands.

mod policy;
mod repair;

use core::fmt;
use core::ops::Range;
use std::collections::{BTreeMap, HashMap};

pub use policy::{Policy, Scope, Surplus};
pub use repair::Repair;

use crate::destination::{Destination, DestinationKey};
use crate::request::Change;
use crate::service::{ServiceKey, VirtualService};
use crate::snapshot::Snapshot;
use crate::table::{Table, TableService};

/// The table there is. Keeps the two arguments of [`Plan::new`] apart.
#[expect(clippy::exhaustive_structs, reason = "names an argument, nothing else")]
#[derive(Clone, Copy, Debug)]
pub struct Actual<'a>(pub &'a Snapshot);

/// The table there should be. Keeps the two arguments of [`Plan::new`] apart.
#[expect(clippy::exhaustive_structs, reason = "names an argument, nothing else")]
#[derive(Clone, Copy, Debug)]
pub struct Desired<'a>(pub &'a Table);

/// The changes that lead from one table to another, in the order in which to send them.
///
/// What differs is changed in place. The kernel replaces everything about a service or a
/// destination but its key, so nothing is ever removed to be added again: that would cut
/// connections and, for a service, drop all its destinations.
///
/// The order is: new services, new destinations (in the desired order, so that the kernel's
/// list, newest first, is its mirror image), higher weights, settings of services, other
/// settings of destinations, removed destinations, removed services (the kernel removes their
/// destinations along with them). So a service that has a usable destination, one with a weight
/// above 0, before and after is never without one in between, whether the plan runs to its end
/// or stops at any step; [`permits`](Self::permits) keeps that up when the kernel refuses steps.
///
/// `Display` writes one `ipvsadm` command per line, and nothing when there is nothing to do.
///
/// ```
/// use lvs_ipvs::{Actual, Desired, Destination, Plan, Policy, Scope, Snapshot, Table, VirtualService};
///
/// let web = VirtualService::tcp("192.0.2.10:80".parse()?);
/// let old = Destination::masquerade("10.0.0.11:80".parse()?);
/// let new = Destination::masquerade("10.0.0.12:80".parse()?).with_weight(3);
/// let mut before = Table::new();
/// before.insert(web.clone(), [old]);
/// let mut after = Table::new();
/// after.insert(web, [new]);
///
/// let actual = Snapshot::from(&before); // of a real kernel: the client's snapshot
/// let plan = Plan::new(Actual(&actual), Desired(&after), &Policy::new(Scope::all()));
/// assert_eq!(
///     plan.to_string(),
///     "ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.12:80 -m -w 3\n\
///      ipvsadm -d -t 192.0.2.10:80 -r 10.0.0.11:80\n"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    steps: Vec<PlanStep>,
    outside_scope: Vec<ServiceKey>,
}

/// One change of a [`Plan`], and why.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlanStep {
    /// What to send.
    pub change: Change,
    /// How the entry differs from what is desired.
    pub cause: Cause,
    /// Whether somebody else brought this difference about. Only a
    /// [`Reconciler`](crate::Reconciler) remembers enough to tell; in other plans it is false.
    pub drift: bool,
    guard: Option<Guard>,
}

/// How an entry differs from what is desired.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cause {
    /// It is desired and not there.
    Missing,
    /// It is there with other settings, namely these.
    Changed(Previous),
    /// It is there and not desired.
    Surplus,
}

/// The settings a change replaces.
#[expect(clippy::exhaustive_enums, reason = "the two kinds of entries")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Previous {
    /// Of a service.
    Service(VirtualService),
    /// Of a destination.
    Destination(Destination),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Missing => "missing",
            Self::Changed(_) => "changed",
            Self::Surplus => "surplus",
        })
    }
}

/// Marks a step that takes a usable destination from a service all of whose usable destinations
/// at the end are gained by the plan itself: where in the plan these gains are.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Guard {
    added: Range<usize>,
    raised: Range<usize>,
}

impl Plan {
    /// The smallest set of changes that leads from one table to the other.
    ///
    /// Services outside the policy's scope are left alone; those of them that are desired are
    /// listed by [`outside_scope`](Self::outside_scope). **In scope everything counts as the
    /// caller's**: with [`Scope::all`] and [`Surplus::Delete`] every service that is not desired
    /// goes, whoever made it. A [`Reconciler`](crate::Reconciler) removes only its own.
    ///
    /// Attributes of an entry that this version does not know are sent back with the settings
    /// that replace it, unless the desired entry brings its own.
    ///
    /// A snapshot whose two dumps did not agree may lack entries or show removed ones. The plan
    /// is still safe to apply: the kernel refuses what does not fit, and
    /// [`Change::repair`] says how to go on.
    ///
    /// Nothing is validated here: a client refuses the invalid change when it applies the plan;
    /// [`Table::validate`] tells before.
    pub fn new(actual: Actual<'_>, desired: Desired<'_>, policy: &Policy) -> Self {
        Self::build(index(actual.0), desired.0, policy, |_| true)
    }

    /// Like [`new`](Self::new); of the services that are not desired only `removable` ones go.
    pub(crate) fn build(
        actual: BTreeMap<ServiceKey, Present<'_>>,
        desired: &Table,
        policy: &Policy,
        removable: impl Fn(&ServiceKey) -> bool,
    ) -> Self {
        let mut stages = Stages::default();
        let mut outside_scope = Vec::new();
        for wanted in desired.services() {
            let key = wanted.service.key();
            if !policy.scope.contains(&key) {
                outside_scope.push(key);
            } else if let Some(present) = actual.get(&key) {
                stages.update(present, wanted, policy.surplus_destinations);
            } else {
                stages.create(wanted);
            }
        }
        if policy.surplus_services == Surplus::Delete {
            let surplus = actual.keys().filter(|key| {
                desired.get(key).is_none() && policy.scope.contains(key) && removable(key)
            });
            stages.remove_services(surplus.copied());
        }
        Self {
            steps: stages.into_steps(),
            outside_scope,
        }
    }

    /// Removes these services and nothing else.
    pub(crate) fn removal(services: impl Iterator<Item = ServiceKey>) -> Self {
        let mut stages = Stages::default();
        stages.remove_services(services);
        Self {
            steps: stages.into_steps(),
            outside_scope: Vec::new(),
        }
    }

    pub(crate) fn mark_drift(&mut self, is_drift: impl Fn(&Change) -> bool) {
        for step in &mut self.steps {
            step.drift = is_drift(&step.change);
        }
    }

    /// The steps, in the order in which to send them.
    #[must_use]
    pub fn steps(&self) -> &[PlanStep] {
        self.steps.as_slice()
    }

    /// The changes, in the order in which to send them.
    pub fn changes(&self) -> impl ExactSizeIterator<Item = &Change> + '_ {
        self.steps.iter().map(|step| &step.change)
    }

    /// Number of steps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Desired services that the plan leaves out because they are not in scope, sorted.
    #[must_use]
    pub fn outside_scope(&self) -> &[ServiceKey] {
        self.outside_scope.as_slice()
    }

    /// Whether the step must wait for the outcome of earlier ones: it takes a usable destination
    /// from a service that would be left without any if the kernel refused the ones that take
    /// over. See [`permits`](Self::permits).
    #[must_use]
    pub fn is_guarded(&self, step: usize) -> bool {
        self.steps
            .get(step)
            .is_some_and(|step| step.guard.is_some())
    }

    /// Whether a step may be sent, given which of the earlier ones are known to be done.
    ///
    /// A step that is not [guarded](Self::is_guarded) always may. A guarded one may as soon as
    /// one of the destinations that take over is in place. When all outcomes are there and none
    /// is, leave the step out: the service keeps what it has, and the next plan tries again.
    /// Steps beyond the end are never permitted.
    #[must_use]
    pub fn permits(&self, step: usize, mut done: impl FnMut(usize) -> bool) -> bool {
        let Some(step) = self.steps.get(step) else {
            return false;
        };
        let Some(guard) = &step.guard else {
            return true;
        };
        let mut gains = guard.added.clone().chain(guard.raised.clone());
        gains.any(|index| {
            self.steps
                .get(index)
                .is_some_and(|step| gives_usable(&step.change))
                && done(index)
        })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.changes()
            .try_for_each(|change| writeln!(f, "{change}"))
    }
}

/// Whether new connections may go there.
const fn is_usable(destination: &Destination) -> bool {
    destination.weight() > 0
}

const fn gives_usable(change: &Change) -> bool {
    match change {
        Change::AddDestination(_, destination) | Change::SetDestination(_, destination) => {
            is_usable(destination)
        }
        _ => false,
    }
}

/// A service that is there, with its destinations oldest first.
#[derive(Debug)]
pub(crate) struct Present<'a> {
    service: &'a VirtualService,
    destinations: Vec<&'a Destination>,
}

/// The services of a snapshot by key. Of entries a torn dump repeats the first counts.
pub(crate) fn index(snapshot: &Snapshot) -> BTreeMap<ServiceKey, Present<'_>> {
    let mut services = BTreeMap::new();
    for service in &snapshot.services {
        services
            .entry(service.entry.service.key())
            .or_insert_with(|| Present {
                service: &service.entry.service,
                destinations: {
                    let oldest_first = service.destinations.iter().rev();
                    oldest_first.map(|entry| &entry.destination).collect()
                },
            });
    }
    services
}

/// The services of a table by key, as if the kernel held exactly them.
pub(crate) fn index_table(table: &Table) -> BTreeMap<ServiceKey, Present<'_>> {
    let mut services = BTreeMap::new();
    for entry in table.services() {
        let present = Present {
            service: &entry.service,
            destinations: entry.destinations.iter().collect(),
        };
        services.insert(entry.service.key(), present);
    }
    services
}

/// The steps of a plan in the making, by stage.
#[derive(Default)]
struct Stages {
    new_services: Vec<PlanStep>,
    new_destinations: Vec<PlanStep>,
    raised: Vec<PlanStep>,
    services: Vec<PlanStep>,
    destinations: Vec<PlanStep>,
    removed_destinations: Vec<PlanStep>,
    removed_services: Vec<PlanStep>,
}

impl PlanStep {
    const fn new(change: Change, cause: Cause) -> Self {
        Self {
            change,
            cause,
            drift: false,
            guard: None,
        }
    }
}

/// A destination on both sides of the comparison.
#[derive(Default)]
struct Pair<'a> {
    present: Option<&'a Destination>,
    wanted: Option<&'a Destination>,
}

impl Pair<'_> {
    /// Whether it is usable before, and whether it is after.
    fn usable(&self, surplus: Surplus) -> (bool, bool) {
        let before = self.present.is_some_and(is_usable);
        let after = match (self.wanted, surplus) {
            (Some(wanted), _) => is_usable(wanted),
            (None, Surplus::Keep) => before,
            (None, Surplus::Delete) => false,
        };
        (before, after)
    }
}

/// Both sides of a service by key. What a torn dump shows twice is the same destination, and of
/// desired ones with the same key the first counts.
fn pair_up<'a>(
    present: &[&'a Destination],
    wanted: &'a [Destination],
) -> HashMap<DestinationKey, Pair<'a>> {
    let mut pairs: HashMap<_, Pair<'a>> = HashMap::with_capacity(present.len());
    for destination in present {
        let pair = pairs.entry(destination.key()).or_default();
        pair.present.get_or_insert(destination);
    }
    for destination in wanted {
        let pair = pairs.entry(destination.key()).or_default();
        pair.wanted.get_or_insert(destination);
    }
    pairs
}

/// Whether some destination is usable before and some after, and none throughout: then what
/// takes over must be in place before anything is taken away.
fn is_swap(pairs: &HashMap<DestinationKey, Pair<'_>>, surplus: Surplus) -> bool {
    let (mut any_before, mut any_after) = (false, false);
    for (before, after) in pairs.values().map(|pair| pair.usable(surplus)) {
        if before && after {
            return false;
        }
        any_before |= before;
        any_after |= after;
    }
    any_before && any_after
}

impl Stages {
    fn create(&mut self, wanted: &TableService) {
        let key = wanted.service.key();
        let change = Change::AddService(wanted.service.clone());
        self.new_services
            .push(PlanStep::new(change, Cause::Missing));
        for destination in &wanted.destinations {
            let change = Change::AddDestination(key, destination.clone());
            let step = PlanStep::new(change, Cause::Missing);
            self.new_destinations.push(step);
        }
    }

    fn update(&mut self, present: &Present<'_>, wanted: &TableService, surplus: Surplus) {
        let key = wanted.service.key();
        if !wanted.service.same_settings(present.service) {
            self.services.push(set_service(present.service, wanted));
        }

        let pairs = pair_up(&present.destinations, &wanted.destinations);
        let is_swap = is_swap(&pairs, surplus);
        let (first_added, first_raised) = (self.new_destinations.len(), self.raised.len());
        let mut others = Vec::new();
        for wanted in &wanted.destinations {
            let pair = pairs.get(&wanted.key());
            let Some(pair) = pair.filter(|pair| pair.wanted.is_some_and(is_same(wanted))) else {
                continue;
            };
            match pair.present {
                None => {
                    let change = Change::AddDestination(key, wanted.clone());
                    let step = PlanStep::new(change, Cause::Missing);
                    self.new_destinations.push(step);
                }
                Some(present) if wanted.same_settings(present) => {}
                Some(present) if wanted.weight() > present.weight() => {
                    self.raised.push(set_destination(key, present, wanted));
                }
                Some(present) => others.push((present, wanted)),
            }
        }

        // Positions within the stages; `into_steps` makes them positions in the plan.
        let guard = is_swap.then_some(Guard {
            added: first_added..self.new_destinations.len(),
            raised: first_raised..self.raised.len(),
        });
        let guard_of = |taken| guard.clone().filter(|_| is_usable(taken));
        for (present, wanted) in others {
            let mut step = set_destination(key, present, wanted);
            step.guard = guard_of(present);
            self.destinations.push(step);
        }
        if surplus == Surplus::Keep {
            return;
        }
        for &present in &present.destinations {
            let pair = pairs.get(&present.key());
            if pair.is_some_and(|pair| {
                pair.wanted.is_none() && pair.present.is_some_and(is_same(present))
            }) {
                let change = Change::RemoveDestination(key, present.key());
                let mut step = PlanStep::new(change, Cause::Surplus);
                step.guard = guard_of(present);
                self.removed_destinations.push(step);
            }
        }
    }

    /// The kernel removes the destinations along with a service.
    fn remove_services(&mut self, keys: impl Iterator<Item = ServiceKey>) {
        let step = |key| PlanStep::new(Change::RemoveService(key), Cause::Surplus);
        self.removed_services.extend(keys.map(step));
    }

    /// The stages one after another.
    fn into_steps(self) -> Vec<PlanStep> {
        let added_from = self.new_services.len();
        let raised_from = added_from.saturating_add(self.new_destinations.len());
        let mut steps = self.new_services;
        for stage in [
            self.new_destinations,
            self.raised,
            self.services,
            self.destinations,
            self.removed_destinations,
            self.removed_services,
        ] {
            steps.extend(stage);
        }
        let shift = |range: &mut Range<usize>, by: usize| {
            *range = range.start.saturating_add(by)..range.end.saturating_add(by);
        };
        for guard in steps.iter_mut().filter_map(|step| step.guard.as_mut()) {
            shift(&mut guard.added, added_from);
            shift(&mut guard.raised, raised_from);
        }
        steps
    }
}

/// Tells a destination from another one with the same key.
fn is_same(one: &Destination) -> impl Fn(&Destination) -> bool {
    move |other| core::ptr::eq(one, other)
}

fn set_service(present: &VirtualService, wanted: &TableService) -> PlanStep {
    let mut service = wanted.service.clone();
    if service.unknown().is_empty() {
        service = service.with_unknown(present.unknown().clone());
    }
    let cause = Cause::Changed(Previous::Service(present.clone()));
    PlanStep::new(Change::SetService(service), cause)
}

fn set_destination(service: ServiceKey, present: &Destination, wanted: &Destination) -> PlanStep {
    let mut destination = wanted.clone();
    if destination.unknown().is_empty() {
        destination = destination.with_unknown(present.unknown().clone());
    }
    let cause = Cause::Changed(Previous::Destination(present.clone()));
    PlanStep::new(Change::SetDestination(service, destination), cause)
}

#[cfg(test)]
mod tests;
