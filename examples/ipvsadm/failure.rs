//! Why a command ends early, and with which status.

use core::fmt;
use std::io;

/// What ends a command.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for could not be read.
    Listing(String),
    /// Standard output takes no more.
    Output(io::Error),
}

impl Failure {
    /// The exit status, that of ipvsadm.
    pub(crate) const fn status(&self) -> u8 {
        match self {
            Self::Listing(_) | Self::Output(_) => 1,
        }
    }

    /// Whether there is nobody to tell: the reader of the output has left, as `head` does.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listing(message) => f.write_str(message),
            Self::Output(error) => write!(f, "cannot write to standard output: {error}"),
        }
    }
}

/// Every error of a call that only writes is one of the output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Every error of a call that only reads is one of the listing.
impl From<lvs_ipvs::Error> for Failure {
    fn from(error: lvs_ipvs::Error) -> Self {
        Self::Listing(error.to_string())
    }
}
