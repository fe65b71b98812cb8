//! The steps of an explanation.

use alloc::borrow::Cow;
use core::fmt;
use core::net::IpAddr;

use super::cached::CacheStep;
use super::hashing::{Hashed, Probe};
use crate::scheduler::Candidate;

/// One thing that a pick did. Indices are those of the list at the time of the pick.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// A destination was looked at.
    Look(Look),
    /// `wrr` begins or goes on with a pass over the list.
    Pass {
        /// The weight a destination must have in this pass.
        current: u32,
        /// Where the current weight starts.
        highest: u32,
        /// By how much the next pass lowers it.
        divisor: u32,
    },
    /// `twos` drew two numbers.
    Draws {
        /// The first number.
        first: u32,
        /// The second number.
        second: u32,
        /// The highest that could be drawn; the lowest is 0.
        highest: u32,
    },
    /// `twos` compared what its draws found.
    Compared {
        /// The destination that the first draw found.
        first: usize,
        /// The destination that the second draw found; maybe the same.
        second: usize,
        /// The second has less overhead for its weight and is picked.
        second_is_better: bool,
    },
    /// An address was hashed to a slot of the table.
    Hashed(Hashed),
    /// A slot of the table was looked at.
    Probe(Probe),
    /// The fallback gave up, for nobody in the list takes connections.
    NobodyLeft {
        /// How many fallback probes had been made.
        probes: u32,
    },
    /// `lblc` or `lblcr` used its cache.
    Cache(CacheStep),
    /// A template led here; the scheduler was not asked.
    Template {
        /// The client, masked.
        client: IpAddr,
        /// The destination that is remembered for it.
        index: usize,
    },
    /// A template was not honoured: its destination was removed, or has weight 0 under
    /// `expire_quiescent_template`. The scheduler was asked.
    TemplateRefused {
        /// The client, masked.
        client: IpAddr,
    },
    /// Words of a scheduler of your own.
    Note(Cow<'static, str>),
}

/// How one destination was looked at: what counted, and the verdict.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Look {
    /// The index of the destination in the list.
    pub index: usize,
    /// Its weight.
    pub weight: u32,
    /// Its active connections.
    pub active: u32,
    /// Its inactive connections.
    pub inactive: u32,
    /// What the algorithm compares, before it is set against the weight; `None` if nothing is.
    pub cost: Option<u64>,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of looking at a destination.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Taken at once, without looking further.
    Taken,
    /// The best of those looked at so far.
    Best,
    /// Eligible, but not better than the best so far.
    NotBetter,
    /// Left out: its weight is 0.
    Quiesced,
    /// Left out: it reached its upper threshold.
    Overloaded,
    /// Left out: it is not in the list of its service any more.
    Unavailable,
    /// Left out of this pass: its weight is below the current one (`wrr`).
    BelowCurrentWeight,
    /// Left out: more active connections than its weight (`ovf`).
    Full,
    /// Eligible, but found by neither draw (`twos`).
    NotDrawn,
    /// Found by the first draw (`twos`).
    DrawnFirst,
    /// Found by the second draw (`twos`).
    DrawnSecond,
    /// Found by both draws (`twos`).
    DrawnTwice,
}

impl Verdict {
    /// Why a destination gets no new connections whatever the others look like, if so: weight 0 or
    /// overloaded. Nearly all algorithms test this and nothing else.
    #[inline]
    pub(crate) fn of<D: Candidate>(destination: &D) -> Option<Self> {
        if destination.weight() == 0 {
            Some(Self::Quiesced)
        } else if destination.is_overloaded() {
            Some(Self::Overloaded)
        } else {
            None
        }
    }
}

impl Look {
    /// A look at `list[index]`, which is `destination`, at no particular cost.
    pub fn new<D: Candidate>(index: usize, destination: &D, verdict: Verdict) -> Self {
        Self {
            index,
            weight: destination.weight(),
            active: destination.active(),
            inactive: destination.inactive(),
            cost: None,
            verdict,
        }
    }

    /// The same with the cost that was compared.
    #[must_use]
    pub const fn with_cost(mut self, cost: u64) -> Self {
        self.cost = Some(cost);
        self
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, label: impl fmt::Display) -> fmt::Result {
        write!(f, "{label}: ")?;
        let reason = match self.verdict {
            Verdict::Quiesced => "left out, weight 0",
            Verdict::Overloaded => "left out, overloaded",
            Verdict::Unavailable => "left out, removed",
            Verdict::BelowCurrentWeight => {
                return write!(f, "weight {}, below the current weight", self.weight);
            }
            Verdict::Full => {
                return write!(f, "full, weight {} and {} active", self.weight, self.active);
            }
            Verdict::Taken => "taken",
            Verdict::Best => "best so far",
            Verdict::NotBetter => "not better",
            Verdict::NotDrawn => "not drawn",
            Verdict::DrawnFirst => "drawn first",
            Verdict::DrawnSecond => "drawn second",
            Verdict::DrawnTwice => "drawn twice",
        };
        if !matches!(
            self.verdict,
            Verdict::Quiesced | Verdict::Overloaded | Verdict::Unavailable
        ) {
            write!(
                f,
                "weight {}, {} active, {} inactive, ",
                self.weight, self.active, self.inactive
            )?;
            if let Some(cost) = self.cost {
                write!(f, "cost {cost}, ")?;
            }
        }
        f.write_str(reason)
    }
}

impl From<Look> for Step {
    fn from(look: Look) -> Self {
        Self::Look(look)
    }
}

impl Step {
    /// Writes the step in words, with names for indices.
    pub(super) fn write<L: fmt::Display>(
        &self,
        f: &mut fmt::Formatter<'_>,
        label: &impl Fn(usize) -> L,
    ) -> fmt::Result {
        match self {
            Self::Look(look) => look.write(f, label(look.index)),
            Self::Pass {
                current,
                highest,
                divisor,
            } => write!(
                f,
                "pass: weight {current} or more (from {highest} down by {divisor})"
            ),
            Self::Draws {
                first,
                second,
                highest,
            } => write!(f, "draws {first} and {second} of 0 to {highest}"),
            Self::Compared {
                first,
                second,
                second_is_better: false,
            } => write!(
                f,
                "{} stays, no more loaded for its weight than {}",
                label(*first),
                label(*second)
            ),
            Self::Compared {
                first,
                second,
                second_is_better: true,
            } => write!(
                f,
                "{} is less loaded for its weight than {}",
                label(*second),
                label(*first)
            ),
            Self::Hashed(hashed) => write!(f, "{hashed}"),
            Self::Probe(probe) => probe.write(f, label),
            Self::NobodyLeft { probes } => write!(
                f,
                "after {probes} fallback probes: nobody in the list takes connections"
            ),
            Self::Cache(step) => write!(f, "{step}"),
            Self::Template { client, index } => {
                write!(f, "template of {client} leads to {}", label(*index))
            }
            Self::TemplateRefused { client } => write!(
                f,
                "template of {client} is not honoured: its destination was removed or has weight 0"
            ),
            Self::Note(words) => f.write_str(words),
        }
    }
}
