//! lc, least connections: whoever has the fewest, weights only as zero or not zero.

use crate::context::Context;
use crate::explanation::{Choose, Tracer, traced};
use crate::flow::Flow;
use crate::scheduler::{Candidate, Scheduler};
use crate::semantics::Overhead;
use crate::walk::least::least;

/// Least connections, as the kernel's `ip_vs_lc`.
///
/// The destination with the least [overhead](Overhead) among those with a weight above 0 that are
/// not overloaded; of several, the one added last.
///
/// ```
/// use lvs_schedulers::{Algorithm, Context, Destination, Flow, Semantics, VirtualService};
///
/// let mut service = VirtualService::new(Algorithm::Lc, Semantics::LINUX_6_1);
/// let a = service.add(Destination::new("10.2.1.1:80".parse()?))?;
/// let b = service.add(Destination::new("10.2.1.2:80".parse()?).with_weight(9))?;
/// let flow = Flow::tcp("192.0.2.7:40000".parse()?, "192.0.2.1:80".parse()?);
/// let mut context = Context::new(Default::default());
/// service.connect(&flow, &mut context).ok_or("nobody")?;
/// assert_eq!(service.schedule(&flow, &mut context), Some(a), "b has a connection");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Lc {
    overhead: Overhead,
}

impl Lc {
    /// The kernel's name for it.
    pub const NAME: &'static str = "lc";

    /// A scheduler that adds connections up as `overhead` says.
    pub const fn new(overhead: Overhead) -> Self {
        Self { overhead }
    }
}

impl<D: Candidate> Scheduler<D> for Lc {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn pick(&mut self, list: &[D], flow: &Flow, context: &mut Context<'_>) -> Option<usize> {
        traced(self, list, flow, context)
    }
}

impl<D: Candidate> Choose<D> for Lc {
    const NAME: &'static str = Self::NAME;

    fn choose(
        &mut self,
        list: &[D],
        _: &Flow,
        _: &mut Context<'_>,
        trace: &mut impl Tracer,
    ) -> Option<usize> {
        let overhead = self.overhead;
        least(list, |d| overhead.of(d.active(), d.inactive()), trace)
    }
}
