//! `MISC_CHECK`: a program decides.

use lvs_healthcheck::CommandProbe;
use lvs_healthcheck::policy::{KeepalivedChecker, Policy};

use super::{CheckError, Planned, knobs, plan};
use crate::keepalived::{self, MiscCheck};
use crate::notify::account::Accounts;

pub(super) fn planned(
    accounts: &Accounts,
    check: &keepalived::Check,
    misc: &MiscCheck,
) -> Result<Planned, CheckError> {
    let command = accounts.command(&misc.command)?;
    let name = format!("MISC_CHECK {command}");
    let knobs = knobs(check, Some(misc.timeout));
    let policy = Policy::keepalived(KeepalivedChecker::Misc, &knobs);
    let mut probe = CommandProbe::new(command);
    if misc.dynamic {
        probe = probe.with_dynamic(CommandProbe::DYNAMIC_MAX_KEEPALIVED);
    }
    Ok((plan(probe, policy)?, name))
}
