//! Synchronisation of connections with another director (OP-1, OP-3, OP-8; specification 3.10).

use lvs_ipvs::DaemonRole;

use super::finding::{Finding, Findings, Fix, Severity};
use super::host::{Host, sysctl_command};
use super::source::{Source, line};
use super::subject::{Subject, name};
use crate::keepalived::vrrp::InitialState;
use crate::keepalived::{Family, Position, SyncDaemon};
use crate::vrrp::PlannedRouter;

/// Below `/proc/sys/net`.
pub(super) const BACKUP_ONLY: &str = "ipv4/vs/backup_only";

pub(super) fn review(
    subject: &Subject<'_>,
    source: &Source<'_>,
    host: &Host,
    findings: &mut Findings,
) {
    let Some(daemon) = &subject.config().globals().lvs_sync_daemon else {
        return;
    };
    let Some(statement) = source.global("lvs_sync_daemon") else {
        return;
    };
    let written = line(statement);
    let place = (statement.position(), written.as_str());
    both_roles(subject, host, daemon, place, findings);
    id(subject, daemon, place, findings);
    running(subject, host, daemon, place, findings);
    mixed_families(subject, place, findings);
    idle(host, place, findings);
    preempting(subject, source, daemon, findings);
    if subject.has_empty_standby() {
        let what =
            "the table on standby is empty, so that most of what is synchronised is of no use";
        let why = "a connection finds its destination only where that is in the table";
        findings.add(
            Finding::new(Severity::WorksBadly, "sync-empty-standby", place.0, what)
                .because("OP-8", why)
                .with_fix(without(place)),
        );
    }
}

/// The line as a comment.
fn without((position, written): (&Position, &str)) -> Fix {
    Fix::Replace {
        at: position.clone(),
        old: written.to_owned(),
        new: format!("# {written}"),
    }
}

/// An id that other clusters on the network have, too.
fn id(
    subject: &Subject<'_>,
    daemon: &SyncDaemon,
    (position, written): (&Position, &str),
    findings: &mut Findings,
) {
    if daemon.id.is_some() {
        return;
    }
    let (what, id) = match followed(subject, daemon) {
        // Unique there, as each virtual router's is.
        Some(router) if router.interface == daemon.interface => return,
        Some(router) => {
            let id = router.config.vrid().get();
            let what = format!(
                "the id of the sync daemon is {id}, that of a virtual router on {}, and on {} another \
                 cluster may have it",
                router.interface, daemon.interface
            );
            (what, id)
        }
        None => {
            let what = "the id of the sync daemon is 0, as that of every cluster that chooses none";
            let first = subject.routers().first();
            let id = first.map_or(1, |router| router.config.vrid().get());
            (what.to_owned(), id)
        }
    };
    let why = "directors of one network take over each other's connections if they have the same id; \
               choose one of 0 to 255 that no other cluster has";
    findings.add(
        Finding::new(Severity::Advice, "sync-id", position, what)
            .because("OP-8", why)
            .with_fix(Fix::Replace {
                at: position.clone(),
                old: written.to_owned(),
                new: format!("{written} id {id}"),
            }),
    );
}

/// The virtual router whose state decides the role.
fn followed<'a>(subject: &Subject<'a>, daemon: &SyncDaemon) -> Option<&'a PlannedRouter> {
    let name = daemon.instance.as_ref()?;
    let mut routers = subject.routers().iter();
    routers.find(|router| router.name == *name)
}

/// A daemon that runs already, and not as this one should.
fn running(
    subject: &Subject<'_>,
    host: &Host,
    daemon: &SyncDaemon,
    (position, _): (&Position, &str),
    findings: &mut Findings,
) {
    let router = followed(subject, daemon);
    let id = daemon
        .id
        .or_else(|| router.map(|it| it.config.vrid().get()));
    let id = u32::from(id.unwrap_or_default());
    for other in host.daemons.iter().flatten() {
        let interface = other.interface.to_string();
        if interface == daemon.interface && other.sync_id == id {
            continue;
        }
        // As `ipvsadm` has them.
        let role = match other.role {
            DaemonRole::Backup => "backup",
            _ => "master",
        };
        let what = format!(
            "a sync daemon in the role {role} runs already, on {interface} with id {}, not on {} with id \
             {id}",
            other.sync_id, daemon.interface
        );
        let why = "the kernel has one of each role, and refuses a second one";
        findings.add(
            Finding::new(Severity::Fails, "sync-clash", position, what)
                .because("OP-8", why)
                .with_command(format!("ipvsadm --stop-daemon {role}")),
        );
    }
}

