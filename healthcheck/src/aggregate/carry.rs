//! What a pool reads from an aggregate, and what survives a new configuration.

use super::{Aggregate, Contribution, Desired, Reason, Removal, Source, Standing, UnknownAs};
use crate::policy::Health;

impl<K: PartialEq> Aggregate<K> {
    /// The configured weight.
    #[must_use]
    pub const fn base(&self) -> u32 {
        self.base
    }

    /// The operator's weight in place of it.
    #[must_use]
    pub const fn operator(&self) -> Option<u32> {
        self.operator
    }

    /// What its weights are multiplied by for the kernel.
    #[must_use]
    pub const fn scale(&self) -> u32 {
        self.scale
    }

    /// Why its health is what it is, votes left aside.
    pub(crate) fn health_reason(&self) -> Reason {
        self.gate.shown(self.now).1
    }

    /// What becomes of it while down.
    #[must_use]
    pub const fn removal(&self) -> Removal {
        self.removal
    }

    /// What the kernel's table held when this started.
    #[must_use]
    pub const fn adopted(&self) -> Desired {
        self.adopted
    }

    /// Whether a check asks for no new connections.
    #[must_use]
    pub fn asks_no_new(&self) -> bool {
        self.counting().any(|member| member.says.no_new)
    }

    /// Whether required checks without a verdict could still decide about its health.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        self.judged(|member| member.standing_as(UnknownAs::Hold)) == Standing::Hold
    }

    /// Takes over what the checks of the same names last said in `old`, the same destination before
    /// a new configuration, and what it has a memory of: votes (the configuration's own excepted),
    /// an operator's weight, penalties, a slow start that is under way. Checks that are new count
    /// as what the destination was, up or down, until they have said something themselves: a check
    /// that is only added takes nothing down.
    pub fn carry(&mut self, old: &Self) {
        let carried = match old.checked() {
            Standing::Up => UnknownAs::Up,
            Standing::Down => UnknownAs::Down,
            Standing::Hold => UnknownAs::Hold,
        };
        for (key, member) in &mut self.members {
            match old.members.iter().find(|(other, _)| other == key) {
                Some((_, said)) => {
                    member.says = said.says;
                    member.changed = said.changed;
                    if said.health() == Health::Unknown {
                        member.unknown = carried;
                    }
                }
                None => member.unknown = carried,
            }
        }
        for (source, vote) in old.votes.iter() {
            let has_own = self.votes.iter().any(|(own, _)| own == source);
            if source != Source::Config && !has_own {
                self.votes.set(source, Some(vote));
            }
        }
        self.operator = self.operator.or(old.operator);
        self.gate.carry(&old.gate);
        self.changes = old.changes;
        self.now = self.now.max(old.now);
        self.last = old.last;
        self.step();
    }

    /// Forgets what all checks said about health and weight, as if they had never run. Votes stay.
    pub fn forget(&mut self) {
        for (_, member) in &mut self.members {
            let admin = member.says.admin;
            member.says = Contribution {
                admin,
                ..Contribution::new(Health::Unknown)
            };
        }
        self.step();
    }
}

#[cfg(test)]
mod tests {
    use super::super::Member;
    use super::*;
    use crate::outcome::WeightHint;

    #[test]
    fn checks_of_the_same_name_go_on_and_new_ones_count_as_the_destination_was() {
        for (health, expected) in [
            (Health::Up, Desired::Present { weight: 5 }),
            (Health::Down, Desired::Absent),
        ] {
            let mut old = Aggregate::new(10);
            old.insert("tcp", Member::required(UnknownAs::Up));
            old.update(&"tcp", health, Some(WeightHint::Percent(50)), false);
            let mut new = Aggregate::new(10);
            new.insert("http", Member::required(UnknownAs::Down));
            new.insert("tcp", Member::required(UnknownAs::Down));
            new.carry(&old);
            assert_eq!(new.desired(), expected, "{health}");
        }
    }

    #[test]
    fn undecided_until_the_verdicts_left_open_cannot_matter() {
        let mut server = Aggregate::new(1);
        assert!(!server.is_undecided(), "without checks");
        server.insert(1, Member::required(UnknownAs::Up));
        server.insert(2, Member::required(UnknownAs::Down));
        assert!(server.is_undecided());
        server.update(&1, Health::Up, None, false);
        assert!(server.is_undecided());
        server.update(&1, Health::Down, None, false);
        assert!(!server.is_undecided(), "one down is enough");
        server.forget();
        assert!(server.is_undecided());
    }
}
