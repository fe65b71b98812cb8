//! Administers IPVS as `ipvsadm` 1.31 does: the same options, output and exit codes.
//!
//! Try: `cargo run --example ipvsadm -- --version`

#![expect(clippy::print_stdout, reason = "a tool prints")]

mod failure;
mod listing;
mod names;
mod save;
mod walk;

use std::io::Write;
use std::process::ExitCode;

use failure::Failure;
use listing::{Format, Request};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match run(&mut out, &words).and_then(|()| Ok(out.flush()?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_silent() {
                eprintln!("ipvsadm: {failure}");
            }
            failure.status().into()
        }
    }
}

fn run(out: &mut dyn Write, words: &[String]) -> Result<(), Failure> {
    let has = |word: &str| words.iter().any(|given| given == word);
    if has("--version") {
        println!("lvs-ipvs ipvsadm {}", env!("CARGO_PKG_VERSION"));
        return Ok(());
    }
    let numeric = has("-n");
    if has("-c") {
        return listing::connections(out, numeric, has("--persistent-conn"));
    }
    let mut client = lvs_ipvs::Client::connect()?;
    if has("--timeout") {
        listing::timeouts(out, &mut client)
    } else if has("--daemon") {
        listing::daemons(out, &mut client)
    } else if has("-S") {
        save::save(out, &mut client, numeric, has("--with-thresholds"))
    } else {
        let formats = [
            ("--stats", Format::Stats),
            ("--rate", Format::Rate),
            ("--thresholds", Format::Thresholds),
            ("--persistent-conn", Format::PersistentConnections),
            ("--tun-info", Format::TunnelInfo),
        ];
        let format = formats.into_iter().find(|(word, _)| has(word));
        let service = match words.iter().position(|word| word == "-t") {
            Some(at) => words
                .get(at + 1)
                .and_then(|word| word.parse().ok())
                .map(lvs_ipvs::ServiceKey::tcp),
            None => None,
        };
        let request = Request {
            service,
            numeric,
            format: format.map_or_else(Format::default, |(_, format)| format),
            exact: has("--exact"),
            sort: !has("--nosort"),
        };
        listing::table(out, &mut client, &request)
    }
}
