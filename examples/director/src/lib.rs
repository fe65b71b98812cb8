//! Runs a keepalived.conf: health checks in, IPVS table out.
//!
//! | Module | Content |
//! |---|---|
//! | [`keepalived`] | reads a keepalived.conf into typed values, with diagnostics |
//! | [`demo`] | the moving parts of the demonstration: web servers, a forwarder, a script |

pub mod demo;
pub mod keepalived;
