//! Which checksum forms are accepted and sent.

use core::fmt;

/// What the checksum of VRRPv3 over IPv4 covers. RFC 9568 §5.2.8 and RFC 5798 §5.2.8 disagree.
#[expect(clippy::exhaustive_enums, reason = "the two readings of two standards")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ChecksumForm {
    /// The message only: RFC 9568, Cisco, Juniper, holo.
    MessageOnly,
    /// Pseudo-header and message: RFC 5798 to the letter, keepalived, FRR.
    PseudoHeader,
}

impl ChecksumForm {
    /// `message-only` or `pseudo-header`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MessageOnly => "message-only",
            Self::PseudoHeader => "pseudo-header",
        }
    }
}

impl fmt::Display for ChecksumForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which checksum forms of VRRPv3 over IPv4 are accepted.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum RxChecksum {
    /// This one only.
    Strict(ChecksumForm),
    /// Whichever of the two verifies. It weakens the checksum by one bit at most.
    #[default]
    Either,
    /// One of the two, or the third of keepalived up to 1.3.6: in unicast mode a pseudo-header with
    /// the group's address in place of the real destination.
    EitherOrGroup,
}

/// Which checksum form is sent in VRRPv3 over IPv4.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TxChecksum {
    /// Always this one.
    Fixed(ChecksumForm),
    /// The one of the last unambiguous advertisement that was accepted from another router of the
    /// virtual router; until there was one, the default.
    Follow {
        /// The form used until a peer was heard, and while peers disagree.
        default: ChecksumForm,
    },
}

/// Follows the peers, and starts with the pseudo-header: both large Linux daemons reject the other
/// form as they come.
impl Default for TxChecksum {
    fn default() -> Self {
        Self::Follow {
            default: ChecksumForm::PseudoHeader,
        }
    }
}

/// Which checksum forms of VRRPv3 over IPv4 are accepted and sent; by default either is accepted,
/// and the peers are followed. VRRPv2 and IPv6 have one form each (`VRRP-201`, `VRRP-202`).
#[expect(
    clippy::exhaustive_structs,
    reason = "receiving and sending; every combination is valid"
)]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct ChecksumPolicy {
    /// What is accepted.
    pub rx: RxChecksum,
    /// What is sent.
    pub tx: TxChecksum,
}

/// What was found out about the checksum of an accepted VRRPv3 advertisement.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ChecksumFinding {
    /// IPv4, the message only.
    MessageOnly,
    /// IPv4, with pseudo-header.
    PseudoHeader,
    /// IPv4, and both forms verify, since the pseudo-header sums to zero: nothing follows from it.
    Ambiguous,
    /// IPv4, with a pseudo-header that has the group's address in place of the destination.
    GroupPseudoHeader,
    /// IPv6, with its pseudo-header, the only form.
    Ipv6PseudoHeader,
}

impl ChecksumFinding {
    /// `message-only`, `pseudo-header`, `both`, `group-pseudo-header` or `ipv6-pseudo-header`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MessageOnly => "message-only",
            Self::PseudoHeader => "pseudo-header",
            Self::Ambiguous => "both",
            Self::GroupPseudoHeader => "group-pseudo-header",
            Self::Ipv6PseudoHeader => "ipv6-pseudo-header",
        }
    }

    /// The form the sender uses, if it is one of the two and can be told.
    #[must_use]
    pub const fn form(self) -> Option<ChecksumForm> {
        match self {
            Self::MessageOnly => Some(ChecksumForm::MessageOnly),
            Self::PseudoHeader => Some(ChecksumForm::PseudoHeader),
            Self::Ambiguous | Self::GroupPseudoHeader | Self::Ipv6PseudoHeader => None,
        }
    }
}

impl fmt::Display for ChecksumFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
