//! From the checks of one destination to what the kernel's table should hold for it.
//!
//! An [`Aggregate`] belongs to one destination. It is fed the [`Report`](crate::Report)s of the
//! destination's checks and answers with one [`Desired`] entry. `K` is whatever names a check,
//! usually [`CheckId`](crate::CheckId).
//!
//! ```
//! use lvs_healthcheck::WeightHint;
//! use lvs_healthcheck::aggregate::{Aggregate, Combine, Desired, Member, UnknownAs};
//! use lvs_healthcheck::policy::Health;
//!
//! let mut server = Aggregate::new(5).with_combine(Combine::Additive);
//! server.insert("tcp", Member::required(UnknownAs::Up));
//! server.insert("load", Member::required(UnknownAs::Up));
//! assert_eq!(server.desired(), Desired::Present { weight: 5 });
//!
//! server.update(&"load", Health::Up, Some(WeightHint::Absolute(8)), false);
//! assert_eq!(server.desired(), Desired::Present { weight: 8 });
//! server.update(&"tcp", Health::Down, None, false);
//! assert_eq!(server.desired(), Desired::Absent);
//! ```

mod carry;
mod weight;

use core::time::Duration;

pub use self::weight::{Combine, MAX_WEIGHT};
use crate::outcome::WeightHint;
use crate::policy::Health;

/// What the kernel's table should hold for a destination.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Desired {
    /// No entry.
    Absent,
    /// An entry.
    Present {
        /// 0 means no new connections; at most [`MAX_WEIGHT`].
        weight: u32,
    },
}

/// What a check is for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Role {
    /// Decides about health, and its weight hints count.
    Required,
    /// Only its weight hints count; its failures take nothing down.
    Advisory,
    /// Only for people to look at.
    Info,
}

/// What a check counts as before its first verdict.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum UnknownAs {
    /// Up; keepalived without `alpha`.
    Up,
    /// Down; keepalived with `alpha`.
    Down,
    /// Neither: the entry stays as it was [adopted](Aggregate::with_adopted).
    Hold,
}

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

/// What becomes of a destination that is down.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Removal {
    /// It leaves the table. The default.
    Remove,
    /// It stays with weight 0; keepalived's `inhibit_on_failure`.
    Inhibit,
    /// It stays with weight 0 until its connections are over, at most that long, and then leaves.
    /// Counting the time is for a pool; an aggregate alone leaves it at weight 0.
    DrainThenRemove {
        /// The longest drain; `None` for no limit.
        limit: Option<Duration>,
    },
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

/// One check's part in its destination.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Member {
    role: Role,
    unknown: UnknownAs,
    health: Health,
    hint: Option<WeightHint>,
    no_new: bool,
}

impl Member {
    /// A check with a role; nothing is known from it yet.
    #[must_use]
    pub const fn new(role: Role, unknown: UnknownAs) -> Self {
        Self {
            role,
            unknown,
            health: Health::Unknown,
            hint: None,
            no_new: false,
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
        self.health
    }

    /// What it contributes to the destination's health when no verdict counts as told.
    const fn standing(&self, unknown: UnknownAs) -> Standing {
        match (self.health, unknown) {
            (Health::Up, _) | (Health::Unknown, UnknownAs::Up) => Standing::Up,
            (Health::Down, _) | (Health::Unknown, UnknownAs::Down) => Standing::Down,
            (Health::Unknown, UnknownAs::Hold) => Standing::Hold,
        }
    }
}

/// All checks of one destination.
#[derive(Clone, Debug)]
pub struct Aggregate<K> {
    base: u32,
    rule: Rule,
    combine: Combine,
    removal: Removal,
    adopted: Desired,
    members: Vec<(K, Member)>,
}

impl<K: PartialEq> Aggregate<K> {
    /// A destination with a configured weight and no checks: always up.
    ///
    /// Weights above [`MAX_WEIGHT`] count as that.
    #[must_use]
    pub const fn new(weight: u32) -> Self {
        Self {
            base: weight,
            rule: Rule::All,
            combine: Combine::Min,
            removal: Removal::Remove,
            adopted: Desired::Absent,
            members: Vec::new(),
        }
    }

