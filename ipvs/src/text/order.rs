//! The order in which `ipvsadm` lists and saves.
//!
//! Services are compared by mark, family, protocol, address and port; destinations by address and
//! port. `ipvsadm` takes the difference of two 32-bit values and keeps it in a signed integer, so
//! values 2³¹ or more apart compare the wrong way round, and three of them can form a ring: no
//! order at all in the sense of [`Ord`], for which [`slice::sort`] may panic. What such a list
//! looks like after sorting depends on how it is sorted, so this is the same method: a merge sort
//! that halves from the top and, of two that are in order or equal, takes the left one first.

use core::cmp::Ordering;
use core::net::IpAddr;

use crate::destination::DestinationKey;
use crate::service::ServiceKey;

/// Sorts services as `ipvsadm` lists and saves them.
///
/// For the same bytes as `ipvsadm` they must be given in the kernel's order: where services have
/// addresses or marks 2³¹ or more apart the result depends on it.
///
/// ```
/// use lvs_ipvs::{ServiceKey, text::sort_services};
///
/// let mut services = ["200.0.0.1:80", "10.0.0.2:80", "10.0.0.1:443", "10.0.0.1:80"]
///     .map(|address| ServiceKey::tcp(address.parse().unwrap()));
/// sort_services(&mut services, |service| *service);
/// let listed = services.map(|service| service.to_string());
/// // 200.0.0.1 is more than 2³¹ above the others: in a signed integer, below them.
/// assert_eq!(
///     listed,
///     ["TCP 200.0.0.1:80", "TCP 10.0.0.1:80", "TCP 10.0.0.1:443", "TCP 10.0.0.2:80"]
/// );
/// ```
pub fn sort_services<T: Copy>(services: &mut [T], key: impl Fn(&T) -> ServiceKey) {
    merge_sort(services, &mut Vec::new(), &|left: &T, right: &T| {
        compare_services(&key(left), &key(right))
    });
}

/// Sorts the destinations of a service as `ipvsadm` lists and saves them.
///
/// As with [`sort_services`] they must be given in the kernel's order, newest first. Which
/// destination was added before which is lost; schedulers that depend on it (`OP-12`) are why
/// [`TableText::oldest_first`](crate::text::TableText::oldest_first) exists.
///
/// ```
/// use lvs_ipvs::{DestinationKey, text::sort_destinations};
///
/// let mut destinations = ["10.0.0.2:80", "10.0.0.10:80", "10.0.0.1:81", "10.0.0.1:80"]
///     .map(|address| DestinationKey::from(address.parse::<std::net::SocketAddr>().unwrap()));
/// sort_destinations(&mut destinations, |destination| *destination);
/// let listed = destinations.map(|destination| destination.to_string());
/// assert_eq!(listed, ["10.0.0.1:80", "10.0.0.1:81", "10.0.0.2:80", "10.0.0.10:80"]);
/// ```
pub fn sort_destinations<T: Copy>(destinations: &mut [T], key: impl Fn(&T) -> DestinationKey) {
    merge_sort(destinations, &mut Vec::new(), &|left: &T, right: &T| {
        compare_destinations(&key(left), &key(right))
    });
}

/// A stable merge sort that works with any comparison, consistent or not: each pair is asked
/// about at most once, and the result is a permutation whatever the answers.
fn merge_sort<T: Copy>(
    items: &mut [T],
    merged: &mut Vec<T>,
    compare: &impl Fn(&T, &T) -> Ordering,
) {
    if items.len() < 2 {
        return;
    }
    let (left, right) = items.split_at_mut(items.len() / 2);
    merge_sort(left, merged, compare);
    merge_sort(right, merged, compare);
    merged.clear();
    let mut left = left.iter().peekable();
    let mut right = right.iter().peekable();
    while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
        let next = match compare(first, second) {
            Ordering::Greater => right.next(),
            _ => left.next(),
        };
        merged.extend(next);
    }
    merged.extend(left);
    merged.extend(right);
    items.copy_from_slice(merged);
}

