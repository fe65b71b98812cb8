//! Reading `/proc/net/ip_vs_conn`: `cargo bench -p benches --bench ipvs_connections`.
//!
//! 100,000 rows, a tenth of them IPv6 and a tenth templates. The floor is splitting the same bytes
//! into lines, as any reader must.

use core::fmt::Write as _;
use core::hint::black_box;
use std::io::BufRead;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lvs_ipvs::Destination;
use lvs_ipvs::procfs::Connections;

const ROWS: u32 = 100_000;

fn text() -> String {
    let mut text = String::from(
        "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n",
    );
    for row in 0..ROWS {
        let server = 0x0a02_0001 + row % 100;
        let port = row % 60_000 + 1_024;
        let _ = match row % 10 {
            0 => writeln!(
                text,
                "TCP fd00:0001:0000:0000:0000:0000:{:04x}:0002 {port:04X} \
                 fd00:0000:0000:0000:0000:0000:0000:0010 0050 \
                 fd00:0002:0000:0000:0000:0000:0000:0002 1F90 ESTABLISHED     897",
                row % 0xffff,
            ),
            1 => writeln!(
                text,
                "TCP {row:08X} 0000 C000020A 0050 {server:08X} 1F90 ASSURED         297"
            ),
            2 | 3 => writeln!(
                text,
                "UDP {row:08X} {port:04X} C000020A 0035 {server:08X} 0035 UDP             297"
            ),
            _ => writeln!(
                text,
                "TCP {row:08X} {port:04X} C000020A 0050 {server:08X} 1F90 ESTABLISHED     897"
            ),
        };
    }
    text
}

fn read(criterion: &mut Criterion) {
    let text = text();
    let mut group = criterion.benchmark_group("100,000 connections");
    group.throughput(Throughput::Elements(ROWS.into()));
    group.sample_size(10);
    group.bench_function("rows", |bencher| {
        bencher.iter(|| {
            let mut rows = Connections::new(black_box(text.as_bytes()));
            let mut count = 0_u32;
            while let Some(row) = rows.next_row() {
                count += u32::from(row.is_ok_and(|row| row.connection.state.is_active()));
            }
            count
        });
    });
    group.bench_function("values", |bencher| {
        let rows = || Connections::new(black_box(text.as_bytes()));
        bencher.iter(|| rows().filter(Result::is_ok).count());
    });
    group.bench_function("tally of one server", |bencher| {
        let server = Destination::masquerade(([10, 2, 0, 7], 8080).into()).key();
        bencher.iter(|| {
            let rows = Connections::new(black_box(text.as_bytes()));
            rows.tally(|row| row.connection.is_to(&server)).is_ok()
        });
    });
    group.bench_function("floor: lines", |bencher| {
        let mut line = Vec::new();
        bencher.iter(|| {
            let mut reader = black_box(text.as_bytes());
            let mut count = 0_u32;
            loop {
                line.clear();
                match reader.read_until(b'\n', &mut line) {
                    Ok(0) | Err(_) => break count,
                    Ok(_) => count += u32::from(black_box(&line).len() > 80),
                }
            }
        });
    });
}

criterion_group!(benches, read);
criterion_main!(benches);
