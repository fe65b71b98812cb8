//! nq, never queue: whoever is idle, otherwise the shortest expected delay.

use crate::context::Context;
use crate::explanation::{Choose, Tracer, traced};
use crate::flow::Flow;
use crate::scheduler::{Candidate, Scheduler};
use crate::walk::least::idle_or_least_for_weight;

/// Never queue, as the kernel's `ip_vs_nq`.
///
/// The first destination without active connections, whatever its weight; if all have some, the one
/// [`Sed`](crate::Sed) would pick. Left out are those with weight 0 and the overloaded.
///
/// UDP is never active: all of it goes to the destination added last.
///
/// ```
/// use lvs_schedulers::{Algorithm, Context, Destination, Flow, Semantics, VirtualService};
///
/// let mut service = VirtualService::new(Algorithm::Nq, Semantics::LINUX_6_1);
/// let a = service.add(Destination::new("10.2.1.1:80".parse()?).with_weight(9))?;
/// let b = service.add(Destination::new("10.2.1.2:80".parse()?))?;
/// let flow = Flow::tcp("192.0.2.7:40000".parse()?, "192.0.2.1:80".parse()?);
/// let mut context = Context::new(Default::default());
/// for expected in [b, a, a] {
///     let connection = service.connect(&flow, &mut context).ok_or("nobody")?;
///     assert_eq!(service.destination_of(connection).map(|d| d.id()), Some(expected));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default)]
pub struct Nq;

impl Nq {
    /// The kernel's name for it.
    pub const NAME: &'static str = "nq";

    /// A scheduler; it has no state.
    pub const fn new() -> Self {
        Self
    }
}

impl<D: Candidate> Scheduler<D> for Nq {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn pick(&mut self, list: &[D], flow: &Flow, context: &mut Context<'_>) -> Option<usize> {
        traced(self, list, flow, context)
    }
}

impl<D: Candidate> Choose<D> for Nq {
    const NAME: &'static str = Self::NAME;

    fn choose(
        &mut self,
        list: &[D],
        _: &Flow,
        _: &mut Context<'_>,
        trace: &mut impl Tracer,
    ) -> Option<usize> {
        idle_or_least_for_weight(list, trace)
    }
}
