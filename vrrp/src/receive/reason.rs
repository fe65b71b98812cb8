//! Why a packet is dropped, and where that is counted.

use core::fmt;

use super::Observations;
use crate::vrid::Vrid;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident $token:literal $leaf:expr, $v3:expr, $v2:expr;)*) => {
        /// Why a packet was dropped. `Display` gives the token that logs, metrics and test vectors
        /// use.
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// All of them, in the order of the ladder.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The token, such as `too-short`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $token,)* }
            }

            /// The leaf of RFC 8347 that counts it; for some the nearest.
            #[must_use]
            pub const fn rfc8347_leaf(self) -> Option<&'static str> {
                match self { $(Self::$name => $leaf,)* }
            }

            /// The object of RFC 6527 that counts it.
            #[must_use]
            pub const fn rfc6527_object(self) -> Option<&'static str> {
                match self { $(Self::$name => $v3,)* }
            }

            /// The object of RFC 2787 that counts it.
            #[must_use]
            pub const fn rfc2787_object(self) -> Option<&'static str> {
                match self { $(Self::$name => $v2,)* }
            }
        }
    };
}

reasons! {
    /// Row 1: version, header length, total length, or a fragment.
    IpHeader "ip-header" None, None, None;
    /// Row 2: another protocol (`VRRP-006`).
    Proto "proto" None, None, None;
    /// Row 3: the packet may have crossed a router (`VRRP-005`, `VRRP-010`, `VRRP-082`).
    Ttl "ttl"
        Some("ip-ttl-errors"), Some("vrrpv3StatisticsIpTtlErrors"), Some("vrrpStatsIpTtlErrors");
    /// Row 4: fewer than 8 bytes (`VRRP-085`).
    TooShort "too-short"
        Some("packet-length-errors"), Some("vrrpv3StatisticsPacketLengthErrors"), Some("vrrpStatsPacketLengthErrors");
    /// Rows 5 and 8: no such version, not over this family, or not the configured one
    /// (`VRRP-011`, `VRRP-083`).
    Version "version"
        Some("version-errors"), Some("vrrpv3RouterVersionErrors"), Some("vrrpRouterVersionErrors");
    /// Row 6: not an advertisement (`VRRP-012`, `VRRP-084`).
    Type "type"
        Some("invalid-type-pkts-rcvd"), Some("vrrpv3StatisticsRcvdInvalidTypePackets"), Some("vrrpStatsInvalidTypePktsRcvd");
    /// Row 7: 0, or not configured here (`VRRP-013`, `VRRP-087`). Normal where others use VRRP too.
    Vrid "vrid"
        Some("vrid-errors"), Some("vrrpv3RouterVrIdErrors"), Some("vrrpRouterVrIdErrors");
    /// Row 9: another length than the count asks for (`VRRP-028`, `VRRP-204`).
    Length "length"
        Some("packet-length-errors"), Some("vrrpv3StatisticsPacketLengthErrors"), Some("vrrpStatsPacketLengthErrors");
    /// Row 10: the checksum, in no accepted form (`VRRP-086`).
    Checksum "checksum"
        Some("checksum-errors"), Some("vrrpv3RouterChecksumErrors"), Some("vrrpRouterChecksumErrors");
    /// Row 11: no address (`VRRP-018`, `VRRP-090`).
    CountZero "count-zero"
        Some("address-list-errors"), Some("vrrpv3StatisticsAddressListErrors"), Some("vrrpStatsAddressListErrors");
    /// Row 12: an interval of 0 (`VRRP-092`).
    IntervalZero "interval-zero"
        Some("interval-errors"), Some("vrrpv3StatisticsAdvIntervalErrors"), Some("vrrpStatsAdvertiseIntervalErrors");
    /// Row 13a: VRRPv2, an authentication type other than 0, 1 and 2 (`VRRP-032`).
    AuthTypeUnknown "auth-type-unknown" None, None, Some("vrrpStatsInvalidAuthType");
    /// Rows 2 and 13b: another authentication than configured (`VRRP-032`, `VRRP-100`).
    AuthTypeMismatch "auth-type-mismatch" None, None, Some("vrrpStatsAuthTypeMismatch");
    /// Row 13c: wrong password, digest or SPI (`VRRP-034`, `VRRP-036`).
    AuthFailure "auth-failure" None, None, Some("vrrpStatsAuthFailures");
    /// Row 13d: a sequence number that is not new.
    AuthReplay "auth-replay" None, None, None;
    /// Row 14: the first IPv6 address is not link-local (`VRRP-029`, `VRRP-091`).
    FirstNotLinkLocal "first-not-link-local"
        Some("address-list-errors"), Some("vrrpv3StatisticsAddressListErrors"), None;
    /// Row 15: to the group though peers are configured, or the other way round.
    CastMismatch "cast-mismatch" None, None, None;
    /// Row 16: from a stranger though peers are configured.
    UnknownPeer "unknown-peer" None, None, None;
    /// Row 17: from one of our own addresses (`VRRP-209`).
    SelfSent "self" None, None, None;
    /// Row 18: we own the addresses (`VRRP-088`).
    Owner "owner" None, None, None;
    /// Row 19: VRRPv2, another address list (`VRRP-099`).
    AddressList "address-list"
        Some("address-list-errors"), Some("vrrpv3StatisticsAddressListErrors"), Some("vrrpStatsAddressListErrors");
    /// Row 20: VRRPv2, another interval (`VRRP-101`).
    IntervalMismatch "interval-mismatch"
        Some("interval-errors"), Some("vrrpv3StatisticsAdvIntervalErrors"), Some("vrrpStatsAdvertiseIntervalErrors");
}

