//! The same traffic through several schedulers.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lvs_schedulers::scenario::{Event, Scenario};

use crate::arguments::Arguments;
use crate::choice::Choice;
use crate::failure::Failure;
use crate::figures::{Counted, Figures, Meter};
use crate::traffic::{Traffic, is_flow};

/// From how many flows on a run is long enough for a progress bar.
const LONG: u64 = 200_000;

/// What all schedulers did with the traffic.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) figures: Vec<Figures>,
    /// Whether samples are spaced by time or by events.
    pub(crate) timed: bool,
    /// The service, for titles.
    pub(crate) service: String,
    /// Which connections are measured.
    pub(crate) counted: Counted,
    /// Who left halfway in a run of its own, if that is where moved clients were counted.
    pub(crate) leaver: Option<u32>,
}

pub(crate) fn run(
    traffic: &Traffic,
    choices: &[Choice],
    arguments: &Arguments,
) -> Result<Comparison, Failure> {
    let base = traffic.base();
    let leaver = leaver(traffic, arguments)?;
    let runs = if leaver.is_some() { 2 } else { 1 };
    let all = traffic.flows() * u64::try_from(choices.len()).unwrap_or(u64::MAX) * runs;
    let progress = progress(all);
    let mut figures = Vec::new();
    for &choice in choices {
        progress.set_message(choice.name());
        let mut measured = play(traffic, choice, None, arguments, &progress)?;
        if leaver.is_some() {
            let second = play(traffic, choice, leaver, arguments, &progress)?;
            measured.moved = second.moved;
        }
        figures.push(measured);
    }
    progress.finish_and_clear();
    Ok(Comparison {
        figures,
        timed: traffic.is_timed(),
        service: title(base),
        counted: Counted::of(base.protocol()),
        leaver,
    })
}

/// Who leaves in the run that counts moved clients: nobody if servers leave anyway, or if there is
/// nothing to compare.
fn leaver(traffic: &Traffic, arguments: &Arguments) -> Result<Option<u32>, Failure> {
    let servers = traffic.base().servers();
    if let Some(id) = arguments.leaver
        && servers.iter().all(|server| server.id() != id)
    {
        return Err(Failure::Usage(format!("--leaver: no server {id}")));
    }
    let removes = |event: &Event| matches!(event, Event::Remove { .. });
    let leaves = traffic.is_recorded() && traffic.base().events().iter().any(removes);
    if arguments.compare.is_empty() || leaves || servers.len() < 2 {
        return Ok(None);
    }
    let first = servers.first().map(lvs_schedulers::scenario::Server::id);
    Ok(arguments.leaver.or(first))
}

fn play(
    traffic: &Traffic,
    choice: Choice,
    leaver: Option<u32>,
    arguments: &Arguments,
    progress: &ProgressBar,
) -> Result<Figures, Failure> {
    let base = traffic.base();
    let scheduler = choice.scheduler(base.semantics());
    let replayer = base.replayer_with(scheduler);
    let keep_picks = arguments.compare.is_empty() && (arguments.json || traffic.is_recorded());
    let mut meter = Meter::new(base, replayer, traffic.is_timed(), keep_picks);
    let half = traffic.flows() / 2;
    let mut flows = 0_u64;
    for event in traffic.events()? {
        if is_flow(&event) {
            if flows == half
                && let Some(id) = leaver
            {
                meter.step(&Event::Remove { id });
            }
            flows += 1;
            if flows.is_multiple_of(4096) {
                progress.inc(4096);
            }
        }
        meter.step(&event);
    }
    Ok(meter.finish())
}

/// A bar on standard error for a long run, if somebody can see it there.
fn progress(flows: u64) -> ProgressBar {
    if flows < LONG || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(flows), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{msg:8} {wide_bar} {percent:>3} %, {eta} left");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

fn title(base: &Scenario) -> String {
    let protocol = match base.protocol() {
        lvs_schedulers::Protocol::Tcp => "TCP",
        lvs_schedulers::Protocol::Udp => "UDP",
        _ => "SCTP",
    };
    format!("{protocol} service {}", base.target())
}
