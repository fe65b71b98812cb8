//! When lblc and lblcr look for somebody else although the cache knows a destination.

use crate::explanation::{CacheStep, Relief, Tracer};
use crate::scheduler::Addressed;

/// Whether `list[index]` has more active connections than its weight while any destination of the
/// list, eligible or not, has fewer than half of its own.
///
/// The list is only walked if the first is the case.
pub(crate) fn is_too_busy<D: Addressed>(list: &[D], index: usize, trace: &mut impl Tracer) -> bool {
    let Some(d) = list.get(index).filter(|d| d.active() > d.weight()) else {
        return false;
    };
    let relief = list
        .iter()
        .rev()
        .find(|other| 2 * u64::from(other.active()) < u64::from(other.weight()));
    trace.step(|| {
        CacheStep::Busy {
            server: d.address(),
            active: d.active(),
            weight: d.weight(),
            relief: relief.map(|other| Relief {
                server: other.address(),
                active: other.active(),
                weight: other.weight(),
            }),
        }
        .into()
    });
    relief.is_some()
}
