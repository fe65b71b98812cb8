//! Waiting for what comes to be so.

use core::fmt::Debug;
use core::time::Duration;
use std::thread;
use std::time::Instant;

/// How long things may take to be gone on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is as wanted.
pub(super) fn settles<T: Debug + PartialEq>(what: &str, mut now: impl FnMut() -> T, wanted: T) {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = now();
        if found == wanted {
            return;
        }
        assert!(
            Instant::now() < end,
            "{what}: {found:?} instead of {wanted:?}"
        );
        thread::sleep(Duration::from_millis(5));
    }
}
