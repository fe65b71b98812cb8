//! The wall clock is set; in the guest only, as it is everybody's.

use core::time::Duration;
use std::fs;
use std::process::Command;
use std::thread;

use lvs_vrrp::Version;

use crate::network::{Host, Switch, run};
use crate::process::Router;

/// The times of receipt are wall time, and nothing else is: nothing happens (`VRRP-207`).
#[test]
#[ignore = "sets the wall clock: runs in the guest alone"]
fn setting_the_wall_clock_has_no_effect() {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap();
    assert!(
        processor.contains("User Mode Linux"),
        "the wall clock is everybody's: only .ci/guest runs this"
    );
    let switch = Switch::new();
    let (one, other) = (Host::new("one"), Host::new("other"));
    switch.connect(&one, "eth0", &["192.0.2.1/24"]);
    switch.connect(&other, "eth0", &["192.0.2.2/24"]);
    let router = |priority| Router {
        interval: Duration::from_millis(300),
        ..Router::new(Version::V3, priority, "192.0.2.100")
    };
    let mut higher = router(200).start(&one);
    higher.until("Active");
    let mut lower = router(100).start(&other);
    lower.until("Backup");
    thread::sleep(Duration::from_secs(1));
    for set in ["-1 hour", "+2 hours", "-1 hour"] {
        run(Command::new("date").args(["-s", set]), "");
        thread::sleep(Duration::from_secs(2));
        assert!(
            one.holds("192.0.2.100") && !other.holds("192.0.2.100"),
            "{set}"
        );
    }
    // The first thing it says since.
    higher.stop();
    assert_eq!(lower.until("Active"), "Active\n");
    lower.stop();
}
