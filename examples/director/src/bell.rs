//! Says that a thread has ended, however it did.

use std::sync::Arc;

use nix::sys::eventfd::EventFd;

/// Makes an eventfd readable when it is dropped: also when its thread panics, so that whoever waits
/// for that thread does not wait for ever.
#[derive(Debug)]
pub struct Bell(Arc<EventFd>);

impl Bell {
    /// For the thread to keep until its end.
    #[must_use]
    pub const fn new(event: Arc<EventFd>) -> Self {
        Self(event)
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        // It cannot fail but by overflow, and then it is readable already.
        let _ = self.0.write(1);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn it_rings_for_a_panic_too() {
        let event = Arc::new(EventFd::new().unwrap());
        let bell = Bell::new(Arc::clone(&event));
        let ended = thread::spawn(move || {
            let _bell = bell;
            panic!("on purpose");
        });
        assert!(ended.join().is_err());
        assert_eq!(event.read(), Ok(1));
    }
}
