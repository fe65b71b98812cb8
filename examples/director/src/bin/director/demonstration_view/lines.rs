//! A line for each event.

use core::time::Duration;

use director::demonstration::{DemonstrationStats, Event, Face};

use crate::journal::Journal;

/// Lines for people.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    pub(crate) journal: &'a mut Journal,
}

impl Face for Lines<'_> {
    fn tell(&mut self, at: Duration, event: &Event) {
        let at = at.as_secs_f64();
        for line in event.to_string().lines() {
            self.journal.plain(&format_args!("{at:9.3}  {line}"));
        }
    }
}

/// What it came to.
pub(super) fn summarize(journal: &mut Journal, stats: &DemonstrationStats) {
    journal.summary_after(stats.time, &stats.run);
    let (take_overs, forwarded) = (stats.take_overs, &stats.forwarded);
    journal.plain(&format_args!(
        "{take_overs} take-overs; {} connections accepted, {} at once at most; {} without a \
         server, {} refused",
        forwarded.accepted, forwarded.peak_open, forwarded.no_destination, forwarded.refused
    ));
    if forwarded.clients_answered + forwarded.clients_failed > 0 {
        journal.plain(&format_args!(
            "clients of its own: {} answered, {} failed",
            forwarded.clients_answered, forwarded.clients_failed
        ));
    }
    for server in &stats.servers {
        let picked = forwarded.picked.get(&server.address).unwrap_or(&0);
        let (number, address, requests) = (server.number, server.address, server.requests);
        journal.plain(&format_args!(
            "  server {number} on {address}: {picked} connections, {requests} requests answered"
        ));
    }
}
