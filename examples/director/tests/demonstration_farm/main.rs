//! The demonstration's forwarder and servers, over loopback.
//!
//! The tests take turns, because some of them count the threads and descriptors of the process.

#[cfg(test)]
mod carrying;
#[cfg(test)]
mod crowd;
#[cfg(test)]
mod destinations;
#[cfg(test)]
mod directors;
#[cfg(test)]
mod servers;
#[cfg(test)]
mod support;
