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
#[derive(Clone, Debug)]
pub struct Rr {
    /// Index of the destination picked last, or [`HEAD`].
    cursor: usize,
}

/// The cursor is at the list's head, from where the walk begins: above any index.
const HEAD: usize = usize::MAX;

impl Rr {
    /// The kernel's name for it.
    pub const NAME: &'static str = "rr";

    /// A scheduler whose first pick is the destination added last.
    pub const fn new() -> Self {
        Self { cursor: HEAD }
    }
}

impl Default for Rr {
    fn default() -> Self {
        Self::new()
    }
}

impl<D: Candidate> Scheduler<D> for Rr {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn bind(&mut self, _: &[D], _: Timestamp) {
        self.cursor = HEAD;
    }

    /// The cursor steps back to the predecessor of a removed destination, so that its successor is
    /// next.
    fn removed(&mut self, list: &[D], index: usize) {
        if self.cursor == HEAD {
            return;
        }
        if self.cursor > index {
            self.cursor -= 1;
        } else if self.cursor == index && index >= list.len() {
            // Otherwise what was added after it, its predecessor in the walk, has its index now.
            self.cursor = HEAD;
        }
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
        // Nearly always it is the next one. Below index 0 and the head, no list has anything.
        let next = self.cursor.wrapping_sub(1);
        match list.get(next) {
            Some(d) if Verdict::of(d).is_none() => {
                trace.step(|| Look::new(next, d, Verdict::Taken).into());
                self.cursor = next;
                Some(next)
            }
            _ => self.walk(list, trace),
        }
    }
}

impl Rr {
    /// From the cursor on, then once more from the head up to and including the cursor.
    #[inline(never)]
    fn walk<D: Candidate>(&mut self, list: &[D], trace: &mut impl Tracer) -> Option<usize> {
        let (behind, ahead) = list.split_at_checked(self.cursor).unwrap_or((list, &[]));
        self.cursor = match first_eligible(behind, 0, trace) {
            None => first_eligible(ahead, behind.len(), trace)?,
            Some(index) => index,
        };
        Some(self.cursor)
    }
}

/// The index of the first destination that the kernel would meet in `part`, which begins at
/// `offset`, and take.
fn first_eligible<D: Candidate>(
    part: &[D],
    offset: usize,
    trace: &mut impl Tracer,
) -> Option<usize> {
    let indexed = part.iter().enumerate().rev();
    let mut indexed = indexed.map(|(index, d)| (offset + index, d));
    let found = indexed.find(|&(index, d)| {
        let verdict = Verdict::of(d).unwrap_or(Verdict::Taken);
        trace.step(|| Look::new(index, d, verdict).into());
        verdict == Verdict::Taken
    });
    found.map(|(index, _)| index)
}
