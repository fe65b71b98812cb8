//! The director's core with 10,000 real servers: `cargo bench -p benches --bench director_core`.
//!
//! 100 virtual servers with 100 real servers each, every one with a check. The floor of everything
//! that makes the whole table is copying one.

#![expect(clippy::expect_used, reason = "a bench, with a setup of its own")]

use core::hint::black_box;
use core::time::Duration;

use benches::ten_thousand_real_servers;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use director::Director;
use director::director::{Batch, CheckNumber, Finding};
use director::keepalived::Config;
use director::setup::Setup;
use lvs_healthcheck::policy::Health;
use lvs_healthcheck::{Code, Outcome, Phase};
use lvs_ipvs::Table;

fn setup() -> Setup {
    Setup::new(&Config::parse("bench.conf", &ten_thousand_real_servers()))
}

/// All servers are up, and everything is told.
fn director(setup: &Setup, found: &Table) -> Director {
    let mut director = Director::new(NOW, setup, found).expect("a valid setup");
    let checks: Vec<_> = director.checks().map(|(check, _)| check).collect();
    for check in &checks {
        say(&mut director, *check, Health::Up);
    }
    director.settle(NOW, &mut Batch::new());
    director
}

const NOW: Duration = Duration::from_secs(1000);

fn say(director: &mut Director, check: CheckNumber, health: Health) {
    let outcome = Outcome::new(Code::Ok, Phase::Connect);
    let finding = Finding {
        health,
        change: None,
        hint: None,
        no_new: false,
        admin: None,
        hint_changed: false,
        log: false,
        is_local: false,
        outcome: &outcome,
    };
    director.report(NOW, check, finding);
}

fn core(criterion: &mut Criterion) {
    let setup = setup();
    let start = director(&setup, &Table::new());
    let checks: Vec<_> = start.checks().map(|(check, _)| check).collect();
    let table = start.desired();
    let mut group = criterion.benchmark_group("10,000 real servers");
    group.sample_size(20);

    let (mut director, mut batch, mut turn) = (start.clone(), Batch::new(), 0_usize);
    let check = |turn: usize| checks.get(turn % checks.len()).copied().expect("a check");
    group.bench_function("one report of nothing new, settled", |bencher| {
        bencher.iter(|| {
            turn += 1;
            say(&mut director, check(turn), Health::Up);
            director.settle(NOW, &mut batch);
        });
    });
    group.bench_function("one server down, settled, and up, settled", |bencher| {
        bencher.iter(|| {
            turn += 1;
            for health in [Health::Down, Health::Up] {
                say(&mut director, check(turn), health);
                director.settle(NOW, &mut batch);
            }
        });
    });
    group.bench_function("the desired table", |bencher| {
        bencher.iter(|| director.desired());
    });
    group.bench_function("floor: a table copied", |bencher| {
        bencher.iter(|| black_box(&table).clone());
    });
    group.bench_function("a reload with nothing changed, settled", |bencher| {
        bencher.iter_batched_ref(
            || start.clone(),
            |director| {
                director.reload(NOW, &setup).expect("a valid setup");
                director.settle(NOW, &mut batch);
            },
            BatchSize::LargeInput,
        );
    });
    group.bench_function("a start with a table to take over, settled", |bencher| {
        bencher.iter(|| {
            let mut director = Director::new(NOW, &setup, black_box(&table));
            director
                .as_mut()
                .expect("a valid setup")
                .settle(NOW, &mut batch);
        });
    });
}

criterion_group!(benches, core);
criterion_main!(benches);
