//! What can be wrong with a configuration.

use core::net::IpAddr;
use core::time::Duration;

use crate::version::Version;

/// A configuration that no virtual router can have: the first field that is wrong.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// 0 means to resign, 255 to own the addresses (`VRRP-015`).
    #[error("priority {value} is not in 1..=254: the owner is set as such")]
    Priority {
        /// The number given.
        value: u8,
    },
    /// The owner lacks an address (`VRRP-014`).
    #[error("the owner does not have {address} as a real address")]
    NotOwned {
        /// The virtual address.
        address: IpAddr,
    },
    /// A router that has all addresses is not set as their owner (`VRRP-014`).
    #[error("priority {priority} for a router that owns the addresses: the owner has 255")]
    Owned {
        /// Its priority.
        priority: u8,
    },
    /// An interval that the version cannot say (`VRRP-043`).
    #[error("interval of {centiseconds} cs cannot be sent in {version}: {}", limits(*version))]
    Interval {
        /// The interval given.
        centiseconds: u16,
        /// The version.
        version: Version,
    },
    /// VRRPv2 is for IPv4 only.
    #[error("VRRPv2 does not exist over IPv6")]
    VersionOverIpv6,
    /// The first IPv6 address is not link-local (`VRRP-029`).
    #[error("the first IPv6 address, {address}, is not link-local (fe80::/10)")]
    FirstNotLinkLocal {
        /// The first address.
        address: IpAddr,
    },
    /// An address or a peer that is there twice.
    #[error("address {address} is given twice")]
    AddressTwice {
        /// The address.
        address: IpAddr,
    },
    /// No interval of silence, or too many.
    #[error("down factor {value} is not in 1..=100")]
    DownFactor {
        /// The number given.
        value: u8,
    },
    /// A preempt hold that RFC 8347 does not have.
    #[error("preempt hold of {value:?} is more than 65535 s")]
    PreemptHold {
        /// The time given.
        value: Duration,
    },
    /// A limit that forbids to become Active at all.
    #[error("a promotion limit of 0 promotions is not in 1..=255")]
    PromotionLimit,
    /// A destination that is no group of the family.
    #[error("{address} is no group of the family of the virtual addresses")]
    Group {
        /// The address.
        address: IpAddr,
    },
    /// Unicast without anybody to send to.
    #[error("unicast needs at least one peer")]
    NoPeer,
    /// A peer that cannot be one: of another family, or a group.
    #[error("peer {address} is no unicast address of the family of the virtual addresses")]
    Peer {
        /// The address.
        address: IpAddr,
    },
    /// A time to live with which nothing arrives.
    #[error("unicast TTL of {value} is not in 1..=255")]
    UnicastTtl {
        /// The number given.
        value: u8,
    },
    /// A unicast TTL without unicast peers: to groups 255 is sent (`VRRP-004`, `VRRP-009`).
    #[error("unicast TTL of {value} without unicast peers: to a group it is 255")]
    GroupTtl {
        /// The number given.
        value: u8,
    },
    /// A source address of another family, or a virtual one; with IPv6 groups, one that is not
    /// link-local (`VRRP-007`).
    #[error("source {address} is not a real address that advertisements can come from")]
    Source {
        /// The address.
        address: IpAddr,
    },
    /// Only VRRPv2 alone can be authenticated. RFC 9568 §9.
    #[error("authentication exists in VRRPv2 only")]
    AuthenticationInV3,
    /// Two keys of the trailer that cannot be told apart.
    #[cfg(feature = "hmac-trailer")]
    #[error("two keys of the trailer have the number {id}")]
    TrailerKeyTwice {
        /// The number.
        id: u8,
    },
    /// A window of the trailer that keepalived does not have.
    #[cfg(feature = "hmac-trailer")]
    #[error("trailer window of {seconds} s is not in 1..=300 s")]
    TrailerWindow {
        /// The window given.
        seconds: u16,
    },
    /// The switches do not permit it ([`Permits`](crate::profile::Permits)).
    #[error("{field} is refused by the switches of the profile")]
    Refused {
        /// What was asked for.
        field: &'static str,
    },
    /// A change would make it another virtual router: another id or family.
    #[error("a virtual router cannot change its {field}")]
    Identity {
        /// What differs.
        field: &'static str,
    },
}

const fn limits(version: Version) -> &'static str {
    match version {
        Version::V2 => "1..=255 whole seconds",
        Version::V3 => "1..=4095 cs",
    }
}
