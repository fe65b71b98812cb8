//! Random histories.

use proptest::prelude::*;

use super::fuzzed;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn pools_keep_the_rules_whatever_happens(bytes in proptest::collection::vec(any::<u8>(), 0..900)) {
        fuzzed::check(&bytes);
    }
}
