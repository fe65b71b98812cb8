//! Picks of the schedulers: `cargo bench -p benches --bench schedulers`.
//!
//! Every pick is one call of `VirtualService::schedule` for another client and another virtual
//! address. Destinations have weight 1 ("uniform") or Zipf weights, and 1 to 8 active connections, so
//! that walks go to the end. Peers from the registry and the floor, a counter that wraps, are in the
//! same run; of the pingora balancers only the selector is measured, not the health look-ups.

mod pick;
mod servers;

use core::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

/// Hundreds of figures: a second each.
fn config() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(700))
        .sample_size(20)
        .without_plots()
}

criterion_group! {
    name = benches;
    config = config();
    targets = pick::picks
}
criterion_main!(benches);
