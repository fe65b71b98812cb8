//! Why the program ends early, and with which status.

use core::fmt;
use std::io;
use std::path::PathBuf;

use lvs_schedulers::scenario::ScenarioError;

/// What ends the program.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The options make no sense together.
    Usage(String),
    /// The scenario cannot be read.
    Read(PathBuf, io::Error),
    /// The scenario is refused.
    Scenario(PathBuf, ScenarioError),
    /// The servers of the options are refused.
    Servers(ScenarioError),
    /// A file cannot be written.
    Write(PathBuf, io::Error),
    /// Nothing can be drawn.
    Plot(String),
    /// Standard output takes no more.
    Output(io::Error),
}

impl Failure {
    /// The exit status: 2 for what was asked wrongly, 1 for what could not be delivered.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Read(..) | Self::Scenario(..) | Self::Servers(_) => 2,
            Self::Write(..) | Self::Plot(_) => 1,
            Self::Output(_) if self.is_silent() => 0,
            Self::Output(_) => 1,
        }
    }

    /// Whether there is nobody to tell: the reader of the output has left, as `head` does.
    pub(crate) fn is_silent(&self) -> bool {
        match self {
            Self::Output(error) => matches!(error.kind(), io::ErrorKind::BrokenPipe),
            _ => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) => write!(f, "{message} (see simulate --help)"),
            Self::Read(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Scenario(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Servers(error) => write!(f, "--servers: {error}"),
            Self::Write(path, error) => write!(f, "cannot write {}: {error}", path.display()),
            Self::Plot(message) => write!(f, "cannot draw the plot: {message}"),
            Self::Output(error) => write!(f, "cannot write to standard output: {error}"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
