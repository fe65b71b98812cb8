//! A network of its own for a test: a namespace that goes away with the thread it belongs to.

use core::time::Duration;
use std::panic;
use std::process::Command;
use std::thread::{self, sleep};
use std::time::Instant;

use lvs_vrrp::InterfaceIndex;
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, unshare};

/// Longest wait for what takes milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a test on a thread that has a network namespace of its own, with `lo` up. What it opens and
/// which commands it starts is in there, too.
pub(crate) fn isolated<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace needs root");
            ip("link set lo up");
            test()
        });
        inside
            .join()
            .unwrap_or_else(|panic| panic::resume_unwind(panic))
    })
}

/// Runs `ip` with these arguments and gives what it prints.
pub(crate) fn ip(arguments: &str) -> String {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .expect("ip (package iproute2)");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Adds a pair of Ethernet devices that are connected and up, without IPv6 addresses of their own,
/// and gives the number of the first.
pub(crate) fn cable(one: &str, other: &str) -> InterfaceIndex {
    ip(&format!("link add {one} type veth peer name {other}"));
    // Not in one command: what comes up makes its addresses first.
    for settings in ["addrgenmode none", "up"] {
        for device in [one, other] {
            ip(&format!("link set {device} {settings}"));
        }
    }
    // The kernel notices carriers when it has time.
    for device in [one, other] {
        let start = Instant::now();
        while !ip(&format!("-o link show {device}")).contains("state UP") {
            assert!(start.elapsed() < PATIENCE, "{device} has no carrier");
            sleep(Duration::from_millis(10));
        }
    }
    index(one)
}

/// The number of a device.
pub(crate) fn index(device: &str) -> InterfaceIndex {
    InterfaceIndex::new(if_nametoindex(device).unwrap())
}
