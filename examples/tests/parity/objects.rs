//! Addresses, ports, services and servers that command lines and rule sets are about.

use super::lines::Part;
use super::names::HOST_NAMES;
use super::random::Random;

/// Protocol of a service, or a mark.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Tcp,
    Udp,
    Sctp,
    Mark,
}

/// A service as a command line names it.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) kind: Kind,
    pub(crate) v6: bool,
    /// Its port is 0, so it has to be persistent.
    pub(crate) wild: bool,
    /// The option that names it, and `-6` for a mark.
    pub(crate) parts: Vec<Part>,
    /// How many of a hundred servers are of the other family. While there is one, no daemon starts.
    pub(crate) mixed: usize,
    /// Values of `-r` that were added.
    pub(crate) servers: Vec<(String, bool)>,
}

/// IPv4 addresses in clusters more than 2^31 apart, as the original's order of them is then its
/// own; some with names.
const ADDRESSES: [&str; 18] = [
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.3",
    "10.0.0.4",
    "10.0.0.5",
    "10.9.0.1",
    "1.2.3.4",
    "1.2.3.5",
    "1.2.3.6",
    "1.2.3.8",
    "60.1.1.1",
    "100.64.255.3",
    "126.255.255.254",
    "130.0.0.1",
    "172.16.0.9",
    "192.0.2.10",
    "200.1.2.3",
    "223.255.255.253",
];

/// IPv6 addresses, with differences in each 32-bit word.
const ADDRESSES_V6: [&str; 13] = [
    "fd00::1",
    "fd00::2",
    "fd00::4",
    "fd00::8000:1",
    "fd00:0:0:1::1",
    "fd00:8000::1",
    "fd00::1:0:0:1",
    "fd00:9::1",
    "2001:db8::7",
    "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
    "3fff::1",
    "4000::1",
    "9000::1",
];

const PORTS: [&str; 12] = [
    "80", "80", "80", "443", "8080", "53", "5060", "1", "65535", "7000", "40000", "8081",
];

/// An IPv4 address; rarely a name, or one of very many addresses.
pub(crate) fn v4(random: &mut Random) -> String {
    match random.weighted(&[70, 8, 22]) {
        0 => (*random.pick(&ADDRESSES)).to_owned(),
        1 => (*random.pick(&HOST_NAMES)).to_owned(),
        _ => {
            let first = *random.pick(&[1, 10, 60, 126, 128, 172, 192, 200, 223]);
            format!(
                "{first}.{}.{}.{}",
                random.below(2),
                random.below(256),
                1 + random.below(253)
            )
        }
    }
}

/// An IPv6 address, without brackets.
pub(crate) fn v6(random: &mut Random) -> String {
    if random.percent(75) {
        (*random.pick(&ADDRESSES_V6)).to_owned()
    } else {
        let first = *random.pick(&["2001:db8", "fd00", "fdff:1:2", "3000:8000"]);
        format!(
            "{first}::{:x}:{:x}",
            random.below(65536),
            1 + random.below(65535)
        )
    }
}

/// A port, as a number or as a name that exists for the protocol.
fn port(random: &mut Random, kind: Kind) -> String {
    if random.percent(90) {
        return (*random.pick(&PORTS)).to_owned();
    }
    let names: &[&str] = match kind {
        Kind::Udp => &["httpu", "domain", "sip"],
        Kind::Sctp => &["sctpname"],
        Kind::Tcp | Kind::Mark => &["http", "www", "https", "8081name"],
    };
    (*random.pick(names)).to_owned()
}

/// A service that may exist or not.
pub(crate) fn service(random: &mut Random) -> Service {
    let kind = *random.pick(&[
        Kind::Tcp,
        Kind::Tcp,
        Kind::Tcp,
        Kind::Udp,
        Kind::Udp,
        Kind::Sctp,
        Kind::Mark,
        Kind::Mark,
    ]);
    let v6 = random.percent(35);
    let wild = kind != Kind::Mark && random.percent(8);
    let mut parts = Vec::new();
    if kind == Kind::Mark {
        let mark = match random.below(10) {
            0 => 0x7fff_ffff,
            1 => 0x8000_0000 + random.below(3),
            2 => 0xffff_ffff,
            _ => 1 + random.below(9),
        };
        parts.push(Part::with("fwmark-service", mark.to_string()));
        if v6 {
            parts.push(Part::flag("ipv6"));
        }
    } else {
        let option = match kind {
            Kind::Tcp => "tcp-service",
            Kind::Udp => "udp-service",
            _ => "sctp-service",
        };
        let address = if v6 { self::v6(random) } else { v4(random) };
        let address = match (wild, v6) {
            (true, _) if random.percent(50) => address,
            (true, true) => format!("[{address}]:0"),
            (true, false) => format!("{address}:0"),
            (false, true) => format!("[{address}]:{}", port(random, kind)),
            (false, false) => format!("{address}:{}", port(random, kind)),
        };
        parts.push(Part::with(option, address));
    }
    Service {
        kind,
        v6,
        wild,
        parts,
        mixed: 3,
        servers: Vec::new(),
    }
}

/// A value of `-r` that suits a service; true with it when the families differ, which only tunnels
/// may.
pub(crate) fn server(random: &mut Random, service: &Service) -> (String, bool) {
    let mixed = random.percent(service.mixed);
    let v6 = service.v6 != mixed;
    let address = if v6 { self::v6(random) } else { v4(random) };
    let with_port = random.percent(60);
    let server = match (v6, with_port) {
        (_, false) => address,
        (true, true) => format!("[{address}]:{}", port(random, service.kind)),
        (false, true) => format!("{address}:{}", port(random, service.kind)),
    };
    (server, mixed)
}
