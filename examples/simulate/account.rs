//! `--explain`: each event in words, each pick with its reasons.

use std::io::{self, Write};

use lvs_schedulers::scenario::{Change, Event, Outcome, Replayer};
use lvs_schedulers::{DestinationId, Explanation};

use crate::choice::Choice;
use crate::failure::Failure;
use crate::traffic::Traffic;

pub(crate) fn write(out: &mut dyn Write, traffic: &Traffic, choice: Choice) -> Result<(), Failure> {
    let base = traffic.base();
    let mut replayer = base.replayer_with(choice.scheduler(base.semantics()));
    let mut flows = 0;
    let mut why = Explanation::new();
    writeln!(out, "{} for {}", choice, base.target())?;
    for server in base.servers() {
        let destination = server.destination();
        write!(out, "  server {}: {}", server.id(), destination.address())?;
        write!(out, ", weight {}", destination.weight())?;
        if destination.upper() > 0 {
            let (upper, lower) = (destination.upper(), destination.lower());
            write!(out, ", thresholds {upper} and {lower}")?;
        }
        writeln!(out)?;
    }
    for (index, event) in traffic.events()?.enumerate() {
        write!(out, "\nevent {index}: ")?;
        let concerned = concerned(&replayer, &event);
        let outcome = replayer
            .step_explained(&event, &mut why)
            .map_err(Failure::Servers)?;
        describe(out, &event, flows)?;
        match outcome {
            Outcome::Picked(id) => writeln!(out, " goes to server {id}")?,
            Outcome::Refused => writeln!(out, " is refused")?,
            _ => writeln!(out)?,
        }
        if let Event::Flow { .. } = event {
            flows += 1;
            for line in why.to_string().lines() {
                writeln!(out, "  {line}")?;
            }
        }
        if let Event::Advance { .. } = event {
            writeln!(out, "  it is {} s now", replayer.now().as_secs_f64())?;
        } else {
            connections(out, &replayer, &event, concerned)?;
        }
    }
    Ok(())
}

fn describe(out: &mut dyn Write, event: &Event, flow: usize) -> io::Result<()> {
    match event {
        Event::Flow { client, to: None } => write!(out, "flow {flow} from {client}"),
        Event::Flow {
            client,
            to: Some(to),
        } => write!(out, "flow {flow} from {client} to {to}"),
        Event::Establish { flow } => write!(out, "flow {flow} is established"),
        Event::Close { flow } => write!(out, "flow {flow} is closed"),
        Event::Expire { flow } => write!(out, "flow {flow} leaves the table"),
        Event::Add(change) => {
            write!(out, "server {} is added", change.id())?;
            settings(out, change)
        }
        Event::Edit(change) => {
            write!(out, "server {} is edited", change.id())?;
            settings(out, change)
        }
        Event::Remove { id } => write!(out, "server {id} is removed"),
        Event::Advance { by } => write!(out, "{} s pass", by.as_secs_f64()),
        other => write!(out, "{}", other.op()),
    }
}

fn settings(out: &mut dyn Write, change: &Change) -> io::Result<()> {
    if let Some(address) = change.address() {
        write!(out, ", {address}")?;
    }
    let numbers = [
        ("weight", change.weight()),
        ("upper threshold", change.upper()),
        ("lower threshold", change.lower()),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            write!(out, ", {name} {number}")?;
        }
    }
    Ok(())
}

/// The server of the connection that an event is about. After an `expire` nobody knows it any more.
fn concerned(replayer: &Replayer, event: &Event) -> Option<DestinationId> {
    let (Event::Establish { flow } | Event::Close { flow } | Event::Expire { flow }) = event else {
        return None;
    };
    let connection = replayer.connection(*flow)?;
    Some(replayer.service().destination_of(connection)?.id())
}

/// The counts of the server whose connections an event about a flow has changed.
fn connections(
    out: &mut dyn Write,
    replayer: &Replayer,
    event: &Event,
    concerned: Option<DestinationId>,
) -> io::Result<()> {
    let (Event::Establish { .. } | Event::Close { .. } | Event::Expire { .. }) = event else {
        return Ok(());
    };
    let Some(entry) = concerned.and_then(|id| replayer.service().destination(id)) else {
        return writeln!(out, "  it has no server: nothing happens");
    };
    let (address, active, inactive) = (entry.address(), entry.active(), entry.inactive());
    writeln!(
        out,
        "  {address} has {active} active, {inactive} inactive connections now"
    )
}
