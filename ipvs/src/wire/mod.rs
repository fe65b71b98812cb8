//! The bytes of the protocol.

pub mod attributes;
