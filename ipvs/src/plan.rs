//! From the table there is to the table there should be, with the fewest requests and in an
//! order that keeps services answering.
//!
//! A [`Plan`] compares a [`Snapshot`] with a desired [`Table`] under a [`Policy`]. It sends
//! nothing itself: a client applies it, and `Display` prints it as `ipvsadm` commands.

mod fate;
mod order;
mod policy;
pub(crate) mod present;
mod repair;
mod scope;
mod stages;
mod swap;

use core::fmt;

pub use order::OutOfOrder;
pub use policy::{DestinationOrder, Drain, Policy, Surplus};
pub use repair::Repair;
pub use scope::Scope;

use crate::destination::{Destination, DestinationKey};
use crate::error::Reason;
use crate::plan::present::Services;
use crate::plan::stages::{Guard, Stages};
use crate::request::Change;
use crate::service::{ServiceKey, VirtualService};
use crate::snapshot::Snapshot;
use crate::table::Table;

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
/// destination but its key, so nothing is removed to be added again: that would cut connections
/// and, for a service, drop all its destinations. The one exception has to be asked for: putting
/// destinations in the desired [order](DestinationOrder).
///
/// The order is: new services, new destinations (in the desired order, so that the kernel's
/// list, newest first, is its mirror image), higher weights, settings of services, destinations
/// put in order, other settings of destinations, removed destinations, removed services (the
/// kernel removes their destinations along with them). So a service that has a usable destination,
/// one with a weight above 0, before and after is never without one in between, whether the plan
/// runs to its end or stops at any step; [`permits`](Self::permits) keeps that up when the kernel
/// refuses steps.
///
/// `Display` writes one `ipvsadm` command per line, and nothing when there is nothing to do.
///
/// ```
/// use lvs_ipvs::{Actual, Desired, Destination, Plan, Policy, Scope, Snapshot, Table,
/// VirtualService};
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
    guards: Vec<Guard>,
    outside_scope: Vec<ServiceKey>,
    out_of_order: Vec<OutOfOrder>,
    // What a reconciler asks for: desired services that are somebody else's; differences that are
    // left as they are; destinations under way to their removal, with their connections.
    pub(crate) conflicts: Vec<ServiceKey>,
    pub(crate) drift_left: Vec<EntryKey>,
    pub(crate) draining: Vec<(ServiceKey, DestinationKey, u64)>,
}

/// A service, or one of its destinations.
pub(crate) type EntryKey = (ServiceKey, Option<DestinationKey>);

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
    // Where in the plan's guards its guard is.
    guard: Option<usize>,
    // Of what somebody else may have made, or may have removed for good.
    is_exclusive: bool,
}

/// How an entry differs from what is desired.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cause {
    /// It is desired and not there.
    Missing,
    /// It is there with other settings, namely these.
    Changed(Box<Previous>),
    /// It is there and not desired.
    Surplus,
    /// It is there and not desired, and takes no new connections from now on. With the settings
    /// it had.
    Draining(Box<Previous>),
    /// It is not desired, and its last connection has ended.
    Drained,
    /// It is not desired, and the time to drain is over.
    DrainLimit {
        /// Connections that are cut off.
        connections: u64,
    },
    /// It is not where it should be in the kernel's list. Two steps, one after the other, remove
    /// it and add it again.
    OutOfOrder,
}

impl Cause {
    fn changed(present: &Destination) -> Self {
        Self::Changed(Box::new(Previous::Destination(present.clone())))
    }

    fn draining(present: &Destination) -> Self {
        Self::Draining(Box::new(Previous::Destination(present.clone())))
    }
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
            Self::Draining(_) => "draining",
            Self::Drained => "drained",
            Self::DrainLimit { .. } => "not drained in time",
            Self::OutOfOrder => "out of order",
        })
    }
}

/// What somebody who watches a table over time knows more than a plan of its own.
pub(crate) trait Oversight {
    /// Whether a service that is there may be changed.
    fn may_change(&self, service: &ServiceKey) -> bool;
    /// Whether a service that is not desired may be removed.
    fn may_remove(&self, service: &ServiceKey) -> bool;
    /// Whether a desired service may be changed, whoever turns out to have made it.
    fn takes_over(&self) -> bool;
    /// Whether only some destinations of the service may be removed.
    fn is_shared(&self, service: &ServiceKey) -> bool;
    /// Whether a destination that is not desired may be removed.
    fn may_remove_destination(&self, service: &ServiceKey, destination: &DestinationKey) -> bool;
    /// What is done with a destination that is not desired, if not what the policy says.
    fn surplus(&self, service: &ServiceKey, destination: &DestinationKey) -> Option<Surplus>;
    /// Whether, if the entry differs, somebody else brought that about.
    fn is_drift(&self, entry: &EntryKey) -> bool;
    /// Whether what somebody else brought about is left as it is.
    fn leaves_drift(&self) -> bool;
    /// A weight that counts instead of the desired one.
    fn weight(&self, service: &ServiceKey, destination: &DestinationKey) -> Option<u32>;
    /// Whether the destination has drained for as long as it may.
    fn is_overdue(&self, service: &ServiceKey, destination: &DestinationKey) -> bool;
}

