//! Networks of virtual routers, machine against machine: invariants over random networks, and over
//! every state that loss, a crash and a restart can lead to.
//!
//! | | Invariant | Where |
//! |---|---|---|
//! | 1, 2 | who is not Active sends nothing, resignations excepted | [`observer`] |
//! | 3 | addresses are installed and announced once on becoming Active, and removed once before leaving it is reported | [`observer`] |
//! | 4 | a Backup has a deadline, within the longest down interval | [`observer`] |
//! | 6 | a second tick does nothing | [`world`] |
//! | 7 | without loss exactly one ends up Active, nobody has a greater priority, nobody else sends | [`random`], [`exhaustive`] |
//! | 8 | without preemption an Active stays Active | [`random`], [`exhaustive`] |
//! | 9 | the owner ends up Active | [`random`], [`exhaustive`] |
//! | 11 | no panic, no endless exchange | all |
//!
//! Invariants 1 to 6 and 11 of one machine under arbitrary events, and 10, are in `tests/machine`.
//!
//! `VRRP_MODEL_CASES` sets the number of random networks, `VRRP_MODEL_DOWN_INTERVALS` how deep three
//! routers are searched.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod exhaustive;
mod observer;
mod random;
mod search;
mod seeded;
mod world;

/// A number from the environment.
fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}
