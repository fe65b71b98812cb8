//! The address work of one router: at most one job at a time, each step after the one before.
//!
//! ```text
//! clear ─prepare→ preparing ─install→ installing ─→ installed ⇄ changing
//!   ↑                 │                                 │
//!   └──── settling ←──┴──────── removed ←── removing ←──┘   (failed: stuck, removing again)
//! ```
//!
//! Establishing goes beside it: it begins when the installed addresses were announced, delays neither
//! their change nor their removal, and has to be over before anything is settled.

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::job::JobId;
use crate::timer::{NEVER, Timestamp};

/// How far it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// No address is there, and nothing is prepared.
    Clear,
    Preparing,
    Prepared,
    Installing,
    Installed,
    Changing,
    Removing,
    /// Removing failed; it is tried again.
    Stuck,
    /// The addresses are gone.
    Removed,
    Settling,
}

/// How far is what follows the announcements.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Establishing {
    /// Nothing is to be done, or not yet.
    No,
    /// The addresses are there, and are being announced.
    Announcing,
    /// They were announced.
    Announced,
    Running(JobId),
    /// It was done, or failed.
    Over,
}

/// What is to be done next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Next {
    Prepare,
    Install(Vec<IpAddr>),
    Change {
        install: Vec<IpAddr>,
        remove: Vec<IpAddr>,
    },
    Remove(Vec<IpAddr>),
    Settle,
}

/// What a failure means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Failure {
    Prepare,
    Install,
    Remove,
    Settle,
}

#[derive(Clone, Debug)]
pub(super) struct Work {
    /// The router is Active: its addresses are to be there.
    pub(super) serves: bool,
    phase: Phase,
    establishing: Establishing,
    /// What is to be there may be something else than what is.
    is_unsure: bool,
    /// It is left to a successor: nothing begins any more.
    is_frozen: bool,
    /// The job that is awaited.
    pub(super) job: Option<JobId>,
    /// What is there, or may be.
    installed: Vec<IpAddr>,
    /// What is to be there when the change is done.
    target: Vec<IpAddr>,
    /// The change under way installs some.
    is_adding: bool,
    /// When a failed removal is tried again, or a slow one is a breach.
    pub(super) deadline: Timestamp,
}

impl Work {
    pub(super) const fn new() -> Self {
        Self {
            serves: false,
            phase: Phase::Clear,
            establishing: Establishing::No,
            is_unsure: false,
            is_frozen: false,
            job: None,
            installed: Vec::new(),
            target: Vec::new(),
            is_adding: false,
            deadline: NEVER,
        }
    }

    /// No address of the router is there because of it.
    pub(super) fn is_gone(&self) -> bool {
        matches!(
            self.phase,
            Phase::Clear | Phase::Preparing | Phase::Prepared | Phase::Removed | Phase::Settling
        )
    }

    /// Nothing of its last time as Active is left.
    pub(super) fn is_settled(&self) -> bool {
        matches!(
            self.phase,
            Phase::Clear | Phase::Preparing | Phase::Prepared
        )
    }

    pub(super) fn is_clear(&self) -> bool {
        self.phase == Phase::Clear
    }

    /// A change is under way that installs addresses.
    pub(super) fn is_adding(&self) -> bool {
        self.phase == Phase::Changing && self.is_adding
    }

    /// The addresses are there, to be used.
    pub(super) fn is_installed(&self) -> bool {
        self.serves && matches!(self.phase, Phase::Installed | Phase::Changing)
    }

    /// The addresses are there, and are being announced for the first time.
    pub(super) fn is_announcing(&self) -> bool {
        self.is_installed() && self.establishing == Establishing::Announcing
    }

    /// The addresses are there, and all that follows is done.
    pub(super) fn is_established(&self) -> bool {
        self.is_installed() && self.establishing == Establishing::Over
    }

    /// It is to be gone before its addresses were there; those of the time before may be.
    pub(super) fn never_served(&self) -> bool {
        let are_gone = !matches!(self.phase, Phase::Installed | Phase::Changing);
        !self.serves && (are_gone || self.establishing == Establishing::No)
    }

    /// The addresses were announced.
    pub(super) fn end_announcing(&mut self) {
        if self.establishing == Establishing::Announcing {
            self.establishing = Establishing::Announced;
        }
    }

    /// What is to be there may be something else now.
    pub(super) fn doubt(&mut self) {
        self.is_unsure = true;
    }

    /// Whether what is to be done depends on what is to be there.
    pub(super) fn looks_at_addresses(&self) -> bool {
        let looks = match self.phase {
            Phase::Prepared => true,
            Phase::Installed => self.is_unsure,
            _ => false,
        };
        looks && self.serves && !self.is_frozen
    }

