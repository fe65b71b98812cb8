//! From what the driver reports to what keepalived's scripts are told. Pure.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use lvs_vrrp::event::{InitReason, LastEvent, Notification, State, Transition};
use lvs_vrrp::net::Snapshot;
use lvs_vrrp::node::{Report, ReportKind, RouterId};
use lvs_vrrp::track::{Track, TrackerStatus};

use crate::vrrp::Plan;

/// What changed: a virtual router or a group.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "keepalived has these two")]
pub enum ChangeSubject {
    /// A virtual router of this name.
    Router(String),
    /// A group of this name.
    Group(String),
}

impl ChangeSubject {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Router(name) | Self::Group(name) => name,
        }
    }

    /// keepalived's word for its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Router(_) => "INSTANCE",
            Self::Group(_) => "GROUP",
        }
    }
}

/// A state as scripts know it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    Master,
    Backup,
    Fault,
    Stop,
    Deleted,
}

/// What scripts and pipes are told of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum What {
    Role(Role),
    /// While in this state the priority changed.
    Priority(Role),
    /// While active a losing advertisement was heard.
    LosingAdvert,
}

/// Something that scripts are told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    pub(super) subject: ChangeSubject,
    pub(super) what: What,
    /// The effective priority; 0 for groups.
    priority: u8,
}

impl Change {
    /// What changed.
    #[must_use]
    pub const fn subject(&self) -> &ChangeSubject {
        &self.subject
    }

    /// keepalived's word for what it is now: `MASTER`, `BACKUP`, `FAULT`, `STOP`, `DELETED`, and for
    /// pipes `MASTER_RX_LOWER_PRI`, `MASTER_PRIO` and the like.
    #[must_use]
    pub const fn state(&self) -> &'static str {
        match self.what {
            What::Role(Role::Master) => "MASTER",
            What::Role(Role::Backup) => "BACKUP",
            What::Role(Role::Fault) => "FAULT",
            What::Role(Role::Stop) => "STOP",
            What::Role(Role::Deleted) => "DELETED",
            What::Priority(Role::Master) => "MASTER_PRIO",
            What::Priority(Role::Backup) => "BACKUP_PRIO",
            What::Priority(_) => "FAULT_PRIO",
            What::LosingAdvert => "MASTER_RX_LOWER_PRI",
        }
    }

    /// The effective priority; 0 for groups.
    #[must_use]
    pub const fn priority(&self) -> u8 {
        self.priority
    }
}

impl fmt::Display for Change {
    /// The line for pipes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = (self.subject.kind(), self.subject.name());
        write!(f, "{kind} \"{name}\" {} {}", self.state(), self.priority)
    }
}

#[derive(Clone, Debug)]
struct Router {
    name: String,
    role: Option<Role>,
    priority: u8,
    /// What it follows by itself.
    tracks: Vec<Track>,
    is_leaving: bool,
    tells_deleted: bool,
}

#[derive(Clone, Debug)]
struct Group {
    name: String,
    members: Vec<RouterId>,
    /// What all of them follow.
    tracks: Vec<Track>,
    role: Option<Role>,
}

/// What virtual routers and groups were the last time.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    routers: BTreeMap<RouterId, Router>,
    groups: Vec<Group>,
    is_stopping: bool,
    is_handing_over: bool,
}

impl Changes {
    /// Goes on with another plan. Virtual routers that are not in it are remembered until their end
    /// was told.
    pub(super) fn follow(&mut self, plan: &Plan) {
        for router in self.routers.values_mut() {
            router.is_leaving = true;
        }
        for planned in plan.routers() {
            let router = self.routers.entry(planned.id).or_insert_with(|| Router {
                name: planned.name.clone(),
                role: None,
                priority: planned.config.priority().get(),
                tracks: Vec::new(),
                is_leaving: false,
                tells_deleted: false,
            });
            router.is_leaving = false;
            router.tracks.clone_from(&planned.tracks);
            router.tells_deleted = planned.notify.tells_deleted;
        }
        let id = |name: &String| {
            let found = plan.routers().iter().find(|router| router.name == *name);
            found.map(|router| router.id)
        };
        let groups = plan.groups().iter().map(|planned| {
            let known = self.groups.iter().find(|group| group.name == planned.name);
            Group {
                name: planned.name.clone(),
                members: planned.members.iter().filter_map(id).collect(),
                tracks: planned.tracks.clone(),
                role: known.and_then(|group| group.role),
            }
        });
        self.groups = groups.collect();
    }

