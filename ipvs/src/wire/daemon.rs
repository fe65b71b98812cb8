//! Sync daemons in replies and requests.

use core::net::IpAddr;

use super::attributes::{Nest, daemon, top};
use super::reader::{Attribute, top_nest};
use crate::daemon::{DaemonRole, SyncDaemon};
use crate::error::{DecodeError, DecodeProblem};

/// Reads the attributes of a message with command `NEW_DAEMON`.
///
/// `offset` is where `attributes` start within the message, for errors.
///
/// # Errors
///
/// The first attribute that is cut off, too short, or missing without a way to do without.
pub fn read_daemon(attributes: &[u8], offset: usize) -> Result<SyncDaemon, DecodeError> {
    let nest = top_nest(attributes, top::DAEMON, offset)?;
    let (mut role, mut interface, mut sync_id) = (None, None, None);
    let (mut max_length, mut group, mut port, mut ttl) = (None, None, None, None);
    for attribute in nest.nested(Nest::Daemon) {
        let attribute = attribute?;
        match attribute.number {
            daemon::STATE => role = Some(read_role(&attribute)?),
            daemon::MCAST_IFN => interface = attribute.name()?,
            daemon::SYNC_ID => sync_id = Some(attribute.u32()?),
            daemon::SYNC_MAXLEN => max_length = Some(attribute.u16()?),
            daemon::MCAST_GROUP => group = Some(IpAddr::from(attribute.array::<4>()?)),
            daemon::MCAST_GROUP6 => group = Some(IpAddr::from(attribute.array::<16>()?)),
            // Host order, unlike every other port.
            daemon::MCAST_PORT => port = Some(attribute.u16()?),
            daemon::MCAST_TTL => ttl = Some(attribute.u8()?),
            _ => {}
        }
    }
    let missing = |number| nest.missing(Nest::Daemon, number);
    Ok(SyncDaemon {
        role: role.ok_or_else(|| missing(daemon::STATE))?,
        interface: interface.ok_or_else(|| missing(daemon::MCAST_IFN))?,
        sync_id: sync_id.ok_or_else(|| missing(daemon::SYNC_ID))?,
        max_length,
        group,
        port,
        ttl,
    })
}

/// Reads the role, which is all that a request to stop a daemon has.
pub(super) fn read_daemon_role(
    attributes: &[u8],
    offset: usize,
) -> Result<DaemonRole, DecodeError> {
    let nest = top_nest(attributes, top::DAEMON, offset)?;
    let mut role = None;
    for attribute in nest.nested(Nest::Daemon) {
        let attribute = attribute?;
        if attribute.number == daemon::STATE {
            role = Some(read_role(&attribute)?);
        }
    }
    role.ok_or_else(|| nest.missing(Nest::Daemon, daemon::STATE))
}

fn read_role(attribute: &Attribute<'_>) -> Result<DaemonRole, DecodeError> {
    let number = attribute.u32()?;
    DaemonRole::from_number(number)
        .ok_or_else(|| attribute.error(DecodeProblem::Unexpected(number.into())))
}
