//! What lblc and lblcr share: the memory of who serves which address, and when it is set aside.

pub(crate) mod busy;
pub(crate) mod cache;
pub(crate) mod pool;
pub(crate) mod remembered;
