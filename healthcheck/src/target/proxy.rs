//! The PROXY header that some servers expect before anything else.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::error::Invalid;

/// What begins every header of version 2, PROXY protocol §2.2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Version 2 and the commands LOCAL and PROXY, §2.2.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

/// Address families and transports, §2.2.
const UNSPECIFIED: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

/// A header of the [PROXY protocol](https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt):
/// who the connection is for, said before anything else, TLS included.
///
/// By default it says that the connection is nobody's but the checker's own (version 2 `LOCAL`,
/// version 1 `UNKNOWN`), which every server has to accept and none should log as a client.
/// HAProxy's `check-send-proxy`.
///
/// ```
/// use lvs_healthcheck::{ProxyHeader, Target};
///
/// let target = Target::new("192.0.2.7:80".parse()?).with_proxy_header(ProxyHeader::v2());
/// assert!(target.validate().is_ok());
///
/// let header = ProxyHeader::v1()
///     .with_addresses("198.51.100.1:4000".parse()?, "203.0.113.1:80".parse()?);
/// let own = ("192.0.2.1:4711".parse()?, "192.0.2.7:80".parse()?);
/// let bytes = header.encode(own.0, own.1);
/// assert_eq!(bytes, b"PROXY TCP4 198.51.100.1 203.0.113.1 4000 80\r\n");
/// # Ok::<_, std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct ProxyHeader {
    binary: bool,
    about: About,
}

/// Whose connection it says it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum About {
    Nobody,
    Own,
    Between(SocketAddr, SocketAddr),
}

impl ProxyHeader {
    /// Version 1, a line of text.
    pub const fn v1() -> Self {
        Self {
            binary: false,
            about: About::Nobody,
        }
    }

    /// Version 2, binary.
    pub const fn v2() -> Self {
        Self {
            binary: true,
            about: About::Nobody,
        }
    }

    /// Says the addresses of the check's own connection, for servers that want some.
    pub const fn with_own_addresses(mut self) -> Self {
        self.about = About::Own;
        self
    }

    /// Says that the connection is from one address to another, both of the same family.
    pub const fn with_addresses(mut self, source: SocketAddr, destination: SocketAddr) -> Self {
        self.about = About::Between(source, destination);
        self
    }

    /// The header of a connection that has these addresses itself.
    #[must_use]
    pub fn encode(&self, source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
        let addresses = match self.about {
            About::Nobody => None,
            About::Own => Some((source, destination)),
            About::Between(source, destination) => Some((source, destination)),
        };
        if self.binary {
            binary(addresses)
        } else {
            text(addresses).into_bytes()
        }
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        match self.about {
            About::Between(source, destination) if source.is_ipv4() != destination.is_ipv4() => {
                let value = format!("{source} to {destination}");
                let limit = "must be of one address family";
                Err(Invalid::new("proxy_header", value, limit))
            }
            _ => Ok(()),
        }
    }
}

/// §2.1.
fn text(addresses: Option<(SocketAddr, SocketAddr)>) -> String {
    let Some((source, destination)) = addresses else {
        return "PROXY UNKNOWN\r\n".to_owned();
    };
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    let ports = (source.port(), destination.port());
    format!("PROXY {family} {from} {to} {} {}\r\n", ports.0, ports.1)
}

/// §2.2.
fn binary(addresses: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    match addresses.map(|(source, destination)| {
        let ports = (source.port(), destination.port());
        (source.ip(), destination.ip(), ports)
    }) {
        None => header.extend([LOCAL, UNSPECIFIED, 0, 0]),
        Some((IpAddr::V4(from), IpAddr::V4(to), ports)) => {
            header.extend([PROXY, TCP4, 0, 12]);
            header.extend(from.octets());
            header.extend(to.octets());
            header.extend(ports.0.to_be_bytes());
            header.extend(ports.1.to_be_bytes());
        }
        Some((from, to, ports)) => {
            header.extend([PROXY, TCP6, 0, 36]);
            header.extend(v6(from).octets());
            header.extend(v6(to).octets());
            header.extend(ports.0.to_be_bytes());
            header.extend(ports.1.to_be_bytes());
        }
    }
    header
}

/// Families are never mixed, see `validate`.
fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V6(address) => address,
        IpAddr::V4(address) => Ipv4Addr::to_ipv6_mapped(&address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [&str; 2] = ["192.0.2.1:4711", "192.0.2.7:80"];
    const OWN6: [&str; 2] = ["[2001:db8::1]:4711", "[2001:db8::7]:443"];

    fn encode(header: ProxyHeader, own: [&str; 2]) -> Vec<u8> {
        let [source, destination] = own.map(|address| address.parse().unwrap());
        header.encode(source, destination)
    }

    #[test]
    fn nobody_is_local_or_unknown() {
        assert_eq!(encode(ProxyHeader::v1(), OWN), b"PROXY UNKNOWN\r\n");
        let expected = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
        assert_eq!(encode(ProxyHeader::v2(), OWN), expected);
    }

    #[test]
    fn addresses_are_said_in_both_families() {
        let v1 = ProxyHeader::v1().with_own_addresses();
        assert_eq!(
            encode(v1, OWN),
            b"PROXY TCP4 192.0.2.1 192.0.2.7 4711 80\r\n"
        );
        let expected = b"PROXY TCP6 2001:db8::1 2001:db8::7 4711 443\r\n";
        assert_eq!(encode(v1, OWN6), expected);

        let v2 = ProxyHeader::v2().with_own_addresses();
        let mut expected = SIGNATURE.to_vec();
        expected.extend([
            0x21, 0x11, 0, 12, 192, 0, 2, 1, 192, 0, 2, 7, 0x12, 0x67, 0, 80,
        ]);
        assert_eq!(encode(v2, OWN), expected);
        let bytes = encode(v2, OWN6);
        assert_eq!(bytes[12..16], [0x21, 0x21, 0, 36]);
        assert_eq!(bytes.len(), 16 + 36);
        assert_eq!(
            bytes[16..32],
            "2001:db8::1".parse::<Ipv6Addr>().unwrap().octets()
        );
        assert_eq!(bytes[48..], [0x12, 0x67, 1, 0xbb]);
    }

    #[test]
    fn families_are_not_mixed() {
        let [v4, v6] = ["192.0.2.1:1", "[::1]:1"].map(|address| address.parse().unwrap());
        let mixed = ProxyHeader::v2().with_addresses(v4, v6);
        assert_eq!(mixed.validate().unwrap_err().field, "proxy_header");
        assert_eq!(mixed.with_addresses(v6, v6).validate(), Ok(()));
    }
}
