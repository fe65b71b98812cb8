//! What a router remembers of `auth_hmac` trailers: the last sequence sent, and the last of each
//! source.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use super::{Node, Router};
use crate::config::RouterConfig;
use crate::receive::{TrailerRules, TrailerWindow};
use crate::timer::Timestamp;

/// So many sources are remembered. Only who has a key can add one; beyond it the oldest goes.
const MAX_SOURCES: usize = 64;

#[derive(Clone, Debug, Default)]
pub(super) struct Trailers {
    sent: u64,
    heard: Vec<(IpAddr, u64)>,
}

impl Trailers {
    /// The next sequence: the time, and a count where that is not enough to grow.
    pub(super) fn next(&mut self, utc: Duration) -> u64 {
        let fraction = (u64::from(utc.subsec_nanos()) << 16)
            .checked_div(1_000_000_000)
            .unwrap_or_default();
        let time = (u64::from(seconds(utc)) << 32) | (fraction << 16);
        self.sent = time.max(self.sent.saturating_add(1));
        self.sent
    }

    fn last_of(&self, source: IpAddr) -> Option<u64> {
        let mut heard = self.heard.iter();
        let (_, last) = heard.find(|(other, _)| *other == source)?;
        Some(*last)
    }

    /// An advertisement with this sequence was accepted.
    pub(super) fn heard(&mut self, source: IpAddr, sequence: u64) {
        let known = self.heard.iter_mut().find(|(other, _)| *other == source);
        if let Some((_, last)) = known {
            *last = sequence;
            return;
        }
        if self.heard.len() >= MAX_SOURCES {
            let sources = self.heard.iter().enumerate();
            let oldest = sources.min_by_key(|(_, (_, last))| *last);
            if let Some((place, _)) = oldest {
                self.heard.swap_remove(place);
            }
        }
        self.heard.push((source, sequence));
    }

    /// The router starts. Where nothing but growth is asked for, that is how a peer whose clock was
    /// set back is let in again.
    pub(super) fn restart(&mut self, config: &RouterConfig) {
        let trailer = config.trailer();
        if trailer.is_some_and(|trailer| trailer.window(config.interval()).is_none()) {
            self.heard.clear();
        }
    }
}

impl Node {
    /// UTC is the time of the node and this much more, since 1970; for the
    /// [trailer](crate::config::TrailerConfig). Tell it again when the system's clock was set.
    pub fn set_utc_offset(&mut self, now: Timestamp, offset: Duration) {
        self.begin(now);
        if self.utc_offset.replace(offset).is_none() {
            self.mark_all();
        }
        self.settle();
    }

    /// It has to sign, or to compare times, and knows none.
    pub(super) fn lacks_clock(&self, router: &Router) -> bool {
        let trailer = router.setup.config.trailer();
        self.utc_offset.is_none() && trailer.is_some_and(|t| t.signs_with().is_some())
    }

    /// How the ladder treats the trailer of a packet from this source.
    pub(super) fn trailer_rules<'a>(
        &self,
        router: &'a Router,
        source: IpAddr,
    ) -> Option<TrailerRules<'a>> {
        let config = router.machine.config();
        let trailer = config.trailer()?;
        let utc = self.utc_offset.unwrap_or_default().saturating_add(self.now);
        let window = |window| TrailerWindow {
            now: seconds(utc),
            seconds: window,
        };
        Some(TrailerRules {
            mode: trailer.mode(),
            keys: trailer.keys(),
            last_sequence: router.trailers.last_of(source),
            window: trailer.window(config.interval()).map(window),
        })
    }
}

/// The seconds as the trailer has them, until 2106.
fn seconds(utc: Duration) -> u32 {
    u32::try_from(utc.as_secs()).unwrap_or(u32::MAX)
}
