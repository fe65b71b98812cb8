//! Telling others what happens to services and servers: commands one after the other, and lines in
//! pipes.
//!
//! ```text
//! Director ─► Event ─► Book (pure) ─► Notice ─► a thread ─┬─► commands, in order for each service
//!                                                         └─► pipes
//! ```
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
//! Nothing waits for a command or for somebody who reads a pipe: [`Notifications::tell`] puts what is
//! to be told into a queue. Each queue has its limit; what is left out is told of.

mod notice;
mod thread;

pub use notice::{Book, Notice};
pub use thread::{NOTIFY_TIMEOUT, Notifications, NotifyEvent};

pub use crate::vrrp::scripts::Ended;

#[cfg(test)]
mod tests;
