//! The walks that lc, wlc, sed, nq, lblc and lblcr share: the least cost, and the least for the weight.

use crate::explanation::{Look, Tracer, Verdict};
use crate::scheduler::Candidate;

/// The index of the destination whose cost is least among those that take new connections. Of
/// several the one that the kernel meets first.
pub(crate) fn least<D: Candidate>(
    list: &[D],
    cost: impl Fn(&D) -> u64,
    trace: &mut impl Tracer,
) -> Option<usize> {
    // No cost is that high: 32-bit counts cannot add up to it.
    walk(list, (u64::MAX, 1), |d| (cost(d), 1), |_| false, trace)
}

/// The same for cost / weight.
pub(crate) fn least_for_weight<D: Candidate>(
    list: &[D],
    cost: impl Fn(&D) -> u64,
    trace: &mut impl Tracer,
) -> Option<usize> {
    // 1 / 0 is worse than any, and a weight of 0 beats nothing.
    let measure = |d: &D| (cost(d), u64::from(d.weight()));
    walk(list, (1, 0), measure, |_| false, trace)
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
    let measure = |d: &D| (cost(d), u64::from(d.weight()));
    walk(list, (1, 0), measure, |d| d.active() == 0, trace)
}

/// The walk itself: `measure` gives the two sides of a fraction, `worst` is one above all others.
/// Who is `good_enough`, which must be better than any other, ends the walk.
#[inline(always)]
fn walk<D: Candidate>(
    list: &[D],
    worst: (u64, u64),
    measure: impl Fn(&D) -> (u64, u64),
    good_enough: impl Fn(&D) -> bool,
    trace: &mut impl Tracer,
) -> Option<usize> {
    let (mut best, (mut least, mut its)) = (None, worst);
    for (index, d) in list.iter().enumerate().rev() {
        let (cost, share) = measure(d);
        // A division-free comparison of fractions; strictly less, so the first of equals stays.
        // Products wrap beyond 2^64 only (2^25 active connections at the highest weight); the
        // kernel's sums wrap long before.
        let better = least.wrapping_mul(share) > cost.wrapping_mul(its);
        trace.step(|| match Verdict::of(d) {
            Some(verdict) => Look::new(index, d, verdict).into(),
            None => {
                let verdict = match (better, good_enough(d)) {
                    (true, true) => Verdict::Taken,
                    (true, false) => Verdict::Best,
                    (false, _) => Verdict::NotBetter,
                };
                Look::new(index, d, verdict).with_cost(cost).into()
            }
        });
        // Few come this far, so whether they are eligible at all is asked only here.
        if better && Verdict::of(d).is_none() {
            best = Some(index);
            if good_enough(d) {
                break;
            }
            (least, its) = (cost, share);
        }
    }
    best
}
