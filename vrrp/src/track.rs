//! Trackers: what else a router's priority depends on, such as links, scripts and BFD sessions.
//!
//! A tracker is fine or failed; whoever watches the thing tells the node. Each router, or group,
//! that follows it gives it a weight:
//!
//! | Weight | Fine | Failed | Not known yet |
//! |---|---|---|---|
//! | above 0 | + weight | 0 | 0 |
//! | below 0 | 0 | − \|weight\| | 0 |
//! | 0 | 0 | does not run | does not run |
//!
//! Reversed, the sign changes, and a tracker of weight 0 forbids to run while it is fine. The sum is
//! taken over all trackers in a wide number and cut once, to 1 to 254 (`VRRP-211`).

/// Names a tracker. The caller chooses the number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TrackerId(u32);

impl TrackerId {
    /// The tracker of this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// How a router, or a group, follows a tracker.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Track {
    tracker: TrackerId,
    weight: i32,
    is_reversed: bool,
}

impl Track {
    /// With this weight; 0 means that the router does not run while the tracker has failed.
    #[must_use]
    pub const fn new(tracker: TrackerId, weight: i32) -> Self {
        Self {
            tracker,
            weight,
            is_reversed: false,
        }
    }

    /// The other way round.
    #[must_use]
    pub const fn reversed(mut self) -> Self {
        self.is_reversed = true;
        self
    }

    /// Which tracker.
    #[must_use]
    pub const fn tracker(self) -> TrackerId {
        self.tracker
    }

    /// What it adds to the base priority; `None` while it forbids to run.
    ///
    /// ```
    /// use lvs_vrrp::track::{Track, TrackerId};
    ///
    /// let uplink = Track::new(TrackerId::new(1), -30);
    /// assert_eq!(uplink.contribution(Some(true)), Some(0));
    /// assert_eq!(uplink.contribution(Some(false)), Some(-30));
    /// let vital = Track::new(TrackerId::new(2), 0);
    /// assert_eq!(vital.contribution(None), None);
    /// ```
    #[must_use]
    pub fn contribution(self, is_ok: Option<bool>) -> Option<i64> {
        let weight = i64::from(self.weight);
        if weight == 0 {
            return (is_ok == Some(!self.is_reversed)).then_some(0);
        }
        let counts = if weight > 0 {
            is_ok == Some(true)
        } else {
            is_ok == Some(false)
        };
        let contribution = if counts { weight } else { 0 };
        Some(if self.is_reversed {
            contribution.saturating_neg()
        } else {
            contribution
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the module, both ways round.
    #[test]
    fn contribution_by_weight_and_state() {
        let id = TrackerId::new(1);
        for (weight, reversed, fine, failed, unknown) in [
            (20, false, Some(20), Some(0), Some(0)),
            (20, true, Some(-20), Some(0), Some(0)),
            (-20, false, Some(0), Some(-20), Some(0)),
            (-20, true, Some(0), Some(20), Some(0)),
            (0, false, Some(0), None, None),
            (0, true, None, Some(0), None),
        ] {
            let track = Track::new(id, weight);
            let track = if reversed { track.reversed() } else { track };
            let states = [Some(true), Some(false), None].map(|ok| track.contribution(ok));
            assert_eq!(states, [fine, failed, unknown], "{weight} {reversed}");
        }
    }
}
