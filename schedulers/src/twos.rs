//! twos, weighted random twos choice: two draws by weight, and of these the less loaded.

use crate::context::Context;
use crate::explanation::{Choose, Look, Step, Tracer, Verdict, traced};
use crate::flow::Flow;
use crate::generator::Generator;
use crate::scheduler::{Candidate, Scheduler};
use crate::semantics::Overhead;

/// The power of two random choices, as the kernel's `ip_vs_twos` (since 5.12; not every distribution
/// builds it).
///
/// Two destinations are drawn, each by its share of the weights; both draws may find the same. The
/// second is picked if its [overhead](Overhead) for its weight is strictly less, else the first. Left
/// out are those with weight 0 and the overloaded.
///
/// # Draws
///
/// A draw is a number from 0 to the sum of the weights **inclusive**, and the walk stops where the
/// weights passed add up to it. The walk's first destination, the one added last, therefore has
/// weight + 1 of sum + 1 chances.
///
/// The numbers come from [`Context::with_draw`], first draw first; without such a source, from a
/// generator of the scheduler's own: the same seed gives the same picks on every machine.
///
/// # Extremes
///
/// Sums and products are the kernel's 32-bit ints and wrap as they do there: a weight × overhead
/// beyond 2^31 (weight 1,000 and 8,400 active connections) compares as nonsense, here as there. Where
/// the sum of the weights wraps, a draw may find nobody; its choice is the last of the walk then.
///
/// ```
/// use lvs_schedulers::{Algorithm, Context, Destination, Flow, Semantics, VirtualService};
///
/// let mut service = VirtualService::new(Algorithm::Twos, Semantics::LINUX_6_1);
/// let a = service.add(Destination::new("10.2.1.1:80".parse()?))?;
/// let b = service.add(Destination::new("10.2.1.2:80".parse()?))?;
/// let flow = Flow::tcp("192.0.2.7:40000".parse()?, "192.0.2.1:80".parse()?);
/// let mut draws = [1, 2, 1, 2].into_iter(); // b, then a, each time
/// let mut draw = |_| draws.next().unwrap_or(0);
/// let mut context = Context::new(Default::default()).with_draw(&mut draw);
/// let first = service.connect(&flow, &mut context).ok_or("nobody")?;
/// assert_eq!(service.destination_of(first).map(|d| d.id()), Some(b), "equal: the first draw");
/// assert_eq!(service.schedule(&flow, &mut context), Some(a), "b has a connection");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Twos {
    overhead: Overhead,
    generator: Generator,
}

impl Twos {
    /// The kernel's name for it.
    pub const NAME: &'static str = "twos";

    /// A scheduler that adds connections up as `overhead` says, with seed 0.
    pub const fn new(overhead: Overhead) -> Self {
        Self::with_seed(overhead, 0)
    }

    /// The same with a seed of the caller's for the draws of contexts without a source of numbers.
    pub const fn with_seed(overhead: Overhead, seed: u64) -> Self {
        Self {
            overhead,
            generator: Generator::new(seed),
        }
    }

    fn draw(&mut self, highest: u32, context: &mut Context<'_>) -> u32 {
        match context.draw(highest) {
            Some(drawn) => drawn,
            None => self.generator.up_to(highest),
        }
    }
}

impl<D: Candidate> Scheduler<D> for Twos {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn pick(&mut self, list: &[D], flow: &Flow, context: &mut Context<'_>) -> Option<usize> {
        traced(self, list, flow, context)
    }
}

/// A drawn destination with the numbers that decide.
#[derive(Clone, Copy)]
struct Drawn {
    index: usize,
    weight: i32,
    overhead: i32,
}

impl<D: Candidate> Choose<D> for Twos {
    const NAME: &'static str = Self::NAME;

    fn choose(
        &mut self,
        list: &[D],
        _: &Flow,
        context: &mut Context<'_>,
        trace: &mut impl Tracer,
    ) -> Option<usize> {
        let (mut sum, mut last) = (0_u32, None);
        for (index, d) in list.iter().enumerate().rev() {
            if let Some(verdict) = Verdict::of(d) {
                trace.step(|| Look::new(index, d, verdict).into());
            } else {
                sum = sum.wrapping_add(d.weight());
                last = Some(index);
            }
        }
        let last = last?;

        // The kernel draws below sum + 1, and 0 when that has wrapped to 0.
        let highest = sum.wrapping_add(1).saturating_sub(1);
        let draws = [self.draw(highest, context), self.draw(highest, context)];
        let [first, second] = draws;
        trace.step(|| Step::Draws {
            first,
            second,
            highest,
        });

        let mut left = draws.map(|drawn| drawn as i32);
        let mut found: [Option<Drawn>; 2] = [None; 2];
        for (index, d) in list.iter().enumerate().rev() {
            if Verdict::of(d).is_some() {
                continue;
            }
            let weight = d.weight() as i32;
            let overhead = self.overhead.of(d.active(), d.inactive());
            let mut hits = [false; 2];
            for ((left, found), hit) in left.iter_mut().zip(&mut found).zip(&mut hits) {
                *left = left.wrapping_sub(weight);
                *hit = *left <= 0 && found.is_none();
                if *hit {
                    *found = Some(Drawn {
                        index,
                        weight,
                        overhead: overhead as i32,
                    });
                }
            }
            trace.step(|| {
                let verdict = match hits {
                    [false, false] => Verdict::NotDrawn,
                    [true, false] => Verdict::DrawnFirst,
                    [false, true] => Verdict::DrawnSecond,
                    [true, true] => Verdict::DrawnTwice,
                };
                Look::new(index, d, verdict).with_cost(overhead).into()
            });
            if found.iter().all(Option::is_some) {
                break;
            }
        }

        let [first, second] = found;
        let first = first.unwrap_or(Drawn {
            index: last,
            weight: -1,
            overhead: 0,
        });
        let Some(second) = second else {
            return Some(first.index);
        };
        let second_is_better =
            second.weight.wrapping_mul(first.overhead) > first.weight.wrapping_mul(second.overhead);
        trace.step(|| Step::Compared {
            first: first.index,
            second: second.index,
            second_is_better,
        });
        Some(if second_is_better { second } else { first }.index)
    }
}
