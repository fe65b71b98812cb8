//! The numbers of slots of mh, and remainders by them without a division.

/// A number of slots, with its reciprocal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Modulus {
    divisor: u32,
    /// 2^64 / `divisor`, rounded up.
    reciprocal: u64,
}

/// The highest prime below 2^8, 2^9, … 2^17: what `CONFIG_IP_VS_MH_TAB_INDEX` 8 to 17 selects.
const PRIMES: [u32; 10] = [
    251, 509, 1021, 2039, 4093, 8191, 16_381, 32_749, 65_521, 131_071,
];

impl Modulus {
    /// Remainders by `divisor`, which is at least 2.
    pub(crate) const fn new(divisor: u32) -> Self {
        let divisor = if divisor < 2 { 2 } else { divisor };
        Self {
            divisor,
            reciprocal: u64::MAX / divisor as u64 + 1,
        }
    }

    /// The prime number of slots for a table index: 8 to 17, values outside count as the nearest.
    pub(crate) fn prime(table_index: u8) -> Self {
        let [.., last] = PRIMES;
        let position = usize::from(table_index.saturating_sub(8));
        let prime = PRIMES.get(position).copied().unwrap_or(last);
        Self::new(prime)
    }

    pub(crate) const fn divisor(self) -> u32 {
        self.divisor
    }

    /// The remainder of any `value`. Exact because the reciprocal has 64 bits for operands of 32:
    /// Lemire, Kaser and Kurz, "Faster remainder by direct computation" (2019).
    #[inline]
    pub(crate) const fn remainder(self, value: u32) -> u32 {
        // The fraction that value / divisor leaves, in units of 2^-64.
        let fraction = self.reciprocal.wrapping_mul(value as u64);
        ((fraction as u128 * self.divisor as u128) >> 64) as u32
    }

    /// (`a` + `b`) mod the divisor, for two remainders.
    #[inline]
    pub(crate) const fn add(self, a: u32, b: u32) -> u32 {
        let sum = a + b;
        if sum >= self.divisor {
            sum - self.divisor
        } else {
            sum
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn table_indices_select_primes() {
        for (index, prime) in (8..).zip(PRIMES) {
            assert_eq!(Modulus::prime(index).divisor(), prime);
            let is_prime = |n: u32| (2..n).take_while(|d| d * d <= n).all(|d| n % d != 0);
            let below = 1 << index;
            assert_eq!(
                (prime..below).filter(|&n| is_prime(n)).count(),
                1,
                "{prime}"
            );
            assert!(is_prime(prime));
        }
        assert_eq!(Modulus::prime(0).divisor(), 251);
        assert_eq!(Modulus::prime(18).divisor(), 131_071);
        assert_eq!(Modulus::prime(255).divisor(), 131_071);
    }

    /// The divisors in use: the primes, and the primes less one (for the skip).
    fn divisors() -> impl Iterator<Item = u32> {
        PRIMES.into_iter().flat_map(|prime| [prime, prime - 1])
    }

    #[test]
    fn remainders_at_the_edges_are_exact() {
        for divisor in divisors() {
            let modulus = Modulus::new(divisor);
            let last_multiple = u32::MAX - u32::MAX % divisor;
            for edge in [0, divisor, 2 * divisor, last_multiple, u32::MAX] {
                for value in [edge.wrapping_sub(1), edge, edge.wrapping_add(1)] {
                    assert_eq!(
                        modulus.remainder(value),
                        value % divisor,
                        "{value} {divisor}"
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn remainders_equal_the_operator(values in prop::collection::vec(any::<u32>(), 64)) {
            for divisor in divisors() {
                let modulus = Modulus::new(divisor);
                for &value in &values {
                    prop_assert_eq!(modulus.remainder(value), value % divisor);
                }
            }
        }

        #[test]
        fn sums_equal_the_operator(a in 0..131_071_u32, b in 0..131_071_u32) {
            for divisor in divisors() {
                let (a, b) = (a % divisor, b % divisor);
                prop_assert_eq!(Modulus::new(divisor).add(a, b), (a + b) % divisor);
            }
        }
    }
}
