//! Hand-built bytes against the memory kernel: what each request is answered, table by table of
//! the kernel interface.

mod arbitrary;
mod captured;
mod config;
mod daemons;
mod destinations;
mod dumps;
mod faults;
mod framing;
mod services;

use core::time::Duration;

use bytes::BytesMut;

use super::*;
use crate::wire::attributes::{command, control, destination, service, top};

pub(super) const REQUEST: u16 = 1;
pub(super) const ACK: u16 = 4;
pub(super) const DUMP: u16 = 0x300;
pub(super) const FAMILY: u16 = state::IPVS;

pub(super) fn attr(number: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 4).unwrap();
    let mut bytes = [length.to_ne_bytes(), number.to_ne_bytes()].concat();
    bytes.extend_from_slice(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

pub(super) fn nest(number: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    attr(number, &attributes.concat())
}

pub(super) fn be16(number: u16, value: u16) -> Vec<u8> {
    attr(number, &value.to_be_bytes())
}

pub(super) fn ne16(number: u16, value: u16) -> Vec<u8> {
    attr(number, &value.to_ne_bytes())
}

pub(super) fn ne32(number: u16, value: u32) -> Vec<u8> {
    attr(number, &value.to_ne_bytes())
}

pub(super) fn address(number: u16, address: &str) -> Vec<u8> {
    attr(
        number,
        &super::services::raw_address(address.parse().unwrap()),
    )
}

/// The identifying attributes of `TCP ADDRESS:80`.
pub(super) fn by_address(virtual_address: &str) -> Vec<Vec<u8>> {
    let family = if virtual_address.contains(':') { 10 } else { 2 };
    vec![
        ne16(service::AF, family),
        ne16(service::PROTOCOL, 6),
        address(service::ADDR, virtual_address),
        be16(service::PORT, 80),
    ]
}

pub(super) fn by_mark(family: u16, mark: u32) -> Vec<Vec<u8>> {
    vec![ne16(service::AF, family), ne32(service::FWMARK, mark)]
}

/// The settings of a service: `wlc`, no flags, timeout 0, whole addresses.
pub(super) fn service_settings(ipv6: bool) -> Vec<Vec<u8>> {
    let mask = if ipv6 {
        128_u32.to_ne_bytes()
    } else {
        [0xff; 4]
    };
    vec![
        attr(service::SCHED_NAME, b"wlc\0"),
        attr(service::FLAGS, &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
        ne32(service::TIMEOUT, 0),
        attr(service::NETMASK, &mask),
    ]
}

/// The settings of a destination.
#[derive(Clone, Copy, Debug)]
pub(super) struct To {
    pub(super) method: u32,
    pub(super) weight: i32,
    pub(super) upper: u32,
    pub(super) lower: u32,
}

pub(super) const TO: To = To {
    method: 0,
    weight: 1,
    upper: 0,
    lower: 0,
};

impl To {
    pub(super) fn attributes(self) -> Vec<Vec<u8>> {
        vec![
            ne32(destination::FWD_METHOD, self.method),
            attr(destination::WEIGHT, &self.weight.to_ne_bytes()),
            ne32(destination::U_THRESH, self.upper),
            ne32(destination::L_THRESH, self.lower),
        ]
    }
}

/// The identifying attributes of `ADDRESS:80`.
pub(super) fn server(real_address: &str) -> Vec<Vec<u8>> {
    vec![
        address(destination::ADDR, real_address),
        be16(destination::PORT, 80),
    ]
}

/// One message.
pub(super) fn message(kind: u16, flags: u16, command: u8, attributes: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&77_u32.to_ne_bytes());
    bytes.extend_from_slice(&0_u32.to_ne_bytes());
    bytes.extend_from_slice(&[command, 1, 0, 0]);
    bytes.extend_from_slice(attributes);
    let length = u32::try_from(bytes.len()).unwrap();
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

pub(super) fn request(command: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
    message(FAMILY, REQUEST | ACK, command, &attributes.concat())
}

/// A reply, taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Reply {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    /// Everything behind the netlink header.
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// The error number of an acknowledgement, positive.
    pub(super) fn errno(&self) -> Option<i32> {
        (self.kind == 2).then(|| -i32::from_ne_bytes(*self.body.first_chunk().unwrap()))
    }

    /// Attributes behind the generic netlink header.
    pub(super) fn attributes(&self) -> Vec<(u16, Vec<u8>)> {
        attributes(&self.body[4..])
    }

    /// The attributes of the one nest of the reply.
    pub(super) fn nested(&self) -> Vec<(u16, Vec<u8>)> {
        attributes(&self.attributes()[0].1)
    }

    /// One attribute of the one nest.
    pub(super) fn get(&self, number: u16) -> Option<Vec<u8>> {
        let found = self.nested().into_iter().find(|(n, _)| *n == number);
        found.map(|(_, payload)| payload)
    }

    pub(super) fn get_u32(&self, number: u16) -> Option<u32> {
        Some(u32::from_ne_bytes(*self.get(number)?.first_chunk()?))
    }

    /// What an acknowledgement says beyond its number: text and offset.
    pub(super) fn extended(&self) -> (Option<String>, Option<u32>) {
        if self.flags & 0x200 == 0 {
            return (None, None);
        }
        let whole = self.flags & 0x100 == 0;
        let length = u32::from_ne_bytes(*self.body[4..].first_chunk().unwrap());
        let length = usize::try_from(length).unwrap().next_multiple_of(4);
        let start = 4 + if whole { length } else { 16 };
        let mut result = (None, None);
        for (number, payload) in attributes(&self.body[start..]) {
            match number {
                1 => result.0 = Some(String::from_utf8(payload).unwrap()),
                2 => result.1 = Some(u32::from_ne_bytes(*payload.first_chunk().unwrap())),
                _ => {}
            }
        }
        result
    }
}

pub(super) fn attributes(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
        let number = u16::from_ne_bytes([bytes[2], bytes[3]]);
        found.push((number, bytes[4..length].to_vec()));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

pub(super) fn replies(mut datagram: &[u8]) -> Vec<Reply> {
    let mut found = Vec::new();
    while let Some([l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..]) =
        datagram.first_chunk::<16>()
    {
        let length = u32::from_ne_bytes([*l0, *l1, *l2, *l3]);
        let length = usize::try_from(length).unwrap();
        found.push(Reply {
            kind: u16::from_ne_bytes([*k0, *k1]),
            flags: u16::from_ne_bytes([*f0, *f1]),
            sequence: u32::from_ne_bytes([*s0, *s1, *s2, *s3]),
            body: datagram[16..length].to_vec(),
        });
        datagram = datagram
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    found
}

/// A kernel with one socket.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) kernel: MemoryKernel,
    pub(super) socket: MemorySocket,
}

impl Machine {
    pub(super) fn new(generation: Generation) -> Self {
        let kernel = MemoryKernel::new(generation);
        let socket = kernel.socket();
        Self { kernel, socket }
    }

    pub(super) fn linux_6_1() -> Self {
        Self::new(Generation::LINUX_6_1)
    }

    /// The next datagram, or what came instead.
    pub(super) fn receive(&mut self) -> Result<Vec<u8>, Received> {
        let mut buffer = BytesMut::new();
        match self
            .socket
            .receive(&mut buffer, Duration::from_secs(1))
            .unwrap()
        {
            Received::Datagram => Ok(buffer.to_vec()),
            nothing => Err(nothing),
        }
    }

    /// Everything that is there.
    pub(super) fn drain(&mut self) -> Vec<Reply> {
        let mut found = Vec::new();
        while let Ok(datagram) = self.receive() {
            found.extend(replies(&datagram));
        }
        found
    }

    pub(super) fn ask(&mut self, datagram: &[u8]) -> Vec<Reply> {
        self.socket.send(datagram).unwrap();
        self.drain()
    }

    /// Sends one request and gives the error number of its acknowledgement, the only answer.
    pub(super) fn errno(&mut self, command: u8, attributes: &[Vec<u8>]) -> i32 {
        let answers = self.ask(&request(command, attributes));
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers[0].errno().unwrap()
    }

    pub(super) fn add_service(&mut self, key: &[Vec<u8>], ipv6: bool) {
        let full = [key, &service_settings(ipv6)].concat();
        let errno = self.errno(command::NEW_SERVICE, &[nest(top::SERVICE, &full)]);
        assert_eq!(errno, 0);
    }

    /// A destination command with a full nest and further attributes.
    pub(super) fn destination(
        &mut self,
        command: u8,
        key: &[Vec<u8>],
        real_address: &str,
        to: To,
        more: &[Vec<u8>],
    ) -> i32 {
        let full = [&server(real_address), &to.attributes(), more].concat();
        let nests = [nest(top::SERVICE, key), nest(top::DEST, &full)];
        self.errno(command, &nests)
    }

    pub(super) fn add_destination(&mut self, key: &[Vec<u8>], real_address: &str) {
        let errno = self.destination(command::NEW_DEST, key, real_address, TO, &[]);
        assert_eq!(errno, 0);
    }

    /// One service, read by a request that is no dump.
    pub(super) fn service(&mut self, key: &[Vec<u8>]) -> Reply {
        let attributes = nest(top::SERVICE, key);
        let mut answers = self.ask(&message(FAMILY, REQUEST, command::GET_SERVICE, &attributes));
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    /// The entries of a dump, without its end.
    pub(super) fn dump(&mut self, command: u8, attributes: &[Vec<u8>]) -> Vec<Reply> {
        let request = message(FAMILY, REQUEST | DUMP, command, &attributes.concat());
        let mut answers = self.ask(&request);
        let done = answers.pop().unwrap();
        assert_eq!(
            (done.kind, done.flags, &done.body[..4]),
            (3, 2, &[0; 4][..])
        );
        answers
    }

    /// The addresses of a service's destinations, as dumped.
    pub(super) fn servers(&mut self, key: &[Vec<u8>]) -> Vec<String> {
        let entries = self.dump(command::GET_DEST, &[nest(top::SERVICE, key)]);
        entries
            .iter()
            .map(|entry| {
                let address: [u8; 16] = entry.get(destination::ADDR).unwrap().try_into().unwrap();
                match entry.get(destination::ADDR_FAMILY).unwrap()[..] {
                    [10, 0] | [0, 10] => core::net::Ipv6Addr::from(address).to_string(),
                    _ => core::net::Ipv4Addr::from(*address.first_chunk().unwrap()).to_string(),
                }
            })
            .collect()
    }
}

/// A request for a family by name.
pub(super) fn resolve(name: &[u8]) -> Vec<u8> {
    message(
        control::FAMILY,
        REQUEST | ACK,
        control::CMD_GETFAMILY,
        &attr(control::FAMILY_NAME, name),
    )
}
