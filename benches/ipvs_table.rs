//! A table of 1,000 services with 10 destinations each: `cargo bench -p benches --bench ipvs_table`.
//!
//! Planning is pure. Sending and reading go through session and client to the memory kernel, so
//! they show what this side costs and contain what the memory kernel costs; the floor next to
//! sending is encoding the same requests.

use core::hint::black_box;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use lvs_ipvs::wire::{FamilyId, encode_request};
use lvs_ipvs::{
    Actual, Change, Client, Desired, Destination, Plan, Policy, Request, Scheduler, Scope,
    Snapshot, Table, VirtualService,
};

const SERVICES: u16 = 1000;
const SERVERS: u8 = 10;
/// Services and destinations.
const ENTRIES: u64 = 11_000;

/// The table; `weight` is that of the first destination of the first service.
fn table(weight: u32) -> Table {
    let mut table = Table::new();
    for number in 1..=SERVICES {
        let service = VirtualService::tcp(([192, 0, 2, 1], number).into());
        let weight = if number == 1 { weight } else { 1 };
        let servers = (1..=SERVERS).map(|host| {
            let server = Destination::masquerade(([10, 0, 0, host], number).into());
            server.with_weight(if host == 1 { weight } else { 1 })
        });
        table.insert(service.with_scheduler(Scheduler::Wrr), servers);
    }
    table
}

fn changes(table: &Table) -> Vec<Change> {
    let mut changes = Vec::new();
    for entry in table.services() {
        changes.push(Change::AddService(entry.service.clone()));
        for server in &entry.destinations {
            changes.push(Change::AddDestination(entry.service.key(), server.clone()));
        }
    }
    changes
}

fn plan(criterion: &mut Criterion) {
    let (present, other) = (Snapshot::from(&table(1)), table(2));
    let same = table(1);
    let policy = Policy::new(Scope::all());
    let mut group = criterion.benchmark_group("plan of 11,000 entries");
    group.throughput(Throughput::Elements(ENTRIES));
    for (name, desired) in [("nothing to do", &same), ("one weight differs", &other)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| Plan::new(Actual(black_box(&present)), Desired(desired), &policy));
        });
    }
    group.bench_function("everything is missing", |bencher| {
        let empty = Snapshot::default();
        bencher.iter(|| Plan::new(Actual(black_box(&empty)), Desired(&same), &policy));
    });
}

fn client(criterion: &mut Criterion) {
    let table = table(1);
    let changes = changes(&table);
    let requests: Vec<Request> = changes.iter().cloned().map(Request::from).collect();
    let mut group = criterion.benchmark_group("11,000 entries, memory kernel");
    group.throughput(Throughput::Elements(ENTRIES));
    group.sample_size(10);
    group.bench_function("execute", |bencher| {
        bencher.iter_batched(
            || (Client::in_memory(), changes.clone()),
            |(client, changes)| client.and_then(|mut client| client.execute(changes)),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("execute, floor: encode", |bencher| {
        let mut buffer = BytesMut::with_capacity(4 << 20);
        bencher.iter(|| {
            buffer.clear();
            for (sequence, request) in (0..).zip(&requests) {
                encode_request(&mut buffer, FamilyId::new(28), sequence, request);
            }
            black_box(&buffer);
        });
    });
    group.bench_function("snapshot, read twice", |bencher| {
        let filled = Client::in_memory().and_then(|mut client| {
            let report = client.execute(changes.clone())?;
            black_box(report.is_success());
            Ok(client)
        });
        let Ok(mut filled) = filled else { return };
        bencher.iter(|| black_box(filled.snapshot()));
    });
}

criterion_group!(benches, plan, client);
criterion_main!(benches);
