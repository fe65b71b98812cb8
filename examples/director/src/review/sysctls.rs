//! What a director wants of the kernel's settings (OP-9).

use lvs_ipvs::Family;
use lvs_ipvs::sysctl::{Director, IP_FORWARD, IPV6_FORWARDING};

use super::finding::{Finding, Findings, Severity};
use super::host::{Host, Ipvs, sysctl_command};
use super::subject::{Subject, is_udp};
use crate::keepalived::{self, Position};

/// Whatever is wanted for the sake of something that is configured, at the first place where it is.
#[derive(Debug, Default)]
struct Wanted<'a> {
    masquerade: Option<&'a Position>,
    masquerade_v6: Option<&'a Position>,
    others: Option<&'a Position>,
}

pub(super) fn review(subject: &Subject<'_>, host: &Host, findings: &mut Findings) {
    let Some(sysctls) = &host.sysctls else {
        return;
    };
    let mut director = Director::new();
    let mut wanted = Wanted::default();
    for (service, server) in subject.servers() {
        if server.forwarding.is_masquerade() {
            if service.family == keepalived::Family::V6 {
                director = director.masquerading(Family::Inet6);
                wanted.masquerade_v6.get_or_insert(&server.position);
            } else {
                director = director.masquerading(Family::Inet);
                wanted.masquerade.get_or_insert(&server.position);
            }
        }
        if !server.inhibit_on_failure && !server.checks.is_empty() {
            director = director.removing_dead_servers();
        }
        let is_quiesced = server.inhibit_on_failure || (subject.drains() && !is_udp(service));
        if is_quiesced && service.persistence.is_some() {
            director = director.draining_persistent_services();
        }
        wanted.others.get_or_insert(&service.position);
    }
    let preset = director.preset();
    let found = preset.review_values(|definition| sysctls.get(definition.path).cloned());
    for finding in found.findings() {
        let (sysctl, value) = (finding.wish.sysctl(), finding.wish.value());
        let (severity, place) = match sysctl {
            it if it == IP_FORWARD.definition() => (Severity::Fails, wanted.masquerade),
            it if it == IPV6_FORWARDING.definition() => (Severity::Fails, wanted.masquerade_v6),
            // They come with IPVS, which is found to be missing elsewhere.
            _ if finding.found.is_none() && host.ipvs != Some(Ipvs::Ready) => continue,
            _ => (Severity::WorksBadly, wanted.others),
        };
        let Some(place) = place else {
            continue;
        };
        let what = match &finding.found {
            Some(found) => format!("{sysctl} is {found}, should be {value}"),
            None => format!("{sysctl} is not there, should be {value}"),
        };
        let mut of_host =
            Finding::new(severity, "sysctl", place, what).because("OP-9", finding.wish.reason());
        if finding.found.is_some() {
            of_host = of_host.with_command(sysctl_command(sysctl.path, value));
        }
        findings.add(of_host);
    }
}
