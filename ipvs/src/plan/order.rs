//! Putting the destinations of a service in the desired order.
//!
//! The kernel adds at the head of its list and moves nothing, so whatever stays stands before
//! whatever is added (oldest first). The fewest destinations are added again when the longest
//! possible beginning of the desired list stays: one that is there already, in that order, with
//! nothing to be added in between.

use super::fate::{Fate, Verdict};
use crate::service::ServiceKey;

/// A service whose destinations are not in the desired order, and what putting them in order
/// costs.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OutOfOrder {
    /// The service.
    pub service: ServiceKey,
    /// Destinations that are removed and added again, two requests for each.
    pub destinations: usize,
    /// Connections of these destinations, active and inactive: those whose packets are dropped,
    /// or which end, if a packet arrives in between.
    pub connections: u64,
    /// Whether the plan does it. It does not when the [policy](crate::DestinationOrder) does not
    /// ask for it, nor when the service would be left without a usable destination in between.
    pub rebuilt: bool,
}

/// How many of the desired destinations, from the first, can stay where they are. All of them
/// when the list is in order.
pub(super) fn lasting_beginning(desired: &[Verdict<'_>]) -> usize {
    let mut last = None;
    for (index, verdict) in desired.iter().enumerate() {
        match verdict.fate {
            // Nobody knows where it would stand.
            Fate::Missed => {}
            Fate::Added(..) => {
                let mut rest = desired.iter().skip(index);
                let is_last = rest.all(|verdict| verdict.place.is_none());
                return if is_last { desired.len() } else { index };
            }
            _ if verdict.place <= last => return index,
            _ => last = verdict.place,
        }
    }
    desired.len()
}

/// What it costs to put in order what comes after that beginning.
pub(super) fn cost(service: ServiceKey, rest: &[Verdict<'_>]) -> OutOfOrder {
    let again = rest.iter().filter_map(|verdict| verdict.held);
    let connections = again.clone().map(|held| held.connections());
    OutOfOrder {
        service,
        destinations: again.count(),
        connections: connections.fold(0, u64::saturating_add),
        rebuilt: false,
    }
}
