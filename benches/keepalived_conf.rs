//! Reading a keepalived.conf: `cargo bench -p benches --bench keepalived_conf`.
//!
//! 100 virtual servers with 100 real servers each, every one with a check. The floor is cutting
//! the same text into words.

use core::fmt::Write as _;
use core::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use director::keepalived::Config;

fn text() -> String {
    let mut text = String::new();
    for service in 1..=100 {
        let _ = writeln!(
            text,
            "virtual_server 192.0.2.{service} 80 {{\n  delay_loop 3\n  lb_algo wrr\n  \
             lb_kind NAT\n  protocol TCP"
        );
        for server in 1..=100 {
            let _ = writeln!(
                text,
                "  real_server 10.0.{service}.{server} 80 {{\n    weight {server}\n    \
                 TCP_CHECK {{ connect_timeout 3 }}\n  }}"
            );
        }
        text.push_str("}\n");
    }
    text
}

fn read(criterion: &mut Criterion) {
    let text = text();
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
