//! What is printed: picks, figures, both as text and as JSON.

use std::io::{self, Write};

use lvs_schedulers::scenario::Event;
use serde_json::{Value, json};

use crate::compare::Comparison;
use crate::failure::Failure;
use crate::figures::{Figures, Load, Moved};
use crate::sample::Spread;
use crate::traffic::Traffic;

/// The result document of a scenario.
pub(crate) fn picks_as_json(out: &mut dyn Write, comparison: &Comparison) -> Result<(), Failure> {
    write!(out, "{{\"picks\":[")?;
    let mut separator = "";
    for pick in comparison.figures.iter().flat_map(|figures| &figures.picks) {
        match pick {
            Some(id) => write!(out, "{separator}{id}")?,
            None => write!(out, "{separator}null")?,
        }
        separator = ",";
    }
    writeln!(out, "]}}")?;
    Ok(())
}

/// Who was picked for each recorded flow, then what each server got.
pub(crate) fn picks(
    out: &mut dyn Write,
    traffic: &Traffic,
    comparison: &Comparison,
) -> Result<(), Failure> {
    for figures in &comparison.figures {
        writeln!(out, "{} for {}", figures.scheduler, traffic.base().target())?;
        if !figures.picks.is_empty() {
            flows(out, traffic, figures)?;
        }
        servers(out, figures)?;
    }
    Ok(())
}

fn flows(out: &mut dyn Write, traffic: &Traffic, figures: &Figures) -> Result<(), Failure> {
    let events = traffic.events()?;
    let rows = events.filter_map(|event| match event {
        Event::Flow { client, to } => {
            let from = client.to_string();
            Some(to.map_or_else(|| from.clone(), |to| format!("{from} to {to}")))
        }
        _ => None,
    });
    let rows: Vec<String> = rows.collect();
    let width = rows.iter().map(String::len).max().unwrap_or(0).max(6);
    writeln!(out, "\n  flow  {:width$}  server", "client")?;
    for ((flow, row), pick) in rows.iter().enumerate().zip(&figures.picks) {
        match pick {
            Some(id) => writeln!(out, "{flow:6}  {row:width$}  {id}")?,
            None => writeln!(out, "{flow:6}  {row:width$}  none")?,
        }
    }
    Ok(())
}

fn servers(out: &mut dyn Write, figures: &Figures) -> io::Result<()> {
    let address = |server: &Load| server.address.to_string();
    let width = figures.servers.iter().map(|server| address(server).len());
    let width = width.max().unwrap_or(0).max(7);
    writeln!(
        out,
        "\nserver  {:width$}  weight    flows   share  by weight  active  inactive",
        "address"
    )?;
    for server in &figures.servers {
        writeln!(
            out,
            "{:6}  {:width$}  {:6}  {:7}  {:>6}  {:>9}  {:6}  {:8}",
            server.id,
            address(server),
            server.weight,
            server.flows,
            percent(Some(figures.share(server))),
            percent(Some(figures.share_due(server))),
            server.active,
            server.inactive
        )?;
    }
    let (flows, refused) = (figures.flows, figures.refused);
    writeln!(out, "\n{flows} flows, {refused} refused")
}

/// The figures of several schedulers side by side.
pub(crate) fn figures(out: &mut dyn Write, comparison: &Comparison) -> Result<(), Failure> {
    let Some(first) = comparison.figures.first() else {
        return Ok(());
    };
    writeln!(out, "{}, {} flows\n", comparison.service, first.flows)?;
    writeln!(
        out,
        "                    new flows per weight  connections per weight  clients"
    )?;
    writeln!(
        out,
        "scheduler  refused    max/mean        cv      max/mean        cv    moved"
    )?;
    for figures in &comparison.figures {
        let (flows, connections) = (figures.flow_spread(), figures.connection_spread());
        writeln!(
            out,
            "{:9}  {:7}    {:>8}  {:>8}      {:>8}  {:>8}  {:>7}",
            figures.scheduler,
            figures.refused,
            number(flows.map(|spread| spread.max_over_mean)),
            number(flows.map(|spread| spread.variation)),
            number(connections.map(|spread| spread.max_over_mean)),
            number(connections.map(|spread| spread.variation)),
            percent(figures.moved.and_then(Moved::share)),
        )?;
    }
    writeln!(out, "\nshare of the flows that got a server")?;
    write!(out, "server  weight  by weight")?;
    for figures in &comparison.figures {
        write!(out, "  {:>7}", figures.scheduler)?;
    }
    writeln!(out)?;
    for (index, server) in first.servers.iter().enumerate() {
        let due = percent(Some(first.share_due(server)));
        write!(out, "{:6}  {:6}  {due:>9}", server.id, server.weight)?;
        for figures in &comparison.figures {
            let server = figures.servers.get(index);
            let share = server.map(|server| figures.share(server));
            let width = figures.scheduler.len().max(7);
            write!(out, "  {:>width$}", percent(share))?;
        }
        writeln!(out)?;
    }
    writeln!(
        out,
        "\nmax/mean: 1 is even; cv: standard deviation over mean, 0 is even. Connections: {}, mean over {}.",
        comparison.counted.name(),
        if comparison.timed { "time" } else { "events" }
    )?;
    match comparison.leaver {
        Some(id) => writeln!(
            out,
            "moved: of the clients whose server stayed when server {id} left halfway (in a run of its \
             own),\nthose whose next flow went to another one."
        )?,
        None => writeln!(
            out,
            "moved: of the clients whose server stayed when another left, those whose next flow went \
             to another one."
        )?,
    }
    Ok(())
}

/// The same as JSON.
pub(crate) fn figures_as_json(out: &mut dyn Write, comparison: &Comparison) -> Result<(), Failure> {
    let schedulers: Vec<Value> = comparison.figures.iter().map(object).collect();
    let document = json!({ "leaver": comparison.leaver, "schedulers": schedulers });
    writeln!(out, "{document:#}")?;
    Ok(())
}

fn object(figures: &Figures) -> Value {
    let servers = figures.servers.iter().map(|server| {
        json!({
            "id": server.id,
            "address": server.address.to_string(),
            "weight": server.weight,
            "flows": server.flows,
            "share": figures.share(server),
            "share_by_weight": figures.share_due(server),
            "active": server.active,
            "inactive": server.inactive,
        })
    });
    let spread = |spread: Option<Spread>| {
        spread.map(|spread| json!({"max_over_mean": spread.max_over_mean, "cv": spread.variation}))
    };
    json!({
        "scheduler": figures.scheduler,
        "flows": figures.flows,
        "refused": figures.refused,
        "flows_per_weight": spread(figures.flow_spread()),
        "connections_per_weight": spread(figures.connection_spread()),
        "clients": figures.moved.map(|moved| {
            json!({"returned": moved.returned, "moved": moved.moved})
        }),
        "servers": servers.collect::<Vec<Value>>(),
    })
}

fn number(number: Option<f64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| format!("{number:.3}"))
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}
