//! What a scheduler may know besides the destinations and the flow.
//!
//! Schedulers read no clock and own no source of randomness: the caller passes both in, so that a
//! recorded run can be replayed exactly. The caller may also pass in an [`Explanation`], which the
//! pick then fills as it goes.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use crate::explanation::{Explanation, Step};

/// A point in time: time since boot on a clock that goes on during suspend (`CLOCK_BOOTTIME`).
///
/// Simulations may start at zero. Time never goes backwards; a value earlier than the last one
/// counts as equal to it.
pub type Timestamp = Duration;

/// The circumstances of one pick, or of several at the same time.
///
/// ```
/// use lvs_schedulers::Context;
/// use std::time::Duration;
///
/// let mut dice = |highest: u32| highest / 2; // any source of randomness, for `twos`
/// let context = Context::new(Duration::from_secs(12)).with_draw(&mut dice);
/// assert_eq!(context.now(), Duration::from_secs(12));
/// ```
pub struct Context<'a> {
    now: Timestamp,
    draw: Option<&'a mut (dyn FnMut(u32) -> u32 + 'a)>,
    trace: Option<&'a mut Explanation>,
    removed: Option<&'a (dyn Fn(SocketAddr) -> Option<Removed> + 'a)>,
}

impl<'a> Context<'a> {
    /// A pick that happens at `now`, without injected randomness, unexplained.
    pub const fn new(now: Timestamp) -> Self {
        Self {
            now,
            draw: None,
            trace: None,
            removed: None,
        }
    }

    /// Takes random numbers from `draw`: called with a bound, it returns a number from 0 to that
    /// bound **inclusive**, each as likely as the others; what it returns above counts as the bound.
    #[must_use]
    pub fn with_draw(mut self, draw: &'a mut (dyn FnMut(u32) -> u32 + 'a)) -> Self {
        self.draw = Some(draw);
        self
    }

    /// Has each pick write into `explanation` why it was made.
    #[must_use]
    pub fn with_trace(mut self, explanation: &'a mut Explanation) -> Self {
        self.trace = Some(explanation);
        self
    }

    /// Answers what a removed destination is like of which the scheduler still
    /// [knows](crate::Scheduler::refers_to): `lblcr` compares those with the others. One of which
    /// nothing is known counts as weight 1 without connections.
    ///
    /// [`VirtualService`](crate::VirtualService) does this by itself.
    #[must_use]
    pub fn with_removed(
        mut self,
        removed: &'a (dyn Fn(SocketAddr) -> Option<Removed> + 'a),
    ) -> Self {
        self.removed = Some(removed);
        self
    }

    /// When the pick happens.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// A random number from 0 to `highest` inclusive, or `None` if no source was passed in.
    pub fn draw(&mut self, highest: u32) -> Option<u32> {
        let draw = self.draw.as_mut()?;
        Some(draw(highest).min(highest))
    }

    /// What the removed destination with this address is like.
    pub fn removed(&self, address: SocketAddr) -> Option<Removed> {
        self.removed?(address)
    }

    /// The same circumstances, for as long as they are lent.
    pub(crate) fn lend(&mut self) -> Context<'_> {
        Context {
            now: self.now,
            draw: match &mut self.draw {
                Some(draw) => Some(&mut **draw),
                None => None,
            },
            trace: self.trace.as_deref_mut(),
            removed: self.removed,
        }
    }

    /// Adds a step to the explanation, if the caller asked for one. For schedulers of your own.
    pub fn explain(&mut self, step: impl FnOnce() -> Step) {
        if let Some(explanation) = self.trace.as_mut() {
            explanation.push(step());
        }
    }

    /// The caller wants an explanation.
    pub(crate) const fn is_traced(&self) -> bool {
        self.trace.is_some()
    }

    /// Takes the explanation out, so that it and the rest can be borrowed at the same time.
    pub(crate) const fn take_trace(&mut self) -> Option<&'a mut Explanation> {
        self.trace.take()
    }

    pub(crate) const fn put_trace(&mut self, explanation: &'a mut Explanation) {
        self.trace = Some(explanation);
    }

    pub(crate) fn trace(&mut self) -> Option<&mut Explanation> {
        self.trace.as_deref_mut()
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("now", &self.now)
            .field("draw", &self.draw.is_some())
            .field("trace", &self.trace)
            .field("removed", &self.removed.is_some())
            .finish()
    }
}

/// A destination that was removed from its service while a scheduler still knows it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Removed {
    /// The weight it had last.
    pub weight: u32,
    /// Active connections it still has.
    pub active: u32,
    /// Inactive connections it still has.
    pub inactive: u32,
}

impl Removed {
    /// A removed destination with these values.
    pub const fn new(weight: u32, active: u32, inactive: u32) -> Self {
        Self {
            weight,
            active,
            inactive,
        }
    }
}
