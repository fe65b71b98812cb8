//! Schedulers of one's own: write one here, give it a name below, and `--compare rr,NAME` runs it
//! beside the kernel's.

use lvs_schedulers::{Candidate, Context, DestinationEntry, Flow, Scheduler};

/// The names under which `--scheduler` and `--compare` find these schedulers.
pub(crate) const OWN: &[Own] = &[Own {
    name: Fewest::NAME,
    make: || Box::new(Fewest),
}];

/// A scheduler by name.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) name: &'static str,
    pub(crate) make: fn() -> Box<dyn Scheduler<DestinationEntry>>,
}

/// The destination with the fewest connections for its weight, whether active or not. (`wlc` counts
/// an active one as 256 inactive ones.)
#[derive(Debug)]
struct Fewest;

impl Fewest {
    const NAME: &str = "fewest";
}

impl<D: Candidate> Scheduler<D> for Fewest {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn pick(&mut self, list: &[D], _: &Flow, _: &mut Context<'_>) -> Option<usize> {
        // The kernel walks from the destination added last to the one added first.
        let candidates = list.iter().enumerate().rev();
        let eligible = candidates.filter(|(_, d)| d.weight() > 0 && !d.is_overloaded());
        let connections = |d: &D| u64::from(d.active()) + u64::from(d.inactive());
        // a / b < c / d without division: a × d < c × b.
        let best = eligible.min_by(|(_, a), (_, b)| {
            let left = connections(a) * u64::from(b.weight());
            left.cmp(&(connections(b) * u64::from(a.weight())))
        });
        best.map(|(index, _)| index)
    }
}
