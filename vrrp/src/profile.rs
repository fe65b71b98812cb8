//! Profiles: presets of the switches by which the standards, and what is deployed, differ.
//!
//! A profile is nothing but a preset of [`Switches`]; every switch can be changed afterwards.
//!
//! ```
//! use lvs_vrrp::profile::{AnswerLosing, Profile};
//!
//! let mut switches = Profile::Linux.switches();
//! switches.answer_losing_adverts = AnswerLosing::Always;
//! ```

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use crate::checksum::{ChecksumForm, ChecksumPolicy, RxChecksum, TxChecksum};
use crate::error::ValueError;
use crate::interval::Interval;
use crate::priority::Priority;

/// Which preset.
///
/// | Switch | `Strict3768` | `Strict5798` | `Strict9568` | `Linux` |
/// |---|---|---|---|---|
/// | versions | 2 | 3 | 3 | 2, 3, or both over IPv4 |
/// | checksum of VRRPv3 over IPv4, receive | – | pseudo-header | message only | either |
/// | the same, send | – | pseudo-header | message only | as the peer, first pseudo-header |
/// | owner hears an advertisement | drop | drop | elect, log | elect, log |
/// | first IPv6 address not link-local, receive | – | log | drop | log |
/// | the same, send | – | refused | refused | allowed |
/// | address list differs in VRRPv2 | drop, unless the sender owns them | log | log | log |
/// | answer to a losing advertisement | never | never | at once | VRRPv3 at once, VRRPv2 never |
/// | announce again after one; advertise once more before giving way | no | no | no | yes |
/// | authentication of VRRPv2 | refused | – | – | allowed |
/// | unicast, other groups | refused | refused | refused | allowed |
/// | priority 255 for the owner of the addresses, and for nobody else | yes | yes | yes | whoever is set |
/// | down factor | 3 | 3 | 3 | 1 to 100 |
/// | preempt hold | refused | refused | allowed | allowed |
/// | accept mode | owner only | off | off | off; [`Switches::ipvs`]: on |
/// | Active after a long pause | asserts itself | asserts itself | asserts itself | [steps down](StallPolicy::StepDown) |
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

    /// The value of every switch.
    #[must_use]
    pub const fn switches(self) -> Switches {
        let permits = match self {
            Self::Strict3768 => Permits {
                v2: true,
                v3: false,
                ..Permits::BY_THE_RFCS
            },
            Self::Strict5798 => Permits::BY_THE_RFCS,
            Self::Strict9568 => Permits {
                preempt_hold: true,
                ..Permits::BY_THE_RFCS
            },
            Self::Linux => Permits::ALL,
        };
        let is_linux = matches!(self, Self::Linux);
        Switches {
            receive: self.receive_rules(),
            tx_checksum: self.checksum_policy().tx,
            permits,
            accept_mode: match self {
                Self::Strict3768 => AcceptDefault::OwnerOnly,
                _ => AcceptDefault::Off,
            },
            answer_losing_adverts: match self {
                Self::Strict3768 | Self::Strict5798 => AnswerLosing::Never,
                Self::Strict9568 | Self::Linux => AnswerLosing::V3,
            },
            reannounce: is_linux,
            yield_with_advert: is_linux,
            stall: if is_linux {
                StallPolicy::StepDown
            } else {
                StallPolicy::Assert
            },
            highest_other_priority: Priority::new(254),
            max_adopted_interval: None,
            zero_only_from_current_active: false,
            promotion_limit: None,
            fast_handover: false,
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

/// Every switch by which profiles differ, and the options that harden a virtual router. The default
/// is that of [`Profile::Linux`].
///
/// Where no other default is told, an option is off, since it deviates from the RFCs.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Switches {
    /// What the receive ladder drops, and what it only reports.
    pub receive: ReceiveRules,
    /// Which checksum form of VRRPv3 over IPv4 is sent.
    pub tx_checksum: TxChecksum,
    /// What a configuration may ask for.
    pub permits: Permits,
    /// Accept mode, where the configuration does not set it.
    pub accept_mode: AcceptDefault,
    /// Whether an Active answers an advertisement that loses against its own with one of its own.
    pub answer_losing_adverts: AnswerLosing,
    /// Whether an Active that hears a losing advertisement announces its addresses again, at most
    /// once in an advertisement interval: neighbours may have learned the other one (`VRRP-213`).
    pub reannounce: bool,
    /// Whether an Active that gives way advertises once more before, so that the winner notices that
    /// there were two and announces again. That advertisement says the interval of the winner if that
    /// is the longer one: Backups that hear it last adopt it, and are to wait for the winner.
    pub yield_with_advert: bool,
    /// What an Active does after a pause in which another may have taken over.
    pub stall: StallPolicy,
    /// The highest priority another router may have, by default 254: it decides how long a pause
    /// may be until [`stall`](Self::stall) applies.
    pub highest_other_priority: Priority,
    /// The longest interval a Backup adopts. By default any: a forged advertisement of 4095 cs
    /// makes it wait for 164 s.
    pub max_adopted_interval: Option<Interval>,
    /// Whether a Backup believes a resignation only from the router that it takes for the Active. By
    /// default from any: the loser of a short time with two Active routers makes Backups hurry.
    pub zero_only_from_current_active: bool,
    /// How often a router may become Active, to slow down flapping. By default without limit.
    pub promotion_limit: Option<PromotionLimit>,
    /// Whether an Active whose priority falls resigns and stays away for a down interval, instead
    /// of waiting until a Backup times out. By default not.
    pub fast_handover: bool,
}

impl Switches {
    /// Those of [`Profile::Linux`] with accept mode on: a director that is Active must accept
    /// packets to the virtual addresses, since IPVS picks them up on their way to local programs.
    #[must_use]
    pub const fn ipvs() -> Self {
        let mut switches = Profile::Linux.switches();
        switches.accept_mode = AcceptDefault::On;
        switches
    }
}

impl Default for Switches {
    fn default() -> Self {
        Profile::default().switches()
    }
}

/// All of them as `name=value`, with spaces between, for a dump of the state.
impl fmt::Display for Switches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let receive = &self.receive;
        let rx = match receive.checksum {
            RxChecksum::Strict(form) => form.as_str(),
            RxChecksum::Either => "either",
            RxChecksum::EitherOrGroup => "either-or-group",
        };
        let tx = match self.tx_checksum {
            TxChecksum::Fixed(form) => form.as_str(),
            TxChecksum::Follow {
                default: ChecksumForm::PseudoHeader,
            } => "follow-from-pseudo-header",
            TxChecksum::Follow {
                default: ChecksumForm::MessageOnly,
            } => "follow-from-message-only",
        };
        let first_address = match receive.first_address {
            Ipv6FirstAddressPolicy::Enforce => "drop",
            Ipv6FirstAddressPolicy::LogOnly => "log",
        };
        let owner = match receive.owner {
            OwnerPolicy::Drop => "drop",
            OwnerPolicy::Elect => "elect",
        };
        let v2_address_list = match receive.v2_address_list {
            AddressListPolicy::DropUnlessOwner => "drop-unless-owner",
            AddressListPolicy::LogOnly => "log",
        };
        let accept_mode = match self.accept_mode {
            AcceptDefault::OwnerOnly => "owner-only",
            AcceptDefault::Off => "off",
            AcceptDefault::On => "on",
        };
        let answers = match self.answer_losing_adverts {
            AnswerLosing::Never => "never",
            AnswerLosing::V3 => "v3",
            AnswerLosing::Always => "always",
        };
        let stall = match self.stall {
            StallPolicy::Assert => "assert",
            StallPolicy::Listen => "listen",
            StallPolicy::StepDown => "step-down",
        };
        write!(
            f,
            "rx-checksum={rx} tx-checksum={tx} first-address={first_address} owner={owner} \
             v2-address-list={v2_address_list} accept-mode={accept_mode} \
             answer-losing-adverts={answers} stall={stall} highest-other-priority={}",
            self.highest_other_priority
        )?;
        match self.max_adopted_interval {
            Some(interval) => write!(f, " max-adopted-interval={interval}")?,
            None => f.write_str(" max-adopted-interval=none")?,
        }
        match self.promotion_limit {
            Some(limit) => {
                let PromotionLimit { promotions, window } = limit;
                write!(f, " promotion-limit={promotions}/{window:?}")?;
            }
            None => f.write_str(" promotion-limit=none")?,
        }
        let permits = &self.permits;
        for (name, is_on) in [
            ("reannounce", self.reannounce),
            ("yield-with-advert", self.yield_with_advert),
            (
                "zero-only-from-current-active",
                self.zero_only_from_current_active,
            ),
            ("fast-handover", self.fast_handover),
            ("permit-v2", permits.v2),
            ("permit-v3", permits.v3),
            ("permit-authentication", permits.authentication),
            ("permit-unicast", permits.unicast),
            ("permit-down-factor", permits.down_factor),
            ("permit-preempt-hold", permits.preempt_hold),
            ("permit-any-owner", permits.any_owner),
            ("permit-any-first-address", permits.any_first_address),
        ] {
            write!(f, " {name}={}", if is_on { "on" } else { "off" })?;
        }
        Ok(())
    }
}

