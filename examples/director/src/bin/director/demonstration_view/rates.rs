//! Rates: how much a counter grew within the last seconds.

use core::time::Duration;
use std::collections::VecDeque;

/// Over so long a time.
const SPAN: Duration = Duration::from_secs(3);

/// A counter's past.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rate {
    samples: VecDeque<(Duration, u64)>,
}

impl Rate {
    /// Takes note of the counter at this time, and returns how much it grows in a second.
    pub(crate) fn per_second(&mut self, at: Duration, count: u64) -> f64 {
        self.samples.push_back((at, count));
        // One sample is as old as the span, or older.
        while let Some((second, _)) = self.samples.get(1)
            && at.saturating_sub(*second) >= SPAN
        {
            self.samples.pop_front();
        }
        let Some((since, before)) = self.samples.front() else {
            return 0.0;
        };
        let time = at.saturating_sub(*since).as_secs_f64();
        if time <= 0.0 {
            return 0.0;
        }
        let grown = u32::try_from(count.saturating_sub(*before)).unwrap_or(u32::MAX);
        f64::from(grown) / time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_forget_what_is_past() {
        let mut rate = Rate::default();
        let mut at = |millis, count| rate.per_second(Duration::from_millis(millis), count);
        assert_eq!(at(0, 100), 0.0);
        assert_eq!(at(0, 100), 0.0);
        assert_eq!(at(500, 105), 10.0);
        assert_eq!(at(1_000, 110), 10.0);
        assert_eq!(at(4_000, 110), 0.0);
        assert_eq!(at(5_000, 112), 2.0 / 4.0);
    }
}
