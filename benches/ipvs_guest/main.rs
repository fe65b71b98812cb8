//! Loading and reading a big table: our `ipvsadm` against Debian's and against the floor, inside a
//! kernel with IPVS: `cargo bench -p benches --bench ipvs_guest`.
//!
//! Builds the tool `ipvsadm` of `examples/`, boots one guest (`.ci/guest`, see there for what it
//! needs) and measures in alternating rounds, each program as a process from start to end:
//!
//! | | Load 1,000 services × 10 destinations | Read them back with counters |
//! |---|---|---|
//! | original | `ipvsadm -R` | `ipvsadm -Ln --stats` |
//! | ours | `ipvsadm -R` | `ipvsadm -Ln --stats` |
//! | floor | the same requests, encoded beforehand, 64 per `send`; each answer read by a `recv` | a dump of services and one of each service's destinations; every attribute looked at |
//!
//! The floor is the least a program can do that sends many requests at once: no text, no
//! bookkeeping. It is another process of this bench, timed like the others and, between its first
//! and its last byte, by itself. Reading answers many at a time (`recvmmsg`), as our client does,
//! gets below it; that is shown beside. Peak memory is measured apart, in further runs.
//!
//! Each run has a network namespace of its own, with `lo` up. Loading is measured twice: into a
//! namespace that has never had a destination, as after boot, and again after all of them were
//! flushed. The kernel keeps what was removed for two minutes and searches all of it for each
//! destination that is added (`ip_vs_trash_get_dest`), which then takes most of the time.
//!
//! System calls of the guest cost many times those of a real kernel, so its figures are ratios.
//! Where other programs want the processors too, `chrt --fifo 5 cargo bench …` as root keeps them
//! out. Arguments: `-- --rounds N` (default 3), `-- --tool PROGRAM` for another `ipvsadm`.

#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(clippy::indexing_slicing, reason = "a bench fails by panicking")]

mod floor;
mod guest;
mod namespace;
mod process;
mod report;
mod table;

use core::error::Error;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

type Result<T> = core::result::Result<T, Box<dyn Error>>;

/// What the command line asks for.
struct Arguments {
    rounds: usize,
    tool: Option<PathBuf>,
    // Not when other benches were chosen by name.
    wanted: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("ipvs_guest: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[OsString]) -> Result<()> {
    // First what this program starts of itself.
    match arguments.first().and_then(|first| first.to_str()) {
        Some("guest") => return guest::measure(&arguments[1..]),
        Some("floor-load") => return floor::load(Path::new(&arguments[1]), floor::Answers::Each),
        Some("floor-load-together") => {
            return floor::load(Path::new(&arguments[1]), floor::Answers::Together);
        }
        Some("floor-read") => return floor::read(&arguments[1]),
        _ => {}
    }
    // `cargo test --benches` wants to know that it runs, not how fast.
    if arguments.iter().any(|argument| argument == "--test") {
        return Ok(());
    }
    let Arguments {
        rounds,
        tool,
        wanted,
    } = parse(arguments)?;
    if !wanted {
        return Ok(());
    }
    let tool = match tool {
        Some(tool) => tool,
        None => build_tool()?,
    };
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/guest");
    let status = Command::new(guest)
        .arg(env::current_exe()?)
        .arg("guest")
        .arg(tool)
        .arg(rounds.to_string())
        .status()?;
    if !status.success() {
        return Err(format!("the guest ended with {status}").into());
    }
    Ok(())
}

fn parse(arguments: &[OsString]) -> Result<Arguments> {
    let mut parsed = Arguments {
        rounds: 3,
        tool: None,
        wanted: true,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            // From cargo.
            Some("--bench") => {}
            Some("--rounds") => {
                let rounds = arguments.next().and_then(|rounds| rounds.to_str());
                parsed.rounds = rounds
                    .and_then(|rounds| rounds.parse().ok())
                    .filter(|rounds| (1..=9).contains(rounds))
                    .ok_or("--rounds wants a number from 1 to 9")?;
            }
            Some("--tool") => {
                let tool = arguments.next().ok_or("--tool wants a program")?;
                parsed.tool = Some(PathBuf::from(tool).canonicalize()?);
            }
            Some(name) if !name.starts_with('-') => parsed.wanted = "ipvs_guest".contains(name),
            _ => return Err(format!("{}: unknown argument", argument.display()).into()),
        }
    }
    Ok(parsed)
}

/// Builds the tool as a user would and returns its path.
fn build_tool() -> Result<PathBuf> {
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--release",
            "--package",
            "examples",
            "--example",
            "ipvsadm",
        ])
        .status()?;
    if !status.success() {
        return Err("the tool ipvsadm does not build".into());
    }
    // Beside this program, which is in release/deps.
    let own = env::current_exe()?;
    let release = own.parent().and_then(Path::parent).ok_or("no folder")?;
    Ok(release.join("examples/ipvsadm"))
}
