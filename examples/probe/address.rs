//! Where a check goes: names become addresses, options become a target.

use core::net::{IpAddr, SocketAddr};
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};

use lvs_healthcheck::{ProxyHeader, Target};

use crate::arguments::{Place, ProxyAddresses, ProxyVersion};
use crate::failure::Failure;
use crate::locator::{Locator, host_and_port};

/// Where to go, or why the name leads nowhere.
pub(crate) fn resolve(
    place: &Place,
    locator: &Locator,
) -> Result<Result<SocketAddr, String>, Failure> {
    let (host, port) = match &place.connect {
        None => (locator.host.clone(), locator.port),
        Some(text) => {
            let (host, port) = host_and_port(text)?;
            (host, port.unwrap_or(locator.port))
        }
    };
    let wanted = |address: &SocketAddr| match (place.ipv4, place.ipv6) {
        (true, _) => address.is_ipv4(),
        (_, true) => address.is_ipv6(),
        _ => true,
    };
    let family = if place.ipv4 { "IPv4" } else { "IPv6" };
    if let Ok(address) = host.parse::<IpAddr>() {
        let address = SocketAddr::new(address, port);
        if !wanted(&address) {
            let limit = format!("must be an address of {family}, as asked for");
            return Err(Failure::value("host", host, limit));
        }
        return Ok(Ok(address));
    }
    let found = match (host.as_str(), port).to_socket_addrs() {
        Ok(mut found) => found.find(wanted),
        Err(error) => return Ok(Err(format!("{host}: {error}"))),
    };
    Ok(found.ok_or_else(|| format!("{host}: it has no address of {family}")))
}

/// The target at this address.
pub(crate) fn target(place: &Place, address: SocketAddr) -> Result<Target, Failure> {
    let mut target = Target::new(address);
    if let Some(source) = place.source {
        target = target.with_source(source);
    }
    if let Some(port) = place.source_port {
        target = target.with_source_port(port);
    }
    if let Some(device) = &place.device {
        target = target.with_device(device);
    }
    if let Some(mark) = place.mark {
        target = target.with_mark(mark);
    }
    if let Some(ttl) = place.ttl {
        target = target.with_ttl(ttl);
    }
    if let Some(dscp) = place.dscp {
        target = target.with_dscp(dscp);
    }
    if let Some(namespace) = &place.namespace {
        target = target.with_namespace(namespace_file(namespace));
    }
    if let Some(version) = place.proxy_header {
        let header = match version {
            ProxyVersion::V1 => ProxyHeader::v1(),
            ProxyVersion::V2 => ProxyHeader::v2(),
        };
        target = target.with_proxy_header(match place.proxy_addresses {
            None => header,
            Some(ProxyAddresses::Own) => header.with_own_addresses(),
            Some(ProxyAddresses::Between(from, to)) => header.with_addresses(from, to),
        });
    }
    target.validate()?;
    Ok(target)
}

/// A name without slash is one of `ip netns`.
fn namespace_file(namespace: &Path) -> PathBuf {
    if namespace.components().count() == 1 && namespace.is_relative() {
        Path::new("/run/netns").join(namespace)
    } else {
        namespace.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Arguments;

    fn resolved(line: &[&str]) -> Result<Result<SocketAddr, String>, String> {
        let options = Arguments::of(line).options;
        let locator = Locator::new(&options.target, &options.rest).unwrap();
        resolve(&options.place, &locator).map_err(|failure| failure.to_string())
    }

    #[test]
    fn addresses_are_taken_as_they_are() {
        let address = |text: &str| Ok(text.parse().unwrap());
        assert_eq!(
            resolved(&["http://192.0.2.7/"]).unwrap(),
            address("192.0.2.7:80")
        );
        assert_eq!(
            resolved(&["-6", "tcp://[::1]:5"]).unwrap(),
            address("[::1]:5")
        );
        let connect = resolved(&["https://www.example/", "--connect", "192.0.2.8"]);
        assert_eq!(connect.unwrap(), address("192.0.2.8:443"));
        let connect = resolved(&["https://www.example/", "--connect", "[::1]:8443"]);
        assert_eq!(connect.unwrap(), address("[::1]:8443"));
        let refused = resolved(&["-4", "tcp://[::1]:5"]).unwrap_err();
        assert_eq!(
            refused,
            "host is ::1: must be an address of IPv4, as asked for"
        );
    }

    #[test]
    fn names_are_looked_up() {
        let found = resolved(&["-4", "tcp://localhost:5"]).unwrap();
        assert_eq!(found, Ok("127.0.0.1:5".parse().unwrap()));
        let lost = resolved(&["tcp://nowhere.invalid:5"]).unwrap().unwrap_err();
        assert!(lost.starts_with("nowhere.invalid: "), "{lost}");
    }

    #[test]
    fn namespaces_have_names_or_files() {
        assert_eq!(
            namespace_file(Path::new("red")),
            Path::new("/run/netns/red")
        );
        assert_eq!(
            namespace_file(Path::new("/proc/1/ns/net")),
            Path::new("/proc/1/ns/net")
        );
    }

    #[test]
    fn target_has_what_was_asked_for() {
        let line = [
            "x",
            "--source",
            "192.0.2.1",
            "--source-port",
            "99",
            "--device",
            "eth0",
            "--mark",
            "0x10",
            "--ttl",
            "1",
            "--dscp",
            "46",
            "--namespace",
            "red",
            "--proxy-header",
            "v2",
        ];
        let place = Arguments::of(&line).options.place;
        let made = target(&place, "192.0.2.7:80".parse().unwrap()).unwrap();
        assert_eq!(
            (made.mark(), made.ttl(), made.dscp()),
            (Some(16), Some(1), Some(46))
        );
        assert_eq!((made.device(), made.source_port()), (Some("eth0"), 99));
        assert_eq!(made.namespace(), Some(Path::new("/run/netns/red")));
        assert_eq!(made.proxy_header(), Some(&ProxyHeader::v2()));
        let refused = target(&place, "[::1]:80".parse().unwrap()).unwrap_err();
        assert!(
            refused.to_string().starts_with("source is 192.0.2.1: "),
            "{refused}"
        );
    }
}
