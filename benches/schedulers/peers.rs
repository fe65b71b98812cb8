//! What the registry has for the same job, and the floor.

use core::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use maglev::{ConsistentHasher, Maglev};
use pingora_ketama::{Bucket, Continuum};
use weighted_rs::{RoundrobinWeight, SmoothWeight, Weight};

use crate::servers::{Keys, Weights, address};

/// The hash rings of more take seconds to build.
pub(crate) const SIZES: [u32; 3] = [10, 100, 1_000];

/// The hash ring that pingora's consistent balancing is made of.
fn ketama(criterion: &mut Criterion, weights: Weights, servers: u32) {
    let numbered = (0..).zip(weights.of(servers));
    let buckets: Vec<_> = numbered
        .map(|(number, weight)| Bucket::new(address(number), weight))
        .collect();
    let (ring, mut keys) = (Continuum::new(&buckets), Keys::default());
    bench(criterion, "peer: pingora-ketama", weights, servers, || {
        ring.node(black_box(keys.next()))
    });
}

/// The next item of a weighted-rs rotation, whose items are numbers.
fn rotation(
    criterion: &mut Criterion,
    mut rotation: impl Weight<Item = u32>,
    name: &str,
    weights: Weights,
    servers: u32,
) {
    for (number, weight) in (0..).zip(weights.of(servers)) {
        rotation.add(number, isize::try_from(weight).unwrap_or(isize::MAX));
    }
    bench(criterion, name, weights, servers, || rotation.next());
}

pub(crate) fn bench<T>(
    criterion: &mut Criterion,
    name: &str,
    weights: Weights,
    servers: u32,
    pick: impl FnMut() -> T,
) {
    let mut group = criterion.benchmark_group(weights.title());
    let mut pick = pick;
    group.bench_function(BenchmarkId::new(name, servers), |bencher| {
        bencher.iter(&mut pick);
    });
}

pub(crate) fn picks(criterion: &mut Criterion) {
    for weights in Weights::ALL {
        for servers in SIZES {
            ketama(criterion, weights, servers);
            let lvs = RoundrobinWeight::new();
            rotation(criterion, lvs, "peer: weighted-rs wrr", weights, servers);
            let smooth = SmoothWeight::new();
            rotation(
                criterion,
                smooth,
                "peer: weighted-rs smooth",
                weights,
                servers,
            );
        }
    }
    // It knows no weights.
    for servers in SIZES {
        let table = Maglev::new((0..servers).map(address));
        let mut keys = Keys::default();
        let name = "peer: maglev";
        bench(criterion, name, Weights::Uniform, servers, || {
            table.get(black_box(keys.next())).copied()
        });
    }
    let (mut next, servers) = (0, 100);
    bench(
        criterion,
        "floor: a counter",
        Weights::Uniform,
        servers,
        || {
            next = if next + 1 < black_box(servers) {
                next + 1
            } else {
                0
            };
            next
        },
    );
}
