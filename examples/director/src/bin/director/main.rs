//! `director FILE` runs a keepalived.conf: health checks and virtual routers in, IPVS table out.
//!
//! Try: `cargo run --release --bin director`, without arguments and without privileges: a
//! demonstration that forwards connections on loopback. Then
//! `cargo run --release --bin director -- --for 20s --script 'at 5s stop 2, at 12s start 2'`.

mod arguments;
mod configuration;
#[cfg(feature = "demonstration")]
mod demonstration_view;
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
    if let Some(log) = arguments.log()
        && let Err(error) = journal.write_to(log)
    {
        journal.error(&format_args!("--check={}: {error}", log.display()));
        return ExitCode::from(2);
    }
    // Before any thread, so that all of them leave the signals alone.
    let result = Signals::block()
        .map_err(Failure::running)
        .and_then(|signals| match arguments.file() {
            Some(file) => program::run(file, &arguments, signals, &mut journal),
            None => demonstrate(&arguments, signals, &mut journal),
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            journal.error(&failure.message);
            ExitCode::from(failure.code)
        }
    }
}

#[cfg(feature = "demonstration")]
fn demonstrate(
    arguments: &Arguments,
    signals: Signals,
    journal: &mut Journal,
) -> Result<(), Failure> {
    let (time, is_json) = (arguments.time, arguments.json);
    demonstration_view::run(&arguments.demonstration, time, is_json, signals, journal)
}

#[cfg(not(feature = "demonstration"))]
fn demonstrate(_: &Arguments, _: Signals, _: &mut Journal) -> Result<(), Failure> {
    Err(Failure::usage(
        "FILE is missing: this was built without the feature `demonstration`, which needs none",
    ))
}

#[cfg(all(test, not(feature = "demonstration")))]
mod tests {
    use super::*;

    #[test]
    fn without_the_demonstration_a_file_is_needed() {
        let arguments = Arguments::try_parse_from(["director"]).unwrap();
        let signals = Signals::none().unwrap();
        let failure = demonstrate(&arguments, signals, &mut Journal::new()).unwrap_err();
        assert!(failure.message.contains("feature `demonstration`"));
        assert_eq!(failure.code, 2);
    }
}
