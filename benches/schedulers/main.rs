//! Picks of the schedulers: `cargo bench -p benches --bench schedulers`.
//!
//! Every pick is one call of `VirtualService::schedule`, for another client than the last. Every
//! destination has 1 to 8 active connections, so no walk ends early. Peers from the registry and the
//! floor, a counter that wraps, are in the same run, and so is building the table of mh.
//!
//! One peer, pingora-load-balancing, needs CMake and a minute to build, so it is left out unless asked
//! for: `RUSTFLAGS='--cfg pingora' cargo bench -p benches --bench schedulers`.

mod build;
mod peers;
mod pick;
#[cfg(pingora)]
mod pingora;
mod servers;

use core::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

/// Hundreds of figures, so a second for each.
fn config() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(700))
        .sample_size(20)
        .without_plots()
}

fn all(criterion: &mut Criterion) {
    pick::picks(criterion);
    peers::picks(criterion);
    #[cfg(pingora)]
    pingora::picks(criterion);
    build::tables(criterion);
}

criterion_group! {
    name = benches;
    config = config();
    targets = all
}
criterion_main!(benches);
