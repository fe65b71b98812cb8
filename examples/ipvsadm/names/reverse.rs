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

    fn names(hosts: &[(&str, &str)]) -> Reverse {
        let hosts = hosts
            .iter()
            .map(|(address, name)| (address.parse().unwrap(), Some((*name).to_owned())));
        let names = Reverse::default();
        names.hosts.borrow_mut().extend(hosts);
        names
    }

    /// Printed by `ipvsadm -S` (1.31) with these hosts.
    #[test]
    fn names_and_ports_are_cut_to_59_bytes_together() {
        let names = names(&[
            ("10.0.0.1", "short"),
            (
                "10.1.0.2",
                "a-very-long-virtual-host-name-indeed.subdomain.example.com",
            ),
            (
                "fd00::20",
                "a-very-long-six-host-name-indeed.subdomain.example.com",
            ),
            ("fd00::21", "six21"),
        ]);
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
        ] {
            let address = address.parse().unwrap();
            // Firewall marks have no protocol, and so ports no names.
            assert_eq!(names.endpoint(None, address, port), expected);
        }
    }
}
