//! ovf, overflow: the highest weight until its connections exceed it, then the next.

use crate::context::Context;
use crate::explanation::{Choose, Tracer, Verdict, traced};
use crate::flow::Flow;
use crate::scheduler::{Candidate, Scheduler};
use crate::walk::heaviest::heaviest;

/// Weighted overflow, as the kernel's `ip_vs_ovf` (since 4.3).
///
/// The destination with the highest weight among those that have no more active connections than
/// their weight; of several, the one added last. Left out are those with weight 0 and the overloaded.
///
/// The comparison happens before the new connection counts, so a destination collects weight + 1
/// active connections. If all are full nobody is picked. UDP is never active and never overflows.
///
/// ```
/// use lvs_schedulers::{Algorithm, Context, Destination, Flow, Semantics, VirtualService};
///
/// let mut service = VirtualService::new(Algorithm::Ovf, Semantics::LINUX_6_1);
/// let a = service.add(Destination::new("10.2.1.1:80".parse()?).with_weight(2))?;
/// let b = service.add(Destination::new("10.2.1.2:80".parse()?).with_weight(1))?;
/// let flow = Flow::tcp("192.0.2.7:40000".parse()?, "192.0.2.1:80".parse()?);
/// let mut context = Context::new(Default::default());
/// for expected in [a, a, a, b, b] {
///     let connection = service.connect(&flow, &mut context).ok_or("nobody")?;
///     assert_eq!(service.destination_of(connection).map(|d| d.id()), Some(expected));
/// }
/// assert!(service.connect(&flow, &mut context).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default)]
pub struct Ovf;

impl Ovf {
    /// The kernel's name for it.
    pub const NAME: &'static str = "ovf";

    /// A scheduler; it has no state.
    pub const fn new() -> Self {
        Self
    }
}

impl<D: Candidate> Scheduler<D> for Ovf {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn pick(&mut self, list: &[D], flow: &Flow, context: &mut Context<'_>) -> Option<usize> {
        traced(self, list, flow, context)
    }
}

impl<D: Candidate> Choose<D> for Ovf {
    const NAME: &'static str = Self::NAME;

    fn choose(
        &mut self,
        list: &[D],
        _: &Flow,
        _: &mut Context<'_>,
        trace: &mut impl Tracer,
    ) -> Option<usize> {
        let refuse = |d: &D| (d.active() > d.weight()).then_some(Verdict::Full);
        heaviest(list, refuse, trace)
    }
}
