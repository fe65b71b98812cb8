//! Priorities, and which of two routers wins.

use core::fmt;
use core::net::IpAddr;

/// Priority of a router within its virtual router: the higher one wins. RFC 9568 §5.2.4.
///
/// | Value | Meaning |
/// |---|---|
/// | 0 | the Active router resigns ([`RESIGN`](Self::RESIGN), `VRRP-017`) |
/// | 1 to 254 | a router that does not own the addresses, by default 100 (`VRRP-015`, `VRRP-016`) |
/// | 255 | the owner of the addresses ([`OWNER`](Self::OWNER), `VRRP-014`) |
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Priority(u8);

impl Priority {
    /// Sent by an Active router that stops: Backups need not wait for its silence.
    pub const RESIGN: Self = Self(0);
    /// What a router uses that is told nothing else.
    pub const DEFAULT: Self = Self(100);
    /// The router has the virtual addresses as real addresses of its interface.
    pub const OWNER: Self = Self(255);

    /// The priority with that number; all are valid on the wire.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        Self(number)
    }

    /// The number, 0 to 255.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether it is 0.
    #[must_use]
    pub const fn is_resign(self) -> bool {
        self.0 == Self::RESIGN.0
    }

    /// Whether it is 255.
    #[must_use]
    pub const fn is_owner(self) -> bool {
        self.0 == Self::OWNER.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl From<u8> for Priority {
    fn from(number: u8) -> Self {
        Self(number)
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> Self {
        priority.0
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an Active router compares to decide which of two Active routers stays: priority first, then
/// the source address of the advertisements as an unsigned number.
///
/// Only Active routers compare addresses; a Backup looks at priorities alone. Ranks of one virtual
/// router have addresses of one family. An equal rank is not greater: it is the router's own packet
/// come back, or a duplicated address. RFC 9568 §6.4.3.
///
/// ```
/// use lvs_vrrp::{Priority, Rank};
///
/// let mine = Rank::new(Priority::DEFAULT, "192.0.2.9".parse()?);
/// assert!(Rank::new(Priority::DEFAULT, "192.0.2.200".parse()?) > mine);
/// assert!(Rank::new(Priority::new(99), "192.0.2.200".parse()?) < mine);
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Rank {
    // The order of the fields is the order of comparison.
    priority: Priority,
    address: IpAddr,
}

impl Rank {
    /// The rank of a router that advertises this priority from this address.
    #[must_use]
    pub const fn new(priority: Priority, address: IpAddr) -> Self {
        Self { priority, address }
    }

    /// The priority advertised.
    #[must_use]
    pub const fn priority(self) -> Priority {
        self.priority
    }

    /// The address advertised from.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(priority: u8, address: &str) -> Rank {
        Rank::new(Priority::new(priority), address.parse().unwrap())
    }

    /// `VRRP-016`
    #[test]
    fn the_default_is_100_and_higher_wins() {
        assert_eq!(Priority::default().get(), 100);
        assert!(Priority::OWNER > Priority::DEFAULT && Priority::DEFAULT > Priority::RESIGN);
        assert!(rank(101, "192.0.2.1") > rank(100, "192.0.2.200"));
    }

    #[test]
    fn addresses_compare_as_unsigned_numbers() {
        assert!(rank(100, "192.0.2.200") > rank(100, "192.0.2.9"));
        assert!(rank(100, "200.0.0.0") > rank(100, "1.255.255.255"));
        // By the second half only, then by the first.
        assert!(rank(100, "fe80::1:0") > rank(100, "fe80::ffff"));
        assert!(rank(100, "fe81::1") > rank(100, "fe80::ffff:ffff:ffff:ffff"));
    }

    /// `VRRP-209`: equal is not greater.
    #[test]
    fn an_equal_rank_does_not_win() {
        assert_eq!(
            rank(100, "fe80::1").cmp(&rank(100, "fe80::1")),
            core::cmp::Ordering::Equal
        );
    }
}