    /// How required checks make up health. Default [`Rule::All`].
    #[must_use]
    pub fn with_rule(mut self, rule: Rule) -> Self {
        self.rule = rule;
        self
    }

    /// How weight hints combine. Default [`Combine::Min`]; keepalived's way is
    /// [`Combine::Additive`].
    #[must_use]
    pub fn with_combine(mut self, combine: Combine) -> Self {
        self.combine = combine;
        self
    }

    /// What becomes of it while down. Default [`Removal::Remove`].
    #[must_use]
    pub fn with_removal(mut self, removal: Removal) -> Self {
        self.removal = removal;
        self
    }

    /// What the kernel's table held when this started; stays until checks that
    /// [hold](UnknownAs::Hold) have decided. Default [`Desired::Absent`].
    #[must_use]
    pub fn with_adopted(mut self, adopted: Desired) -> Self {
        self.adopted = adopted;
        self
    }

    /// Replaces the configured weight.
    pub fn set_weight(&mut self, weight: u32) {
        self.base = weight;
    }

    /// Adds a check, or replaces the one of that name.
    pub fn insert(&mut self, key: K, member: Member) {
        self.remove(&key);
        self.members.push((key, member));
    }

    /// Removes a check; says whether there was one.
    pub fn remove(&mut self, key: &K) -> bool {
        let before = self.members.len();
        self.members.retain(|(other, _)| other != key);
        self.members.len() != before
    }

    /// Takes over what a check now says: the fields of that name in a
    /// [`Report`](crate::Report). Says whether [`desired`](Self::desired) has changed; a name that
    /// was never inserted changes nothing.
    pub fn update(
        &mut self,
        key: &K,
        health: Health,
        hint: Option<WeightHint>,
        no_new: bool,
    ) -> bool {
        let before = self.desired();
        if let Some((_, member)) = self.members.iter_mut().find(|(other, _)| other == key) {
            member.health = health;
            member.hint = hint;
            member.no_new = no_new;
        }
        self.desired() != before
    }

    /// The checks.
    pub fn members(&self) -> impl Iterator<Item = (&K, &Member)> {
        self.members.iter().map(|(key, member)| (key, member))
    }

    /// The health of the destination. Without required checks it is up.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing_with(|unknown| unknown)
    }

    /// The weight it has or would have while up, hints included.
    #[must_use]
    pub fn weight(&self) -> u32 {
        let counting = || {
            self.members
                .iter()
                .filter(|(_, member)| member.role != Role::Info)
        };
        if counting().any(|(_, member)| member.no_new) {
            return 0;
        }
        self.combine
            .weight(self.base, counting().filter_map(|(_, member)| member.hint))
    }

