//! Routes, as the kernel lists them in `/proc/net`.
//!
//! | File | What is taken from it |
//! |---|---|
//! | `route` | IPv4 routes of the main table |
//! | `fib_trie` | what is delivered locally, in all tables |
//! | `ipv6_route` | both for IPv6 |

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::host::{InterfaceAddress, Route};

/// Flags of a route. `route(8)`, `linux/ipv6_route.h`
const GATEWAY: u32 = 0x2;
const REJECT: u32 = 0x200;
const LOCAL: u32 = 0x8000_0000;

/// The lines of `/proc/net/route`; what cannot be read is left out.
pub(super) fn ipv4_routes(text: &str) -> Vec<Route> {
    let lines = text.lines().skip(1);
    lines.filter_map(ipv4_route).collect()
}

fn ipv4_route(line: &str) -> Option<Route> {
    let mut fields = line.split_whitespace();
    let interface = fields.next()?.to_owned();
    let destination = ipv4(fields.next()?)?;
    let gateway = ipv4(fields.next()?)?;
    let flags = u32::from_str_radix(fields.next()?, 16).ok()?;
    // RefCnt, Use, Metric.
    let mask = ipv4(fields.nth(3)?)?;
    let length = u8::try_from(mask.to_bits().leading_ones()).ok()?;
    if flags & REJECT != 0 {
        return None;
    }
    let gateway = (flags & GATEWAY != 0).then_some(gateway.into());
    let network = InterfaceAddress::new(destination.into(), length);
    Some(Route::new(network, gateway, interface))
}

/// In the byte order of the network, as a number of this machine.
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let number = u32::from_str_radix(text, 16).ok()?;
    Some(Ipv4Addr::from(number.to_ne_bytes()))
}

/// Networks of `/proc/net/fib_trie` whose packets end here.
pub(super) fn ipv4_local(text: &str) -> Vec<InterfaceAddress> {
    let mut networks = Vec::new();
    let mut address: Option<Ipv4Addr> = None;
    for line in text.lines() {
        let line = line.trim_start();
        if let Some(leaf) = line.strip_prefix("|-- ") {
            address = leaf.trim().parse().ok();
        } else if let Some(rest) = line.strip_prefix('/')
            && let [length, _, "LOCAL", ..] = rest.split_whitespace().collect::<Vec<_>>()[..]
            && let (Some(address), Ok(length)) = (address, length.parse())
        {
            let network = InterfaceAddress::new(address.into(), length);
            if !networks.contains(&network) {
                networks.push(network);
            }
        }
    }
    networks
}

/// The lines of `/proc/net/ipv6_route`: routes, and networks whose packets end here.
pub(super) fn ipv6(text: &str) -> (Vec<Route>, Vec<InterfaceAddress>) {
    let (mut routes, mut local) = (Vec::new(), Vec::new());
    for (route, flags) in text.lines().filter_map(ipv6_route) {
        if flags & LOCAL != 0 {
            local.push(route.network);
        } else if flags & REJECT == 0 {
            routes.push(route);
        }
    }
    (routes, local)
}

fn ipv6_route(line: &str) -> Option<(Route, u32)> {
    let mut fields = line.split_whitespace();
    let address = |text: &str| u128::from_str_radix(text, 16).ok().map(Ipv6Addr::from_bits);
    let destination = address(fields.next()?)?;
    let length = u8::from_str_radix(fields.next()?, 16).ok()?;
    // The source and its length.
    let gateway = address(fields.nth(2)?)?;
    // Metric, references, use.
    let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
    let interface = fields.next()?.to_owned();
    let gateway = (flags & GATEWAY != 0).then_some(IpAddr::V6(gateway));
    let network = InterfaceAddress::new(destination.into(), length);
    Some((Route::new(network, gateway, interface), flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(routes: &[Route]) -> Vec<String> {
        let shown = routes.iter().map(|route| {
            let InterfaceAddress { ip, prefix_length } = route.network;
            let gateway = route
                .gateway
                .map_or_else(|| "-".to_owned(), |it| it.to_string());
            format!("{ip}/{prefix_length} {gateway} {}", route.interface)
        });
        shown.collect()
    }

    /// Captured with `cat /proc/net/route` on Linux 6.1, little-endian.
    #[test]
    #[cfg(target_endian = "little")]
    fn ipv4_routes_have_networks_gateways_and_interfaces() {
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                    eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                    eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
                    *\t0000000A\t00000000\t0201\t0\t0\t0\t000000FF\t0\t0\t0\n\
                    eth0\tgarbage\n";
        assert_eq!(
            shown(&ipv4_routes(text)),
            ["0.0.0.0/0 192.0.2.1 eth0", "192.0.2.0/24 - eth0"]
        );
    }

    /// Captured with `cat /proc/net/fib_trie` on Linux 6.1, with a local route in another table.
    #[test]
    fn what_is_delivered_locally_is_found_in_all_tables() {
        let text = "Id 100:\n  |-- 192.0.2.0\n     /24 host LOCAL\nMain:\n  +-- 127.0.0.0/8 2 0 2\n     \
                    +-- 127.0.0.0/31 1 0 0\n        |-- 127.0.0.0\n           /8 host LOCAL\n        |-- \
                    127.0.0.1\n           /32 host LOCAL\n     |-- 127.255.255.255\n        /32 link \
                    BROADCAST\nLocal:\n     |-- 127.0.0.1\n        /32 host LOCAL\n  |-- 10.0.0.0\n     \
                    /24 link UNICAST\n";
        let found = ipv4_local(text);
        let expected = [
            ([192, 0, 2, 0], 24),
            ([127, 0, 0, 0], 8),
            ([127, 0, 0, 1], 32),
        ];
        let expected = expected.map(|(ip, length)| InterfaceAddress::new(ip.into(), length));
        assert_eq!(found, expected);
    }

    /// Captured with `cat /proc/net/ipv6_route` on Linux 6.1.
    #[test]
    fn ipv6_routes_and_local_addresses_are_told_apart() {
        let text = "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 \
                    00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n\
                    00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                    fd000000000000000000000000000001 00000400 00000003 00000000 00000003     eth0\n\
                    00000000000000000000000000000001 80 00000000000000000000000000000000 00 \
                    00000000000000000000000000000000 00000000 00000004 00000000 80200001       lo\n\
                    00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                    00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n\
                    garbage\n";
        let (routes, local) = ipv6(text);
        assert_eq!(shown(&routes), ["fd00::/64 - eth0", "::/0 fd00::1 eth0"]);
        assert_eq!(
            local,
            [InterfaceAddress::new(Ipv6Addr::LOCALHOST.into(), 128)]
        );
    }
}