    /// A predecessor installed these addresses.
    pub(super) fn adopt(&mut self, addresses: Vec<IpAddr>) {
        if !addresses.is_empty() {
            self.phase = Phase::Installed;
            self.establishing = Establishing::Announcing;
            self.installed = addresses;
        }
    }

    /// What is there is left to a successor, if the router is Active.
    pub(super) fn freeze(&mut self) {
        self.is_frozen = self.serves;
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.is_frozen
    }

    /// It is left to a successor, and nothing is under way.
    pub(super) fn is_handed_over(&self) -> bool {
        let establishes = matches!(self.establishing, Establishing::Running(_));
        self.is_frozen && self.job.is_none() && !establishes
    }

    /// What follows the announcements is to be done now.
    pub(super) fn is_to_establish(&self) -> bool {
        self.is_installed() && !self.is_frozen && self.establishing == Establishing::Announced
    }

    pub(super) fn begin_establishing(&mut self, job: JobId) {
        self.establishing = Establishing::Running(job);
    }

    pub(super) fn establishes_by(&self, job: JobId) -> bool {
        self.establishing == Establishing::Running(job)
    }

    pub(super) fn end_establishing(&mut self) {
        self.establishing = Establishing::Over;
    }

    /// The addresses that are there, or may be.
    pub(super) fn installed(&self) -> &[IpAddr] {
        &self.installed
    }

    /// What is to be done now, if anything; it counts as begun.
    pub(super) fn next(&mut self, now: Timestamp, wanted: Vec<IpAddr>) -> Option<Next> {
        let (phase, next) = match (self.phase, self.serves) {
            _ if self.is_frozen => return None,
            (Phase::Clear, true) => (Phase::Preparing, Next::Prepare),
            // Somebody else has them still.
            (Phase::Prepared, true) if wanted.is_empty() => return None,
            (Phase::Prepared, true) => {
                self.installed = wanted;
                (Phase::Installing, Next::Install(self.installed.clone()))
            }
            // What is being done must be over before it is undone.
            (Phase::Removed, _) if matches!(self.establishing, Establishing::Running(_)) => {
                return None;
            }
            (Phase::Prepared | Phase::Removed, _) => (Phase::Settling, Next::Settle),
            (Phase::Installed, true) if !self.is_unsure => return None,
            (Phase::Installed, true) => {
                self.is_unsure = false;
                let target = wanted;
                let install = difference(&target, &self.installed);
                let remove = difference(&self.installed, &target);
                if install.is_empty() && remove.is_empty() {
                    return None;
                }
                self.target = target;
                self.installed.extend(&install);
                self.is_adding = !install.is_empty();
                (Phase::Changing, Next::Change { install, remove })
            }
            (Phase::Installed, false) => (Phase::Removing, Next::Remove(self.installed.clone())),
            (Phase::Stuck, _) if now >= self.deadline => {
                (Phase::Removing, Next::Remove(self.installed.clone()))
            }
            _ => return None,
        };
        self.phase = phase;
        Some(next)
    }

    /// The job that was awaited is over.
    pub(super) fn finish(&mut self, is_done: bool) -> Option<Failure> {
        self.job = None;
        self.deadline = NEVER;
        self.is_unsure = true;
        let (phase, failure) = match (self.phase, is_done) {
            (Phase::Preparing, true) => (Phase::Prepared, None),
            // Whatever was prepared is undone.
            (Phase::Preparing, false) => (Phase::Removed, Some(Failure::Prepare)),
            (Phase::Installing, true) => {
                self.establishing = Establishing::Announcing;
                (Phase::Installed, None)
            }
            (Phase::Changing, true) => {
                self.installed = core::mem::take(&mut self.target);
                (Phase::Installed, None)
            }
            (Phase::Installing | Phase::Changing, false) => {
                (Phase::Installed, Some(Failure::Install))
            }
            (Phase::Removing, true) => {
                self.installed.clear();
                (Phase::Removed, None)
            }
            (Phase::Removing, false) => (Phase::Stuck, Some(Failure::Remove)),
            (Phase::Settling, _) => {
                self.establishing = Establishing::No;
                (Phase::Clear, (!is_done).then_some(Failure::Settle))
            }
            (phase, _) => (phase, None),
        };
        self.phase = phase;
        failure
    }
}

/// Those of the first that are not of the second.
fn difference(of: &[IpAddr], without: &[IpAddr]) -> Vec<IpAddr> {
    let without: alloc::collections::BTreeSet<_> = without.iter().collect();
    let kept = of.iter().filter(|address| !without.contains(address));
    kept.copied().collect()
}
