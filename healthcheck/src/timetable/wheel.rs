//! A hierarchical timing wheel: 4 levels of 64 slots and a list for what is further away.
//!
//! One tick is 10 ms, so the levels reach 0.64 s, 41 s, 43.7 min and 46.6 h. A timer lives at the
//! level of the highest group of 6 bits in which its tick differs from the present one, and moves
//! down when the wheel gets there; so inserting and cancelling take constant time, and nothing is
//! done per tick.

use core::time::Duration;

use crate::Timestamp;

/// The wheel's resolution in nanoseconds. Timers fire up to this much late, never early.
const TICK_NANOS: u64 = 10_000_000;

const LEVELS: usize = 4;
const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
/// One list for each slot of each level, then "far", then "due".
const FAR: usize = LEVELS * SLOTS;
const DUE: usize = FAR + 1;
const LISTS: usize = DUE + 1;

/// How many timers a list keeps room for when it has been emptied.
const KEPT: usize = 256;

/// Where a timer is.
#[derive(Clone, Copy, Debug)]
struct Place {
    list: u16,
    at: u32,
}

impl Place {
    const NONE: Self = Self {
        list: u16::MAX,
        at: 0,
    };
}

/// A timer in a list, with its time, so that the lists are all there is to walk through.
#[derive(Clone, Copy, Debug)]
struct Timer {
    tick: u64,
    number: u32,
}

