//! What is decided for a virtual service as a whole.

use core::time::Duration;

use crate::aggregate::{Desired, MAX_WEIGHT, Removal};
use crate::error::Invalid;

/// What becomes of the real servers while the sorry server is needed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum OnLowQuorum {
    /// The sorry server replaces them: each leaves by its [`Removal`]. The default, and
    /// keepalived's way.
    #[default]
    Replace,
    /// They stay, the sorry server takes its share.
    AddAlongside,
    /// They stay; the sorry server comes only when none of them has any weight, whatever the
    /// quorum.
    OnlyWhenEmpty,
}

/// In which order the sorry server and the real servers are swapped.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Swap {
    /// Whoever comes is there before the others go. The default.
    #[default]
    AddFirst,
    /// The others go first, as in keepalived; the service is empty for a moment.
    RemoveFirst,
}

/// The destination of last resort.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct Sorry<D> {
    pub(super) destination: D,
    pub(super) weight: u32,
    pub(super) removal: Removal,
    pub(super) swap: Swap,
    pub(super) on_low_quorum: OnLowQuorum,
    pub(super) adopted: Desired,
}

impl<D> Sorry<D> {
    /// A sorry server with weight 1, removed when it is not needed, swapped
    /// [add first](Swap::AddFirst). It may be one of the real servers, too.
    pub const fn new(destination: D) -> Self {
        Self {
            destination,
            weight: 1,
            removal: Removal::Remove,
            swap: Swap::AddFirst,
            on_low_quorum: OnLowQuorum::Replace,
            adopted: Desired::Absent,
        }
    }

    /// Its weight while it is needed, from 1 to [`MAX_WEIGHT`]. Default 1.
    pub fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// What becomes of it when it is not needed. Default [`Removal::Remove`];
    /// [`Removal::Inhibit`] is keepalived's `sorry_server_inhibit`.
    pub fn with_removal(mut self, removal: Removal) -> Self {
        self.removal = removal;
        self
    }

    /// The order of the swap. Default [`Swap::AddFirst`].
    pub fn with_swap(mut self, swap: Swap) -> Self {
        self.swap = swap;
        self
    }

    /// What becomes of the real servers meanwhile. Default [`OnLowQuorum::Replace`].
    pub fn with_on_low_quorum(mut self, on_low_quorum: OnLowQuorum) -> Self {
        self.on_low_quorum = on_low_quorum;
        self
    }

    /// What the kernel's table held for it when this started. Default [`Desired::Absent`].
    pub fn with_adopted(mut self, adopted: Desired) -> Self {
        self.adopted = adopted;
        self
    }
}

/// What is done when too few destinations are healthy; see [`Settings::with_guard`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Guard {
    /// All destinations with a verdict are treated as healthy: when everything seems to be down,
    /// it is rather the check that is wrong.
    FailOpen,
    /// Destinations that fail keep their place and weight; recoveries still count.
    Freeze,
}

/// What becomes of a destination that leaves the configuration.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Leaving {
    /// It drains, unless its [`Removal`] is [`Remove`](Removal::Remove). The default.
    #[default]
    ByRemoval,
    /// It is deleted at once; keepalived's way.
    Delete,
    /// It drains.
    Drain,
}

/// What becomes of a destination whose drain has taken too long.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum OnLimit {
    /// It leaves the table. The default.
    #[default]
    Delete,
    /// It stays with weight 0 until it is drained.
    KeepZero,
}

/// How destinations finish their connections before they leave.
///
/// Cutting them is not among the ways, since it is the kernel that can: with the sysctl
/// `net.ipv4.vs.expire_nodest_conn` at 1 a connection ends with its next packet once its destination
/// has left the table. So to kill all connections of what fails or leaves, set that,
/// [`Removal::Remove`](crate::aggregate::Removal::Remove) and [`Drain::none`]; to kill what is left
/// after a drain, that and [`OnLimit::Delete`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct Drain {
    pub(super) limit: Option<Duration>,
    pub(super) on_limit: OnLimit,
    pub(super) wait_persistent: bool,
    pub(super) remove_voted: bool,
}

impl Drain {
    /// At most 300 s, then the destination is deleted. Persistence templates are not waited for,
    /// and a destination that is drained because somebody asked for it stays with weight 0.
    pub const fn new() -> Self {
        Self {
            limit: Some(Duration::from_secs(300)),
            on_limit: OnLimit::Delete,
            wait_persistent: false,
            remove_voted: false,
        }
    }

    /// No drain: whatever would drain leaves at once. For UDP, where a client that keeps sending
    /// keeps its entry, so that a drain never ends.
    pub const fn none() -> Self {
        let mut none = Self::new();
        none.limit = Some(Duration::ZERO);
        none
    }

