//! Runs a program and watches what it writes, line by line.

use core::time::Duration;
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Longest wait for a line, or for the end after it was asked for: a guest, or a machine that runs
/// other tests as well, is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program; killed when dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    out: Lines,
    err: Lines,
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct End {
    /// Its exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

/// A stream read by a thread until it ends.
#[derive(Debug)]
struct Lines {
    shared: Arc<(Mutex<Vec<String>>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

impl Lines {
    fn read(stream: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let reader = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for line in BufReader::new(stream).lines() {
                    let line = line.unwrap();
                    lock(&shared.0).push(line);
                    shared.1.notify_all();
                }
            }
        });
        Self {
            shared,
            reader: Some(reader),
        }
    }

    fn all(&self) -> String {
        lock(&self.shared.0).join("\n")
    }

    /// Everything, once the stream has ended.
    fn rest(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.all()
    }
}

fn lock(lines: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Program {
    /// Starts a program with no input.
    pub(crate) fn start(command: &mut Command) -> Self {
        let spawned = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let out = Lines::read(child.stdout.take().unwrap());
        let err = Lines::read(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// Waits for a line on standard output in which something is found, and returns that.
    pub(crate) fn wait_for<T>(&self, mut find: impl FnMut(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let (lines, more) = &*self.out.shared;
        let mut lines = lock(lines);
        let mut seen = 0;
        loop {
            if let Some(found) = lines.iter().skip(seen).find_map(|line| find(line)) {
                return found;
            }
            seen = lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "not within {PATIENCE:?}:\n{}\n{}",
                lines.join("\n"),
                self.err.all()
            );
            let waited = more.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let process = Pid::from_raw(self.child.id().try_into().unwrap());
        kill(process, signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> End {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "no end within {PATIENCE:?}:\n{}\n{}",
                self.out.all(),
                self.err.all()
            );
            thread::sleep(Duration::from_millis(10));
        };
        End {
            code: status.code(),
            out: self.out.rest(),
            err: self.err.rest(),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
