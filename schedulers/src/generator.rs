//! Random numbers that are the same for the same seed, on every machine and in every version.

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub(crate) struct Generator {
    state: u64,
}

impl Generator {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A number from 0 to `highest` inclusive, each exactly as likely as the others.
    pub(crate) fn up_to(&mut self, highest: u32) -> u32 {
        let Some(count) = highest.checked_add(1) else {
            return self.high_half();
        };
        // The high half of a product maps 2^32 numbers onto `count`. The 2^32 mod `count` lowest
        // products, which would make some results likelier, are drawn again; all of those are below
        // `count`, so the remainder is seldom needed.
        loop {
            let product = u64::from(self.high_half()) * u64::from(count);
            let low = product as u32;
            if low >= count || low >= count.wrapping_neg() % count {
                return (product >> 32) as u32;
            }
        }
    }

    fn high_half(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }

    const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The generator's published first outputs for seed 1234567.
    #[test]
    fn outputs_are_the_published_ones() {
        let mut generator = Generator::new(1_234_567);
        let outputs = [generator.next(), generator.next(), generator.next()];
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(outputs, published);
    }

    #[test]
    fn every_number_up_to_the_bound_comes_and_none_above() {
        let mut generator = Generator::new(0);
        let mut seen = [0_u32; 4];
        for _ in 0..4000 {
            seen[usize::try_from(generator.up_to(3)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|n| (900..1100).contains(n)), "{seen:?}");
        assert_eq!(generator.up_to(0), 0);
        assert!((0..100).any(|_| generator.up_to(u32::MAX) > u32::MAX / 2));
    }
}
