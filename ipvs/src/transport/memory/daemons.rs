//! Sync daemons: the `DAEMON` nest and the two roles.

use nix::libc::{EAFNOSUPPORT, EEXIST, EINVAL, ENETUNREACH, ENODEV, ESRCH};

use super::Errno;
use super::generation::Generation;
use super::netlink::{ExtendedAck, Writer};
use super::network::Network;
use super::policy::{self, Attributes};
use crate::wire::attributes::{daemon as attribute, top};

pub(super) const MASTER: u32 = 1;
pub(super) const BACKUP: u32 = 2;

const DEFAULT_GROUP: Group = Group::Inet([224, 0, 0, 81]);
const DEFAULT_PORT: u16 = 8848;
/// IP and UDP headers, by family.
const HEADERS_INET: u32 = 28;
const HEADERS_INET6: u32 = 48;

#[derive(Clone, Copy, Debug)]
enum Group {
    Inet([u8; 4]),
    Inet6([u8; 16]),
}

/// A running daemon.
#[derive(Clone, Debug)]
pub(super) struct Daemon {
    interface: Vec<u8>,
    sync_id: u32,
    max_length: u16,
    group: Group,
    port: u16,
    ttl: u8,
}

/// Both roles.
#[derive(Debug, Default)]
pub(super) struct Daemons {
    pub(super) master: Option<Daemon>,
    pub(super) backup: Option<Daemon>,
}

/// Parses the nest; unlike the others it tells extended acknowledgements (`ip_vs_ctl.c`).
pub(super) fn parse<'a>(
    nest: Option<(&'a [u8], usize)>,
    generation: &Generation,
    ack: &mut ExtendedAck,
) -> Result<Attributes<'a, 9>, Errno> {
    let known = |number| number <= attribute::SYNC_ID || generation.daemon_extensions;
    let (nest, offset) = nest.ok_or(EINVAL)?;
    policy::parse(nest, &policy::DAEMON, known, offset, ack).map_err(|_| EINVAL)
}

impl Daemons {
    pub(super) const fn any(&self) -> bool {
        self.master.is_some() || self.backup.is_some()
    }

    /// `NEW_DAEMON`, in the kernel's order of checks.
    pub(super) fn start(
        &mut self,
        attributes: &Attributes<'_, 9>,
        mixed_destinations: bool,
        generation: &Generation,
        network: &Network,
    ) -> Result<u32, Errno> {
        let (Some(state), Some(name), Some(sync_id)) = (
            attributes.u32(attribute::STATE),
            attributes.text(attribute::MCAST_IFN),
            attributes.u32(attribute::SYNC_ID),
        ) else {
            return Err(EINVAL);
        };
        let group = group(attributes, generation)?;
        if mixed_destinations {
            return Err(EINVAL);
        }
        let interface = network.interface(name).ok_or(ENODEV)?;
        let slot = match state {
            MASTER => &mut self.master,
            BACKUP => &mut self.backup,
            _ => return Err(EINVAL),
        };
        if slot.is_some() {
            return Err(EEXIST);
        }
        let ipv6 = matches!(group, Group::Inet6(_));
        // Socket set-up, as seen on 6.1.176: a master connects, a backup joins.
        if state == MASTER && !interface.sends_multicast(ipv6) {
            return Err(ENETUNREACH);
        }
        if state == BACKUP && ipv6 && !interface.has_ipv6_state() {
            return Err(EINVAL);
        }
        let asked = attributes.u16(attribute::SYNC_MAXLEN).unwrap_or(0);
        *slot = Some(Daemon {
            interface: name.to_vec(),
            sync_id,
            max_length: max_length(asked, state, interface.mtu(), ipv6),
            group,
            port: non_zero(attributes.u16(attribute::MCAST_PORT), DEFAULT_PORT),
            ttl: non_zero(attributes.u8(attribute::MCAST_TTL), 1),
        });
        Ok(state)
    }

    /// `DEL_DAEMON`.
    pub(super) fn stop(&mut self, attributes: &Attributes<'_, 9>) -> Result<(), Errno> {
        let slot = match attributes.u32(attribute::STATE) {
            Some(MASTER) => &mut self.master,
            Some(BACKUP) => &mut self.backup,
            _ => return Err(EINVAL),
        };
        slot.take().map(drop).ok_or(ESRCH)
    }
}

fn non_zero<T: Default + PartialEq>(value: Option<T>, default: T) -> T {
    value
        .filter(|value| *value != T::default())
        .unwrap_or(default)
}

fn group(attributes: &Attributes<'_, 9>, generation: &Generation) -> Result<Group, Errno> {
    if let Some(group) = attributes.array::<4>(attribute::MCAST_GROUP) {
        let [first, ..] = group;
        return match first & 0xf0 {
            0xe0 => Ok(Group::Inet(group)),
            _ => Err(EINVAL),
        };
    }
    match attributes.array::<16>(attribute::MCAST_GROUP6) {
        None => Ok(DEFAULT_GROUP),
        Some(_) if !generation.ipv6 => Err(EAFNOSUPPORT),
        Some(group @ [0xff, ..]) => Ok(Group::Inet6(group)),
        Some(_) => Err(EINVAL),
    }
}

/// Spec §11.1.
fn max_length(asked: u16, state: u32, mtu: u32, ipv6: bool) -> u16 {
    let headers = if ipv6 { HEADERS_INET6 } else { HEADERS_INET };
    let backup = state == BACKUP;
    let length = match asked {
        0 if backup => mtu.clamp(1500, 65535).saturating_sub(headers),
        0 => 1500_u32.saturating_sub(headers),
        asked => {
            let least = if backup { 1024 } else { 1 };
            u32::from(asked).clamp(least, 65535_u32.saturating_sub(headers))
        }
    };
    u16::try_from(length).unwrap_or(u16::MAX)
}

impl Daemon {
    /// Appends the nest `DAEMON` of a reply, attributes in the kernel's order.
    pub(super) fn write(&self, writer: &mut Writer<'_>, state: u32, generation: &Generation) {
        writer.nest(top::DAEMON, |writer| {
            writer.put_u32(attribute::STATE, state);
            writer.put_text(attribute::MCAST_IFN, &self.interface);
            writer.put_u32(attribute::SYNC_ID, self.sync_id);
            if !generation.daemon_extensions {
                return;
            }
            writer.put_u16(attribute::SYNC_MAXLEN, self.max_length);
            writer.put_u16(attribute::MCAST_PORT, self.port);
            writer.put_u8(attribute::MCAST_TTL, self.ttl);
            match &self.group {
                Group::Inet(group) => writer.put(attribute::MCAST_GROUP, group),
                Group::Inet6(group) => writer.put(attribute::MCAST_GROUP6, group),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths seen on 6.1.176.
    #[test]
    fn lengths_are_clamped_as_in_the_kernel() {
        let lengths = |asked, mtu| {
            [
                max_length(asked, MASTER, mtu, false),
                max_length(asked, BACKUP, mtu, false),
                max_length(asked, BACKUP, mtu, true),
            ]
        };
        assert_eq!(lengths(0, 65536), [1472, 65507, 65487]);
        assert_eq!(lengths(0, 1500), [1472, 1472, 1452]);
        assert_eq!(lengths(0, 9000), [1472, 8972, 8952]);
        assert_eq!(lengths(0, 100), [1472, 1472, 1452]);
        assert_eq!(lengths(1, 1500), [1, 1024, 1024]);
        assert_eq!(lengths(2000, 1500), [2000, 2000, 2000]);
        assert_eq!(lengths(65535, 1500), [65507, 65507, 65487]);
    }
}
