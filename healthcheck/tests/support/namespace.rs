//! Work in a network namespace of its own.

use std::panic::resume_unwind;
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, unshare};

/// Runs on a thread with a network namespace of its own, which goes with the thread.
pub(super) fn in_namespace<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        run("ip link set lo up");
        work()
    });
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Runs a command line in this thread's namespace.
pub(super) fn run(line: &str) {
    let mut words = line.split_whitespace();
    let status = Command::new(words.next().unwrap()).args(words).status();
    let status = status.unwrap_or_else(|error| panic!("{line}: {error}"));
    assert!(status.success(), "{line}");
}
