//! Figures: medians, and what they should be.

#![allow(dead_code, reason = "each bench uses a part")]

use core::fmt;

/// Figures of one kind, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            length if length % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    /// The least that nine of ten are not above.
    pub(crate) fn p90(&self) -> f64 {
        let sorted = self.sorted();
        let place = (sorted.len() * 9).div_ceil(10);
        sorted
            .get(place.saturating_sub(1))
            .copied()
            .unwrap_or(f64::NAN)
    }

    pub(crate) fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// This over the other, round by round: a machine that slows down does so for both.
    pub(crate) fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }
}

/// Median, least and most; the precision counts for each.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(0);
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let (median, most) = (self.median(), self.max());
        write!(f, "{median:.digits$} ({least:.digits$}–{most:.digits$})")
    }
}

/// Prints a line that says whether a figure is where it should be.
pub(crate) fn judge(name: &str, figure: f64, at_most: f64) {
    let verdict = if figure <= at_most { "PASS " } else { "SHORT" };
    println!("{verdict} {name}: {figure:.2}, target at most {at_most:.2}");
}
