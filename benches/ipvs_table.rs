//! Whole tables: `cargo bench -p benches --bench ipvs_table`.
//!
//! Planning, between tables of 10,000 services with 10 destinations each, is pure. Sending and
//! reading go through session and client to the memory kernel, so they show what this side costs
//! and contain what the memory kernel costs; the floor next to sending is encoding the same
//! requests.

use core::hint::black_box;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use lvs_ipvs::wire::{FamilyId, encode_request};
use lvs_ipvs::{
    Actual, Change, Client, Desired, Destination, DestinationOrder, Plan, Policy, Request,
    Scheduler, Scope, Snapshot, Table, VirtualService,
};

const SERVERS: u8 = 10;

/// A table of that many services; `destination` makes the destinations of each.
fn table(services: u16, destination: impl Fn(u16, u8) -> Destination) -> Table {
    let mut table = Table::new();
    for number in 1..=services {
        let service = VirtualService::tcp(([192, 0, 2, 1], number).into());
        let servers = (1..=SERVERS).map(|host| destination(number, host));
        table.insert(service.with_scheduler(Scheduler::Wrr), servers);
    }
    table
}

fn server(service: u16, host: u8) -> Destination {
    Destination::masquerade(([10, 0, 0, host], service).into())
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

/// What the desired table differs in from the one there is: ten weights of one service, every
/// weight, every destination, the order of every service's destinations.
fn plan(criterion: &mut Criterion) {
    const SERVICES: u16 = 10_000;
    let present = Snapshot::from(&table(SERVICES, server));
    let mut group = criterion.benchmark_group("plan of 110,000 entries");
    group.throughput(Throughput::Elements(110_000));
    group.sample_size(20);
    let heavy = |service, host| server(service, host).with_weight(2);
    let other = |service, host| server(service, host + SERVERS);
    let reverse = |service, host| server(service, SERVERS + 1 - host);
    let policy = Policy::new(Scope::all());
    let ordered = policy.clone().with_order(DestinationOrder::Exact);
    let mut bench = |name, present: &Snapshot, desired: &Table, policy: &Policy| {
        group.bench_function(name, |bencher| {
            // What dropping a plan costs is not planning.
            bencher.iter_with_large_drop(|| {
                Plan::new(Actual(black_box(present)), Desired(desired), policy)
            });
        });
    };
    let some = table(SERVICES, |service, host| match service {
        1 => heavy(service, host),
        _ => server(service, host),
    });
    bench("nothing to do", &present, &table(SERVICES, server), &policy);
    bench("ten weights", &present, &some, &policy);
    bench("every weight", &present, &table(SERVICES, heavy), &policy);
    bench(
        "every destination",
        &present,
        &table(SERVICES, other),
        &policy,
    );
    bench(
        "order of all",
        &present,
        &table(SERVICES, reverse),
        &ordered,
    );
    bench(
        "everything is missing",
        &Snapshot::default(),
        &some,
        &policy,
    );
}

fn client(criterion: &mut Criterion) {
    let table = table(1000, server);
    let changes = changes(&table);
    let requests: Vec<Request> = changes.iter().cloned().map(Request::from).collect();
    let mut group = criterion.benchmark_group("11,000 entries, memory kernel");
    group.throughput(Throughput::Elements(11_000));
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
