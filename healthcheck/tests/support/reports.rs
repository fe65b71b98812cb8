//! What a driver reports.

use core::time::Duration;
use std::time::Instant;

use lvs_healthcheck::{CheckEvent, Driver, Report};

/// How long a busy machine may take for all.
const PATIENCE: Duration = Duration::from_secs(120);

/// Polls until there are so many reports.
pub(super) fn reports(driver: &mut Driver, count: usize) -> Vec<Report> {
    let end = Instant::now() + PATIENCE;
    let mut events = Vec::new();
    while events.len() < count {
        assert!(
            Instant::now() < end,
            "only {} events: {events:?}",
            events.len()
        );
        driver
            .poll(Some(Duration::from_secs(1)), &mut events)
            .unwrap();
    }
    let report = |event| match event {
        CheckEvent::Completed(report) => report,
        other => panic!("unexpected {other:?}"),
    };
    events.into_iter().map(report).collect()
}
