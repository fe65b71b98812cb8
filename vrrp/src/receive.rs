//! The receive ladder: what was received becomes an accepted advertisement, or is dropped for
//! exactly one reason.
//!
//! The checks run in this order, cheapest and most telling first; traffic of foreign virtual
//! routers is not even summed up.
//!
//! | Row | Check | Reason | Otherwise |
//! |---|---|---|---|
//! | 1 | IP header sane, not a fragment | [`ip-header`](Reason::IpHeader) | drop |
//! | 2 | protocol 112, or 51 before 112 where somebody expects it | [`proto`](Reason::Proto), [`auth-type-mismatch`](Reason::AuthTypeMismatch) | drop |
//! | 3 | TTL or hop limit 255; a peer's own range if it sends to us alone | [`ttl`](Reason::Ttl) | drop |
//! | 4 | at least 8 bytes | [`too-short`](Reason::TooShort) | drop |
//! | 5 | version 2 over IPv4, or 3 | [`version`](Reason::Version) | drop |
//! | 6 | type 1 | [`type`](Reason::Type) | drop |
//! | 7 | virtual router id not 0, and configured here | [`vrid`](Reason::Vrid) | drop |
//! | 8 | version of the virtual router | [`version`](Reason::Version) | drop |
//! | 9 | length as the count says | [`length`](Reason::Length) | drop |
//! | 10 | checksum | [`checksum`](Reason::Checksum) | drop |
//! | 11 | an address | [`count-zero`](Reason::CountZero) | drop |
//! | 12 | interval not 0 | [`interval-zero`](Reason::IntervalZero) | drop |
//! | 13a | authentication type known | [`auth-type-unknown`](Reason::AuthTypeUnknown) | drop |
//! | 13b | authentication type as configured | [`auth-type-mismatch`](Reason::AuthTypeMismatch) | drop |
//! | 13c | password or digest right | [`auth-failure`](Reason::AuthFailure) | drop |
//! | 13d | sequence number is new | [`auth-replay`](Reason::AuthReplay) | drop |
//! | 14 | first IPv6 address link-local | [`first-not-link-local`](Reason::FirstNotLinkLocal) | [by rule](Ipv6FirstAddressPolicy) |
//! | 15 | to the group, or to us alone, as configured | [`cast-mismatch`](Reason::CastMismatch) | drop |
//! | 16 | source is a configured peer, if there are any | [`unknown-peer`](Reason::UnknownPeer) | drop |
//! | 17 | source is not ourselves | [`self`](Reason::SelfSent) | drop; [`duplicate-primary-address`](Observation::DuplicatePrimaryAddress) if the priority is ours too |
//! | 18 | we are not the owner | [`owner`](Reason::Owner) | [by rule](OwnerPolicy) |
//! | 19 | address list as ours | [`address-list`](Reason::AddressList) | v2 [by rule](AddressListPolicy), v3 report |
//! | 20 | interval as ours | [`interval-mismatch`](Reason::IntervalMismatch) | v2 drop, v3 report |
//! | 21 | nothing odd | [`checksum-form-conflict`](Observation::ChecksumFormConflict), [`owner-conflict`](Observation::OwnerConflict), [`equal-priority`](Observation::EqualPriority) | report |
//!
//! The ladder changes nothing: a rejected packet has no effect but one count
//! ([`counters`](crate::counters)), and what follows from an accepted one is the caller's
//! (`VRRP-093`, `VRRP-203`). It allocates nothing.
//!
//! Decisions where the standards are silent: a peer's range of TTL is for packets to ourselves
//! only, so that 255 holds in multicast mode whatever peers there are (`VRRP-005`); VRRPv3 behind an
//! authentication header is an `auth-type-mismatch`; one cut off within that header is `too-short`;
//! a message that has the type of the header, but not the header, is an `auth-failure`
//! (`VRRP-036`); a group other than the configured one is a `cast-mismatch`.

mod datagram;
mod ladder;
mod local;
mod observation;
mod reason;

pub use datagram::{Datagram, Meta};
pub use ladder::{Accepted, receive};
pub use local::{AnyRouter, LocalRouter, Lookup, Mode, Peer, Routers, SingleRouter, Versions};
#[cfg(feature = "hmac-trailer")]
pub use local::{TrailerMode, TrailerRules, TrailerWindow};
pub use observation::{Observation, Observations};
pub use reason::{Reason, Rejection, Scope};

#[cfg(doc)]
use crate::profile::{AddressListPolicy, Ipv6FirstAddressPolicy, OwnerPolicy};