fn compare_services(left: &ServiceKey, right: &ServiceKey) -> Ordering {
    signed_difference(mark(left), mark(right))
        .then_with(|| left.family().cmp(&right.family()))
        .then_with(|| protocol(left).cmp(&protocol(right)))
        .then_with(|| match (left, right) {
            (
                ServiceKey::Address { address, port, .. },
                ServiceKey::Address {
                    address: other_address,
                    port: other_port,
                    ..
                },
            ) => compare_addresses(*address, *other_address).then_with(|| port.cmp(other_port)),
            _ => Ordering::Equal,
        })
}

fn compare_destinations(left: &DestinationKey, right: &DestinationKey) -> Ordering {
    compare_addresses(left.address, right.address).then_with(|| left.port.cmp(&right.port))
}

/// The mark of a firewall-mark service, 0 for all others.
const fn mark(service: &ServiceKey) -> u32 {
    match service {
        ServiceKey::FirewallMark { mark, .. } => *mark,
        ServiceKey::Address { .. } => 0,
    }
}

const fn protocol(service: &ServiceKey) -> u16 {
    match service {
        ServiceKey::FirewallMark { .. } => 0,
        ServiceKey::Address { protocol, .. } => protocol.number(),
    }
}

/// The left address decides how many words count, also when the right one is of the other family
/// (tunnels may lead there).
fn compare_addresses(left: IpAddr, right: IpAddr) -> Ordering {
    let significant = match left {
        IpAddr::V4(_) => 1,
        IpAddr::V6(_) => 4,
    };
    words(left)
        .into_iter()
        .zip(words(right))
        .take(significant)
        .map(|(left, right)| signed_difference(left, right))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// An address as 32-bit words; those an IPv4 address does not have are 0.
fn words(address: IpAddr) -> [u32; 4] {
    match address {
        IpAddr::V4(address) => [address.to_bits(), 0, 0, 0],
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.segments().map(u32::from);
            [a << 16 | b, c << 16 | d, e << 16 | f, g << 16 | h]
        }
    }
}