/// Timers named by small numbers, at most one due time each.
#[derive(Debug)]
pub(super) struct Wheel {
    /// Everything up to and including this tick has fired.
    current: u64,
    /// By the timer's number.
    places: Vec<Place>,
    /// Unordered: a timer that is taken back leaves its place to the last one.
    lists: Box<[Vec<Timer>]>,
    /// Which slots of each level have timers.
    occupied: [u64; LEVELS],
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self {
            current: 0,
            places: Vec::new(),
            lists: vec![Vec::new(); LISTS].into_boxed_slice(),
            occupied: [0; LEVELS],
        }
    }

    /// Sets a timer, instead of where it was set before.
    pub(super) fn insert(&mut self, timer: u32, due: Timestamp) {
        self.cancel(timer);
        let index = timer as usize;
        if index >= self.places.len() {
            self.places.resize(index.saturating_add(1), Place::NONE);
        }
        self.link(Timer {
            tick: nanos(due).div_ceil(TICK_NANOS),
            number: timer,
        });
    }

    /// Takes a timer back; says whether it was set.
    pub(super) fn cancel(&mut self, timer: u32) -> bool {
        let Some(place) = self.places.get_mut(timer as usize) else {
            return false;
        };
        let Place { list, at } = core::mem::replace(place, Place::NONE);
        let list = usize::from(list);
        let Some(timers) = self.lists.get_mut(list) else {
            return false;
        };
        if timers.len() > at as usize {
            timers.swap_remove(at as usize);
        }
        let moved = timers.get(at as usize).map(|timer| timer.number);
        let empty = timers.is_empty();
        if let Some(place) = moved.and_then(|timer| self.places.get_mut(timer as usize)) {
            place.at = at;
        }
        if empty {
            self.mark(list, false);
        }
        true
    }

    /// Moves to `now` and calls back for every timer that is due, in no particular order within a
    /// tick. The clock going backwards does nothing.
    pub(super) fn advance(&mut self, now: Timestamp, mut fire: impl FnMut(u32)) {
        let now = nanos(now) / TICK_NANOS;
        self.empty(DUE, &mut fire);
        while let Some((tick, list)) = self.next_stop().filter(|(tick, _)| *tick <= now) {
            self.current = tick;
            if list < SLOTS {
                // One tick, and it has come.
                self.empty(list, &mut fire);
            } else {
                self.redistribute(list);
                self.empty(DUE, &mut fire);
            }
        }
        self.current = self.current.max(now);
        // Nothing is left that is due, but what is set may have come closer than its level says.
        // `next_stop` looks at levels relative to `current`, so all stays correct: a timer's tick
        // agrees with the new `current` in the bits above its level, or a stop would have come.
    }

    /// Calls back for all timers of a list.
    fn empty(&mut self, list: usize, fire: &mut impl FnMut(u32)) {
        let Some(timers) = self.lists.get_mut(list) else {
            return;
        };
        for timer in timers.drain(..) {
            if let Some(place) = self.places.get_mut(timer.number as usize) {
                *place = Place::NONE;
            }
            fire(timer.number);
        }
        timers.shrink_to(KEPT);
        self.mark(list, false);
    }

    /// When to call [`advance`](Self::advance) next: at the latest when the first timer is due,
    /// possibly earlier. `None` if no timer is set.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let tick = match self.has(DUE) {
            true => self.current,
            false => self.next_stop()?.0,
        };
        Some(Duration::from_nanos(tick.saturating_mul(TICK_NANOS)))
    }

    /// The next tick at which a list has to be looked at, and which.
    fn next_stop(&self) -> Option<(u64, usize)> {
        for (level, occupied) in self.occupied.iter().enumerate() {
            // Whatever is on a level is nearer than what is on those above it.
            if *occupied != 0 {
                let slot = occupied.trailing_zeros();
                let shift = BITS.saturating_mul(u32::try_from(level).unwrap_or_default());
                let above = shift.saturating_add(BITS);
                let tick = ((self.current >> above) << above) | (u64::from(slot) << shift);
                let list = level.saturating_mul(SLOTS).saturating_add(slot as usize);
                return Some((tick, list));
            }
        }
        if !self.has(FAR) {
            return None;
        }
        let reach = BITS.saturating_mul(u32::try_from(LEVELS).unwrap_or_default());
        Some((((self.current >> reach).saturating_add(1)) << reach, FAR))
    }

    /// Puts the timers of a list where they belong now.
    fn redistribute(&mut self, list: usize) {
        let timers = self.lists.get_mut(list).map(core::mem::take);
        self.mark(list, false);
        for timer in timers.unwrap_or_default() {
            self.link(timer);
        }
    }

    fn link(&mut self, timer: Timer) {
        let list = self.list_of(timer.tick);
        let Some(timers) = self.lists.get_mut(list) else {
            return;
        };
        if let Some(place) = self.places.get_mut(timer.number as usize) {
            *place = Place {
                list: u16::try_from(list).unwrap_or(u16::MAX),
                at: u32::try_from(timers.len()).unwrap_or(u32::MAX),
            };
        }
        timers.push(timer);
        self.mark(list, true);
    }

    fn list_of(&self, tick: u64) -> usize {
        if tick <= self.current {
            return DUE;
        }
        let differs = u64::BITS.saturating_sub((tick ^ self.current).leading_zeros());
        let level = differs.saturating_sub(1) / BITS;
        if level as usize >= LEVELS {
            return FAR;
        }
        let slot = (tick >> BITS.saturating_mul(level)) & (SLOTS as u64 - 1);
        let slot = usize::try_from(slot).unwrap_or_default();
        (level as usize).saturating_mul(SLOTS).saturating_add(slot)
    }

    fn has(&self, list: usize) -> bool {
        self.lists.get(list).is_some_and(|list| !list.is_empty())
    }

    /// Notes whether a list has timers.
    fn mark(&mut self, list: usize, has: bool) {
        if let Some(occupied) = self.occupied.get_mut(list / SLOTS) {
            let bit = 1_u64 << (list % SLOTS);
            *occupied = if has {
                *occupied | bit
            } else {
                *occupied & !bit
            };
        }
    }
}

