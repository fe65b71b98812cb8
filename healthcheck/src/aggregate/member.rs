//! One check's part in its destination.

use super::Standing;
use crate::check::Report;
use crate::outcome::{AdminHint, WeightHint};
use crate::policy::{Decision, Health};

/// What a check is for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Role {
    /// Decides about health, and its weight hints and votes count.
    Required,
    /// Only its weight hints and votes count; its failures take nothing down.
    Advisory,
    /// Only for people to look at.
    Info,
    /// An agent on the destination itself: while it says down the destination is down, whatever
    /// the required checks say; its up brings nothing up. Its weight hints and votes count.
    ///
    /// An agent that is to decide like any check is [`Required`](Self::Required).
    Agent,
}

/// What a check counts as before its first verdict.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum UnknownAs {
    /// Up; keepalived without `alpha`.
    Up,
    /// Down; keepalived with `alpha`.
    Down,
    /// Neither: the entry stays as it was [adopted](super::Aggregate::with_adopted).
    Hold,
}

/// What a check says now.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Contribution {
    /// Its health.
    pub health: Health,
    /// Its weight hint in force.
    pub hint: Option<WeightHint>,
    /// Whether it asks for no new connections.
    pub no_new: bool,
    /// Its vote.
    pub admin: Option<AdminHint>,
}

impl Contribution {
    /// Health and nothing else.
    #[must_use]
    pub const fn new(health: Health) -> Self {
        Self {
            health,
            hint: None,
            no_new: false,
            admin: None,
        }
    }

    /// Adds a weight hint.
    #[must_use]
    pub const fn with_hint(mut self, hint: WeightHint) -> Self {
        self.hint = Some(hint);
        self
    }

    /// Adds whether no new connections are wanted.
    #[must_use]
    pub const fn with_no_new(mut self, no_new: bool) -> Self {
        self.no_new = no_new;
        self
    }

    /// Adds a vote.
    #[must_use]
    pub const fn with_admin(mut self, admin: AdminHint) -> Self {
        self.admin = Some(admin);
        self
    }
}

impl From<&Report> for Contribution {
    fn from(report: &Report) -> Self {
        Self {
            health: report.health,
            hint: report.hint,
            no_new: report.no_new,
            admin: report.admin,
        }
    }
}

impl From<&Decision> for Contribution {
    fn from(decision: &Decision) -> Self {
        Self {
            health: decision.health,
            hint: decision.hint,
            no_new: decision.no_new,
            admin: decision.admin,
        }
    }
}

/// One check's part in its destination.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Member {
    pub(super) role: Role,
    pub(super) unknown: UnknownAs,
    pub(super) says: Contribution,
    /// When its hint changed last, as a count of such changes.
    pub(super) changed: u64,
}

impl Member {
    /// A check that has not said anything yet.
    #[must_use]
    pub const fn new(role: Role, unknown: UnknownAs) -> Self {
        Self {
            role,
            unknown,
            says: Contribution::new(Health::Unknown),
            changed: 0,
        }
    }

    /// A check that decides about health.
    #[must_use]
    pub const fn required(unknown: UnknownAs) -> Self {
        Self::new(Role::Required, unknown)
    }

    /// The check's own health.
    #[must_use]
    pub const fn health(&self) -> Health {
        self.says.health
    }

    /// What the check says.
    #[must_use]
    pub const fn contribution(&self) -> Contribution {
        self.says
    }

    /// What the check is for.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// What it contributes to the destination's health.
    pub(super) const fn standing(&self) -> Standing {
        self.standing_as(self.unknown)
    }

    /// The same when no verdict counts as told.
    pub(super) const fn standing_as(&self, unknown: UnknownAs) -> Standing {
        match (self.says.health, unknown) {
            (Health::Up, _) | (Health::Unknown, UnknownAs::Up) => Standing::Up,
            (Health::Down, _) | (Health::Unknown, UnknownAs::Down) => Standing::Down,
            (Health::Unknown, UnknownAs::Hold) => Standing::Hold,
        }
    }
}
