//! The walks that lc, wlc, sed, nq, lblc and lblcr share: the least cost, and the least for the weight.
//!
//! They look at every destination, so what they do for each counts. Whether one is eligible at all is
//! asked only of those that would be better than the best so far, and these are few.

use crate::explanation::{Look, Step, Tracer, Verdict};
use crate::scheduler::Candidate;

/// The index of the destination whose cost is least among those that take new connections. Of
/// several the one that the kernel meets first.
pub(crate) fn least<D: Candidate>(
    list: &[D],
    cost: impl Fn(&D) -> u64,
    trace: &mut impl Tracer,
) -> Option<usize> {
    // No cost is that high: 32-bit counts cannot add up to it. One at a time, for with two the compiler
    // makes conditional moves, which wait for each other.
    let (mut best, mut least) = (None, u64::MAX);
    for (index, d) in list.iter().enumerate().rev() {
        let cost = cost(d);
        let better = cost < least;
        trace.step(|| looked_at(index, d, cost, better, Verdict::Best));
        if better && Verdict::of(d).is_none() {
            (best, least) = (Some(index), cost);
        }
    }
    best
}

/// The same for cost / weight.
pub(crate) fn least_for_weight<D: Candidate>(
    list: &[D],
    cost: impl Fn(&D) -> u64,
    trace: &mut impl Tracer,
) -> Option<usize> {
    walk(list, cost, |_| false, trace)
}

/// The index of the first destination without active connections, or else of the one with the least
/// active connections, the new one included, for its weight.
pub(crate) fn idle_or_least_for_weight<D: Candidate>(
    list: &[D],
    trace: &mut impl Tracer,
) -> Option<usize> {
    // Nothing for the idle: that beats any cost, whatever the weights.
    let cost = |d: &D| match d.active() {
        0 => 0,
        active => u64::from(active) + 1,
    };
    walk(list, cost, |d| d.active() == 0, trace)
}

/// The walk for the least cost / weight. Who is `good_enough`, which must be better than anybody else,
/// ends it.
#[inline(always)]
fn walk<D: Candidate>(
    list: &[D],
    cost: impl Fn(&D) -> u64,
    good_enough: impl Fn(&D) -> bool,
    trace: &mut impl Tracer,
) -> Option<usize> {
    // 1 / 0 is worse than any, and a weight of 0 beats nothing.
    let (mut best, mut least, mut its) = (None, 1, 0);
    let mut ends_with = |index: usize, d: &D| {
        let (cost, weight) = (cost(d), u64::from(d.weight()));
        // A division-free comparison of fractions; strictly less, so the first of equals stays.
        // Products wrap beyond 2^64 only (2^25 active connections at the highest weight); the
        // kernel's sums wrap long before.
        let better = u64::wrapping_mul(least, weight) > u64::wrapping_mul(cost, its);
        trace.step(|| {
            let best = if good_enough(d) {
                Verdict::Taken
            } else {
                Verdict::Best
            };
            looked_at(index, d, cost, better, best)
        });
        if better && Verdict::of(d).is_none() {
            best = Some(index);
            if good_enough(d) {
                return true;
            }
            (least, its) = (cost, weight);
        }
        false
    };
    // Two at a time.
    let mut part = list;
    while let [rest @ .., second, first] = part {
        if ends_with(rest.len() + 1, first) || ends_with(rest.len(), second) {
            return best;
        }
        part = rest;
    }
    if let [last] = part {
        ends_with(0, last);
    }
    best
}

/// A look at a destination whose verdict is `best` if it is eligible and better.
fn looked_at<D: Candidate>(index: usize, d: &D, cost: u64, better: bool, best: Verdict) -> Step {
    match Verdict::of(d) {
        Some(verdict) => Look::new(index, d, verdict),
        None if better => Look::new(index, d, best).with_cost(cost),
        None => Look::new(index, d, Verdict::NotBetter).with_cost(cost),
    }
    .into()
}
