//! A line for each event.

use core::time::Duration;

use director::demonstration::{Event, Face};

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
