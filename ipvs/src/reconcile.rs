//! Keeps a kernel's table as desired: ownership, drift, and when to look again.

use core::time::Duration;
use std::collections::BTreeSet;

use crate::Timestamp;
use crate::destination::DestinationKey;
use crate::plan::{Plan, Policy, Repair, Scope, index, index_table};
use crate::request::Change;
use crate::service::ServiceKey;
use crate::session::Outcome;
use crate::snapshot::Snapshot;
use crate::table::Table;

/// Time between looks for drift, unless
/// [`with_drift_interval`](Reconciler::with_drift_interval) says otherwise.
const DRIFT_INTERVAL: Duration = Duration::from_secs(30);
/// Time to the next look while something is unfinished.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Looks in a row that may leave something unfinished before looking falls back to the drift
/// interval: what is refused that often is refused for a reason that lasts.
const QUICK_LOOKS: u32 = 3;

/// A service, or one of its destinations.
type EntryKey = (ServiceKey, Option<DestinationKey>);

/// Keeps a kernel's table as desired, look after look.
///
/// It is given the desired [`Table`] and every [`Snapshot`] somebody takes, and answers with the
/// [`Plan`] to apply and the time of the next look. It sends nothing and reads no clock. What it
/// adds to a plan is memory:
///
/// - *Ownership.* IPVS entries carry no owner. The reconciler keeps a ledger of the services it
///   created or adopted, and removes no others. A desired service that is there already is
///   adopted: from then on it is owned as if created, and destinations in it that nobody desires
///   are removed as the policy says ([`Surplus`](crate::Surplus)), whoever put them there. The
///   ledger lives as long as the value: services that an earlier process left behind are known
///   only when they are desired.
/// - *Drift.* A difference that neither a new desired table nor an unfinished change explains was
///   brought about by somebody else. The plan repairs it and [marks](crate::PlanStep::drift) it.
/// - *Unfinished business.* What was refused, or has no known outcome, is looked at again soon.
///
/// ```
/// use core::time::Duration;
/// use lvs_ipvs::{Destination, Outcome, Policy, Reconciler, Scope, Snapshot, Table, VirtualService};
///
/// let web = VirtualService::tcp("192.0.2.10:80".parse()?);
/// let mut desired = Table::new();
/// desired.insert(web, [Destination::masquerade("10.0.0.11:80".parse()?)]);
/// let mut reconciler = Reconciler::new(Policy::new(Scope::all()));
/// reconciler.set_desired(desired.clone());
///
/// let now = Duration::from_secs(1000);
/// let (plan, _) = reconciler.step(now, &Snapshot::from(&Table::new()));
/// assert_eq!(plan.len(), 2);
/// for change in plan.changes() {
///     reconciler.record(change, &Outcome::Done); // what the client reported
/// }
/// // Nothing is left to do; the next look is for drift.
/// assert_eq!(reconciler.next_look(), Some(now + Duration::from_secs(30)));
/// let (plan, _) = reconciler.step(now + Duration::from_secs(30), &Snapshot::from(&desired));
/// assert!(plan.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reconciler {
    policy: Policy,
    drift_interval: Option<Duration>,
    desired: Table,
    /// The ledger. A service to be created is entered when the plan is made, before anybody can
    /// have sent it, and leaves when the kernel refuses it.
    owned: BTreeSet<ServiceKey>,
    /// Desired entries that differ for reasons of our own: the desired table changed, or a
    /// change was asked for and is not known to be done.
    pending: BTreeSet<EntryKey>,
    adopted: Vec<ServiceKey>,
    looked: Option<Look>,
    /// The desired table is newer than the last look.
    stale: bool,
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
            drift_interval: Some(DRIFT_INTERVAL),
            desired: Table::new(),
            owned: BTreeSet::new(),
            pending: BTreeSet::new(),
            adopted: Vec::new(),
            looked: None,
            stale: true,
            unfinished_looks: 0,
        }
    }

    /// Replaces the time between looks for drift. `None` and 0 turn them off. Default: 30 s.
    #[must_use]
    pub fn with_drift_interval(mut self, interval: Option<Duration>) -> Self {
        self.drift_interval = interval.filter(|interval| !interval.is_zero());
        self
    }

    /// Replaces the desired table and makes a look due. Services outside the policy's scope are
    /// left alone and [listed](Plan::outside_scope) by every plan.
    ///
    /// Nothing is validated: an entry the kernel could not take is refused on its own when the
    /// plan is applied. [`Table::validate`] tells before.
    pub fn set_desired(&mut self, desired: Table) {
        let policy = Policy::new(Scope::all());
        let news = Plan::build(index_table(&self.desired), &desired, &policy, |_| true);
        self.pending.extend(news.changes().filter_map(entry_key));
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
    /// Apply the plan, [`record`](Self::record) the outcomes, then ask
    /// [`next_look`](Self::next_look): what is done need not be looked at again soon. `now` going
    /// backwards counts as standing still.
    ///
    /// Steps are marked as [drift](crate::PlanStep::drift) only when the snapshot's two dumps agreed.
    pub fn step(&mut self, now: Timestamp, snapshot: &Snapshot) -> (Plan, Option<Timestamp>) {
        let actual = index(snapshot);
        self.adopted.clear();
        for key in self.desired.services().map(|entry| entry.service.key()) {
            let is_foreign = self.policy.scope.contains(&key) && !self.owned.contains(&key);
            if is_foreign && actual.contains_key(&key) {
                self.adopted.push(key);
            }
        }
        if snapshot.agreed {
            // Ours, no longer wanted, and gone: whoever makes it anew is its owner.
            let desired = &self.desired;
            self.owned
                .retain(|key| desired.get(key).is_some() || actual.contains_key(key));
        }

        let mut plan = Plan::build(actual, &self.desired, &self.policy, |key| {
            self.owned.contains(key)
        });
        if snapshot.agreed {
            plan.mark_drift(|change| {
                entry_key(change).is_some_and(|entry| {
                    self.owned.contains(&entry.0) && !self.pending.contains(&entry)
                })
            });
            self.pending.clear();
        }
        self.pending.extend(plan.changes().filter_map(entry_key));

        self.owned.extend(&self.adopted);
        for change in plan.changes() {
            if let Change::AddService(service) = change {
                self.owned.insert(service.key());
            }
        }

        let at = self.looked.map_or(now, |look| look.at.max(now));
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

    /// Takes note of what became of a change of a plan. Changes without a known outcome need not
    /// be recorded.
    ///
    /// A service whose creation was refused is not owned; one whose creation has no known outcome
    /// stays in the ledger, because it may be there.
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
            Change::AddService(service) if !is_done => {
                self.owned.remove(&service.key());
            }
            Change::RemoveService(key) if is_done => {
                self.owned.remove(key);
            }
            _ => {}
        }
        // With a newer desired table the entry may have to change again.
        if is_done && !self.stale {
            if let Some(entry) = entry_key(change) {
                self.pending.remove(&entry);
            }
            if self.is_finished() {
                self.unfinished_looks = 0;
            }
        }
    }

    /// When to take the next snapshot; at once if that is in the past. `None`: when there is a
    /// new desired table.
    ///
    /// While something is unfinished (a change refused, not recorded or of unknown outcome, two
    /// dumps that did not agree) that is after 1 s. When three looks in a row left something
    /// unfinished, the drift interval counts again.
    #[must_use]
    pub fn next_look(&self) -> Option<Timestamp> {
        let Some(look) = self.looked else {
            return Some(Timestamp::ZERO);
        };
        if self.stale {
            return Some(look.at);
        }
        let interval = if !self.is_finished() && self.unfinished_looks < QUICK_LOOKS {
            let drift_interval = self.drift_interval.unwrap_or(Duration::MAX);
            Some(RETRY_INTERVAL.min(drift_interval))
        } else {
            self.drift_interval
        };
        interval.map(|interval| look.at.saturating_add(interval))
    }

    fn is_finished(&self) -> bool {
        self.pending.is_empty() && self.looked.is_none_or(|look| look.agreed)
    }

    /// The services of the ledger: created, being created, or adopted. Sorted.
    pub fn owned(&self) -> impl ExactSizeIterator<Item = &ServiceKey> + '_ {
        self.owned.iter()
    }

    /// The services that the last [`step`](Self::step) took over because they are desired and
    /// were there already. Sorted.
    #[must_use]
    pub fn adopted(&self) -> &[ServiceKey] {
        self.adopted.as_slice()
    }

    /// Removes every service that is owned and there, with its destinations, whatever the policy
    /// says about surplus: for a director that shuts down and leaves nothing behind.
    ///
    /// When the snapshot's two dumps did not agree, owned services it lacks are removed too; for
    /// those that are gone the kernel's refusal counts as done.
    ///
    /// Withdraw last: a [`step`](Self::step) afterwards would create them anew.
    pub fn withdraw(&self, snapshot: &Snapshot) -> Plan {
        let actual = index(snapshot);
        let owned = self.owned.iter().copied();
        Plan::removal(owned.filter(|key| !snapshot.agreed || actual.contains_key(key)))
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
