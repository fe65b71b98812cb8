//! NAT: whether replies come back through the director (OP-15).

use core::net::IpAddr;
use std::collections::HashSet;

use super::finding::{Finding, Findings, Fix, Severity};
use super::host::{Host, Interface, InterfaceAddress, sysctl_command};
use super::source::Source;
use super::subject::{Subject, name};
use crate::keepalived::{RealServer, VirtualServer};
use crate::vrrp::PlannedRouter;

pub(super) fn review(
    subject: &Subject<'_>,
    source: &Source<'_>,
    host: &Host,
    findings: &mut Findings,
) {
    let mut seen = HashSet::new();
    for service in subject.services() {
        let mut servers = service.real_servers.iter();
        let near = servers.find_map(|server| {
            let is_elsewhere = server.forwarding.is_masquerade() && !host.is_local(server.ip);
            let near = host.neighbour_of(server.ip).filter(|_| is_elsewhere);
            near.map(|(interface, own)| (server, interface, own))
        });
        let Some((server, interface, own)) = near else {
            continue;
        };
        // What is so for one service of a network is so for all.
        if !seen.insert((&interface.name, own.ip, instance_of(subject, service))) {
            continue;
        }
        if subject.is_with_vrrp() && !subject.routers().is_empty() {
            gateway(
                subject,
                source,
                host,
                findings,
                (service, server, interface, own),
            );
        }
        one_network(subject, host, findings, (service, server, interface, own));
    }
}

/// The name of the virtual router that has the address of a service.
fn instance_of<'a>(subject: &Subject<'a>, service: &VirtualServer) -> Option<&'a str> {
    router_of(subject, service).map(|(router, _)| router.name.as_str())
}

/// The virtual router that has an address of a service, and that address.
fn router_of<'a>(
    subject: &Subject<'a>,
    service: &VirtualServer,
) -> Option<(&'a PlannedRouter, IpAddr)> {
    let ranges = subject.ranges(service);
    let mut moving = subject.virtual_addresses();
    let found = moving.find(|(_, address)| {
        let mut ranges = ranges.iter();
        ranges.any(|(first, last, _)| (first..=last).contains(&&address.ip))
    });
    found.map(|(router, address)| (router, address.ip))
}

/// A service, a real server of it, and the network in which the director has it as a neighbour.
type Near<'a> = (
    &'a VirtualServer,
    &'a RealServer,
    &'a Interface,
    InterfaceAddress,
);

/// The real servers' gateway is an address that moves, together with those of the service.
fn gateway(
    subject: &Subject<'_>,
    source: &Source<'_>,
    host: &Host,
    findings: &mut Findings,
    (service, server, interface, own): Near<'_>,
) {
    let mut moving = subject.virtual_addresses();
    let gateway = moving.find(|(_, address)| own.reaches(address.ip));
    let Some((gateway_router, gateway)) = gateway else {
        let Some(router) = router_for(subject, server.ip) else {
            return;
        };
        let what = format!(
            "{}: no virtual address is in the network of real_server {}, on {}: after a fail-over its \
             replies go on to the director that failed",
            name(service),
            server.ip,
            interface.name
        );
        let why = "with NAT replies have to come back through the active director, so the real servers' \
                   default gateway has to be an address that moves with the virtual ones";
        let position = &server.position;
        let mut finding =
            Finding::new(Severity::WorksBadly, "nat-gateway", position, what).because("OP-15", why);
        let block = source.inside(&router.position, "virtual_ipaddress");
        if let (Some(block), Some(free)) = (block, free_address(subject, host, own)) {
            finding = finding.with_fix(Fix::Insert {
                within: Some(block.position().clone()),
                lines: format!("{free}/{} dev {}", own.prefix_length, interface.name),
            });
            finding = finding.with_fix(Fix::OnRealServer(format!(
                "ip route replace default via {free}"
            )));
        }
        findings.add(finding);
        return;
    };
    let Some((service_router, address)) = router_of(subject, service) else {
        return;
    };
    let group = |router| subject.group_of(router).map(|group| &group.name);
    let is_together = service_router.name == gateway_router.name
        || group(service_router).is_some_and(|name| Some(name) == group(gateway_router));
    if !is_together {
        not_together(
            findings,
            (service_router, address),
            (gateway_router, gateway.ip),
        );
    }
}

