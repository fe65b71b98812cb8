//! How late attempts are, beside how late this machine lets anybody be.

#![expect(clippy::print_stdout, reason = "what is measured is printed")]

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::fs;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// How late an attempt may be on a machine that does nothing else.
const IDLE: Duration = Duration::from_millis(20);

/// How long a sleep beside the attempts is meant to take.
const SLEEP: Duration = Duration::from_millis(2);

/// Watches the machine while something runs.
#[derive(Debug)]
pub(super) struct Watch {
    over: Arc<AtomicBool>,
    sleeper: JoinHandle<Vec<Duration>>,
    waited: Duration,
    stolen: Duration,
}

impl Watch {
    /// Begins. What is watched has to run on this thread.
    pub(super) fn start() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let until = over.clone();
        let sleeper = thread::spawn(move || {
            let mut late = Vec::new();
            while !until.load(Ordering::Relaxed) {
                let begin = Instant::now();
                thread::sleep(SLEEP);
                late.push(begin.elapsed().saturating_sub(SLEEP));
            }
            late
        });
        Self {
            over,
            sleeper,
            waited: waited(),
            stolen: stolen(),
        }
    }

    /// Ends. Prints how late these attempts were beside the machine itself, and refuses them if that
    /// does not explain it.
    pub(super) fn judge(self, what: &str, mut late: Vec<Duration>) {
        let (waited, stolen) = (waited() - self.waited, stolen() - self.stolen);
        self.over.store(true, Ordering::Relaxed);
        let mut slept = self.sleeper.join().unwrap();
        let (p99, worst) = ranks(&mut late);
        let (usual, machine) = ranks(&mut slept);
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        println!(
            "{what}: {} attempts ran out of time, p99 {p99:.1?} late, worst {worst:.1?} \
             ({IDLE:?} wanted on an idle machine)",
            late.len()
        );
        println!(
            "{what}: beside them {} sleeps, p99 {usual:.1?} late, worst {machine:.1?}; the driver's thread \
             waited {waited:.1?} for a processor in all, {stolen:.1?} stolen; load {}",
            slept.len(),
            load.trim()
        );
        let allowed = IDLE + machine + waited + stolen;
        assert!(
            worst <= allowed,
            "{what}: {worst:?} late, {allowed:?} explained"
        );
    }
}

/// The 99th percentile and the worst.
fn ranks(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort_unstable();
    let at = |part: usize| times.get((times.len() * part / 100).min(times.len().wrapping_sub(1)));
    (
        at(99).copied().unwrap_or_default(),
        at(100).copied().unwrap_or_default(),
    )
}

/// How long this thread has been ready to run and did not.
fn waited() -> Duration {
    let numbers = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = numbers
        .split(' ')
        .nth(1)
        .and_then(|number| number.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

/// How long the host of this virtual machine has kept its processors for others.
fn stolen() -> Duration {
    let numbers = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Option<u64> = numbers
        .split_whitespace()
        .nth(8)
        .and_then(|ticks| ticks.parse().ok());
    Duration::from_millis(10 * ticks.unwrap_or_default())
}
