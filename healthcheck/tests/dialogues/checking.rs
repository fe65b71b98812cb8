//! Runs one attempt of a probe and gives its report.

use core::time::Duration;

use lvs_healthcheck::{Probe, Report};

use super::first::{first_report, policy};

/// The first report of a check, with this time for the attempt.
pub(super) fn report_within(probe: impl Probe + 'static, timeout: Duration) -> Report {
    first_report(probe, policy().with_timeout(timeout))
}

/// The first report of a check.
pub(super) fn report(probe: impl Probe + 'static) -> Report {
    first_report(probe, policy())
}