impl Reason {
    /// Its place in [`ALL`](Self::ALL).
    pub(crate) const fn index(self) -> usize {
        #[expect(
            clippy::as_conversions,
            reason = "a fieldless enum's number; `From` is not const"
        )]
        let index = self as usize;
        index
    }

    /// Whether it is counted once for all though the virtual router is known. RFC 8347 splits the
    /// counters so.
    const fn is_global(self) -> bool {
        matches!(self, Self::Version | Self::Checksum)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which set of counters counts a rejection.
#[expect(clippy::exhaustive_enums, reason = "RFC 8347 has these two sets")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Scope {
    /// The one of the process.
    Global,
    /// The one of the virtual router with this id, on the interface and in the family of the
    /// packet.
    Router(Vrid),
}

/// A packet that was dropped: the first row of the ladder it failed at.
///
/// Exactly one counter counts it: that of [`reason`](Self::reason) in [`scope`](Self::scope).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct Rejection {
    reason: Reason,
    row: u8,
    router: Option<Vrid>,
    observations: Observations,
}

impl Rejection {
    pub(super) const fn new(row: u8, reason: Reason, router: Option<Vrid>) -> Self {
        Self {
            reason,
            row,
            router,
            observations: Observations::NONE,
        }
    }

    pub(super) const fn with_observations(mut self, observations: Observations) -> Self {
        self.observations = observations;
        self
    }

    /// Why it was dropped.
    #[must_use]
    pub const fn reason(self) -> Reason {
        self.reason
    }

    /// The row of the ladder, 1 to 20; row 13 has four reasons, its parts a to d.
    #[must_use]
    pub const fn row(self) -> u8 {
        self.row
    }

    /// The virtual router it was for, if one is configured.
    #[must_use]
    pub const fn router(self) -> Option<Vrid> {
        self.router
    }

    /// Which set of counters counts it.
    #[must_use]
    pub const fn scope(self) -> Scope {
        match self.router {
            Some(vrid) if !self.reason.is_global() => Scope::Router(vrid),
            _ => Scope::Global,
        }
    }

    /// What is to be reported besides: a duplicated primary address, or nothing.
    pub const fn observations(self) -> Observations {
        self.observations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_token_and_place() {
        let mut tokens: std::vec::Vec<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        tokens.sort_unstable();
        tokens.dedup();
        assert_eq!(tokens.len(), Reason::ALL.len());
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), index);
        }
    }
}
