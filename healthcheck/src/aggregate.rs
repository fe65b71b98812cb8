//! From the checks of one destination to what the kernel's table should hold for it.
//!
//! An [`Aggregate`] belongs to one destination. It is fed the [`Report`](crate::Report)s of the
//! destination's checks and answers with one [`Desired`] entry and a [`Reason`]. `K` is whatever
//! names a check, usually [`CheckId`](crate::CheckId).
//!
//! ```
//! use std::time::Duration;
//! use lvs_healthcheck::{AdminHint, WeightHint};
//! use lvs_healthcheck::aggregate::{
//!     Aggregate, Combine, Contribution, Desired, Member, Reason, Source, UnknownAs,
//! };
//! use lvs_healthcheck::policy::Health;
//!
//! let mut server = Aggregate::new(5).with_combine(Combine::Additive);
//! server.insert("tcp", Member::required(UnknownAs::Up));
//! server.insert("load", Member::required(UnknownAs::Up));
//! assert_eq!(server.desired(), Desired::Present { weight: 5 });
//!
//! let now = Duration::from_secs(100);
//! let loaded = Contribution::new(Health::Up).with_hint(WeightHint::Absolute(8));
//! server.apply(now, &"load", loaded);
//! assert_eq!(server.desired(), Desired::Present { weight: 8 });
//! server.set_vote(Source::Api, Some(AdminHint::Drain));
//! assert_eq!(server.desired(), Desired::Present { weight: 0 });
//! server.set_vote(Source::Api, None);
//! server.apply(now, &"tcp", Contribution::new(Health::Down));
//! assert_eq!((server.desired(), server.reason()), (Desired::Absent, Reason::Down));
//! ```
//!
//! # How the weight comes about
//!
//! 1. The strongest vote: [`Maint`](AdminHint::Maint) is as if it were down,
//!    [`Drain`](AdminHint::Drain) is weight 0, and what is asked for is not counted in a quorum.
//! 2. Health: of the required checks by the [`Rule`], agents may object; then [`Damping`] and least
//!    times. Down: [`Removal`] decides.
//! 3. A check that asks for no new connections: weight 0.
//! 4. The configured weight, or the operator's in its place; the checks' hints on top by
//!    [`Combine`]; times the [scale](Aggregate::with_weight_scale); [`SlowStart`]; at most
//!    [`MAX_WEIGHT`].
//!
//! What has left the configuration, and the service as a whole, is the business of a
//! [`Pool`](crate::pool::Pool).
//!
//! # Time
//!
//! Slow start, damping and limits need the time: [`Aggregate::apply`] and [`Aggregate::tick`] take
//! it, [`Aggregate::next_deadline`] says when to tick next. Between such calls nothing changes.

mod admin;
mod carry;
mod damping;
mod desired;
mod gate;
mod member;
mod slow_start;
mod weight;

use core::time::Duration;

pub use self::admin::Source;
use self::admin::Votes;
pub use self::damping::Damping;
pub use self::desired::{Desired, Reason, Removal};
use self::gate::Gate;
pub use self::member::{Contribution, Member, Role, UnknownAs};
pub use self::slow_start::SlowStart;
pub use self::weight::{Combine, MAX_WEIGHT};
use crate::Timestamp;
use crate::outcome::{AdminHint, WeightHint};
use crate::policy::Health;

/// How the required checks of a destination make up its health.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// Every one is up. The default, and keepalived's way.
    All,
    /// One is up.
    Any,
    /// This many are up; more than there are means all of them.
    AtLeast(u32),
}

/// The health of a destination as a whole.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Standing {
    /// It gets traffic.
    Up,
    /// It does not.
    Down,
    /// Not decided yet: it stays as it was adopted.
    Hold,
}

/// All checks of one destination.
#[derive(Clone, Debug)]
pub struct Aggregate<K> {
    base: u32,
    operator: Option<u32>,
    scale: u32,
    rule: Rule,
    combine: Combine,
    removal: Removal,
    slow_start: Option<SlowStart>,
    adopted: Desired,
    members: Vec<(K, Member)>,
    votes: Votes,
    gate: Gate,
    /// What was wanted after the last step.
    last: Desired,
    /// The number of changed hints.
    changes: u64,
    now: Timestamp,
}

