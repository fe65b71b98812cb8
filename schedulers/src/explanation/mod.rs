//! Why a pick was made: an account written by the pick itself.
//!
//! The algorithms run the same code with and without an explanation; asked for none, the recording
//! compiles to nothing. So an explanation cannot tell another story than the pick.
//!
//! ```
//! use lvs_schedulers::{
//!     Algorithm, Context, Destination, Explanation, Flow, Semantics, VirtualService,
//! };
//!
//! let mut service = VirtualService::new(Algorithm::Wlc, Semantics::LINUX_6_1);
//! service.add(Destination::new("10.2.1.1:80".parse()?).with_weight(1))?;
//! service.add(Destination::new("10.2.1.2:80".parse()?).with_weight(3))?;
//! service.add(Destination::new("10.2.1.3:80".parse()?).with_weight(0))?;
//! let flow = Flow::tcp("192.0.2.7:40000".parse()?, "192.0.2.1:80".parse()?);
//! service.connect(&flow, &mut Context::new(Default::default()));
//!
//! let mut why = Explanation::new();
//! service.schedule(&flow, &mut Context::new(Default::default()).with_trace(&mut why));
//! assert_eq!(why.to_string(), "\
//! wlc picks 10.2.1.1:80
//!   10.2.1.3:80: left out, weight 0
//!   10.2.1.2:80: weight 3, 1 active, 0 inactive, cost 256, best so far
//!   10.2.1.1:80: weight 1, 0 active, 0 inactive, cost 0, best so far
//! ");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cached;
mod hashing;
mod step;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

pub use cached::{CacheStep, Relief};
pub use hashing::{Hashed, Probe};
pub use step::{Look, Step, Verdict};

use crate::context::Context;
use crate::flow::Flow;

/// The account of one pick: what was looked at in which order, and what came of it.
///
/// Pass it to [`Context::with_trace`]. [`VirtualService`](crate::VirtualService) starts it afresh
/// for each pick and names destinations by address. A scheduler used alone only adds to it and
/// knows destinations by index, shown as `#0`, `#1`, …
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Explanation {
    scheduler: String,
    steps: Vec<Step>,
    outcome: Option<usize>,
    names: Vec<SocketAddr>,
}

impl Explanation {
    /// An empty one, to be filled by a pick.
    pub const fn new() -> Self {
        Self {
            scheduler: String::new(),
            steps: Vec::new(),
            outcome: None,
            names: Vec::new(),
        }
    }

    /// The name of the scheduler that picked.
    pub fn scheduler(&self) -> &str {
        &self.scheduler
    }

    /// What happened, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The index of the destination picked; `None` = nobody.
    pub const fn outcome(&self) -> Option<usize> {
        self.outcome
    }

    /// The address of the destination with this index at the time of the pick, if the pick was
    /// made by a [`VirtualService`](crate::VirtualService).
    pub fn address(&self, index: usize) -> Option<SocketAddr> {
        self.names.get(index).copied()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.scheduler.clear();
        self.steps.clear();
        self.outcome = None;
        self.names.clear();
    }

    pub(crate) fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Puts a step before all others.
    pub(crate) fn begin_with(&mut self, step: Step) {
        self.steps.insert(0, step);
    }

    pub(crate) fn conclude(&mut self, scheduler: &str, outcome: Option<usize>) {
        self.scheduler.clear();
        self.scheduler.push_str(scheduler);
        self.outcome = outcome;
    }

    pub(crate) fn name(&mut self, addresses: impl Iterator<Item = SocketAddr>) {
        self.names.clear();
        self.names.extend(addresses);
    }

    const fn label(&self, index: usize) -> Label<'_> {
        Label {
            explanation: self,
            index,
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome {
            Some(index) => writeln!(f, "{} picks {}", self.scheduler, self.label(index))?,
            None => writeln!(f, "{} picks nobody", self.scheduler)?,
        }
        for step in &self.steps {
            f.write_str("  ")?;
            step.write(f, &|index| self.label(index))?;
            f.write_str("\n")?;
        }
        Ok(())
    }
}

/// Displays the name of a destination within an explanation.
#[derive(Clone, Copy)]
pub(crate) struct Label<'a> {
    explanation: &'a Explanation,
    index: usize,
}

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.explanation.address(self.index) {
            Some(address) => address.fmt(f),
            None => write!(f, "#{}", self.index),
        }
    }
}

/// Where an algorithm reports what it does.
pub(crate) trait Tracer {
    fn step(&mut self, step: impl FnOnce() -> Step);
}

/// Nobody asked: nothing is built.
pub(crate) struct Silent;

impl Tracer for Silent {
    #[inline(always)]
    fn step(&mut self, _: impl FnOnce() -> Step) {}
}

impl Tracer for Explanation {
    fn step(&mut self, step: impl FnOnce() -> Step) {
        self.push(step());
    }
}

/// One of the kernel's algorithms, written once for picks with and without explanation.
pub(crate) trait Choose<D> {
    const NAME: &'static str;

    fn choose(
        &mut self,
        list: &[D],
        flow: &Flow,
        context: &mut Context<'_>,
        trace: &mut impl Tracer,
    ) -> Option<usize>;
}

/// Picks, with an explanation if the context has one.
#[inline]
pub(crate) fn traced<D, A: Choose<D>>(
    algorithm: &mut A,
    list: &[D],
    flow: &Flow,
    context: &mut Context<'_>,
) -> Option<usize> {
    if context.is_traced() {
        return explained(algorithm, list, flow, context);
    }
    algorithm.choose(list, flow, context, &mut Silent)
}

/// Kept apart, so that its needs do not weigh on every pick.
#[cold]
#[inline(never)]
fn explained<D, A: Choose<D>>(
    algorithm: &mut A,
    list: &[D],
    flow: &Flow,
    context: &mut Context<'_>,
) -> Option<usize> {
    let explanation = context.take_trace()?;
    let pick = algorithm.choose(list, flow, context, explanation);
    explanation.conclude(A::NAME, pick);
    context.put_trace(explanation);
    pick
}