    /// What is told of those that will tell nothing themselves, as they do not run.
    pub(super) fn expect_removal(
        &mut self,
        routers: impl IntoIterator<Item = RouterId>,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        for id in routers {
            let Some(router) = self.routers.get_mut(&id) else {
                continue;
            };
            router.is_leaving = true;
            if matches!(router.role, None | Some(Role::Fault)) {
                let role = router.end();
                if router.role != Some(role) {
                    self.enter(id, role, &mut changes);
                }
            }
        }
        changes
    }

    pub(super) fn expect_stop(&mut self) {
        self.is_stopping = true;
    }

    /// Another process goes on with them: there is nothing to be told of that.
    pub(super) fn expect_hand_over(&mut self) {
        self.is_handing_over = true;
    }

    /// Whether there are some of which nothing was told yet: they have not run, and may be unable
    /// to, which no report says.
    pub(super) fn has_untold(&self) -> bool {
        let mut routers = self.routers.values();
        !self.is_ending() && routers.any(|router| router.role.is_none() && !router.is_leaving)
    }

    const fn is_ending(&self) -> bool {
        self.is_stopping || self.is_handing_over
    }

    /// Those that have not run, and cannot. One that follows something of which nothing is known yet
    /// is waited for.
    pub(super) fn begin(&mut self, snapshot: &Snapshot) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.is_ending() {
            return changes;
        }
        let forbids = |track: &Track| {
            let status = snapshot.trackers.get(&track.tracker()).copied();
            status.is_some_and(|status| {
                status != TrackerStatus::Unknown && track.contribution(status).is_none()
            })
        };
        let mut faults = BTreeSet::new();
        for router in &snapshot.routers {
            let known = self.routers.get(&router.id);
            let Some(known) = known.filter(|_| router.state == State::Initialize) else {
                continue;
            };
            let mut groups = self.groups.iter();
            let group = groups.find(|group| group.members.contains(&router.id));
            let cannot = match router.init_reason {
                Some(InitReason::InterfaceDown | InitReason::NoSource) => true,
                Some(InitReason::Tracker | InitReason::Group) => {
                    let together = group.map_or(&[][..], |group| &group.tracks);
                    known.tracks.iter().chain(together).any(forbids)
                }
                _ => false,
            };
            if cannot {
                faults.insert(router.id);
                // One keeps the others from it.
                faults.extend(group.iter().flat_map(|group| &group.members));
            }
        }
        for id in faults {
            if self.routers.get(&id).is_some_and(|it| it.role.is_none()) {
                self.enter(id, Role::Fault, &mut changes);
            }
        }
        changes
    }

    /// What scripts are told of a report, in this order.
    pub(super) fn report(&mut self, report: &Report) -> Vec<Change> {
        let mut changes = Vec::new();
        let Some(id) = report.subject.router else {
            return changes;
        };
        match report.kind {
            ReportKind::Router(Notification::Transition(transition)) => {
                self.transition(id, &transition, &mut changes);
            }
            ReportKind::Router(Notification::Priority { to, .. }) => {
                if let Some(router) = self.routers.get_mut(&id) {
                    router.priority = to.get();
                    if let Some(role) = router.role {
                        changes.push(router.change(What::Priority(role)));
                    }
                }
            }
            ReportKind::Router(Notification::LosingAdvert(_))
            | ReportKind::Repeated {
                notification: Notification::LosingAdvert(_),
                ..
            } => {
                let router = self.routers.get(&id);
                changes.extend(router.map(|router| router.change(What::LosingAdvert)));
            }
            _ => {}
        }
        changes
    }

    fn transition(&mut self, id: RouterId, transition: &Transition, changes: &mut Vec<Change>) {
        let Some(router) = self.routers.get_mut(&id) else {
            return;
        };
        router.priority = transition.priority.get();
        let role = match (transition.to, transition.event) {
            (State::Active, _) => Role::Master,
            (State::Backup, _) => Role::Backup,
            // Somebody else goes on with it.
            (State::Initialize, LastEvent::Handover) => return,
            (State::Initialize, _) if self.is_handing_over => return,
            (State::Initialize, LastEvent::Shutdown) if router.is_leaving => router.end(),
            (State::Initialize, LastEvent::Shutdown) if self.is_stopping => Role::Stop,
            (State::Initialize, _) => Role::Fault,
        };
        self.enter(id, role, changes);
    }

    /// Tells of a state, and of those of the groups it decides.
    fn enter(&mut self, id: RouterId, role: Role, changes: &mut Vec<Change>) {
        let Some(router) = self.routers.get_mut(&id) else {
            return;
        };
        router.role = Some(role);
        changes.push(router.change(What::Role(role)));
        let is_gone = router.is_leaving && role == router.end();
        for group in &mut self.groups {
            let members = group.members.iter();
            let routers = members.filter_map(|id| self.routers.get(id));
            let roles: Vec<_> = routers.map(|router| router.role).collect();
            let Some(now) = together(&roles) else {
                continue;
            };
            if group.members.contains(&id) && group.role != Some(now) {
                group.role = Some(now);
                changes.push(Change {
                    subject: ChangeSubject::Group(group.name.clone()),
                    what: What::Role(now),
                    priority: 0,
                });
            }
        }
        if is_gone {
            self.routers.remove(&id);
        }
    }
}

