//! Where a network probe really goes, and from where.

use core::net::{IpAddr, SocketAddr};

use crate::error::Invalid;

/// The place a probe talks to; often the destination itself, but every part may be another.
///
/// The names keepalived uses for the same are `connect_ip`, `connect_port`, `bindto`, `bind_port`,
/// `bind_if` and `fwmark`.
///
/// ```
/// use lvs_healthcheck::Target;
///
/// let target = Target::new("192.0.2.7:80".parse()?).with_source("192.0.2.1".parse()?).with_mark(7);
/// assert!(target.validate().is_ok());
/// let target = target.with_source("2001:db8::1".parse()?);
/// assert_eq!(
///     target.validate().unwrap_err().to_string(),
///     "source is 2001:db8::1: must be of the address family of the target",
/// );
/// # Ok::<_, std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Target {
    address: SocketAddr,
    source: Option<IpAddr>,
    source_port: u16,
    device: Option<Box<str>>,
    mark: Option<u32>,
    ttl: Option<u8>,
}

impl Target {
    /// A target reached as the routing table says.
    #[must_use]
    pub const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            source: None,
            source_port: 0,
            device: None,
            mark: None,
            ttl: None,
        }
    }

    /// Binds the socket to this source address. Default: the kernel chooses.
    #[must_use]
    pub fn with_source(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// Binds the socket to this source port, with `SO_REUSEADDR`. Default 0: the kernel chooses.
    ///
    /// A fixed port collides with its own `TIME_WAIT` and with other probes that use it; such a
    /// collision is a local error and says nothing about the destination.
    #[must_use]
    pub fn with_source_port(mut self, port: u16) -> Self {
        self.source_port = port;
        self
    }

    /// Binds the socket to a network device (`SO_BINDTODEVICE`), which also gives the scope of a
    /// link-local IPv6 address.
    #[must_use]
    pub fn with_device(mut self, device: &str) -> Self {
        self.device = Some(device.into());
        self
    }

    /// Marks the packets (`SO_MARK`); needs `CAP_NET_ADMIN`.
    #[must_use]
    pub fn with_mark(mut self, mark: u32) -> Self {
        self.mark = Some(mark);
        self
    }

    /// Sets the IPv4 time to live or IPv6 hop limit, 1 to 255. Default: the kernel's.
    /// A low one is a cheap guard against leaving the segment.
    #[must_use]
    pub fn with_ttl(mut self, ttl: u8) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Address and port to talk to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The source address, if one was asked for.
    #[must_use]
    pub const fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// The source port, 0 for any.
    #[must_use]
    pub const fn source_port(&self) -> u16 {
        self.source_port
    }

    /// The network device, if one was asked for.
    #[must_use]
    pub fn device(&self) -> Option<&str> {
        self.device.as_deref()
    }

    /// The mark, if one was asked for.
    #[must_use]
    pub const fn mark(&self) -> Option<u32> {
        self.mark
    }

    /// The time to live, if one was asked for.
    #[must_use]
    pub const fn ttl(&self) -> Option<u8> {
        self.ttl
    }

    /// Checks what no kernel call could make work.
    ///
    /// # Errors
    ///
    /// Port 0, a source address of the other family, a time to live of 0, or a device name that is
    /// empty, longer than 15 bytes, or contains `/`, white space or NUL.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.address.port() == 0 {
            return Err(Invalid::new(
                "port",
                "0",
                "must be 1 to 65535 (a service by firewall mark needs an explicit connect port)",
            ));
        }
        if let Some(source) = self.source {
            if source.is_ipv4() != self.address.is_ipv4() {
                return Err(Invalid::new(
                    "source",
                    source.to_string(),
                    "must be of the address family of the target",
                ));
            }
        }
        if self.ttl == Some(0) {
            return Err(Invalid::new("ttl", "0", "must be 1 to 255"));
        }
        if let Some(device) = &self.device {
            let odd = |letter: char| letter == '/' || letter == '\0' || letter.is_whitespace();
            if device.is_empty() || device.len() > 15 || device.contains(odd) {
                return Err(Invalid::new(
                    "device",
                    format!("{device:?}"),
                    "must be 1 to 15 bytes without slash, white space or NUL",
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> Target {
        Target::new("192.0.2.7:80".parse().unwrap())
    }

    #[test]
    fn refuses_what_cannot_work_and_names_it() {
        let port = Target::new("192.0.2.7:0".parse().unwrap());
        assert_eq!(port.validate().unwrap_err().field, "port");
        assert_eq!(web().with_ttl(0).validate().unwrap_err().field, "ttl");
        for device in ["", "a-name-of-16-byte", "a b", "a/b", "a\0"] {
            assert_eq!(
                web().with_device(device).validate().unwrap_err().field,
                "device"
            );
        }
        let other = web().with_source("::1".parse().unwrap());
        assert_eq!(other.validate().unwrap_err().field, "source");
    }

    #[test]
    fn accepts_every_option_at_once() {
        let target = web()
            .with_source("192.0.2.1".parse().unwrap())
            .with_source_port(4000)
            .with_device("eth0")
            .with_mark(7)
            .with_ttl(1);
        assert_eq!(target.validate(), Ok(()));
    }
}
