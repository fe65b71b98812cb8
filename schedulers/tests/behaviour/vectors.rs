//! The worked examples of the kernel's behaviour for rr and wrr, as observed on 6.1.176 and 7.2.7.
//!
//! Destinations are added in the order A, B, C; letters stand for them.

use lvs_schedulers::{Algorithm, Semantics};

use crate::support::Run;

/// rr: all weights 1, then B quiesced after the seventh pick.
#[test]
fn rr_rotates_from_the_newest_and_skips_quiesced() {
    let mut run = Run::new(Algorithm::Rr, &[1, 1, 1]);
    assert_eq!(run.picks(7), "CBACBAC");
    run.edit('B', 0);
    assert_eq!(run.picks(5), "ACACA");
}

/// rr: adding does not move the cursor; the new head is reached after the next wrap.
#[test]
fn rr_reaches_an_added_destination_after_the_wrap() {
    let mut run = Run::new(Algorithm::Rr, &[1, 1, 1]);
    assert_eq!(run.picks(2), "CB");
    run.add('D', 1);
    assert_eq!(run.picks(6), "ADCBAD");
}

/// rr: removing the cursor's destination makes its former successor next, wherever it was.
#[test]
fn rr_goes_on_with_the_successor_of_a_removed_destination() {
    for (before, removed, after) in [
        (1, 'C', "BABA"),
        (2, 'B', "ACAC"),
        (3, 'A', "CBCB"),
        (1, 'A', "BCBC"),
        (3, 'C', "BABA"),
    ] {
        let mut run = Run::new(Algorithm::Rr, &[1, 1, 1]);
        run.picks(before);
        run.remove(removed);
        assert_eq!(
            run.picks(4),
            after,
            "{removed} removed after {before} picks"
        );
    }
}

/// rr: the only destination is picked again and again, nobody if it is quiesced or gone.
#[test]
fn rr_may_pick_the_same_again_and_gives_up_when_none_is_left() {
    let mut run = Run::new(Algorithm::Rr, &[1]);
    assert_eq!(run.picks(3), "AAA");
    run.edit('A', 0);
    assert_eq!(run.picks(2), "--");
    run.edit('A', 1);
    assert_eq!(run.picks(1), "A");
    run.remove('A');
    assert_eq!(run.picks(2), "--");
    assert_eq!(Run::new(Algorithm::Rr, &[]).picks(1), "-");
}

/// wrr, "history matters": weights 4, 3, 2 added one by one, then A set to 8.
#[test]
fn wrr_added_one_by_one_starts_at_current_weight_1() {
    let mut run = Run::new(Algorithm::Wrr, &[4, 3, 2]);
    assert_eq!(run.picks(18), "CBAABACBACBAABACBA");
    run.edit('A', 8);
    assert_eq!(run.picks(13), "CBACBAAAAAABA");
}

/// wrr bound to the same list.
#[test]
fn wrr_bound_to_a_list_starts_at_the_highest_weight() {
    let mut run = Run::new(Algorithm::Rr, &[4, 3, 2]);
    run.service
        .set_scheduler(Algorithm::Wrr.scheduler(Semantics::LINUX_6_1));
    assert_eq!(run.service.scheduler_name(), "wrr");
    assert_eq!(run.picks(18), "ABACBACBA".repeat(2));
}

/// wrr: weights 6, 4, 2.
#[test]
fn wrr_steps_by_the_common_divisor() {
    assert_eq!(
        Run::new(Algorithm::Wrr, &[6, 4, 2]).picks(12),
        "CBAABA".repeat(2)
    );
}

/// wrr: an edit that changes nothing still sends the walk back to the head.
#[test]
fn wrr_edit_without_change_resets_the_cursor() {
    let mut run = Run::new(Algorithm::Wrr, &[1, 1, 1]);
    assert_eq!(run.picks(2), "CB");
    run.edit('A', 1);
    assert_eq!(run.picks(4), "CBAC");
}

/// wrr: removal, too.
#[test]
fn wrr_removal_resets_the_cursor() {
    let mut run = Run::new(Algorithm::Wrr, &[4, 3, 2]);
    assert_eq!(run.picks(1), "C");
    run.remove('C');
    assert_eq!(run.picks(7), "BAABABA");
}

/// wrr: without a positive weight there is nobody to pick.
#[test]
fn wrr_gives_up_when_all_are_quiesced_or_overloaded() {
    let mut run = Run::new(Algorithm::Wrr, &[0, 0]);
    assert_eq!(run.picks(2), "--");
    run.edit('A', 2);
    assert_eq!(run.picks(2), "AA");
    run.limit('A', 2, 1, 0);
    assert_eq!(run.connect(), Some('A'));
    assert_eq!(run.picks(2), "--");
}
