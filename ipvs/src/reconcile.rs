//! Keeps a kernel's table as desired: ownership, draining, drift, and when to look again.

mod ledger;
mod ledger_file;
mod look;
mod rules;
mod watch;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

pub use ledger::{Ledger, LedgerError};
pub use ledger_file::LedgerFile;
pub use rules::{Adoption, Draining, Drift};

use crate::Timestamp;
use crate::batch::Report;
use crate::destination::DestinationKey;
use crate::plan::present;
use crate::plan::{EntryKey, Plan, Policy, Repair, Scope, Surplus, Unwatched};
use crate::request::Change;
use crate::service::ServiceKey;
use crate::session::Outcome;
use crate::snapshot::Snapshot;
use crate::table::Table;
use watch::Watch;

/// Time between looks for drift, unless
/// [`with_drift_interval`](Reconciler::with_drift_interval) says otherwise.
const DRIFT_INTERVAL: Duration = Duration::from_secs(30);
/// Time to the next look while something is unfinished.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Looks in a row that may leave something unfinished before looking falls back to the drift
/// interval: what is refused that often is refused for a reason that lasts.
const QUICK_LOOKS: u32 = 3;
/// Time to the next look while few destinations drain.
const DRAIN_INTERVAL: Duration = Duration::from_secs(1);
/// The same while many drain: every look reads the whole table.
const BUSY_DRAIN_INTERVAL: Duration = Duration::from_secs(5);
/// Draining destinations that are few.
const FEW_DRAINING: usize = 100;

/// A destination of a service.
type DestinationEntryKey = (ServiceKey, DestinationKey);

/// Keeps a kernel's table as desired, look after look.
///
/// It is given the desired [`Table`] and every [`Snapshot`] somebody takes, and answers with the
/// [`Plan`] to apply and the time of the next look. It sends nothing and reads no clock. What it
/// adds to a plan is memory:
///
/// - *Ownership.* IPVS entries carry no owner. The reconciler keeps a [ledger](Ledger) of the
///   services it created or adopted, and removes no others. What becomes of a desired service that
///   is there already is up to [`Adoption`]: by default it is adopted, and from then on owned as
///   if created. The ledger outlives the process when it is written to a [`LedgerFile`].
/// - *Draining.* With [`Surplus::Drain`](crate::Surplus::Drain) it remembers since when a
///   destination drains, looks more often, and ends the wait at the [limit](crate::Drain::limit).
/// - *Drift.* A difference that neither a new desired table nor an unfinished change explains was
///   brought about by somebody else. The plan [marks](crate::PlanStep::drift) it and repairs it,
///   or does what [`Drift`] says.
/// - *Unfinished business.* What was refused, or has no known outcome, is looked at again soon.
///
/// ```
/// # #[cfg(feature = "memory")] {
/// use core::time::Duration;
/// use lvs_ipvs::{Client, Destination, Policy, Reconciler, Scope, Surplus, Table, VirtualService};
///
/// let mut ipvs = Client::in_memory()?; // Client::connect()? for the running kernel's table
/// let policy = Policy::new(Scope::all()).with_surplus_destinations(Surplus::Drain);
/// let mut reconciler = Reconciler::new(policy);
///
/// let mut desired = Table::new();
/// let web = VirtualService::tcp("192.0.2.10:80".parse().unwrap());
/// desired.insert(web, [Destination::masquerade("10.0.0.11:80".parse().unwrap())]);
/// reconciler.set_desired(desired.clone());
///
/// let mut now = Duration::from_secs(1000); // a program asks a clock that runs while it sleeps
/// for _ in 0..3 {
///     let (plan, _) = reconciler.step(now, &ipvs.snapshot()?);
///     print!("{plan}"); // as ipvsadm commands
///     let report = ipvs.apply(&plan)?;
///     reconciler.record_report(&report);
///     // Sleep until the next look, or until something else is desired.
///     now = reconciler.next_look().unwrap_or(now);
/// }
/// assert_eq!(ipvs.snapshot()?.table(), desired);
/// # }
/// # Ok::<(), lvs_ipvs::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reconciler {
    policy: Policy,
    adoption: Adoption,
    drift: Drift,
    drift_interval: Option<Duration>,
    desired: Table,
    /// What is to be created is entered when the plan is made, before anybody can have sent
    /// it, and leaves when the kernel refuses it.
    ledger: Ledger,
    /// What the last plan creates and was not ours before.
    creating: BTreeSet<EntryKey>,
    /// What the last plan removes and adds again.
    reordered: BTreeSet<DestinationEntryKey>,
    /// Desired entries that differ for reasons of our own: the desired table changed, or a
    /// change was asked for and is not known to be done.
    pending: BTreeSet<EntryKey>,
    draining: BTreeMap<DestinationEntryKey, Draining>,
    /// Destinations that are treated otherwise than the policy says while they are surplus.
    exceptions: BTreeMap<DestinationEntryKey, Surplus>,
    /// Weights somebody else set, under [`Drift::AdoptWeight`].
    weights: BTreeMap<DestinationEntryKey, u32>,
    adopted: Vec<ServiceKey>,
    conflicts: Vec<ServiceKey>,
    drift_left: Vec<EntryKey>,
    looked: Option<Look>,
    /// The last plan makes it possible to put destinations in order.
    order_waits: bool,
    /// The desired table, or a rule, is newer than the last look.
    stale: bool,
    /// The policy is newer than the last look that agreed, so differences may be its doing.
    new_policy: bool,
    /// Looks in a row that left something unfinished.
    unfinished_looks: u32,
}

