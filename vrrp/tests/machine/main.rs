//! The state machine of one virtual router: traces, every cell of the tables of RFC 9568 §6.4 and of
//! the guard, changes while it runs, options, invariants over arbitrary events.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod changes;
mod configuration;
mod cost;
mod dual;
mod early;
mod guard;
mod options;
mod properties;
mod rig;
mod serving;
mod traces;
mod waiting;
