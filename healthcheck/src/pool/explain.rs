//! Why a destination has the weight it has, step by step.

use core::fmt;

use super::Pool;
use super::entry::{Draining, End};
use super::event::{Cause, Words};
use super::member::{Member, State};
use super::settings::Guard;
use crate::Timestamp;
use crate::aggregate::{Contribution, Desired, Source};
use crate::outcome::{AdminHint, WeightHint};

/// A step on the way from the configured weight to the entry of the table; `Display` is a line.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Step<C> {
    /// Its configured weight.
    Configured {
        /// The weight.
        weight: u32,
    },
    /// The operator's weight in its place.
    Override {
        /// The weight.
        weight: u32,
    },
    /// What a check says.
    Check {
        /// Which.
        check: C,
        /// Its health, and what it asks for.
        says: Contribution,
    },
    /// Somebody's vote.
    Vote {
        /// Whose.
        source: Source,
        /// The vote.
        vote: AdminHint,
    },
    /// Its health as a whole.
    Health {
        /// In a word.
        cause: Cause,
    },
    /// An observer ejected it.
    Ejected {
        /// Whether that counts.
        counts: bool,
    },
    /// Its weight while it is up.
    Weight {
        /// With what checks ask for; what the quorum counts.
        weight: u32,
        /// With scale and slow start; what the kernel gets.
        kernel: u32,
    },
    /// The service as a whole.
    Service {
        /// What overrules the destination's own health.
        cause: Cause,
    },
    /// So few destinations are healthy that the guard acts.
    Guard {
        /// How.
        guard: Guard,
    },
    /// It drains, or has drained.
    Drain {
        /// Why.
        cause: Cause,
        /// Since when.
        since: Timestamp,
        /// Until when at the latest; `None` for no limit, or when it is over.
        until: Option<Timestamp>,
        /// How it ended: drained, or too late.
        end: Option<Cause>,
    },
    /// It is the sorry server.
    Sorry {
        /// Whether it is needed.
        is_needed: bool,
    },
    /// What the table should hold.
    Entry {
        /// The entry.
        entry: Desired,
        /// The rule that decided.
        cause: Cause,
    },
}

impl<C: fmt::Display> fmt::Display for Step<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configured { weight } => write!(f, "configured weight {weight}"),
            Self::Override { weight } => write!(f, "the operator says weight {weight}"),
            Self::Check { check, says } => {
                write!(f, "check {check}: {}", says.health)?;
                match says.hint {
                    Some(WeightHint::Absolute(weight)) => write!(f, ", asks for weight {weight}")?,
                    Some(WeightHint::Percent(share)) => write!(f, ", asks for {share} %")?,
                    Some(WeightHint::Delta(delta)) => write!(f, ", asks for weight {delta:+}")?,
                    None => {}
                }
                if says.no_new {
                    f.write_str(", asks for no new connections")?;
                }
                match says.admin {
                    Some(vote) => write!(f, ", votes {vote}"),
                    None => Ok(()),
                }
            }
            Self::Vote { source, vote } => write!(f, "{source:?} votes {vote}"),
            Self::Health { cause } => cause.fmt(f),
            Self::Ejected { counts: true } => f.write_str("ejected by an observer"),
            Self::Ejected { counts: false } => {
                f.write_str("ejected by an observer, which does not count: too many are")
            }
            Self::Weight { weight, kernel } if weight == kernel => {
                write!(f, "weight {weight} with what checks ask for")
            }
            Self::Weight { weight, kernel } => {
                write!(
                    f,
                    "weight {weight} with what checks ask for, {kernel} with scale and slow start"
                )
            }
            Self::Service { cause } => cause.fmt(f),
            Self::Guard {
                guard: Guard::FailOpen,
            } => f.write_str("guard: all count as healthy"),
            Self::Guard {
                guard: Guard::Freeze,
            } => f.write_str("guard: nothing more is removed"),
            Self::Drain {
                cause,
                since,
                until,
                end,
            } => {
                write!(f, "drains since {since:?} ({cause})")?;
                match (end, until) {
                    (Some(end), _) => write!(f, ": {end}"),
                    (None, Some(until)) => write!(f, ", until {until:?} at the latest"),
                    (None, None) => Ok(()),
                }
            }
            Self::Sorry { is_needed: true } => f.write_str("it is the sorry server, and needed"),
            Self::Sorry { is_needed: false } => {
                f.write_str("it is the sorry server, and not needed")
            }
            Self::Entry { entry, cause } => write!(f, "{} ({cause})", Words(*entry)),
        }
    }
}

