//! A check: a probe, how its outcomes are judged, and what comes out of each attempt.

use core::fmt;
use std::sync::Arc;

use crate::Timestamp;
use crate::outcome::{AdminHint, Outcome, WeightHint};
use crate::policy::{Health, HealthChange, Policy};
use crate::probe::Probe;

/// A probe and its policy, ready to be [added](crate::Driver::add) to a driver.
#[derive(Clone, Debug)]
#[must_use]
pub struct Check {
    pub(crate) probe: Arc<dyn Probe>,
    pub(crate) policy: Policy,
    pub(crate) key: Box<str>,
    pub(crate) exclusive: bool,
}

impl Check {
    /// A check without a key.
    pub fn new(probe: impl Probe + 'static, policy: Policy) -> Self {
        Self {
            probe: Arc::new(probe),
            policy,
            key: Box::default(),
            exclusive: false,
        }
    }

    /// A name that is the same after a restart, such as `director/service/destination/check`.
    ///
    /// [`Spread::Hash`](crate::policy::Spread::Hash) takes the first start from it, so that checks
    /// of the same key start at the same place in the interval. Default: the check's number.
    pub fn with_key(mut self, key: &str) -> Self {
        self.key = key.into();
        self
    }

    /// Never shares its attempts with checks of the same probe; see [`Driver::add`](crate::Driver::add).
    pub const fn exclusive(mut self) -> Self {
        self.exclusive = true;
        self
    }
}

/// Names a check of one driver. Never used again for another one (until after 2³² uses of a slot).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CheckId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}

/// Everything one attempt led to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Which check.
    pub check: CheckId,
    /// When the attempt started.
    pub started: Timestamp,
    /// When its outcome became known.
    pub at: Timestamp,
    /// The number of the attempt, from 1.
    pub attempt: u64,
    /// What it found out.
    pub outcome: Outcome,
    /// The check's health now.
    pub health: Health,
    /// Where its counter is now, 0 to [`Policy::highest`]; up from `rise` on.
    pub counter: u32,
    /// How its health changed, if it did.
    pub change: Option<HealthChange>,
    /// The weight hint in force now: a failure removes it, a success replaces it.
    pub hint: Option<WeightHint>,
    /// Whether the destination asks for no new connections.
    pub no_new: bool,
    /// What the check asks for apart from health: the last vote an outcome carried.
    pub admin: Option<AdminHint>,
    /// Whether `hint`, `no_new` or `admin` is another than before.
    pub hint_changed: bool,
    /// Whether this is worth a line in a log, see [`Decision::log`](crate::policy::Decision::log).
    pub log: bool,
    /// Errors of this host in a row, including this one.
    pub local_errors: u32,
}

/// What a [`Driver`](crate::Driver) hands out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CheckEvent {
    /// An attempt has an outcome. Steady ones are reported too; look at [`Report::change`] and
    /// [`Report::hint_changed`] for what needs action.
    Completed(Report),
}
