//! VRRPv2 and VRRPv3 without sockets and clocks: reading and writing advertisements, the checks of
//! what was received, and the state machine of a virtual router; on request a driver for Linux.
//!
//! With VRRP several routers, or directors, share virtual addresses: one is Active and advertises,
//! the others are Backups and take over when it falls silent. This crate speaks the protocol for a
//! program that brings its own packets and its own time, or leaves both to the driver (feature
//! `net`).
//!
//! # Should you use it?
//!
//! Yes, to embed VRRP in a router, a director, a test bench or firmware; to move addresses between
//! hosts; to look at VRRP traffic; or to check what another implementation sends.
//!
//! No, if a daemon beside your program will do: that is keepalived or FRR. No, if the addresses must
//! never be held by two at once, whatever the network does: VRRP alone cannot promise that; a
//! [lease](mod@lease) can, within bounds that you declare.
//!
//! # First minute
//!
//! ```
//! use core::time::Duration;
//! use lvs_vrrp::checksum::ChecksumFinding;
//! use lvs_vrrp::codec::{Advertisement, Transmission};
//! use lvs_vrrp::receive::{LocalRouter, Meta, Observation, SingleRouter, Versions, receive};
//! use lvs_vrrp::{AddressList, InterfaceIndex, Interval, Priority, Profile, Version, Vrid};
//!
//! // One router says that it is Active, four times a second.
//! let addresses = AddressList::new(["192.0.2.1".parse()?])?;
//! let vrid = Vrid::try_from(51)?;
//! let advertisement = Advertisement {
//!     version: Version::V3,
//!     vrid,
//!     priority: Priority::new(200),
//!     interval: Interval::from_centiseconds(25)?,
//!     addresses: addresses.as_addresses(),
//! };
//! let mut packet = [0; 1500];
//! let length = Transmission::multicast("192.0.2.11".parse()?)
//!     .emit_packet(&advertisement, &mut packet)?;
//!
//! // Another one, which has this virtual router on its second interface, hears it.
//! let router = LocalRouter::new(
//!     Versions::Only(Version::V3),
//!     Priority::DEFAULT,
//!     Interval::DEFAULT,
//!     &addresses,
//!     Profile::Linux.receive_rules(),
//! );
//! let here = SingleRouter::new(InterfaceIndex::new(2), vrid, router);
//! let meta = Meta::ipv4(InterfaceIndex::new(2), Duration::from_secs(60));
//! let accepted = receive(&meta, &packet[..length], &here)?;
//! assert_eq!(accepted.advertisement, advertisement);
//! assert_eq!(accepted.checksum, Some(ChecksumFinding::PseudoHeader));
//! assert!(accepted.observations.contains(Observation::IntervalMismatch));
//!
//! // A packet that came through a router is dropped for exactly one reason.
//! packet[8] = 254;
//! let rejection = receive(&meta, &packet[..length], &here).unwrap_err();
//! assert_eq!(rejection.to_string(), "ttl");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! | Module | Content |
//! |---|---|
//! | [`vrid`], [`version`], [`priority`], [`interval`], [`address`] | the values, each with its range |
//! | [`checksum`] | the sum, the two forms of VRRPv3 over IPv4, following the peers' form |
//! | [`codec`] | views over received bytes; advertisements written as message, packet or frame; authentication; gratuitous ARP, unsolicited neighbour advertisement |
//! | [`receive`](mod@receive) | the ladder: one reason for each packet dropped, observations for the others |
//! | [`counters`] | one counter for each reason |
//! | [`profile`] | presets of the switches: RFC 3768, RFC 5798, RFC 9568, Linux |
//! | [`config`] | configuration of a virtual router |
//! | [`machine`] | its state machine |
//! | [`event`], [`actions`] | what a state machine is told, and what it wants done |
//! | [`guard`] | a second condition for being Active |
//! | [`mod@lease`] | the guard as a lease: one store, or the majority of several |
//! | [`node`] | many virtual routers of one host: demultiplexing, address work, reconfiguration |
//! | [`job`] | what a node wants done, and what follows if that fails |
//! | [`track`], [`group`], [`announce`] | trackers, routers that change together, announcements |
//! | `sim` | a virtual network to try configurations on (feature `sim`) |
//! | `net` | the same on Linux: sockets, addresses, a driver (feature `net`) |
//! | [`timer`] | time, and how long a Backup waits |
//! | [`error`] | what can be wrong with values, and with what is to be sent |
//!
//! Rules carry the number of the requirement, such as `VRRP-028`, and tests cite it.
//!
//! # Features and `no_std`
//!
//! | Feature | Default | Adds |
//! |---|---|---|
//! | `std` | yes | nothing but `std` in the dependencies' error types |
//! | `sim` | no | `sim`: a virtual network, with loss, cuts, pauses and crashes |
//! | `net` | no | `net`: virtual routers on Linux; needs `nix`, `socket2`, `netlink-packet-route`, `netlink-sys` |
//! | `tokio` | no | the driver of `net` on tokio, its events as a `Stream` of futures-core 0.3 |
//! | `hmac-trailer` | no | keepalived's `auth_hmac` trailer, which is part of no RFC, in codec, ladder and node; needs `sha2` |
//!
//! The crate is `no_std` and needs `alloc`, for lists of addresses and keys; reading and writing
//! allocate nothing. It forbids unsafe code, but for one block with
//! the feature `tokio`. No input panics.
//!
//! # Security
//!
//! VRRP has no authentication worth the name (RFC 9568 §9): whoever is on the link can become
//! Active. The time to live of 255 keeps others out, as no router can make it (`VRRP-138`).

#![no_std]
#![cfg_attr(not(feature = "tokio"), forbid(unsafe_code))]

extern crate alloc;
#[cfg(any(test, feature = "net"))]
extern crate std;

pub mod actions;
pub mod address;
pub mod announce;
pub mod checksum;
pub mod codec;
pub mod config;
pub mod counters;
pub mod error;
pub mod event;
pub mod group;
pub mod guard;
pub mod interval;
pub mod job;
pub mod lease;
pub mod machine;
#[cfg(all(feature = "net", target_os = "linux"))]
pub mod net;
pub mod node;
pub mod priority;
pub mod profile;
pub mod receive;
#[cfg(feature = "sim")]
pub mod sim;
pub mod timer;
pub mod track;
pub mod version;
pub mod vrid;

pub use actions::Actions;
pub use address::{AddressList, Addresses, Family, InterfaceIndex, MacAddress};
pub use config::{ConfigError, RouterConfig};
pub use error::{EncodeError, ValueError};
pub use event::{Action, Event, State};
pub use guard::GuardStatus;
pub use interval::Interval;
pub use lease::{Lease, LeaseConfig};
pub use machine::VirtualRouter;
pub use node::{Node, NodeConfig};
pub use priority::{Priority, Rank};
pub use profile::{Profile, Switches};
pub use receive::{Accepted, Observation, Reason, Rejection, receive};
pub use timer::Timestamp;
pub use version::Version;
pub use vrid::Vrid;

/// Runs the README's examples, of which one needs the virtual network.
#[cfg(all(doctest, feature = "sim", feature = "net", target_os = "linux"))]
#[doc = include_str!("../README.md")]
struct Readme;
