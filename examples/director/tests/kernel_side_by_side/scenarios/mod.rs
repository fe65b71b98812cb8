//! What happens to the two sides, by what it is about.

mod forwarding;
mod judging;
mod pools;
mod routers;
