//! How the demonstration is shown, from arguments to summary: live on a terminal with keys, else as
//! lines or JSON.

mod json;
mod keys;
mod lines;
mod live;
mod rates;
mod screen;
mod terminal;

use core::net::SocketAddr;
use core::time::Duration;

use director::demonstration::farm;
use director::demonstration::farm::MAX_RATE;
use director::demonstration::script::Script;
use director::demonstration::{Demonstration, DemonstrationStats, Face};
use director::signals::Signals;
use lvs_schedulers::Algorithm;

use crate::Failure;
use crate::journal::Journal;
use json::Json;
use lines::Lines;
use live::Live;

/// What only the demonstration takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What happens in the demonstration, or a file with it: 'at 3s stop 2; at 8s start 2;
    /// at 10s kill active; at 15s revive; at 20s weight 1 5; at 25s scheduler wlc; at 30s traffic 50'
    #[arg(long, value_name = "SCRIPT", conflicts_with = "file")]
    script: Option<String>,

    /// The demonstration's scheduler at first: one of the kernel's
    #[arg(
        long,
        value_name = "NAME",
        default_value = "wrr",
        conflicts_with = "file"
    )]
    scheduler: Algorithm,

    /// So many clients of the demonstration's own come in a second, 0 to 1000
    #[arg(
        long,
        value_name = "RATE",
        default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_RATE)),
        conflicts_with = "file"
    )]
    traffic: u32,

    /// Where the demonstration accepts connections [default: 127.0.0.10 and a free port]
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "file")]
    listen: Option<SocketAddr>,
}

/// Runs the demonstration for that time.
pub(crate) fn run(
    options: &Options,
    time: Option<Duration>,
    is_json: bool,
    signals: Signals,
    journal: &mut Journal,
) -> Result<(), Failure> {
    let mut config = farm::Config::default();
    config.algorithm = options.scheduler;
    if let Some(listen) = options.listen {
        config.listen = listen;
    }
    let script = match &options.script {
        Some(script) => read_script(script, config.servers.len())?,
        None => Script::default(),
    };
    let demonstration = Demonstration::start(&config, signals).map_err(Failure::running)?;
    demonstration.farm().set_traffic(options.traffic);
    if let Some(shortage) = demonstration.farm().shortage() {
        journal.error(&shortage);
    }
    if is_json {
        let mut json = Json { journal };
        json.start(&demonstration);
        let stats = show(demonstration, time, script, &mut json)?;
        json.summary(&stats);
        return Ok(());
    }
    introduce(&demonstration, journal);
    let stats = match terminal::is_there() {
        true => {
            let mut live = Live::start().map_err(Failure::running)?;
            show(demonstration, time, script, &mut live)
        }
        false => show(demonstration, time, script, &mut Lines { journal }),
    };
    lines::summarize(journal, &stats?);
    Ok(())
}

/// Says what there is, and what to try.
fn introduce(demonstration: &Demonstration, journal: &mut Journal) {
    journal
        .plain("Three web servers, and two directors that run this but for name and priority:\n");
    for line in demonstration.configuration(0).lines() {
        journal.plain(&format_args!("    {line}"));
    }
    let address = demonstration.farm().address();
    journal.plain(&format_args!(
        "\nTry: curl http://{address}/   (ends with Ctrl-C)\n"
    ));
}

/// Runs it to its end.
fn show(
    mut demonstration: Demonstration,
    time: Option<Duration>,
    script: Script,
    face: &mut dyn Face,
) -> Result<DemonstrationStats, Failure> {
    let run = demonstration.run(time, script, face);
    run.map_err(Failure::running)?;
    Ok(demonstration.finish(face))
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
