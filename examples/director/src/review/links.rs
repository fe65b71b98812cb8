//! Direct routing to servers behind a router (specification 2.0: same link).

use super::finding::{Finding, Findings, Fix, Severity};
use super::host::Host;
use super::source::{Source, line};
use super::subject::Subject;
use crate::keepalived::Forwarding;

/// A real server that packets reach through a router: with direct routing that router gets a packet
/// to the virtual address, and sends it back.
pub(super) fn review(
    subject: &Subject<'_>,
    source: &Source<'_>,
    host: &Host,
    findings: &mut Findings,
) {
    for (_, server) in subject.servers() {
        if server.forwarding != Forwarding::DirectRoute || host.is_local(server.ip) {
            continue;
        }
        let route = host.route(server.ip);
        let Some((gateway, route)) = route.and_then(|route| Some((route.gateway?, route))) else {
            continue;
        };
        let what = format!(
            "real_server {} is behind the router {gateway}, on {}: direct routing does not reach it",
            server.ip, route.interface
        );
        let why = "the packet keeps the virtual address, so the router sends it back to the director; \
                   real servers have to be on a link of the director, or behind a tunnel";
        let written = source.inside(&server.position, "lvs_method");
        let new = "lvs_method TUN".to_owned();
        let fix = match written {
            Some(statement) => Fix::Replace {
                at: statement.position().clone(),
                old: line(statement),
                new,
            },
            None => Fix::Insert {
                within: Some(server.position.clone()),
                lines: new,
            },
        };
        findings.add(
            Finding::new(Severity::Fails, "not-on-link", &server.position, what)
                .because("2.0", why)
                .with_fix(fix),
        );
    }
}
