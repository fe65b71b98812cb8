//! What a scheduler may know besides the destinations and the flow.
//!
//! Schedulers read no clock and own no source of randomness: the caller passes both in, so that a
//! recorded run can be replayed exactly.

use core::marker::PhantomData;
use core::time::Duration;

/// A point in time: time since boot on a clock that goes on during suspend (`CLOCK_BOOTTIME`).
///
/// Simulations may start at zero. Time never goes backwards; a value earlier than the last one
/// counts as equal to it.
pub type Timestamp = Duration;

/// The circumstances of one pick.
///
/// ```
/// use lvs_schedulers::Context;
/// use std::time::Duration;
///
/// let context = Context::new(Duration::from_secs(12));
/// assert_eq!(context.now(), Duration::from_secs(12));
/// ```
#[non_exhaustive]
#[derive(Debug)]
pub struct Context<'a> {
    now: Timestamp,
    /// Keeps room for what will be borrowed from the caller (injected draws, a trace) with the same
    /// variance and the same auto traits.
    borrowed: PhantomData<&'a mut (dyn FnMut(u32) -> u32 + 'a)>,
}

impl Context<'_> {
    /// A pick that happens at `now`.
    pub const fn new(now: Timestamp) -> Self {
        Self {
            now,
            borrowed: PhantomData,
        }
    }

    /// When the pick happens.
    pub const fn now(&self) -> Timestamp {
        self.now
    }
}
