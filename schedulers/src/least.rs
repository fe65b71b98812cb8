//! The walk that lc, wlc, sed, nq, lblc and lblcr share: the least cost for the weight.

use crate::explanation::{Look, Tracer, Verdict};
use crate::scheduler::Candidate;

/// The index of the destination whose cost is least for its weight, both given by `measure`, among
/// those that take new connections. Of several the one that the kernel meets first.
pub(crate) fn least<D: Candidate>(
    list: &[D],
    measure: impl Fn(&D) -> (u64, u32),
    trace: &mut impl Tracer,
) -> Option<usize> {
    least_or_first(list, measure, |_| false, trace)
}

/// The same, but the first one that is `good_enough` ends the walk.
pub(crate) fn least_or_first<D: Candidate>(
    list: &[D],
    measure: impl Fn(&D) -> (u64, u32),
    good_enough: impl Fn(&D) -> bool,
    trace: &mut impl Tracer,
) -> Option<usize> {
    let mut best: Option<(usize, u64, u64)> = None;
    for (index, d) in list.iter().enumerate().rev() {
        if let Some(verdict) = Verdict::of(d) {
            trace.step(|| Look::new(index, d, verdict).into());
            continue;
        }
        let (cost, weight) = measure(d);
        if good_enough(d) {
            trace.step(|| Look::new(index, d, Verdict::Taken).with_cost(cost).into());
            return Some(index);
        }
        let weight = u64::from(weight);
        // A division-free comparison of cost / weight; strictly less, so the first of equals stays.
        // Products wrap beyond 2^64 only (2^25 active connections at the highest weight); the
        // kernel's sums wrap long before.
        let better =
            best.is_none_or(|(_, least, its)| least.wrapping_mul(weight) > cost.wrapping_mul(its));
        trace.step(|| {
            let verdict = if better {
                Verdict::Best
            } else {
                Verdict::NotBetter
            };
            Look::new(index, d, verdict).with_cost(cost).into()
        });
        if better {
            best = Some((index, cost, weight));
        }
    }
    best.map(|(index, ..)| index)
}
