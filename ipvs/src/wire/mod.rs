//! The bytes of the protocol: requests appended to a buffer, replies read without copying.
//!
//! ```text
//! nlmsghdr (16)   length u32, type u16 = family id, flags u16, sequence u32, port u32
//! genlmsghdr (4)  command u8, version u8 = 1, reserved u16 = 0
//! attributes      length u16, type u16, payload; each padded to a multiple of 4
//! ```
//!
//! Numbers are in host order except those marked in [`attributes`]. Readers go by attribute
//! type, skip what they do not know (and keep it where it must be sent back), do not insist on
//! the nested bit or on any order, and never panic: what cannot be read is a
//! [`DecodeError`](crate::DecodeError) with attribute and offset.
//!
//! Users of a client do not need this module. It is public for tools that look at captured
//! messages, and for benches and fuzzers.

pub mod attributes;
mod config;
mod daemon;
mod destination;
mod encode;
#[cfg(feature = "netlink-packet")]
mod encode_reply;
mod family;
mod header;
mod reader;
mod request;
mod service;
mod stats;

pub use attributes::{AttributeId, Nest};
pub use config::{read_info, read_timeouts};
pub use daemon::read_daemon;
pub use destination::DestinationView;
pub use encode::{FamilyId, encode_request};
pub use family::{FamilyInfo, read_family};
pub use header::{Acknowledgement, Body, Header, Message, Messages};
pub use request::read_request;
pub use service::ServiceView;

pub(crate) use header::ATTRIBUTES_OFFSET;

#[cfg(feature = "netlink-packet")]
pub(crate) use {
    encode::{VERSION, request_command, request_flags},
    encode_reply::{
        append_daemon, append_destination, append_info, append_service, append_timeouts,
    },
};
