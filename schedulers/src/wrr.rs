//! wrr, weighted round robin: passes over the list with a falling weight threshold.

use crate::context::{Context, Timestamp};
use crate::explanation::{Choose, Look, Step, Tracer, Verdict, traced};
use crate::flow::Flow;
use crate::gcd::gcd;
use crate::scheduler::{Candidate, Scheduler};

/// Weighted round robin, as the kernel's `ip_vs_wrr` since 3.10.
///
/// Each pass over the list picks whoever has at least the current weight; each next pass lowers the
/// current weight by the greatest common divisor of all weights, from (about) the highest weight
/// down to 1, then starts again. Per full cycle a destination is picked weight / divisor times.
///
/// The state outlives changes: every addition, removal or edit, even one that changes nothing, sends
/// the walk back to the head of the list, but the current weight stays where it is still possible.
/// Destinations added one by one therefore start with current weight 1, and the same weights bound at
/// once start with the highest:
///
/// ```
/// use lvs_schedulers::{Algorithm, Context, Destination, Flow, Semantics, VirtualService};
///
/// let mut service = VirtualService::new(Algorithm::Wrr, Semantics::LINUX_6_1);
/// let a = service.add(Destination::new("10.2.1.1:80".parse()?).with_weight(4))?;
/// let b = service.add(Destination::new("10.2.1.2:80".parse()?).with_weight(3))?;
/// let c = service.add(Destination::new("10.2.1.3:80".parse()?).with_weight(2))?;
/// let flow = Flow::tcp("192.0.2.7:40000".parse()?, "192.0.2.1:80".parse()?);
/// let mut context = Context::new(Default::default());
///
/// let picks: Vec<_> = (0..9).map(|_| service.schedule(&flow, &mut context)).collect();
/// assert_eq!(picks, [c, b, a, a, b, a, c, b, a].map(Some));
///
/// service.set_scheduler(Algorithm::Wrr.scheduler(Semantics::LINUX_6_1));
/// let picks: Vec<_> = (0..9).map(|_| service.schedule(&flow, &mut context)).collect();
/// assert_eq!(picks, [a, b, a, c, b, a, c, b, a].map(Some));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Wrr {
    /// Index of the destination picked last, or [`HEAD`].
    cursor: usize,
    /// The weight a destination must have now.
    current: u32,
    /// Where `current` starts: the highest weight less (`divisor` - 1); 0 if no weight is positive.
    highest: u32,
    /// Greatest common divisor of the positive weights, 1 if there is none.
    divisor: u32,
}

/// The cursor is at the list's head, from where the walk begins: above any index.
const HEAD: usize = usize::MAX;

impl Wrr {
    /// The kernel's name for it.
    pub const NAME: &'static str = "wrr";

    /// A scheduler for an empty list; [`bind`](Scheduler::bind) it to another.
    pub const fn new() -> Self {
        Self {
            cursor: HEAD,
            current: 0,
            highest: 0,
            divisor: 1,
        }
    }

    fn compute<D: Candidate>(&mut self, list: &[D]) {
        self.cursor = HEAD;
        self.divisor = list.iter().map(D::weight).fold(0, gcd).max(1);
        let highest = list.iter().map(D::weight).max().unwrap_or(0);
        self.highest = highest.saturating_sub(self.divisor - 1);
    }

    fn change<D: Candidate>(&mut self, list: &[D]) {
        self.compute(list);
        if self.current > self.highest || self.current == 0 {
            self.current = self.highest;
        } else if self.divisor > 1 {
            self.current = (self.current / self.divisor) * self.divisor + 1;
        }
    }
}

impl Default for Wrr {
    fn default() -> Self {
        Self::new()
    }
}

impl<D: Candidate> Scheduler<D> for Wrr {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn bind(&mut self, list: &[D], _: Timestamp) {
        self.compute(list);
        self.current = self.highest;
    }

    fn added(&mut self, list: &[D], _: usize) {
        self.change(list);
    }

    fn removed(&mut self, list: &[D], _: usize) {
        self.change(list);
    }

    fn edited(&mut self, list: &[D], _: usize) {
        self.change(list);
    }

    fn pick(&mut self, list: &[D], flow: &Flow, context: &mut Context<'_>) -> Option<usize> {
        traced(self, list, flow, context)
    }
}

impl<D: Candidate> Choose<D> for Wrr {
    const NAME: &'static str = Self::NAME;

    fn choose(
        &mut self,
        list: &[D],
        _: &Flow,
        _: &mut Context<'_>,
        trace: &mut impl Tracer,
    ) -> Option<usize> {
        if self.highest == 0 {
            return None;
        }
        // The rest of the pass, where mostly the next one will do. Above the head and below the last
        // index, no list has anything.
        let mut index = self.cursor.wrapping_sub(1);
        if index < list.len() {
            trace.step(|| self.pass());
        }
        while let Some(d) = list.get(index) {
            if self.takes(index, d, trace) {
                self.cursor = index;
                return Some(index);
            }
            index = index.wrapping_sub(1);
        }
        self.pass_on(list, trace)
    }
}

