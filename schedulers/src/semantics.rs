//! Where kernel generations differ, as single switches.
//!
//! Stable updates carry some changes back, so that a kernel's version number does not tell which
//! behaviour it has: 6.1.192 differs from 6.1.176. Each difference is therefore a switch of its
//! own; the presets say which release they were observed on.

/// Which of the kernel's behaviours to reproduce.
///
/// ```
/// use lvs_schedulers::{Semantics, ThresholdEdits};
///
/// let mut semantics = Semantics::LINUX_6_1;
/// semantics.threshold_edits = ThresholdEdits::Recompute; // as the stable update 6.1.192 does
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Semantics {
    /// What an edit of a destination's thresholds does to its overload mark.
    pub threshold_edits: ThresholdEdits,
}

impl Semantics {
    /// Linux 6.1, as observed on 6.1.176.
    pub const LINUX_6_1: Self = Self {
        threshold_edits: ThresholdEdits::ClearOnRaise,
    };

    /// Linux 6.12, as observed on 6.12.95.
    pub const LINUX_6_12: Self = Self {
        threshold_edits: ThresholdEdits::ClearOnRaise,
    };

    /// Linux 7.2, as observed on 7.2.7.
    pub const LINUX_7_2: Self = Self {
        threshold_edits: ThresholdEdits::Recompute,
    };
}

/// What an edit of a destination's thresholds does to its overload mark.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ThresholdEdits {
    /// An upper threshold of 0, or one above the former, clears the mark even if there are more
    /// connections than the new one allows; any other edit keeps it (6.1.176, 6.12.95).
    ClearOnRaise,
    /// A changed threshold marks or clears as the present connections demand and keeps the mark in
    /// between (7.2.7, 6.1.192).
    Recompute,
}
