//! Why the program ends early, and with which status.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::capture::CaptureError;

/// What ends the program.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A capture cannot be opened.
    Open(PathBuf, io::Error),
    /// A capture is cut off or corrupt.
    Capture(PathBuf, CaptureError),
    /// Frames of a link type that is not read, and how many there were.
    Link(PathBuf, u32, u64),
    /// There is no such interface.
    NoInterface(String, Errno),
    /// Interfaces cannot be watched.
    Watch(&'static str, io::Error),
    /// Standard output takes no more.
    Output(io::Error),
}

impl Failure {
    /// The exit status: 2 for what was asked wrongly and for captures that cannot be read to their
    /// end, 1 for what could not be delivered.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Open(..) | Self::Capture(..) | Self::Link(..) | Self::NoInterface(..) => 2,
            Self::Watch(..) => 1,
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
            Self::Open(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Capture(path, error) => write!(f, "{}: {error}", name(path)),
            Self::Link(path, link, frames) => write!(
                f,
                "{}: {frames} frames skipped, whose link type ({link}) is not Ethernet (1), \
                 Linux cooked (113, 276) or raw IP (101, 228, 229)",
                name(path)
            ),
            Self::NoInterface(name, error) => write!(f, "no interface {name}: {error}"),
            Self::Watch(what, error) if error.kind() == io::ErrorKind::PermissionDenied => write!(
                f,
                "cannot {what}: {error}: watching interfaces needs CAP_NET_RAW: run it as root, or \
                 once as root: setcap cap_net_raw+ep on the program; files need nothing"
            ),
            Self::Watch(what, error) => write!(f, "cannot {what}: {error}"),
            Self::Output(error) => write!(f, "cannot write to standard output: {error}"),
        }
    }
}

/// The name of a capture.
fn name(path: &Path) -> String {
    if path.as_os_str() == "-" {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
