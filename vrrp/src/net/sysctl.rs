//! Kernel settings that virtual routers need, and how they were before.
//!
//! A setting is changed when the first who needs it comes, and changed back when the last one
//! leaves, unless somebody has changed it meanwhile. One that suits already is left alone. Settings
//! of the whole host, such as `net.ipv4.conf.all.rp_filter`, are never touched: [`review`] names
//! those that are in the way.

mod review;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use std::fs::{self, File};
use std::io::{self, Write};

pub use self::review::{Finding, review};
use super::{NetError, Operation};
use crate::address::Family;

/// Where the settings of network namespaces are; always those of the calling thread's.
const FOLDER: &str = "/proc/sys/net";

/// A setting of a device.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Sysctl {
    family: Family,
    device: String,
    name: &'static str,
}

impl Sysctl {
    /// `net.ipv4.conf.DEVICE.NAME`
    pub(crate) fn ipv4(device: &str, name: &'static str) -> Self {
        Self {
            family: Family::Ipv4,
            device: device.into(),
            name,
        }
    }

    /// `net.ipv6.conf.DEVICE.NAME`, which is not there on a kernel without IPv6.
    pub(crate) fn ipv6(device: &str, name: &'static str) -> Self {
        Self {
            family: Family::Ipv6,
            device: device.into(),
            name,
        }
    }

    fn path(&self) -> String {
        let family = match self.family {
            Family::Ipv4 => "ipv4",
            Family::Ipv6 => "ipv6",
        };
        // Devices have neither slashes nor dots alone in their names.
        format!("{FOLDER}/{family}/conf/{}/{}", self.device, self.name)
    }

    /// Its value; `None` if the device or the setting is not there.
    pub(crate) fn read(&self) -> Result<Option<i32>, NetError> {
        let path = self.path();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(NetError::new(Operation::ReadSysctl, path, error)),
        };
        let number = text.trim().parse();
        number.map(Some).map_err(|_| {
            let error = io::Error::new(io::ErrorKind::InvalidData, "it is not a number");
            NetError::new(Operation::ReadSysctl, path, error)
        })
    }

    /// Sets it; `false` if the device or the setting is not there.
    pub(crate) fn write(&self, value: i32) -> Result<bool, NetError> {
        let path = self.path();
        // Not `fs::write`, which would try to create it.
        let file = File::options().write(true).open(&path);
        match file.and_then(|mut file| file.write_all(value.to_string().as_bytes())) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(NetError::new(Operation::WriteSysctl, path, error)),
        }
    }
}

/// A setting that somebody needs.
#[derive(Debug)]
pub(crate) struct Held {
    count: usize,
    before: i32,
    value: i32,
}

/// The settings that are needed now.
#[derive(Debug, Default)]
pub(crate) struct Sysctls {
    held: BTreeMap<Sysctl, Held>,
}

impl Sysctls {
    /// Somebody needs the setting to be this at least. Gives what it was before anybody did, or
    /// before an earlier process, if that has said so and it is still as that had set it; `None`
    /// where there is no such setting.
    pub(crate) fn hold(
        &mut self,
        sysctl: &Sysctl,
        least: i32,
        earlier: Option<i32>,
    ) -> Result<Option<i32>, NetError> {
        if let Some(held) = self.held.get_mut(sysctl) {
            held.count = held.count.saturating_add(1);
            return Ok(Some(held.before));
        }
        let Some(before) = sysctl.read()? else {
            return Ok(None);
        };
        let value = before.max(least);
        if value != before {
            sysctl.write(value)?;
        }
        let before = earlier
            .filter(|earlier| value == before && *earlier.max(&least) == value)
            .unwrap_or(before);
        let count = 1;
        let held = Held {
            count,
            before,
            value,
        };
        self.held.insert(sysctl.clone(), held);
        Ok(Some(before))
    }

    /// Somebody needs it no more. If it cannot be restored, it is forgotten all the same.
    pub(crate) fn release(&mut self, sysctl: &Sysctl) -> Result<(), NetError> {
        match self.leave(sysctl) {
            Some(held) => restore(sysctl, held.value, held.before),
            None => Ok(()),
        }
    }

    /// Somebody needs it no more, and it is not restored. Gives what was known of it to the last.
    pub(crate) fn leave(&mut self, sysctl: &Sysctl) -> Option<Held> {
        let held = self.held.get_mut(sysctl)?;
        held.count = held.count.saturating_sub(1);
        if held.count > 0 {
            return None;
        }
        self.held.remove(sysctl)
    }

    /// Whether somebody needs it.
    pub(crate) fn is_held(&self, sysctl: &Sysctl) -> bool {
        self.held.contains_key(sysctl)
    }
}

/// Sets it back to what it was, if it is still what it was set to.
pub(crate) fn restore(sysctl: &Sysctl, value: i32, before: i32) -> Result<(), NetError> {
    if value != before && sysctl.read()? == Some(value) {
        sysctl.write(before)?;
    }
    Ok(())
}