/// The last snapshot.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Timestamp,
    agreed: bool,
}

impl Reconciler {
    /// A reconciler that desires no services, owns none, and looks for drift every 30 s.
    #[must_use]
    pub const fn new(policy: Policy) -> Self {
        Self {
            policy,
            adoption: Adoption::Adopt,
            drift: Drift::Repair,
            drift_interval: Some(DRIFT_INTERVAL),
            desired: Table::new(),
            ledger: Ledger::new(),
            creating: BTreeSet::new(),
            reordered: BTreeSet::new(),
            pending: BTreeSet::new(),
            draining: BTreeMap::new(),
            exceptions: BTreeMap::new(),
            weights: BTreeMap::new(),
            adopted: Vec::new(),
            conflicts: Vec::new(),
            drift_left: Vec::new(),
            looked: None,
            order_waits: false,
            stale: true,
            new_policy: false,
            unfinished_looks: 0,
        }
    }

    /// Takes over what an earlier process owned: services of the ledger that are not desired are
    /// surplus, though this process never saw them.
    #[must_use]
    pub fn with_ledger(mut self, ledger: Ledger) -> Self {
        self.ledger = ledger;
        self
    }

    /// Replaces what becomes of desired services that are there and not ours.
    #[must_use]
    pub const fn with_adoption(mut self, adoption: Adoption) -> Self {
        self.adoption = adoption;
        self
    }

    /// Replaces what becomes of differences that somebody else brought about.
    #[must_use]
    pub const fn with_drift(mut self, drift: Drift) -> Self {
        self.drift = drift;
        self
    }

    /// Replaces the time between looks for drift. `None` and 0 turn them off. Default: 30 s.
    #[must_use]
    pub fn with_drift_interval(mut self, interval: Option<Duration>) -> Self {
        self.drift_interval = interval.filter(|interval| !interval.is_zero());
        self
    }

