//! What a run tells and comes to.

use core::fmt;

use lvs_ipvs::{Outcome, ServiceKey};
use nix::errno::Errno;

use crate::director::{DirectorError, Event};
use crate::notify::NotifyEvent;

/// What ends the director; what goes wrong with single entries of the table, or with a table that
/// could be read before, is reported and tried again.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The kernel's table cannot be read or written.
    #[error(transparent)]
    Ipvs(#[from] lvs_ipvs::Error),
    /// The configuration cannot be run.
    #[error(transparent)]
    Director(#[from] DirectorError),
    /// A check cannot be run.
    #[error(transparent)]
    Check(#[from] lvs_healthcheck::Error),
    /// Waiting failed.
    #[error("cannot wait for events: {0}")]
    Wait(#[from] Errno),
    /// The thread it runs on panicked. The table stays as it is.
    #[error("the thread that keeps the table has ended: it panicked")]
    ThreadEnded,
}

/// Something the director did or found; `Display` of its parts is a line for people.
#[non_exhaustive]
#[derive(Debug)]
pub enum Happening<'a> {
    /// What the director tells.
    Event(&'a Event),
    /// Services that were in the table already and are kept in order from now on.
    Adopted(ServiceKey),
    /// A change to the table, whether somebody else made it necessary, and what became of it.
    Change {
        /// The change.
        change: &'a lvs_ipvs::Change,
        /// Whether it undoes what somebody else did.
        drift: bool,
        /// What became of it.
        outcome: &'a Outcome,
    },
    /// The changes of one look are through.
    Applied,
    /// The table could not be read or written as a whole; that is tried again.
    LookFailed(&'a lvs_ipvs::Error),
    /// The kernel did not take the timeouts of connections; they are set again.
    TimeoutsRefused(&'a lvs_ipvs::Error),
    /// What became of telling others.
    Notify(&'a NotifyEvent),
}

/// A line for people; empty for [`Happening::Applied`].
impl fmt::Display for Happening<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => event.fmt(f),
            Self::Adopted(key) => write!(f, "adopted {key}, which was there already"),
            Self::Change {
                change,
                drift,
                outcome,
            } => {
                let word = if *drift { "repair " } else { "table  " };
                match outcome {
                    Outcome::Done => write!(f, "{word} {change}"),
                    failed => {
                        let kind = lvs_ipvs::RequestKind::of_change(change);
                        match (*failed).clone().into_result(kind) {
                            Ok(()) => write!(f, "{word} {change}"),
                            Err(error) => write!(f, "{word} {change}\nfailed  {error}"),
                        }
                    }
                }
            }
            Self::Applied => Ok(()),
            Self::LookFailed(error) => write!(f, "failed  {error}; the table is looked at again"),
            Self::TimeoutsRefused(error) => write!(f, "failed  timeouts: {error}; tried again"),
            Self::Notify(event) => event.fmt(f),
        }
    }
}

/// Why [`Runner::run_until`](super::Runner::run_until) returned.
#[expect(clippy::exhaustive_enums, reason = "time, or what signals ask for")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stop {
    /// The time has come.
    Time,
    /// SIGTERM or SIGINT, or somebody asked [from afar](super::Remote::stop).
    Asked,
    /// SIGHUP: read the configuration anew, [`reload`](super::Runner::reload) it if it can be run,
    /// and go on.
    Reload,
}

/// What a run came to.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RunStats {
    /// Attempts of checks.
    pub attempts: u64,
    /// Changes of the table that were done.
    pub changes: u64,
    /// Changes of the table that were refused, or of which nobody knows.
    pub failures: u64,
}
