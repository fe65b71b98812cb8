//! The live view on a terminal.

use core::time::Duration;
use std::io;
use std::os::fd::BorrowedFd;

use director::demonstration::{Event, Face, Status, Wish};

use super::keys::Keys;
use super::screen::Screen;
use super::terminal::Terminal;

/// How often it is drawn.
const REFRESH: Duration = Duration::from_millis(200);

/// A terminal with everything on it.
#[derive(Debug)]
pub(crate) struct Live {
    terminal: Terminal,
    screen: Screen,
    keys: Keys,
    /// As it was shown last.
    status: Option<Status>,
    shows_at: Duration,
}

impl Live {
    pub(crate) fn start() -> io::Result<Self> {
        Ok(Self {
            terminal: Terminal::take()?,
            screen: Screen::default(),
            keys: Keys::default(),
            status: None,
            shows_at: Duration::ZERO,
        })
    }
}

impl Face for Live {
    fn tell(&mut self, at: Duration, event: &Event) {
        self.screen.remember(at, event);
        // Soon, but not for each of many.
        self.shows_at = self.shows_at.min(at + REFRESH / 4);
    }

    fn shows_at(&self) -> Option<Duration> {
        Some(self.shows_at)
    }

    fn show(&mut self, status: &Status) {
        let size = self.terminal.size();
        let text = self.screen.draw(status, self.keys.chosen, size);
        // Who cannot see it needs it no more.
        let _ = self.terminal.write(&text);
        self.shows_at = status.at + REFRESH;
        self.status = Some(status.clone());
    }

    fn input(&self) -> Option<BorrowedFd<'_>> {
        self.terminal.input()
    }

    fn wishes(&mut self) -> Vec<Wish> {
        let Some(keys) = self.terminal.keys() else {
            return vec![Wish::End];
        };
        let Some(status) = &self.status else {
            return Vec::new();
        };
        if !keys.is_empty() {
            self.shows_at = Duration::ZERO;
        }
        let presses = keys.into_iter();
        presses
            .filter_map(|key| self.keys.press(key, status))
            .collect()
    }
}