    /// The longest drain of what leaves the configuration or is voted out; `None` for no limit.
    /// Default 300 s.
    pub const fn with_limit(mut self, limit: Option<Duration>) -> Self {
        self.limit = limit;
        self
    }

    /// What happens at the limit. Default [`OnLimit::Delete`].
    pub const fn with_on_limit(mut self, on_limit: OnLimit) -> Self {
        self.on_limit = on_limit;
        self
    }

    /// Whether persistence templates are waited for as well. Default no. Such a drain may never
    /// end unless the kernel's `expire_quiescent_template` is 1.
    pub const fn with_wait_persistent(mut self, wait: bool) -> Self {
        self.wait_persistent = wait;
        self
    }

    /// Whether a destination that was voted to drain leaves the table at the end. Default no: it
    /// stays with weight 0 until the vote is taken back.
    pub const fn with_remove_voted(mut self, remove: bool) -> Self {
        self.remove_voted = remove;
        self
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

/// The settings of a pool.
///
/// Methods set one thing each and never fail; [`validate`](Self::validate) names the first setting
/// out of range, and whatever takes settings calls it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct Settings<D> {
    pub(super) quorum: u64,
    pub(super) hysteresis: u64,
    pub(super) sorry: Option<Sorry<D>>,
    pub(super) guard: Option<(u8, Guard)>,
    pub(super) eject_limit: u8,
    pub(super) watermarks: Option<(u8, u8)>,
    pub(super) drain: Drain,
    pub(super) leaving: Leaving,
    pub(super) grace: Duration,
    pub(super) initial_events: bool,
    pub(super) omega: bool,
}

impl<D> Default for Settings<D> {
    fn default() -> Self {
        Self::new()
    }
}

impl<D> Settings<D> {
    /// Quorum 1 without hysteresis, no sorry server, no guard, no watermarks.
    pub const fn new() -> Self {
        Self {
            quorum: 1,
            hysteresis: 0,
            sorry: None,
            guard: None,
            eject_limit: 10,
            watermarks: None,
            drain: Drain::new(),
            leaving: Leaving::ByRemoval,
            grace: Duration::from_secs(5),
            initial_events: false,
            omega: false,
        }
    }

    /// The sum of the weights of healthy destinations that is needed, at least 1. Default 1.
    pub fn with_quorum(mut self, quorum: u64) -> Self {
        self.quorum = quorum;
        self
    }

    /// How far the sum must rise above the quorum to gain it, and fall below to lose it; less than
    /// the quorum. Default 0.
    pub fn with_hysteresis(mut self, hysteresis: u64) -> Self {
        self.hysteresis = hysteresis;
        self
    }

    /// The destination of last resort. Default none.
    pub fn with_sorry(mut self, sorry: Option<Sorry<D>>) -> Self {
        self.sorry = sorry;
        self
    }

    /// What is done while less than this share (1 to 100 %) of the destinations is healthy; of
    /// those that have a verdict and that nobody voted out. Default nothing.
    pub fn with_guard(mut self, min_healthy_percent: u8, guard: Guard) -> Self {
        self.guard = Some((min_healthy_percent, guard));
        self
    }

    /// The largest share of the destinations, 0 to 100 %, that [ejections](super::Pool::eject)
    /// take away at one time; one at least, unless it is 0. Default 10 %.
    pub fn with_eject_limit(mut self, percent: u8) -> Self {
        self.eject_limit = percent;
        self
    }

    /// The service as a whole is withdrawn while less than `low` percent of its destinations are
    /// healthy, and offered again when at least `high` percent are: 1 ≤ low ≤ high ≤ 100. Default
    /// never.
    pub fn with_watermarks(mut self, low: u8, high: u8) -> Self {
        self.watermarks = Some((low, high));
        self
    }

    /// How destinations finish their connections. Default [`Drain::new`].
    pub fn with_drain(mut self, drain: Drain) -> Self {
        self.drain = drain;
        self
    }

    /// What becomes of destinations that leave the configuration. Default [`Leaving::ByRemoval`].
    pub fn with_leaving(mut self, leaving: Leaving) -> Self {
        self.leaving = leaving;
        self
    }

    /// How long a destination that is not in the table waits for its first verdict when its checks
    /// [hold](crate::aggregate::UnknownAs::Hold); then it counts as up. Default 5 s.
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Whether there are events for how things are at the start, too: keepalived's
    /// `rs_init_notifies`. Default no: then only a quorum that is there is told, and a destination
    /// whose first verdict is that it is down.
    pub fn with_initial_events(mut self, initial_events: bool) -> Self {
        self.initial_events = initial_events;
        self
    }

