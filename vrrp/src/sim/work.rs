//! Address work: how long its steps take, and whether they succeed.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use super::random::Random;
use crate::job::JobResult;
use crate::timer::Timestamp;

/// What a host wants done to the addresses of a virtual router, and waits for.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Work {
    /// Make ready what must be there before the addresses (OP-1).
    Prepare,
    /// Install addresses, and remove others then.
    Install {
        /// To be installed; those that are there anyway are no failure.
        addresses: Vec<IpAddr>,
        /// To be removed.
        remove: Vec<IpAddr>,
        /// By which time of the host's clock the kernel is to have removed them if their lifetime is
        /// not [extended](super::Effect::Extend); none: never.
        gone_by: Option<Timestamp>,
    },
    /// Remove addresses; those that are gone anyway are no failure.
    Remove(Vec<IpAddr>),
    /// Undo what was prepared.
    Settle,
}

impl Work {
    /// Which step it is.
    #[must_use]
    pub const fn step(&self) -> Step {
        match self {
            Self::Prepare => Step::Prepare,
            Self::Install { .. } => Step::Install,
            Self::Remove(_) => Step::Remove,
            Self::Settle => Step::Settle,
        }
    }
}

/// A step of address work.
#[expect(
    clippy::exhaustive_enums,
    reason = "the steps of a take-over and of its opposite"
)]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Step {
    /// [`Work::Prepare`].
    Prepare,
    /// [`Work::Install`], which is also a change of addresses.
    Install,
    /// [`Work::Remove`].
    Remove,
    /// [`Work::Settle`].
    Settle,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepare => "preparing",
            Self::Install => "installing addresses",
            Self::Remove => "removing addresses",
            Self::Settle => "settling",
        })
    }
}

/// How long a step takes, and how often it fails. By default no time, and never.
///
/// ```
/// use core::time::Duration;
/// use lvs_vrrp::sim::Pace;
///
/// let slow = Pace::between(Duration::ZERO, Duration::from_millis(300)).with_failures(10_000);
/// assert_eq!(slow.failures, 10_000);
/// ```
#[expect(clippy::exhaustive_structs, reason = "every combination is valid")]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pace {
    /// The shortest time.
    pub least: Duration,
    /// The longest; less than the shortest counts as that.
    pub most: Duration,
    /// How many of a million fail, at the end of their time. An installation that fails is done in
    /// part: each address is there or not. A removal that fails removes nothing.
    pub failures: u32,
}

impl Pace {
    /// From one time to another.
    #[must_use]
    pub const fn between(least: Duration, most: Duration) -> Self {
        Self {
            least,
            most,
            failures: 0,
        }
    }

    /// Lets so many of a million fail.
    #[must_use]
    pub const fn with_failures(mut self, in_a_million: u32) -> Self {
        self.failures = in_a_million;
        self
    }
}

/// How the steps of a host go.
#[derive(Clone, Debug, Default)]
pub(super) struct Paces {
    paces: [Pace; 4],
    /// What comes first, before chance has its way.
    scripts: [VecDeque<(Duration, JobResult)>; 4],
}

impl Paces {
    pub(super) fn set(&mut self, step: Step, pace: Pace) {
        if let Some(place) = self.paces.get_mut(place(step)) {
            *place = pace;
        }
    }

    pub(super) fn script(
        &mut self,
        step: Step,
        outcomes: impl IntoIterator<Item = (Duration, JobResult)>,
    ) {
        if let Some(script) = self.scripts.get_mut(place(step)) {
            script.extend(outcomes);
        }
    }

    /// How long the next one takes, and whether it succeeds.
    pub(super) fn draw(&mut self, step: Step, random: &mut Random) -> (Duration, JobResult) {
        let script = self.scripts.get_mut(place(step));
        if let Some(outcome) = script.and_then(VecDeque::pop_front) {
            return outcome;
        }
        let pace = self.paces.get(place(step)).copied().unwrap_or_default();
        let more = random.up_to(pace.most.saturating_sub(pace.least));
        let result = if random.happens(pace.failures) {
            JobResult::Failed
        } else {
            JobResult::Done
        };
        (pace.least.saturating_add(more), result)
    }
}

const fn place(step: Step) -> usize {
    match step {
        Step::Prepare => 0,
        Step::Install => 1,
        Step::Remove => 2,
        Step::Settle => 3,
    }
}
