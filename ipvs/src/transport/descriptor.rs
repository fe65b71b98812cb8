//! Hand-over of a socket opened by neli. The one unsafe block of this crate.

#![expect(unsafe_code, reason = "neli gives up its descriptor as a number only")]

use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};

/// Takes the descriptor out of a socket of neli.
pub(super) fn take_over(socket: neli::socket::NlSocket) -> OwnedFd {
    // SAFETY: `into_raw_fd` consumes the socket and gives up ownership of an open descriptor
    // (it forgets the value, so that its destructor does not close it); nobody else has it.
    unsafe { OwnedFd::from_raw_fd(socket.into_raw_fd()) }
}
