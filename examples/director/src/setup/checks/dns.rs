//! `DNS_CHECK`: the name server answers.

use lvs_healthcheck::policy::{KeepalivedChecker, Policy};
use lvs_healthcheck::probe::dns::{DnsProbe, RecordType};

use super::{CheckError, Planned, knobs, plan, target};
use crate::keepalived::{self, DnsCheck};

pub(super) fn planned(check: &keepalived::Check, dns: &DnsCheck) -> Result<Planned, CheckError> {
    let target = target(&dns.connection);
    let kind = RecordType::new(dns.record_type.code());
    let name = format!("DNS_CHECK {} {kind} {}", target.address(), dns.name);
    let probe = DnsProbe::keepalived(target)
        .with_name(&dns.name)
        .with_type(kind);
    let policy = Policy::keepalived(KeepalivedChecker::Dns, &knobs(check, None));
    Ok((plan(probe, policy)?, name))
}
