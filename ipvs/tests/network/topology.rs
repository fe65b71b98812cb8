//! The three networks of the LVS documentation: NAT, direct routing, tunnels.
//!
//! Each call makes namespaces of its own, so networks of the same addresses do not meet. The
//! client reaches the servers by the virtual address only in the way under test.

use core::net::{IpAddr, SocketAddr};

use super::http::HttpServer;
use super::{Host, cable};

/// Names of the real servers, as in their answers.
pub(crate) const SERVERS: [&str; 2] = ["one", "two"];

/// Client, director and two real servers.
///
/// Fields drop in order: servers of the network first, namespaces last.
#[derive(Debug)]
pub(crate) struct Network {
    http: Vec<HttpServer>,
    pub(crate) client: Host,
    pub(crate) director: Host,
    pub(crate) servers: [Host; 2],
    /// Addresses of the real servers.
    pub(crate) addresses: [IpAddr; 2],
    others: Vec<Host>,
}

impl Network {
    /// The director between the client and the servers, each on a network of its own.
    ///
    /// ```text
    /// client 10.1.0.2 ── 10.1.0.1 director 10.2.1.1 ── 10.2.1.2 one
    ///        10.1.0.3      192.0.2.10     10.2.2.1 ── 10.2.2.2 two
    ///        10.1.1.2
    /// ```
    ///
    /// The client sends to the virtual addresses 192.0.2.0/24 through the director; the servers
    /// send everything there.
    pub(crate) fn masquerading() -> Self {
        let network = Self::new(Vec::new(), ["10.2.1.2", "10.2.2.2"]);
        let Self {
            client,
            director,
            servers,
            ..
        } = &network;
        cable(client, "eth0", director, "client");
        client.ip(
            "address add 10.1.0.2/24 dev eth0\naddress add 10.1.0.3/24 dev eth0\n\
             address add 10.1.1.2/32 dev eth0\nroute add 192.0.2.0/24 via 10.1.0.1",
        );
        director.ip(
            "address add 10.1.0.1/24 dev client\nroute add 10.1.1.2/32 dev client\n\
             address add 192.0.2.10/32 dev lo\naddress add 192.0.2.11/32 dev lo",
        );
        director.sysctl("ipv4/ip_forward", "1");
        for (server, number) in servers.iter().zip(1..) {
            let port = format!("server{number}");
            cable(server, "eth0", director, &port);
            director.ip(&format!("address add 10.2.{number}.1/24 dev {port}"));
            server.ip(&format!(
                "address add 10.2.{number}.2/24 dev eth0\n\
                 route add default via 10.2.{number}.1"
            ));
        }
        network
    }

    /// As [`masquerading`](Self::masquerading), with IPv6 alone.
    ///
    /// ```text
    /// client fd00:1::2 ── fd00:1::1 director fd00:2:1::1 ── fd00:2:1::2 one
    ///                        fd00::10        fd00:2:2::1 ── fd00:2:2::2 two
    /// ```
    pub(crate) fn masquerading_ipv6() -> Self {
        let network = Self::new(Vec::new(), ["fd00:2:1::2", "fd00:2:2::2"]);
        let Self {
            client,
            director,
            servers,
            ..
        } = &network;
        director.sysctl("ipv6/conf/all/forwarding", "1");
        cable(client, "eth0", director, "client");
        client.ip("address add fd00:1::2/64 dev eth0 nodad\nroute add fd00::10 via fd00:1::1");
        director.ip("address add fd00:1::1/64 dev client nodad\naddress add fd00::10/128 dev lo");
        for (server, number) in servers.iter().zip(1..) {
            let port = format!("server{number}");
            cable(server, "eth0", director, &port);
            director.ip(&format!(
                "address add fd00:2:{number}::1/64 dev {port} nodad"
            ));
            server.ip(&format!(
                "address add fd00:2:{number}::2/64 dev eth0 nodad\n\
                 route add default via fd00:2:{number}::1"
            ));
        }
        network
    }

