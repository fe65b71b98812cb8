//! Persistence: `persistence_timeout`, `persistence_granularity`, `persistence_engine`
//! (keepalived.conf(5)).

use core::net::Ipv4Addr;

use super::ast::Statement;
use super::diagnostic::Report;
use super::groups::Family;
use super::values;

/// 31 days: the longest persistence that keepalived takes, in seconds.
pub(super) const PERSISTENCE_MAX: u64 = 2_678_400;

/// Persistence when no time is given, in seconds.
pub(super) const PERSISTENCE_DEFAULT: u32 = 360;

/// Clients stay with their server.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Persistence {
    /// `persistence_timeout` in seconds, 1..=2678400. Default 360.
    pub timeout_secs: u32,
    /// `persistence_granularity`: clients that count as one.
    pub granularity: Granularity,
    /// `persistence_engine`: what a client is recognised by; none for its address.
    pub engine: Option<String>,
}

/// The part of a client's address that counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Granularity {
    /// IPv4: a mask. Default 255.255.255.255.
    Mask(Ipv4Addr),
    /// IPv6: a prefix length, 1..=128. Default 128.
    Prefix(u8),
}

impl Granularity {
    /// Each client on its own.
    pub(super) fn whole(family: Family) -> Self {
        match family {
            Family::V4 => Self::Mask(Ipv4Addr::BROADCAST),
            Family::V6 => Self::Prefix(128),
        }
    }
}

/// `persistence_granularity` as written: its meaning depends on the family.
#[derive(Clone, Copy, Debug)]
pub(super) enum GranularityDraft {
    Mask(Ipv4Addr),
    Length(u8),
}

impl GranularityDraft {
    /// Reads a mask or a prefix length.
    pub(super) fn read(statement: &Statement, report: &mut Report) -> Option<Self> {
        let expected = "an IPv4 mask or a prefix length in 1..=128";
        values::word(statement, expected, report, |word| {
            let length = word
                .parse()
                .ok()
                .filter(|length| (1..=128).contains(length));
            length
                .map(Self::Length)
                .or_else(|| word.parse().ok().map(Self::Mask))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::ast::tests_support::statement;
    use super::*;

    #[test]
    fn granularity_is_a_mask_or_a_length() {
        let of = |value: &str| {
            let mut report = Report::new(9);
            let line = statement(&format!("persistence_granularity {value}"));
            GranularityDraft::read(&line, &mut report)
        };
        let mask = Ipv4Addr::new(255, 255, 0, 0);
        assert!(matches!(of("255.255.0.0"), Some(GranularityDraft::Mask(found)) if found == mask));
        assert!(matches!(of("64"), Some(GranularityDraft::Length(64))));
        for wrong in ["0", "129", "abc", "ffff::", ""] {
            assert!(of(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn each_client_counts_on_its_own_by_default() {
        assert_eq!(
            Granularity::whole(Family::V4),
            Granularity::Mask(Ipv4Addr::BROADCAST)
        );
        assert_eq!(Granularity::whole(Family::V6), Granularity::Prefix(128));
    }
}
