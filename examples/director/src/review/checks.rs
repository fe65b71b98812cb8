//! Checks that test the director instead of a server (OP-18), and that fail for a lost packet
//! (specification 1.3.4).

use core::net::SocketAddr;
use core::time::Duration;

use super::finding::{Finding, Findings, Fix, Severity};
use super::host::Host;
use super::source::{Source, line};
use super::subject::{Subject, connections};
use crate::keepalived::{Check, CheckKind, RealServer, Statement};

/// A check of a real server that connects to another address, which is this host's own.
///
/// A real server that is this host itself is checked where it is.
pub(super) fn review(
    subject: &Subject<'_>,
    source: &Source<'_>,
    host: &Host,
    findings: &mut Findings,
) {
    for (_, server) in subject.servers() {
        for check in &server.checks {
            impatient(source, check, findings);
            scripted(subject, source, server, check, findings);
            let own = connections(check).iter().find(|connection| {
                let ip = connection.ip;
                // A mark may send it elsewhere: that is how it is done on purpose.
                let is_aimed = connection.fwmark == 0 && ip != server.ip;
                is_aimed && (subject.is_virtual(ip) || host.is_local(ip))
            });
            let Some(connection) = own else {
                continue;
            };
            let keyword = check.kind.keyword();
            let what = format!(
                "{keyword} of real_server {}: {} is an address of the director, so the check tests the \
                 director and says the same of every server",
                server.ip, connection.ip
            );
            let why = "packets to an address of this host never leave it; check the server at an \
                       address of its own";
            let written = source.inside(&check.position, "connect_ip");
            let fix = match written {
                Some(statement) => Fix::Replace {
                    at: statement.position().clone(),
                    old: line(statement),
                    new: format!("connect_ip {}", server.ip),
                },
                None => Fix::Insert {
                    within: Some(check.position.clone()),
                    lines: format!("connect_ip {}", server.ip),
                },
            };
            let position = written.map_or(&check.position, Statement::position);
            findings.add(
                Finding::new(Severity::Fails, "self-check", position, what)
                    .because("OP-18", why)
                    .with_fix(fix),
            );
        }
    }
}

/// A script that is given an address that clients connect to.
fn scripted(
    subject: &Subject<'_>,
    source: &Source<'_>,
    server: &RealServer,
    check: &Check,
    findings: &mut Findings,
) {
    let CheckKind::Misc(misc) = &check.kind else {
        return;
    };
    let address = |word: &String| {
        let word = word.trim_matches(['[', ']']);
        let socket = |word: &str| Some(word.parse::<SocketAddr>().ok()?.ip());
        word.parse().ok().or_else(|| socket(word))
    };
    let words = misc.command.words.iter().skip(1).filter_map(address);
    let Some(ip) = words
        .filter(|ip| *ip != server.ip)
        .find(|ip| subject.is_virtual(*ip))
    else {
        return;
    };
    let what = format!(
        "MISC_CHECK of real_server {} is given {ip}, an address of the director: does it test the server?",
        server.ip
    );
    let why = "packets to an address of this host never leave it, unless the script marks them";
    let written = source.inside(&check.position, "misc_path");
    let position = written.map_or(&check.position, Statement::position);
    findings.add(
        Finding::new(Severity::Advice, "self-check", position, what)
            .because("OP-18", why)
            .with_fix(Fix::Replace {
                at: position.clone(),
                old: ip.to_string(),
                new: server.ip.to_string(),
            }),
    );
}

/// From when on a SYN that was lost has been sent again.
const SECOND_SYN: Duration = Duration::from_secs(1);

/// From when on a neighbour that is not there is known not to be.
const NO_NEIGHBOUR: Duration = Duration::from_secs(4);

/// A check that does not wait for what the kernel does within its time.
fn impatient(source: &Source<'_>, check: &Check, findings: &mut Findings) {
    let timing = check.timing;
    let timeout = timing.connect_timeout;
    let (severity, seconds, what, why) = match &check.kind {
        CheckKind::Udp(_) if timeout < NO_NEIGHBOUR => (
            Severity::Advice,
            NO_NEIGHBOUR.as_secs(),
            "does not hear that a host is gone, and takes silence for success",
            "the kernel says so after 3 s without an answer by ARP or neighbour discovery",
        ),
        CheckKind::Udp(_) | CheckKind::Dns(_) | CheckKind::Ping(_) => return,
        _ if connections(check).is_empty() || timing.retry > 0 || timeout >= SECOND_SYN => return,
        _ => (
            Severity::WorksBadly,
            3,
            "takes a server for failed when one packet is lost",
            "a SYN that was lost is sent again after 1 s and 3 s, and there is no retry",
        ),
    };
    let keyword = check.kind.keyword();
    let what = format!("{keyword} with connect_timeout {timeout:?} {what}");
    let new = format!("connect_timeout {seconds}");
    let written = source.inside(&check.position, "connect_timeout");
    let fix = match written {
        Some(statement) => Fix::Replace {
            at: statement.position().clone(),
            old: line(statement),
            new,
        },
        None => Fix::Insert {
            within: Some(check.position.clone()),
            lines: new,
        },
    };
    let position = written.map_or(&check.position, Statement::position);
    findings.add(
        Finding::new(severity, "short-timeout", position, what)
            .because("1.3.4", why)
            .with_fix(fix),
    );
}