impl<K: PartialEq> Aggregate<K> {
    /// A destination with a configured weight and no checks: always up.
    ///
    /// Weights above [`MAX_WEIGHT`] count as that.
    #[must_use]
    pub const fn new(weight: u32) -> Self {
        Self {
            base: weight,
            operator: None,
            scale: 1,
            rule: Rule::All,
            combine: Combine::Min,
            removal: Removal::Remove,
            slow_start: None,
            adopted: Desired::Absent,
            members: Vec::new(),
            votes: Votes::new(),
            gate: Gate::new(),
            last: Desired::Present {
                weight: if weight < MAX_WEIGHT {
                    weight
                } else {
                    MAX_WEIGHT
                },
            },
            changes: 0,
            now: Timestamp::ZERO,
        }
    }

    /// How required checks make up health. Default [`Rule::All`].
    #[must_use]
    pub fn with_rule(mut self, rule: Rule) -> Self {
        self.rule = rule;
        self.stepped()
    }

    /// How weight hints combine. Default [`Combine::Min`]; keepalived's way is
    /// [`Combine::Additive`].
    #[must_use]
    pub fn with_combine(mut self, combine: Combine) -> Self {
        self.combine = combine;
        self.stepped()
    }

    /// What becomes of it while down. Default [`Removal::Remove`].
    #[must_use]
    pub fn with_removal(mut self, removal: Removal) -> Self {
        self.removal = removal;
        self.stepped()
    }

    /// What the kernel's table held when this started; stays until checks that
    /// [hold](UnknownAs::Hold) have decided. Default [`Desired::Absent`].
    #[must_use]
    pub fn with_adopted(mut self, adopted: Desired) -> Self {
        self.adopted = adopted;
        self.stepped()
    }

    /// How it gets back to its weight after having been down. Default: at once.
    ///
    /// The settings are taken as they are: [`SlowStart::validate_for`] says what is wrong with them.
    #[must_use]
    pub fn with_slow_start(mut self, slow_start: SlowStart) -> Self {
        self.slow_start = Some(slow_start);
        self.stepped()
    }

    /// Keeps it out when it goes down too often. Default: does not.
    ///
    /// The settings are taken as they are: [`Damping::validate`] says what is wrong with them.
    #[must_use]
    pub fn with_damping(mut self, damping: Damping) -> Self {
        self.gate.damping = Some(damping);
        self.stepped()
    }

    /// Once it has come up, it counts as up for this long at least. Default zero.
    #[must_use]
    pub fn with_min_up_time(mut self, time: Duration) -> Self {
        self.gate.min_up = time;
        self.stepped()
    }

    /// Once it has gone down, it counts as down for this long at least. Default zero.
    #[must_use]
    pub fn with_min_down_time(mut self, time: Duration) -> Self {
        self.gate.min_down = time;
        self.stepped()
    }

    /// Multiplies what goes to the kernel, so that small weights have steps for a
    /// [slow start](SlowStart) and for percentages. Has to be the same for all destinations of a
    /// virtual service. Default 1; 0 counts as 1.
    #[must_use]
    pub fn with_weight_scale(mut self, scale: u32) -> Self {
        self.scale = scale.max(1);
        self.stepped()
    }

    fn stepped(mut self) -> Self {
        self.step();
        self
    }

    /// Replaces the configured weight.
    pub fn set_weight(&mut self, weight: u32) {
        self.base = weight;
        self.step();
    }

    /// Puts a weight in place of the configured one, or withdraws it. Hints apply to it as they
    /// would to the configured one.
    pub fn set_override(&mut self, weight: Option<u32>) {
        self.operator = weight;
        self.step();
    }

    /// Takes a vote in place of the source's earlier one; `None` and [`AdminHint::Ready`] withdraw
    /// it. The strongest vote of all sources and checks counts. Says whether
    /// [`desired`](Self::desired) has changed.
    pub fn set_vote(&mut self, source: Source, vote: Option<AdminHint>) -> bool {
        self.votes.set(source, vote);
        self.step()
    }

