//! Settings of keepalived's `auth_hmac` trailer (feature `hmac-trailer`; part of no RFC).

use alloc::vec;
use alloc::vec::Vec;

use super::ConfigError;
use crate::codec::TrailerKey;
use crate::interval::Interval;
use crate::receive::TrailerMode;

/// The longest window, in seconds.
pub const MAX_TRAILER_WINDOW: u16 = 300;

/// How a virtual router authenticates its advertisements, of either version, by a trailer.
///
/// Routers that know nothing of trailers drop packets that have one, so a roll-out goes through
/// three [modes](TrailerMode), on all routers each before the next:
///
/// | Mode | Sends one | Received without | Received with |
/// |---|---|---|---|
/// | [`Ignore`](TrailerMode::Ignore) (keepalived: receive-only) | no | accepted | accepted, not looked at |
/// | [`Permissive`](TrailerMode::Permissive) | yes | accepted | must be right |
/// | [`Enforce`](TrailerMode::Enforce) | yes | `auth-failure` | must be right |
///
/// A wrong one is an [`auth-failure`](crate::Reason::AuthFailure). One whose sequence does not grow,
/// or whose time is out of the window, is an [`auth-replay`](crate::Reason::AuthReplay).
///
/// The sequence is the time, in UTC, so that it grows across restarts: a node has to be told
/// ([`Node::set_utc_offset`](crate::node::Node::set_utc_offset)), and a router with a trailer in any
/// mode but `Ignore` does not run before.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct TrailerConfig {
    mode: TrailerMode,
    keys: Vec<TrailerKey>,
    window: Option<u16>,
    is_monotonic: bool,
}

impl TrailerConfig {
    /// Signs with this key. The time of what is received may differ by three intervals, at least
    /// 5 s and at most 300 s; clocks have to agree.
    pub fn new(mode: TrailerMode, key: TrailerKey) -> Self {
        Self {
            mode,
            keys: vec![key],
            window: None,
            is_monotonic: false,
        }
    }

    /// Accepts another key too, with another number: keys are changed by adding the new one
    /// everywhere, then signing with it, then removing the old one.
    pub fn with_key(mut self, key: TrailerKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Sets how many seconds the time of what is received may differ to either side, 1 to 300.
    pub const fn with_window(mut self, seconds: u16) -> Self {
        self.window = Some(seconds);
        self
    }

    /// Clocks need not agree: sequences only have to grow. What was recorded while a router did not
    /// run can be played back to it.
    pub const fn monotonic(mut self) -> Self {
        self.is_monotonic = true;
        self
    }

    /// Whether one is sent, and must be there.
    #[must_use]
    pub const fn mode(&self) -> TrailerMode {
        self.mode
    }

    /// The keys accepted; the first one signs.
    #[must_use]
    pub fn keys(&self) -> &[TrailerKey] {
        &self.keys
    }

    /// The key that signs, if one is sent.
    pub(crate) fn signs_with(&self) -> Option<&TrailerKey> {
        self.keys
            .first()
            .filter(|_| self.mode != TrailerMode::Ignore)
    }

    /// By how many seconds the time of what is received may differ; `None` if it only has to grow.
    #[must_use]
    pub fn window(&self, interval: Interval) -> Option<u16> {
        if self.is_monotonic {
            return None;
        }
        let default = || {
            let centiseconds = u32::from(interval.centiseconds()).saturating_mul(3);
            let seconds = u16::try_from(centiseconds.div_ceil(100)).unwrap_or(MAX_TRAILER_WINDOW);
            seconds.clamp(5, MAX_TRAILER_WINDOW)
        };
        Some(self.window.unwrap_or_else(default))
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let mut ids: Vec<u8> = self.keys.iter().map(TrailerKey::id).collect();
        ids.sort_unstable();
        let twice = ids.iter().zip(ids.iter().skip(1)).find(|(a, b)| a == b);
        if let Some((&id, _)) = twice {
            return Err(ConfigError::TrailerKeyTwice { id });
        }
        match self.window {
            Some(seconds) if !(1..=MAX_TRAILER_WINDOW).contains(&seconds) => {
                Err(ConfigError::TrailerWindow { seconds })
            }
            _ => Ok(()),
        }
    }
}
