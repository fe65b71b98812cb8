//! Scenarios played to a real kernel, to compare its picks with the library's.

pub(crate) mod addresses;
pub(crate) mod compare;
pub(crate) mod coverage;
pub(crate) mod director;
pub(crate) mod expiry;
pub(crate) mod generate;
pub(crate) mod kernel;
pub(crate) mod packet;
pub(crate) mod player;
pub(crate) mod probe;
#[path = "../parity/random.rs"]
pub(crate) mod random;
pub(crate) mod record;
pub(crate) mod talk;
pub(crate) mod wire;
