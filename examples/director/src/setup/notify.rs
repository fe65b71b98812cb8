//! Commands and FIFOs that are told of changes.

use core::time::Duration;

use lvs_healthcheck::Command;

use super::Setup;
use crate::keepalived::{self, Position};
use crate::notify::account::Accounts;
use crate::notify::fifo::PlannedFifo;

/// Keywords of what is run here.
pub(super) const RUN: [&str; 9] = [
    "notify_up",
    "notify_down",
    "quorum_up",
    "quorum_down",
    "rs_init_notifies",
    "notify_fifo",
    "notify_fifo_script",
    "lvs_notify_fifo",
    "lvs_notify_fifo_script",
];

impl Setup {
    /// A command that is told of changes, as it is to be run.
    pub(super) fn notify_command(
        &mut self,
        accounts: &Accounts,
        (position, keyword): (&Position, &str),
        written: Option<&keepalived::Command>,
    ) -> Option<Command> {
        accounts.script(written?, keyword, position, &mut self.messages)
    }

    /// The FIFOs that are told of changes.
    pub(crate) fn fifos(&self) -> &[PlannedFifo] {
        &self.fifos
    }

    /// How long commands may go on at the end.
    pub(crate) const fn child_wait(&self) -> Duration {
        self.child_wait
    }
}
