//! Links of the system and their addresses.

pub use super::netlink::address::InterfaceAddress;
