//! Random numbers that are the same for the same seed, on every machine and in every version.

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub(super) struct Draw {
    state: u64,
}

impl Draw {
    pub(super) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A number from 0 to `highest` inclusive. The odds of two numbers differ by less than 2⁻³².
    pub(super) fn up_to(&mut self, highest: u32) -> u32 {
        let numbers = u128::from(highest) + 1;
        let scaled = (u128::from(self.next()) * numbers) >> 64;
        u32::try_from(scaled).unwrap_or(highest)
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The generator's published first outputs for seed 1234567.
    #[test]
    fn outputs_are_the_published_ones() {
        let mut draw = Draw::new(1_234_567);
        let outputs = [draw.next(), draw.next(), draw.next()];
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(outputs, published);
    }

    #[test]
    fn every_number_up_to_the_bound_comes_and_none_above() {
        let mut draw = Draw::new(0);
        let mut seen = [0_u32; 4];
        for _ in 0..4000 {
            seen[usize::try_from(draw.up_to(3)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|n| (900..1100).contains(n)), "{seen:?}");
        assert_eq!(draw.up_to(0), 0);
        assert!((0..100).any(|_| draw.up_to(u32::MAX) > u32::MAX / 2));
    }
}
