//! Random operations, and what fuzzing has found.

use proptest::collection::vec;
use proptest::prelude::*;

use super::fuzzed::check;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_operations_pick_as_the_rules_say(bytes in vec(any::<u8>(), 0..900)) {
        check(&bytes);
    }

    /// Few servers, many connections, one algorithm: what random bytes seldom do for long.
    #[test]
    fn long_runs_of_one_algorithm_pick_as_the_rules_say(
        head in any::<[u8; 4]>(),
        servers in vec(any::<[u8; 5]>(), 1..6),
        steps in vec((prop::sample::select(&[3_u8, 8, 11, 11, 11, 14, 15, 15][..]), any::<[u8; 4]>()), 0..150),
    ) {
        let mut bytes = head.to_vec();
        bytes.push(0);
        for server in servers {
            bytes.push(0);
            bytes.extend(server);
        }
        for (operation, rest) in steps {
            bytes.push(operation);
            bytes.extend(rest);
        }
        check(&bytes);
    }
}
