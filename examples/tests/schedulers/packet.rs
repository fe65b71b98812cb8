//! Packets of clients and servers, as bytes: first packets, answers, ends; and what comes back.

use core::net::{IpAddr, SocketAddr};

use lvs_schedulers::Protocol;

/// An Ethernet header with the type of its content; loopback's addresses are zero.
const ETHERNET: usize = 14;

/// What a packet says, besides from where to where.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Content {
    /// TCP flags, no data.
    Tcp(u8),
    /// An empty datagram.
    Udp,
    /// One chunk of that type, with a body of zeroes.
    Sctp(u8),
    /// Three of them.
    SctpBundle([u8; 3]),
}

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const ACK: u8 = 0x10;

/// Chunk types (RFC 9260 §3.2).
pub(crate) mod chunk {
    pub(crate) const INIT: u8 = 1;
    pub(crate) const INIT_ACK: u8 = 2;
    pub(crate) const SHUTDOWN: u8 = 7;
    pub(crate) const SHUTDOWN_ACK: u8 = 8;
    pub(crate) const COOKIE_ECHO: u8 = 10;
    pub(crate) const COOKIE_ACK: u8 = 11;
    pub(crate) const SHUTDOWN_COMPLETE: u8 = 14;
}

/// A packet that is written or was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Packet {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) content: Content,
}

impl Packet {
    pub(crate) fn protocol(&self) -> Protocol {
        match self.content {
            Content::Tcp(_) => Protocol::Tcp,
            Content::Udp => Protocol::Udp,
            Content::Sctp(_) | Content::SctpBundle(_) => Protocol::Sctp,
        }
    }

    /// The first packet of a connection.
    pub(crate) fn first(protocol: Protocol, source: SocketAddr, destination: SocketAddr) -> Self {
        let content = match protocol {
            Protocol::Tcp => Content::Tcp(SYN),
            Protocol::Udp => Content::Udp,
            Protocol::Sctp => Content::Sctp(chunk::INIT),
            other => panic!("no packets of {other:?}"),
        };
        Self {
            source,
            destination,
            content,
        }
    }

    /// The whole frame.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(32);
        payload.extend(self.source.port().to_be_bytes());
        payload.extend(self.destination.port().to_be_bytes());
        let (number, checksum_at) = match self.content {
            Content::Tcp(flags) => {
                // Sequence numbers 1, a header of five words, a large window.
                payload.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
                (6, Some(16))
            }
            Content::Udp => {
                payload.extend([0, 8, 0, 0]);
                (17, Some(6))
            }
            Content::Sctp(kind) => {
                extend_with_chunks(&mut payload, &[kind]);
                (132, None)
            }
            Content::SctpBundle(kinds) => {
                extend_with_chunks(&mut payload, &kinds);
                (132, None)
            }
        };
        let length = u16::try_from(payload.len()).unwrap();
        let addresses = match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => [from.octets(), to.octets()].concat(),
            (IpAddr::V6(from), IpAddr::V6(to)) => [from.octets(), to.octets()].concat(),
            ends => panic!("two families: {ends:?}"),
        };
        if let Some(at) = checksum_at {
            let pseudo = [length, number].map(u16::to_be_bytes).concat();
            let sum = checksum(&[&addresses, &pseudo, &payload]);
            // Zero would mean "none" to UDP.
            let sum = if sum == 0 { 0xffff } else { sum };
            payload[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        }
        let mut frame = vec![0; ETHERNET];
        if self.source.is_ipv4() {
            frame[12..].copy_from_slice(&[0x08, 0x00]);
            let mut header = vec![0x45, 0];
            header.extend((20 + length).to_be_bytes());
            header.extend([0, 0, 0x40, 0, 64, number.to_be_bytes()[1], 0, 0]);
            header.extend(&addresses);
            let sum = checksum(&[&header]);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            frame.extend(header);
        } else {
            frame[12..].copy_from_slice(&[0x86, 0xdd]);
            frame.extend([0x60, 0, 0, 0]);
            frame.extend(length.to_be_bytes());
            frame.extend([number.to_be_bytes()[1], 64]);
            frame.extend(&addresses);
        }
        frame.extend(payload);
        frame
    }
}

/// Tag, CRC (nobody on the way looks at it), and chunks as long as an INIT.
fn extend_with_chunks(payload: &mut Vec<u8>, kinds: &[u8]) {
    payload.extend([0; 8]);
    for &kind in kinds {
        payload.extend([kind, 0, 0, 20]);
        payload.extend([0; 16]);
    }
}

/// The internet checksum (RFC 1071) over parts of even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks_exact(2));
    let mut sum: u32 = words
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

/// What left the director.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Seen {
    /// A packet of a client or a server, or the director's own reset.
    Packet(Packet),
    /// Port unreachable, about this packet of the client; or, from a director that does not talk SCTP
    /// itself, protocol unreachable.
    Refused(Packet),
}

/// Reads a packet without its link header; `None` for what is none of the tests'.
pub(crate) fn read(bytes: &[u8]) -> Option<Seen> {
    let (number, source, destination, payload) = internet(bytes)?;
    // The header of the packet it is about follows eight bytes of type, code and checksum.
    let about = match (number, payload) {
        (1, [3, 2 | 3, ..]) | (58, [1, 4, ..] | [4, 1, ..]) => payload.get(8..)?,
        _ => return transport(number, source, destination, payload).map(Seen::Packet),
    };
    let (number, source, destination, payload) = internet(about)?;
    transport(number, source, destination, payload).map(Seen::Refused)
}

fn internet(bytes: &[u8]) -> Option<(u8, IpAddr, IpAddr, &[u8])> {
    match bytes.first()? >> 4 {
        4 => {
            let (header, payload) = bytes.split_at_checked(20)?;
            let address = |at: usize| <[u8; 4]>::try_from(&header[at..at + 4]).unwrap().into();
            Some((header[9], address(12), address(16), payload))
        }
        6 => {
            let (header, payload) = bytes.split_at_checked(40)?;
            let address = |at: usize| <[u8; 16]>::try_from(&header[at..at + 16]).unwrap().into();
            Some((header[6], address(8), address(24), payload))
        }
        _ => None,
    }
}

fn transport(number: u8, source: IpAddr, destination: IpAddr, payload: &[u8]) -> Option<Packet> {
    let port = |at| {
        Some(u16::from_be_bytes([
            *payload.get(at)?,
            *payload.get(at + 1)?,
        ]))
    };
    let content = match number {
        6 => Content::Tcp(*payload.get(13)?),
        17 => Content::Udp,
        132 => match (payload.get(12)?, payload.get(32), payload.get(52)) {
            (&first, Some(&second), Some(&third)) => Content::SctpBundle([first, second, third]),
            (&kind, ..) => Content::Sctp(kind),
        },
        _ => return None,
    };
    Some(Packet {
        source: SocketAddr::new(source, port(0)?),
        destination: SocketAddr::new(destination, port(2)?),
        content,
    })
}
