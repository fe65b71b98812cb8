//! Why the kernel did not do what it was asked for over routing netlink.

use alloc::format;
use alloc::string::String;
use std::io;

use nix::errno::Errno;

use crate::net::{NetError, Operation};

/// Why a request was not carried out, or is not known to have been.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum NetlinkCause {
    /// The kernel said no, and perhaps why (`NETLINK_EXT_ACK`, Linux 4.12).
    Refused { errno: i32, text: Option<String> },
    /// The answer was lost or did not come in time: the request may have been carried out.
    Unknown,
    /// The answer makes no sense.
    Malformed,
}

impl NetlinkCause {
    pub(crate) const fn refused(errno: Errno) -> Self {
        let errno = errno as i32;
        Self::Refused { errno, text: None }
    }

    pub(crate) fn is(&self, expected: Errno) -> bool {
        matches!(self, Self::Refused { errno, .. } if *errno == expected as i32)
    }

    /// The error of an operation on something.
    pub(crate) fn of(self, operation: Operation, subject: &str) -> NetError {
        let source = match self {
            Self::Refused { errno, text } => {
                let source = io::Error::from_raw_os_error(errno);
                return match text {
                    Some(text) => {
                        NetError::new(operation, format!("{subject}; the kernel: {text}"), source)
                    }
                    None => NetError::new(operation, subject, source),
                };
            }
            Self::Unknown => io::Error::new(
                io::ErrorKind::TimedOut,
                "the kernel's answer was lost: the outcome is unknown",
            ),
            Self::Malformed => io::Error::new(
                io::ErrorKind::InvalidData,
                "the kernel's answer makes no sense",
            ),
        };
        NetError::new(operation, subject, source)
    }
}

impl From<io::Error> for NetlinkCause {
    fn from(error: io::Error) -> Self {
        Self::Refused {
            errno: error.raw_os_error().unwrap_or(Errno::EIO as i32),
            text: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn errors_say_what_the_kernel_said() {
        let refused = |errno: Errno, text: Option<&str>| {
            let text = text.map(String::from);
            let cause = NetlinkCause::Refused {
                errno: errno as i32,
                text,
            };
            cause.of(Operation::AddAddress, "192.0.2.1/32 on eth0")
        };
        for (error, text) in [
            (
                refused(Errno::EPERM, None),
                "cannot add an address (192.0.2.1/32 on eth0): Operation not permitted (os error 1); \
                 needs CAP_NET_ADMIN: run it as root",
            ),
            (
                refused(Errno::EINVAL, Some("ipv4: Invalid prefix length")),
                "cannot add an address (192.0.2.1/32 on eth0; the kernel: ipv4: Invalid prefix \
                 length): Invalid argument (os error 22)",
            ),
            (
                NetlinkCause::Unknown.of(Operation::ReadLinks, ""),
                "cannot read links and addresses: the kernel's answer was lost: the outcome is \
                 unknown",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
