//! From addresses and ports to names.

use core::cell::{OnceCell, RefCell};
use core::net::IpAddr;
use std::collections::HashMap;

use lvs_ipvs::text::Names;
use lvs_ipvs::{DestinationKey, Protocol};

use super::cut;
use super::services::Services;

/// Longest `NAME:PORT` in bytes; ipvsadm cuts the rest off.
const LONGEST: usize = 59;

/// Looks names up, each once.
#[derive(Debug, Default)]
pub(crate) struct Reverse {
    hosts: RefCell<HashMap<IpAddr, Option<String>>>,
    services: OnceCell<Services>,
}

impl Reverse {
    /// The name of the host with that address, if it has one.
    fn host(&self, address: IpAddr) -> Option<String> {
        self.hosts
            .borrow_mut()
            .entry(address)
            .or_insert_with(|| dns_lookup::lookup_addr(&address).ok())
            .clone()
    }

    /// The name of the port for that protocol, if it has one.
    fn service(&self, protocol: Option<Protocol>, port: u16) -> Option<&str> {
        let protocol = match protocol? {
            Protocol::TCP => "tcp",
            Protocol::UDP => "udp",
            Protocol::SCTP => "sctp",
            _ => return None,
        };
        self.services
            .get_or_init(Services::system)
            .name(port, protocol)
    }
}

#[cfg(test)]
impl Reverse {
    /// Knows these hosts, these lines of `/etc/services`, and asks nobody.
    pub(crate) fn fixed<const N: usize>(hosts: [(&str, Option<&str>); N], services: &str) -> Self {
        let names = Self::default();
        names.hosts.borrow_mut().extend(
            hosts.map(|(address, name)| (address.parse().unwrap(), name.map(str::to_owned))),
        );
        names.services.set(Services::read(services)).unwrap();
        names
    }
}

impl Names for Reverse {
    fn endpoint(&self, protocol: Option<Protocol>, address: IpAddr, port: u16) -> String {
        let number = DestinationKey { address, port }.to_string();
        let (host, digits) = number.rsplit_once(':').unwrap_or((&number, ""));
        let host = match self.host(address) {
            Some(name) if address.is_ipv6() => format!("[{name}]"),
            Some(name) => name,
            None => host.to_owned(),
        };
        let port = self.service(protocol, port).unwrap_or(digits);
        let mut text = format!("{host}:{port}");
        cut(&mut text, LONGEST);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by `ipvsadm -S` (1.31) with these hosts.
    #[test]
    fn names_and_ports_are_cut_to_59_bytes_together() {
        let names = Reverse::fixed(
            [
                ("10.0.0.1", Some("short")),
                (
                    "10.1.0.2",
                    Some("a-very-long-virtual-host-name-indeed.subdomain.example.com"),
                ),
                (
                    "fd00::20",
                    Some("a-very-long-six-host-name-indeed.subdomain.example.com"),
                ),
                ("fd00::21", Some("six21")),
                ("fd00::22", None),
            ],
            "",
        );
        for (address, port, expected) in [
            ("10.0.0.1", 34567, "short:34567"),
            (
                "10.1.0.2",
                80,
                "a-very-long-virtual-host-name-indeed.subdomain.example.com:",
            ),
            (
                "fd00::20",
                34567,
                "[a-very-long-six-host-name-indeed.subdomain.example.com]:34",
            ),
            ("fd00::21", 34567, "[six21]:34567"),
            ("fd00::22", 34567, "[fd00::22]:34567"),
        ] {
            let address = address.parse().unwrap();
            // Firewall marks have no protocol, and so ports no names.
            assert_eq!(names.endpoint(None, address, port), expected);
        }
    }

    #[test]
    fn a_port_has_the_name_of_its_protocol() {
        let names = Reverse::fixed(
            [("10.0.0.1", None)],
            "first 53/udp\nsecond 53/tcp\nthird 53/sctp\n",
        );
        let address = "10.0.0.1".parse().unwrap();
        let of = |protocol| names.endpoint(protocol, address, 53);
        assert_eq!(of(Some(Protocol::UDP)), "10.0.0.1:first");
        assert_eq!(of(Some(Protocol::TCP)), "10.0.0.1:second");
        assert_eq!(of(Some(Protocol::SCTP)), "10.0.0.1:third");
        assert_eq!(of(Some(Protocol::from_number(50))), "10.0.0.1:53");
        assert_eq!(of(None), "10.0.0.1:53");
    }
}
