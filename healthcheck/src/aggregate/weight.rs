//! How the weight hints of several checks make one weight.

use crate::outcome::WeightHint;

/// The largest weight this library sends to the kernel, which keeps weights as `int`.
pub const MAX_WEIGHT: u32 = i32::MAX.unsigned_abs();

/// How the weight hints of several checks combine with the configured weight.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Combine {
    /// The smallest of the weights the hints ask for. A configured weight of 0 stays 0.
    Min,
    /// keepalived's way: every hint is a difference to the configured weight, and the differences
    /// are added. So with weight 5, hints of 8 and 18 give 5 + 3 + 13 = 21, and neither "wins".
    Additive,
}

impl Combine {
    /// The weight, between 0 and [`MAX_WEIGHT`]. Without hints it is the configured one.
    #[must_use]
    pub fn weight(self, base: u32, hints: impl Iterator<Item = WeightHint>) -> u32 {
        let base = i64::from(base.min(MAX_WEIGHT));
        let wanted = hints.map(|hint| match hint {
            WeightHint::Absolute(weight) => i64::from(weight),
            WeightHint::Percent(percent) => share(base, percent),
            WeightHint::Delta(delta) => base.saturating_add(delta),
        });
        let weight = match self {
            Self::Min if base == 0 => 0,
            Self::Min => wanted.min().unwrap_or(base),
            Self::Additive => wanted.fold(base, |sum, weight| {
                sum.saturating_add(weight.saturating_sub(base))
            }),
        };
        u32::try_from(weight.max(0))
            .unwrap_or(MAX_WEIGHT)
            .min(MAX_WEIGHT)
    }
}

/// So many hundredths, rounded up so that only 0 % makes 0.
fn share(base: i64, percent: u32) -> i64 {
    base.saturating_mul(i64::from(percent)).saturating_add(99) / 100
}

#[cfg(test)]
mod tests {
    use WeightHint::{Absolute, Delta, Percent};
    use proptest::prelude::*;

    use super::*;

    fn weight(combine: Combine, base: u32, hints: &[WeightHint]) -> u32 {
        combine.weight(base, hints.iter().copied())
    }

    #[test]
    fn additive_adds_differences_as_keepalived_does() {
        let additive = |base, hints: &[_]| weight(Combine::Additive, base, hints);
        assert_eq!(additive(5, &[]), 5);
        assert_eq!(additive(5, &[Absolute(8), Absolute(18)]), 21);
        assert_eq!(additive(5, &[Absolute(0)]), 0);
        assert_eq!(additive(5, &[Absolute(0), Absolute(0)]), 0, "not below 0");
        assert_eq!(additive(5, &[Absolute(0), Absolute(6)]), 1);
        assert_eq!(additive(0, &[Absolute(7)]), 7);
        assert_eq!(additive(10, &[Delta(-3), Percent(50)]), 2);
        assert_eq!(additive(MAX_WEIGHT, &[Delta(1)]), MAX_WEIGHT);
        assert_eq!(additive(u32::MAX, &[]), MAX_WEIGHT);
    }

    #[test]
    fn min_takes_the_smallest_share() {
        let min = |base, hints: &[_]| weight(Combine::Min, base, hints);
        assert_eq!(min(5, &[]), 5);
        assert_eq!(min(5, &[Absolute(20), Absolute(10)]), 10);
        assert_eq!(min(5, &[Absolute(20), Percent(50)]), 3);
        assert_eq!(min(5, &[Percent(0)]), 0);
        assert_eq!(min(5, &[Percent(1)]), 1, "only 0 % quiesces");
        assert_eq!(min(0, &[Absolute(20)]), 0);
        assert_eq!(min(5, &[Delta(-9)]), 0);
    }

    fn hint() -> impl Strategy<Value = WeightHint> {
        prop_oneof![
            any::<u32>().prop_map(Absolute),
            any::<u32>().prop_map(Percent),
            any::<i64>().prop_map(Delta),
        ]
    }

    proptest! {
        #[test]
        fn weight_is_always_one_the_kernel_takes(
            base: u32, hints in proptest::collection::vec(hint(), 0..5),
        ) {
            for combine in [Combine::Min, Combine::Additive] {
                prop_assert!(weight(combine, base, &hints) <= MAX_WEIGHT);
            }
        }

        #[test]
        fn order_of_hints_does_not_matter(
            base in 0_u32..1000, hints in proptest::collection::vec(0_u32..1000, 0..5),
        ) {
            let mut hints: Vec<_> = hints.into_iter().map(Absolute).collect();
            for combine in [Combine::Min, Combine::Additive] {
                let forward = weight(combine, base, &hints);
                hints.reverse();
                prop_assert_eq!(weight(combine, base, &hints), forward);
            }
        }
    }
}
