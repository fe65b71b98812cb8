//! How often the same is reported.

use alloc::collections::BTreeMap;
use core::net::IpAddr;
use core::time::Duration;

use super::Subject;
use crate::timer::Timestamp;

/// So many things are remembered; further ones are only counted until some are old.
const MAX_REMEMBERED: usize = 1024;

/// What was reported of what, and from where.
pub(super) type LimitKey = (Subject, &'static str, Option<IpAddr>);

/// At first sight, then at most once in a time, with the number of those in between.
#[derive(Clone, Debug, Default)]
pub(super) struct Limiter {
    seen: BTreeMap<LimitKey, Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    reported_at: Timestamp,
    suppressed: u64,
}

impl Limiter {
    /// Whether it is to be reported now, and then how many were not since the last time.
    pub(super) fn admit(
        &mut self,
        now: Timestamp,
        interval: Duration,
        key: LimitKey,
    ) -> Option<u64> {
        let is_old = |seen: &Seen| now >= seen.reported_at.saturating_add(interval);
        if let Some(seen) = self.seen.get_mut(&key) {
            if !is_old(seen) {
                seen.suppressed = seen.suppressed.saturating_add(1);
                return None;
            }
            seen.reported_at = now;
            return Some(core::mem::take(&mut seen.suppressed));
        }
        if self.seen.len() >= MAX_REMEMBERED {
            // Forged sources must not push out what is still limited.
            self.seen.retain(|_, seen| !is_old(seen));
            if self.seen.len() >= MAX_REMEMBERED {
                return None;
            }
        }
        let seen = Seen {
            reported_at: now,
            suppressed: 0,
        };
        self.seen.insert(key, seen);
        Some(0)
    }
}
