//! Random histories.

use lvs_healthcheck::CheckId;
use lvs_healthcheck::pool::{Batch, Explanation, Pool, Settings};
use proptest::prelude::*;

use super::fuzzed;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn pools_keep_the_rules_whatever_happens(bytes in proptest::collection::vec(any::<u8>(), 0..900)) {
        fuzzed::check(&bytes);
    }
}

#[test]
fn pools_keep_the_rules_in_every_history_of_the_corpus() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/check_pool");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        fuzzed::check(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "{folder} is empty");
}

#[test]
fn pools_can_be_sent_and_shared() {
    fn check<T: Send + Sync>() {}
    check::<Pool<&'static str, CheckId>>();
    check::<Settings<&'static str>>();
    check::<Batch<&'static str>>();
    check::<Explanation<&'static str, CheckId>>();
}