impl Wrr {
    const fn pass(&self) -> Step {
        Step::Pass {
            current: self.current,
            highest: self.highest,
            divisor: self.divisor,
        }
    }

    #[inline]
    fn takes<D: Candidate>(&self, index: usize, d: &D, trace: &mut impl Tracer) -> bool {
        let verdict = if d.is_overloaded() {
            Verdict::Overloaded
        } else if d.weight() < self.current {
            Verdict::BelowCurrentWeight
        } else {
            Verdict::Taken
        };
        trace.step(|| {
            // Weight 0 is below any, but that is not what to say.
            let verdict = Verdict::of(d).unwrap_or(verdict);
            Look::new(index, d, verdict).into()
        });
        verdict == Verdict::Taken
    }

    /// Passes over the whole list, each with a lower weight than the one before, until somebody has
    /// it or all were looked at. The first one is over if it began after the head.
    #[inline(never)]
    fn pass_on<D: Candidate>(&mut self, list: &[D], trace: &mut impl Tracer) -> Option<usize> {
        let last = self.cursor;
        let mut stop = HEAD;
        let (mut last_pass, mut restarted) = (false, false);
        // The best weight there is, once a complete pass has shown it.
        let mut best = None;
        let mut begins = last == HEAD;
        loop {
            if begins {
                trace.step(|| self.pass());
                let mut seen = 0;
                for (index, d) in list.iter().enumerate().rev() {
                    if self.takes(index, d, trace) {
                        self.cursor = index;
                        return Some(index);
                    }
                    if !d.is_overloaded() {
                        seen = seen.max(d.weight());
                    }
                    if index == stop {
                        self.cursor = index;
                        return None;
                    }
                }
                best = Some(seen);
            }
            begins = true;

            if self.current > self.divisor {
                self.current -= self.divisor;
            } else {
                self.current = self.highest;
                if last_pass || last == HEAD {
                    self.cursor = HEAD;
                    return None;
                }
                restarted = true;
            }
            if let Some(best) = best {
                // Passes above it find nothing and, before the last pass, have no other effect: they
                // are skipped, for high weights would make them billions.
                let useful = best.max(self.divisor);
                let passes = self.current.saturating_sub(useful).div_ceil(self.divisor);
                self.current -= passes * self.divisor;
            }
            last_pass = self.current <= self.divisor;
            if last_pass && restarted {
                stop = last;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::vec::Vec;

    use super::*;

    /// A destination for these tests: weight, overloaded.
    type Server = (u32, bool);

    impl Candidate for Server {
        fn weight(&self) -> u32 {
            self.0
        }

        fn is_overloaded(&self) -> bool {
            self.1
        }
    }

    fn pick(wrr: &mut Wrr, list: &[Server]) -> Option<usize> {
        let flow = Flow::tcp(([192, 0, 2, 7], 40000).into(), ([192, 0, 2, 1], 80).into());
        wrr.pick(list, &flow, &mut Context::new(core::time::Duration::ZERO))
    }

    fn added_one_by_one(weights: &[u32]) -> (Wrr, Vec<Server>, Vec<(u32, u32, u32)>) {
        let (mut wrr, mut list, mut steps) = (Wrr::new(), Vec::<Server>::new(), Vec::new());
        wrr.bind(&list, Timestamp::ZERO);
        for &weight in weights {
            list.push((weight, false));
            wrr.added(&list, list.len() - 1);
            steps.push((wrr.divisor, wrr.highest, wrr.current));
        }
        (wrr, list, steps)
    }

    /// Spec §3, "History matters": the table and the two sentences after it.
    #[test]
    fn state_after_each_addition_is_the_kernels() {
        let (_, _, steps) = added_one_by_one(&[4, 3, 2]);
        assert_eq!(steps, [(4, 1, 1), (1, 4, 1), (1, 4, 1)]);
        let (_, _, steps) = added_one_by_one(&[6, 4, 2]);
        assert_eq!(steps, [(6, 1, 1), (2, 5, 1), (2, 5, 1)]);

        let mut wrr = Wrr::new();
        wrr.bind(&[] as &[Server], Timestamp::ZERO);
        assert_eq!((wrr.divisor, wrr.highest, wrr.current), (1, 0, 0));
        wrr.bind(&[(4, false), (3, false), (2, false)], Timestamp::ZERO);
        assert_eq!((wrr.divisor, wrr.highest, wrr.current), (1, 4, 4));
    }

    /// Spec §3: after 18 picks cw = 2 and cl = A; weights 6, 4, 2 with the cw in force.
    #[test]
    fn current_weight_at_each_pick_is_the_kernels() {
        let (mut wrr, list, _) = added_one_by_one(&[4, 3, 2]);
        for _ in 0..18 {
            pick(&mut wrr, &list);
        }
        assert_eq!((wrr.current, wrr.cursor), (2, 0));

        let (mut wrr, list, _) = added_one_by_one(&[6, 4, 2]);
        let picks: Vec<_> = (0..12)
            .map(|_| (pick(&mut wrr, &list), wrr.current))
            .collect();
        let cycle = [(2, 1), (1, 1), (0, 1), (0, 5), (1, 3), (0, 3)].map(|(i, cw)| (Some(i), cw));
        assert_eq!(picks, [cycle, cycle].concat());
    }

    #[test]
    fn highest_weights_with_nobody_eligible_end_at_once() {
        let (mut wrr, mut list, _) = added_one_by_one(&[1, u32::MAX, u32::MAX - 1]);
        list.iter_mut().for_each(|server| server.1 = true);
        assert_eq!(pick(&mut wrr, &list), None);
        list[0].1 = false;
        assert_eq!(pick(&mut wrr, &list), Some(0));
        assert_eq!(pick(&mut wrr, &list), Some(0));
    }

    #[test]
    fn forgotten_hooks_neither_panic_nor_loop() {
        let (mut wrr, mut list, _) = added_one_by_one(&[4, 3, 2]);
        pick(&mut wrr, &list);
        list.truncate(1);
        assert_eq!(pick(&mut wrr, &list), Some(0));
        list.clear();
        assert_eq!(pick(&mut wrr, &list), None);
        list.extend([(0, false); 3]);
        assert_eq!(pick(&mut wrr, &list), None);
    }

    /// The kernel's pick rule step by step, without skipping any pass.
    fn literal_pick(wrr: &mut Wrr, list: &[Server]) -> Option<usize> {
        if wrr.highest == 0 {
            return None;
        }
        let (last, mut stop) = (wrr.cursor, None);
        let (mut last_pass, mut restarted) = (false, false);
        let mut position = wrr.cursor;
        loop {
            for index in (0..position.min(list.len())).rev() {
                if !list[index].1 && list[index].0 >= wrr.current {
                    wrr.cursor = index;
                    return Some(index);
                }
                if Some(index) == stop {
                    wrr.cursor = index;
                    return None;
                }
            }
            position = HEAD;
            let lowered = i64::from(wrr.current) - i64::from(wrr.divisor);
            if lowered <= 0 {
                wrr.current = wrr.highest;
                if last_pass || last == HEAD {
                    wrr.cursor = HEAD;
                    return None;
                }
                restarted = true;
            } else {
                wrr.current = u32::try_from(lowered).unwrap();
            }
            last_pass = wrr.current <= wrr.divisor;
            if last_pass && restarted && last != HEAD {
                stop = Some(last);
            }
        }
    }

    /// One step of a random run: picks, or a change of the list.
    #[derive(Clone, Debug)]
    enum Step {
        Pick,
        Add(u32),
        Remove(prop::sample::Index),
        Edit(prop::sample::Index, u32),
        Overload(prop::sample::Index, bool),
    }

    fn step() -> impl Strategy<Value = Step> {
        let weight = prop_oneof![0_u32..8, Just(0), Just(6), Just(12), 0_u32..300];
        prop_oneof![
            8 => Just(Step::Pick),
            1 => weight.clone().prop_map(Step::Add),
            1 => any::<prop::sample::Index>().prop_map(Step::Remove),
            1 => (any::<prop::sample::Index>(), weight).prop_map(|(i, w)| Step::Edit(i, w)),
            2 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(i, o)| Step::Overload(i, o)),
        ]
    }

    proptest! {
        /// Skipping empty passes changes neither picks nor state.
        #[test]
        fn picks_and_state_equal_the_literal_rule(
            weights in prop::collection::vec(0_u32..300, 0..6),
            steps in prop::collection::vec(step(), 1..80),
        ) {
            let (mut wrr, mut list, _) = added_one_by_one(&weights);
            for step in steps {
                match step {
                    Step::Pick => {
                        let mut literal = wrr.clone();
                        let expected = literal_pick(&mut literal, &list);
                        prop_assert_eq!(pick(&mut wrr, &list), expected);
                        prop_assert_eq!(
                            (wrr.cursor, wrr.current), (literal.cursor, literal.current)
                        );
                    }
                    Step::Add(weight) => {
                        list.push((weight, false));
                        wrr.added(&list, list.len() - 1);
                    }
                    Step::Remove(index) if !list.is_empty() => {
                        let index = index.index(list.len());
                        list.remove(index);
                        wrr.removed(&list, index);
                    }
                    Step::Edit(index, weight) if !list.is_empty() => {
                        let index = index.index(list.len());
                        list[index].0 = weight;
                        wrr.edited(&list, index);
                    }
                    Step::Overload(index, overloaded) if !list.is_empty() => {
                        let index = index.index(list.len());
                        list[index].1 = overloaded;
                    }
                    _ => {}
                }
            }
        }
    }
}