/// Nobody watches: in scope everything counts as the caller's, and no time passes.
#[derive(Debug)]
pub(crate) struct Unwatched;

impl Oversight for Unwatched {
    fn may_change(&self, _: &ServiceKey) -> bool {
        true
    }

    fn may_remove(&self, _: &ServiceKey) -> bool {
        true
    }

    fn takes_over(&self) -> bool {
        true
    }

    fn is_shared(&self, _: &ServiceKey) -> bool {
        false
    }

    fn may_remove_destination(&self, _: &ServiceKey, _: &DestinationKey) -> bool {
        true
    }

    fn surplus(&self, _: &ServiceKey, _: &DestinationKey) -> Option<Surplus> {
        None
    }

    fn is_drift(&self, _: &EntryKey) -> bool {
        false
    }

    fn leaves_drift(&self) -> bool {
        false
    }

    fn weight(&self, _: &ServiceKey, _: &DestinationKey) -> Option<u32> {
        None
    }

    fn is_overdue(&self, _: &ServiceKey, _: &DestinationKey) -> bool {
        false
    }
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
    /// [`repair`](Self::repair) says how to go on.
    ///
    /// Nothing is validated here: a client refuses the invalid change when it applies the plan;
    /// [`Table::validate`] tells before.
    pub fn new(actual: Actual<'_>, desired: Desired<'_>, policy: &Policy) -> Self {
        Self::build(
            &present::of_snapshot(actual.0),
            desired.0,
            policy,
            &Unwatched,
        )
    }

    /// Like [`new`](Self::new), with what a reconciler knows.
    pub(crate) fn build(
        actual: &Services<'_>,
        desired: &Table,
        policy: &Policy,
        oversight: &impl Oversight,
    ) -> Self {
        let there = actual.values().map(|present| present.destinations.len());
        let wanted = desired.services().map(|entry| entry.destinations.len());
        let entries = there.chain(wanted).fold(0_usize, |all, destinations| {
            all.saturating_add(destinations).saturating_add(1)
        });
        let mut stages = Stages::new(policy, oversight, entries);
        for wanted in desired.services() {
            let key = wanted.service.key();
            if !policy.scope.contains(&key) {
                stages.leave_outside(key);
                continue;
            }
            match actual.get(&key) {
                None => stages.create(wanted),
                Some(present) if oversight.may_change(&key) => stages.update(present, wanted),
                Some(_) => stages.leave_conflict(key),
            }
        }
        if policy.surplus_services == Surplus::Keep {
            return stages.into_plan();
        }
        for (key, present) in actual {
            if desired.get(key).is_some() || !policy.scope.contains(key) {
                continue;
            }
            if oversight.is_shared(key) {
                stages.remove_own_destinations(*key, present);
            } else if oversight.may_remove(key) {
                stages.remove_surplus(*key, present);
            }
        }
        stages.into_plan()
    }

    /// Removes these services whatever a policy says: as a whole where `own` gives `None` (it is
    /// told whether the service is there), else the destinations it gives, if they are there.
    pub(crate) fn withdrawal(
        actual: &Services<'_>,
        services: impl Iterator<Item = ServiceKey>,
        own: impl Fn(&ServiceKey, bool) -> Option<Vec<DestinationKey>>,
    ) -> Self {
        let policy = Policy::new(Scope::all());
        let mut stages = Stages::new(&policy, &Unwatched, 0);
        for key in services {
            let present = actual.get(&key);
            match own(&key, present.is_some()) {
                None => stages.remove_service(key, Cause::Surplus),
                Some(own) => {
                    let held = present.map_or(&[][..], |present| &present.destinations);
                    stages.remove_destinations(key, held, &own);
                }
            }
        }
        stages.into_plan()
    }

