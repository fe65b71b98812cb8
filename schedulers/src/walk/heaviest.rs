//! The walk that fo and ovf share: the highest weight.

use crate::explanation::{Look, Tracer, Verdict};
use crate::scheduler::Candidate;

/// The index of the destination with the highest weight among those that take new connections and
/// that `refuse` gives no reason to leave out. Of several the one that the kernel meets first.
pub(crate) fn heaviest<D: Candidate>(
    list: &[D],
    refuse: impl Fn(&D) -> Option<Verdict>,
    trace: &mut impl Tracer,
) -> Option<usize> {
    let (mut best, mut highest) = (None, 0);
    for (index, d) in list.iter().enumerate().rev() {
        let better = d.weight() > highest;
        let verdict = || Verdict::of(d).or_else(|| refuse(d));
        trace.step(|| {
            let eligible = if better {
                Verdict::Best
            } else {
                Verdict::NotBetter
            };
            Look::new(index, d, verdict().unwrap_or(eligible)).into()
        });
        // Few come this far, so whether they are eligible at all is asked only here.
        if better && verdict().is_none() {
            (best, highest) = (Some(index), d.weight());
        }
    }
    best
}
