//! What has to be there before anything runs: IPVS, privileges, interfaces.

use super::finding::{Finding, Findings, Fix, Severity};
use super::host::{Host, Ipvs};
use super::source::{Source, line};
use super::subject::Subject;
use crate::keepalived::{CheckKind, Position, Statement};

pub(super) fn review(
    subject: &Subject<'_>,
    source: &Source<'_>,
    host: &Host,
    findings: &mut Findings,
) {
    ipvs(subject, host, findings);
    privileges(subject, host, findings);
    if host.interfaces.is_none() {
        return;
    }
    if subject.is_with_vrrp() {
        of_routers(subject, source, host, findings);
    }
    let daemon = subject.config().globals().lvs_sync_daemon.as_ref();
    if subject.is_with_checkers()
        && let (Some(daemon), Some(statement)) = (daemon, source.global("lvs_sync_daemon"))
    {
        interface(
            host,
            findings,
            &daemon.interface,
            statement.position(),
            None,
        );
    }
}

fn ipvs(subject: &Subject<'_>, host: &Host, findings: &mut Findings) {
    let first = subject.services().first();
    if let (true, Some(service), Some(Ipvs::Missing)) =
        (subject.is_with_checkers(), first, host.ipvs)
    {
        let what = "there is no IPVS in this kernel, or it is not loaded: nothing is balanced";
        let why = "virtual services are kept by the kernel's module ip_vs";
        findings.add(
            Finding::new(Severity::Fails, "no-ipvs", &service.position, what)
                .because("3.1", why)
                .with_command("modprobe ip_vs"),
        );
    }
}

fn privileges(subject: &Subject<'_>, host: &Host, findings: &mut Findings) {
    let (Some(has), Some(place)) = (host.capabilities, subject.place()) else {
        return;
    };
    let with_routers = subject.is_with_vrrp() && !subject.routers().is_empty();
    let pings = subject.is_with_checkers()
        && subject.servers().any(|(_, server)| {
            let mut checks = server.checks.iter();
            checks.any(|check| matches!(check.kind, CheckKind::Ping(_)))
        });
    let mut missing = Vec::new();
    if !has.net_admin {
        missing.push("CAP_NET_ADMIN");
    }
    if !has.net_raw && (with_routers || pings) {
        missing.push("CAP_NET_RAW");
    }
    if missing.is_empty() {
        return;
    }
    let what = format!(
        "this process may not do what it has to: it lacks {}",
        missing.join(", ")
    );
    let why = "the table and virtual addresses take CAP_NET_ADMIN, advertisements and pings CAP_NET_RAW; \
               run it as root, or give the program both";
    let program = host.program.as_deref();
    let program = program.map_or_else(|| "director".into(), |path| path.to_string_lossy());
    findings.add(
        Finding::new(Severity::Fails, "no-privilege", place, what)
            .because("capabilities(7)", why)
            .with_command(format!("setcap cap_net_raw,cap_net_admin+ep '{program}'")),
    );
}

/// Interfaces of virtual routers and of their addresses.
fn of_routers(subject: &Subject<'_>, source: &Source<'_>, host: &Host, findings: &mut Findings) {
    let may_be_missing = subject.config().globals().dynamic_interfaces;
    for router in subject.routers() {
        let written = source.inside(&router.position, "interface");
        let position = written.map_or(&router.position, Statement::position);
        let is_missing = host.interface(&router.interface).is_none();
        if !(may_be_missing && is_missing) {
            interface(host, findings, &router.interface, position, written);
        }
    }
    for (router, address) in subject.virtual_addresses() {
        let own_device = router.virtual_mac.as_ref().map(|device| &device.name);
        if let Some(device) = &address.device
            && *device != router.interface
            && Some(device) != own_device
        {
            let is_kept = address.ip.is_ipv4() && host.interface(device).is_some();
            match is_kept {
                true => resting(host, findings, device, &address.position),
                false => interface(host, findings, device, &address.position, None),
            }
        }
    }
}

/// An interface that is missing, or down.
fn interface(
    host: &Host,
    findings: &mut Findings,
    name: &str,
    position: &Position,
    written: Option<&Statement>,
) {
    match host.interface(name) {
        Some(found) if found.is_up => {}
        Some(_) => findings.add(
            Finding::new(
                Severity::Fails,
                "link-down",
                position,
                format!("{name} is down"),
            )
            .because("ip-link(8)", "nothing is sent or received there")
            .with_command(format!("ip link set {name} up")),
        ),
        None => {
            let what = format!("there is no interface {name}");
            let why = "what is to be sent, received or put there is not";
            let mut finding = Finding::new(Severity::Fails, "no-interface", position, what)
                .because("ip-link(8)", why);
            let commands = making(host, name);
            if let ([], Some(statement), Some(other)) = (&commands[..], written, only_one(host)) {
                finding = finding.with_fix(Fix::Replace {
                    at: statement.position().clone(),
                    old: line(statement),
                    new: format!("interface {other}"),
                });
            }
            for command in commands {
                finding = finding.with_command(command);
            }
            findings.add(finding);
        }
    }
}

/// The kernel takes packets to an IPv4 address of a device that is down, until somebody sets it up and
/// down again.
fn resting(host: &Host, findings: &mut Findings, name: &str, position: &Position) {
    if host.interface(name).is_some_and(|found| !found.is_up) {
        let what =
            format!("{name} is down, and the address is there only until it goes down again");
        let why = "an address is added to a device that is down, but lost when it is set down";
        findings.add(
            Finding::new(Severity::Advice, "device-down", position, what)
                .because("ip-link(8)", why)
                .with_command(format!("ip link set {name} up")),
        );
    }
}

/// Modules that bring an interface of that name along.
const MODULES: [(&str, &str); 5] = [
    ("tunl0", "ipip"),
    ("ip6tnl0", "ip6_tunnel"),
    ("sit0", "sit"),
    ("gre0", "ip_gre"),
    ("ip6gre0", "ip6_gre"),
];

/// How an interface of that name is made, where the name says of which kind it is.
fn making(host: &Host, name: &str) -> Vec<String> {
    let up = format!("ip link set {name} up");
    if let Some((_, module)) = MODULES.iter().find(|(fixed, _)| *fixed == name) {
        return vec![format!("modprobe {module}"), up];
    }
    if name.starts_with("dummy") {
        return vec![format!("ip link add {name} type dummy"), up];
    }
    if let Some((base, id)) = name.split_once('.')
        && host.interface(base).is_some()
        && id.parse().is_ok_and(|id: u16| (1..=4094).contains(&id))
    {
        let add = format!("ip link add link {base} name {name} type vlan id {id}");
        return vec![add, up];
    }
    Vec::new()
}

/// The interface, if there is one only that virtual routers can be on.
fn only_one(host: &Host) -> Option<&str> {
    let interfaces = host.interfaces.iter().flatten();
    let mut usable = interfaces.filter(|it| it.is_asked() && it.is_up);
    match (usable.next(), usable.next()) {
        (Some(one), None) => Some(&one.name),
        _ => None,
    }
}
