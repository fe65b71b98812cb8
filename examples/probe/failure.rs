//! Why the program ends without a verdict, and with which status.

use core::fmt;
use std::io;

use lvs_healthcheck::{Error, Invalid};

/// What ends the program.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A value on the command line: field, value, limit.
    Value(String, String, String),
    /// An option that means nothing for this kind of check.
    Meaningless(String, String),
    /// A setting the library refuses.
    Refused(Error),
    /// The operating system refuses something.
    System(&'static str, io::Error),
    /// Standard output takes no more.
    Output(io::Error),
}

impl Failure {
    /// Names a field, its value and its limit.
    pub(crate) fn value(field: &str, value: impl fmt::Display, limit: impl fmt::Display) -> Self {
        Self::Value(field.to_owned(), value.to_string(), limit.to_string())
    }

    /// The exit status: 2 for what was asked wrongly, 1 for what could not be done.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Value(..) | Self::Meaningless(..) | Self::Refused(Error::Invalid(_)) => 2,
            _ => 1,
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
            Self::Value(field, value, limit) => write!(f, "{field} is {value}: {limit}"),
            Self::Meaningless(option, why) => write!(f, "{option}: {why}"),
            Self::Refused(error) => {
                write!(f, "{error}")?;
                let mut source = core::error::Error::source(error);
                while let Some(cause) = source {
                    write!(f, ": {cause}")?;
                    source = cause.source();
                }
                Ok(())
            }
            Self::System(what, error) => write!(f, "cannot {what}: {error}"),
            Self::Output(error) => write!(f, "cannot write to standard output: {error}"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::Refused(invalid.into())
    }
}