/// The state of a group; none while its members are on their way from one to another.
fn together(roles: &[Option<Role>]) -> Option<Role> {
    if roles.contains(&Some(Role::Fault)) {
        return Some(Role::Fault);
    }
    let first = roles.first().copied().flatten()?;
    roles
        .iter()
        .all(|role| *role == Some(first))
        .then_some(first)
}

impl Router {
    /// What its removal is told as.
    const fn end(&self) -> Role {
        if self.tells_deleted {
            Role::Deleted
        } else {
            Role::Fault
        }
    }

    fn change(&self, what: What) -> Change {
        Change {
            subject: ChangeSubject::Router(self.name.clone()),
            what,
            priority: self.priority,
        }
    }
}

#[cfg(test)]
mod tests {
    use lvs_vrrp::address::{Family, InterfaceIndex};
    use lvs_vrrp::event::NewActiveReason;
    use lvs_vrrp::node::Subject;
    use lvs_vrrp::{Priority, Rank};

    use super::*;
    use crate::keepalived::Config;

    /// Instances A and B in group G; both are told of their deletion if `tells`.
    fn plan(names: &[&str], tells: bool, before: Option<&Plan>) -> Plan {
        let mut text = String::new();
        for (name, id) in names.iter().zip(1..) {
            let deleted = if tells { "notify_deleted" } else { "" };
            text += &format!(
                "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {id}\n {deleted}\n \
                 virtual_ipaddress {{ 192.0.2.{id} }}\n}}\n"
            );
        }
        text += &format!("vrrp_sync_group G {{ group {{ {} }} }}\n", names.join(" "));
        let config = Config::parse("t.conf", &text);
        let plan = match before {
            Some(before) => before.following(&config),
            None => Plan::new(&config),
        };
        assert_eq!(
            plan.routers().len(),
            names.len(),
            "{:?}",
            plan.diagnostics()
        );
        plan
    }

    fn report(router: u32, kind: ReportKind) -> Report {
        Report {
            sequence: 1,
            at: core::time::Duration::ZERO,
            subject: Subject {
                router: Some(RouterId::new(router)),
                interface: InterfaceIndex::new(1),
                family: Family::Ipv4,
                vrid: None,
            },
            kind,
        }
    }

    fn moves(changes: &mut Changes, router: u32, to: State, event: LastEvent) -> Vec<String> {
        let transition = Transition {
            from: State::Backup,
            to,
            event,
            reason: NewActiveReason::NotActive,
            priority: Priority::new(100),
        };
        let kind = ReportKind::Router(Notification::Transition(transition));
        let told = changes.report(&report(router, kind));
        told.iter().map(ToString::to_string).collect()
    }

