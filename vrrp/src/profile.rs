//! Profiles: presets of the switches by which the standards, and what is deployed, differ.
//!
//! A profile is nothing but a preset; every switch can be changed afterwards. So far here: the
//! switches of the receive ladder and the checksum.

use core::fmt;
use core::str::FromStr;

use crate::checksum::{ChecksumForm, ChecksumPolicy, RxChecksum, TxChecksum};
use crate::error::ValueError;

/// Which preset.
///
/// | Switch | `Strict3768` | `Strict5798` | `Strict9568` | `Linux` |
/// |---|---|---|---|---|
/// | checksum of VRRPv3 over IPv4, receive | – | pseudo-header | message only | either |
/// | the same, send | – | pseudo-header | message only | as the peer, first pseudo-header |
/// | owner hears an advertisement | drop | drop | elect, log | elect, log |
/// | first IPv6 address not link-local | – | log | drop | log |
/// | address list differs in VRRPv2 | drop, unless the sender owns them | log | log | log |
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Profile {
    /// RFC 3768 to the letter.
    Strict3768,
    /// RFC 5798 to the letter.
    Strict5798,
    /// RFC 9568 to the letter, with its errata 8298 to 8301.
    Strict9568,
    /// What works with the routers that are deployed.
    #[default]
    Linux,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Strict3768,
        Self::Strict5798,
        Self::Strict9568,
        Self::Linux,
    ];

    /// `strict-3768`, `strict-5798`, `strict-9568` or `linux`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strict3768 => "strict-3768",
            Self::Strict5798 => "strict-5798",
            Self::Strict9568 => "strict-9568",
            Self::Linux => "linux",
        }
    }

    /// What checksums are accepted and sent.
    #[must_use]
    pub const fn checksum_policy(self) -> ChecksumPolicy {
        match self {
            Self::Strict5798 => ChecksumPolicy {
                rx: RxChecksum::Strict(ChecksumForm::PseudoHeader),
                tx: TxChecksum::Fixed(ChecksumForm::PseudoHeader),
            },
            Self::Strict9568 => ChecksumPolicy {
                rx: RxChecksum::Strict(ChecksumForm::MessageOnly),
                tx: TxChecksum::Fixed(ChecksumForm::MessageOnly),
            },
            Self::Strict3768 | Self::Linux => ChecksumPolicy {
                rx: RxChecksum::Either,
                tx: TxChecksum::Follow {
                    default: ChecksumForm::PseudoHeader,
                },
            },
        }
    }

    /// What the receive ladder drops, and what it only reports.
    #[must_use]
    pub const fn receive_rules(self) -> ReceiveRules {
        ReceiveRules {
            checksum: self.checksum_policy().rx,
            first_address: match self {
                Self::Strict9568 => Ipv6FirstAddressPolicy::Enforce,
                _ => Ipv6FirstAddressPolicy::LogOnly,
            },
            owner: match self {
                Self::Strict3768 | Self::Strict5798 => OwnerPolicy::Drop,
                Self::Strict9568 | Self::Linux => OwnerPolicy::Elect,
            },
            v2_address_list: match self {
                Self::Strict3768 => AddressListPolicy::DropUnlessOwner,
                _ => AddressListPolicy::LogOnly,
            },
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Profile {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.name() == text)
            .ok_or(ValueError::Profile)
    }
}

/// The switches of the receive ladder. The default is that of [`Profile::Linux`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ReceiveRules {
    /// Row 10: which checksums of VRRPv3 over IPv4 are right.
    pub checksum: RxChecksum,
    /// Row 14: what happens to an IPv6 list that begins with another than a link-local address.
    pub first_address: Ipv6FirstAddressPolicy,
    /// Row 18: what an owner does with advertisements of others.
    pub owner: OwnerPolicy,
    /// Row 19: what happens to another address list in VRRPv2.
    pub v2_address_list: AddressListPolicy,
}

impl Default for ReceiveRules {
    fn default() -> Self {
        Profile::default().receive_rules()
    }
}

/// What happens to a received IPv6 list whose first address is not link-local. What is sent always
/// has a link-local one.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Ipv6FirstAddressPolicy {
    /// It is dropped: RFC 9568 with erratum 8300 (`VRRP-091`).
    Enforce,
    /// It is reported: keepalived and FRR send and accept such.
    LogOnly,
}

/// What the owner of the addresses does with advertisements of others.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum OwnerPolicy {
    /// It drops them: RFC 3768, RFC 5798 (`VRRP-088`). Two owners then never notice each other.
    Drop,
    /// It reports them and compares as everybody does: RFC 9568 with erratum 8298 (`VRRP-089`).
    Elect,
}

/// What happens to a VRRPv2 advertisement with another address list; in VRRPv3 it is reported only
/// (`VRRP-098`).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AddressListPolicy {
    /// It is dropped unless its sender has priority 255: RFC 3768 §7.1 (`VRRP-099`).
    DropUnlessOwner,
    /// It is reported.
    LogOnly,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn names_are_read_back() {
        for profile in Profile::ALL {
            assert_eq!(profile.to_string().parse(), Ok(profile));
        }
        assert_eq!(
            "cisco".parse::<Profile>().unwrap_err().to_string(),
            "unknown profile (known: strict-3768, strict-5798, strict-9568, linux)"
        );
    }

    #[test]
    fn the_default_policies_are_those_of_linux() {
        assert_eq!(
            Profile::default().checksum_policy(),
            ChecksumPolicy::default()
        );
        assert_eq!(Profile::Linux.receive_rules(), ReceiveRules::default());
    }
}