/// Real servers of another family than their service.
fn mixed_families(subject: &Subject<'_>, place: (&Position, &str), findings: &mut Findings) {
    let mut servers = subject.servers();
    let mixed = servers.find(|(service, server)| Family::of(server.ip) != service.family);
    if let Some((service, server)) = mixed {
        let what = format!(
            "{}: real_server {} is of another family, which the kernel refuses while a sync daemon runs",
            name(service),
            server.ip
        );
        let why = "messages of the sync daemon have one family for both addresses";
        findings.add(
            Finding::new(Severity::Fails, "sync-mixed-family", &server.position, what)
                .because("OP-8", why)
                .with_fix(without(place)),
        );
    }
}

/// Below `/proc/sys/net`.
const REFRESH: &str = "ipv4/vs/sync_refresh_period";

/// Connections that say nothing for a while.
fn idle(host: &Host, (position, _): (&Position, &str), findings: &mut Findings) {
    if host.number(REFRESH) == Some(0) {
        let what = "idle connections leave the standby, and do not survive a fail-over";
        let why = "net.ipv4.vs.sync_refresh_period is 0: they are sent again by their packets only";
        findings.add(
            Finding::new(Severity::Advice, "sync-idle", position, what)
                .because("OP-8", why)
                .with_command(sysctl_command(REFRESH, "10")),
        );
    }
}

/// A director that returns and takes over before it has heard of the connections.
fn preempting(
    subject: &Subject<'_>,
    source: &Source<'_>,
    daemon: &SyncDaemon,
    findings: &mut Findings,
) {
    let name = daemon.instance.as_deref().unwrap_or_default();
    let instance = subject.config().vrrp().instance(name);
    let Some(instance) = instance.filter(|it| it.preempt && it.preempt_delay.is_zero()) else {
        return;
    };
    if instance.priority == 255 {
        return;
    }
    let what = format!(
        "vrrp_instance {name}: a director that returns takes over at once, and has not heard of the \
         connections yet"
    );
    let why = "its table of connections is empty after a start, and fills as the other one sends what \
               changes; preempt_delay gives it time, and needs state BACKUP";
    let position = &instance.position;
    let mut finding =
        Finding::new(Severity::Advice, "sync-preempt", position, what).because("OP-8", why);
    let state = source.inside(position, "state");
    if let Some(statement) = state.filter(|_| instance.state == InitialState::Master) {
        finding = finding.with_fix(Fix::Replace {
            at: statement.position().clone(),
            old: line(statement),
            new: "state BACKUP".to_owned(),
        });
    }
    findings.add(finding.with_fix(Fix::Insert {
        within: Some(position.clone()),
        lines: "preempt_delay 60".to_owned(),
    }));
}

/// Without a virtual router to follow, both daemons run all the time.
fn both_roles(
    subject: &Subject<'_>,
    host: &Host,
    daemon: &SyncDaemon,
    (position, written): (&Position, &str),
    findings: &mut Findings,
) {
    if daemon.instance.is_some() || host.number(BACKUP_ONLY).is_none_or(|value| value == 0) {
        return;
    }
    let what = "both sync daemons run all the time, and net.ipv4.vs.backup_only is 1: neither director \
                balances anything";
    let why = "with backup_only, IPVS leaves packets alone while a backup daemon runs, whether or not \
               a master runs too; let the daemons follow a virtual router";
    let finding = Finding::new(Severity::Fails, "sync-both-roles", position, what)
        .because("3.10", why)
        .refused();
    let follows = subject.routers().first().filter(|_| subject.is_with_vrrp());
    findings.add(match follows {
        Some(router) => {
            let interface = &daemon.interface;
            let rest = written
                .strip_prefix(&format!("lvs_sync_daemon {interface}"))
                .unwrap_or_default();
            finding.with_fix(Fix::Replace {
                at: position.clone(),
                old: written.to_owned(),
                new: format!("lvs_sync_daemon {interface} inst {}{rest}", router.name),
            })
        }
        None => finding.with_command(sysctl_command(BACKUP_ONLY, "0")),
    });
}