    /// The policy.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Replaces the policy and makes a look due.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
        self.new_policy = true;
        self.stale = true;
        self.unfinished_looks = 0;
    }

    /// Replaces what the policy says about a destination for as long as it is not desired: a server
    /// that has failed is removed at once where one that leaves the configuration drains. `None`
    /// takes that back, and so does a desired table the destination is in.
    ///
    /// Say it together with the desired table that lacks the destination.
    pub fn set_surplus(
        &mut self,
        service: ServiceKey,
        destination: DestinationKey,
        surplus: Option<Surplus>,
    ) {
        let key = (service, destination);
        let changed = match surplus {
            Some(surplus) => self.exceptions.insert(key, surplus) != Some(surplus),
            None => self.exceptions.remove(&key).is_some(),
        };
        if changed {
            self.pending.insert((service, Some(destination)));
            self.stale = true;
            self.unfinished_looks = 0;
        }
    }

    /// Replaces the desired table and makes a look due. Services outside the policy's scope are
    /// left alone and [listed](Plan::outside_scope) by every plan.
    ///
    /// Nothing is validated: an entry the kernel could not take is refused on its own when the
    /// plan is applied. [`Table::validate`] tells before.
    pub fn set_desired(&mut self, desired: Table) {
        let everything = Policy::new(Scope::all());
        let before = present::of_table(&self.desired);
        let news = Plan::build(&before, &desired, &everything, &Unwatched);
        for entry in news.changes().filter_map(entry_key) {
            if let (service, Some(destination)) = entry {
                self.weights.remove(&(service, destination));
            }
            self.pending.insert(entry);
        }
        let is_desired = |(service, destination): &DestinationEntryKey| {
            let entry = desired.get(service);
            entry.is_some_and(|entry| entry.destination(destination).is_some())
        };
        self.weights.retain(|key, _| is_desired(key));
        self.exceptions.retain(|key, _| !is_desired(key));
        self.desired = desired;
        self.stale = true;
        self.unfinished_looks = 0;
    }

    /// The desired table.
    #[must_use]
    pub const fn desired(&self) -> &Table {
        &self.desired
    }

    /// What to change, given what is there, and when to look next (`None`: when there is a new
    /// desired table).
    ///
    /// Write down the [`ledger`](Self::ledger) if it is kept, apply the plan,
    /// [`record`](Self::record) the outcomes, then ask [`next_look`](Self::next_look): what is
    /// done need not be looked at again soon. `now` going backwards counts as standing still.
    ///
    /// Steps are marked as [drift](crate::PlanStep::drift) only when the snapshot's two dumps
    /// agreed.
    pub fn step(&mut self, now: Timestamp, snapshot: &Snapshot) -> (Plan, Option<Timestamp>) {
        let at = self.looked.map_or(now, |look| look.at.max(now));
        let actual = present::of_snapshot(snapshot);
        self.adopt(&actual);
        if snapshot.agreed {
            self.forget(&actual);
            self.adopt_weights(&actual);
        }
        let watch = Watch::new(self, at, snapshot.agreed);
        let plan = Plan::build(&actual, &self.desired, &self.policy, &watch);

        if snapshot.agreed {
            self.pending.clear();
            self.new_policy = false;
        }
        self.pending.extend(plan.changes().filter_map(entry_key));
        self.enter_additions(snapshot.agreed, &plan);
        self.note_draining(at, snapshot.agreed, &plan);
        self.order_waits = self.awaits_order(&plan);
        self.conflicts.clone_from(&plan.conflicts);
        self.drift_left.clone_from(&plan.drift_left);

        self.looked = Some(Look {
            at,
            agreed: snapshot.agreed,
        });
        self.stale = false;
        self.unfinished_looks = if self.is_finished() {
            0
        } else {
            self.unfinished_looks.saturating_add(1)
        };
        (plan, self.next_look())
    }

    /// Takes note of what became of the changes of a plan, one by one as
    /// [`record`](Self::record) does.
    pub fn record_report(&mut self, report: &Report) {
        for (change, outcome) in report.entries() {
            self.record(change, outcome);
        }
    }

    /// Takes note of what became of a change of a plan. Changes without a known outcome need not
    /// be recorded.
    ///
    /// A service whose creation was refused is not owned, unless a torn dump hid one that was; one
    /// whose creation has no known outcome stays in the ledger, because it may be there.
    pub fn record(&mut self, change: &Change, outcome: &Outcome) {
        let is_done = match outcome {
            Outcome::Done => true,
            Outcome::Rejected(rejected) => {
                change.repair(rejected.reason) == Some(Repair::Satisfied)
            }
            Outcome::NotSent(_) | Outcome::Invalid(_) => false,
            Outcome::Unknown(_) => return,
        };
        match change {
            // Made by us: all of it is ours, whatever of an earlier one was.
            Change::AddService(service) if is_done => self.ledger.insert(service.key()),
            Change::AddService(service) if self.creating.contains(&(service.key(), None)) => {
                self.ledger.remove(&service.key());
            }
            Change::RemoveService(key) if is_done => {
                self.ledger.remove(key);
                self.draining.retain(|(service, _), _| service != key);
            }
            Change::AddDestination(service, destination) if !is_done => {
                let key = destination.key();
                if self.creating.contains(&(*service, Some(key))) {
                    self.ledger.remove_destination(service, &key);
                }
            }
            Change::RemoveDestination(service, key) if is_done => {
                if !self.reordered.contains(&(*service, *key)) {
                    self.ledger.remove_destination(service, key);
                }
                self.draining.remove(&(*service, *key));
            }
            Change::SetDestination(service, destination) if !is_done => {
                // If it was to drain, it does not yet.
                self.draining.remove(&(*service, destination.key()));
            }
            _ => {}
        }
        let Some(entry) = entry_key(change) else {
            return;
        };
        if !is_done {
            self.pending.insert(entry);
        } else if !self.stale {
            // With a newer desired table the entry may have to change again.
            self.pending.remove(&entry);
            if self.is_finished() {
                self.unfinished_looks = 0;
            }
        }
    }

    /// When to take the next snapshot; at once if that is in the past. `None`: when there is a
    /// new desired table.
    ///
    /// While something is unfinished (a change refused, not recorded or of unknown outcome, two
    /// dumps that did not agree, an order that becomes possible) that is after 1 s. When three looks
    /// in a row left something unfinished, the drift interval counts again, or 30 s if there is
    /// none. While up to 100 destinations drain it is after 1 s, while more do after 5 s, and when
    /// the time of one to drain is over.
    #[must_use]
    pub fn next_look(&self) -> Option<Timestamp> {
        let Some(look) = self.looked else {
            return Some(Timestamp::ZERO);
        };
        if self.stale {
            return Some(look.at);
        }
        let mut interval = self.drift_interval;
        let mut retry = None;
        if !self.is_finished() {
            interval = interval.or(Some(DRIFT_INTERVAL));
            retry = (self.unfinished_looks < QUICK_LOOKS).then_some(RETRY_INTERVAL);
        }
        let drain = match self.draining.len() {
            0 => None,
            1..=FEW_DRAINING => Some(DRAIN_INTERVAL),
            _ => Some(BUSY_DRAIN_INTERVAL),
        };
        let interval = [interval, retry, drain].into_iter().flatten().min();
        let next = interval.map(|interval| look.at.saturating_add(interval));
        let limits = self.draining.values().filter_map(|draining| {
            let limit = draining.since.saturating_add(self.policy.drain.limit?);
            (limit > look.at).then_some(limit)
        });
        limits.chain(next).min()
    }

    fn is_finished(&self) -> bool {
        let agreed = self.looked.is_none_or(|look| look.agreed);
        self.pending.is_empty() && !self.order_waits && agreed
    }

    /// What is ours: created, being created, or adopted.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The services that the last [`step`](Self::step) took over because they are desired and
    /// were there already. Sorted.
    #[must_use]
    pub fn adopted(&self) -> &[ServiceKey] {
        self.adopted.as_slice()
    }

    /// The desired services that the last [`step`](Self::step) left alone because they were there
    /// and not ours, under [`Adoption::Refuse`]. Sorted.
    #[must_use]
    pub fn conflicts(&self) -> &[ServiceKey] {
        self.conflicts.as_slice()
    }

    /// What the last [`step`](Self::step) left as somebody else made it, under [`Drift::Report`]:
    /// services, and destinations of services.
    pub fn drift_left(
        &self,
    ) -> impl ExactSizeIterator<Item = &(ServiceKey, Option<DestinationKey>)> + '_ {
        self.drift_left.iter()
    }

    /// The destinations on their way out, sorted.
    pub fn draining(&self) -> impl ExactSizeIterator<Item = &Draining> + '_ {
        self.draining.values()
    }

    /// Removes everything that is owned and there, whatever the policy says about surplus: for a
    /// director that shuts down and leaves nothing behind.
    ///
    /// When the snapshot's two dumps did not agree, owned services it lacks are removed too; for
    /// those that are gone the kernel's refusal counts as done.
    ///
    /// Withdraw last: a [`step`](Self::step) afterwards would create them anew. To let connections
    /// end first, set an empty desired table under [`Surplus::Drain`](crate::Surplus::Drain) and
    /// go on until the [`ledger`](Self::ledger) is empty.
    pub fn withdraw(&self, snapshot: &Snapshot) -> Plan {
        let actual = present::of_snapshot(snapshot);
        let services = self.ledger.services().copied();
        Plan::withdrawal(&actual, services, |key, present| {
            if self.ledger.is_shared(key) {
                Some(self.ledger.own_destinations(key).copied().collect())
            } else if present || !snapshot.agreed {
                None
            } else {
                Some(Vec::new())
            }
        })
    }

    /// Sets the weight of everything that is owned and there to 0, so that no new connections come
    /// in and live ones go on: for a director that hands over. As with
    /// [`withdraw`](Self::withdraw), do it last: a [`step`](Self::step) afterwards takes it for
    /// [drift](Drift), which by default is repaired.
    pub fn quiesce(&self, snapshot: &Snapshot) -> Plan {
        let actual = present::of_snapshot(snapshot);
        Plan::quiescence(&actual, |service, destination| {
            self.ledger.owns(service, destination)
        })
    }
}

/// The entry a change is about; `None` for changes no plan contains.
fn entry_key(change: &Change) -> Option<EntryKey> {
    match change {
        Change::AddService(service) | Change::SetService(service) => Some((service.key(), None)),
        Change::RemoveService(key) => Some((*key, None)),
        Change::AddDestination(service, destination)
        | Change::SetDestination(service, destination) => Some((*service, Some(destination.key()))),
        Change::RemoveDestination(service, key) => Some((*service, Some(*key))),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
