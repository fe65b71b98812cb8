//! Virtual routers: what keeps neighbours from reaching their addresses (OP-6, OP-7), and what
//! keeps two of them from being active at once (OP-17).

use lvs_vrrp::net::sysctl::Finding as RouterFinding;

use super::finding::{Finding, Findings, Fix, Severity};
use super::host::{Host, sysctl_command};
use super::source::{Source, line};
use super::subject::Subject;
use crate::keepalived::vrrp::{Destination, TrackKind, VrrpInstance};
use crate::vrrp::{PlannedAddress, PlannedRouter};

pub(super) fn review(
    subject: &Subject<'_>,
    source: &Source<'_>,
    host: &Host,
    findings: &mut Findings,
) {
    for (router, address) in subject.virtual_addresses() {
        off_link(source, host, findings, router, address);
    }
    for found in &host.routers {
        of_host(subject, host, findings, found);
    }
    no_arbitration(subject, host, findings);
}

/// An IPv6 address where neighbours do not find it.
fn off_link(
    source: &Source<'_>,
    host: &Host,
    findings: &mut Findings,
    router: &PlannedRouter,
    address: &PlannedAddress,
) {
    let Some(device) = address.device.as_deref().filter(|_| address.ip.is_ipv6()) else {
        return;
    };
    // A device of this name is what it always is, whether the host is known or not.
    let is_asked = match host.interface(device) {
        Some(interface) => interface.is_asked(),
        None => device != "lo",
    };
    if is_asked || device == router.interface {
        return;
    }
    let (ip, interface, position) = (address.ip, &router.interface, &address.position);
    let what = format!("{ip} on {device}: neighbours on {interface} cannot reach it");
    let why = "neighbour solicitations are answered only on the interface that has the address";
    let mut finding = Finding::new(Severity::Fails, "ipv6-off-link", position, what)
        .because("OP-7", why)
        .refused();
    if let Some(statement) = source.at(position).first() {
        let old = line(statement);
        let new = old.replace(&format!(" dev {device}"), "");
        let at = position.clone();
        finding = finding.with_fix(Fix::Replace { at, old, new });
    }
    findings.add(finding);
}

/// What the library has found; the place is that of the first virtual router it is about.
fn of_host(subject: &Subject<'_>, host: &Host, findings: &mut Findings, found: &RouterFinding) {
    let on = |name: &str| {
        let mut routers = subject.routers().iter();
        routers.find(|router| {
            let mac = router.virtual_mac.as_ref();
            router.interface == name || mac.is_some_and(|device| device.name == name)
        })
    };
    let (device, severity, code, rule, why, fixes) = match found {
        RouterFinding::RpFilterOfAll { device, .. } => {
            let why = "answers do not leave by the device of the virtual MAC, and the larger one of the \
                       host's setting and its own counts";
            let fixes = filters(host, others_than(host, |name| name != device));
            let code = "rp-filter";
            (device, Severity::WorksBadly, code, "OP-16", why, fixes)
        }
        RouterFinding::ProxyArp { device, setting } => {
            let why = "neighbours send to whoever answered last";
            let path = format!("ipv4/conf/{device}/{setting}");
            let fixes = vec![sysctl_command(&path, "0")];
            (
                device,
                Severity::WorksBadly,
                "proxy-arp",
                "OP-6",
                why,
                fixes,
            )
        }
        RouterFinding::ArpIgnored {
            device, setting_of, ..
        } => {
            let why = "with it, only addresses of the interface itself are answered for";
            let mut fixes = Vec::new();
            for name in ["all", device] {
                let path = format!("ipv4/conf/{name}/arp_ignore");
                if name == setting_of || host.number(&path).is_some_and(|value| value > 0) {
                    fixes.push(sysctl_command(&path, "0"));
                }
            }
            (device, Severity::Fails, "arp-ignored", "OP-6", why, fixes)
        }
        // Found from the configuration.
        _ => return,
    };
    let Some(router) = on(device) else {
        return;
    };
    let what = found.to_string();
    let mut finding = Finding::new(severity, code, &router.position, what).because(rule, why);
    for command in fixes {
        finding = finding.with_command(command);
    }
    findings.add(finding);
}

/// Interfaces with a setting of their own.
fn others_than<'a>(
    host: &'a Host,
    is_other: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = &'a str> {
    let interfaces = host.interfaces.iter().flatten();
    let names = interfaces
        .filter(|it| !it.is_loopback)
        .map(|it| it.name.as_str());
    names.filter(move |name| is_other(name))
}

/// Sets reverse path filtering of the host to 0, and keeps it on these interfaces.
pub(super) fn filters<'a>(host: &Host, keep: impl Iterator<Item = &'a str>) -> Vec<String> {
    let all = host.number("ipv4/conf/all/rp_filter").unwrap_or_default();
    let mut commands = Vec::new();
    for name in keep {
        let path = format!("ipv4/conf/{name}/rp_filter");
        if host.number(&path).is_some_and(|own| own < all) {
            commands.push(sysctl_command(&path, &all.to_string()));
        }
    }
    commands.push(sysctl_command("ipv4/conf/all/rp_filter", "0"));
    commands
}

/// Two routers that do not hear each other are both active.
fn no_arbitration(subject: &Subject<'_>, host: &Host, findings: &mut Findings) {
    let instances = &subject.config().vrrp().instances;
    let Some(instance) = instances.iter().find(|it| is_unarbitrated(subject, it)) else {
        return;
    };
    let what = format!(
        "vrrp_instance {}: two nodes that do not hear each other are both active, and answer for the \
         same addresses",
        instance.name
    );
    let why = "nobody else decides which of them is cut off; a lease from a third party (the guard of \
               lvs-vrrp) does, and a script that asks the router beyond both makes it rarer";
    let gateway = host.routes.iter().flatten().find_map(|route| {
        let is_default = route.network.prefix_length == 0;
        let is_same = route.network.ip.is_ipv6() == instance_is_ipv6(instance);
        route.gateway.filter(|_| is_default && is_same)
    });
    let gateway = gateway.map_or_else(|| "ROUTER".to_owned(), |ip| ip.to_string());
    let script = format!(
        "vrrp_script router {{\n  script \"/usr/bin/ping -c 1 -W 1 {gateway}\"\n  interval 2\n  fall 3\n  \
         rise 3\n}}"
    );
    findings.add(
        Finding::new(Severity::Advice, "no-arbitration", &instance.position, what)
            .because("OP-17", why)
            .with_fix(Fix::Insert {
                within: None,
                lines: script,
            })
            .with_fix(Fix::Insert {
                within: Some(instance.position.clone()),
                lines: "track_script { router }".to_owned(),
            }),
    );
}

fn instance_is_ipv6(instance: &VrrpInstance) -> bool {
    instance.family == crate::keepalived::Family::V6
}

/// Two nodes, or nobody knows how many, and nothing else that it goes by but links.
fn is_unarbitrated(subject: &Subject<'_>, instance: &VrrpInstance) -> bool {
    let is_pair = match &instance.destination {
        Destination::Peers(peers) => peers.len() == 1,
        Destination::Group(_) => true,
    };
    let groups = subject.config().vrrp().groups.iter();
    let of_groups = groups.filter(|group| group.members.contains(&instance.name));
    let mut tracks = of_groups
        .flat_map(|group| &group.tracks)
        .chain(&instance.tracks);
    is_pair && !tracks.any(|tracked| tracked.kind != TrackKind::Interface)
}
