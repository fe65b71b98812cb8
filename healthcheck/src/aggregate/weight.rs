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
    /// The largest of the weights the hints ask for. A configured weight of 0 stays 0.
    Max,
    /// The product of the shares of the configured weight that the hints ask for, rounded up so
    /// that only a share of 0 makes 0. A configured weight of 0 stays 0.
    Product,
    /// What the last of the hints asks for: the one that changed last. A configured weight of 0
    /// stays 0.
    Last,
}

impl Combine {
    /// The weight, between 0 and [`MAX_WEIGHT`]. Without hints it is the configured one.
    ///
    /// Only [`Last`](Self::Last) takes the order of the hints into account.
    ///
    /// ```
    /// use lvs_healthcheck::WeightHint;
    /// use lvs_healthcheck::aggregate::Combine;
    ///
    /// let hints = [WeightHint::Percent(50), WeightHint::Absolute(8)];
    /// let weight = |combine: Combine| combine.weight(10, hints.into_iter());
    /// assert_eq!(weight(Combine::Min), 5);
    /// assert_eq!(weight(Combine::Additive), 3);
    /// assert_eq!(weight(Combine::Max), 8);
    /// assert_eq!(weight(Combine::Product), 4);
    /// assert_eq!(weight(Combine::Last), 8);
    /// ```
    #[must_use]
    pub fn weight(self, base: u32, hints: impl Iterator<Item = WeightHint>) -> u32 {
        let base = i64::from(base.min(MAX_WEIGHT));
        let wanted = hints.map(|hint| match hint {
            WeightHint::Absolute(weight) => i64::from(weight),
            WeightHint::Percent(percent) => share(base, percent),
            WeightHint::Delta(delta) => base.saturating_add(delta),
        });
        let weight = match self {
            Self::Min | Self::Max | Self::Product | Self::Last if base == 0 => 0,
            Self::Min => wanted.min().unwrap_or(base),
            Self::Max => wanted.max().unwrap_or(base),
            Self::Product => product(base, wanted),
            Self::Last => wanted.last().unwrap_or(base),
            Self::Additive => wanted.fold(base, |sum, weight| {
                sum.saturating_add(weight.saturating_sub(base))
            }),
        };
        u32::try_from(weight.max(0))
            .unwrap_or(MAX_WEIGHT)
            .min(MAX_WEIGHT)
    }
}

/// The base times `weight / base` for each weight, rounded up.
fn product(base: i64, weights: impl Iterator<Item = i64>) -> i64 {
    let limit = i64::from(MAX_WEIGHT);
    let mut weights: Vec<i64> = weights.map(|weight| weight.clamp(0, limit)).collect();
    if weights.contains(&0) {
        return 0;
    }
    // In order of size, so that the result does not depend on the order of the hints and the limit
    // bites only where the whole product is over it.
    weights.sort_unstable();
    // 32 bits after the point: at most 2⁶³ before each step, 2⁹⁴ within it.
    let one = 1_i128 << 32;
    let limit = i128::from(limit).saturating_mul(one);
    let product = weights
        .iter()
        .fold(i128::from(base).saturating_mul(one), |product, weight| {
            let next = product.saturating_mul(i128::from(*weight));
            next.checked_div(i128::from(base)).unwrap_or(0).min(limit)
        });
    let whole = product.saturating_add(one).saturating_sub(1) >> 32;
    i64::try_from(whole).unwrap_or(i64::MAX).max(1)
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

    #[test]
    fn max_takes_the_largest_share() {
        let max = |base, hints: &[_]| weight(Combine::Max, base, hints);
        assert_eq!(max(5, &[]), 5);
        assert_eq!(max(5, &[Absolute(2), Percent(20)]), 2);
        assert_eq!(max(5, &[Absolute(0), Percent(200)]), 10);
        assert_eq!(max(0, &[Absolute(20)]), 0);
    }

    #[test]
    fn product_multiplies_shares() {
        let product = |base, hints: &[_]| weight(Combine::Product, base, hints);
        assert_eq!(product(10, &[]), 10);
        assert_eq!(
            product(10, &[Percent(50), Percent(50)]),
            3,
            "2.5 rounded up"
        );
        assert_eq!(product(10, &[Absolute(5), Absolute(4)]), 2);
        assert_eq!(product(10, &[Percent(300), Percent(50)]), 15);
        assert_eq!(product(10, &[Absolute(5), Absolute(0)]), 0);
        assert_eq!(product(1000, &[Absolute(1); 5]), 1, "not 0");
        assert_eq!(product(1, &[Absolute(MAX_WEIGHT); 5]), MAX_WEIGHT);
        assert_eq!(product(2, &[Absolute(MAX_WEIGHT), Absolute(1)]), 1 << 30);
        assert_eq!(product(0, &[Absolute(20)]), 0);
    }

    #[test]
    fn last_takes_the_last_one() {
        let last = |base, hints: &[_]| weight(Combine::Last, base, hints);
        assert_eq!(last(5, &[]), 5);
        assert_eq!(last(5, &[Absolute(2), Percent(20)]), 1);
        assert_eq!(last(5, &[Percent(20), Absolute(2)]), 2);
        assert_eq!(last(0, &[Absolute(20)]), 0);
    }

    #[test]
    fn zero_quiesces_except_where_the_largest_counts() {
        for (combine, expected) in [
            (Combine::Min, 0),
            (Combine::Additive, 2),
            (Combine::Max, 7),
            (Combine::Product, 0),
            (Combine::Last, 0),
        ] {
            assert_eq!(weight(combine, 5, &[Absolute(7), Percent(0)]), expected);
        }
    }

    const ALL: [Combine; 5] = [
        Combine::Min,
        Combine::Additive,
        Combine::Max,
        Combine::Product,
        Combine::Last,
    ];

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
            for combine in ALL {
                prop_assert!(weight(combine, base, &hints) <= MAX_WEIGHT);
            }
        }

        #[test]
        fn order_of_hints_does_not_matter(
            base in 0_u32..1000, hints in proptest::collection::vec(0_u32..1000, 0..5),
        ) {
            let mut hints: Vec<_> = hints.into_iter().map(Absolute).collect();
            for combine in [Combine::Min, Combine::Additive, Combine::Max, Combine::Product] {
                let forward = weight(combine, base, &hints);
                hints.reverse();
                prop_assert_eq!(weight(combine, base, &hints), forward);
            }
        }
    }
}
