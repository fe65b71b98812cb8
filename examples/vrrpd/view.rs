//! The live view on a terminal: what the routers are, and what happened last.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use director::canvas::{Canvas, ENTER, LEAVE};
use director::vrrp::{Names, told};
use lvs_vrrp::event::State;
use lvs_vrrp::net::{Handle, RouterSnapshot, Snapshot};
use rustix::termios::tcgetwinsize;

use crate::happening::{self, Entry, Journal};
use crate::output::print;

/// How often it is drawn at least.
const REFRESH: Duration = Duration::from_millis(250);
/// So many happenings are kept.
const LAST: usize = 100;

/// The screen, given back when this goes.
struct Screen;

impl Screen {
    fn enter() -> Self {
        // Who cannot see it needs it no more.
        let _ = print(ENTER);
        Self
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = print(LEAVE);
    }
}

/// Shows how things are until the journal ends.
pub(crate) fn show(journal: &Journal, names: &Names, handle: &Handle) {
    let _screen = Screen::enter();
    let mut view = View::default();
    let mut next = Instant::now();
    while let Some(entries) = journal.take(Some(next)) {
        next = Instant::now() + REFRESH;
        view.remember(&entries, names);
        // At the end there is nobody to ask.
        if let Ok(snapshot) = handle.snapshot() {
            view.snapshot = Some(snapshot);
        }
        let size = tcgetwinsize(io::stdout());
        let size = size.map_or((24, 80), |size| (size.ws_row.into(), size.ws_col.into()));
        // Who cannot see it needs it no more.
        let _ = print(&view.draw(names, size));
    }
}

/// What is shown.
#[derive(Debug, Default)]
struct View {
    snapshot: Option<Snapshot>,
    happenings: VecDeque<String>,
    canvas: Canvas,
}

impl View {
    fn remember(&mut self, entries: &VecDeque<Entry>, names: &Names) {
        for entry in entries {
            let (event, fields) = happening::fields(&entry.what, names);
            let mut line = format!("{} {event}", clock(entry.at));
            for (key, value) in fields.as_object().into_iter().flatten() {
                let _ = match value {
                    serde_json::Value::Null => Ok(()),
                    serde_json::Value::String(text) => write!(line, " {key}={text}"),
                    value => write!(line, " {key}={value}"),
                };
            }
            // What comes from elsewhere must not move the cursor.
            line.retain(|char| !char.is_control());
            self.happenings.push_back(line);
        }
        while self.happenings.len() > LAST {
            self.happenings.pop_front();
        }
    }

    /// A screen of so many lines and columns, drawn over the last one.
    fn draw(&mut self, names: &Names, size: (usize, usize)) -> String {
        let rows = size.0.max(4);
        let mut lines = vec![format!(
            "{:<16} {:<15} {:>4} {:<4} {:<10} {:>7} {:>4} {:<21} {:>7} {:>9} {:>9} {:>8}",
            "ROUTER",
            "INTERFACE",
            "VRID",
            "IP",
            "STATE",
            "FOR",
            "PRIO",
            "ACTIVE",
            "LAST",
            "SENT",
            "RECEIVED",
            "REJECTED"
        )];
        if let Some(snapshot) = &self.snapshot {
            let routers = snapshot.routers.iter();
            lines.extend(routers.map(|router| line(router, snapshot.at, names)));
        }
        // At least some lines are for what happened.
        lines.truncate(rows.saturating_sub((rows / 3).max(3)).max(1));
        lines.push(String::new());
        lines.push("WHAT HAPPENED (UTC; Ctrl-C resigns and ends)".to_owned());
        let left = rows.saturating_sub(lines.len());
        let skipped = self.happenings.len().saturating_sub(left);
        lines.extend(self.happenings.iter().skip(skipped).cloned());
        lines.truncate(rows);
        self.canvas.paint(&lines, size)
    }
}

fn line(router: &RouterSnapshot, now: Duration, names: &Names) -> String {
    let name = names
        .of(router.id)
        .map_or_else(String::new, |name| name.router);
    let active = match (router.state, router.active) {
        (State::Active, _) => "this one".to_owned(),
        (_, Some(rank)) => format!("{} ({})", rank.address(), rank.priority().get()),
        // It waits for one, and takes over when none comes.
        (State::Backup, None) => "none heard".to_owned(),
        _ => String::new(),
    };
    let last = router.last_advert.map(|at| age(now.saturating_sub(at)));
    let last = last.unwrap_or_default();
    let state = match router.init_reason {
        Some(reason) => told::token(&reason),
        None => router.state.to_string(),
    };
    let color = match router.state {
        State::Active => "\x1b[32m",
        State::Backup => "",
        State::Initialize => "\x1b[31m",
    };
    format!(
        "{name:<16} {:<15} {:>4} {:<4} {color}{state:<10}\x1b[0m {:>7} {:>4} {active:<21} \
             {last:>7} {:>9} {:>9} {:>8}",
        router.interface,
        router.vrid.get(),
        router.family.to_string(),
        // One that was never started is not since when the host was booted.
        if router.since == Duration::ZERO {
            String::new()
        } else {
            age(now.saturating_sub(router.since))
        },
        router.priority.get(),
        router.counters.sent(),
        router.counters.received(),
        router.counters.rejected_in_all(),
    )
}

/// `0.3s`, `42s`, `7m 5s`, `3h 2m`
fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{}.{}s", seconds, time.subsec_millis() / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// The time of day, UTC.
fn clock(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs() % 86_400;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let millis = since.subsec_millis();
    format!("{hours:02}:{minutes:02}:{:02}.{millis:03}", seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (millis, expected) in [
            (340, "0.3s"),
            (42_900, "42s"),
            (425_000, "7m05s"),
            (10_920_000, "3h02m"),
        ] {
            assert_eq!(age(Duration::from_millis(millis)), expected);
        }
        let at = UNIX_EPOCH + Duration::from_millis(86_400_000 + 3_723_004);
        assert_eq!(clock(at), "01:02:03.004");
    }

    #[test]
    fn a_screen_says_what_it_shows() {
        let mut view = View::default();
        view.happenings.push_back("something".to_owned());
        let text = view.draw(&Names::default(), (24, 80));
        for part in ["ROUTER", "IP", "Ctrl-C", "something"] {
            assert!(text.contains(part), "{part}: {text:?}");
        }
    }

    #[test]
    fn a_screen_never_has_more_lines_than_the_terminal() {
        let mut view = View::default();
        for number in 0..50 {
            view.happenings.push_back(format!("line {number}"));
        }
        for rows in [4, 5, 24, 60] {
            let text = view.draw(&Names::default(), (rows, 80));
            assert!(text.matches("\r\n").count() < rows, "{rows}");
            assert!(text.contains("line 49"), "{rows}: {text:?}");
        }
    }
}
