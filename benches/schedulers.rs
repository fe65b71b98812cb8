//! Picks of the schedulers: `cargo bench -p benches --bench schedulers`.
//!
//! Weights are 1 to 5, repeating. The floor is a counter that wraps.

use core::hint::black_box;
use core::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lvs_schedulers::{Algorithm, Context, Destination, Flow, Semantics, VirtualService};

fn service(algorithm: Algorithm, servers: u16) -> VirtualService {
    let mut service = VirtualService::new(algorithm, Semantics::LINUX_6_1);
    for (number, weight) in (1..=servers).zip((1..=5).cycle()) {
        let [high, low] = number.to_be_bytes();
        let server = Destination::new(([10, 0, high, low], 80).into()).with_weight(weight);
        // The addresses differ, so none is refused.
        let _ = black_box(service.add(server));
    }
    service
}

fn picks(criterion: &mut Criterion) {
    let flow = Flow::tcp(([192, 0, 2, 7], 40_000).into(), ([192, 0, 2, 1], 80).into());
    let mut group = criterion.benchmark_group("pick");
    for servers in [10, 100, 1000] {
        for algorithm in [Algorithm::Rr, Algorithm::Wrr] {
            let mut service = service(algorithm, servers);
            let mut context = Context::new(Duration::ZERO);
            let id = BenchmarkId::new(algorithm.name(), servers);
            group.bench_function(id, |bencher| {
                bencher.iter(|| service.schedule(black_box(&flow), &mut context));
            });
        }
        group.bench_function(BenchmarkId::new("floor: counter", servers), |bencher| {
            let mut next = 0;
            bencher.iter(|| {
                next = if next + 1 < black_box(servers) {
                    next + 1
                } else {
                    0
                };
                next
            });
        });
    }
}

criterion_group!(benches, picks);
criterion_main!(benches);
