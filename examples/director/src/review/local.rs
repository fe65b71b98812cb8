//! The director among its own real servers (specification 3.10).

use super::finding::{Finding, Findings, Fix, Severity};
use super::host::{Host, sysctl_command};
use super::source::{Source, line};
use super::subject::{Subject, name};
use super::sync::BACKUP_ONLY;
use crate::keepalived::VirtualAddress;

/// Two directors that are each other's real servers hand a packet to and fro.
pub(super) fn review(
    subject: &Subject<'_>,
    source: &Source<'_>,
    host: &Host,
    findings: &mut Findings,
) {
    let is_alone = !subject.is_with_vrrp() || subject.routers().is_empty();
    if is_alone || subject.has_empty_standby() {
        return;
    }
    let daemon = subject.config().globals().lvs_sync_daemon.as_ref();
    let follows = daemon.is_some_and(|daemon| daemon.instance.is_some());
    let backup_only = host.number(BACKUP_ONLY);
    if follows && backup_only.is_some_and(|value| value != 0) {
        return;
    }
    for service in subject.services() {
        // The marks can leave out what comes from the other director.
        if matches!(service.address, VirtualAddress::Fwmark(_)) {
            continue;
        }
        let mut servers = service.real_servers.iter();
        let own = servers.find(|server| {
            let is_looping = !server.forwarding.is_masquerade() && server.ip.is_loopback();
            is_looping || (!server.forwarding.is_masquerade() && host.is_local(server.ip))
        });
        let (Some(own), true) = (own, service.real_servers.len() > 1) else {
            continue;
        };
        let what = format!(
            "{}: this director is the real server {}; if the other director is one, too, a packet goes \
             to and fro between them without end",
            name(service),
            own.ip
        );
        let why = "the one on standby has the same table, and balances what the active one sends it as \
                   a real server; backup_only stops that while its backup sync daemon runs, and so \
                   does a mark that leaves out what comes from the other director";
        let mut finding = Finding::new(Severity::WorksBadly, "local-loop", &own.position, what)
            .because("3.10", why);
        if !follows && let Some(router) = subject.routers().first() {
            let (interface, instance) = (&router.interface, &router.name);
            let new = format!("lvs_sync_daemon {interface} inst {instance}");
            let written = source
                .global("lvs_sync_daemon")
                .filter(|_| daemon.is_some());
            finding = finding.with_fix(match written {
                Some(statement) => Fix::Replace {
                    at: statement.position().clone(),
                    old: line(statement),
                    new,
                },
                None => Fix::Insert {
                    within: None,
                    lines: format!("global_defs {{ {new} }}"),
                },
            });
        }
        if backup_only != Some(1) {
            finding = finding.with_command(sysctl_command(BACKUP_ONLY, "1"));
        }
        findings.add(finding);
    }
}
