//! `vrrp_track_process NAME { … }`: whether a program runs (keepalived.conf(5)).

use core::fmt;
use core::time::Duration;

use super::super::ast::Statement;
use super::super::diagnostic::{Position, Report};
use super::super::values;
use super::track::{self, Weight};
use super::write;

/// The longest delay, in microseconds.
const DELAY_MAX: u64 = 3_600_000_000;

/// A program that virtual routers may follow.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TrackProcess {
    /// Where its block starts.
    pub position: Position,
    /// Its name.
    pub name: String,
    /// `process`: the program and the parameters it must have.
    pub command: Vec<String>,
    /// `param_match`: how parameters are compared. Default: all must be equal.
    pub parameters: ParamMatch,
    /// `weight`, -254..=254. Default 1.
    pub weight: Weight,
    /// `quorum`, 1..=65535: how many must run at least. Default 1.
    pub quorum: u16,
    /// `quorum_max`, 0..=65535: how many may run at most. Default any number.
    pub quorum_max: Option<u16>,
    /// `fork_delay`: for how long enough must run until that counts. Default 0.
    pub fork_delay: Duration,
    /// `terminate_delay`: for how long too few must run until that counts. Default 0.
    pub terminate_delay: Duration,
    /// `full_command`: the whole command line is compared, not the name of the process.
    pub full_command: bool,
}

/// How the parameters of a process are compared.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ParamMatch {
    /// All must be equal.
    #[default]
    Exact,
    /// `initial`: the last one may be longer.
    Initial,
    /// `partial`: there may be more.
    Partial,
}

impl TrackProcess {
    /// Reads a block; one without a name or a process is left out.
    pub(super) fn read(statement: &Statement, report: &mut Report) -> Option<Self> {
        let name = write::name(statement, report)?;
        let mut process = Self {
            position: statement.position().clone(),
            name,
            command: Vec::new(),
            parameters: ParamMatch::Exact,
            weight: Weight::new(1),
            quorum: 1,
            quorum_max: None,
            fork_delay: Duration::ZERO,
            terminate_delay: Duration::ZERO,
            full_command: false,
        };
        for inner in values::block(statement, report) {
            process.read_statement(inner, report);
        }
        if process.command.is_empty() {
            let message = format!(
                "vrrp_track_process {}: there is no process; block ignored",
                process.name
            );
            report.error(statement.position(), message);
            return None;
        }
        if let Some(most) = process.quorum_max
            && most < process.quorum
            && most != 0
        {
            let message = format!(
                "quorum_max {most} is less than quorum {}; ignored",
                process.quorum
            );
            report.warning(&process.position, message);
            process.quorum_max = None;
        }
        Some(process)
    }

    fn read_statement(&mut self, statement: &Statement, report: &mut Report) {
        match statement.keyword() {
            "process" => {
                values::leaf(statement, usize::MAX, report);
                let words = statement.arguments().iter();
                self.command = words.map(|word| word.text().to_owned()).collect();
            }
            "param_match" => {
                let expected = "initial or partial";
                let read = values::word(statement, expected, report, |word| match word {
                    "initial" => Some(ParamMatch::Initial),
                    "partial" => Some(ParamMatch::Partial),
                    _ => None,
                });
                self.parameters = read.unwrap_or(self.parameters);
            }
            "weight" => {
                self.weight = track::weight(statement, 254, report).unwrap_or(self.weight);
            }
            "quorum" => {
                let quorum = values::number(statement, 1..=65_535, report);
                self.quorum = quorum.unwrap_or(self.quorum);
            }
            "quorum_max" => values::set(
                &mut self.quorum_max,
                values::number(statement, 0..=65_535, report),
            ),
            "delay" => {
                if let Some(time) = delay(statement, report) {
                    (self.fork_delay, self.terminate_delay) = (time, time);
                }
            }
            "fork_delay" => {
                self.fork_delay = delay(statement, report).unwrap_or(self.fork_delay);
            }
            "terminate_delay" => {
                self.terminate_delay = delay(statement, report).unwrap_or(self.terminate_delay);
            }
            "full_command" => self.full_command = values::flag(statement, report),
            _ => values::unknown(statement, report),
        }
    }
}

fn delay(statement: &Statement, report: &mut Report) -> Option<Duration> {
    values::timer(statement, 1..=DELAY_MAX, report)
}

/// As it is written in a file.
impl fmt::Display for TrackProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "vrrp_track_process {} {{", write::Word(&self.name))?;
        write!(f, "  process")?;
        for word in &self.command {
            write!(f, " {}", write::Word(word))?;
        }
        writeln!(f)?;
        match self.parameters {
            ParamMatch::Exact => {}
            ParamMatch::Initial => writeln!(f, "  param_match initial")?,
            ParamMatch::Partial => writeln!(f, "  param_match partial")?,
        }
        writeln!(f, "  weight {}\n  quorum {}", self.weight, self.quorum)?;
        if let Some(most) = self.quorum_max {
            writeln!(f, "  quorum_max {most}")?;
        }
        for (keyword, delay) in [
            ("fork_delay", self.fork_delay),
            ("terminate_delay", self.terminate_delay),
        ] {
            if !delay.is_zero() {
                writeln!(f, "  {keyword} {}", write::Seconds(delay))?;
            }
        }
        if self.full_command {
            writeln!(f, "  full_command")?;
        }
        writeln!(f, "}}")
    }
}
