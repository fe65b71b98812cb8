//! Tables as text, in the format of `ipvsadm -S` and `ipvsadm -R`: one rule a line.
//!
//! ```text
//! -A -t 192.0.2.10:80 -s wlc -p 360
//! -a -t 192.0.2.10:80 -r 10.0.0.11:80 -m -w 1
//! ```
//!
//! [`Table`](crate::Table) prints as `ipvsadm -S -n` prints it, byte for byte.
//! [`Table::text`](crate::Table::text) gives the choice of what is written: `ipvsadm` loses
//! thresholds, the order of the destinations, and how to load marks from 2³¹ on.
//!
//! | You want to | Look at |
//! |---|---|
//! | write a table or a snapshot | [`TableText`] |
//! | write single rules, or names instead of numbers | [`Style`], [`Names`] |
//! | read a table or a change | `str::parse`, [`parse`] |
//! | list in the order of `ipvsadm` | [`sort_services`], [`sort_destinations`] |

mod command;
mod order;
pub mod parse;
mod rule;
mod write;

pub use order::{sort_destinations, sort_services};
pub use rule::{DestinationRule, Names, SchedulerFlags, ServiceRule, Style};
pub use write::TableText;