/// What is further away than 584 years is as if it were then.
pub(super) fn nanos(time: Timestamp) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const TICK: Duration = Duration::from_millis(10);

    fn fired(wheel: &mut Wheel, now: Duration) -> Vec<u32> {
        let mut fired = Vec::new();
        wheel.advance(now, |timer| fired.push(timer));
        fired.sort_unstable();
        fired
    }

    #[test]
    fn fires_at_the_tick_and_not_before() {
        let mut wheel = Wheel::new();
        wheel.advance(Duration::from_secs(1000), |_| panic!("empty"));
        let due = Duration::from_millis(1_000_015);
        wheel.insert(3, due);
        assert_eq!(wheel.next(), Some(Duration::from_millis(1_000_020)));
        assert!(
            fired(&mut wheel, due).is_empty(),
            "up to a tick late, never early"
        );
        assert_eq!(fired(&mut wheel, due + TICK), [3]);
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn past_and_present_fire_at_once() {
        let mut wheel = Wheel::new();
        wheel.advance(Duration::from_secs(5), |_| {});
        wheel.insert(0, Duration::ZERO);
        wheel.insert(1, Duration::from_secs(5));
        assert!(wheel.next().unwrap() <= Duration::from_secs(5));
        assert_eq!(fired(&mut wheel, Duration::from_secs(5)), [0, 1]);
    }

    #[test]
    fn clock_going_backwards_does_nothing() {
        let mut wheel = Wheel::new();
        wheel.advance(Duration::from_secs(10), |_| {});
        wheel.insert(0, Duration::from_secs(8));
        wheel.insert(1, Duration::from_secs(12));
        assert_eq!(fired(&mut wheel, Duration::from_secs(7)), [0]);
        assert_eq!(fired(&mut wheel, Duration::from_secs(12)), [1]);
    }

    #[test]
    fn timer_far_away_costs_few_wake_ups() {
        let mut wheel = Wheel::new();
        let due = Duration::from_secs(1_000_000_000);
        wheel.insert(0, Duration::from_secs(400 * 3600));
        wheel.insert(1, due);
        let mut wakes = 0;
        while let Some(next) = wheel.next() {
            wheel.advance(next, |_| {});
            wakes += 1;
        }
        assert!(wakes < 6000, "one per 46.6 h and a few: {wakes}");
        wheel.insert(0, Duration::MAX);
        assert!(wheel.next().is_some());
        assert!(wheel.cancel(0));
    }

    #[derive(Clone, Debug)]
    enum Move {
        Insert(u32, u64),
        Cancel(u32),
        Wait(u64),
        Wake,
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let ahead = prop_oneof![
            0_u64..2000,
            0_u64..100_000,
            0_u64..10_000_000,
            0_u64..400_000_000
        ];
        let one = prop_oneof![
            4 => (0_u32..40, ahead.clone()).prop_map(|(timer, ms)| Move::Insert(timer, ms)),
            1 => (0_u32..40).prop_map(Move::Cancel),
            2 => ahead.prop_map(Move::Wait),
            2 => Just(Move::Wake),
        ];
        proptest::collection::vec(one, 0..120)
    }

    proptest! {
        #[test]
        fn agrees_with_a_sorted_map(moves in moves(), start in 0_u64..1_000_000_000_000) {
            let ticks = |at: Duration| at.as_nanos().div_ceil(TICK_NANOS.into());
            let mut wheel = Wheel::new();
            let mut model: BTreeMap<u32, Duration> = BTreeMap::new();
            let mut now = Duration::from_millis(start);
            wheel.advance(now, |_| {});
            for step in moves {
                match step {
                    Move::Insert(timer, ms) => {
                        wheel.insert(timer, now + Duration::from_millis(ms));
                        model.insert(timer, now + Duration::from_millis(ms));
                    }
                    Move::Cancel(timer) => {
                        prop_assert_eq!(wheel.cancel(timer), model.remove(&timer).is_some());
                    }
                    Move::Wait(ms) => now += Duration::from_millis(ms),
                    Move::Wake => if let Some(next) = wheel.next() { now = now.max(next) },
                }
                let due = |at: &Duration| ticks(*at) * u128::from(TICK_NANOS) <= now.as_nanos();
                let expected: Vec<_> =
                    model.iter().filter(|(_, at)| due(at)).map(|(timer, _)| *timer).collect();
                model.retain(|_, at| !due(at));
                prop_assert_eq!(fired(&mut wheel, now), expected);
                match (wheel.next(), model.values().map(|at| ticks(*at)).min()) {
                    (None, None) => {}
                    (Some(next), Some(first)) => {
                        let woken = next.as_nanos() / u128::from(TICK_NANOS);
                        prop_assert!(woken <= first, "woken too late");
                        prop_assert!(next > now, "woken for nothing");
                    }
                    (next, first) => prop_assert!(false, "{next:?} {first:?}"),
                }
            }
        }
    }
}