/// What a configuration may ask for.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Permits {
    /// VRRPv2.
    pub v2: bool,
    /// VRRPv3.
    pub v3: bool,
    /// Authentication of VRRPv2, which RFC 3768 removed.
    pub authentication: bool,
    /// Unicast peers, and groups other than those of the RFCs.
    pub unicast: bool,
    /// A down factor other than 3.
    pub down_factor: bool,
    /// A preempt hold, which RFC 8347 has.
    pub preempt_hold: bool,
    /// Priority 255 without owning the addresses, and another one with owning them
    /// ([`RouterConfig::check_ownership`](crate::config::RouterConfig::check_ownership)).
    pub any_owner: bool,
    /// A list of IPv6 addresses whose first is not link-local. RFC 9568 §5.2.9 wants the link-local
    /// address first, and routers that are strict about it drop other advertisements: with them
    /// there would be two Active (`VRRP-029`). keepalived sends and accepts them.
    pub any_first_address: bool,
}

impl Permits {
    const BY_THE_RFCS: Self = Self {
        v2: false,
        v3: true,
        authentication: false,
        unicast: false,
        down_factor: false,
        preempt_hold: false,
        any_owner: false,
        any_first_address: false,
    };
    const ALL: Self = Self {
        v2: true,
        v3: true,
        authentication: true,
        unicast: true,
        down_factor: true,
        preempt_hold: true,
        any_owner: true,
        any_first_address: true,
    };
}