fn not_together(
    findings: &mut Findings,
    (service, address): (&PlannedRouter, IpAddr),
    (gateway, gateway_ip): (&PlannedRouter, IpAddr),
) {
    let what = format!(
        "{address} and {gateway_ip}, the gateway of its real servers, may be on different directors"
    );
    let why = "vrrp_instances outside of a common group change their state each on its own; requests \
               then go through one director and replies through the other";
    let lines = format!(
        "vrrp_sync_group NAT {{\n  group {{\n    {}\n    {}\n  }}\n}}",
        service.name, gateway.name
    );
    findings.add(
        Finding::new(Severity::WorksBadly, "nat-groups", &gateway.position, what)
            .because("OP-15", why)
            .with_fix(Fix::Insert {
                within: None,
                lines,
            }),
    );
}

/// The first virtual router of an address's family.
fn router_for<'a>(subject: &Subject<'a>, ip: IpAddr) -> Option<&'a PlannedRouter> {
    let mut routers = subject.routers().iter();
    routers.find(|router| {
        let mut addresses = router.addresses.iter();
        addresses.any(|address| address.ip.is_ipv6() == ip.is_ipv6())
    })
}

/// The highest address of a network that nobody known has.
fn free_address(subject: &Subject<'_>, host: &Host, own: InterfaceAddress) -> Option<IpAddr> {
    let is_taken = |ip: IpAddr| {
        let mut servers = subject.servers();
        subject.is_virtual(ip) || host.is_local(ip) || servers.any(|(_, server)| server.ip == ip)
    };
    let (bits, most) = match own.ip {
        IpAddr::V4(ip) => (u128::from(ip.to_bits()), 32_u8),
        IpAddr::V6(ip) => (ip.to_bits(), 128),
    };
    let host_bits = most.saturating_sub(own.prefix_length);
    let mask = 1_u128
        .checked_shl(host_bits.into())
        .map_or(u128::MAX, |bit| bit.wrapping_sub(1));
    // Not the broadcast address, and not far into the network.
    let last = (bits | mask).wrapping_sub(1);
    let candidates = (0..254).map(|back| last.wrapping_sub(back));
    let mut candidates = candidates.map(|bits| match own.ip {
        IpAddr::V4(_) => IpAddr::V4((u32::try_from(bits).unwrap_or_default()).into()),
        IpAddr::V6(_) => IpAddr::V6(bits.into()),
    });
    candidates.find(|ip| own.reaches(*ip) && !is_taken(*ip))
}

/// Clients in the network of the real servers get replies that the director has not seen.
fn one_network(
    subject: &Subject<'_>,
    host: &Host,
    findings: &mut Findings,
    (service, server, interface, own): Near<'_>,
) {
    let mut ranges = subject.ranges(service).into_iter();
    let is_one = ranges.any(|(first, _, _)| own.reaches(first));
    let redirects = host.larger(&interface.name, "send_redirects");
    if !is_one || own.ip.is_ipv6() || redirects.is_none_or(|value| value == 0) {
        return;
    }
    let what = format!(
        "{}: real_server {} is in the same network, {}; this host tells it by ICMP redirects to reply to \
         clients there directly",
        name(service),
        server.ip,
        interface.name
    );
    let why = "replies that bypass the director have the real server's address, and clients drop them; \
               without redirects, clients of that network besides need source NAT, or a route through \
               the director on the real servers";
    let mut finding = Finding::new(
        Severity::WorksBadly,
        "nat-one-network",
        &server.position,
        what,
    )
    .because("OP-15", why);
    for device in ["all", &interface.name] {
        let path = format!("ipv4/conf/{device}/send_redirects");
        if host.number(&path).is_some_and(|value| value != 0) {
            finding = finding.with_command(sysctl_command(&path, "0"));
        }
    }
    findings.add(finding);
}
