//! What is found out, and who is told.

use core::time::Duration;
use std::io::{self, IsTerminal, Write};
use std::time::SystemTime;

use lvs_healthcheck::{Health, Outcome, Report};

use crate::arguments::Options;
use crate::failure::Failure;
use crate::json;
use crate::lines::Lines;
use crate::screen::Screen;
use crate::subject::Subject;
use crate::text;

/// Everything one attempt led to.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) attempt: u64,
    pub(crate) time: SystemTime,
    pub(crate) outcome: Outcome,
    pub(crate) health: Health,
    pub(crate) counter: u32,
    pub(crate) changed: bool,
    /// The time until the next attempt is planned, if there will be one.
    pub(crate) next: Option<Duration>,
}

impl Finding {
    /// What the driver reports.
    pub(crate) fn new(report: Report, next: Option<Duration>) -> Self {
        Self {
            attempt: report.attempt,
            time: SystemTime::now(),
            outcome: report.outcome,
            health: report.health,
            counter: report.counter,
            changed: report.change.is_some(),
            next,
        }
    }

    /// An outcome without an attempt.
    pub(crate) fn without_attempt(outcome: Outcome) -> Self {
        Self {
            attempt: 1,
            time: SystemTime::now(),
            outcome,
            health: Health::Unknown,
            counter: 0,
            changed: false,
            next: None,
        }
    }
}

/// How it is told.
pub(crate) enum Output {
    Quiet,
    Text { numbered: bool },
    Json,
    Lines(Lines),
    Screen(Box<Screen>),
}

impl Output {
    /// As the options ask for.
    pub(crate) fn new(options: &Options, subject: &Subject) -> Result<Self, Failure> {
        Ok(if options.quiet {
            Self::Quiet
        } else if options.json {
            Self::Json
        } else if !options.watch {
            let numbered = options.count.is_some_and(|count| count > 1);
            Self::Text { numbered }
        } else if io::stdout().is_terminal() {
            Self::Screen(Box::new(Screen::enter(subject)?))
        } else {
            Self::Lines(Lines::default())
        })
    }

    /// Tells of an attempt.
    pub(crate) fn tell(&mut self, subject: &Subject, finding: &Finding) -> Result<(), Failure> {
        match self {
            Self::Quiet => Ok(()),
            Self::Text { numbered } => print(&text::block(subject, finding, *numbered)),
            Self::Json => print(&format!("{}\n", json::object(subject, finding))),
            Self::Lines(lines) => match lines.line(subject, finding) {
                Some(line) => print(&line),
                None => Ok(()),
            },
            Self::Screen(screen) => screen.remember(subject, finding),
        }
    }

    /// Shows how much time is left, where that is shown.
    pub(crate) fn refresh(
        &mut self,
        subject: &Subject,
        next: Option<Duration>,
    ) -> Result<(), Failure> {
        match self {
            Self::Screen(screen) => screen.draw(subject, next),
            _ => Ok(()),
        }
    }

    /// How often that changes.
    pub(crate) const fn refresh_every(&self) -> Option<Duration> {
        match self {
            Self::Screen(_) => Some(Duration::from_millis(100)),
            _ => None,
        }
    }
}

/// Prints at once.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::Output)
}