/// Accept mode where the configuration does not set it: whether an Active that does not own the
/// virtual addresses accepts packets to them. RFC 9568 §6.1 (`VRRP-046`).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AcceptDefault {
    /// It does not, and cannot be told to: VRRPv2 has no accept mode.
    OwnerOnly,
    /// It does not.
    Off,
    /// It does.
    On,
}

/// Whether an Active answers an advertisement that loses against its own by advertising at once.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AnswerLosing {
    /// It is silent: RFC 3768, RFC 5798 (`VRRP-080`).
    Never,
    /// In VRRPv3 only: RFC 9568 §6.4.3 (`VRRP-079`).
    V3,
    /// In both versions, as keepalived does.
    Always,
}

/// What an Active does when it finds that it has been silent for so long that another router may
/// have taken over, as after a suspension (`VRRP-210`).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StallPolicy {
    /// It advertises at once and announces its addresses again: what the timers of the RFCs do.
    Assert,
    /// It stays Active and sends nothing for one interval, in which it listens.
    Listen,
    /// It behaves as a Backup until it has heard nothing for a down interval (OP-5).
    StepDown,
}

/// How often a router may become Active.
///
/// A promotion beyond the limit is put off by a down interval, the next by two, then by four, and so
/// on, at most by the window.
#[expect(clippy::exhaustive_structs, reason = "a number within a time")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PromotionLimit {
    /// How many promotions there may be, at least 1.
    pub promotions: u8,
    /// In how much time, counted from the first of them.
    pub window: Duration,
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

    /// Every switch of every profile, as a dump shows it.
    #[test]
    fn profiles_are_presets_of_these_switches() {
        let common = "highest-other-priority=254 max-adopted-interval=none promotion-limit=none";
        let off = "zero-only-from-current-active=off fast-handover=off";
        let strict = "reannounce=off yield-with-advert=off";
        for (profile, expected) in [
            (
                Profile::Strict3768,
                std::format!(
                    "rx-checksum=either tx-checksum=follow-from-pseudo-header first-address=log \
                     owner=drop v2-address-list=drop-unless-owner accept-mode=owner-only \
                     answer-losing-adverts=never stall=assert {common} {strict} {off} permit-v2=on \
                     permit-v3=off permit-authentication=off permit-unicast=off \
                     permit-down-factor=off permit-preempt-hold=off permit-any-owner=off \
                     permit-any-first-address=off"
                ),
            ),
            (
                Profile::Strict5798,
                std::format!(
                    "rx-checksum=pseudo-header tx-checksum=pseudo-header first-address=log \
                     owner=drop v2-address-list=log accept-mode=off answer-losing-adverts=never \
                     stall=assert {common} {strict} {off} permit-v2=off permit-v3=on \
                     permit-authentication=off permit-unicast=off permit-down-factor=off \
                     permit-preempt-hold=off permit-any-owner=off \
                     permit-any-first-address=off"
                ),
            ),
            (
                Profile::Strict9568,
                std::format!(
                    "rx-checksum=message-only tx-checksum=message-only first-address=drop \
                     owner=elect v2-address-list=log accept-mode=off answer-losing-adverts=v3 \
                     stall=assert {common} {strict} {off} permit-v2=off permit-v3=on \
                     permit-authentication=off permit-unicast=off permit-down-factor=off \
                     permit-preempt-hold=on permit-any-owner=off \
                     permit-any-first-address=off"
                ),
            ),
            (
                Profile::Linux,
                std::format!(
                    "rx-checksum=either tx-checksum=follow-from-pseudo-header first-address=log \
                     owner=elect v2-address-list=log accept-mode=off answer-losing-adverts=v3 \
                     stall=step-down {common} reannounce=on yield-with-advert=on {off} \
                     permit-v2=on permit-v3=on permit-authentication=on permit-unicast=on \
                     permit-down-factor=on permit-preempt-hold=on permit-any-owner=on \
                     permit-any-first-address=on"
                ),
            ),
        ] {
            assert_eq!(profile.switches().to_string(), expected);
        }
        let ipvs = Switches::ipvs().to_string();
        let linux = Profile::Linux.switches().to_string();
        assert_eq!(ipvs, linux.replace("accept-mode=off", "accept-mode=on"));
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
