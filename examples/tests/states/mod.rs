//! States, templates and counts of a running kernel, to compare them with the library's.

pub(crate) mod planted;
pub(crate) mod remembered;
pub(crate) mod sync;
pub(crate) mod walk;

use crate::schedulers::director::Director;
use crate::schedulers::packet::Packet;

/// Sends packets, and returns when the director has dealt with them.
pub(crate) fn send(director: &mut Director, packets: &[Packet]) {
    director.wire.send(0, packets);
    director.wire.settle(|_| ());
}
