//! rr, round robin: one destination after the other, weights only as zero or not zero.

use crate::context::{Context, Timestamp};
use crate::explanation::{Choose, Look, Tracer, Verdict, traced};
use crate::flow::Flow;
use crate::scheduler::{Candidate, Scheduler};

/// Round robin, as the kernel's `ip_vs_rr`.
///
/// Eligible is who has a weight above 0 and is not overloaded. A destination added in mid-run gets
/// its turn after the next wrap.
///
/// ```
/// use lvs_schedulers::{Algorithm, Context, Destination, Flow, Semantics, VirtualService};
///
/// let mut service = VirtualService::new(Algorithm::Rr, Semantics::LINUX_6_1);
/// let a = service.add(Destination::new("10.2.1.1:80".parse()?))?;
/// let b = service.add(Destination::new("10.2.1.2:80".parse()?).with_weight(9))?;
/// let flow = Flow::udp("192.0.2.7:5353".parse()?, "192.0.2.1:53".parse()?);
/// let mut context = Context::new(Default::default());
/// let picks: Vec<_> = (0..4).map(|_| service.schedule(&flow, &mut context)).collect();
/// assert_eq!(picks, [b, a, b, a].map(Some));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Rr {
    /// Index of the destination picked last; `None` = the list's head.
    cursor: Option<usize>,
}

impl Rr {
    /// The kernel's name for it.
    pub const NAME: &'static str = "rr";

    /// A scheduler whose first pick is the destination added last.
    pub const fn new() -> Self {
        Self { cursor: None }
    }
}

impl<D: Candidate> Scheduler<D> for Rr {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn bind(&mut self, _: &[D], _: Timestamp) {
        self.cursor = None;
    }

    /// The cursor steps back to the predecessor of a removed destination, so that its successor is
    /// next.
    fn removed(&mut self, list: &[D], index: usize) {
        self.cursor = match self.cursor {
            // What was added after it, its predecessor in the walk, has moved to its index.
            Some(cursor) if cursor == index => (index < list.len()).then_some(index),
            Some(cursor) if cursor > index => Some(cursor - 1),
            cursor => cursor,
        };
    }

    fn pick(&mut self, list: &[D], flow: &Flow, context: &mut Context<'_>) -> Option<usize> {
        traced(self, list, flow, context)
    }
}

impl<D: Candidate> Choose<D> for Rr {
    const NAME: &'static str = Self::NAME;

    fn choose(
        &mut self,
        list: &[D],
        _: &Flow,
        _: &mut Context<'_>,
        trace: &mut impl Tracer,
    ) -> Option<usize> {
        // Walking on from the cursor, then once more from the head up to and including the cursor.
        let split = self
            .cursor
            .map_or(list.len(), |cursor| cursor.min(list.len()));
        let (behind, ahead) = list.split_at(split);
        let mut eligible = |index: usize, d: &D| {
            let verdict = Verdict::of(d);
            trace.step(|| Look::new(index, d, verdict.unwrap_or(Verdict::Taken)).into());
            verdict.is_none()
        };
        let walk = |(part, first): (&[D], usize)| {
            let mut indexed = part.iter().enumerate().rev();
            let found = indexed.find(|&(index, d)| eligible(first + index, d));
            found.map(|(index, _)| first + index)
        };
        let picked = [(behind, 0), (ahead, split)].into_iter().find_map(walk)?;
        self.cursor = Some(picked);
        Some(picked)
    }
}
