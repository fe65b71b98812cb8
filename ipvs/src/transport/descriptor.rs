//! Hand-over of descriptors. The unsafe blocks of this crate, all of them.

#![expect(unsafe_code, reason = "neli and tokio want raw descriptors")]

#[cfg(feature = "neli")]
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};

/// Takes the descriptor out of a socket of neli.
#[cfg(feature = "neli")]
pub(super) fn take_over(socket: neli::socket::NlSocket) -> OwnedFd {
    // SAFETY: `into_raw_fd` consumes the socket and gives up ownership of an open descriptor
    // (it forgets the value, so that its destructor does not close it); nobody else has it.
    unsafe { OwnedFd::from_raw_fd(socket.into_raw_fd()) }
}

#[cfg(feature = "tokio")]
pub(crate) use watched::Watched;

#[cfg(feature = "tokio")]
mod watched {
    use std::io;
    use std::os::fd::{AsRawFd, RawFd};

    use ::tokio::io::Interest;
    use ::tokio::io::unix::AsyncFd;

    use crate::transport::Transport;

    /// A transport that a runtime of tokio watches.
    #[derive(Debug)]
    pub(crate) struct Watched {
        transport: Box<dyn Transport + Send + Sync>,
        descriptor: RawFd,
    }

    impl Watched {
        /// Lets the runtime of the caller watch that transport for answers and errors.
        ///
        /// # Errors
        ///
        /// `InvalidInput` when it has nothing to watch; else what registering gives.
        ///
        /// # Panics
        ///
        /// Outside of a runtime, and in one without I/O.
        pub(crate) fn register(
            transport: Box<dyn Transport + Send + Sync>,
        ) -> io::Result<AsyncFd<Self>> {
            let Some(descriptor) = transport.descriptor().map(|it| it.as_raw_fd()) else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            let watched = Self {
                transport,
                descriptor,
            };
            let interest = Interest::READABLE | Interest::ERROR;
            // SAFETY: `descriptor` is that of the transport, which lends it out for as long as it
            // lives, so it is open. The transport is owned by `watched` and so by the `AsyncFd`.
            // It cannot be taken out or swapped: the field is private, and the two
            // methods lend it out as a `dyn`, which has no size. The trait is sealed, and its one
            // implementation with a descriptor never replaces it. Nor does anything change
            // `descriptor`, so `as_raw_fd` returns the same open descriptor until both are dropped
            // together.
            let registered = unsafe { AsyncFd::register_with_interest(watched, interest) };
            registered.map_err(Into::into)
        }

        pub(crate) fn transport(&self) -> &dyn Transport {
            &*self.transport
        }

        pub(crate) fn transport_mut(&mut self) -> &mut dyn Transport {
            &mut *self.transport
        }
    }

    impl AsRawFd for Watched {
        fn as_raw_fd(&self) -> RawFd {
            self.descriptor
        }
    }
}
