//! Connections per server over time, at few enough moments to draw.

/// How many samples are kept at most; then every other one goes, and the pace is halved.
const LIMIT: usize = 600;

/// The state of all servers at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Microseconds since the beginning or, if no time passes, the number of events so far.
    pub(crate) at: u64,
    /// Connections by server, in the order of the servers' appearance; those that appear later are
    /// missing.
    pub(crate) connections: Vec<u32>,
    /// How unevenly the connections are spread over the present servers, for their weights.
    pub(crate) spread: Option<Spread>,
}

/// How uneven some numbers are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// The largest over the mean: 1 = perfectly even.
    pub(crate) max_over_mean: f64,
    /// Standard deviation over the mean: 0 = perfectly even.
    pub(crate) variation: f64,
}

impl Spread {
    /// Of these numbers, unless there are none or all are 0.
    pub(crate) fn of(numbers: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let count = numbers.clone().map(|_| 1.0).sum::<f64>();
        let mean = numbers.clone().sum::<f64>() / count;
        if mean.is_nan() || mean <= 0.0 {
            return None;
        }
        let squares = numbers.clone().map(|number| (number - mean).powi(2));
        let variance = squares.sum::<f64>() / count;
        Some(Self {
            max_over_mean: numbers.fold(0.0, f64::max) / mean,
            variation: variance.sqrt() / mean,
        })
    }

    /// The mean of several.
    pub(crate) fn mean(spreads: impl Iterator<Item = Self>) -> Option<Self> {
        let (mut count, mut max_over_mean, mut variation) = (0.0, 0.0, 0.0);
        for spread in spreads {
            count += 1.0;
            max_over_mean += spread.max_over_mean;
            variation += spread.variation;
        }
        (count > 0.0).then(|| Self {
            max_over_mean: max_over_mean / count,
            variation: variation / count,
        })
    }
}

/// Samples at even distances, of a run whose length nobody knows before.
#[derive(Debug)]
pub(crate) struct Sampler {
    samples: Vec<Sample>,
    interval: u64,
    next: u64,
}

impl Sampler {
    pub(crate) const fn new() -> Self {
        Self {
            samples: Vec::new(),
            interval: 1,
            next: 0,
        }
    }

    /// Whether a sample is due before `at`.
    pub(crate) const fn is_due_before(&self, at: u64) -> bool {
        self.next < at
    }

    /// Samples what has been so until `at`.
    pub(crate) fn until(&mut self, at: u64, state: impl Fn() -> (Vec<u32>, Option<Spread>)) {
        let (connections, spread) = state();
        while self.next < at {
            self.push(Sample {
                at: self.next,
                connections: connections.clone(),
                spread,
            });
        }
    }

    /// The samples, with what is so in the end.
    pub(crate) fn finish(
        mut self,
        at: u64,
        state: impl Fn() -> (Vec<u32>, Option<Spread>),
    ) -> Vec<Sample> {
        self.until(at, &state);
        let (connections, spread) = state();
        self.samples.push(Sample {
            at,
            connections,
            spread,
        });
        self.samples
    }

    fn push(&mut self, sample: Sample) {
        self.samples.push(sample);
        if self.samples.len() >= LIMIT {
            let mut keep = false;
            self.samples.retain(|_| {
                keep = !keep;
                keep
            });
            self.interval = self.interval.saturating_mul(2);
        }
        let last = self.samples.last().map_or(0, |sample| sample.at);
        self.next = last.saturating_add(self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stay_few_and_evenly_spaced_however_long_it_takes() {
        let mut sampler = Sampler::new();
        for at in (0..5_000_000).step_by(7) {
            if sampler.is_due_before(at) {
                sampler.until(at, || (vec![u32::try_from(at).unwrap()], None));
            }
        }
        let samples = sampler.finish(5_000_000, || (vec![0], None));
        assert!(
            (LIMIT / 2 - 1..=LIMIT + 1).contains(&samples.len()),
            "{}",
            samples.len()
        );
        let even = &samples[..samples.len() - 1];
        let distance = even[1].at - even[0].at;
        assert!(even.windows(2).all(|two| two[1].at - two[0].at == distance));
        // Each sample shows what was so until the moment after it.
        assert!(even.iter().all(|sample| {
            let state = u64::from(sample.connections[0]);
            sample.at < state && state <= sample.at + 7
        }));
    }

    #[test]
    fn one_long_pause_is_no_work() {
        let mut sampler = Sampler::new();
        sampler.until(u64::MAX / 4, || (vec![3], None));
        assert!(sampler.samples.len() < LIMIT);
        // To the end of time, and beyond it.
        sampler.until(u64::MAX, || (vec![3], None));
        sampler.until(u64::MAX, || (vec![3], None));
        assert!(sampler.samples.len() < LIMIT);
    }

    #[test]
    fn spread_of_even_numbers_is_none_at_all() {
        let even = Spread::of([2.0, 2.0, 2.0].into_iter()).unwrap();
        assert_eq!((even.max_over_mean, even.variation), (1.0, 0.0));
        let uneven = Spread::of([1.0, 3.0].into_iter()).unwrap();
        assert_eq!((uneven.max_over_mean, uneven.variation), (1.5, 0.5));
        assert_eq!(Spread::of([0.0, 0.0].into_iter()), None);
        assert_eq!(Spread::of([].into_iter()), None);
    }
}