    /// What the kernel's table should hold.
    #[must_use]
    pub fn desired(&self) -> Desired {
        match (self.standing(), self.removal) {
            (Standing::Up, _) => Desired::Present {
                weight: self.weight(),
            },
            (Standing::Hold, _) => self.adopted,
            (Standing::Down, Removal::Remove) => Desired::Absent,
            (Standing::Down, Removal::Inhibit | Removal::DrainThenRemove { .. }) => {
                Desired::Present { weight: 0 }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rule: Rule, members: &[(Health, UnknownAs)]) -> Standing {
        let mut server = Aggregate::new(1).with_rule(rule);
        for (key, (health, unknown)) in members.iter().enumerate() {
            server.insert(key, Member::required(*unknown));
            server.update(&key, *health, None, false);
        }
        server.standing()
    }

    const UP: (Health, UnknownAs) = (Health::Up, UnknownAs::Down);
    const DOWN: (Health, UnknownAs) = (Health::Down, UnknownAs::Up);
    const NEW: (Health, UnknownAs) = (Health::Unknown, UnknownAs::Up);
    const ALPHA: (Health, UnknownAs) = (Health::Unknown, UnknownAs::Down);
    const HOLD: (Health, UnknownAs) = (Health::Unknown, UnknownAs::Hold);

    #[test]
    fn rules_decide_with_unknown_as_up_down_or_hold() {
        use Standing as S;
        let rows: [(Rule, &[_], S); 20] = [
            (Rule::All, &[], S::Up),
            (Rule::All, &[UP, UP], S::Up),
            (Rule::All, &[UP, DOWN], S::Down),
            (Rule::All, &[NEW], S::Up),
            (Rule::All, &[ALPHA], S::Down),
            (Rule::All, &[UP, ALPHA], S::Down),
            (Rule::All, &[UP, HOLD], S::Hold),
            (Rule::All, &[DOWN, HOLD], S::Down),
            (Rule::Any, &[], S::Up),
            (Rule::Any, &[UP, DOWN], S::Up),
            (Rule::Any, &[DOWN, DOWN], S::Down),
            (Rule::Any, &[DOWN, HOLD], S::Hold),
            (Rule::Any, &[UP, HOLD], S::Up),
            (Rule::AtLeast(2), &[UP, UP, DOWN], S::Up),
            (Rule::AtLeast(2), &[UP, DOWN, DOWN], S::Down),
            (Rule::AtLeast(2), &[UP, HOLD, DOWN], S::Hold),
            (Rule::AtLeast(2), &[HOLD, DOWN, DOWN], S::Down),
            (Rule::AtLeast(9), &[UP, UP], S::Up),
            (Rule::AtLeast(0), &[DOWN], S::Up),
            (Rule::AtLeast(2), &[], S::Up),
        ];
        for (rule, members, expected) in rows {
            assert_eq!(of(rule, members), expected, "{rule:?} {members:?}");
        }
    }

    #[test]
    fn advisory_checks_give_weight_only_and_info_checks_nothing() {
        let mut server = Aggregate::new(10);
        server.insert("load", Member::new(Role::Advisory, UnknownAs::Down));
        server.insert("look", Member::new(Role::Info, UnknownAs::Down));
        server.update(&"load", Health::Down, None, false);
        server.update(&"look", Health::Down, Some(WeightHint::Absolute(0)), true);
        assert_eq!(server.desired(), Desired::Present { weight: 10 });
        server.update(&"load", Health::Up, Some(WeightHint::Percent(50)), false);
        assert_eq!(server.desired(), Desired::Present { weight: 5 });
    }

    #[test]
    fn inhibit_keeps_a_destination_that_is_down_with_weight_0() {
        let mut server = Aggregate::new(10).with_removal(Removal::Inhibit);
        server.insert(1, Member::required(UnknownAs::Down));
        assert_eq!(server.desired(), Desired::Present { weight: 0 });
        assert!(server.update(&1, Health::Up, None, false));
        assert_eq!(server.desired(), Desired::Present { weight: 10 });
    }

    #[test]
    fn conditional_pass_stays_in_the_table_without_new_connections() {
        let mut server = Aggregate::new(10);
        server.insert(1, Member::required(UnknownAs::Up));
        assert!(server.update(&1, Health::Up, None, true));
        assert_eq!(server.desired(), Desired::Present { weight: 0 });
    }

    #[test]
    fn held_destination_stays_as_adopted_until_the_first_verdict() {
        let adopted = Desired::Present { weight: 3 };
        let mut server = Aggregate::new(10).with_adopted(adopted);
        server.insert(1, Member::required(UnknownAs::Hold));
        assert_eq!(server.desired(), adopted);
        server.update(&1, Health::Up, None, false);
        assert_eq!(server.desired(), Desired::Present { weight: 10 });
    }

    #[test]
    fn hint_of_one_check_waits_while_another_keeps_the_destination_down() {
        let mut server = Aggregate::new(10).with_combine(Combine::Additive);
        server.insert("a", Member::required(UnknownAs::Up));
        server.insert("b", Member::required(UnknownAs::Up));
        server.update(&"a", Health::Down, None, false);
        assert!(!server.update(&"b", Health::Up, Some(WeightHint::Absolute(4)), false));
        assert!(server.update(&"a", Health::Up, None, false));
        assert_eq!(server.desired(), Desired::Present { weight: 4 });
    }

    #[test]
    fn unknown_names_and_equal_updates_change_nothing() {
        let mut server = Aggregate::new(10);
        server.insert(1, Member::required(UnknownAs::Up));
        assert!(!server.update(&2, Health::Down, None, false));
        assert!(!server.update(&1, Health::Up, None, false));
        assert!(server.update(&1, Health::Down, None, false));
        assert!(server.remove(&1) && !server.remove(&1));
        assert_eq!(server.desired(), Desired::Present { weight: 10 });
    }
}
