//! A JSON object for each event, on a line of its own.

use core::time::Duration;

use director::demonstration::{Demonstration, DemonstrationStats, Event, Face};
use serde_json::{Value, json};

use crate::journal::Journal;

/// Lines for programs.
#[derive(Debug)]
pub(crate) struct Json<'a> {
    pub(crate) journal: &'a mut Journal,
}

impl Json<'_> {
    /// What there is at the start.
    pub(crate) fn start(&mut self, demonstration: &Demonstration) {
        let servers = demonstration.farm().servers();
        let servers = servers
            .iter()
            .map(|server| json!({ "number": server.number, "address": server.address.to_string() }))
            .collect::<Value>();
        self.line(&json!({
            "at": 0.0,
            "event": "start",
            "address": demonstration.farm().address().to_string(),
            "servers": servers,
            "configuration": demonstration.configuration(0),
        }));
    }

    /// What it came to.
    pub(crate) fn summary(&mut self, stats: &DemonstrationStats) {
        let forwarded = &stats.forwarded;
        let servers = stats.servers.iter().map(|server| {
            json!({
                "number": server.number,
                "address": server.address.to_string(),
                "connections": forwarded.picked.get(&server.address).unwrap_or(&0),
                "requests": server.requests,
            })
        });
        self.line(&json!({
            "at": seconds(stats.time),
            "event": "summary",
            "attempts": stats.run.attempts,
            "changes": stats.run.changes,
            "failures": stats.run.failures,
            "take_overs": stats.take_overs,
            "accepted": forwarded.accepted,
            "refused": forwarded.refused,
            "without_server": forwarded.no_destination,
            "clients_answered": forwarded.clients_answered,
            "clients_failed": forwarded.clients_failed,
            "servers": servers.collect::<Value>(),
        }));
    }

    fn line(&mut self, object: &Value) {
        self.journal.plain(object);
    }
}

impl Face for Json<'_> {
    fn tell(&mut self, at: Duration, event: &Event) {
        let (kind, text) = event.parts();
        self.line(&json!({
            "at": seconds(at),
            "director": event.name(),
            "event": kind,
            "text": text,
        }));
    }
}

/// To the millisecond.
fn seconds(time: Duration) -> f64 {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).as_secs_f64()
}