    fn begun(tells: bool) -> (Changes, Plan) {
        let plan = plan(&["A", "B"], tells, None);
        let mut changes = Changes::default();
        changes.follow(&plan);
        for router in [1, 2] {
            moves(&mut changes, router, State::Backup, LastEvent::Startup);
        }
        (changes, plan)
    }

    #[test]
    fn a_group_is_told_of_when_all_its_members_are_there() {
        let (mut changes, _) = begun(false);
        let (active, down) = (LastEvent::ActiveTimeout, LastEvent::InterfaceDown);
        let told = moves(&mut changes, 1, State::Active, active);
        assert_eq!(told, ["INSTANCE \"A\" MASTER 100"]);
        let told = moves(&mut changes, 2, State::Active, active);
        assert_eq!(told, ["INSTANCE \"B\" MASTER 100", "GROUP \"G\" MASTER 0"]);
        // One that cannot run is enough.
        let told = moves(&mut changes, 1, State::Initialize, down);
        assert_eq!(told, ["INSTANCE \"A\" FAULT 100", "GROUP \"G\" FAULT 0"]);
        let told = moves(&mut changes, 2, State::Initialize, LastEvent::Group);
        assert_eq!(told, ["INSTANCE \"B\" FAULT 100"]);
    }

    #[test]
    fn an_end_is_a_stop_only_when_all_end() {
        let (mut changes, _) = begun(false);
        changes.expect_stop();
        let told = moves(&mut changes, 1, State::Initialize, LastEvent::Shutdown);
        assert_eq!(told, ["INSTANCE \"A\" STOP 100"]);
        let told = moves(&mut changes, 2, State::Initialize, LastEvent::Shutdown);
        assert_eq!(told, ["INSTANCE \"B\" STOP 100", "GROUP \"G\" STOP 0"]);
        let told = moves(&mut changes, 2, State::Initialize, LastEvent::Handover);
        assert!(told.is_empty());
    }

    #[test]
    fn a_removal_is_told_once_as_the_file_wants_it() {
        for (tells, expected) in [
            (true, "INSTANCE \"B\" DELETED 100"),
            (false, "INSTANCE \"B\" FAULT 100"),
        ] {
            let (mut changes, before) = begun(tells);
            let after = plan(&["A"], tells, Some(&before));
            assert!(changes.expect_removal([RouterId::new(2)]).is_empty());
            changes.follow(&after);
            let told = moves(&mut changes, 2, State::Initialize, LastEvent::Shutdown);
            assert_eq!(told, [expected]);
            let told = moves(&mut changes, 2, State::Initialize, LastEvent::Shutdown);
            assert!(told.is_empty(), "{told:?}");
            // Refused, the other stays what it was.
            assert!(changes.expect_removal([RouterId::new(1)]).is_empty());
            changes.follow(&after);
            let told = moves(&mut changes, 1, State::Initialize, LastEvent::InterfaceDown);
            assert_eq!(told.first().unwrap(), "INSTANCE \"A\" FAULT 100");
        }
    }

    #[test]
    fn one_that_never_ran_is_told_of_at_once() {
        let before = plan(&["A", "B"], true, None);
        let mut changes = Changes::default();
        changes.follow(&before);
        let told = changes.expect_removal([RouterId::new(2)]);
        let told: Vec<_> = told.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["INSTANCE \"B\" DELETED 100"]);
    }

    #[test]
    fn priorities_and_losing_advertisements_are_told() {
        let (mut changes, _) = begun(false);
        let (from, to) = (Priority::new(100), Priority::new(80));
        let kind = ReportKind::Router(Notification::Priority { from, to });
        let told = changes.report(&report(1, kind));
        assert_eq!(told[0].to_string(), "INSTANCE \"A\" BACKUP_PRIO 80");
        let rank = Rank::new(Priority::new(50), "192.0.2.9".parse().unwrap());
        let kind = ReportKind::Router(Notification::LosingAdvert(rank));
        let told = changes.report(&report(1, kind));
        assert_eq!(told[0].to_string(), "INSTANCE \"A\" MASTER_RX_LOWER_PRI 80");
    }
}
