//! Why a command ends early, and with which status.

use core::fmt;
use std::io;

use lvs_ipvs::text::parse::RuleError;

/// What ends a command.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no command at all, or one that cannot be here.
    Usage(RuleError),
    /// The command line is refused.
    Refused(RuleError),
    /// The kernel has no IPVS, or does not let us at it.
    Unavailable(lvs_ipvs::Error),
    /// The kernel refused the change.
    Kernel(lvs_ipvs::Error),
    /// What was asked for could not be read.
    Listing(String),
    /// Standard input cannot be read.
    Input(io::Error),
    /// Standard output takes no more.
    Output(io::Error),
}

impl Failure {
    /// The exit status, that of ipvsadm.
    pub(crate) const fn status(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Kernel(_) => 255,
            Self::Refused(
                RuleError::UnknownOption { .. }
                | RuleError::MissingValue { .. }
                | RuleError::SurplusValue { .. },
            ) => 255,
            Self::Refused(_) | Self::Unavailable(_) => 2,
            Self::Listing(_) | Self::Input(_) | Self::Output(_) => 1,
        }
    }

    /// Whether `-R` goes on with the next line.
    pub(crate) const fn is_passed_over(&self) -> bool {
        self.status() == 255 && !matches!(self, Self::Usage(_))
    }

    /// Whether there is nobody to tell: the reader of the output has left, as `head` does.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) => write!(f, "{error} (see ipvsadm --help)"),
            Self::Refused(error) => error.fmt(f),
            Self::Unavailable(error) => write!(f, "cannot reach IPVS: {error}"),
            Self::Kernel(error) => error.fmt(f),
            Self::Listing(message) => f.write_str(message),
            Self::Input(error) => write!(f, "cannot read standard input: {error}"),
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
