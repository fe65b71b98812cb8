//! `director FILE` runs a keepalived.conf: health checks and virtual routers in, IPVS table out.
//!
//! Try: `cargo run --release --bin director`, without arguments and without privileges: a
//! demonstration that forwards connections on loopback. Then
//! `cargo run --release --bin director -- --for 20s --script 'at 5s stop 2, at 12s start 2'`.

mod arguments;
mod configuration;
mod demonstrate;
mod journal;
mod program;
mod reviewing;
mod told;

use core::fmt;
use std::process::ExitCode;

use clap::Parser as _;
use director::signals::Signals;

use arguments::Arguments;
use journal::Journal;

/// What ends the program early: a message, and the exit code for it.
struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// Something at run time.
    fn running(error: impl fmt::Display) -> Self {
        Self {
            message: error.to_string(),
            code: 1,
        }
    }

    /// Something about arguments or configuration.
    fn usage(error: impl fmt::Display) -> Self {
        Self {
            message: error.to_string(),
            code: 2,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut journal = Journal::new();
    // Before any thread, so that all of them leave the signals alone.
    let result = Signals::block()
        .map_err(Failure::running)
        .and_then(|signals| match arguments.file() {
            Some(file) => program::run(file, &arguments, signals, &mut journal),
            None => demonstrate::run(
                &arguments.demonstration,
                arguments.time,
                arguments.json,
                signals,
                &mut journal,
            ),
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            journal.error(&failure.message);
            ExitCode::from(failure.code)
        }
    }
}
