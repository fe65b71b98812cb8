//! Why removing one address must not remove others.
//!
//! The kernel takes all IPv4 addresses of a subnet away with the first of them, unless
//! `net.ipv4.conf.*.promote_secondaries` says otherwise. Ours may be the first, and others not ours.
//! An address without a subnet of its own (/32) is not affected.

use alloc::collections::BTreeMap;

use nix::net::if_::if_indextoname;

use super::AddressKey;
use crate::net::NetError;
use crate::net::sysctl::{Sysctl, Sysctls};

const SETTING: &str = "promote_secondaries";

/// The setting, of each interface that has such an address of ours.
#[derive(Debug, Default)]
pub(super) struct Promotion {
    sysctls: Sysctls,
    by: BTreeMap<AddressKey, Sysctl>,
}

impl Promotion {
    /// An address with this prefix is going to be there.
    pub(super) fn hold(&mut self, key: AddressKey, prefix_len: u8) -> Result<(), NetError> {
        let has_subnet = key.address.is_ipv4() && prefix_len < 32;
        if !has_subnet || self.by.contains_key(&key) {
            return Ok(());
        }
        if Sysctl::ipv4("all", SETTING).read()?.unwrap_or_default() > 0 {
            return Ok(());
        }
        // An interface that is gone is somebody else's error.
        let Ok(name) = if_indextoname(key.interface.get()) else {
            return Ok(());
        };
        let sysctl = Sysctl::ipv4(&name.to_string_lossy(), SETTING);
        self.sysctls.hold(&sysctl, 1, None)?;
        self.by.insert(key, sysctl);
        Ok(())
    }

    /// An address is not there any more.
    pub(super) fn release(&mut self, key: AddressKey) {
        if let Some(sysctl) = self.by.remove(&key) {
            // The address is gone, and that counts; this setting hurts nobody.
            let _ = self.sysctls.release(&sysctl);
        }
    }

    /// Leaves everything as it is.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}
