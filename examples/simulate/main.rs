//! Plays traffic through the kernel's schedulers without a kernel: who is picked, why, and how
//! evenly.
//!
//! Try, from the top of the repository:
//!
//! ```text
//! cargo run --example simulate -- examples/simulate/scenarios/wlc.json
//! cargo run --example simulate -- --explain examples/simulate/scenarios/lblc.json
//! cargo run --release --example simulate -- --generate --compare rr,wlc,sh,mh,fewest --plot load.svg
//! cargo run --example simulate -- --help
//! ```
//!
//! `own.rs` shows how to plug in a scheduler of one's own.

mod account;
mod arguments;
mod choice;
mod compare;
mod failure;
mod figures;
mod generate;
mod own;
mod plot;
mod report;
mod sample;
mod traffic;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;
use failure::Failure;
use traffic::Traffic;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = match stdout() {
        Ok(out) => out,
        Err(error) => {
            eprintln!("simulate: cannot use standard output: {error}");
            return 1.into();
        }
    };
    let done = run(&arguments, &mut out);
    let flushed = out.flush().map_err(Failure::Output);
    match done.and(flushed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_silent() {
                eprintln!("simulate: {failure}");
            }
            failure.status().into()
        }
    }
}

/// Standard output without the line buffer the standard library puts before it: long runs print
/// many lines.
fn stdout() -> io::Result<BufWriter<File>> {
    let descriptor = io::stdout().as_fd().try_clone_to_owned()?;
    Ok(BufWriter::with_capacity(64 * 1024, descriptor.into()))
}

fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    let traffic = Traffic::new(arguments)?;
    if let Some(path) = &arguments.output {
        let scenario = traffic.record()?;
        write_file(path, scenario.to_json().as_bytes())?;
    }
    let choice = arguments.choice(traffic.base());
    if arguments.explain {
        return account::write(out, &traffic, choice);
    }
    let choices = match arguments.compare.as_slice() {
        [] => &[choice],
        several => several,
    };
    let comparison = compare::run(&traffic, choices, arguments)?;
    match (arguments.json, arguments.compare.is_empty()) {
        (true, true) => report::picks_as_json(out, &comparison)?,
        (true, false) => report::figures_as_json(out, &comparison)?,
        (false, true) => report::picks(out, &traffic, &comparison)?,
        (false, false) => report::figures(out, &comparison)?,
    }
    if let Some(path) = &arguments.plot {
        let image = plot::draw(&comparison).map_err(Failure::Plot)?;
        write_file(path, image.as_bytes())?;
    }
    Ok(())
}

fn write_file(path: &Path, content: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, content).map_err(|error| Failure::Write(path.to_owned(), error))
}