    /// Everybody on one network, the virtual address on all three of director and servers; the
    /// servers keep it to themselves.
    ///
    /// ```text
    /// client 10.0.0.2 ──┐ bridge ┌── 10.0.0.1, 10.0.0.100 director
    ///    one 10.0.0.11 ─┤        │
    ///    two 10.0.0.12 ─┴────────┘
    /// ```
    pub(crate) fn direct_routing() -> Self {
        let bridge = Host::new("bridge");
        bridge.ip("link add bridge type bridge\nlink set bridge up");
        let network = Self::new(vec![bridge], ["10.0.0.11", "10.0.0.12"]);
        let Self {
            client,
            director,
            servers: [one, two],
            ..
        } = &network;
        let bridge = &network.others[0];
        for (host, port, number) in [
            (client, "client", 2),
            (director, "director", 1),
            (one, "one", 11),
            (two, "two", 12),
        ] {
            cable(host, "eth0", bridge, port);
            bridge.ip(&format!("link set {port} master bridge"));
            host.ip(&format!("address add 10.0.0.{number}/24 dev eth0"));
        }
        director.ip("address add 10.0.0.100/32 dev eth0");
        for server in [one, two] {
            hide_virtual_addresses(server);
            server.sysctl("ipv4/conf/all/rp_filter", "0");
            server.ip("address add 10.0.0.100/32 dev lo");
        }
        network
    }

    /// Everybody on a network of their own around a router, which sends the virtual address
    /// 192.0.2.10 to the director; so only a tunnel leads from there to the servers.
    ///
    /// ```text
    /// client 10.1.0.2 ────┐ router ┌──── 10.1.1.2, 192.0.2.10 director
    ///    one 10.2.1.2 ────┤        │     (192.0.2.10 on a tunnel interface of the servers)
    ///    two 10.2.2.2 ────┴────────┘
    /// ```
    ///
    /// `interface` is what takes the packets out of the tunnel on the servers; `prepare` does
    /// what it needs to exist and to work, for each server by number.
    pub(crate) fn tunnelling(interface: &str, prepare: impl Fn(&Host, usize)) -> Self {
        let router = Host::new("router");
        router.sysctl("ipv4/ip_forward", "1");
        let network = Self::new(vec![router], ["10.2.1.2", "10.2.2.2"]);
        let Self {
            client,
            director,
            servers: [one, two],
            ..
        } = &network;
        let router = &network.others[0];
        for (host, port, subnet) in [
            (client, "client", "10.1.0"),
            (director, "director", "10.1.1"),
            (one, "one", "10.2.1"),
            (two, "two", "10.2.2"),
        ] {
            cable(host, "eth0", router, port);
            router.ip(&format!("address add {subnet}.1/24 dev {port}"));
            host.ip(&format!(
                "address add {subnet}.2/24 dev eth0\n\
                 route add default via {subnet}.1"
            ));
        }
        router.ip("route add 192.0.2.10 via 10.1.1.2");
        director.ip("address add 192.0.2.10/32 dev lo");
        for (number, server) in [one, two].into_iter().enumerate() {
            prepare(server, number);
            hide_virtual_addresses(server);
            server.sysctl("ipv4/conf/all/rp_filter", "0");
            server.sysctl(&format!("ipv4/conf/{interface}/rp_filter"), "0");
            server.ip(&format!(
                "link set {interface} up\naddress add 192.0.2.10/32 dev {interface}"
            ));
        }
        network
    }

    fn new(others: Vec<Host>, addresses: [&str; 2]) -> Self {
        Self {
            http: Vec::new(),
            client: Host::new("client"),
            director: Host::new("director"),
            servers: SERVERS.map(Host::new),
            addresses: addresses.map(|address| address.parse().unwrap()),
            others,
        }
    }

    /// Starts an HTTP server on that port of each real server, on all its addresses.
    pub(crate) fn serve_http(&mut self, port: u16) {
        for ((server, name), address) in self.servers.iter().zip(SERVERS).zip(self.addresses) {
            let any = match address {
                IpAddr::V4(_) => IpAddr::from([0; 4]),
                IpAddr::V6(_) => IpAddr::from([0; 16]),
            };
            self.http
                .push(HttpServer::start(server, name, SocketAddr::new(any, port)));
        }
    }
}

/// Keeps a server from answering for virtual addresses that are not on the asked interface, and
/// from asking in their name.
fn hide_virtual_addresses(server: &Host) {
    server.sysctl("ipv4/conf/all/arp_ignore", "1");
    server.sysctl("ipv4/conf/all/arp_announce", "2");
}
