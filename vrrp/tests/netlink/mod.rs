//! What both kernels are asked: this machine's and the guest's.

mod addresses;
pub(crate) mod isolated;
mod links;
