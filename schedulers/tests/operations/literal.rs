//! The pick rules of spec §2 to §8 and §13, step by step as written there: nothing skipped, nothing
//! hurried, and arithmetic that cannot overflow except where the kernel's does.

use lvs_schedulers::{Overhead, Semantics};

/// A destination as the rules see it. Lists of these are in the kernel's order: newest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<Id> {
    pub(crate) id: Id,
    pub(crate) weight: u32,
    pub(crate) overloaded: bool,
    pub(crate) active: u32,
    pub(crate) inactive: u32,
}

impl<Id> Seen<Id> {
    pub(crate) const fn is_eligible(&self) -> bool {
        self.weight > 0 && !self.overloaded
    }

    fn overhead(&self, rule: Overhead) -> u128 {
        let per_active = match rule {
            Overhead::ActiveAndTotal => 257,
            _ => 256,
        };
        u128::from(self.active) * per_active + u128::from(self.inactive)
    }
}

/// The state of an algorithm, with destinations named by identity.
#[derive(Clone, Debug)]
pub(crate) enum Literal<Id> {
    Rr(Option<Id>),
    Wrr(Wrr<Id>),
    Lc,
    Wlc,
    Fo,
    Ovf,
    Sed,
    Nq,
    Twos,
}

#[derive(Clone, Debug)]
pub(crate) struct Wrr<Id> {
    cl: Option<Id>,
    cw: i64,
    mw: i64,
    di: i64,
}

impl<Id: Copy + Eq> Literal<Id> {
    /// The rule with this name, bound to a list; `None` if it has none here.
    pub(crate) fn bound(name: &str, list: &[Seen<Id>]) -> Option<Self> {
        Some(match name {
            "rr" => Self::Rr(None),
            "wrr" => {
                let mut wrr = Wrr::computed(list);
                wrr.cw = wrr.mw;
                Self::Wrr(wrr)
            }
            "lc" => Self::Lc,
            "wlc" => Self::Wlc,
            "fo" => Self::Fo,
            "ovf" => Self::Ovf,
            "sed" => Self::Sed,
            "nq" => Self::Nq,
            "twos" => Self::Twos,
            _ => return None,
        })
    }

    /// A destination was added or edited: `list` is what it is now.
    pub(crate) fn changed(&mut self, list: &[Seen<Id>]) {
        if let Self::Wrr(wrr) = self {
            let cw = wrr.cw;
            *wrr = Wrr::computed(list);
            wrr.cw = if cw > wrr.mw || cw == 0 {
                wrr.mw
            } else if wrr.di > 1 {
                (cw / wrr.di) * wrr.di + 1
            } else {
                cw
            };
        }
    }

    /// A destination was removed: `former` is the list before.
    pub(crate) fn removed(&mut self, id: Id, former: &[Seen<Id>], list: &[Seen<Id>]) {
        if let Self::Rr(cursor) = self
            && *cursor == Some(id)
        {
            let position = former.iter().position(|d| d.id == id).unwrap();
            *cursor = position.checked_sub(1).map(|before| former[before].id);
        }
        self.changed(list);
    }

    /// Whether the rule comes to an end in reasonable time.
    pub(crate) fn is_quick(&self) -> bool {
        match self {
            Self::Wrr(wrr) => wrr.mw / wrr.di < 10_000,
            _ => true,
        }
    }

    /// The pick. `draws` are the numbers that were drawn.
    pub(crate) fn pick(
        &mut self,
        list: &[Seen<Id>],
        semantics: Semantics,
        draws: &[u32],
    ) -> Option<Id> {
        let overhead = |d: &Seen<Id>| d.overhead(semantics.overhead);
        let expected = |d: &Seen<Id>| u128::from(d.active) + 1;
        let eligible = || list.iter().filter(|d| d.is_eligible());
        let picked = match self {
            Self::Rr(cursor) => return rr(cursor, list),
            Self::Wrr(wrr) => return wrr.pick(list),
            Self::Lc => {
                let mut best: Option<&Seen<Id>> = None;
                for d in eligible() {
                    if best.is_none_or(|b| overhead(d) < overhead(b)) {
                        best = Some(d);
                    }
                }
                best
            }
            Self::Wlc => least(list, overhead),
            Self::Sed => least(list, expected),
            Self::Nq => eligible()
                .find(|d| d.active == 0)
                .or_else(|| least(list, expected)),
            Self::Fo => heaviest(eligible()),
            Self::Ovf => heaviest(eligible().filter(|d| d.active <= d.weight)),
            Self::Twos => twos(list, overhead, draws),
        };
        picked.map(|d| d.id)
    }
}