    /// Adds a check, or replaces the one of that name.
    pub fn insert(&mut self, key: K, member: Member) {
        self.members.retain(|(other, _)| *other != key);
        self.members.push((key, member));
        self.step();
    }

    /// Removes a check with all it said; says whether there was one.
    pub fn remove(&mut self, key: &K) -> bool {
        let before = self.members.len();
        self.members.retain(|(other, _)| other != key);
        self.step();
        self.members.len() != before
    }

    /// Takes over what a check now says: a [`Report`](crate::Report) by reference, or a
    /// [`Contribution`]. Says whether [`desired`](Self::desired) has changed; a name that was never
    /// inserted changes nothing but the time.
    pub fn apply(&mut self, now: Timestamp, key: &K, says: impl Into<Contribution>) -> bool {
        self.now = self.now.max(now);
        let says = says.into();
        if let Some((_, member)) = self.members.iter_mut().find(|(other, _)| other == key) {
            if member.says.hint != says.hint {
                self.changes = self.changes.saturating_add(1);
                member.changed = self.changes;
            }
            member.says = says;
        }
        self.step()
    }

    /// The same for a check that never votes, at the time of the last [`apply`](Self::apply) or
    /// [`tick`](Self::tick): enough where no setting depends on time.
    pub fn update(
        &mut self,
        key: &K,
        health: Health,
        hint: Option<WeightHint>,
        no_new: bool,
    ) -> bool {
        let admin = None;
        let says = Contribution {
            health,
            hint,
            no_new,
            admin,
        };
        self.apply(self.now, key, says)
    }

    /// Lets time pass. Says whether [`desired`](Self::desired) has changed.
    pub fn tick(&mut self, now: Timestamp) -> bool {
        self.now = self.now.max(now);
        self.step()
    }

