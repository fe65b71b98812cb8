//! What health checks cost, against HAProxy and keepalived in the same run:
//! `cargo bench -p benches --bench healthcheck_net`. It needs root, and Debian's haproxy, keepalived
//! and user-mode-linux.
//!
//! All of it happens in network namespaces that this program makes. A server in a process of its
//! own, on the second processor, listens on every address there; whoever checks it is on the first.
//!
//! | Part | Prints |
//! |---|---|
//! | compare | CPU of a check of 1,000 servers once a second: ours, HAProxy's (`check inter 1s`, one thread) and the floor's, in alternating rounds |
//! | capacity | checks a second that one driver does on one processor, all it can |
//! | memory | resident memory that 10,000 checks between two attempts take |
//! | keepalived | CPU of a guest kernel (`.ci/guest`) in which 1,000 servers are checked by TCP once a second: by us, by keepalived's `TCP_CHECK` and by the floor |
//! | silence | 10,000 servers that stop answering at once: until all are down, and how late deadlines are |
//!
//! Checks are counted by the kernel (`ActiveOpens`), CPU is user and system time of the process; the
//! kernel brings a packet to the other socket in the sender's time. The floor starts the checks that
//! are due within 10 ms together and does nothing else. It leaves the handshake to the kernel, while
//! ours has its last ACK go with the request or, where nothing is said, with the FIN: the server
//! still accepts the connection, but is woken once less. So ours can be below this floor; in the
//! guest, where system calls are what costs, the option for that is dearer than what it saves.
//!
//! Arguments: parts to run instead of all, `-- --rounds N` (default 3), `-- --seconds N` of each
//! measurement (default 5). Where other programs want the processors too, `chrt --fifo 10 cargo
//! bench …` keeps them out.

#![expect(clippy::print_stdout, reason = "a bench prints")]
#![expect(clippy::indexing_slicing, reason = "a bench fails by panicking")]

mod capacity;
mod compare;
#[path = "../vrrp_net/figures.rs"]
mod figures;
mod floor;
mod guest;
mod haproxy;
#[expect(dead_code, reason = "each bench uses a part")]
#[path = "../vrrp_net/host.rs"]
mod host;
mod memory;
mod process;
mod server;
mod silence;
mod subject;

use core::error::Error;
use core::time::Duration;
use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

type Result<T> = core::result::Result<T, Box<dyn Error>>;

const PARTS: [&str; 5] = ["compare", "capacity", "keepalived", "memory", "silence"];

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("healthcheck_net: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[OsString]) -> Result<()> {
    // First what this program starts of itself.
    match arguments.first().and_then(|first| first.to_str()) {
        Some("subject") => return subject::run(&arguments[1..]),
        Some("server") => return server::run(),
        Some("quiet-server") => return server::run_quietly(),
        Some("floor") => return floor::run(&arguments[1..]),
        Some("guest") => return guest::run(&arguments[1..]),
        Some("memory-of") => return memory::fill(&arguments[1..]),
        _ => {}
    }
    // `cargo test --benches` wants to know that it runs, not how fast.
    if arguments.iter().any(|argument| argument == "--test") {
        return Ok(());
    }
    let (mut rounds, mut seconds) = (3, 5);
    let mut parts = Vec::new();
    let mut arguments = arguments.iter().map(|argument| argument.to_str());
    while let Some(argument) = arguments.next() {
        let number = |value: Option<Option<&str>>| -> Result<u64> {
            let value = value.flatten().and_then(|value| value.parse().ok());
            let value = value.filter(|value| (1..=60).contains(value));
            value.ok_or_else(|| "a number from 1 to 60 is wanted".into())
        };
        match argument {
            // From cargo.
            Some("--bench") => {}
            Some("--rounds") => rounds = number(arguments.next())?,
            Some("--seconds") => seconds = number(arguments.next())?,
            Some(part) if PARTS.contains(&part) => parts.push(part),
            Some(name) if !name.starts_with('-') => {
                // Other benches were chosen by name.
                if !"healthcheck_net".contains(name) {
                    return Ok(());
                }
            }
            _ => return Err(format!("{argument:?}: unknown argument").into()),
        }
    }
    if !nix::unistd::geteuid().is_root() {
        return Err("this makes network namespaces, for which it needs root".into());
    }
    let duration = Duration::from_secs(seconds);
    let wanted = |part| parts.is_empty() || parts.contains(&part);
    println!("load of the machine before: {}", process::load());
    if wanted("memory") {
        memory::measure()?;
    }
    if wanted("silence") {
        silence::measure()?;
    }
    if wanted("capacity") {
        capacity::measure(rounds, duration)?;
    }
    if wanted("compare") {
        compare::measure(rounds, duration)?;
    }
    if wanted("keepalived") {
        guest::measure(rounds, duration)?;
    }
    println!("load of the machine after: {}", process::load());
    Ok(())
}
