//! `SMTP_CHECK`: the mail server answers HELO.

use lvs_healthcheck::TcpProbe;
use lvs_healthcheck::policy::{KeepalivedChecker, Policy};
use lvs_healthcheck::probe::smtp::Smtp;

use super::{CheckError, Planned, knobs, plan, target};
use crate::keepalived::{self, SmtpCheck};

pub(super) fn planned(check: &keepalived::Check, smtp: &SmtpCheck) -> Result<Planned, CheckError> {
    let target = target(&smtp.connection);
    let name = format!("SMTP_CHECK {}", target.address());
    let mut dialogue = Smtp::keepalived();
    if let Some(helo) = &smtp.helo_name {
        dialogue = dialogue.with_name(helo);
    }
    let probe = TcpProbe::new(target).with_protocol(dialogue);
    let policy = Policy::keepalived(KeepalivedChecker::Smtp, &knobs(check, None));
    Ok((plan(probe, policy)?, name))
}
