//! What is reported about an advertisement, and does not stop it.

use core::fmt;

/// Something odd about an advertisement that was not dropped for it, to be logged with a limit on
/// how often. `Display` gives the token.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Observation {
    /// Row 14: the first IPv6 address is not link-local.
    FirstNotLinkLocal,
    /// Row 17, beside the rejection: our own address and our own priority, so either our packet came
    /// back or another router has our address (`VRRP-209`).
    DuplicatePrimaryAddress,
    /// Row 18: we own the addresses and somebody else advertises (`VRRP-089`).
    Owner,
    /// Row 19: another address list (`VRRP-098`).
    AddressList,
    /// Row 20: another interval, which a Backup adopts (`VRRP-096`).
    IntervalMismatch,
    /// Row 21: the checksum form is not the one of the peers so far (`VRRP-202`).
    ChecksumFormConflict,
    /// Row 21: several routers say that they own the addresses (`VRRP-128`).
    OwnerConflict,
    /// Row 21: another router has the same priority (`VRRP-129`).
    EqualPriority,
}

impl Observation {
    /// All of them, in the order of the ladder.
    pub const ALL: &'static [Self] = &[
        Self::FirstNotLinkLocal,
        Self::DuplicatePrimaryAddress,
        Self::Owner,
        Self::AddressList,
        Self::IntervalMismatch,
        Self::ChecksumFormConflict,
        Self::OwnerConflict,
        Self::EqualPriority,
    ];

    /// The token, such as `address-list`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstNotLinkLocal => "first-not-link-local",
            Self::DuplicatePrimaryAddress => "duplicate-primary-address",
            Self::Owner => "owner",
            Self::AddressList => "address-list",
            Self::IntervalMismatch => "interval-mismatch",
            Self::ChecksumFormConflict => "checksum-form-conflict",
            Self::OwnerConflict => "owner-conflict",
            Self::EqualPriority => "equal-priority",
        }
    }

    /// Its place in [`ALL`](Self::ALL).
    pub(crate) const fn index(self) -> usize {
        #[expect(
            clippy::as_conversions,
            reason = "a fieldless enum's number; `From` is not const"
        )]
        let index = self as usize;
        index
    }

    const fn bit(self) -> u8 {
        match self {
            Self::FirstNotLinkLocal => 1,
            Self::DuplicatePrimaryAddress => 2,
            Self::Owner => 4,
            Self::AddressList => 8,
            Self::IntervalMismatch => 16,
            Self::ChecksumFormConflict => 32,
            Self::OwnerConflict => 64,
            Self::EqualPriority => 128,
        }
    }
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A set of [`Observation`]s.
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
#[must_use]
pub struct Observations(u8);

impl Observations {
    /// None.
    pub const NONE: Self = Self(0);

    /// This one besides.
    pub const fn with(self, observation: Observation) -> Self {
        Self(self.0 | observation.bit())
    }

    /// Those of both sets.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This one besides if the condition holds.
    #[inline]
    pub(super) fn with_if(self, condition: bool, observation: Observation) -> Self {
        if condition {
            self.with(observation)
        } else {
            self
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this one is among them.
    #[must_use]
    pub const fn contains(self, observation: Observation) -> bool {
        self.0 & observation.bit() != 0
    }

    /// They, in the order of the ladder.
    pub fn iter(self) -> impl Iterator<Item = Observation> {
        let all = Observation::ALL.iter().copied();
        all.filter(move |observation| self.contains(*observation))
    }
}

impl fmt::Debug for Observations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in() {
        for (index, observation) in Observation::ALL.iter().enumerate() {
            assert_eq!(observation.index(), index);
            let set = Observations::NONE.with(*observation);
            assert!(set.iter().eq([*observation]) && !set.is_empty());
        }
        let all = Observation::ALL
            .iter()
            .fold(Observations::NONE, |set, o| set.with(*o));
        assert!(all.iter().eq(Observation::ALL.iter().copied()));
    }
}