    /// When [`desired`](Self::desired) may change although nothing is said: the time for the next
    /// [`tick`](Self::tick). Always in the future.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let gate = self.gate.next_deadline(self.now);
        let ramp = self
            .slow_start
            .zip(self.gate.back_since())
            .and_then(|(slow_start, since)| {
                let elapsed = self.now.saturating_sub(since);
                Some(since.saturating_add(slow_start.next_step(elapsed)?))
            });
        let deadlines = [gate, ramp].into_iter().flatten();
        deadlines.filter(|deadline| *deadline > self.now).min()
    }

    /// The checks.
    pub fn members(&self) -> impl Iterator<Item = (&K, &Member)> {
        self.members.iter().map(|(key, member)| (key, member))
    }

    /// The votes of sources that are no checks.
    pub fn votes(&self) -> impl Iterator<Item = (Source, AdminHint)> {
        self.votes.iter()
    }

    /// The strongest vote; [`AdminHint::Ready`] without any.
    #[must_use]
    pub fn admin(&self) -> AdminHint {
        let checks = self.counting().filter_map(|member| member.says.admin);
        let others = self.votes.iter().map(|(_, vote)| vote);
        checks.chain(others).max().unwrap_or(AdminHint::Ready)
    }

    /// The health of the destination, damping and least times included.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.gate.shown(self.now).0
    }

    /// What the checks say about the health, before damping and least times. Without required
    /// checks and agents it is up.
    #[must_use]
    pub fn checked(&self) -> Standing {
        self.judged(Member::standing)
    }

    /// Whether it is out for having been down too often.
    #[must_use]
    pub fn is_suppressed(&self) -> bool {
        self.gate.is_suppressed(self.now)
    }

    /// The [penalty](Damping) it has earned by going down; 0 without damping.
    #[must_use]
    pub fn penalty(&self) -> f64 {
        self.gate.penalty(self.now)
    }

    /// What checks with this standing amount to.
    fn judged(&self, standing: impl Fn(&Member) -> Standing) -> Standing {
        let objected = |(_, member): &(K, Member)| {
            member.role == Role::Agent && member.says.health == Health::Down
        };
        if self.members.iter().any(objected) {
            return Standing::Down;
        }
        let (mut up, mut hold, mut all) = (0_u32, 0_u32, 0_u32);
        for (_, member) in self
            .members
            .iter()
            .filter(|(_, member)| member.role == Role::Required)
        {
            all = all.saturating_add(1);
            match standing(member) {
                Standing::Up => up = up.saturating_add(1),
                Standing::Hold => hold = hold.saturating_add(1),
                Standing::Down => {}
            }
        }
        let needed = match self.rule {
            Rule::All => all,
            Rule::Any => all.min(1),
            Rule::AtLeast(count) => count.min(all),
        };
        if up >= needed {
            Standing::Up
        } else if up.saturating_add(hold) >= needed {
            Standing::Hold
        } else {
            Standing::Down
        }
    }

    /// Checks whose hints and votes count.
    fn counting(&self) -> impl Iterator<Item = &Member> {
        let members = self.members.iter().map(|(_, member)| member);
        members.filter(|member| member.role != Role::Info)
    }

    /// The weight it has or would have while up, hints included: before scale and slow start, which
    /// is what a quorum counts.
    #[must_use]
    pub fn weight(&self) -> u32 {
        if self.asks_no_new() {
            return 0;
        }
        let mut hints: Vec<_> = self
            .counting()
            .filter_map(|member| Some((member.changed, member.says.hint?)))
            .collect();
        hints.sort_by_key(|(changed, _)| *changed);
        let base = self.operator.unwrap_or(self.base);
        self.combine
            .weight(base, hints.into_iter().map(|(_, hint)| hint))
    }

    /// What it adds to a quorum: its [weight](Self::weight) if it is up and nobody drains it or
    /// puts it out of service, else 0.
    #[must_use]
    pub fn quorum_weight(&self) -> u32 {
        let counts = self.admin() == AdminHint::Ready && self.standing() == Standing::Up;
        if counts { self.weight() } else { 0 }
    }

    /// The weight for the kernel while up, scale and slow start included.
    #[must_use]
    pub fn kernel_weight(&self) -> u32 {
        let full = self.weight().saturating_mul(self.scale).min(MAX_WEIGHT);
        match (self.slow_start, self.gate.back_since()) {
            (Some(slow_start), Some(since)) => {
                slow_start.weight(full, self.now.saturating_sub(since))
            }
            _ => full,
        }
    }

    /// What the kernel's table should hold.
    #[must_use]
    pub fn desired(&self) -> Desired {
        match self.reason() {
            Reason::Maint
            | Reason::Suppressed
            | Reason::MinDownTime
            | Reason::Down
            | Reason::Unknown => match self.removal {
                Removal::Remove => Desired::Absent,
                Removal::Inhibit | Removal::DrainThenRemove { .. } => {
                    Desired::Present { weight: 0 }
                }
            },
            Reason::Drain | Reason::NoNew => Desired::Present { weight: 0 },
            Reason::Adopted => self.adopted,
            Reason::SlowStart | Reason::MinUpTime | Reason::Up => Desired::Present {
                weight: self.kernel_weight(),
            },
        }
    }

    /// Why: the first rule that applies.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self.admin() {
            AdminHint::Maint => return Reason::Maint,
            AdminHint::Drain => return Reason::Drain,
            AdminHint::Ready => {}
        }
        let (standing, reason) = self.gate.shown(self.now);
        if standing != Standing::Up {
            return reason;
        }
        let ramp = || {
            let since = self.gate.back_since()?;
            self.slow_start?.next_step(self.now.saturating_sub(since))
        };
        if self.asks_no_new() {
            Reason::NoNew
        } else if ramp().is_some() {
            Reason::SlowStart
        } else {
            reason
        }
    }

    /// Brings everything that has a memory up to now.
    fn step(&mut self) -> bool {
        let checked = self.checked();
        let proven = checked == self.judged(|member| member.standing_as(UnknownAs::Up));
        self.gate.step(self.now, checked, proven);
        let before = self.last;
        self.last = self.desired();
        self.last != before
    }
}

#[cfg(test)]
mod tests;
