//! What the program prints: one line for each thing that happens, with the time since the start.

use core::fmt;
use core::time::Duration;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Instant, SystemTime};

use director::run::RunStats;

/// Lines on standard output, errors on standard error; or all of it in a file.
#[derive(Debug)]
pub(crate) struct Journal {
    start: Instant,
    file: Option<File>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            file: None,
        }
    }

    /// From now on all goes to that file, which is written anew.
    pub(crate) fn write_to(&mut self, path: &Path) -> io::Result<()> {
        self.file = Some(File::create(path)?);
        Ok(())
    }

    /// When the program started.
    pub(crate) fn start(&self) -> SystemTime {
        let now = SystemTime::now();
        now.checked_sub(self.start.elapsed()).unwrap_or(now)
    }

    /// A line as it is.
    pub(crate) fn plain(&mut self, line: &(impl fmt::Display + ?Sized)) {
        // Nobody reads any more: there is nothing better to do with the line.
        let _ = match &mut self.file {
            Some(file) => writeln!(file, "{line}"),
            None => writeln!(io::stdout().lock(), "{line}"),
        };
    }

    /// Lines with the time in front.
    pub(crate) fn line(&mut self, line: &(impl fmt::Display + ?Sized)) {
        let time = self.start.elapsed().as_secs_f64();
        for line in line.to_string().lines() {
            self.plain(&format_args!("{time:9.3}  {line}"));
        }
    }

    /// A line on standard error.
    pub(crate) fn error(&mut self, line: &(impl fmt::Display + ?Sized)) {
        let _ = match &mut self.file {
            Some(file) => writeln!(file, "director: {line}"),
            None => writeln!(io::stderr().lock(), "director: {line}"),
        };
    }

    pub(crate) fn summary(&mut self, stats: &RunStats) {
        self.summary_after(self.start.elapsed(), stats);
    }

    /// What was done in that time.
    pub(crate) fn summary_after(&mut self, time: Duration, stats: &RunStats) {
        let time = time.as_secs_f64();
        self.plain(&format_args!(
            "\n{time:.1} s: {} attempts of checks, {} changes of the table, {} of them failed",
            stats.attempts,
            stats.changes + stats.failures,
            stats.failures
        ));
    }
}
