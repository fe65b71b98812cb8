//! How late a busy machine runs threads: what programs take longer for than they should.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// Between two looks at the clock.
const NAP: Duration = Duration::from_millis(5);

/// Measures on a thread of its own.
pub(crate) struct Lag {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Lag {
    pub(crate) fn measure() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let is_over = Arc::clone(&is_over);
            move || {
                let mut lag = Duration::ZERO;
                while !is_over.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    thread::sleep(NAP);
                    lag += start.elapsed().saturating_sub(NAP);
                }
                lag
            }
        });
        Self { is_over, thread }
    }

    /// All delays since the start.
    pub(crate) fn end(self) -> Duration {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
