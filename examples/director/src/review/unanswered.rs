//! What could not be looked at, as the program that shows it gave no answer.

use core::time::Duration;

use super::finding::{Finding, Findings, Severity};
use super::host::Host;
use super::subject::Subject;

/// So long each program may take that is asked about this host.
pub(super) const LIMIT: Duration = Duration::from_secs(2);

pub(super) fn review(subject: &Subject<'_>, host: &Host, findings: &mut Findings) {
    let Some(service) = subject.services().first() else {
        return;
    };
    for command in &host.unanswered {
        let (rule, of) = match command.starts_with("ethtool ") {
            true => ("OP-16", "settings of network cards"),
            false => ("OP-14", "rules that set marks"),
        };
        let what = format!("{command}: no answer within {LIMIT:?}");
        let why = format!("{of} were not looked at, or not all of them");
        findings.add(
            Finding::new(Severity::Advice, "no-answer", &service.position, what)
                .because(rule, why)
                .with_command(command.clone()),
        );
    }
}
