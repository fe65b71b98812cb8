//! Servers with weight 0: when that never ends (OP-10), and when it is better than to remove them
//! (OP-12).

use super::finding::{Finding, Findings, Fix, Severity};
use super::source::{Source, line};
use super::subject::{Subject, is_udp, name};
use crate::keepalived::{RealServer, VirtualServer};

pub(super) fn review(subject: &Subject<'_>, source: &Source<'_>, findings: &mut Findings) {
    for service in subject.services() {
        if is_udp(service) && !service.flags.one_packet {
            quiesced_udp(source, service, findings);
        }
        if let Some(fallback) = hashing(service) {
            removed_from_a_hash(service, fallback, findings);
        }
    }
}

/// `inhibit_on_failure` keeps a failed server in the table, with weight 0.
fn quiesced_udp(source: &Source<'_>, service: &VirtualServer, findings: &mut Findings) {
    let mut kept = service.real_servers.iter();
    let Some(server) = kept.find(|server| server.inhibit_on_failure && is_checked(server)) else {
        return;
    };
    let of_server = source.inside(&server.position, "inhibit_on_failure");
    let written = of_server.or_else(|| source.inside(&service.position, "inhibit_on_failure"));
    let position = written.map_or(&server.position, |statement| statement.position());
    let what = format!(
        "{}: a failed server keeps weight 0, and clients that go on sending stay with it for ever",
        name(service)
    );
    let why = "a UDP client that keeps sending from one port keeps its entry, which ends only where the \
               server is removed or each packet is scheduled anew (ops)";
    let mut finding =
        Finding::new(Severity::WorksBadly, "udp-weight-0", position, what).because("OP-10", why);
    if let Some(statement) = written {
        finding = finding.with_fix(Fix::Replace {
            at: position.clone(),
            old: line(statement),
            new: "inhibit_on_failure off".to_owned(),
        });
    }
    findings.add(finding);
}

/// A scheduler that chooses by a hash, and its flag for another choice where the first has weight 0.
fn hashing(service: &VirtualServer) -> Option<Option<&'static str>> {
    match service.scheduler {
        "sh" => Some(Some("sh-fallback")),
        "mh" => Some(Some("mh-fallback")),
        "dh" => Some(None),
        _ => None,
    }
}

fn removed_from_a_hash(service: &VirtualServer, fallback: Option<&str>, findings: &mut Findings) {
    let mut servers = service.real_servers.iter();
    let is_removed = servers.any(|server| !server.inhibit_on_failure && is_checked(server));
    let fallback = fallback.filter(|_| !service.flags.flag_1);
    let mut lines = Vec::new();
    let scheduler = service.scheduler;
    let what = match (is_removed, fallback) {
        (true, _) => {
            "a failed server is removed and added again at another place, so that many clients \
                      change servers, and two directors choose differently"
        }
        (false, Some(_)) => {
            "clients of a failed server get no other one, as it stays with weight 0"
        }
        (false, None) => return,
    };
    if is_removed {
        lines.push("inhibit_on_failure");
    }
    lines.extend(fallback);
    let what = format!("{}: with scheduler {scheduler}, {what}", name(service));
    let why = "what a hash chooses depends on the order of the servers, and a server that is added \
               comes first; with weight 0 they keep their places, and the fallback flag lets their \
               clients go elsewhere meanwhile";
    let severity = match is_removed && scheduler == "dh" {
        // There the clients of one with weight 0 are not served at all.
        true => {
            lines.clear();
            Severity::Advice
        }
        false => Severity::WorksBadly,
    };
    let mut finding =
        Finding::new(severity, "hash-order", &service.position, what).because("OP-12", why);
    for line in lines {
        finding = finding.with_fix(Fix::Insert {
            within: Some(service.position.clone()),
            lines: line.to_owned(),
        });
    }
    findings.add(finding);
}

const fn is_checked(server: &RealServer) -> bool {
    !server.checks.is_empty()
}
