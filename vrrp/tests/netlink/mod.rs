//! What both kernels are asked: this machine's and the guest's.

mod addresses;
mod isolated;
mod links;
