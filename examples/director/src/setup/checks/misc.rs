//! `MISC_CHECK`: a program decides.

use lvs_healthcheck::CommandProbe;
use lvs_healthcheck::policy::{KeepalivedChecker, Policy};

use super::command::command;
use super::{CheckError, Planned, knobs, plan};
use crate::keepalived::{self, Config, MiscCheck};

pub(super) fn planned(
    config: &Config,
    check: &keepalived::Check,
    misc: &MiscCheck,
) -> Result<Planned, CheckError> {
    let command = command(config, &misc.command)?;
    let name = format!("MISC_CHECK {command}");
    let knobs = knobs(check, Some(misc.timeout));
    let policy = Policy::keepalived(KeepalivedChecker::Misc, &knobs);
    let mut probe = CommandProbe::new(command);
    if misc.dynamic {
        probe = probe.with_dynamic(CommandProbe::DYNAMIC_MAX_KEEPALIVED);
    }
    Ok((plan(probe, policy)?, name))
}
