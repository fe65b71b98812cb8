//! Building the table of mh, by which every change of the list is followed.

use core::hint::black_box;
use core::time::Duration;

use criterion::{BenchmarkId, Criterion};
use lvs_schedulers::{Addressed, Algorithm, Candidate, Scheduler, Semantics};

use maglev::Maglev;

use crate::servers::{Weights, address};

struct Server {
    number: u32,
    weight: u32,
}

impl Candidate for Server {
    fn weight(&self) -> u32 {
        self.weight
    }
}

impl Addressed for Server {
    fn address(&self) -> core::net::SocketAddr {
        address(self.number)
    }
}

const SLOTS: usize = 4_093;

pub(crate) fn tables(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("table of 4,093 slots");
    for servers in [10, 100, 1_000] {
        for weights in Weights::ALL {
            let list: Vec<_> = (0..)
                .zip(weights.of(servers))
                .map(|(number, weight)| Server { number, weight })
                .collect();
            let mut mh: Box<dyn Scheduler<Server>> = Algorithm::Mh.scheduler(Semantics::LINUX_6_1);
            let name = format!("mh, {}", weights.title());
            group.bench_function(BenchmarkId::new(name, servers), |bencher| {
                bencher.iter(|| mh.bind(black_box(&list), Duration::ZERO));
            });
        }
        let nodes: Vec<_> = (0..servers).map(address).collect();
        group.bench_function(BenchmarkId::new("peer: maglev", servers), |bencher| {
            bencher.iter_with_large_drop(|| Maglev::with_capacity(nodes.iter(), SLOTS));
        });
    }
}
