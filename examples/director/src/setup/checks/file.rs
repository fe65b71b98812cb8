//! `FILE_CHECK`: a number in a file.

use lvs_healthcheck::policy::{KeepalivedChecker, Policy};
use lvs_healthcheck::probe::file::FileProbe;

use super::{CheckError, Planned, knobs, plan};
use crate::keepalived::vrrp::TrackFile;
use crate::keepalived::{self, CheckKind, Config, FileCheck};

pub(super) fn planned(
    config: &Config,
    check: &keepalived::Check,
    written: &FileCheck,
) -> Result<Planned, CheckError> {
    let file = tracked(config, written)
        .ok_or_else(|| CheckError::NoTrackFile(written.track_file.clone()))?;
    // The check's own weight counts before that of the file.
    let (weight, reverse) = match written.weight {
        Some(weight) => (weight, written.reverse),
        None => (file.weight.value, file.weight.reverse),
    };
    let weight = match reverse {
        true => weight.saturating_neg(),
        false => weight,
    };
    let probe = FileProbe::new(&file.path).with_weight(weight);
    let policy = Policy::keepalived(KeepalivedChecker::File, &knobs(check, None));
    Ok((plan(probe, policy)?, format!("FILE_CHECK {}", file.path)))
}

/// The files that checks are about, each once.
pub(in crate::setup) fn files(config: &Config) -> Vec<TrackFile> {
    let servers = config.virtual_servers().iter();
    let checks = servers
        .flat_map(|it| &it.real_servers)
        .flat_map(|it| &it.checks);
    let mut files: Vec<TrackFile> = Vec::new();
    for check in checks {
        if let CheckKind::File(written) = &check.kind
            && let Some(file) = tracked(config, written)
            && files.iter().all(|known| known.name != file.name)
        {
            files.push(file.clone());
        }
    }
    files
}

/// The file a check is about.
fn tracked<'a>(config: &'a Config, written: &FileCheck) -> Option<&'a TrackFile> {
    let mut files = config.vrrp().files.iter();
    files.find(|file| file.name == written.track_file)
}
