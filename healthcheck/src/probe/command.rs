//! External commands: the exit code is the verdict, and optionally the weight.
//!
//! keepalived's `MISC_CHECK`. A [`Command`] is what is run, a [`CommandProbe`] how its exit code
//! is read:
//!
//! | Exit | plain | [dynamic](CommandProbe::with_dynamic) |
//! |---|---|---|
//! | 0 | pass | pass, configured weight |
//! | 1 | fail | fail |
//! | 2 | fail | pass, weight 0: stays in the table and gets no new connections |
//! | *n*, 3 to 255 | fail | pass, weight *n* − 2 |
//! | killed by a signal | fail | fail |
//! | not ended in time | fail | fail |
//!
//! So a script that wants weight *w* exits with *w* + 2, and weights above 253 cannot be
//! expressed. **Beware of the shell:** 126 (not executable), 127 (not found) and 128 + *n* (died
//! from a signal) are all success for `misc_dynamic` of keepalived. Unless
//! [told otherwise](CommandProbe::DYNAMIC_MAX_KEEPALIVED), codes above 125 fail here.
//!
//! # How it is run
//!
//! No shell; arguments as given. In its own process group, in `/`, with umask 022, standard input
//! from `/dev/null`, standard output and error to a pipe of which the first
//! [4 KiB](CommandProbe::MAX_OUTPUT) are kept, all other descriptors closed, default signal mask
//! and handlers, ordinary scheduling, without the chance to gain privileges. A command that is
//! looked for in `PATH` is found by the `PATH` it will get.
//!
//! When the time is up the outcome is delivered at once, and the process group gets SIGTERM; after
//! 2 s SIGKILL; after 2 more seconds again, and then every 10 s. The check does not start again
//! before the command is gone. A process that left the group (`setsid`) escapes.
//!
//! What a command leaves behind when it ends *by itself* is left alone, and does not delay the
//! result by more than 100 ms even if it holds the output open.

mod engine;
mod external_check;
mod parse;
mod placeholders;

use core::fmt;

use self::engine::CommandEngine;
pub use self::external_check::ExternalCheck;
pub use self::placeholders::Placeholders;
use super::{Engine, Identity, Probe, Resource};
use crate::attempt::Attempt;
use crate::error::Invalid;
use crate::policy::Health;

/// What to run.
///
/// ```
/// use lvs_healthcheck::Command;
///
/// let command: Command = r#"/data/es_check.sh 172.1.1.54 "two words""#.parse()?;
/// assert_eq!(command.arguments(), ["/data/es_check.sh", "172.1.1.54", "two words"]);
/// # Ok::<_, lvs_healthcheck::Invalid>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct Command {
    arguments: Vec<String>,
    environment: Environment,
    variables: Vec<(String, String)>,
    /// Whether `{state}` and `HC_STATE` follow the health at the start of each attempt.
    state: bool,
    credentials: Option<Credentials>,
    gains_privileges: bool,
}

/// What a command finds in its environment, besides variables set for it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Environment {
    /// Only `PATH`, with this value.
    Clean {
        /// The search path.
        path: String,
    },
    /// Everything of this process except `IFS`, `LD_PRELOAD` and `LD_LIBRARY_PATH`, as keepalived
    /// does.
    Inherit,
}

impl Environment {
    /// The `PATH` of a clean environment by default.
    pub const PATH: &'static str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

impl Default for Environment {
    fn default() -> Self {
        Self::Clean {
            path: Self::PATH.into(),
        }
    }
}

/// Who a command runs as; only root can use it.
///
/// Set in this order: supplementary groups, group, user.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Credentials {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The supplementary groups' numbers.
    pub groups: Vec<u32>,
}

impl Credentials {
    /// A user with one group and no others. [`lookup_user`](crate::lookup_user) finds a user's
    /// groups.
    #[must_use]
    pub const fn new(uid: u32, gid: u32) -> Self {
        Self {
            uid,
            gid,
            groups: Vec::new(),
        }
    }
}

impl Command {
    /// A program (a path, or a name to be looked for in `PATH`) without arguments.
    pub fn new(program: &str) -> Self {
        Self {
            arguments: vec![program.to_owned()],
            environment: Environment::default(),
            variables: Vec::new(),
            state: false,
            credentials: None,
            gains_privileges: false,
        }
    }

    /// Adds an argument.
    pub fn with_argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Chooses the environment. Default: [clean](Environment::Clean).
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Sets a variable, in addition to the environment; replaces one of that name.
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(other, _)| other != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs as somebody else. Default: as this process.
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Lets it gain privileges, as by `sudo`. Default: not (`PR_SET_NO_NEW_PRIVS`, prctl(2)).
    pub const fn with_new_privileges(mut self, allowed: bool) -> Self {
        self.gains_privileges = allowed;
        self
    }

    /// Replaces `{name}` in the arguments and sets `HC_…` variables; see [`Placeholders`].
    ///
    /// # Errors
    ///
    /// An argument contains a placeholder that is unknown or has no value. Literal braces are
    /// written `{{` and `}}`.
    pub fn with_placeholders(mut self, values: &Placeholders) -> Result<Self, Invalid> {
        for argument in &mut self.arguments {
            *argument = values.expand(argument)?;
        }
        for (name, value) in values.variables() {
            self = self.with_variable(name, &value);
        }
        self.state = true;
        Ok(self)
    }