    /// Whether the end of the service is told as if everything went down: keepalived's `omega`.
    /// Default no.
    pub fn with_omega(mut self, omega: bool) -> Self {
        self.omega = omega;
        self
    }

    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// The first setting out of range.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.quorum == 0 {
            return Err(Invalid::new("quorum", "0", "at least 1"));
        }
        if self.hysteresis >= self.quorum {
            let limit = "must be less than the quorum";
            return Err(Invalid::new(
                "hysteresis",
                self.hysteresis.to_string(),
                limit,
            ));
        }
        let impossible = |sorry: &&Sorry<D>| !(1..=MAX_WEIGHT).contains(&sorry.weight);
        if let Some(sorry) = self.sorry.as_ref().filter(impossible) {
            let limit = "must be from 1 to 2147483647";
            return Err(Invalid::new(
                "sorry weight",
                sorry.weight.to_string(),
                limit,
            ));
        }
        let guard = self
            .guard
            .filter(|(percent, _)| !(1..=100).contains(percent));
        if let Some((percent, _)) = guard {
            let limit = "must be from 1 to 100";
            return Err(Invalid::new(
                "min_healthy_percent",
                percent.to_string(),
                limit,
            ));
        }
        if self.eject_limit > 100 {
            let limit = "must be from 0 to 100";
            return Err(Invalid::new(
                "eject_limit",
                self.eject_limit.to_string(),
                limit,
            ));
        }
        let in_order = |low: u8, high: u8| 1 <= low && low <= high && high <= 100;
        if let Some((low, high)) = self.watermarks.filter(|(low, high)| !in_order(*low, *high)) {
            let limit = "must be 1 <= low <= high <= 100";
            return Err(Invalid::new("watermarks", format!("{low}, {high}"), limit));
        }
        Ok(())
    }

    /// Corrects what keepalived corrects: a quorum above the sum of the configured weights becomes
    /// that sum (at least 1), and a hysteresis that is not below the quorum becomes one less. Says
    /// what was changed, a line for people each.
    pub fn correct(&mut self, sum_of_weights: u64) -> Vec<String> {
        let mut corrections = Vec::new();
        let most = sum_of_weights.max(1);
        if self.quorum > most {
            corrections.push(format!(
                "quorum {} is more than all weights together; reduced to {most}",
                self.quorum
            ));
            self.quorum = most;
        }
        if self.quorum == 0 {
            corrections.push("quorum 0 is raised to 1".to_owned());
            self.quorum = 1;
        }
        let most = self.quorum.saturating_sub(1);
        if self.hysteresis > most {
            corrections.push(format!(
                "hysteresis {} is not below the quorum; reduced to {most}",
                self.hysteresis
            ));
            self.hysteresis = most;
        }
        corrections
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_named_with_value_and_limit() {
        let new = Settings::<&str>::new;
        let sorry = |weight| Some(Sorry::new("s").with_weight(weight));
        for (settings, expected) in [
            (new().with_quorum(0), "quorum is 0: at least 1"),
            (
                new().with_quorum(3).with_hysteresis(3),
                "hysteresis is 3: must be less than the quorum",
            ),
            (
                new().with_sorry(sorry(0)),
                "sorry weight is 0: must be from 1 to 2147483647",
            ),
            (
                new().with_sorry(sorry(1 << 31)),
                "sorry weight is 2147483648: must be from 1 to 2147483647",
            ),
            (
                new().with_guard(0, Guard::Freeze),
                "min_healthy_percent is 0: must be from 1 to 100",
            ),
            (
                new().with_guard(101, Guard::FailOpen),
                "min_healthy_percent is 101: must be from 1 to 100",
            ),
            (
                new().with_eject_limit(101),
                "eject_limit is 101: must be from 0 to 100",
            ),
            (
                new().with_watermarks(60, 50),
                "watermarks is 60, 50: must be 1 <= low <= high <= 100",
            ),
        ] {
            assert_eq!(settings.validate().unwrap_err().to_string(), expected);
        }
        assert_eq!(new().validate(), Ok(()));
    }

    #[test]
    fn keepaliveds_corrections() {
        let mut settings = Settings::<&str>::new().with_quorum(9).with_hysteresis(7);
        let expected = [
            "quorum 9 is more than all weights together; reduced to 5",
            "hysteresis 7 is not below the quorum; reduced to 4",
        ];
        assert_eq!(settings.correct(5), expected);
        assert_eq!((settings.quorum, settings.hysteresis), (5, 4));
        assert_eq!(settings.validate(), Ok(()));
        assert!(settings.correct(5).is_empty());
        assert_eq!(settings.correct(0).len(), 2);
        assert_eq!((settings.quorum, settings.hysteresis), (1, 0));
    }
}
