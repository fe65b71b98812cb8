//! The scheduler of a virtual service, by the name the kernel knows it under.

use core::fmt;
use core::str::FromStr;

use crate::invalid::ValidationError;
use crate::name::SchedulerName;

/// The algorithm that picks a destination for each new connection.
///
/// The set is open: the kernel loads `ip_vs_NAME` for any name, so an unknown name is a value
/// here and an error only when the kernel cannot find it. Default: `wlc`, as in `ipvsadm`.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Scheduler {
    /// `rr`: one after another; weights only matter as zero or not.
    Rr,
    /// `wrr`: one after another in proportion to the weights.
    Wrr,
    /// `lc`: fewest connections.
    Lc,
    /// `wlc`: fewest connections relative to the weight.
    #[default]
    Wlc,
    /// `lblc`: same destination address, same destination, unless it is overloaded.
    Lblc,
    /// `lblcr`: like `lblc` with a set of destinations for each address.
    Lblcr,
    /// `dh`: hash of the destination address.
    Dh,
    /// `sh`: hash of the client address.
    Sh,
    /// `sed`: shortest expected delay.
    Sed,
    /// `nq`: an idle destination if there is one, else as `sed`.
    Nq,
    /// `fo`: highest weight that is available (since Linux 3.18).
    Fo,
    /// `ovf`: highest weight until it has as many connections as its weight (since Linux 4.3).
    Ovf,
    /// `mh`: Maglev consistent hash (since Linux 4.18).
    Mh,
    /// `twos`: the better of two weighted random draws (since Linux 5.12).
    Twos,
    /// `none`: configuration is accepted, but no destination is ever found.
    None,
    /// Any other name.
    Other(OtherScheduler),
}

/// A scheduler this crate has no variant for. Made by [`Scheduler::from_name`] only, so that
/// it never stands for a known one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OtherScheduler(SchedulerName);

impl OtherScheduler {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.as_str()
    }
}

const KNOWN: [Scheduler; 15] = [
    Scheduler::Rr,
    Scheduler::Wrr,
    Scheduler::Lc,
    Scheduler::Wlc,
    Scheduler::Lblc,
    Scheduler::Lblcr,
    Scheduler::Dh,
    Scheduler::Sh,
    Scheduler::Sed,
    Scheduler::Nq,
    Scheduler::Fo,
    Scheduler::Ovf,
    Scheduler::Mh,
    Scheduler::Twos,
    Scheduler::None,
];

impl Scheduler {
    /// The scheduler of that name.
    ///
    /// ```
    /// use lvs_ipvs::{Scheduler, SchedulerName};
    /// assert_eq!(Scheduler::from_name(SchedulerName::new("wrr").unwrap()), Scheduler::Wrr);
    /// ```
    #[must_use]
    pub fn from_name(name: SchedulerName) -> Self {
        KNOWN
            .into_iter()
            .find(|known| known.known_name() == Some(name.as_str()))
            .unwrap_or(Self::Other(OtherScheduler(name)))
    }

    /// The name the kernel knows it under.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Other(other) => other.name(),
            known => known.known_name().unwrap_or_default(),
        }
    }

    /// The name of a scheduler that has a variant of its own.
    pub(crate) const fn known_name(&self) -> Option<&'static str> {
        Some(match self {
            Self::Rr => "rr",
            Self::Wrr => "wrr",
            Self::Lc => "lc",
            Self::Wlc => "wlc",
            Self::Lblc => "lblc",
            Self::Lblcr => "lblcr",
            Self::Dh => "dh",
            Self::Sh => "sh",
            Self::Sed => "sed",
            Self::Nq => "nq",
            Self::Fo => "fo",
            Self::Ovf => "ovf",
            Self::Mh => "mh",
            Self::Twos => "twos",
            Self::None => "none",
            Self::Other(_) => return None,
        })
    }

    /// Whether the scheduler reads the scheduler flags ([`ServiceFlags::SCHED_1`] and
    /// [`ServiceFlags::SCHED_2`]); `None` when this crate does not know the scheduler.
    ///
    /// [`ServiceFlags::SCHED_1`]: crate::ServiceFlags::SCHED_1
    /// [`ServiceFlags::SCHED_2`]: crate::ServiceFlags::SCHED_2
    pub(crate) const fn reads_flags(&self) -> Option<bool> {
        match self {
            Self::Sh | Self::Mh => Some(true),
            Self::Other(_) => None,
            _ => Some(false),
        }
    }
}

impl fmt::Display for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Scheduler {
    type Err = ValidationError;

    /// Takes any name the kernel could take: 1 to 15 bytes.
    fn from_str(name: &str) -> Result<Self, ValidationError> {
        name.parse().map(Self::from_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_round_trips() {
        for scheduler in KNOWN {
            assert_eq!(scheduler.name().parse::<Scheduler>(), Ok(scheduler));
        }
        assert_eq!(Scheduler::Twos.name(), "twos");
    }

    #[test]
    fn unknown_names_are_values() {
        let scheduler: Scheduler = "fancy".parse().unwrap();
        assert!(matches!(scheduler, Scheduler::Other(other) if other.name() == "fancy"));
        assert_eq!(scheduler.to_string(), "fancy");
        assert!("a-name-too-long-for-it".parse::<Scheduler>().is_err());
    }
}
