//! Why the program ends early, and with which status.

use core::fmt;
use std::io;
use std::path::PathBuf;

use director::vrrp::run::StartError;
use lvs_vrrp::net::DriverError;
use nix::errno::Errno;

/// What ends the program.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The file cannot be read.
    Open(PathBuf, io::Error),
    /// Flags contradict each other.
    Flags(String),
    /// The file has this many errors and warnings.
    Refused(String),
    /// The virtual routers cannot be run.
    Driver(DriverError),
    /// The process that runs does not leave the virtual routers.
    TakeOver(String),
    /// The system refused something else.
    System(&'static str, io::Error),
    /// Standard output takes no more.
    Output(io::Error),
}

impl Failure {
    pub(crate) fn system(what: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::System(what, errno.into())
    }

    /// The exit status: 2 for a wrong command line, otherwise 1.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Flags(_) => 2,
            Self::Output(_) if self.is_silent() => 0,
            _ => 1,
        }
    }

    /// Whether there is nobody to tell: the reader of the output has left, as `head` does.
    pub(crate) fn is_silent(&self) -> bool {
        match self {
            Self::Output(error) => matches!(error.kind(), io::ErrorKind::BrokenPipe),
            _ => false,
        }
    }

    /// Whether it is for want of a capability.
    fn lacks_capability(&self) -> bool {
        match self {
            Self::Driver(DriverError::Net(error)) => error.missing_capability().is_some(),
            _ => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Flags(text) => f.write_str(text),
            Self::Refused(text) => f.write_str(text),
            Self::Driver(error) => write!(f, "{error}"),
            Self::TakeOver(reason) => write!(f, "cannot take over: {reason}"),
            Self::System(what, error) => write!(f, "cannot {what}: {error}"),
            Self::Output(error) => write!(f, "cannot write to standard output: {error}"),
        }?;
        if let Self::Driver(DriverError::TagInUse { .. }) = self {
            f.write_str(" with --tag, or go on where that one leaves off with --take-over")?;
        }
        if self.lacks_capability() {
            f.write_str(
                ", or once as root: setcap cap_net_raw,cap_net_admin+ep on the program; --check \
                 needs nothing",
            )?;
        }
        Ok(())
    }
}

impl From<DriverError> for Failure {
    fn from(error: DriverError) -> Self {
        Self::Driver(error)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::System(what, error) => Self::System(what, error),
            other => Self::System("start", io::Error::other(other)),
        }
    }
}
