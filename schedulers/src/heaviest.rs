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
    let mut best: Option<(usize, u32)> = None;
    for (index, d) in list.iter().enumerate().rev() {
        let verdict = Verdict::of(d).or_else(|| refuse(d)).unwrap_or_else(|| {
            if best.is_none_or(|(_, highest)| d.weight() > highest) {
                best = Some((index, d.weight()));
                Verdict::Best
            } else {
                Verdict::NotBetter
            }
        });
        trace.step(|| Look::new(index, d, verdict).into());
    }
    best.map(|(index, _)| index)
}
