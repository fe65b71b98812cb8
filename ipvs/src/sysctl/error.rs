//! What can go wrong with a sysctl.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::variable::Definition;
use crate::error::Error;

/// Why a sysctl was not read or not set.
#[non_exhaustive]
#[derive(Debug)]
pub enum SysctlError {
    /// The value cannot be right; nothing was written.
    Invalid {
        /// Which sysctl.
        sysctl: &'static Definition,
        /// The refused value.
        value: String,
    },
    /// There is no such file.
    Absent {
        /// Which sysctl.
        sysctl: &'static Definition,
        /// Where it should be.
        path: PathBuf,
    },
    /// The content is not what this crate knows the kernel to write there.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Its content, as far as it is text.
        text: String,
        /// What was expected.
        expected: &'static str,
    },
    /// Reading failed.
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        error: io::Error,
    },
    /// The kernel did not take the value: `EINVAL` for one it does not accept, `EPERM` or
    /// `EACCES` for lack of privilege.
    Refused {
        /// The file.
        path: PathBuf,
        /// What was to be written.
        value: String,
        /// The operating system's answer.
        error: io::Error,
    },
}

impl SysctlError {
    /// Whether this kernel or namespace does not have the sysctl.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }

    /// The operating system's answer, if it came to that.
    #[must_use]
    pub const fn os_error(&self) -> Option<&io::Error> {
        match self {
            Self::Read { error, .. } | Self::Refused { error, .. } => Some(error),
            _ => None,
        }
    }

    /// The file; `None` when it did not come to that.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Invalid { .. } => None,
            Self::Absent { path, .. }
            | Self::Unreadable { path, .. }
            | Self::Read { path, .. }
            | Self::Refused { path, .. } => Some(path),
        }
    }
}

impl fmt::Display for SysctlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { sysctl, value } => {
                write!(f, "sysctl {sysctl} {value}: must be {}", sysctl.accepted)
            }
            Self::Absent { sysctl, path } => {
                write!(f, "{} is not there: ", path.display())?;
                if let Some(since) = sysctl.since {
                    write!(f, "the kernel is older than Linux {since}, ")?;
                }
                f.write_str(sysctl.needs)
            }
            Self::Unreadable {
                path,
                text,
                expected,
            } => write!(
                f,
                "{} says \"{}\": expected {expected}",
                path.display(),
                text.escape_debug()
            ),
            Self::Read { path, error } => write!(f, "cannot read {}: {error}", path.display()),
            Self::Refused { path, value, error } => {
                write!(f, "cannot write {value} to {}: {error}", path.display())
            }
        }
    }
}

// `Display` says everything, so there is no source.
impl core::error::Error for SysctlError {}

impl From<SysctlError> for Error {
    fn from(error: SysctlError) -> Self {
        Self::Sysctl(error)
    }
}