/// Spec §5: the first eligible is the candidate, each later one that is not overloaded replaces it if
/// its cost is less for its weight.
fn least<Id>(list: &[Seen<Id>], cost: impl Fn(&Seen<Id>) -> u128) -> Option<&Seen<Id>> {
    let mut rest = list.iter().skip_while(|d| !d.is_eligible());
    let mut best = rest.next()?;
    for d in rest {
        if !d.overloaded && cost(best) * u128::from(d.weight) > cost(d) * u128::from(best.weight) {
            best = d;
        }
    }
    Some(best)
}

fn heaviest<'a, Id>(list: impl Iterator<Item = &'a Seen<Id>>) -> Option<&'a Seen<Id>> {
    let (mut best, mut highest) = (None, 0);
    for d in list {
        if d.weight > highest {
            (best, highest) = (Some(d), d.weight);
        }
    }
    best
}

fn rr<Id: Copy + Eq>(cursor: &mut Option<Id>, list: &[Seen<Id>]) -> Option<Id> {
    let old = *cursor;
    let position = old.and_then(|id| list.iter().position(|d| d.id == id));
    let mut start = position.map_or(0, |position| position + 1);
    for _ in 0..2 {
        for d in &list[start..] {
            if d.is_eligible() {
                *cursor = Some(d.id);
                return *cursor;
            }
            if Some(d.id) == old {
                return None;
            }
        }
        old?;
        start = 0;
    }
    None
}

impl<Id: Copy + Eq> Wrr<Id> {
    fn computed(list: &[Seen<Id>]) -> Self {
        let weights = || list.iter().map(|d| i64::from(d.weight)).filter(|&w| w > 0);
        let di = weights().reduce(gcd).unwrap_or(1);
        let mw = weights().max().map_or(0, |max| max - (di - 1));
        Self {
            cl: None,
            cw: 0,
            mw,
            di,
        }
    }

    fn pick(&mut self, list: &[Seen<Id>]) -> Option<Id> {
        if self.mw == 0 {
            return None;
        }
        let last = self.cl;
        let (mut stop, mut last_pass, mut restarted) = (None, false, false);
        let position = last.and_then(|id| list.iter().position(|d| d.id == id));
        let mut start = position.map_or(0, |position| position + 1);
        loop {
            for d in &list[start..] {
                if !d.overloaded && i64::from(d.weight) >= self.cw {
                    self.cl = Some(d.id);
                    return self.cl;
                }
                if Some(d.id) == stop {
                    self.cl = Some(d.id);
                    return None;
                }
            }
            start = 0;
            self.cw -= self.di;
            if self.cw <= 0 {
                self.cw = self.mw;
                if last_pass || last.is_none() {
                    self.cl = None;
                    return None;
                }
                restarted = true;
            }
            last_pass = self.cw <= self.di;
            if last_pass && restarted && last.is_some() {
                stop = last;
            }
        }
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Spec §13, in the kernel's ints: sums and products keep their low 32 bits.
fn twos<'a, Id>(
    list: &'a [Seen<Id>],
    overhead: impl Fn(&Seen<Id>) -> u128,
    draws: &[u32],
) -> Option<&'a Seen<Id>> {
    let int = |wide: i128| wide as i32;
    let eligible = || list.iter().filter(|d| d.is_eligible());
    let default = eligible().last()?;
    let chosen = |draw: u32| {
        let mut left = int(i128::from(draw));
        eligible().find(|d| {
            left = int(i128::from(left) - i128::from(d.weight));
            left <= 0
        })
    };
    let measured = |d: &Seen<Id>| (int(d.weight.into()), int(overhead(d) as i128));
    let (c1, c2) = (chosen(draws[0]), chosen(draws[1]));
    let (weight1, overhead1) = c1.map_or((-1, 0), measured);
    let Some(c2) = c2 else {
        return Some(c1.unwrap_or(default));
    };
    let (weight2, overhead2) = measured(c2);
    let product = |a: i32, b: i32| int(i128::from(a) * i128::from(b));
    if product(weight2, overhead1) > product(weight1, overhead2) {
        Some(c2)
    } else {
        Some(c1.unwrap_or(default))
    }
}
