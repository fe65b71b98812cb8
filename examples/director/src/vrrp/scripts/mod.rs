//! Scripts of virtual routers, run: those that are followed, and those that are told of changes.
//!
//! ```text
//!                 ┌─► Watch: scripts, files, processes ──► what trackers say ──► the driver
//! Plan ─► Scripts ┤
//! the driver ─────┴─► Changes (pure) ─► Queues: commands in order; FIFOs
//! ```
//!
//! [`Scripts`] has no thread of its own: poll its [descriptors](Scripts::descriptors) until its
//! [deadline](Scripts::next_deadline), then [step](Scripts::step). Nothing in here waits, so one
//! thread beside that of the driver is enough for all scripts.
//!
//! What keepalived does, with these differences:
//!
//! - Notifications of a virtual router, or of a group, run one after the other in the order of the
//!   changes, never at the same time; one that takes longer than [`NOTIFY_TIMEOUT`] is killed with
//!   its process group (keepalived lets it run for ever, beside those that follow).
//! - Files are read, and processes counted, four times a second.
//! - A script that could not be run because its user is unknown is an error of the configuration.

mod changes;
mod files;
mod notify;
mod processes;
mod watch;

use core::time::Duration;
use std::os::fd::BorrowedFd;

use lvs_healthcheck::Command as Program;
use lvs_vrrp::Timestamp;
use lvs_vrrp::net::Snapshot;
use lvs_vrrp::node::{Report, RouterId};
use lvs_vrrp::track::{TrackerId, TrackerStatus};

use super::{Plan, PlannedTracker, TrackerSource};
use crate::keepalived::{Command, Config, Diagnostic, Messages, Position};
use crate::notify::account::Accounts;
use crate::notify::{Ended, Fifos};

pub use changes::{Change, ChangeSubject};
pub use notify::NOTIFY_TIMEOUT;

pub(crate) use files::initialize;

use changes::Changes;
use notify::Notifier;
use watch::Watch;

/// Runs the scripts of a [`Plan`].
#[derive(Debug)]
pub struct Scripts {
    watch: Watch,
    changes: Changes,
    notifier: Notifier,
    /// `child_wait_time`
    wait: Duration,
}

/// Something that scripts did, or that was done with them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ScriptEvent {
    /// A tracker has another status, for whoever runs the virtual routers.
    Tracker {
        /// Which.
        id: TrackerId,
        /// Its name in the file.
        name: String,
        /// What is known of it now.
        status: TrackerStatus,
    },
    /// A script that is followed could not be run.
    NotRun {
        /// Its name in the file.
        name: String,
        /// Why.
        reason: String,
    },
    /// A script that is followed took too long, and was killed.
    Overdue {
        /// Its name in the file.
        name: String,
    },
    /// A command was started, to tell it of this.
    Notifies {
        /// Of what.
        change: Change,
        /// The command.
        command: String,
    },
    /// It has ended.
    Notified {
        /// Of what it was told.
        change: Change,
        /// The command.
        command: String,
        /// How it ended.
        ended: Ended,
    },
}

impl Scripts {
    /// Everything of a plan, and what is wrong with it. Nothing is run yet.
    pub fn new(plan: &Plan, config: &Config) -> (Self, Vec<Diagnostic>) {
        let mut scripts = Self {
            watch: Watch::default(),
            changes: Changes::default(),
            notifier: Notifier::default(),
            wait: config.globals().child_wait_time,
        };
        let diagnostics = scripts.follow(plan, config);
        (scripts, diagnostics)
    }

    /// Goes on with another plan, by the difference: what is as it was goes on undisturbed.
    pub fn follow(&mut self, plan: &Plan, config: &Config) -> Vec<Diagnostic> {
        let mut programs = Programs::new(config);
        self.watch.follow(plan.trackers(), &mut programs);
        self.changes.follow(plan);
        self.notifier.follow(plan, config, &mut programs);
        self.wait = config.globals().child_wait_time;
        programs.messages.list
    }

    /// Tells FIFOs, too.
    #[must_use]
    pub fn with_fifos(mut self, fifos: Fifos) -> Self {
        self.notifier.write_into(fifos);
        self
    }

    /// How long notifications may go on once nothing more comes.
    #[must_use]
    pub const fn wait(&self) -> Duration {
        self.wait
    }

    /// Says that these virtual routers are about to be removed: their end is told as such.
    pub fn expect_removal(&mut self, routers: impl IntoIterator<Item = RouterId>) {
        let changes = self.changes.expect_removal(routers);
        self.notifier.tell(changes);
    }

    /// Says that all virtual routers are about to be stopped, and that nothing is to be followed any
    /// more.
    pub fn expect_stop(&mut self) {
        self.changes.expect_stop();
        self.watch.stop();
    }

    /// Says that another process is about to go on with all virtual routers: nothing is told of
    /// that, nothing is followed any more, and FIFOs are left to it.
    pub fn expect_hand_over(&mut self) {
        self.changes.expect_hand_over();
        self.notifier.leave();
        self.watch.stop();
    }

    /// Takes another plan for what is told, before the driver has it: what it reports of new virtual
    /// routers is told already. [`follow`](Self::follow) comes once it has.
    pub fn expect(&mut self, plan: &Plan, config: &Config) {
        self.changes.follow(plan);
        self.notifier
            .follow(plan, config, &mut Programs::new(config));
    }

    /// Takes what the driver reports.
    pub fn report(&mut self, report: &Report) {
        let changes = self.changes.report(report);
        self.notifier.tell(changes);
    }

    /// Whether there are virtual routers that have told nothing yet: whoever runs them shows
    /// [how they are](Self::begin) now and then.
    #[must_use]
    pub fn wants_snapshot(&self) -> bool {
        self.changes.has_untold()
    }

    /// Takes how virtual routers are: those that never could run have told nothing, and are in fault.
    pub fn begin(&mut self, snapshot: &Snapshot) {
        let changes = self.changes.begin(snapshot);
        self.notifier.tell(changes);
    }

    /// When [`step`](Self::step) is to be called at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let deadlines = [self.watch.next_deadline(), self.notifier.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// When one of these becomes readable, [`step`](Self::step) has something to do.
    #[must_use]
    pub fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let watched = self.watch.descriptors();
        watched.chain(self.notifier.descriptors()).collect()
    }

    /// Does what is due.
    pub fn step(&mut self, now: Timestamp) -> Vec<ScriptEvent> {
        let mut events = Vec::new();
        self.watch.step(now, &mut events);
        self.notifier.step(now, &mut events);
        events
    }

    /// Whether no notification runs or waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.notifier.is_idle()
    }

    /// Kills what runs; what waits is not run any more. [`step`](Self::step) tells of it.
    pub fn kill(&mut self) {
        self.watch.stop();
        self.notifier.kill();
    }
}

/// Makes commands of what a configuration says, and keeps what is wrong with it.
#[derive(Debug)]
struct Programs {
    accounts: Accounts,
    messages: Messages,
}

impl Programs {
    fn new(config: &Config) -> Self {
        Self {
            accounts: Accounts::new(config.globals()),
            messages: Messages::default(),
        }
    }

    fn program(&mut self, command: &Command, owner: &str, place: &Position) -> Option<Program> {
        self.accounts
            .script(command, owner, place, &mut self.messages)
    }
}

/// The name of a tracker that scripts feed.
fn name(tracker: &PlannedTracker) -> &str {
    match &tracker.source {
        TrackerSource::Interface(name) => name,
        TrackerSource::Script(script) => &script.name,
        TrackerSource::File(file) => &file.name,
        TrackerSource::Process(process) => &process.name,
    }
}
