//! Virtual addresses in the kernel of the guest.

#![cfg(all(feature = "net", target_os = "linux"))]

mod addresses;
mod isolated;
