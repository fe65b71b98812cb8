//! What the screen shows: a text for a status, the last events and a size.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::VecDeque;

use director::canvas::Canvas;
use director::demonstration::{Event, Status};
use lvs_healthcheck::Health;
use lvs_vrrp::event::State;

use super::keys::HELP;
use super::rates::Rate;

/// So many events are kept.
const LAST: usize = 200;

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// What is shown besides the status.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    events: VecDeque<String>,
    accepted: Rate,
    bytes: Rate,
    picked: Vec<Rate>,
    canvas: Canvas,
}

impl Screen {
    pub(crate) fn remember(&mut self, at: Duration, event: &Event) {
        let text = event.to_string();
        for line in text.lines() {
            let mut line = format!("{:9.3}  {line}", at.as_secs_f64());
            // What comes from elsewhere must not move the cursor.
            line.retain(|char| !char.is_control());
            self.events.push_back(line);
        }
        while self.events.len() > LAST {
            self.events.pop_front();
        }
    }

    /// A screen of that many lines and columns, drawn over the last one; `chosen` is the place of
    /// the server that keys change.
    pub(crate) fn draw(&mut self, status: &Status, chosen: usize, size: (usize, usize)) -> String {
        let (rows, _) = size;
        let mut lines = self.lines(status, chosen);
        // At least some lines are for what happened.
        lines.truncate(rows.saturating_sub((rows / 4).max(2)).max(1));
        lines.push(format!("{BOLD}LAST EVENTS{PLAIN}"));
        let left = rows.saturating_sub(lines.len());
        let skipped = self.events.len().saturating_sub(left);
        lines.extend(self.events.iter().skip(skipped).cloned());
        lines.truncate(rows);
        self.canvas.paint(&lines, size)
    }

    fn lines(&mut self, status: &Status, chosen: usize) -> Vec<String> {
        let (at, stats) = (status.at, &status.stats);
        let address = status.address;
        let mut lines = vec![
            format!(
                "{BOLD}curl http://{address}/{PLAIN}   {} servers, {} directors, for {}",
                status.servers.len(),
                status.directors.len(),
                age(at),
            ),
            String::new(),
            format!("{BOLD}DIRECTOR  STATE       PRIORITY  FOR     ADDRESS{PLAIN}"),
        ];
        for director in &status.directors {
            let (color, state) = match director.state {
                None => (RED, "off".to_owned()),
                Some(State::Active) => (GREEN, State::Active.to_string()),
                Some(State::Initialize) => (YELLOW, "starting".to_owned()),
                Some(state) => ("", state.to_string()),
            };
            let has = if director.has_address {
                address.ip().to_string()
            } else {
                String::new()
            };
            lines.push(format!(
                "{:<8}  {color}{state:<10}{PLAIN}  {:<8}  {:<6}  {has}",
                director.name,
                director.priority,
                age(at.saturating_sub(director.since)),
            ));
        }
        let accepted = self.accepted.per_second(at, stats.accepted);
        let carried = stats.bytes_to_clients + stats.bytes_to_servers;
        let carried = self.bytes.per_second(at, carried);
        lines.push(String::new());
        lines.push(format!(
            "{BOLD}SERVICE{PLAIN}  TCP {address}  {}",
            status.algorithm.name()
        ));
        let mut line = format!(
            "{} connections, {} open, {accepted:.1}/s, {:.1} kB/s",
            stats.accepted,
            stats.open,
            carried / 1000.0,
        );
        if stats.waiting > 0 {
            let waiting = stats.waiting;
            let _ = write!(
                line,
                ", {YELLOW}{waiting} waiting for an Active director{PLAIN}"
            );
        }
        if status.traffic > 0 || stats.clients_answered > 0 {
            let (rate, answered) = (status.traffic, stats.clients_answered);
            let failed = stats.clients_failed;
            let _ = write!(
                line,
                "; {rate} clients/s: {answered} answered, {failed} failed"
            );
        }
        lines.push(line);
        let mut heading = format!("{BOLD}SERVER  ADDRESS           PROCESS WEIGHT");
        for director in &status.directors {
            let _ = write!(
                heading,
                "  {:<7}",
                format_args!("IN {}", director.name).to_string()
            );
        }
        heading.push_str(" OPEN  CONNS     /S\x1b[0m");
        lines.push(heading);
        self.picked.resize_with(status.servers.len(), Rate::default);
        for ((place, server), rate) in status.servers.iter().enumerate().zip(&mut self.picked) {
            let mark = if place == chosen { '>' } else { ' ' };
            let (color, process) = match server.is_running {
                true => (GREEN, "runs"),
                false => (RED, "stopped"),
            };
            let mut line = format!(
                "{mark}{:<6} {:<17} {color}{process:<7}{PLAIN} {:>6}",
                server.number,
                server.address.to_string(),
                server.weight,
            );
            for (weight, health) in server.tables.iter().zip(&server.health) {
                let (color, text) = entry(*weight, *health);
                let _ = write!(line, "  {color}{text:<7}{PLAIN}");
            }
            let _ = write!(
                line,
                " {:>4} {:>6} {:>6.1}",
                server.open,
                server.picked,
                rate.per_second(at, server.picked),
            );
            lines.push(line);
        }
        let numbers: Vec<_> = status
            .servers
            .iter()
            .map(|it| it.number.to_string())
            .collect();
        lines.push(String::new());
        let [servers, others] = HELP;
        lines.push(format!("{} {servers}", numbers.join(" ")));
        lines.push(others.to_owned());
        lines
    }
}

