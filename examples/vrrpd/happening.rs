//! What can happen, and how it is said in JSON.

use director::keepalived::Diagnostic;
use director::log::Log;
use director::notify::FifoEvent;
use director::vrrp::Names;
use director::vrrp::run::VrrpEvent;
use director::vrrp::told;
use lvs_vrrp::net::Snapshot;
use serde_json::{Value, json};

/// What happened, on its way to whoever prints it.
pub(crate) type Journal = Log<Happening>;
/// Something that happened, when.
pub(crate) type Entry = director::log::Entry<Happening>;

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Happening {
    /// It runs.
    Started,
    /// The configuration has this wrong.
    Diagnostic(Diagnostic),
    /// The host has something that is in the way.
    Review(String),
    /// The driver says so, or scripts did something.
    Vrrp(VrrpEvent),
    /// It happened to a FIFO, or to who reads it.
    Fifo(FifoEvent),
    /// The file was read again, or why that changes nothing.
    Reloaded(Result<(), String>),
    /// How things are.
    Snapshot(Box<Snapshot>),
    /// It goes on with these, which another process has left.
    TakenOver(Vec<String>),
    /// There is no process from which to take anything over.
    NothingToTakeOver,
    /// Another process asked for everything.
    HandingOver,
    /// That has this many virtual routers that are Active, or does not answer any more.
    HandedOver(usize, Result<(), String>),
    /// It was told to end.
    Stopping,
    /// All addresses are gone.
    Stopped,
}

/// The line for an entry, without its end.
pub(crate) fn line(entry: &Entry, names: &Names) -> String {
    let (event, fields) = fields(&entry.what, names);
    entry.to_json(event, &fields)
}

/// Its name, and what belongs to it.
pub(crate) fn fields(what: &Happening, names: &Names) -> (&'static str, Value) {
    match what {
        Happening::Started => ("started", json!({ "routers": names.list() })),
        Happening::Diagnostic(diagnostic) => {
            let position = &diagnostic.position;
            let fields = json!({
                "severity": diagnostic.severity.to_string(),
                "file": &*position.file,
                "line": position.line,
                "column": position.column,
                "message": diagnostic.message,
            });
            ("configuration", fields)
        }
        Happening::Review(message) => {
            ("host", json!({ "severity": "warning", "message": message }))
        }
        Happening::Vrrp(event) => event.fields(names),
        Happening::Fifo(event) => event.fields(),
        Happening::Reloaded(Ok(())) => ("reloaded", json!({ "routers": names.list() })),
        Happening::Reloaded(Err(reason)) => ("not-reloaded", json!({ "reason": reason })),
        Happening::Snapshot(taken) => ("snapshot", told::snapshot(taken, names)),
        Happening::TakenOver(routers) => ("taken-over", json!({ "routers": routers })),
        Happening::NothingToTakeOver => ("nothing-to-take-over", json!({})),
        Happening::HandingOver => ("handing-over", json!({})),
        Happening::HandedOver(active, result) => (
            "handed-over",
            json!({ "active": active, "error": result.as_ref().err() }),
        ),
        Happening::Stopping => ("stopping", json!({})),
        Happening::Stopped => ("stopped", json!({})),
    }
}
