//! Standard output: one thread prints, so that nobody else waits for who reads.

use std::io::{self, Write};
use std::thread::{self, JoinHandle};

use crate::failure::Failure;
use crate::happening;
use crate::journal::Journal;
use crate::names::Names;

/// Prints a text at once.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::Output)
}

/// Prints all that is told, an object a line, until the journal ends or nobody reads.
pub(crate) fn print_lines(journal: Journal, names: Names) -> Result<JoinHandle<()>, Failure> {
    let thread = thread::Builder::new().name("vrrpd-output".into());
    let started = thread.spawn(move || {
        while let Some(entries) = journal.take(None) {
            let mut text = String::new();
            for entry in &entries {
                text.push_str(&happening::line(entry, &names));
                text.push('\n');
            }
            // Virtual routers run whether somebody reads of them or not.
            let _ = print(&text);
        }
    });
    started.map_err(|error| Failure::System("start a thread", error))
}
