//! What both sides of a connection say to each other at each turn of its life.
//!
//! Which packet takes the kernel's entry to which state: the tables of the protocols, for
//! masquerading (TCP: NONE, SYN → SYN_RECV, ACK → ESTABLISHED, and so on).

use core::net::SocketAddr;

use lvs_schedulers::Protocol;

use super::packet::{ACK, Content, FIN, Packet, SYN, chunk};

/// A connection that has a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    pub(crate) protocol: Protocol,
    pub(crate) client: SocketAddr,
    /// What the client sends to.
    pub(crate) to: SocketAddr,
    /// Where that goes.
    pub(crate) server: SocketAddr,
    /// Whether both sides have said that they are done.
    pub(crate) is_closed: bool,
}

impl Connection {
    fn by_client(&self, content: Content) -> Packet {
        Packet {
            source: self.client,
            destination: self.to,
            content,
        }
    }

    fn by_server(&self, content: Content) -> Packet {
        Packet {
            source: self.server,
            destination: self.client,
            content,
        }
    }

    /// The server answers, the client acknowledges.
    pub(crate) fn establish(&self) -> Vec<Packet> {
        match self.protocol {
            Protocol::Tcp => vec![
                self.by_server(Content::Tcp(SYN | ACK)),
                self.by_client(Content::Tcp(ACK)),
            ],
            Protocol::Sctp => vec![
                self.by_server(Content::Sctp(chunk::INIT_ACK)),
                self.by_client(Content::Sctp(chunk::COOKIE_ECHO)),
                self.by_server(Content::Sctp(chunk::COOKIE_ACK)),
            ],
            _ => vec![self.by_server(Content::Udp)],
        }
    }

    /// Both sides are done.
    pub(crate) fn close(&self) -> Vec<Packet> {
        match self.protocol {
            Protocol::Tcp => vec![
                self.by_client(Content::Tcp(FIN | ACK)),
                self.by_server(Content::Tcp(FIN | ACK)),
                self.by_client(Content::Tcp(ACK)),
            ],
            Protocol::Sctp => vec![
                self.by_client(Content::Sctp(chunk::SHUTDOWN)),
                self.by_server(Content::Sctp(chunk::SHUTDOWN_ACK)),
                self.by_client(Content::Sctp(chunk::SHUTDOWN_COMPLETE)),
            ],
            // Has no end, and never was active.
            _ => Vec::new(),
        }
    }

    /// Takes the entry to a state whose timeout can be set, so that it leaves the table soon if that
    /// is short now. Its server may have been removed, which silences the client.
    pub(crate) fn touch(&self) -> Vec<Packet> {
        match self.protocol {
            // SYN_RECV or ESTABLISHED, and now the latter.
            Protocol::Tcp if !self.is_closed => vec![self.by_server(Content::Tcp(ACK))],
            // TIME_WAIT or, where a server went on after it was closed, SYN_SENT: now that, and then
            // ESTABLISHED.
            Protocol::Tcp => vec![
                self.by_server(Content::Tcp(SYN | ACK)),
                self.by_client(Content::Tcp(SYN)),
            ],
            Protocol::Udp => vec![self.by_server(Content::Udp)],
            other => panic!("the timeouts of {other:?} cannot be set"),
        }
    }

    /// A packet that ends the entry at once if its server was removed, with the sysctl
    /// `expire_nodest_conn`; it begins no other one.
    pub(crate) fn provoke(&self) -> Packet {
        assert_eq!(self.protocol, Protocol::Tcp);
        self.by_client(Content::Tcp(ACK))
    }
}
