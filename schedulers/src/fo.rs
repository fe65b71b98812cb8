//! fo, fail-over: everything to the highest weight.

use crate::context::Context;
use crate::explanation::{Choose, Tracer, traced};
use crate::flow::Flow;
use crate::scheduler::{Candidate, Scheduler};
use crate::walk::heaviest::heaviest;

/// Weighted fail-over, as the kernel's `ip_vs_fo` (since 3.18).
///
/// The destination with the highest weight above 0 that is not overloaded; of several, the one added
/// last. It gets everything until it is overloaded, quiesced or gone.
///
/// ```
/// use lvs_schedulers::{Algorithm, Context, Destination, Flow, Semantics, VirtualService};
///
/// let mut service = VirtualService::new(Algorithm::Fo, Semantics::LINUX_6_1);
/// let main = service.add(Destination::new("10.2.1.1:80".parse()?).with_weight(2))?;
/// let spare = service.add(Destination::new("10.2.1.2:80".parse()?).with_weight(1))?;
/// let flow = Flow::tcp("192.0.2.7:40000".parse()?, "192.0.2.1:80".parse()?);
/// let mut context = Context::new(Default::default());
/// assert_eq!(service.schedule(&flow, &mut context), Some(main));
/// service.edit(Destination::new("10.2.1.1:80".parse()?).with_weight(0))?;
/// assert_eq!(service.schedule(&flow, &mut context), Some(spare));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default)]
pub struct Fo;

impl Fo {
    /// The kernel's name for it.
    pub const NAME: &'static str = "fo";

    /// A scheduler; it has no state.
    pub const fn new() -> Self {
        Self
    }
}

impl<D: Candidate> Scheduler<D> for Fo {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn pick(&mut self, list: &[D], flow: &Flow, context: &mut Context<'_>) -> Option<usize> {
        traced(self, list, flow, context)
    }
}

impl<D: Candidate> Choose<D> for Fo {
    const NAME: &'static str = Self::NAME;

    fn choose(
        &mut self,
        list: &[D],
        _: &Flow,
        _: &mut Context<'_>,
        trace: &mut impl Tracer,
    ) -> Option<usize> {
        heaviest(list, |_| None, trace)
    }
}
