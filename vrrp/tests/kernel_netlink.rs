//! Addresses, links and virtual MAC addresses in the kernel of the guest.

#![cfg(all(feature = "net", target_os = "linux"))]
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that fails panics"
)]

// This machine's kernel need not have such devices.
#[path = "netlink/macvlan.rs"]
mod macvlan;
mod netlink;
