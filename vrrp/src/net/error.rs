//! What the system refused.

use alloc::string::String;
use core::fmt;
use std::io;

use nix::errno::Errno;

/// What was tried.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Operation {
    /// Open a raw socket.
    OpenRawSocket,
    /// Open a packet socket.
    OpenPacketSocket,
    /// Open a netlink socket.
    OpenNetlinkSocket,
    /// Set an option of a socket.
    ConfigureSocket,
    /// Bind a socket to an interface.
    BindToInterface,
    /// Join a multicast group.
    JoinGroup,
    /// Receive packets.
    Receive,
    /// Send packets.
    Send,
    /// Read the links and addresses of the system.
    ReadLinks,
    /// Follow changes of links and addresses.
    Monitor,
    /// Add an address, or renew its lifetime.
    AddAddress,
    /// Remove an address.
    RemoveAddress,
    /// Create a device.
    CreateDevice,
    /// Change a device.
    ChangeDevice,
    /// Delete a device.
    DeleteDevice,
    /// Read a kernel setting.
    ReadSysctl,
    /// Write a kernel setting.
    WriteSysctl,
    /// Set a timer, or wait for what happens next.
    Wait,
    /// Start a thread.
    StartThread,
    /// Claim a tag, so that no other driver uses it.
    ClaimTag,
}

impl Operation {
    /// What the kernel wants for it.
    const fn capability(self) -> Option<&'static str> {
        match self {
            Self::OpenRawSocket | Self::OpenPacketSocket | Self::BindToInterface => {
                Some("CAP_NET_RAW")
            }
            Self::AddAddress
            | Self::RemoveAddress
            | Self::CreateDevice
            | Self::ChangeDevice
            | Self::DeleteDevice
            | Self::WriteSysctl => Some("CAP_NET_ADMIN"),
            _ => None,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::OpenRawSocket => "open a raw socket",
            Self::OpenPacketSocket => "open a packet socket",
            Self::OpenNetlinkSocket => "open a netlink socket",
            Self::ConfigureSocket => "configure a socket",
            Self::BindToInterface => "bind a socket to an interface",
            Self::JoinGroup => "join a multicast group",
            Self::Receive => "receive packets",
            Self::Send => "send packets",
            Self::ReadLinks => "read links and addresses",
            Self::Monitor => "follow links and addresses",
            Self::AddAddress => "add an address",
            Self::RemoveAddress => "remove an address",
            Self::CreateDevice => "create a device",
            Self::ChangeDevice => "change a device",
            Self::DeleteDevice => "delete a device",
            Self::ReadSysctl => "read a kernel setting",
            Self::WriteSysctl => "write a kernel setting",
            Self::Wait => "wait for events",
            Self::StartThread => "start a thread",
            Self::ClaimTag => "claim a tag",
        })
    }
}

/// The system refused something.
///
/// ```
/// use lvs_vrrp::net::{NetError, Operation};
/// use std::io;
///
/// let refused = io::Error::from_raw_os_error(1);
/// let error = NetError::new(Operation::OpenRawSocket, "eth0", refused);
/// assert_eq!(
///     error.to_string(),
///     "cannot open a raw socket (eth0): Operation not permitted (os error 1); \
///      needs CAP_NET_RAW: run it as root",
/// );
/// ```
#[derive(Debug)]
pub struct NetError {
    operation: Operation,
    subject: String,
    source: io::Error,
}

impl NetError {
    /// This was refused, of the interface, the address or the setting of this name; what is said
    /// more about it, such as the kernel's own words, may follow the name.
    pub fn new(
        operation: Operation,
        subject: impl Into<String>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self {
            operation,
            subject: subject.into(),
            source: source.into(),
        }
    }

    /// What was tried.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// Of what: the name of an interface or a setting, or an address.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What the system said.
    #[must_use]
    pub const fn io(&self) -> &io::Error {
        &self.source
    }

    /// The capability that is missing, if that is the reason.
    #[must_use]
    pub fn missing_capability(&self) -> Option<&'static str> {
        match self.source.kind() {
            // Of an address, "permission denied" is said where IPv6 is off on the interface.
            io::ErrorKind::PermissionDenied
                if self.operation != Operation::AddAddress
                    || self.source.raw_os_error() != Some(Errno::EACCES as i32) =>
            {
                self.operation.capability()
            }
            _ => None,
        }
    }
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.operation)?;
        if !self.subject.is_empty() {
            write!(f, " ({})", self.subject)?;
        }
        write!(f, ": {}", self.source)?;
        match self.missing_capability() {
            Some(capability) => write!(f, "; needs {capability}: run it as root"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for NetError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.source)
    }
}
