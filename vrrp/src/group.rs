//! Groups: routers that change their state together.
//!
//! All members of a group are Active, or none is. A member whose time has come waits until every
//! other one wants to be Active too; then all become it in one step. One that loses an election, or
//! cannot run, takes the others with it: they resign, so that whoever won that member gets the
//! others within a skew time. Behind the group may stand a [guard](crate::guard): one for all
//! members, never one each.
//!
//! All routers of a group should have the same rank on each node, and weights belong to the group:
//! otherwise the elections of its members never agree.

use alloc::vec::Vec;
use core::time::Duration;

use crate::guard::GuardStatus;
use crate::job::JobId;
use crate::node::RouterId;
use crate::track::Track;

/// Names a group. The caller chooses the number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct GroupId(u32);

impl GroupId {
    /// The group of this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A group of one router or more.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct GroupConfig {
    pub(crate) members: Vec<RouterId>,
    pub(crate) guard: Option<Duration>,
    pub(crate) tracks: Vec<Track>,
}

impl GroupConfig {
    /// These routers together, without guard and trackers.
    pub fn new(members: impl IntoIterator<Item = RouterId>) -> Self {
        Self {
            members: members.into_iter().collect(),
            guard: None,
            tracks: Vec::new(),
        }
    }

    /// Makes a guard a condition for being Active; it is asked for again after this time.
    pub fn with_guard(mut self, retry: Duration) -> Self {
        self.guard = Some(retry);
        self
    }

    /// Lets all members follow this tracker.
    pub fn with_track(mut self, track: Track) -> Self {
        self.tracks.push(track);
        self
    }
}

/// A group at work.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) config: GroupConfig,
    /// What the arbiter said last, if there is a guard.
    pub(crate) status: GuardStatus,
    /// The guard was asked for and was not given back since.
    pub(crate) is_requested: bool,
    /// A member asked anew.
    pub(crate) asks: bool,
    /// It is to be looked at, when its turn comes.
    pub(crate) is_marked: bool,
    /// The last request for the guard, which may be fetched already.
    pub(crate) acquire_job: Option<JobId>,
    /// The same, to give it back.
    pub(crate) release_job: Option<JobId>,
    /// It is not configured any more, and goes when the guard was given back.
    pub(crate) is_dissolved: bool,
}

impl Group {
    pub(crate) const fn new(config: GroupConfig) -> Self {
        Self {
            config,
            status: GuardStatus::Unknown,
            is_requested: false,
            asks: false,
            is_marked: false,
            acquire_job: None,
            release_job: None,
            is_dissolved: false,
        }
    }

    /// What members are told: without guard nothing but the group forbids them to be Active.
    pub(crate) const fn grant(&self) -> GuardStatus {
        match self.config.guard {
            Some(_) => self.status,
            None => GuardStatus::Held {
                until: crate::timer::NEVER,
                epoch: 0,
            },
        }
    }
}
