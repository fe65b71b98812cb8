//! Telling others what happens: commands one after the other, and lines in FIFOs.
//!
//! ```text
//! Director ─► Event ─► Book (pure) ─► Notice ─┬─► a thread ─► commands, in order for each service
//!                                             └─► Fifos ◄─ virtual routers
//! ```
//!
//! [`Fifos`] are of the whole process, as virtual routers write there, too; so is who runs a command.
//! The rest is about services and servers; of virtual routers [their
//! scripts](crate::vrrp::scripts) tell.
//!
//! | keepalived | Told of |
//! |---|---|
//! | `notify_up`, `notify_down` | a real server that is healthy now, or not any more |
//! | `quorum_up`, `quorum_down` | the quorum of a virtual server |
//! | `lvs_notify_fifo`, `notify_fifo` | both, as lines |
//!
//! The lines are keepalived's:
//!
//! ```text
//! RS [10.0.0.11]:tcp:80 [192.0.2.1]:tcp:80 DOWN
//! VS [192.0.2.1]:tcp:80 DOWN
//! ```
//!
//! With a group the service is `[NAME]:0`, with a mark `FWM 7`, and the protocol of its servers
//! `none`.
//!
//! keepalived starts commands at the same time, so that a fast change back may be told first. Here
//! those of one virtual server run one after the other, in the order of the events, each for at most
//! [`NOTIFY_TIMEOUT`]. They also find in their environment what they are told of:
//!
//! | Variable | Says |
//! |---|---|
//! | `LVS_EVENT` | the number of the [event](crate::director::Event), which only grows |
//! | `LVS_SUBJECT` | the line without its last word |
//! | `LVS_STATE`, `LVS_FROM` | `UP` or `DOWN`: what it is now, and was before |
//!
//! Nothing waits for a command or for somebody who reads a FIFO: [`Notifications::tell`] puts commands
//! into a queue. Each queue has its limit; what is left out is told of. At the end commands have
//! `child_wait_time` together, then they are killed.

pub(crate) mod account;
pub(crate) mod fifo;
mod notice;
pub(crate) mod queue;
pub(crate) mod run;
mod thread;

pub use notice::{Book, Notice};
pub use thread::{NOTIFY_TIMEOUT, Notifications, NotifyEvent};

pub use fifo::{FifoEvent, Fifos, Half};
pub use run::Ended;

#[cfg(test)]
mod tests;
