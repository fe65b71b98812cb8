//! One pick of each algorithm.

use core::hint::black_box;
use core::time::Duration;

use criterion::{BenchmarkId, Criterion};
use lvs_schedulers::{Algorithm, Context};

use crate::servers::{Clients, SIZES, Weights, service};

pub(crate) fn picks(criterion: &mut Criterion) {
    for weights in Weights::ALL {
        let mut group = criterion.benchmark_group(weights.title());
        for &algorithm in Algorithm::ALL {
            for servers in SIZES {
                let mut service = service(algorithm, weights, servers);
                let mut clients = Clients::default();
                let mut context = Context::new(Duration::ZERO);
                let id = BenchmarkId::new(algorithm.name(), servers);
                group.bench_function(id, |bencher| {
                    bencher.iter(|| service.schedule(black_box(clients.next()), &mut context));
                });
            }
        }
    }
}
