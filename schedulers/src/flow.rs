//! The packet that asks for a destination: its protocol, where it comes from, where it was sent.

use core::net::SocketAddr;

/// The first packet of a connection, as a scheduler sees it.
///
/// ```
/// use lvs_schedulers::{Flow, Protocol};
///
/// let flow = Flow::tcp("192.0.2.7:40000".parse()?, "192.0.2.1:80".parse()?);
/// assert_eq!(flow.protocol(), Protocol::Tcp);
/// assert_eq!(flow.client().port(), 40000);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Flow {
    protocol: Protocol,
    client: SocketAddr,
    virtual_address: SocketAddr,
}

impl Flow {
    /// A flow of any protocol from `client` to `virtual_address` (for services by firewall mark:
    /// the address the client sent to).
    pub const fn new(protocol: Protocol, client: SocketAddr, virtual_address: SocketAddr) -> Self {
        Self {
            protocol,
            client,
            virtual_address,
        }
    }

    /// A TCP connection; its first packet is the SYN.
    pub const fn tcp(client: SocketAddr, virtual_address: SocketAddr) -> Self {
        Self::new(Protocol::Tcp, client, virtual_address)
    }

    /// A UDP exchange.
    pub const fn udp(client: SocketAddr, virtual_address: SocketAddr) -> Self {
        Self::new(Protocol::Udp, client, virtual_address)
    }

    /// An SCTP association; its first packet is the INIT.
    pub const fn sctp(client: SocketAddr, virtual_address: SocketAddr) -> Self {
        Self::new(Protocol::Sctp, client, virtual_address)
    }

    /// The transport protocol.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Address and port of the client.
    pub const fn client(&self) -> SocketAddr {
        self.client
    }

    /// Address and port the client sent to.
    pub const fn virtual_address(&self) -> SocketAddr {
        self.virtual_address
    }
}

/// The transport protocols IPVS schedules.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Protocol {
    /// Active from its first packet (SYN) on.
    Tcp,
    /// Never counts as active.
    Udp,
    /// Active once established.
    Sctp,
}
