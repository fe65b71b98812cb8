//! Virtual addresses: where they are, and whether anybody finds them there.

use super::finding::{Finding, Findings, Fix, Severity};
use super::host::Host;
use super::source::{Source, line};
use super::subject::{Subject, name};
use crate::vrrp::PlannedAddress;

pub(super) fn review(
    subject: &Subject<'_>,
    source: &Source<'_>,
    host: &Host,
    findings: &mut Findings,
) {
    if subject.is_with_vrrp() {
        for (_, address) in subject.virtual_addresses() {
            whole_network_on_loopback(source, host, findings, address);
        }
    }
    whole_network_found(subject, host, findings);
    if subject.is_with_checkers() {
        nowhere(subject, source, host, findings);
    }
}

/// What of the addresses is one host.
const fn host_bits(is_ipv4: bool) -> u8 {
    if is_ipv4 { 32 } else { 128 }
}

const WHOLE_NETWORK: &str = "on lo every address of the network is local: the real servers, routers \
                             and clients in it cannot be reached any more";

/// A line that puts an address with its network on `lo`.
fn whole_network_on_loopback(
    source: &Source<'_>,
    host: &Host,
    findings: &mut Findings,
    address: &PlannedAddress,
) {
    let most = host_bits(address.ip.is_ipv4());
    let device = address.device.as_deref().unwrap_or_default();
    let is_loopback = host
        .interface(device)
        .map_or(device == "lo", |it| it.is_loopback);
    if !is_loopback || address.prefix_length == most {
        return;
    }
    let (ip, length, position) = (address.ip, address.prefix_length, &address.position);
    let what = format!("{ip}/{length} on {device} takes its whole network, not one address");
    let mut finding = Finding::new(Severity::Fails, "lo-prefix", position, what)
        .because("ip-address(8)", WHOLE_NETWORK);
    if let Some(statement) = source.at(position).first() {
        let old = line(statement);
        let rest = old.split_once(' ').map_or("", |(_, rest)| rest);
        let new = format!("{ip}/{most} {rest}");
        let at = position.clone();
        finding = finding.with_fix(Fix::Replace { at, old, new });
    }
    findings.add(finding);
}

/// A virtual address that somebody has put on `lo` with its network.
fn whole_network_found(subject: &Subject<'_>, host: &Host, findings: &mut Findings) {
    let Some(place) = subject.place() else {
        return;
    };
    let interfaces = host.interfaces.iter().flatten();
    for interface in interfaces.filter(|interface| interface.is_loopback) {
        for own in &interface.addresses {
            let most = host_bits(own.ip.is_ipv4());
            let (ip, length, name) = (own.ip, own.prefix_length, &interface.name);
            if ip.is_loopback() || length == most || !subject.is_virtual(ip) {
                continue;
            }
            let what = format!("{ip}/{length} is on {name} and takes its whole network");
            findings.add(
                Finding::new(Severity::Fails, "lo-prefix", place, what)
                    .because("ip-address(8)", WHOLE_NETWORK)
                    .with_command(format!("ip address del {ip}/{length} dev {name}"))
                    .with_command(format!("ip address add {ip}/{most} dev {name}")),
            );
        }
    }
}

/// A service whose address nobody has: packets to it do not come here, or are not taken.
///
/// Another process may install it, so this is not a failure.
fn nowhere(subject: &Subject<'_>, source: &Source<'_>, host: &Host, findings: &mut Findings) {
    if host.interfaces.is_none() {
        return;
    }
    for service in subject.services() {
        for (first, last, _) in subject.ranges(service) {
            let mut moving = subject.virtual_addresses();
            let is_there = host.is_local(first)
                || moving.any(|(_, address)| (first..=last).contains(&address.ip));
            if is_there {
                continue;
            }
            let most = host_bits(first.is_ipv4());
            let what = format!(
                "{}: no interface has {first}, and no vrrp_instance installs it",
                name(service)
            );
            let why = "IPVS sees only packets that are delivered to this host";
            let mut finding =
                Finding::new(Severity::WorksBadly, "no-address", &service.position, what)
                    .because("OP-14", why);
            let mut routers = subject.routers().iter();
            let same = routers.find(|router| {
                let mut addresses = router.addresses.iter();
                addresses.any(|address| address.ip.is_ipv6() == first.is_ipv6())
            });
            let block = same.filter(|_| subject.is_with_vrrp());
            let block = block.and_then(|it| source.inside(&it.position, "virtual_ipaddress"));
            let near = host.neighbour_of(first).map(|(interface, _)| interface);
            let mut interfaces = host.interfaces.iter().flatten();
            let device = near.or_else(|| interfaces.find(|it| it.is_asked()));
            if let Some(block) = block {
                finding = finding.with_fix(Fix::Insert {
                    within: Some(block.position().clone()),
                    lines: format!("{first}/{most}"),
                });
            } else if let Some(device) = device {
                let device = &device.name;
                finding =
                    finding.with_command(format!("ip address add {first}/{most} dev {device}"));
            }
            findings.add(finding);
        }
    }
}
