//! Administers IPVS as `ipvsadm` 1.31 does: the same options, output and exit codes.
//!
//! Try: `cargo run --example ipvsadm -- --help`, and as root, where the kernel has IPVS:
//!
//! ```text
//! ipvsadm -A -t 192.0.2.10:80 -s wrr
//! ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.11:8080 -m -w 3
//! ipvsadm -L -n
//! ipvsadm -S -n --with-thresholds > rules
//! ipvsadm -R < rules
//! ```
//!
//! Differences on purpose: messages are worded differently and name the offending option, `-S`
//! can keep connection thresholds, `-R` sends many lines at a time, and `--help` and `--version`
//! work where there is no IPVS.

mod arguments;
mod execute;
mod failure;
mod listing;
mod names;
mod restore;
mod save;
mod walk;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use arguments::Command;
use failure::Failure;
use names::Forward;
use restore::Restore;

fn main() -> ExitCode {
    // What is no UTF-8 names nothing that exists; it is refused like any other unknown name.
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let mut out = match stdout() {
        Ok(out) => out,
        Err(error) => {
            eprintln!("ipvsadm: cannot use standard output: {error}");
            return 1.into();
        }
    };
    let status = run(&mut out, &words);
    // What was written before a failure is wanted, too.
    let flushed = out.flush().map_err(Failure::from);
    match status.and_then(|status| flushed.map(|()| status)) {
        Ok(status) => status.into(),
        Err(failure) => {
            if !failure.is_silent() {
                eprintln!("ipvsadm: {failure}");
            }
            failure.status().into()
        }
    }
}

/// Standard output without the line buffer the standard library puts before it: a large table is
/// written in few pieces.
fn stdout() -> io::Result<BufWriter<File>> {
    let descriptor = io::stdout().as_fd().try_clone_to_owned()?;
    Ok(BufWriter::with_capacity(64 * 1024, descriptor.into()))
}

fn run(out: &mut dyn Write, words: &[String]) -> Result<u8, Failure> {
    let command = if words.is_empty() {
        Command::LIST_ALL
    } else {
        Command::read(words.iter().map(String::as_str), &mut Forward::default())?
    };
    match command {
        Command::Help => help(out)?,
        Command::Version => version(out)?,
        Command::Restore => {
            let input = io::stdin().lock();
            let mut client = execute::connect()?;
            return Ok(Restore::new(&mut client).run(out, input));
        }
        command => {
            let mut client = execute::connect()?;
            execute::execute(out, &mut client, command)?;
        }
    }
    Ok(0)
}

/// Prints what the options are.
fn help(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(include_bytes!("help.txt"))
}

/// Prints whose behaviour this is, and what it is made of.
fn version(out: &mut dyn Write) -> io::Result<()> {
    let package = env!("CARGO_PKG_VERSION");
    writeln!(out, "ipvsadm v1.31 (lvs-ipvs {package}, IPVS v1.2.1)")
}
