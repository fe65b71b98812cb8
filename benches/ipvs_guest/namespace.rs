//! A network namespace for each run: an IPVS that has never been used.

use core::time::Duration;
use std::process::Command;
use std::thread;

use lvs_ipvs::Client;
use nix::sched::{CloneFlags, unshare};

use crate::Result;
use crate::table::RULES;

/// What the kernel takes to be done with the namespace before.
const SETTLE: Duration = Duration::from_millis(100);

/// The IPVS of the network namespace this process, and what it starts, is in.
#[derive(Debug)]
pub(crate) struct Namespace {
    client: Client,
}

impl Namespace {
    /// Leaves the namespace this process is in for a new one, where `lo` is up: without it the
    /// kernel takes no address of a destination for unicast.
    pub(crate) fn enter() -> Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        let status = Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status()?;
        if !status.success() {
            return Err("ip link set lo up failed".into());
        }
        thread::sleep(SETTLE);
        Ok(Self {
            client: Client::connect()?,
        })
    }

    /// Empties the table, which must have been complete.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let snapshot = self.client.snapshot()?;
        let services = snapshot.services.iter();
        let entries: usize = services.map(|service| 1 + service.destinations.len()).sum();
        if entries != RULES {
            return Err(format!("{entries} entries in the table instead of {RULES}").into());
        }
        Ok(self.client.flush()?)
    }
}
