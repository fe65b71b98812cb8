//! What to do when the table changed between the look and the request.

use crate::error::Reason;
use crate::request::Change;

/// How to go on after the kernel refused a [`Change`] because the table was not what the plan
/// took it for.
#[expect(
    clippy::exhaustive_enums,
    reason = "either something is left to do or nothing"
)]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Repair {
    /// Send this instead. Once: if it is refused too, somebody else is changing the same entry,
    /// and the next look decides.
    Instead(Change),
    /// What the change was to bring about is so already.
    Satisfied,
}

impl Change {
    /// How to go on when the kernel refused this change of a plan for that reason; `None` when
    /// the reason is no race with somebody else, or when one request cannot repair it.
    ///
    /// An entry to be added that exists gets its settings replaced; an entry to be changed that
    /// is gone is added; an entry to be removed that is gone is what was wanted. A destination
    /// whose *service* is gone needs the service first: the next look sees to it.
    ///
    /// ```
    /// use lvs_ipvs::{Change, Reason, Repair, VirtualService};
    ///
    /// let web = VirtualService::tcp("192.0.2.10:80".parse()?);
    /// let repair = Change::AddService(web.clone()).repair(Reason::ServiceExists);
    /// assert_eq!(repair, Some(Repair::Instead(Change::SetService(web))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn repair(&self, reason: Reason) -> Option<Repair> {
        let instead = match (self, reason) {
            (Self::AddService(service), Reason::ServiceExists) => Self::SetService(service.clone()),
            (Self::SetService(service), Reason::NoSuchService) => Self::AddService(service.clone()),
            (Self::AddDestination(service, destination), Reason::DestinationExists) => {
                Self::SetDestination(*service, destination.clone())
            }
            (Self::SetDestination(service, destination), Reason::NoSuchDestination) => {
                Self::AddDestination(*service, destination.clone())
            }
            (Self::RemoveService(_), Reason::NoSuchService)
            | (Self::RemoveDestination(..), Reason::NoSuchService | Reason::NoSuchDestination) => {
                return Some(Repair::Satisfied);
            }
            _ => return None,
        };
        Some(Repair::Instead(instead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Destination, Scheduler, VirtualService};

    const REASONS: [Reason; 9] = [
        Reason::ServiceExists,
        Reason::NoSuchService,
        Reason::DestinationExists,
        Reason::NoSuchDestination,
        Reason::UnknownScheduler(Scheduler::Mh),
        Reason::DestinationRefused,
        Reason::NotPermitted,
        Reason::OutOfMemory,
        Reason::InvalidArgument,
    ];

    /// Every reason with a repair, and the repair.
    fn repairs(change: &Change) -> Vec<(Reason, Repair)> {
        let repaired = |reason| Some((reason, change.repair(reason)?));
        REASONS.into_iter().filter_map(repaired).collect()
    }

    #[test]
    fn what_exists_is_set_what_is_gone_is_added_and_removed_stays_removed() {
        let service = VirtualService::tcp("192.0.2.10:80".parse().unwrap());
        let key = service.key();
        let destination = Destination::masquerade("10.0.0.1:80".parse().unwrap()).with_weight(3);
        let add_service = Change::AddService(service.clone());
        let set_service = Change::SetService(service);
        let add = Change::AddDestination(key, destination.clone());
        let set = Change::SetDestination(key, destination.clone());

        assert_eq!(
            repairs(&add_service),
            [(Reason::ServiceExists, Repair::Instead(set_service.clone()))]
        );
        assert_eq!(
            repairs(&set_service),
            [(Reason::NoSuchService, Repair::Instead(add_service))]
        );
        assert_eq!(
            repairs(&add),
            [(Reason::DestinationExists, Repair::Instead(set.clone()))]
        );
        assert_eq!(
            repairs(&set),
            [(Reason::NoSuchDestination, Repair::Instead(add))]
        );
        assert_eq!(
            repairs(&Change::RemoveService(key)),
            [(Reason::NoSuchService, Repair::Satisfied)]
        );
        assert_eq!(
            repairs(&Change::RemoveDestination(key, destination.key())),
            [
                (Reason::NoSuchService, Repair::Satisfied),
                (Reason::NoSuchDestination, Repair::Satisfied)
            ]
        );
        assert_eq!(repairs(&Change::Flush), []);
    }
}
