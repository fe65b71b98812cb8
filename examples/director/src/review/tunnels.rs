//! Tunnels: filters, the size of packets, and network cards that merge them (OP-16).

use super::finding::{Finding, Findings, Fix, Severity};
use super::host::{Host, Interface, sysctl_command};
use super::routers::filters;
use super::subject::{Subject, name};
use crate::keepalived::{Forwarding, RealServer, Tunnel, VirtualServer};

/// Kinds of interfaces that unpack what comes through a tunnel.
const TUNNELS: [&str; 6] = ["ipip", "ip6tnl", "sit", "gre", "ip6gre", "fou"];

pub(super) fn review(subject: &Subject<'_>, host: &Host, findings: &mut Findings) {
    let tunnelled = |server: &RealServer| matches!(server.forwarding, Forwarding::Tunnel(_));
    let mut servers = subject.servers().filter(|(_, server)| tunnelled(server));
    let Some((service, server)) = servers.next() else {
        return;
    };
    let mut own = subject.servers().filter(|(_, server)| tunnelled(server));
    // What a director sends to itself does not go through a tunnel, only what another one sends.
    let is_alone = !subject.is_with_vrrp() || subject.routers().is_empty();
    let own = own.find(|(_, server)| !is_alone && host.is_local(server.ip));
    for interface in host.interfaces.iter().flatten() {
        filtered(
            subject,
            host,
            findings,
            interface,
            own.map(|(_, server)| server),
        );
        if interface.merges_packets == Some(true) {
            let name = &interface.name;
            let what =
                format!("{name} merges what it receives into packets too large for a tunnel");
            let why = "large receive offload makes packets that were never sent; they cannot be \
                       forwarded";
            findings.add(
                Finding::new(Severity::WorksBadly, "tunnel-lro", &service.position, what)
                    .because("OP-16", why)
                    .with_command(format!("ethtool -K {name} lro off")),
            );
        }
    }
    on_servers(subject, host, findings, service, server);
}

/// A tunnel of this host, which is a real server or has a virtual address there, filters by the way
/// back, which is not through the tunnel.
fn filtered(
    subject: &Subject<'_>,
    host: &Host,
    findings: &mut Findings,
    interface: &Interface,
    own: Option<&RealServer>,
) {
    let kind = interface.kind.as_deref().unwrap_or_default();
    let value = host
        .larger(&interface.name, "rp_filter")
        .unwrap_or_default();
    if !interface.is_up || !TUNNELS.contains(&kind) || value == 0 {
        return;
    }
    let mut addresses = subject.virtual_addresses();
    let holds = addresses.find(|(_, it)| it.device.as_deref() == Some(interface.name.as_str()));
    let (position, severity) = match (own, holds) {
        // Loose filtering takes what has any way back.
        (Some(server), _) if value == 1 => (&server.position, Severity::Fails),
        (Some(server), _) => (&server.position, Severity::WorksBadly),
        (None, Some((_, address))) => (&address.position, Severity::WorksBadly),
        (None, None) => return,
    };
    let name = &interface.name;
    let what = format!(
        "rp_filter is {value} on {name}: what comes out of the tunnel is dropped, as answers do not \
         leave through it"
    );
    let why = "the larger one of net.ipv4.conf.all.rp_filter and the tunnel's own counts, so both have \
               to be 0";
    let mut finding =
        Finding::new(severity, "tunnel-rp-filter", position, what).because("OP-16", why);
    if host
        .number("ipv4/conf/all/rp_filter")
        .is_some_and(|all| all != 0)
    {
        let others = host.interfaces.iter().flatten();
        let others = others.filter(|it| !it.is_loopback && it.name != *name);
        for command in filters(host, others.map(|it| it.name.as_str())) {
            finding = finding.with_command(command);
        }
    }
    let path = format!("ipv4/conf/{name}/rp_filter");
    if host.number(&path).is_some_and(|own| own != 0) {
        finding = finding.with_command(sysctl_command(&path, "0"));
    }
    findings.add(finding);
}

/// The usual longest packet, in bytes.
const ETHERNET: u32 = 1500;

/// What real servers need, and cannot be seen from here.
fn on_servers(
    subject: &Subject<'_>,
    host: &Host,
    findings: &mut Findings,
    service: &VirtualServer,
    server: &RealServer,
) {
    let Some((network, _)) = host.neighbour_of(server.ip) else {
        return;
    };
    let Forwarding::Tunnel(tunnel) = server.forwarding else {
        return;
    };
    let header = header(tunnel, server.ip.is_ipv6());
    let (ip, protocol) = match service.family {
        crate::keepalived::Family::V6 => ("ip6", 60_u32),
        _ => ("ip", 40),
    };
    let first = subject.ranges(service).first().map(|(first, _, _)| *first);
    let from = first.and_then(|first| host.neighbour_of(first));
    let arriving = from.map_or(ETHERNET, |(interface, _)| interface.mtu);
    if network.mtu.saturating_sub(header) >= arriving {
        return;
    }
    let largest = network.mtu.saturating_sub(header).saturating_sub(protocol);
    let address = first.map(|first| first.to_string());
    let address = address.unwrap_or_else(|| "ADDRESS".to_owned());
    let what = format!(
        "{}: packets of more than {} bytes do not fit into the tunnel to {}",
        name(service),
        network.mtu.saturating_sub(header),
        server.ip
    );
    let why = "the tunnel adds a header; where ICMP is blocked, uploads hang, unless the real servers \
               ask for smaller segments. They also have to unpack (a tunnel device with the virtual \
               address), to let protocol 4 or the tunnel's through their firewall, and not to filter \
               by the way back";
    let output = "nft 'add chain inet lvs output { type filter hook output priority mangle; }'";
    let clamp = format!(
        "nft add rule inet lvs output {ip} saddr {address} tcp flags syn tcp option maxseg size set \
         {largest}"
    );
    let mut finding = Finding::new(Severity::Advice, "tunnel-servers", &server.position, what)
        .because("OP-16", why);
    for line in [
        "nft add table inet lvs",
        output,
        &clamp,
        match tunnel {
            Tunnel::Ipip => {
                "sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.tunl0.rp_filter=0"
            }
            _ => "sysctl -w net.ipv4.conf.all.rp_filter=0",
        },
    ] {
        finding = finding.with_fix(Fix::OnRealServer(line.to_owned()));
    }
    findings.add(finding);
}

/// Bytes that a tunnel puts before a packet.
const fn header(tunnel: Tunnel, is_ipv6: bool) -> u32 {
    let ip = if is_ipv6 { 40 } else { 20_u32 };
    let rest = match tunnel {
        Tunnel::Ipip => 0,
        // UDP, and the header of GUE itself.
        Tunnel::Gue { .. } => 12,
        Tunnel::Gre { .. } => 4,
    };
    ip.saturating_add(rest)
}
