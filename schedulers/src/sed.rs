//! sed, shortest expected delay: the fewest active connections for the weight, the new one included.

use crate::context::Context;
use crate::explanation::{Choose, Tracer, traced};
use crate::flow::Flow;
use crate::scheduler::{Candidate, Scheduler};
use crate::walk::least::least_for_weight;

/// Shortest expected delay, as the kernel's `ip_vs_sed`.
///
/// The destination with the least (active connections + 1) / weight among those with a weight above
/// 0 that are not overloaded; of several, the one added last. An idle strong destination thus comes
/// before an idle weak one.
///
/// Inactive connections do not count, and UDP is never active: all of it goes to one destination.
///
/// ```
/// use lvs_schedulers::{Algorithm, Context, Destination, Flow, Semantics, VirtualService};
///
/// let mut service = VirtualService::new(Algorithm::Sed, Semantics::LINUX_6_1);
/// let a = service.add(Destination::new("10.2.1.1:80".parse()?).with_weight(3))?;
/// let b = service.add(Destination::new("10.2.1.2:80".parse()?))?;
/// let flow = Flow::tcp("192.0.2.7:40000".parse()?, "192.0.2.1:80".parse()?);
/// let mut context = Context::new(Default::default());
/// for _ in 0..2 {
///     let connection = service.connect(&flow, &mut context).ok_or("nobody")?;
///     assert_eq!(service.destination_of(connection).map(|d| d.id()), Some(a));
/// }
/// assert_eq!(service.schedule(&flow, &mut context), Some(b), "1/1 and (2 + 1)/3 are equal");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default)]
pub struct Sed;

impl Sed {
    /// The kernel's name for it.
    pub const NAME: &'static str = "sed";

    /// A scheduler; it has no state.
    pub const fn new() -> Self {
        Self
    }
}

impl<D: Candidate> Scheduler<D> for Sed {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn pick(&mut self, list: &[D], flow: &Flow, context: &mut Context<'_>) -> Option<usize> {
        traced(self, list, flow, context)
    }
}

impl<D: Candidate> Choose<D> for Sed {
    const NAME: &'static str = Self::NAME;

    fn choose(
        &mut self,
        list: &[D],
        _: &Flow,
        _: &mut Context<'_>,
        trace: &mut impl Tracer,
    ) -> Option<usize> {
        // With the new one.
        least_for_weight(list, |d| u64::from(d.active()) + 1, trace)
    }
}
