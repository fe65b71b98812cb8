//! Trackers: what else a router's priority depends on, such as links, scripts, files and BFD
//! sessions.
//!
//! A tracker has a [`TrackerStatus`]; whoever watches the thing tells the node. Each router, or
//! group, that follows it gives it a weight, −253 to 253:
//!
//! | Weight | Fine | Failed | Unknown | Value *v* |
//! |---|---|---|---|---|
//! | above 0 | + weight | 0 | 0 | *v* × weight |
//! | below 0 | 0 | − \|weight\| | 0 | *v* × weight |
//! | 0 | 0 | does not run | does not run | runs if *v* is 0 |
//!
//! Reversed, the sign changes, and a tracker of weight 0 forbids to run while it is fine. A product
//! above 253 counts as 253; below −253 it forbids to run. The sum is taken over all trackers in a
//! wide number and cut once, to 1 to 254 (`VRRP-211`).
//!
//! Interfaces, processes and BFD sessions are fine or have failed; files have values; scripts are
//! run by a [`Script`], which says when, and what their results amount to.

mod script;

pub use script::{Script, ScriptConfig, ScriptError, ScriptStep};

/// The greatest weight of either sign.
pub const MAX_WEIGHT: i32 = 253;

/// What is known of a tracker.
#[expect(clippy::exhaustive_enums, reason = "nothing, yes or no, or a number")]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum TrackerStatus {
    /// Nothing yet.
    #[default]
    Unknown,
    /// It is fine.
    Fine,
    /// It has failed.
    Failed,
    /// The number that a file says, to be multiplied with the weight.
    Value(i32),
}

impl From<bool> for TrackerStatus {
    fn from(is_ok: bool) -> Self {
        if is_ok { Self::Fine } else { Self::Failed }
    }
}

impl From<Option<bool>> for TrackerStatus {
    fn from(is_ok: Option<bool>) -> Self {
        is_ok.map_or(Self::Unknown, Self::from)
    }
}

impl From<i32> for TrackerStatus {
    fn from(value: i32) -> Self {
        Self::Value(value)
    }
}

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
    /// With this weight, −253 to 253; 0 means that the router does not run while the tracker has
    /// failed. −254 and 254 are taken for −253 and 253; others are
    /// [refused](crate::node::NodeError::Weight) with the configuration.
    #[must_use]
    pub const fn new(tracker: TrackerId, weight: i32) -> Self {
        Self {
            tracker,
            weight: match weight {
                254 => MAX_WEIGHT,
                -254 => -MAX_WEIGHT,
                weight => weight,
            },
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

    /// The weight.
    #[must_use]
    pub const fn weight(self) -> i32 {
        self.weight
    }

    /// What it adds to the base priority; `None` while it forbids to run.
    ///
    /// ```
    /// use lvs_vrrp::track::{Track, TrackerId};
    ///
    /// let uplink = Track::new(TrackerId::new(1), -30);
    /// assert_eq!(uplink.contribution(true), Some(0));
    /// assert_eq!(uplink.contribution(false), Some(-30));
    /// assert_eq!(uplink.contribution(2), Some(-60));
    /// let vital = Track::new(TrackerId::new(2), 0);
    /// assert_eq!(vital.contribution(None), None);
    /// ```
    #[must_use]
    pub fn contribution(self, status: impl Into<TrackerStatus>) -> Option<i64> {
        let status = status.into();
        let weight = i64::from(self.weight);
        let limit = i64::from(MAX_WEIGHT);
        if weight == 0 {
            let is_ok = match status {
                TrackerStatus::Unknown => None,
                TrackerStatus::Fine | TrackerStatus::Value(0) => Some(true),
                TrackerStatus::Failed | TrackerStatus::Value(_) => Some(false),
            };
            return (is_ok == Some(!self.is_reversed)).then_some(0);
        }
        let contribution = match status {
            TrackerStatus::Fine => weight.max(0),
            TrackerStatus::Failed => weight.min(0),
            TrackerStatus::Unknown => 0,
            TrackerStatus::Value(value) => weight.saturating_mul(i64::from(value)),
        };
        let contribution = if self.is_reversed {
            contribution.saturating_neg()
        } else {
            contribution
        };
        (contribution >= limit.saturating_neg()).then(|| contribution.min(limit))
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

    /// Spec 3.3: value × weight; below −253 it forbids to run, above 253 it is cut.
    #[test]
    fn values_are_multiplied_and_cut() {
        let id = TrackerId::new(1);
        for (weight, value, expected) in [
            (1, 10, Some(10)),
            (-2, 10, Some(-20)),
            (-2, -10, Some(20)),
            (10, 25, Some(250)),
            (10, 26, Some(253)),
            (1, -253, Some(-253)),
            (1, -254, None),
            (2, i32::MIN, None),
            (-2, i32::MIN, Some(253)),
            (0, 0, Some(0)),
            (0, 1, None),
            (254, 1, Some(253)),
            (-254, 1, Some(-253)),
        ] {
            let track = Track::new(id, weight);
            assert_eq!(track.contribution(value), expected, "{value} x {weight}");
            if weight != 0 {
                let mirrored = track.reversed().contribution(value.saturating_neg());
                assert_eq!(mirrored, expected, "{value} x {weight} reversed");
            }
        }
    }
}