    /// The program and its arguments.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// The environment.
    #[must_use]
    pub const fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Variables set in addition to the environment.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Who it runs as, if not as this process.
    #[must_use]
    pub const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Whether it may gain privileges.
    #[must_use]
    pub const fn gains_privileges(&self) -> bool {
        self.gains_privileges
    }

    /// Checks what no system call could make work.
    ///
    /// # Errors
    ///
    /// No program, NUL in an argument or variable, or a variable's name that is empty or contains
    /// `=`.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.arguments.first().is_none_or(String::is_empty) {
            return Err(Invalid::new("command", "empty", "must name a program"));
        }
        for argument in &self.arguments {
            if argument.contains('\0') {
                return Err(Invalid::new(
                    "command",
                    format!("{argument:?}"),
                    "must not contain NUL",
                ));
            }
        }
        for (name, value) in &self.variables {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(Invalid::new(
                    "variable",
                    format!("{name:?}={value:?}"),
                    "must have a name without \"=\", and no NUL",
                ));
            }
        }
        Ok(())
    }

    /// The command for an attempt that starts in this health.
    fn at(&self, health: Health) -> Self {
        if !self.state {
            return self.clone();
        }
        let state = health.to_string();
        let mut command = self.clone().with_variable("HC_STATE", &state);
        for argument in &mut command.arguments {
            *argument = placeholders::set_state(argument, &state);
        }
        command
    }
}

impl fmt::Display for Command {
    /// Program and arguments, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arguments.join(" "))
    }
}

/// Runs a [`Command`] and reads its exit code; see the [module](self) for how.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct CommandProbe {
    command: Command,
    meaning: ExitCodes,
}

/// What the exit codes of a command mean.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum ExitCodes {
    /// 0 passes.
    Plain,
    /// From 2 to this one they are weights.
    Dynamic { max: u8 },
    /// Those of monitoring plugins, and the share of the weight that a warning leaves.
    Nagios { warning_percent: u32 },
}

impl CommandProbe {
    /// How much of a command's output is kept; the rest is read and dropped.
    pub const MAX_OUTPUT: usize = 4096;

    /// The highest exit code that counts as a weight by default: those of the shell do not.
    pub const DYNAMIC_MAX: u8 = 125;

    /// The highest exit code that counts as a weight for keepalived's `misc_dynamic`.
    pub const DYNAMIC_MAX_KEEPALIVED: u8 = 255;

    /// Passes when the command exits with 0.
    pub const fn new(command: Command) -> Self {
        Self {
            command,
            meaning: ExitCodes::Plain,
        }
    }

    /// Reads exit codes from 2 to this one as weights, and those above as failures.
    pub const fn with_dynamic(mut self, max: u8) -> Self {
        self.meaning = ExitCodes::Dynamic { max };
        self
    }

    /// Reads exit codes as those of a monitoring plugin (Nagios, Icinga): 0 passes, 1 (warning)
    /// passes with so many hundredths of the weight, 2 (critical) fails, 3 (unknown) says nothing.
    pub const fn with_nagios(mut self, warning_percent: u32) -> Self {
        self.meaning = ExitCodes::Nagios { warning_percent };
        self
    }
}

impl Probe for CommandProbe {
    fn identity(&self) -> Option<Identity<'_>> {
        // One that is told the health of its check is that check's.
        (!self.command.state).then(|| Identity::of(self))
    }

    fn engine(&self, attempt: &Attempt) -> Box<dyn Engine> {
        let command = self.command.at(attempt.health);
        Box::new(CommandEngine::new(command, self.meaning, *attempt))
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.command.validate()
    }

    fn resource(&self) -> Resource {
        Resource::Process
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_cannot_be_executed() {
        let bad = [
            Command::new(""),
            Command::new("a\0b"),
            Command::new("a").with_argument("\0"),
            Command::new("a").with_variable("", "x"),
            Command::new("a").with_variable("A=B", "x"),
            Command::new("a").with_variable("A", "\0"),
        ];
        for command in bad {
            assert!(
                CommandProbe::new(command.clone()).validate().is_err(),
                "{command:?}"
            );
        }
        assert_eq!(Command::new("a").with_argument("").validate(), Ok(()));
    }

    #[test]
    fn later_variable_replaces_an_earlier_one() {
        let command = Command::new("a")
            .with_variable("A", "1")
            .with_variable("A", "2");
        assert_eq!(command.variables().collect::<Vec<_>>(), [("A", "2")]);
    }

    #[test]
    fn state_is_that_of_each_attempt() {
        let mut values = Placeholders::new();
        values.rip = Some("10.0.0.1".parse().unwrap());
        let command: Command = "check {rip} {state} {{rip}}".parse().unwrap();
        let command = command.with_placeholders(&values).unwrap();
        let up = command.at(Health::Up);
        assert_eq!(up.arguments(), ["check", "10.0.0.1", "up", "{rip}"]);
        let variables: Vec<_> = up.variables().collect();
        assert_eq!(variables, [("HC_RIP", "10.0.0.1"), ("HC_STATE", "up")]);
        assert_eq!(command.at(Health::Down).arguments()[2], "down");
        let plain: Command = "check {rip}".parse().unwrap();
        assert_eq!(
            plain.at(Health::Up).arguments(),
            ["check", "{rip}"],
            "not expanded unasked"
        );
    }
}
