//! How often the same is reported.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use super::{ReportKind, Subject};
use crate::timer::{self, NEVER, Timestamp};

/// So many things are remembered; further ones are limited by router and reason, whatever their source,
/// until some are old.
const MAX_REMEMBERED: usize = 1024;

/// What was reported of what, and from where.
pub(super) type LimitKey = (Subject, &'static str, Option<IpAddr>);

/// At first sight, then at most once in a time, with the number of those in between: with the next
/// one, or when the time is over, if there is none.
#[derive(Clone, Debug)]
pub(super) struct Limiter {
    seen: BTreeMap<LimitKey, Seen>,
    /// When the first count that nobody was told is due.
    due_at: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    reported_at: Timestamp,
    suppressed: u64,
    /// What it would be reported as.
    kind: ReportKind,
}

impl Default for Limiter {
    fn default() -> Self {
        Self {
            seen: BTreeMap::new(),
            due_at: NEVER,
        }
    }
}

impl Limiter {
    /// What is to be reported now, if anything.
    pub(super) fn admit(
        &mut self,
        now: Timestamp,
        interval: Duration,
        mut key: LimitKey,
        kind: ReportKind,
    ) -> Option<ReportKind> {
        let end_of = |seen: &Seen| seen.reported_at.saturating_add(interval);
        if !self.seen.contains_key(&key) && self.seen.len() >= MAX_REMEMBERED {
            // Forged sources must not push out what is still limited, or not told yet.
            self.seen
                .retain(|_, seen| now < end_of(seen) || seen.suppressed > 0);
            if self.seen.len() >= MAX_REMEMBERED {
                // Nor hide that there is something wrong with others.
                key.2 = None;
                if key.0.router.is_none() {
                    key.0.vrid = None;
                }
            }
        }
        if let Some(seen) = self.seen.get_mut(&key) {
            if now < end_of(seen) {
                seen.suppressed = seen.suppressed.saturating_add(1);
                seen.kind = kind;
                self.due_at = self.due_at.min(end_of(seen));
                return None;
            }
            seen.reported_at = now;
            return Some(kind.with_suppressed(core::mem::take(&mut seen.suppressed)));
        }
        let seen = Seen {
            reported_at: now,
            suppressed: 0,
            kind,
        };
        self.seen.insert(key, seen);
        Some(kind)
    }

    /// When [`take_due`](Self::take_due) has something to give; perhaps nothing, if it was told with
    /// another one since.
    pub(super) const fn deadline(&self) -> Timestamp {
        self.due_at
    }

    /// What was counted in a time that is over. Each report stands for the last of those it tells
    /// of, so it says one less.
    pub(super) fn take_due(
        &mut self,
        now: Timestamp,
        interval: Duration,
    ) -> Vec<(Subject, ReportKind)> {
        let mut due = Vec::new();
        if !timer::is_due(now, self.due_at) {
            return due;
        }
        self.due_at = NEVER;
        for ((subject, _, _), seen) in &mut self.seen {
            let end = seen.reported_at.saturating_add(interval);
            if seen.suppressed == 0 {
                continue;
            }
            if now < end {
                self.due_at = self.due_at.min(end);
                continue;
            }
            let others = core::mem::take(&mut seen.suppressed).saturating_sub(1);
            seen.reported_at = now;
            due.push((*subject, seen.kind.with_suppressed(others)));
        }
        due
    }
}
