//! What the program prints: one line for each thing that happens, with the time since the start.

use core::fmt;
use std::io::{self, Write as _};
use std::time::Instant;

use director::demo::Stats;
use director::run::{Happening, RunStats};

/// Lines on standard output, errors on standard error.
#[derive(Debug)]
pub(crate) struct Journal {
    start: Instant,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// A line as it is.
    #[expect(clippy::unused_self, reason = "one way to print for all")]
    pub(crate) fn plain(&mut self, line: &(impl fmt::Display + ?Sized)) {
        // Nobody reads any more: there is nothing better to do with the line.
        let _ = writeln!(io::stdout().lock(), "{line}");
    }

    /// Lines with the time in front.
    pub(crate) fn line(&mut self, line: &(impl fmt::Display + ?Sized)) {
        let time = self.start.elapsed().as_secs_f64();
        for line in line.to_string().lines() {
            self.plain(&format_args!("{time:9.3}  {line}"));
        }
    }

    pub(crate) fn happening(&mut self, happening: &Happening<'_>) {
        self.line(happening);
    }

    /// A line on standard error.
    #[expect(clippy::unused_self, reason = "one way to print for all")]
    pub(crate) fn error(&mut self, line: &(impl fmt::Display + ?Sized)) {
        let _ = writeln!(io::stderr().lock(), "director: {line}");
    }

    pub(crate) fn summary(&mut self, stats: &RunStats) {
        let time = self.start.elapsed().as_secs_f64();
        self.plain(&format_args!(
            "\n{time:.1} s: {} attempts of checks, {} changes of the table, {} of them failed",
            stats.attempts,
            stats.changes + stats.failures,
            stats.failures
        ));
    }

    pub(crate) fn forwarded(&mut self, stats: &Stats) {
        self.plain(&format_args!(
            "{} connections accepted, {} at once at most; {} without a server, {} refused",
            stats.accepted, stats.peak_open, stats.no_destination, stats.refused
        ));
        for server in &stats.destinations {
            let (address, weight) = (server.address, server.weight);
            let picked = server.picked;
            self.plain(&format_args!(
                "  {address} (weight {weight}): {picked} connections"
            ));
        }
    }
}
