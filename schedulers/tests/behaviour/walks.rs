//! The worked examples of spec §4 to §8: lc, wlc, sed, nq, fo, ovf, as observed on 6.1.176 and 7.2.7.
//!
//! Destinations are added in the order A, B, C; each pick becomes a connection that stays.

use lvs_schedulers::{Algorithm, Candidate, Context, Lc, Overhead, Scheduler, Semantics, Wlc};

use crate::support::{Run, flow, udp};

const PRESETS: [Semantics; 3] = [
    Semantics::LINUX_6_1,
    Semantics::LINUX_6_12,
    Semantics::LINUX_7_2,
];

/// Checks where the first connections go, over TCP and over UDP.
fn check(algorithm: Algorithm, weights: &[u32], tcp: &str, over_udp: &str) {
    for semantics in PRESETS {
        for (flow, picks) in [(flow(), tcp), (udp(), over_udp)] {
            assert_eq!(
                Run::with_semantics(algorithm, semantics, weights).connects(&flow, picks.len()),
                picks,
                "{algorithm} {weights:?} {flow:?}"
            );
        }
    }
}

#[test]
fn spec_4_lc_looks_at_weights_only_as_zero_or_not() {
    for weights in [[1, 1, 1], [1, 3, 2], [300, 1, 7]] {
        check(Algorithm::Lc, &weights, "CBACBACBA", "CBACBACBA");
    }
    check(Algorithm::Lc, &[1, 0, 1], "CACA", "CACA");
}

#[test]
fn spec_5_wlc() {
    check(Algorithm::Wlc, &[1, 3, 2], "CBABCBCBABCB", "CBABCBCBABCB");
    check(Algorithm::Wlc, &[4, 1, 0], "BAAAABAAAABA", "BAAAABAAAABA");
}

#[test]
fn spec_6_sed() {
    check(Algorithm::Sed, &[1, 3, 2], "BCBCBABCBCBA", "BBBBBBBBBBBB");
}

#[test]
fn spec_7_nq() {
    check(Algorithm::Nq, &[1, 3, 2], "CBABCBBCBCBA", "CCCCCCCCCCCC");
}

#[test]
fn spec_8_fo() {
    check(Algorithm::Fo, &[1, 3, 2], "BBBBBB", "BBBBBB");
    check(Algorithm::Fo, &[2, 2, 2], "CCCCCC", "CCCCCC");
}

#[test]
fn spec_8_ovf() {
    check(Algorithm::Ovf, &[1, 3, 2], "BBBBCCCAA--", "BBBBBBBBBBB");
    check(Algorithm::Ovf, &[2, 2, 2], "CCCBBBAAA--", "CCCCCCCCCCC");
}

/// §8: everything goes to the best until it is overloaded or gone.
#[test]
fn spec_8_fo_moves_on_when_the_best_is_overloaded_or_gone() {
    let mut run = Run::new(Algorithm::Fo, &[1, 3, 2]);
    run.limit('B', 3, 2, 0);
    assert_eq!(run.connects(&flow(), 4), "BBCC");
    run.remove('C');
    assert_eq!(run.connects(&flow(), 1), "A");
    run.edit('A', 0);
    assert_eq!(run.connects(&flow(), 1), "-");
}

/// Connection counts alone, for an algorithm used without a service.
struct Server {
    weight: u32,
    active: u32,
    inactive: u32,
}

impl Candidate for Server {
    fn weight(&self) -> u32 {
        self.weight
    }

    fn active(&self) -> u32 {
        self.active
    }

    fn inactive(&self) -> u32 {
        self.inactive
    }
}

fn server(weight: u32, active: u32, inactive: u32) -> Server {
    Server {
        weight,
        active,
        inactive,
    }
}

fn pick(mut scheduler: impl Scheduler<Server>, list: &[Server]) -> Option<usize> {
    scheduler.bind(list, core::time::Duration::ZERO);
    scheduler.pick(list, &flow(), &mut Context::new(core::time::Duration::ZERO))
}

/// §1.4: the list *walked* is A, B, so A is the one added last.
#[test]
fn spec_1_4_overhead_formulas_differ_in_a_close_call() {
    let [a, b] = [1, 0];
    let list = [server(1, 0, 256), server(1, 1, 0)];
    for (overhead, picked) in [
        (Overhead::ActiveAndInactive, a),
        (Overhead::ActiveAndTotal, b),
    ] {
        assert_eq!(pick(Lc::new(overhead), &list), Some(picked), "{overhead:?}");
        assert_eq!(
            pick(Wlc::new(overhead), &list),
            Some(picked),
            "{overhead:?}"
        );
    }
    assert_eq!(Overhead::ActiveAndInactive.of(3, 7), 3 * 256 + 7);
    assert_eq!(Overhead::ActiveAndTotal.of(3, 7), 3 * 257 + 7);
}

/// §5: products of 64 bits, so counts and weights of 32 bits do not wrap.
#[test]
fn spec_5_wlc_compares_in_64_bits() {
    let list = [server(1, 40_000, 0), server(65_536, 65_536, 0)];
    assert_eq!(pick(Wlc::new(Overhead::ActiveAndInactive), &list), Some(1));
    let list = [server(65_536, 65_536, 0), server(1, 40_000, 0)];
    assert_eq!(pick(Wlc::new(Overhead::ActiveAndInactive), &list), Some(0));
}
