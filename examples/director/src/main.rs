//! `director FILE` runs a keepalived.conf: health checks in, IPVS table out.
//!
//! Try: `cargo run --release --bin director`, without arguments and without privileges: a
//! demonstration that forwards connections on loopback. Then
//! `cargo run --release --bin director -- --for 20s --script 'at 5s stop 2, at 12s start 2'`.

mod arguments;
mod journal;

use core::fmt;
use std::process::ExitCode;

use clap::Parser as _;
use director::demo;
use director::demo::script::Script;
use director::demonstration::Demonstration;
use director::keepalived::{Config, Severity};
use director::run::{Happening, RunError, Runner};
use director::setup::Setup;
use director::signals::Signals;
use lvs_healthcheck::Driver;
use lvs_ipvs::{Client, LedgerFile, MemoryKernel};

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
        .and_then(|signals| match arguments.file.clone() {
            Some(file) => run_file(&file, &arguments, signals, &mut journal),
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

fn run_file(
    file: &str,
    arguments: &Arguments,
    signals: Signals,
    journal: &mut Journal,
) -> Result<(), Failure> {
    let config = Config::read(file).map_err(|error| Failure::usage(format!("{file}: {error}")))?;
    for diagnostic in config.diagnostics() {
        journal.error(diagnostic);
    }
    let setup = Setup::new(&config);
    for line in setup.not_run.iter().chain(&setup.problems) {
        journal.error(line);
    }
    let unusable = config.worst() == Some(Severity::Error) || !setup.problems.is_empty();
    if unusable && !arguments.ignore_errors {
        return Err(Failure::usage(
            "there are errors; --ignore-errors runs what is left",
        ));
    }
    if arguments.check {
        for pool in &setup.pools {
            journal.line(&format_args!(
                "{pool}: {} real servers",
                pool.servers().len()
            ));
        }
        return Ok(());
    }
    let client = match arguments.memory {
        true => Client::with_transport(MemoryKernel::default().socket()),
        false => Client::connect(),
    };
    let client = client.map_err(|error| match error.is_unavailable() {
        true => Failure::running(format!("{error}; --memory tries the file without a kernel")),
        false => Failure::running(error),
    })?;
    let driver = Driver::new(lvs_healthcheck::Config::default()).map_err(Failure::running)?;
    let mut runner = Runner::new(setup, client, driver, signals).map_err(Failure::running)?;
    if let Some(path) = &arguments.ledger {
        let file = LedgerFile::open(path).map_err(Failure::running)?;
        runner = runner.with_ledger(file).map_err(Failure::running)?;
    }
    if let Some(limit) = arguments.drain {
        runner = runner.with_drain(limit);
    }
    let end = arguments.time.map(|time| runner.now().saturating_add(time));
    let outcome = run_and_withdraw(&mut runner, end, arguments.drain.is_some(), journal);
    journal.summary(&runner.stats());
    outcome.map_err(Failure::running)
}

/// Whatever ends the run, what it put into the table is taken out again.
fn run_and_withdraw(
    runner: &mut Runner,
    end: Option<lvs_ipvs::Timestamp>,
    drains: bool,
    journal: &mut Journal,
) -> Result<(), RunError> {
    let mut report = |happening: &Happening<'_>| journal.happening(happening);
    let mut run = runner.run_until(end, &mut report).map(|_| ());
    if drains && run.is_ok() {
        run = runner.drain(&mut report);
    }
    let withdrawn = runner.withdraw(&mut report);
    run.and(withdrawn)
}

fn demonstrate(
    arguments: &Arguments,
    signals: Signals,
    journal: &mut Journal,
) -> Result<(), Failure> {
    let mut config = demo::Config::default();
    config.algorithm = arguments.scheduler;
    if let Some(listen) = arguments.listen {
        config.listen = listen;
    }
    let script = match &arguments.script {
        Some(script) => read_script(script, config.servers.len())?,
        None => Script::default(),
    };
    let mut demonstration = Demonstration::start(&config, signals).map_err(Failure::running)?;
    journal.plain("Three web servers, a table in memory, and this configuration:\n");
    for line in demonstration.configuration().lines() {
        journal.plain(&format_args!("    {line}"));
    }
    if let Some(shortage) = demonstration.demo().shortage() {
        journal.error(&shortage);
    }
    let address = demonstration.demo().address();
    journal.plain(&format_args!(
        "\nTry: curl http://{address}/   (ends with Ctrl-C)\n"
    ));
    let mut line = |line: &dyn fmt::Display| journal.line(line);
    demonstration
        .run(arguments.time, script, &mut line)
        .map_err(Failure::running)?;
    let (run, stats) = demonstration.finish(&mut line).map_err(Failure::running)?;
    journal.summary(&run);
    journal.forwarded(&stats);
    Ok(())
}

/// A script given in place, which starts with `at`, or in a file.
fn read_script(argument: &str, servers: usize) -> Result<Script, Failure> {
    let inline = argument
        .split_whitespace()
        .next()
        .is_none_or(|word| word == "at");
    let text = match inline {
        true => argument.to_owned(),
        false => std::fs::read_to_string(argument)
            .map_err(|error| Failure::usage(format!("--script {argument}: {error}")))?,
    };
    Script::parse(&text, servers).map_err(|error| Failure::usage(format!("--script: {error}")))
}
