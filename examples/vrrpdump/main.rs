//! Shows VRRP traffic as a packet analyser does, and says why a router would refuse it.
//!
//! Try, from the top of the repository:
//!
//! ```text
//! cargo run --example vrrpdump -- examples/vrrpdump/sample.pcap
//! cargo run --example vrrpdump -- --json --profile strict-9568 examples/vrrpdump/sample.pcap
//! cargo run --example vrrpdump -- --stats --vr vrid=51,interval=1s,priority=100 examples/vrrpdump/sample.pcap
//! tcpdump -U -i any -w - proto 112 | cargo run --example vrrpdump -- -
//! cargo run --example vrrpdump -- --help
//! ```
//!
//! and as root, to watch an interface: `vrrpdump --interface eth0`.

mod announcement;
mod arguments;
mod capture;
mod dump;
mod failure;
mod judge;
mod line;
mod link;
mod live;
mod record;
mod router;
mod stats;

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;
use capture::Capture;
use dump::Dump;
use failure::Failure;
use live::Live;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = match stdout() {
        Ok(out) => out,
        Err(error) => {
            eprintln!("vrrpdump: cannot use standard output: {error}");
            return 1.into();
        }
    };
    let done = run(arguments, &mut out);
    let flushed = out.flush().map_err(Failure::Output);
    match done.and(flushed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_silent() {
                eprintln!("vrrpdump: {failure}");
            }
            failure.status().into()
        }
    }
}

/// Standard output without the line buffer the standard library puts before it: captures have many
/// lines.
fn stdout() -> io::Result<BufWriter<File>> {
    let descriptor = io::stdout().as_fd().try_clone_to_owned()?;
    Ok(BufWriter::with_capacity(64 * 1024, descriptor.into()))
}

fn run(arguments: Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    let mut dump = Dump::new(&arguments);
    let done = match &arguments.file {
        Some(path) if path.as_os_str() == "-" => {
            read(io::stdin().lock(), path, &mut dump, &arguments, out)
        }
        Some(path) => {
            let file = File::open(path).map_err(|error| Failure::Open(path.clone(), error))?;
            read(file, path, &mut dump, &arguments, out)
        }
        None => {
            let live = Live::new(&arguments.interfaces, arguments.passive)?;
            watch(live, &mut dump, &arguments, out)
        }
    };
    // What was seen before something went wrong counts, too.
    if arguments.stats {
        dump.write_stats(out)?;
    }
    done
}

/// Reads a capture to its end, or to the number of lines asked for.
fn read(
    input: impl Read,
    path: &Path,
    dump: &mut Dump<'_>,
    arguments: &Arguments,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    // What comes through a pipe may still be going on.
    let is_pipe = path.as_os_str() == "-";
    let mut capture = Capture::new(input);
    while !dump.is_full(arguments.count) {
        match capture.next() {
            Ok(Some(frame)) => {
                dump.frame(&frame, out)?;
                if is_pipe {
                    out.flush()?;
                }
            }
            Ok(None) => break,
            Err(error) => return Err(Failure::Capture(path.to_owned(), error)),
        }
    }
    match dump.skipped() {
        Some((link, frames)) => Err(Failure::Link(path.to_owned(), link, frames)),
        None => Ok(()),
    }
}

/// Watches interfaces until a signal comes, or the number of lines asked for.
fn watch(
    mut live: Live,
    dump: &mut Dump<'_>,
    arguments: &Arguments,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    while !dump.is_full(arguments.count) {
        let Some(frame) = live.next()? else {
            break;
        };
        dump.frame(&frame, out)?;
        out.flush()?;
    }
    Ok(())
}
