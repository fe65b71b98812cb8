//! More happens to links than a driver is told of.

use core::fmt::Write;
use core::time::Duration;

use lvs_vrrp::State;
use lvs_vrrp::event::ShutdownMode;
use lvs_vrrp::net::clock;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pair::{ADDRESS, network, router, watch};
use crate::process::Router;
use crate::running::Running;
use crate::watch::overlap;

/// So many changes find no room in the socket while the process stands still for a moment.
const CHANGES: u32 = 10_000;

/// It reads all again, and finds that its address was removed among what it was not told.
#[test]
#[ignore = "needs root, for network namespaces"]
fn what_an_active_was_not_told_it_finds_out() {
    let (_switch, one, other) = network();
    // Long enough that nobody takes over meanwhile.
    let slow = |priority| Router {
        interval: Duration::from_secs(2),
        ..router(priority)
    };
    let mut high = slow(200).start(&one);
    high.until("Active");
    let low = Running::start(&other, slow(100).driver());
    low.until_state(1, State::Backup);
    let watches = watch(&one, &other);
    let id = Pid::from_raw(i32::try_from(high.running.0.id()).unwrap());
    let mut changes = String::new();
    for _ in 0..CHANGES / 2 {
        changes.push_str("address add 198.51.100.1/32 dev eth0\n");
        changes.push_str("address del 198.51.100.1/32 dev eth0\n");
    }
    writeln!(changes, "address del {ADDRESS}/24 dev eth0").unwrap();
    let from = clock::now();
    kill(id, Signal::SIGSTOP).unwrap();
    one.ip(&changes);
    kill(id, Signal::SIGCONT).unwrap();
    let awake = clock::now();
    high.until("LinksReread");
    high.until(&format!("{ADDRESS} }})"));
    let restored = clock::now() - awake;
    assert!(one.holds(ADDRESS));
    assert_eq!(low.router(1).state, State::Backup);
    high.stop();
    low.until_state(1, State::Active);
    low.stop(ShutdownMode::Graceful);
    let both = overlap(&watches.0.end(), &watches.1.end());
    println!(
        "{CHANGES} changes within {:?}, not all told: the address was back {restored:?} later; held by \
         both for {both:?}",
        awake - from
    );
    assert!(both.is_zero(), "{both:?}");
}
