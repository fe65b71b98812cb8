//! The walks over the list that several algorithms share.

pub(crate) mod heaviest;
pub(crate) mod least;
