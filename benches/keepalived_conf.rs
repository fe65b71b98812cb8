//! Reading a keepalived.conf: `cargo bench -p benches --bench keepalived_conf`.
//!
//! 100 virtual servers with 100 real servers each, every one with a check. The floor is cutting
//! the same text into words.

use core::hint::black_box;

use benches::ten_thousand_real_servers;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use director::keepalived::Config;

fn read(criterion: &mut Criterion) {
    let text = ten_thousand_real_servers();
    let mut group = criterion.benchmark_group("10,000 real servers");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.sample_size(10);
    group.bench_function("read", |bencher| {
        bencher.iter(|| Config::parse("bench.conf", black_box(&text)));
    });
    group.bench_function("floor: words", |bencher| {
        bencher.iter(|| black_box(&text).split_whitespace().count());
    });
}

criterion_group!(benches, read);
criterion_main!(benches);
