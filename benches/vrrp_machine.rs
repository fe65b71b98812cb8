//! Steps of a virtual router's state machine: `cargo bench -p benches --bench vrrp_machine`.
//!
//! Each step is one event with its actions, looked at. The floor, in the same run: the same call
//! into a machine that has nothing to do.

use core::hint::black_box;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use lvs_vrrp::config::RouterConfig;
use lvs_vrrp::event::{Event, HeardAdvert};
use lvs_vrrp::{Actions, AddressList, Interval, Priority, Timestamp, Version, VirtualRouter, Vrid};

const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const SECOND: Duration = Duration::from_secs(1);

/// A router of priority 100, started at 0 with nobody else around.
fn router() -> Option<VirtualRouter> {
    let addresses = AddressList::new([IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100))]).ok()?;
    let mut router = VirtualRouter::new(RouterConfig::new(Vrid::new(10)?, addresses)).ok()?;
    let _ = router.handle(Timestamp::ZERO, Event::Source(Some(OWN)));
    let _ = router.handle(Timestamp::ZERO, Event::Startup);
    Some(router)
}

fn advert(received_at: Timestamp, priority: u8) -> Event {
    Event::Advert(HeardAdvert {
        received_at,
        source: OTHER,
        priority: Priority::new(priority),
        interval: Interval::DEFAULT,
        version: Version::V3,
    })
}

/// Reads all actions, as a driver does.
fn perform(actions: &Actions) {
    for action in actions {
        black_box(action);
    }
}

fn machine(criterion: &mut Criterion) {
    let Some(backup) = router() else { return };
    let mut active = backup.clone();
    let promoted = Duration::from_secs(4);
    let _ = active.handle(promoted, Event::Tick);
    let mut group = criterion.benchmark_group("machine step");

    group.bench_function("floor: tick with nothing due", |bencher| {
        let mut router = backup.clone();
        bencher.iter(|| perform(&router.handle(black_box(SECOND), Event::Tick)));
    });
    group.bench_function("backup hears the active", |bencher| {
        let (mut router, mut now) = (backup.clone(), Timestamp::ZERO);
        bencher.iter(|| {
            now += SECOND;
            perform(&router.handle(now, black_box(advert(now, 200))));
            router.next_deadline()
        });
    });
    group.bench_function("backup hears a losing router", |bencher| {
        let mut router = backup.clone();
        bencher.iter(|| {
            perform(&router.handle(SECOND, black_box(advert(SECOND, 50))));
            router.next_deadline()
        });
    });
    group.bench_function("active advertises", |bencher| {
        let (mut router, mut now) = (active.clone(), promoted);
        bencher.iter(|| {
            now += SECOND;
            perform(&router.handle(black_box(now), Event::Tick));
            router.next_deadline()
        });
    });
    group.bench_function("active answers a losing router", |bencher| {
        let (mut router, mut now) = (active.clone(), promoted);
        bencher.iter(|| {
            now += SECOND;
            perform(&router.handle(now, black_box(advert(now, 50))));
            router.next_deadline()
        });
    });
    group.bench_function("promotion and giving way", |bencher| {
        let (mut router, mut now) = (backup.clone(), Timestamp::ZERO);
        bencher.iter(|| {
            now += Duration::from_secs(10);
            perform(&router.handle(now, Event::Tick));
            perform(&router.handle(now, black_box(advert(now, 200))));
            router.next_deadline()
        });
    });
    group.finish();
}

criterion_group!(benches, machine);
criterion_main!(benches);
