//! Somebody who hears every frame that reaches a host.

use core::time::Duration;
use std::io::Read;
use std::thread;

use socket2::{Domain, Protocol, Socket, Type};

use crate::network::Host;

/// `ETH_P_ALL` of packet(7).
const EVERYTHING: u16 = 3;
const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
/// The number of VRRP in IP headers.
const VRRP: u8 = 112;
const ICMPV6: u8 = 58;

/// An Ethernet frame.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Frame(Vec<u8>);

/// ARP, or neighbour discovery: who says what about which address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Neighbour {
    /// From whom the frame is.
    pub(crate) source: String,
    pub(crate) is_question: bool,
    /// In whose name it asks or answers.
    pub(crate) sender: String,
    pub(crate) target: String,
    /// The MAC it tells, if any.
    pub(crate) told: Option<String>,
    /// It says that it is a router (IPv6).
    pub(crate) is_router: bool,
}

fn mac(bytes: &[u8]) -> String {
    let words: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    words.join(":")
}

fn ipv4(bytes: &[u8]) -> String {
    let octets: [u8; 4] = bytes.try_into().unwrap();
    core::net::Ipv4Addr::from(octets).to_string()
}

fn ipv6(bytes: &[u8]) -> String {
    let octets: [u8; 16] = bytes.try_into().unwrap();
    core::net::Ipv6Addr::from(octets).to_string()
}

impl Frame {
    pub(crate) fn source(&self) -> String {
        mac(&self.0[6..12])
    }

    pub(crate) fn destination(&self) -> String {
        mac(&self.0[..6])
    }

    fn kind(&self) -> u16 {
        u16::from_be_bytes([self.0[12], self.0[13]])
    }

    fn protocol(&self) -> Option<u8> {
        match self.kind() {
            IPV4 => Some(self.0[23]),
            IPV6 => Some(self.0[20]),
            _ => None,
        }
    }

    pub(crate) fn is_advertisement(&self) -> bool {
        self.protocol() == Some(VRRP)
    }

    /// From where to where an IP packet goes.
    pub(crate) fn ip(&self) -> Option<(String, String)> {
        match self.kind() {
            IPV4 => Some((ipv4(&self.0[26..30]), ipv4(&self.0[30..34]))),
            IPV6 => Some((ipv6(&self.0[22..38]), ipv6(&self.0[38..54]))),
            _ => None,
        }
    }

    /// What it says about a neighbour.
    pub(crate) fn neighbour(&self) -> Option<Neighbour> {
        let frame = &self.0;
        if self.kind() == ARP {
            return Some(Neighbour {
                source: self.source(),
                is_question: frame[21] == 1,
                sender: ipv4(&frame[28..32]),
                target: ipv4(&frame[38..42]),
                told: Some(mac(&frame[22..28])),
                is_router: false,
            });
        }
        let message = frame.get(54..78)?;
        let is_question = message[0] == 135;
        if self.protocol() != Some(ICMPV6) || !(is_question || message[0] == 136) {
            return None;
        }
        let target = ipv6(&message[8..24]);
        let sender = ipv6(&frame[22..38]);
        Some(Neighbour {
            source: self.source(),
            is_question,
            // An answer may come from any address: it is about its target.
            sender: if is_question { sender } else { target.clone() },
            target,
            told: frame.get(80..86).map(mac),
            is_router: !is_question && message[4] & 0x80 != 0,
        })
    }
}

/// Hears from when it is made.
#[derive(Debug)]
pub(crate) struct Observer(Socket);

impl Observer {
    pub(crate) fn new(host: &Host) -> Self {
        let everything = Protocol::from(i32::from(EVERYTHING.to_be()));
        let socket = host.enter(|| Socket::new(Domain::PACKET, Type::RAW, Some(everything)));
        let socket = socket.unwrap();
        socket.set_nonblocking(true).unwrap();
        Self(socket)
    }

    /// What has come since the last time.
    pub(crate) fn take(&self) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut buffer = [0; 2048];
        while let Ok(count) = (&self.0).read(&mut buffer) {
            frames.push(Frame(buffer[..count].to_vec()));
        }
        frames
    }

    /// What comes within this time, and what has come since the last time.
    pub(crate) fn during(&self, time: Duration) -> Vec<Frame> {
        thread::sleep(time);
        self.take()
    }
}
