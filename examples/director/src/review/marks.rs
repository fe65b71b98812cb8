//! Services by firewall mark (OP-14).

use super::finding::{Finding, Findings, Severity};
use super::host::Host;
use super::subject::{Subject, name};

/// Marks that no rule sets: rules are the user's.
pub(super) fn review(subject: &Subject<'_>, host: &Host, findings: &mut Findings) {
    let Some(marks) = &host.marks else {
        return;
    };
    for service in subject.services() {
        for mark in subject.marks(service) {
            if marks.set.contains(&mark) || marks.has_others {
                continue;
            }
            let name = name(service);
            let (severity, code, what, why) = match marks.partly.contains(&mark) {
                true => (
                    Severity::WorksBadly,
                    "mark-partly",
                    format!("{name}: rules set the bits of {mark}, and leave others as they were"),
                    "IPVS compares the whole mark of 32 bits",
                ),
                false => (
                    Severity::Fails,
                    "mark-unset",
                    format!("{name}: no rule gives packets the mark {mark}, so none is balanced"),
                    "marks are set by rules of your own, before routing; the address must be delivered \
                     to this host besides, as one of its own or by a local route",
                ),
            };
            let mut finding =
                Finding::new(severity, code, &service.position, what).because("OP-14", why);
            for command in rules(
                subject,
                mark,
                service.family == crate::keepalived::Family::V6,
            ) {
                finding = finding.with_command(command);
            }
            findings.add(finding);
        }
    }
}

/// Rules that mark what comes for the virtual addresses; `ADDRESS` where none is known.
fn rules(subject: &Subject<'_>, mark: u32, is_ipv6: bool) -> Vec<String> {
    let family = if is_ipv6 { "ip6" } else { "ip" };
    let addresses = subject.virtual_addresses().map(|(_, address)| address.ip);
    let mut addresses: Vec<_> = addresses
        .filter(|ip| ip.is_ipv6() == is_ipv6)
        .map(|ip| ip.to_string())
        .collect();
    if addresses.is_empty() {
        addresses.push("ADDRESS".to_owned());
    }
    let mut commands = vec![
        "nft add table inet lvs".to_owned(),
        "nft 'add chain inet lvs prerouting { type filter hook prerouting priority mangle; }'"
            .to_owned(),
    ];
    commands.extend(addresses.iter().map(|address| {
        format!("nft add rule inet lvs prerouting {family} daddr {address} meta mark set {mark}")
    }));
    commands
}
