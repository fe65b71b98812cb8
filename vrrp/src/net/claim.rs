//! Who may use a tag in a network namespace: one driver at a time, since it takes what bears its tag
//! and is not its own for leftovers of a dead process.

use core::time::Duration;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::thread;

use super::{DriverError, NetError, Operation};

/// For how long a driver that is just ending may still have it.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// A tag that nobody else in the network namespace can claim while this value lives: a name without
/// a file, unix(7), which the kernel frees when the process ends in whatever way.
#[derive(Debug)]
pub(super) struct Claim(#[expect(dead_code, reason = "it is held, not used")] UnixDatagram);

impl Claim {
    /// Claims a tag in the network namespace of this thread.
    pub(super) fn new(tag: u8) -> Result<Self, DriverError> {
        let failed = |error| NetError::new(Operation::ClaimTag, alloc::format!("{tag}"), error);
        let name = alloc::format!("lvs-vrrp/{tag}");
        let address = SocketAddr::from_abstract_name(name).map_err(failed)?;
        let mut waited = Duration::ZERO;
        loop {
            match UnixDatagram::bind_addr(&address) {
                Ok(socket) => return Ok(Self(socket)),
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                    return Err(failed(error).into());
                }
                Err(_) if waited >= PATIENCE => return Err(DriverError::TagInUse { value: tag }),
                Err(_) => thread::sleep(PAUSE),
            }
            waited = waited.saturating_add(PAUSE);
        }
    }
}
