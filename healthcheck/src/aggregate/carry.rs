//! What a pool reads from an aggregate, and what survives a new configuration.

use super::{Aggregate, Desired, Member, Removal, Role, Rule, Standing, UnknownAs};
use crate::policy::Health;

impl<K: PartialEq> Aggregate<K> {
    /// The configured weight.
    #[must_use]
    pub const fn base(&self) -> u32 {
        self.base
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
        let counting = |member: &Member| member.role != Role::Info && member.no_new;
        self.members.iter().any(|(_, member)| counting(member))
    }

    /// Whether required checks without a verdict could still decide about its health.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        self.standing_with(|_| UnknownAs::Hold) == Standing::Hold
    }

    /// The health of the destination when checks without a verdict count as told.
    pub(super) fn standing_with(&self, unknown: impl Fn(UnknownAs) -> UnknownAs) -> Standing {
        let (mut up, mut hold, mut all) = (0_u32, 0_u32, 0_u32);
        for (_, member) in self
            .members
            .iter()
            .filter(|(_, member)| member.role == Role::Required)
        {
            all = all.saturating_add(1);
            match member.standing(unknown(member.unknown)) {
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

    /// Takes over what the checks of the same names last said in `old`, the same destination before
    /// a new configuration. Checks that are new count as what the destination was, up or down,
    /// until they have said something themselves: a check that is only added takes nothing down.
    pub fn carry(&mut self, old: &Self) {
        let carried = match old.standing() {
            Standing::Up => UnknownAs::Up,
            Standing::Down => UnknownAs::Down,
            Standing::Hold => UnknownAs::Hold,
        };
        for (key, member) in &mut self.members {
            match old.members.iter().find(|(other, _)| other == key) {
                Some((_, said)) if said.health != Health::Unknown => {
                    member.health = said.health;
                    member.hint = said.hint;
                    member.no_new = said.no_new;
                }
                _ => member.unknown = carried,
            }
        }
    }

    /// Forgets what all checks said, as if they had never run.
    pub fn forget(&mut self) {
        for (_, member) in &mut self.members {
            member.health = Health::Unknown;
            member.hint = None;
            member.no_new = false;
        }
    }
}

#[cfg(test)]
mod tests {
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
