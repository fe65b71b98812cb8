//! How a reconciler treats what others made or changed, and what it tells of its drains.

use crate::Timestamp;
use crate::destination::DestinationKey;
use crate::service::ServiceKey;

/// What becomes of a desired service that is there and not in the ledger.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Adoption {
    /// It is taken over as if we had made it: destinations in it that nobody desires are surplus,
    /// whoever put them there.
    #[default]
    Adopt,
    /// It gets the desired settings and destinations, and destinations that others put there stay.
    /// Only our own are ever removed, and never the service.
    Merge,
    /// It is left alone, and listed as a [conflict](super::Reconciler::conflicts).
    Refuse,
}

/// What becomes of differences that somebody else brought about.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Drift {
    /// They are repaired.
    #[default]
    Repair,
    /// They are left as they are, and [listed](super::Reconciler::drift_left).
    Report,
    /// Weights somebody set count instead of the desired ones, until another weight is desired:
    /// for people who quiet a server by hand. All else is repaired.
    AdoptWeight,
}

/// A destination on its way out.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Draining {
    /// The service it is taken out of, or that goes as a whole.
    pub service: ServiceKey,
    /// The destination.
    pub destination: DestinationKey,
    /// When it was first found to be surplus, not counting looks after which setting its weight to
    /// 0 was refused or left out.
    pub since: Timestamp,
    /// Active and inactive connections at the last look.
    pub connections: u64,
}
