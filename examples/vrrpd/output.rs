//! Standard output: one thread prints, so that nobody else waits for who reads.

use core::time::Duration;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use director::vrrp::Names;

use crate::failure::Failure;
use crate::happening::{self, Journal};

/// For so long the end of the program waits for who reads.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Prints a text at once.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::Output)
}

/// The thread that prints.
pub(crate) struct Output {
    /// Nothing ever comes; it is closed when the thread has ended.
    ended: Receiver<()>,
}

impl Output {
    pub(crate) fn start(run: impl FnOnce() + Send + 'static) -> Result<Self, Failure> {
        let (running, ended) = mpsc::channel();
        let thread = thread::Builder::new().name("vrrpd-output".into());
        let started = thread.spawn(move || {
            run();
            drop(running);
        });
        started.map_err(|error| Failure::System("start a thread", error))?;
        Ok(Self { ended })
    }

    /// Waits for the last line, but not for ever for somebody who does not read.
    pub(crate) fn finish(&self) {
        let _: Result<(), _> = self.ended.recv_timeout(LAST_WAIT);
    }
}

/// Prints all that is told, an object a line, until the journal ends.
pub(crate) fn print_lines(journal: &Journal, names: &Names) {
    while let Some(entries) = journal.take(None) {
        let mut text = String::new();
        for entry in &entries {
            text.push_str(&happening::line(entry, names));
            text.push('\n');
        }
        // Virtual routers run whether somebody reads of them or not.
        let _ = print(&text);
    }
}
