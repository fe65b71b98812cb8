//! What device a virtual router is to have, and which name it gets.

use alloc::format;
use alloc::string::String;

use nix::errno::Errno;

use crate::address::{Family, InterfaceIndex};
use crate::net::netlink::NetlinkCause;
use crate::net::netlink::link::LinkRecord;
use crate::net::{NetError, Operation};
use crate::vrid::Vrid;

/// Bytes of a device name at most: `IFNAMSIZ` without the zero byte.
const NAME: usize = 15;

/// How many names are tried.
const NAMES: u32 = 10_000;

/// A device to be made for a virtual router.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VirtualMac {
    pub(super) base: InterfaceIndex,
    pub(super) family: Family,
    pub(super) vrid: Vrid,
    pub(super) name: Option<String>,
}

impl VirtualMac {
    /// The virtual MAC of this virtual router, on its interface. RFC 9568 §7.3
    #[must_use]
    pub const fn new(base: InterfaceIndex, family: Family, vrid: Vrid) -> Self {
        Self {
            base,
            family,
            vrid,
            name: None,
        }
    }

    /// Gives the device this name, of 1 to 15 bytes. Without it is `vrrp.51` or `vrrp6.51`, with
    /// more behind it if that is taken.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Names it may have, best first.
    pub(in crate::net) fn names(&self) -> impl Iterator<Item = String> {
        let kind = match self.family {
            Family::Ipv4 => "vrrp",
            Family::Ipv6 => "vrrp6",
        };
        let plain = format!("{kind}.{}", self.vrid);
        let given = self.name.clone();
        let count = if given.is_some() { 1 } else { NAMES };
        (0..count).map(move |number| match (&given, number) {
            (Some(given), _) => given.clone(),
            (None, 0) => plain.clone(),
            (None, number) => format!("{plain}.{number}"),
        })
    }
}

/// The first name that nobody has.
pub(super) fn free_name(
    virtual_mac: &VirtualMac,
    links: &[LinkRecord],
) -> Result<String, NetError> {
    let is_taken = |name: &str| links.iter().any(|link| link.name.as_deref() == Some(name));
    let name = virtual_mac.names().find(|name| !is_taken(name));
    let Some(name) = name else {
        let taken = virtual_mac.names().next().unwrap_or_default();
        let subject = format!("{taken}, a name that is taken");
        return Err(NetlinkCause::refused(Errno::EEXIST).of(Operation::CreateDevice, &subject));
    };
    let has_space = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b':' | 0);
    if name.is_empty()
        || name.len() > NAME
        || name.as_bytes().iter().any(has_space)
        || matches!(name.as_str(), "." | "..")
    {
        let subject =
            format!("name {name:?} is not 1 to {NAME} bytes without blanks, slashes and colons");
        return Err(NetlinkCause::refused(Errno::EINVAL).of(Operation::CreateDevice, &subject));
    }
    Ok(name)
}
