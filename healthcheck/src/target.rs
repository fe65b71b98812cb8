//! Where a network probe really goes, and from where.

mod proxy;

use core::net::{IpAddr, SocketAddr};
use std::path::Path;

pub use self::proxy::ProxyHeader;
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
    dscp: Option<u8>,
    namespace: Option<Box<Path>>,
    proxy_header: Option<Box<ProxyHeader>>,
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
            dscp: None,
            namespace: None,
            proxy_header: None,
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

    /// Sets the differentiated services code point of the packets (RFC 2474), 0 to 63. Default: the
    /// kernel's, 0.
    #[must_use]
    pub fn with_dscp(mut self, dscp: u8) -> Self {
        self.dscp = Some(dscp);
        self
    }

    /// Opens the socket in this network namespace, a file such as `/run/netns/red` or
    /// `/proc/4711/ns/net`. Default: that of the thread that polls the driver. Needs
    /// `CAP_SYS_ADMIN`.
    ///
    /// A thread of its own goes there, opens the socket and ends: about 0.1 ms of waiting for each
    /// attempt. The file is opened each time, so a namespace that was made anew under the same name
    /// is found.
    #[must_use]
    pub fn with_namespace(mut self, namespace: impl AsRef<Path>) -> Self {
        self.namespace = Some(namespace.as_ref().into());
        self
    }

    /// Sends this header before anything else, TLS included. TCP only; others ignore it. A
    /// half-open close then becomes a reset. Default: none.
    #[must_use]
    pub fn with_proxy_header(mut self, header: ProxyHeader) -> Self {
        self.proxy_header = Some(Box::new(header));
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

    /// The differentiated services code point, if one was asked for.
    #[must_use]
    pub const fn dscp(&self) -> Option<u8> {
        self.dscp
    }

    /// The network namespace, if one was asked for.
    #[must_use]
    pub fn namespace(&self) -> Option<&Path> {
        self.namespace.as_deref()
    }

    /// The PROXY header, if one is to be sent.
    #[must_use]
    pub fn proxy_header(&self) -> Option<&ProxyHeader> {
        self.proxy_header.as_deref()
    }

    /// Checks what no kernel call could make work.
    ///
    /// # Errors
    ///
    /// Port 0, a source address of the other family, a time to live of 0, a code point above 63, an
    /// empty namespace, a PROXY header of two families, or a device name that is empty, longer than
    /// 15 bytes, or contains `/`, white space or NUL.
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
        if let Some(dscp) = self.dscp.filter(|dscp| *dscp > 63) {
            return Err(Invalid::new("dscp", dscp.to_string(), "must be 0 to 63"));
        }
        if self.namespace.as_deref() == Some(Path::new("")) {
            return Err(Invalid::new(
                "namespace",
                "empty",
                "must be a file such as /run/netns/red",
            ));
        }
        if let Some(header) = &self.proxy_header {
            header.validate()?;
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
        assert_eq!(web().with_dscp(64).validate().unwrap_err().field, "dscp");
        assert_eq!(
            web().with_namespace("").validate().unwrap_err().field,
            "namespace"
        );
        let mixed = ProxyHeader::v1().with_addresses(web().address(), "[::1]:1".parse().unwrap());
        let mixed = web().with_proxy_header(mixed);
        assert_eq!(mixed.validate().unwrap_err().field, "proxy_header");
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
            .with_ttl(1)
            .with_dscp(63)
            .with_namespace("/run/netns/red")
            .with_proxy_header(ProxyHeader::v2());
        assert_eq!(target.validate(), Ok(()));
    }
}