/// Why a destination has its entry; `Display` is a line for each step.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Explanation<D, C> {
    /// Which destination.
    pub destination: D,
    /// The steps; the last is the entry.
    pub steps: Vec<Step<C>>,
}

impl<D: fmt::Display, C: fmt::Display> fmt::Display for Explanation<D, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.destination)?;
        for step in &self.steps {
            write!(f, "\n  {step}")?;
        }
        Ok(())
    }
}

impl<D: Clone + Ord, C: Clone + PartialEq> Pool<D, C> {
    /// Why a destination has its entry: what is known of it, then what overrules that, then the
    /// entry with the rule that decided. `None` for one that is not of this pool.
    #[must_use]
    pub fn explain(&self, destination: &D) -> Option<Explanation<D, C>> {
        let entry = self.entry(destination)?;
        let mut steps = Vec::new();
        let member = self.member(destination);
        if let Some(member) = member {
            self.explain_member(member, &mut steps);
        }
        if self.sorry_entry(destination).is_some() {
            let is_needed = self.status().needs_sorry;
            steps.push(Step::Sorry { is_needed });
        }
        let sorry = self.sorry_entry(destination);
        let entries = member.map(|member| &member.entry).into_iter().chain(sorry);
        steps.extend(entries.filter_map(|entry| Some(entry.drain?.step())));
        let cause = self.cause(destination);
        steps.push(Step::Entry { entry, cause });
        Some(Explanation {
            destination: destination.clone(),
            steps,
        })
    }

    fn explain_member(&self, member: &Member<D, C>, steps: &mut Vec<Step<C>>) {
        let aggregate = &member.aggregate;
        steps.push(Step::Configured {
            weight: aggregate.base(),
        });
        if let Some(weight) = aggregate.operator() {
            steps.push(Step::Override { weight });
        }
        for (check, said) in member.aggregate.members() {
            steps.push(Step::Check {
                check: check.clone(),
                says: said.contribution(),
            });
        }
        for (source, vote) in aggregate.votes() {
            steps.push(Step::Vote { source, vote });
        }
        let cause = match member.state(self.now) {
            State::Up => Cause::Own(aggregate.health_reason()),
            State::Unjudged => Cause::Unjudged,
            _ => member.why_down(self.now),
        };
        steps.push(Step::Health { cause });
        let (weight, kernel) = (aggregate.weight(), aggregate.kernel_weight());
        steps.push(Step::Weight { weight, kernel });
        if self.ejected.contains(&member.key) {
            let counts = member.is_ejected;
            steps.push(Step::Ejected { counts });
        }
        let rules = [
            (self.stopped.is_some(), Cause::Stopped),
            (member.is_leaving, Cause::NotConfigured),
            (!self.decisions.is_offered, Cause::Withdrawn),
            (self.decisions.is_replaced, Cause::Replaced),
        ];
        if let Some((_, cause)) = rules.into_iter().find(|(applies, _)| *applies) {
            steps.push(Step::Service { cause });
        } else if let Some((_, guard)) = self.settings.guard.filter(|_| self.decisions.is_guarded) {
            steps.push(Step::Guard { guard });
        }
    }
}

impl Draining {
    fn step<C>(&self) -> Step<C> {
        Step::Drain {
            cause: self.how.cause,
            since: self.since,
            until: self.deadline(),
            end: self.end.map(|end| match end {
                End::Drained => Cause::Drained,
                End::TimedOut => Cause::DrainTimedOut,
            }),
        }
    }
}
