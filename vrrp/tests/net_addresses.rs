//! Virtual addresses in the kernel of this machine.

#![cfg(all(feature = "net", target_os = "linux"))]

mod addresses;
mod isolated;
