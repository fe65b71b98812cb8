//! The connection synchronisation daemon.

use core::fmt;
use core::net::IpAddr;

use crate::name::InterfaceName;

/// Role of a sync daemon. A namespace can run one of each.
#[expect(clippy::exhaustive_enums, reason = "the kernel's two daemon states")]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum DaemonRole {
    /// Sends connection state (`IP_VS_STATE_MASTER`, 1; "master" in other tools).
    Active,
    /// Receives connection state (`IP_VS_STATE_BACKUP`, 2; "backup" in other tools).
    Backup,
}

impl DaemonRole {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Active => 1,
            Self::Backup => 2,
        }
    }

    /// The role with that number, or `None`.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Active),
            2 => Some(Self::Backup),
            _ => None,
        }
    }
}

impl fmt::Display for DaemonRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Active => "active",
            Self::Backup => "backup",
        })
    }
}

/// A sync daemon: what to start, or what runs.
///
/// What is `None` when starting gets the kernel's default; what runs has every value.
#[non_exhaustive]
#[must_use]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SyncDaemon {
    /// Role.
    pub role: DaemonRole,
    /// Interface the multicast goes through; must exist.
    pub interface: InterfaceName,
    /// Sync id, 0 to 255; keeps clusters on one network apart. A backup with id 0 accepts every
    /// id. The kernel stores more than it can send, so what is read may be larger.
    pub sync_id: u32,
    /// Largest UDP payload in bytes, 1 to 65507. Default: what the interface carries.
    pub max_length: Option<u16>,
    /// Multicast group. Default: 224.0.0.81.
    pub group: Option<IpAddr>,
    /// First UDP port, 1 to 65535. Default: 8848.
    pub port: Option<u16>,
    /// TTL or hop limit, 1 to 255. Default: 1.
    pub ttl: Option<u8>,
}

impl SyncDaemon {
    /// A daemon with the kernel's defaults.
    pub const fn new(role: DaemonRole, interface: InterfaceName, sync_id: u8) -> Self {
        Self {
            role,
            interface,
            sync_id: sync_id as u32,
            max_length: None,
            group: None,
            port: None,
            ttl: None,
        }
    }

    /// Replaces the multicast group.
    pub const fn with_group(mut self, group: IpAddr) -> Self {
        self.group = Some(group);
        self
    }

    /// Replaces the first UDP port.
    pub const fn with_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Replaces the largest UDP payload, in bytes.
    pub const fn with_max_length(mut self, bytes: u16) -> Self {
        self.max_length = Some(bytes);
        self
    }

    /// Replaces TTL or hop limit.
    pub const fn with_ttl(mut self, ttl: u8) -> Self {
        self.ttl = Some(ttl);
        self
    }
}
