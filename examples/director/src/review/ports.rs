//! Ports of real servers that nothing translates to (specification 3.1).

use core::net::IpAddr;

use super::finding::{Finding, Findings, Fix, Severity};
use super::source::{Source, line};
use super::subject::{Subject, name};
use crate::keepalived::{Forwarding, Position, Statement, VirtualServer};

/// Direct routing and tunnels leave the port as it is.
pub(super) fn review(subject: &Subject<'_>, source: &Source<'_>, findings: &mut Findings) {
    for service in subject.services() {
        for server in &service.real_servers {
            let (position, ip, port) = (&server.position, server.ip, server.port);
            compare(
                source,
                findings,
                service,
                server.forwarding,
                position,
                ip,
                port,
            );
        }
        if let Some(sorry) = &service.sorry_server {
            let (position, ip, port) = (&sorry.position, sorry.ip, sorry.port);
            compare(
                source,
                findings,
                service,
                sorry.forwarding,
                position,
                ip,
                port,
            );
        }
    }
}

/// With a mark, or several ports, the corrected port is 0: that of the client, whatever it is.
fn compare(
    source: &Source<'_>,
    findings: &mut Findings,
    service: &VirtualServer,
    forwarding: Forwarding,
    position: &Position,
    ip: IpAddr,
    port: u16,
) {
    let method = match forwarding {
        Forwarding::DirectRoute => "direct routing",
        Forwarding::Tunnel(_) => "a tunnel",
        _ => return,
    };
    if port == 0 {
        return;
    }
    let written = source.at(position).iter();
    let mut written = written.filter_map(|statement| {
        let written: u16 = word(statement, 1)?.parse().ok()?;
        let is_it = word(statement, 0)?.parse() == Ok(ip) && written != 0 && written != port;
        is_it.then_some((*statement, written))
    });
    let Some((statement, written)) = written.next() else {
        return;
    };
    let keyword = statement.keyword();
    let what = format!(
        "{keyword} {ip} port {written}: {method} delivers what comes for {} to port {port}, where the \
         server does not listen",
        name(service)
    );
    let why = format!(
        "only NAT translates ports; the server has to listen on port {port} itself, or be given {} NAT",
        match keyword {
            "sorry_server" => "sorry_server_lvs_method",
            _ => "lvs_method",
        }
    );
    let fix = Fix::Replace {
        at: position.clone(),
        old: line(statement),
        new: format!("{keyword} {ip} {port}"),
    };
    findings.add(
        Finding::new(Severity::Fails, "port-differs", position, what)
            .because("3.1", why)
            .with_fix(fix),
    );
}

fn word(statement: &Statement, index: usize) -> Option<&str> {
    let word = statement.arguments().get(index)?;
    Some(word.text())
}
