//! A network namespace of its own, kept by a process in it.

use core::time::Duration;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

/// How long a busy machine may take for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process in a network namespace of its own; both end with this.
#[derive(Debug)]
pub(super) struct Elsewhere(Child);

impl Elsewhere {
    pub(super) fn new() -> Self {
        let own = fs::read_link("/proc/thread-self/ns/net").unwrap();
        let mut command = Command::new("unshare");
        command.args(["--net", "sleep", "600"]).stdin(Stdio::null());
        let elsewhere = Self(command.spawn().unwrap());
        let end = Instant::now() + PATIENCE;
        let theirs = format!("/proc/{}/ns/net", elsewhere.id());
        while fs::read_link(&theirs).unwrap() == own {
            assert!(Instant::now() < end, "unshare does not unshare");
            thread::sleep(Duration::from_millis(5));
        }
        elsewhere
    }

    /// The number of the process.
    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