/// A server in a director's table: what its checks say, and the weight there.
fn entry(weight: Option<u32>, health: Option<Health>) -> (&'static str, String) {
    let (color, word) = match health {
        Some(Health::Up) => (GREEN, "up"),
        Some(Health::Down) => (RED, "down"),
        Some(_) => (YELLOW, "?"),
        // A director that is off.
        None => ("", ""),
    };
    let text = match weight {
        Some(weight) => format!("{word} {weight}"),
        None if word.is_empty() => "-".to_owned(),
        None => word.to_owned(),
    };
    (color, text)
}

/// `0.3s`, `42s`, `7m05s`, `3h02m`
fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{}.{}s", seconds, time.subsec_millis() / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use director::demonstration::Demonstration;
    use director::signals::Signals;

    use super::*;

    fn status() -> Status {
        let config = director::demonstration::farm::Config::default();
        let demonstration = Demonstration::start(&config, Signals::block().unwrap()).unwrap();
        demonstration.farm().stop_server(3).unwrap();
        demonstration.status()
    }

    #[test]
    fn a_screen_has_everything_within_a_usual_terminal() {
        let (mut screen, status) = (Screen::default(), status());
        screen.events.push_back("something".to_owned());
        let text = screen.draw(&status, 1, (24, 80));
        for part in [
            &format!("curl http://{}/", status.address),
            "DIRECTOR  STATE",
            "A         \x1b[33mstarting",
            "wrr",
            ">2      127.0.0.12:",
            "stopped",
            "k kill the Active director",
            "LAST EVENTS",
            "something",
        ] {
            assert!(text.contains(part), "{part}: {text:?}");
        }
        for line in text.split("\r\n") {
            let mut shown = line.to_owned();
            for code in [
                GREEN, RED, YELLOW, BOLD, PLAIN, "\x1b[K", "\x1b[J", "\x1b[H", "\x1b[2J",
            ] {
                shown = shown.replace(code, "");
            }
            assert!(!shown.contains('\x1b') && shown.len() <= 80, "{shown:?}");
        }
    }

    #[test]
    fn a_screen_never_has_more_lines_than_the_terminal() {
        let (mut screen, status) = (Screen::default(), status());
        for number in 0..50 {
            screen.events.push_back(format!("line {number}"));
        }
        for rows in [1, 2, 5, 24, 60] {
            let text = screen.draw(&status, 0, (rows, 80));
            assert!(text.matches("\r\n").count() < rows, "{rows}");
            assert!(text.contains("line 49") || rows < 5, "{rows}: {text:?}");
        }
    }

    #[test]
    fn nothing_of_an_event_moves_the_cursor() {
        let mut screen = Screen::default();
        for number in 0..=LAST {
            screen.events.push_back(format!("line {number}"));
        }
        let at = Duration::from_millis(1_500);
        screen.remember(at, &Event::new(Some(1), "one\x1b[2J\ntwo"));
        let [.., first, second] = screen.events.make_contiguous() else {
            panic!("nothing remembered");
        };
        assert_eq!(
            [first.as_str(), second],
            ["    1.500  B  one[2J", "    1.500  B  two"]
        );
        assert_eq!(screen.events.len(), LAST);
    }

    #[test]
    fn an_entry_has_health_and_weight() {
        for (weight, health, expected) in [
            (Some(3), Some(Health::Up), "up 3"),
            (None, Some(Health::Down), "down"),
            (Some(0), Some(Health::Down), "down 0"),
            (Some(3), Some(Health::Unknown), "? 3"),
            (None, None, "-"),
        ] {
            assert_eq!(entry(weight, health).1, expected);
        }
    }

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
    }
}
