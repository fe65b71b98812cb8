//! A router at work, whichever program it is.

use core::fmt::Debug;

/// What a router says that it sent and heard.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counters {
    pub(crate) sent: u64,
    /// Advertisements heard, whether accepted or not.
    pub(crate) received: u64,
    /// Those it refused, and other errors.
    pub(crate) errors: u64,
    /// How often it became Active.
    pub(crate) times_active: u64,
    /// Advertisements of priority 0, where they are counted.
    pub(crate) resignations_sent: Option<u64>,
    pub(crate) resignations_received: Option<u64>,
}

/// A program that runs a virtual router. It ends when the value is dropped.
pub(crate) trait Router: Debug {
    /// Its end without a last word.
    fn kill(&mut self);
    /// Its orderly end, which resigns. Waits for it.
    fn resign(&mut self);
    /// What it counted until now.
    fn counters(&mut self) -> Counters;
    /// The processes that take part in it; their children do, too.
    fn processes(&self) -> Vec<u32>;
}
