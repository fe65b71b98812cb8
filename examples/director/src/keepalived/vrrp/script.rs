//! `vrrp_script NAME { … }`: a program that says by its exit code whether something is fine
//! (keepalived.conf(5)).

use core::fmt;
use core::time::Duration;

use super::super::ast::Statement;
use super::super::command::{self, Command};
use super::super::diagnostic::{Position, Report};
use super::super::values;
use super::track::{self, Weight};
use super::write;

/// The longest interval and timeout, in seconds.
const SECONDS_MAX: u64 = 4294;

/// A script that virtual routers may follow.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct VrrpScript {
    /// Where its block starts.
    pub position: Position,
    /// Its name.
    pub name: String,
    /// `script` with `user`.
    pub command: Command,
    /// `interval`: time from start to start. Default 1 s.
    pub interval: Duration,
    /// `timeout`: it is killed then, and has failed. Default the interval.
    pub timeout: Duration,
    /// `weight`, -253..=253: that of virtual routers which do not say their own. Default 0.
    pub weight: Weight,
    /// `rise`: consecutive successes that mean it is fine. Default 1.
    pub rise: u32,
    /// `fall`: consecutive failures that mean it has failed. Default 1.
    pub fall: u32,
    /// `init_fail`: it has failed until it has not.
    pub init_fail: bool,
}

impl VrrpScript {
    /// Reads a block; one without a name or a script is left out.
    pub(super) fn read(statement: &Statement, report: &mut Report) -> Option<Self> {
        let name = write::name(statement, report)?;
        let (mut command, mut user) = (None, None);
        let (mut interval, mut timeout) = (None, None);
        let (mut weight, mut rise, mut fall) = (None, None, None);
        let mut init_fail = false;
        for inner in values::block(statement, report) {
            match inner.keyword() {
                "script" => {
                    values::leaf(inner, usize::MAX, report);
                    values::set(&mut command, command::alone(inner, report));
                }
                "interval" => values::set(&mut interval, seconds(inner, report)),
                "timeout" => values::set(&mut timeout, seconds(inner, report)),
                "weight" => values::set(&mut weight, track::weight(inner, 253, report)),
                "rise" => values::set(&mut rise, count(inner, report)),
                "fall" => values::set(&mut fall, count(inner, report)),
                "user" => values::set(&mut user, write::account(inner, report)),
                "init_fail" => init_fail = values::flag(inner, report),
                _ => values::unknown(inner, report),
            }
        }
        let Some(mut command) = command else {
            let message = format!("vrrp_script {name}: there is no script; block ignored");
            report.error(statement.position(), message);
            return None;
        };
        if let Some((user, group)) = user {
            (command.user, command.group) = (Some(user), group);
        }
        let interval = interval.unwrap_or(Duration::from_secs(1));
        Some(Self {
            position: statement.position().clone(),
            name,
            command,
            interval,
            timeout: timeout.unwrap_or(interval),
            weight: weight.unwrap_or_default(),
            rise: rise.unwrap_or(1),
            fall: fall.unwrap_or(1),
            init_fail,
        })
    }
}

fn count(statement: &Statement, report: &mut Report) -> Option<u32> {
    values::number(statement, 1..=2_147_483_647, report)
}

/// A time of which 0 is corrected to a second.
fn seconds(statement: &Statement, report: &mut Report) -> Option<Duration> {
    let most = SECONDS_MAX.saturating_mul(1_000_000);
    let time = values::timer(statement, 0..=most, report)?;
    if time.is_zero() {
        let message = format!("{}: 0 is not over 0, set to 1", statement.keyword());
        report.warning(statement.argument_position(0), message);
        return Some(Duration::from_secs(1));
    }
    Some(time)
}

/// As it is written in a file.
impl fmt::Display for VrrpScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "vrrp_script {} {{", write::Word(&self.name))?;
        writeln!(f, "  script {}", write::Program(&self.command.words))?;
        writeln!(f, "  interval {}", write::Seconds(self.interval))?;
        writeln!(f, "  timeout {}", write::Seconds(self.timeout))?;
        writeln!(f, "  weight {}", self.weight)?;
        writeln!(f, "  rise {}\n  fall {}", self.rise, self.fall)?;
        if let Some(user) = &self.command.user {
            let group = self.command.group.iter().map(|group| write::Word(group));
            write!(f, "  user {}", write::Word(user))?;
            for group in group {
                write!(f, " {group}")?;
            }
            writeln!(f)?;
        }
        if self.init_fail {
            writeln!(f, "  init_fail")?;
        }
        writeln!(f, "}}")
    }
}
