//! Many changes in few system calls: what became of each.

use core::fmt;

use crate::error::RequestKind;
use crate::request::Change;
use crate::session::Outcome;

/// What became of the changes of one call, in their order.
///
/// Several changes are not a transaction: the kernel handles them one by one, and refusing one
/// does not stop the others. So partial failure is a report, not an error.
///
/// ```
/// # #[cfg(feature = "memory")] {
/// use lvs_ipvs::{Change, Client, Destination, VirtualService};
///
/// let mut ipvs = Client::in_memory()?;
/// let web = VirtualService::tcp("192.0.2.10:80".parse().unwrap());
/// let mut changes = vec![Change::AddService(web.clone())];
/// for host in 1..=100 {
///     let server = Destination::masquerade(([10, 0, 0, host], 80).into());
///     changes.push(Change::AddDestination(web.key(), server));
/// }
/// let report = ipvs.execute(changes)?;
/// assert!(report.is_success());
/// assert_eq!(ipvs.destinations(web.key())?.len(), 100);
/// # }
/// # Ok::<(), lvs_ipvs::Error>(())
/// ```
#[must_use = "changes may have been refused"]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    entries: Vec<(Change, Outcome)>,
}

impl Report {
    /// A report of changes that were sent by other means than a client's.
    pub const fn new(entries: Vec<(Change, Outcome)>) -> Self {
        Self { entries }
    }

    /// Each change with its outcome, in order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &(Change, Outcome)> + '_ {
        self.entries.iter()
    }

    /// The changes that were not done, with the reason.
    pub fn failures(&self) -> impl Iterator<Item = &(Change, Outcome)> + '_ {
        self.entries
            .iter()
            .filter(|(_, outcome)| *outcome != Outcome::Done)
    }

    /// Whether every change was done.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failures().next().is_none()
    }

    /// Number of changes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there were no changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The first failure as an error, for callers that take all or nothing.
    ///
    /// # Errors
    ///
    /// What became of the first change that was not done.
    pub fn into_result(self) -> Result<(), crate::Error> {
        for (change, outcome) in self.entries {
            outcome.into_result(RequestKind::of_change(&change))?;
        }
        Ok(())
    }
}

/// One line for each change that was not done; `done` when all were.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut failures = self.failures().peekable();
        if failures.peek().is_none() {
            return f.write_str("done");
        }
        for (change, outcome) in failures {
            let error = outcome.clone().into_result(RequestKind::of_change(change));
            if let Err(error) = error {
                writeln!(f, "{error}")?;
            }
        }
        Ok(())
    }
}