    /// Sets the weight of these destinations to 0.
    pub(crate) fn quiescence(
        actual: &Services<'_>,
        is_ours: impl Fn(&ServiceKey, &DestinationKey) -> bool,
    ) -> Self {
        let policy = Policy::new(Scope::all());
        let mut stages = Stages::new(&policy, &Unwatched, 0);
        for (key, present) in actual {
            for held in &present.destinations {
                let destination = held.destination;
                if destination.weight() > 0 && is_ours(key, &destination.key()) {
                    stages.quiesce(*key, *held);
                }
            }
        }
        stages.into_plan()
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

    /// Services in scope whose destinations are not in the desired order, sorted, with what it
    /// costs to put them in order, and whether the plan does that. Destinations that are not
    /// desired do not count, wherever they stand.
    ///
    /// ```
    /// use lvs_ipvs::{Actual, Desired, Destination, DestinationOrder, Plan, Policy, Scheduler};
    /// use lvs_ipvs::{Scope, Snapshot, Table, VirtualService};
    ///
    /// let web = VirtualService::tcp("192.0.2.10:80".parse()?).with_scheduler(Scheduler::Sh);
    /// let one = Destination::masquerade("10.0.0.11:80".parse()?);
    /// let two = Destination::masquerade("10.0.0.12:80".parse()?);
    /// let mut before = Table::new();
    /// before.insert(web.clone(), [two.clone(), one.clone()]); // `two` was added first
    /// let mut after = Table::new();
    /// after.insert(web, [one, two]);
    ///
    /// let actual = Snapshot::from(&before);
    /// let policy = Policy::new(Scope::all());
    /// let plan = Plan::new(Actual(&actual), Desired(&after), &policy);
    /// assert!(plan.is_empty());
    /// assert_eq!(plan.out_of_order()[0].destinations, 1);
    ///
    /// let policy = policy.with_order(DestinationOrder::ForHashing);
    /// let plan = Plan::new(Actual(&actual), Desired(&after), &policy);
    /// assert_eq!(
    ///     plan.to_string(),
    ///     "ipvsadm -d -t 192.0.2.10:80 -r 10.0.0.12:80\n\
    ///      ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.12:80 -m -w 1\n"
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn out_of_order(&self) -> &[OutOfOrder] {
        self.out_of_order.as_slice()
    }

    /// Whether the step must wait for the outcome of earlier ones: it takes a usable destination
    /// from a service that would be left without any if the kernel refused the ones that take
    /// over; or, in the plan of a [`Reconciler`](crate::Reconciler) that does not
    /// [adopt](crate::Adoption) all it finds, it adds a destination to a service that may turn
    /// out to be somebody else's. See [`permits`](Self::permits).
    #[must_use]
    pub fn is_guarded(&self, step: usize) -> bool {
        self.steps
            .get(step)
            .is_some_and(|step| step.guard.is_some())
    }

    /// Whether a step may be sent, given which of the earlier ones are known to be done.
    ///
    /// A step that is not [guarded](Self::is_guarded) always may. A guarded one may as soon as
    /// one of the destinations that take over is in place, or the service is created. When all
    /// outcomes are there and none is, leave the step out: the service keeps what it has, and the
    /// next plan tries again. Steps beyond the end are never permitted.
    #[must_use]
    pub fn permits(&self, step: usize, done: impl FnMut(usize) -> bool) -> bool {
        let Some(step) = self.steps.get(step) else {
            return false;
        };
        let gives = |index| {
            let step: Option<&PlanStep> = self.steps.get(index);
            step.is_some_and(|step| gives_usable(&step.change))
        };
        let guard = step.guard.and_then(|guard| self.guards.get(guard));
        guard.is_none_or(|guard| guard.is_satisfied(gives, done))
    }

    /// How to go on when the kernel refused a step for that reason: as [`Change::repair`] says,
    /// with two exceptions. A destination that was to drain and is gone is not added again. And in
    /// plans of a [`Reconciler`](crate::Reconciler) that does not [adopt](crate::Adoption) all it
    /// finds, what may be somebody else's is left for the next look, which knows more. `None` for
    /// steps beyond the end.
    #[must_use]
    pub fn repair(&self, step: usize, reason: Reason) -> Option<Repair> {
        let step = self.steps.get(step)?;
        let repair = step.change.repair(reason)?;
        if matches!(step.cause, Cause::Draining(_)) {
            return Some(Repair::Satisfied);
        }
        (!step.is_exclusive || repair == Repair::Satisfied).then_some(repair)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.changes()
            .try_for_each(|change| writeln!(f, "{change}"))
    }
}

const fn gives_usable(change: &Change) -> bool {
    match change {
        Change::AddDestination(_, destination) | Change::SetDestination(_, destination) => {
            destination.weight() > 0
        }
        _ => false,
    }
}

impl PlanStep {
    const fn new(change: Change, cause: Cause, drift: bool) -> Self {
        Self {
            change,
            cause,
            drift,
            guard: None,
            is_exclusive: false,
        }
    }
}

#[cfg(test)]
mod tests;
