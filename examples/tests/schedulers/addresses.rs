//! Addresses that no other scenario of the same run has: the director knows them by their prefixes.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::collections::HashSet;

use super::random::Random;

/// Flows of a hundred that come from port 20.
const PORT_20: usize = 3;

/// Scenarios that can run side by side.
pub(crate) const SLOTS: usize = 256;

/// Hosts in a network of clients.
const HOSTS: usize = 24;

/// Makes the addresses of one scenario.
#[derive(Debug)]
pub(crate) struct Addresses {
    slot: u32,
    is_ipv6: bool,
    /// Networks that clients are drawn from; anywhere if there are none.
    networks: Vec<IpAddr>,
    used: HashSet<SocketAddr>,
}

impl Addresses {
    pub(crate) fn new(slot: usize, is_ipv6: bool) -> Self {
        assert!(slot < SLOTS);
        Self {
            slot: u32::try_from(slot).unwrap(),
            is_ipv6,
            networks: Vec::new(),
            used: HashSet::new(),
        }
    }

    /// Has clients come from that many networks (/24 or /64) only.
    pub(crate) fn draw_networks(&mut self, random: &mut Random, count: usize) {
        self.networks = (0..count).map(|_| self.anywhere(random)).collect();
    }

    /// An address that clients send to.
    pub(crate) fn virtual_address(&self, random: &mut Random) -> IpAddr {
        self.own(random, 0x0a40_0000, 14, 0xfd02)
    }

    /// A server's address that no other server has.
    pub(crate) fn server(&mut self, random: &mut Random, port: u16) -> SocketAddr {
        loop {
            let address = self.own(random, 0x0a80_0000, 15, 0xfd03);
            // By any port: where the packet's port is kept, the address alone tells servers apart.
            if self.used.insert(SocketAddr::new(address, 0)) {
                let server = SocketAddr::new(address, port);
                self.used.insert(server);
                return server;
            }
        }
    }

    /// Another port of a server's address, if none has it yet.
    pub(crate) fn sibling(&mut self, server: SocketAddr, port: u16) -> Option<SocketAddr> {
        let sibling = SocketAddr::new(server.ip(), port);
        (port != server.port() && self.used.insert(sibling)).then_some(sibling)
    }

    /// A client's address and port that no other flow has.
    pub(crate) fn client(&mut self, random: &mut Random) -> SocketAddr {
        loop {
            let address = match &*self.networks {
                [] => self.anywhere(random),
                networks => match *random.pick(networks) {
                    IpAddr::V4(network) => {
                        let host = u32::try_from(random.below(HOSTS)).unwrap();
                        Ipv4Addr::from_bits(network.to_bits() & !255 | host).into()
                    }
                    IpAddr::V6(network) => {
                        let host = u128::try_from(random.below(HOSTS)).unwrap();
                        Ipv6Addr::from_bits(network.to_bits() >> 64 << 64 | host).into()
                    }
                },
            };
            let port = match random.percent(PORT_20) {
                // Taken for the data of FTP, which is never scheduled.
                true => 20,
                false => 1024 + u16::try_from(random.below(64512)).unwrap(),
            };
            let client = SocketAddr::new(address, port);
            if self.used.insert(client) {
                return client;
            }
        }
    }

    /// An address of a client: 10.0.1.0 to 10.63.255.255, or below fd01::/16.
    fn anywhere(&self, random: &mut Random) -> IpAddr {
        if self.is_ipv6 {
            let low = u128::from(random.next()) << 48 | u128::from(random.next() >> 16);
            return Ipv6Addr::from_bits(0xfd01 << 112 | low).into();
        }
        let host = 256 + random.below((1 << 22) - 256);
        Ipv4Addr::from_bits(0x0a00_0000 | u32::try_from(host).unwrap()).into()
    }

    /// An address below a prefix and the slot, with that many bits (IPv4) to choose from.
    fn own(&self, random: &mut Random, prefix: u32, bits: u32, prefix_ipv6: u128) -> IpAddr {
        if self.is_ipv6 {
            let low = prefix_ipv6 << 112 | u128::from(self.slot) << 96;
            return Ipv6Addr::from_bits(low | u128::from(random.next())).into();
        }
        // Neither the first nor the last: they look like a network and its broadcast address.
        let host = 1 + random.below((1 << bits) - 2);
        let host = self.slot << bits | u32::try_from(host).unwrap();
        Ipv4Addr::from_bits(prefix | host).into()
    }
}
