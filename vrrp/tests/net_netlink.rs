//! Addresses and links in the kernel of this machine.

#![cfg(all(feature = "net", target_os = "linux"))]
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that fails panics"
)]

mod netlink;
