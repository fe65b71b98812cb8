//! The node: many virtual routers, their address work, groups, trackers and changes.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod address_work;
mod announcements;
mod authentication;
mod changes;
mod flood;
mod groups;
mod kept;
mod leases;
mod links;
mod mtu;
mod packets;
mod queues;
mod reports;
mod resume;
mod rig;
mod rounds;
mod scripts;
mod slack;
#[cfg(feature = "hmac-trailer")]
mod trailers;
