//! Figures of several rounds, ratios round by round, and targets.

use core::fmt;
use core::time::Duration;

/// One figure of each round, in order.
#[derive(Debug, Default)]
pub(crate) struct Rounds(Vec<f64>);

impl Rounds {
    /// Adds a time, in milliseconds.
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1000.0);
    }

    pub(crate) fn add_number(&mut self, number: f64) {
        self.0.push(number);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This over the other, round by round: a machine that slows down does so for both.
    pub(crate) fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }

    /// The middle one, the mean of two in the middle.
    fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            length if length % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }
}

/// Median, least and most; the precision counts for each.
impl fmt::Display for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(0);
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let median = self.median();
        write!(f, "{median:.digits$} ({least:.digits$}–{most:.digits$})")
    }
}

/// Where a figure should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// Prints a line that says whether the median is where it should be.
pub(crate) fn judge(name: &str, rounds: &Rounds, target: Target) {
    let median = rounds.median();
    let (reached, words, limit) = match target {
        Target::AtLeast(limit) => (median >= limit, "at least", limit),
        Target::AtMost(limit) => (median <= limit, "at most", limit),
    };
    let verdict = if reached { "PASS " } else { "SHORT" };
    println!("{verdict} {name}: {rounds:.2}, target {words} {limit}");
}
