//! What happened, for people.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::host::RouterKey;
use super::work::Step;
use crate::event::{Notification, State};
use crate::node::ReportKind;
use crate::timer::Timestamp;

/// A host of the network; they count from 0 in the order in which they were added.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HostId(pub(super) usize);

impl HostId {
    /// Its place in the order.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0
    }
}

/// One line of a trace.
#[expect(clippy::exhaustive_structs, reason = "when, who, what")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// When, on a clock that is right.
    pub at: Timestamp,
    /// Where.
    pub host: HostId,
    /// Of which virtual router, if of one.
    pub router: Option<RouterKey>,
    /// What.
    pub what: What,
}

/// What happened.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// The process was started.
    Started,
    /// The process was told to stop.
    Stopped,
    /// The host crashed; its addresses went with it.
    Crashed,
    /// The process was killed; its addresses stay.
    Killed,
    /// A new process removed addresses that one before had left.
    Swept,
    /// The process stands still, and the kernel does not.
    Paused(Duration),
    /// The process goes on.
    Resumed,
    /// The addresses are there.
    Installed,
    /// The addresses are gone.
    Removed,
    /// The addresses are gone because nobody extended their lifetime.
    Expired,
    /// A step of address work failed; addresses may be there in part.
    Failed(Step),
    /// The addresses were announced.
    Announced,
    /// The virtual router has told something: a change of state, an observation.
    Reported(Notification),
    /// The lease had ended, then on the host's clock, before the addresses were gone.
    Breach(Timestamp),
    /// The host has told that address work failed, or takes too long.
    Trouble(ReportKind),
    /// From here on these hosts are not heard by this one.
    Deaf(HostId),
    /// They are heard again.
    Hears(HostId),
}

/// What happened, in order; as text one line each.
///
/// ```text
///     3.609375000  host 0  IPv4 51  Active
///     3.609375000  host 0  IPv4 51  addresses installed
/// ```
#[derive(Clone, Debug, Default)]
pub struct Trace {
    pub(super) entries: Vec<Entry>,
}

impl Trace {
    /// The lines.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Every change of state of a virtual router, on any host.
    pub fn states(
        &self,
        router: RouterKey,
    ) -> impl Iterator<Item = (Timestamp, HostId, State)> + '_ {
        self.entries
            .iter()
            .filter_map(move |entry| match entry.what {
                What::Reported(Notification::Transition(transition))
                    if entry.router == Some(router) =>
                {
                    Some((entry.at, entry.host, transition.to))
                }
                _ => None,
            })
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.entries {
            writeln!(f, "{entry}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.at.as_secs(), self.at.subsec_nanos());
        write!(f, "{seconds:6}.{nanos:09}  host {}", self.host.0)?;
        if let Some(router) = self.router {
            write!(f, "  {router}")?;
        }
        f.write_str("  ")?;
        match self.what {
            What::Started => f.write_str("started"),
            What::Stopped => f.write_str("told to stop"),
            What::Crashed => f.write_str("crashed"),
            What::Killed => f.write_str("killed; its addresses stay"),
            What::Swept => f.write_str("addresses of the process before removed"),
            What::Paused(time) => write!(f, "paused for {time:?}"),
            What::Resumed => f.write_str("goes on"),
            What::Installed => f.write_str("addresses installed"),
            What::Removed => f.write_str("addresses gone"),
            What::Expired => f.write_str("addresses gone, their lifetime is over"),
            What::Failed(step) => write!(f, "{step} failed"),
            What::Announced => f.write_str("addresses announced"),
            What::Reported(Notification::Transition(transition)) => {
                write!(f, "{}, {:?}", transition.to, transition.event)
            }
            What::Reported(notification) => write!(f, "{notification:?}"),
            What::Breach(since) => write!(f, "breach since {since:?} of its clock"),
            What::Trouble(trouble) => write!(f, "tells {trouble:?}"),
            What::Deaf(from) => write!(f, "does not hear host {}", from.0),
            What::Hears(from) => write!(f, "hears host {}", from.0),
        }
    }
}