/// The sign of `left - right`, kept in 32 bits.
const fn signed_difference(left: u32, right: u32) -> Ordering {
    match left.wrapping_sub(right) {
        0 => Ordering::Equal,
        1..=0x7fff_ffff => Ordering::Greater,
        _ => Ordering::Less,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Family;
    use crate::service::Protocol;

    fn service(text: &str) -> ServiceKey {
        let (kind, rest) = text.split_once(' ').unwrap();
        match kind {
            "FWM" => ServiceKey::firewall_mark(Family::Inet, rest.parse().unwrap()),
            "FWM6" => ServiceKey::firewall_mark(Family::Inet6, rest.parse().unwrap()),
            "TCP" => ServiceKey::tcp(rest.parse().unwrap()),
            "UDP" => ServiceKey::udp(rest.parse().unwrap()),
            _ => ServiceKey::sctp(rest.parse().unwrap()),
        }
    }

    fn destination(text: &str) -> DestinationKey {
        text.parse::<core::net::SocketAddr>().unwrap().into()
    }

    /// What ipvsadm 1.31 printed for two services, in the kernel's order (first list) and
    /// sorted (second): kernel 6.1.176.
    #[test]
    fn pairs_sort_as_ipvsadm_sorts_them() {
        for (kernel, sorted) in [
            (["FWM 4294967295", "FWM 5"], ["FWM 4294967295", "FWM 5"]),
            (["FWM 2147483648", "FWM 5"], ["FWM 5", "FWM 2147483648"]),
            (["FWM 2147483652", "FWM 5"], ["FWM 5", "FWM 2147483652"]),
            (["FWM 2147483653", "FWM 5"], ["FWM 2147483653", "FWM 5"]),
            (["FWM 5", "FWM 2147483654"], ["FWM 2147483654", "FWM 5"]),
            (["FWM6 5", "FWM 5"], ["FWM 5", "FWM6 5"]),
            (
                ["TCP 10.0.0.1:80", "FWM 4294967295"],
                ["FWM 4294967295", "TCP 10.0.0.1:80"],
            ),
            (
                ["TCP 10.0.0.1:80", "FWM 2147483648"],
                ["TCP 10.0.0.1:80", "FWM 2147483648"],
            ),
            (
                ["TCP 10.0.0.1:80", "FWM 2147483649"],
                ["FWM 2147483649", "TCP 10.0.0.1:80"],
            ),
            (
                ["TCP 10.0.0.1:80", "FWM6 2147483647"],
                ["TCP 10.0.0.1:80", "FWM6 2147483647"],
            ),
            (
                ["TCP 138.0.0.1:80", "TCP 10.0.0.1:80"],
                ["TCP 138.0.0.1:80", "TCP 10.0.0.1:80"],
            ),
            (
                ["TCP 138.0.0.0:80", "TCP 10.0.0.1:80"],
                ["TCP 10.0.0.1:80", "TCP 138.0.0.0:80"],
            ),
            (
                ["TCP 138.0.0.2:80", "TCP 10.0.0.1:80"],
                ["TCP 138.0.0.2:80", "TCP 10.0.0.1:80"],
            ),
            (
                ["TCP 10.0.0.1:80", "TCP 10.0.0.1:0"],
                ["TCP 10.0.0.1:0", "TCP 10.0.0.1:80"],
            ),
            (
                ["TCP 200.0.0.1:80", "UDP 10.0.0.1:80"],
                ["TCP 200.0.0.1:80", "UDP 10.0.0.1:80"],
            ),
            (
                ["TCP [1::1]:80", "TCP [fd00::1]:80"],
                ["TCP [fd00::1]:80", "TCP [1::1]:80"],
            ),
            (
                ["TCP [8000::1]:80", "TCP [7fff::1]:80"],
                ["TCP [7fff::1]:80", "TCP [8000::1]:80"],
            ),
            (
                ["TCP [fd00:0:8002::1]:80", "TCP [fd00:0:1::1]:80"],
                ["TCP [fd00:0:8002::1]:80", "TCP [fd00:0:1::1]:80"],
            ),
            (
                ["TCP [fd00:0:1::1:0:1]:80", "TCP [fd00:0:1::ffff:1]:80"],
                ["TCP [fd00:0:1::ffff:1]:80", "TCP [fd00:0:1::1:0:1]:80"],
            ),
        ] {
            let mut services = kernel.map(service);
            sort_services(&mut services, |key| *key);
            assert_eq!(services, sorted.map(service), "{kernel:?}");
        }
    }

    /// As above, destinations of one service: ipvsadm 1.31, kernel 6.1.176.
    #[test]
    fn destinations_of_both_families_sort_as_ipvsadm_sorts_them() {
        for (kernel, sorted) in [
            (
                ["10.0.0.1:80", "138.0.0.1:80"],
                ["10.0.0.1:80", "138.0.0.1:80"],
            ),
            (
                ["138.0.0.1:80", "10.0.0.1:80"],
                ["138.0.0.1:80", "10.0.0.1:80"],
            ),
            (
                ["10.0.0.1:256", "10.0.0.1:1"],
                ["10.0.0.1:1", "10.0.0.1:256"],
            ),
            (
                ["[a00:1::5]:80", "10.0.0.1:80"],
                ["10.0.0.1:80", "[a00:1::5]:80"],
            ),
            (
                ["[a00:1::5]:70", "10.0.0.1:80"],
                ["10.0.0.1:80", "[a00:1::5]:70"],
            ),
            (
                ["10.0.0.1:80", "[a00:1::5]:70"],
                ["[a00:1::5]:70", "10.0.0.1:80"],
            ),
            (
                ["10.0.0.1:80", "[a00:1::]:80"],
                ["10.0.0.1:80", "[a00:1::]:80"],
            ),
            (
                ["10.0.0.1:80", "[fd00::5]:70"],
                ["[fd00::5]:70", "10.0.0.1:80"],
            ),
            (
                ["[2000::5]:70", "10.0.0.1:80"],
                ["10.0.0.1:80", "[2000::5]:70"],
            ),
            (
                ["[fd00::2:1]:70", "[fd00::1:5]:70"],
                ["[fd00::1:5]:70", "[fd00::2:1]:70"],
            ),
        ] {
            let mut destinations = kernel.map(destination);
            sort_destinations(&mut destinations, |key| *key);
            assert_eq!(destinations, sorted.map(destination), "{kernel:?}");
        }
    }

    /// Three clusters of addresses, each smaller than the next and the last smaller than the
    /// first: ipvsadm 1.31, `-L -n --nosort` and `-L -n`, kernel 6.1.176.
    #[test]
    fn rings_come_out_as_ipvsadm_has_them() {
        let kernel = [
            "TCP 176.0.0.2:80",
            "TCP 90.0.0.2:80",
            "TCP 5.0.0.2:80",
            "TCP [b000::1]:80",
            "TCP [5a00::1]:80",
            "TCP [5::1]:80",
            "TCP 255.0.0.1:80",
            "TCP 176.0.0.1:80",
            "TCP 90.0.0.1:80",
            "TCP 5.0.0.1:80",
            "UDP 176.0.0.1:53",
            "UDP 90.0.0.1:53",
            "UDP 5.0.0.1:53",
            "FWM 4294967295",
            "FWM 2863311531",
            "FWM 1431655766",
            "FWM6 1",
            "FWM 1",
        ];
        let sorted = [
            "FWM 2863311531",
            "FWM 4294967295",
            "TCP 255.0.0.1:80",
            "TCP 5.0.0.1:80",
            "TCP 5.0.0.2:80",
            "TCP 90.0.0.1:80",
            "TCP 90.0.0.2:80",
            "TCP 176.0.0.1:80",
            "TCP 176.0.0.2:80",
            "UDP 176.0.0.1:53",
            "UDP 5.0.0.1:53",
            "UDP 90.0.0.1:53",
            "TCP [b000::1]:80",
            "TCP [5::1]:80",
            "TCP [5a00::1]:80",
            "FWM 1",
            "FWM6 1",
            "FWM 1431655766",
        ];
        let mut services = kernel.map(service);
        sort_services(&mut services, |key| *key);
        assert_eq!(services, sorted.map(service));

        let kernel = [
            "[b000::1]:79",
            "[b000::1]:80",
            "[5a00::1]:80",
            "[5::1]:80",
            "176.0.0.2:80",
            "90.0.0.2:80",
            "5.0.0.2:80",
            "90.0.0.1:80",
            "176.0.0.1:80",
            "5.0.0.1:80",
        ];
        let sorted = [
            "5.0.0.2:80",
            "[5a00::1]:80",
            "90.0.0.1:80",
            "90.0.0.2:80",
            "[b000::1]:79",
            "[b000::1]:80",
            "176.0.0.1:80",
            "176.0.0.2:80",
            "[5::1]:80",
            "5.0.0.1:80",
        ];
        let mut destinations = kernel.map(destination);
        sort_destinations(&mut destinations, |key| *key);
        assert_eq!(destinations, sorted.map(destination));
    }

    #[test]
    fn protocols_without_a_name_sort_by_number() {
        let of = |number| ServiceKey::Address {
            protocol: Protocol::from_number(number),
            address: [10, 9, 0, 1].into(),
            port: 80,
        };
        let mut services = [300, 255, 6, 1, 50, 0].map(of);
        sort_services(&mut services, |key| *key);
        assert_eq!(services, [0, 1, 6, 50, 255, 300].map(of));
    }

    /// A ring of three, each smaller than the next: whatever comes out, nothing is lost.
    #[test]
    fn rings_are_permuted_not_refused() {
        let ring = ["TCP 0.0.0.1:80", "TCP 96.0.0.1:80", "TCP 192.0.0.1:80"].map(service);
        let mut many: Vec<_> = (0..1000_u16)
            .flat_map(|port| {
                ring.map(|key| match key {
                    ServiceKey::Address {
                        protocol, address, ..
                    } => ServiceKey::Address {
                        protocol,
                        address,
                        port,
                    },
                    mark @ ServiceKey::FirewallMark { .. } => mark,
                })
            })
            .collect();
        let mut expected = many.clone();
        sort_services(&mut many, |key| *key);
        many.sort();
        expected.sort();
        assert_eq!(many, expected);
    }

    #[test]
    fn equal_items_keep_their_places() {
        let key = service("TCP 10.0.0.1:80");
        let mut items: Vec<_> = (0..9).map(|number| (key, number)).collect();
        sort_services(&mut items, |item| item.0);
        assert!(items.iter().map(|item| item.1).eq(0..9));
    }
}
