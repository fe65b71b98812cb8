//! What belongs to a take-over beside the addresses, and in which order (OP-1).
//!
//! | A virtual router | Steps |
//! |---|---|
//! | is about to get its addresses | table ready, then sync daemon *backup* stopped |
//! | has them, and has announced them | sync daemon *active* started |
//! | has none any more | sync daemon *active* stopped, *backup* started, then table as a standby's |
//!
//! The table is that of a standby while no virtual router has addresses, or is about to get some. The
//! sync daemons follow the one virtual router that `lvs_sync_daemon` names; without one, both run all
//! the time.
//!
//! Pure: it says what to do, [`TakeOver`](super::take_over::TakeOver) does it.

use core::fmt;
use std::collections::BTreeMap;

use lvs_ipvs::DaemonRole;
use lvs_vrrp::node::RouterId;

/// Something to be done; the one before it is done then.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever performs them has to know all"
)]
pub enum Step {
    /// The table is complete, as that of an active director.
    TableReady,
    /// The table is that of a standby.
    TableStandby,
    /// No sync daemon of this role runs.
    Stop(DaemonRole),
    /// A sync daemon of this role runs.
    Start(DaemonRole),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TableReady => f.write_str("table ready"),
            Self::TableStandby => f.write_str("table as a standby's"),
            Self::Stop(role) => write!(f, "sync daemon {role} stopped"),
            Self::Start(role) => write!(f, "sync daemon {role} started"),
        }
    }
}

/// Which sync daemons run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "lvs_sync_daemon knows these")]
pub enum SyncRoles {
    /// None.
    #[default]
    Off,
    /// Both, all the time.
    Both,
    /// *Active* while this virtual router is Active, else *backup*.
    Follow(RouterId),
}

/// How far a virtual router has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// What it needs is being made ready.
    Preparing,
    /// It has its addresses, or is about to get them.
    Prepared,
    /// They were announced.
    Established,
}

/// Says which steps are next; at first no virtual router has addresses, and no sync daemon is asked for.
///
/// # Examples
///
/// ```
/// use director::vrrp::choreography::{Choreography, Step, SyncRoles};
/// use lvs_ipvs::DaemonRole;
/// use lvs_vrrp::node::RouterId;
///
/// let router = RouterId::new(1);
/// let mut choreography = Choreography::default();
/// let begin = [Step::Stop(DaemonRole::Active), Step::Start(DaemonRole::Backup)];
/// assert_eq!(choreography.reload(SyncRoles::Follow(router)), begin);
/// let prepare = [Step::TableReady, Step::Stop(DaemonRole::Backup)];
/// assert_eq!(choreography.prepare(router), prepare);
/// choreography.prepared(router);
/// assert_eq!(choreography.establish(router), [Step::Start(DaemonRole::Active)]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Choreography {
    sync: SyncRoles,
    routers: BTreeMap<RouterId, Stage>,
    /// The end is near: nobody is to become a standby any more.
    is_leaving: bool,
}

/// The roles in which sync daemons run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Roles {
    active: bool,
    backup: bool,
}

impl Roles {
    /// From these to others: what ends comes first.
    fn steps_to(self, others: Self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (role, runs, is_wanted) in [
            (DaemonRole::Active, self.active, others.active),
            (DaemonRole::Backup, self.backup, others.backup),
        ] {
            if runs && !is_wanted {
                steps.push(Step::Stop(role));
            }
        }
        for (role, runs, is_wanted) in [
            (DaemonRole::Active, self.active, others.active),
            (DaemonRole::Backup, self.backup, others.backup),
        ] {
            if is_wanted && !runs {
                steps.push(Step::Start(role));
            }
        }
        steps
    }
}

impl Choreography {
    /// This one is about to get its addresses. The table is made ready for the first.
    #[must_use]
    pub fn prepare(&mut self, router: RouterId) -> Vec<Step> {
        let before = self.roles();
        let mut stages = self.routers.values();
        let is_ready = stages.any(|stage| *stage != Stage::Preparing);
        self.routers.insert(router, Stage::Preparing);
        let table = (!is_ready).then_some(Step::TableReady);
        table
            .into_iter()
            .chain(before.steps_to(self.roles()))
            .collect()
    }

    /// The steps for that succeeded. Where they did not, the router settles some time.
    pub fn prepared(&mut self, router: RouterId) {
        self.routers.insert(router, Stage::Prepared);
    }

    /// This one has announced its addresses.
    #[must_use]
    pub fn establish(&mut self, router: RouterId) -> Vec<Step> {
        let before = self.roles();
        self.routers.insert(router, Stage::Established);
        before.steps_to(self.roles())
    }

    /// This one has no addresses any more, or never got them. The table is a standby's once none has.
    #[must_use]
    pub fn settle(&mut self, router: RouterId) -> Vec<Step> {
        let mut steps = match self.sync {
            // Whatever failed before is made good.
            SyncRoles::Follow(followed) if followed == router => {
                self.routers.remove(&router);
                self.all_roles()
            }
            _ => {
                self.routers.remove(&router);
                Vec::new()
            }
        };
        if self.routers.is_empty() && !self.is_leaving {
            steps.push(Step::TableStandby);
        }
        steps
    }

    /// Goes on with other sync daemons, or the same ones configured otherwise, whatever an earlier
    /// process has left. Nothing where none were and none are configured: those that run then are
    /// somebody else's.
    #[must_use]
    pub fn reload(&mut self, sync: SyncRoles) -> Vec<Step> {
        let had_any = self.sync != SyncRoles::Off;
        self.sync = sync;
        match self.sync {
            SyncRoles::Off if !had_any => Vec::new(),
            _ => self.all_roles(),
        }
    }

    /// All are about to settle, and not to come back: no sync daemon is started for that, and what becomes
    /// of the table is for whoever ends.
    pub const fn leave(&mut self) {
        self.is_leaving = true;
    }

    /// What comes last, as nothing is run any more.
    #[must_use]
    pub fn end(&mut self) -> Vec<Step> {
        self.routers.clear();
        self.reload(SyncRoles::Off)
    }

    /// Whether some virtual router has addresses, or is about to get some.
    #[must_use]
    pub fn has_addresses(&self) -> bool {
        !self.routers.is_empty()
    }

    /// Whether a sync daemon of this role is to run now.
    pub(super) fn wants(&self, role: DaemonRole) -> bool {
        let roles = self.roles();
        match role {
            DaemonRole::Active => roles.active,
            DaemonRole::Backup => roles.backup,
        }
    }

    fn roles(&self) -> Roles {
        let (active, backup) = match self.sync {
            SyncRoles::Off => (false, false),
            SyncRoles::Follow(router) if self.is_leaving => (
                self.routers.get(&router) == Some(&Stage::Established),
                false,
            ),
            SyncRoles::Both => (true, true),
            SyncRoles::Follow(router) => match self.routers.get(&router) {
                None => (false, true),
                // Packets of live connections are not to be left to a backup (OP-3).
                Some(Stage::Preparing | Stage::Prepared) => (false, false),
                Some(Stage::Established) => (true, false),
            },
        };
        Roles { active, backup }
    }

    /// A step for each role, whether it is needed or not.
    fn all_roles(&self) -> Vec<Step> {
        let roles = self.roles();
        let not = Roles {
            active: !roles.active,
            backup: !roles.backup,
        };
        not.steps_to(roles)
    }
}

#[cfg(test)]
mod tests;
