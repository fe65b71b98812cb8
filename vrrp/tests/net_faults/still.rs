//! A driver that stands still, with more interfaces than it is told of at once.

use core::fmt::Write;
use core::time::Duration;
use std::thread;
use std::time::Instant;

use lvs_vrrp::event::ShutdownMode;
use lvs_vrrp::net::{Driver, DriverConfig, RouterSetup};
use lvs_vrrp::node::RouterId;
use lvs_vrrp::receive::Versions;
use lvs_vrrp::{AddressList, Interval, Priority, RouterConfig, State, Version, Vrid};

use crate::network::holding::Holding;
use crate::network::{Host, PATIENCE, eventually};
use crate::running::Running;

const INTERFACES: u32 = 100;

fn config(priority: u8) -> DriverConfig {
    let mut driver = DriverConfig::new();
    for number in 0..INTERFACES {
        let address = format!("10.{number}.0.100").parse().unwrap();
        let router =
            RouterConfig::new(Vrid::new(51).unwrap(), AddressList::new([address]).unwrap())
                .with_versions(Versions::Only(Version::V3))
                .with_priority(Priority::new(priority))
                .with_interval(Interval::from_centiseconds(50).unwrap());
        let setup = RouterSetup::new(format!("e{number}"), router);
        driver = driver.with_router(RouterId::new(number), setup);
    }
    driver
}

fn connect(one: &Host, other: &Host) {
    let (mut near, mut far) = (String::new(), String::new());
    for number in 0..INTERFACES {
        let name = other.name();
        writeln!(
            near,
            "link add e{number} type veth peer name e{number} netns {name}"
        )
        .unwrap();
        writeln!(near, "address add 10.{number}.0.1/24 dev e{number}").unwrap();
        writeln!(far, "address add 10.{number}.0.2/24 dev e{number}").unwrap();
        for side in [&mut near, &mut far] {
            writeln!(side, "link set dev e{number} up").unwrap();
        }
    }
    one.ip(&near);
    other.ip(&far);
}

/// All that came in on any of them is heard before time passes for any.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_backup_at_many_interfaces_hears_them_all_first() {
    let (one, other) = (Host::new("one"), Host::new("other"));
    let observer = Host::new("observer");
    let holding = Holding::new(&observer);
    holding.add(&one);
    holding.add(&other);
    connect(&one, &other);
    let high = Running::start(&one, config(200));
    let active = || {
        let routers = high.handle.snapshot().unwrap().routers;
        let active = routers
            .iter()
            .filter(|router| router.state == State::Active);
        active.count()
    };
    eventually(active, |count| *count == INTERFACES as usize);
    let how = |driver: &mut Driver, state: State| {
        let handle = driver.handle();
        let asking = thread::spawn(move || handle.snapshot().unwrap());
        while !asking.is_finished() {
            assert!(driver.step(Some(Duration::from_millis(1))).unwrap());
        }
        let routers = asking.join().unwrap().routers;
        let there = routers.iter().filter(|router| router.state == state);
        there.count()
    };
    let flapped = other.enter(|| {
        let mut driver = Driver::new(config(100)).unwrap();
        let begun = Instant::now();
        while how(&mut driver, State::Backup) < INTERFACES as usize {
            assert!(begun.elapsed() < PATIENCE);
        }
        let settled = Instant::now();
        while settled.elapsed() < Duration::from_secs(1) {
            driver.step(Some(Duration::from_millis(10))).unwrap();
        }
        let events = driver.events(10_000);
        // As when the process is stopped.
        thread::sleep(Duration::from_secs(5));
        let awake = Instant::now();
        while awake.elapsed() < Duration::from_secs(1) {
            driver.step(Some(Duration::from_millis(10))).unwrap();
        }
        let happened: Vec<_> = core::iter::from_fn(|| events.try_next()).collect();
        assert_eq!(how(&mut driver, State::Backup), INTERFACES as usize);
        happened
    });
    assert!(flapped.is_empty(), "{flapped:#?}");
    high.stop(ShutdownMode::Graceful);
}
