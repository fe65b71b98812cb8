//! The start-up review, as the program shows it.

use director::review::{Finding, Host, Severity, Subject, review};

use crate::Failure;
use crate::arguments::{Arguments, Standby};
use crate::configuration::Configuration;
use crate::journal::Journal;

/// What of the configuration will not work on this host; with a table in memory, what will work
/// nowhere. `running` is what runs already.
pub(crate) fn look(
    configuration: &Configuration,
    arguments: &Arguments,
    running: Option<&Configuration>,
) -> Vec<Finding> {
    let file = &configuration.file;
    let mut subject = Subject::new(&file.config, &file.plan);
    if configuration.vrrp.is_none() {
        subject = subject.without_vrrp();
    }
    if !arguments.runs_checkers() {
        subject = subject.without_checkers();
    }
    if matches!(arguments.standby_table, Standby::Empty) {
        subject = subject.with_empty_standby();
    }
    if arguments.drain.is_some() {
        subject = subject.draining();
    }
    let mut host = match arguments.memory {
        true => Host::default(),
        false => Host::look_for(&subject),
    };
    if running.is_some_and(|it| it.vrrp.as_ref().is_some_and(|vrrp| vrrp.sync.is_some())) {
        // Those are our own, which become what the file says.
        host.daemons = None;
    }
    review(&subject, &host)
}

/// Says what would be run, and what of it would not work: that is a failure.
pub(crate) fn check(
    configuration: &Configuration,
    findings: &[Finding],
    is_json: bool,
    journal: &mut Journal,
) -> Result<(), Failure> {
    if is_json {
        for finding in findings {
            journal.plain(&finding.to_json());
        }
    } else {
        for pool in configuration.setup.iter().flat_map(|setup| &setup.pools) {
            let servers = pool.servers.len();
            journal.line(&format_args!("{}: {servers} real servers", pool.name()));
        }
        for name in configuration.names().values() {
            let (router, interface) = (&name.router, &name.interface);
            journal.line(&format_args!("vrrp_instance {router} on {interface}"));
        }
        for finding in findings {
            journal.plain(finding);
        }
    }
    let failing = findings.iter().filter(|it| it.severity == Severity::Fails);
    match failing.count() {
        0 => Ok(()),
        1 => Err(Failure::running("1 thing of this will not work")),
        several => Err(Failure::running(format!(
            "{several} things of this will not work"
        ))),
    }
}

/// Says at the start what will not work, or not well, and does not go on where that would do harm.
pub(crate) fn report(
    findings: &[Finding],
    arguments: &Arguments,
    journal: &mut Journal,
) -> Result<(), Failure> {
    for finding in told(findings) {
        match arguments.json {
            true => journal.plain(&finding.to_json()),
            false => journal.line(finding),
        }
    }
    refused(findings, arguments).map_or(Ok(()), Err)
}

/// What is said while it runs.
pub(crate) fn told(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    let findings = findings.iter();
    findings.filter(|it| it.severity > Severity::Advice)
}

/// Why it is not to be run, where that would do harm.
pub(crate) fn refused(findings: &[Finding], arguments: &Arguments) -> Option<Failure> {
    let mut findings = findings.iter().filter(|_| !arguments.ignore_errors);
    let refused = findings.find(|it| it.is_refused)?;
    Some(Failure::running(format!(
        "{}; --ignore-errors runs it all the same",
        refused.what
    )))
}
