//! The table of a hashing scheduler: which destination owns each slot.
//!
//! Owners are indices into the list of destinations. A slot takes two bytes while the list is short
//! enough for it, so that the big tables stay in a processor's cache.

use alloc::vec::Vec;

use crate::explanation::{Probe, Tracer, Verdict};

/// The owners of all slots; a slot may have none.
#[derive(Clone, Debug)]
pub(crate) enum Slots {
    /// For lists of up to [`u16::MAX`] destinations.
    Narrow(Vec<u16>),
    Wide(Vec<u32>),
}

impl Slots {
    /// A table without slots.
    pub(crate) const fn new() -> Self {
        Self::Narrow(Vec::new())
    }

    /// Number of slots.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Narrow(slots) => slots.len(),
            Self::Wide(slots) => slots.len(),
        }
    }

    /// The owner of a slot; `None` for a slot without one, and for one the table does not have.
    #[inline]
    pub(crate) fn owner(&self, slot: usize) -> Option<usize> {
        match self {
            Self::Narrow(slots) => slots.get(slot).and_then(|&owner| owner.owner()),
            Self::Wide(slots) => slots.get(slot).and_then(|&owner| owner.owner()),
        }
    }

    /// Looks at the owner of a slot, which is the slot of the hash or that of a fallback probe.
    #[inline]
    pub(crate) fn probe<D>(
        &self,
        list: &[D],
        slot: u32,
        fallback: Option<u32>,
        excluded: impl Fn(&D) -> Option<Verdict>,
        trace: &mut impl Tracer,
    ) -> Found {
        let owner = self
            .owner(slot as usize)
            .and_then(|index| Some((index, list.get(index)?)));
        let verdict = owner.map(|(_, destination)| excluded(destination));
        trace.step(|| {
            Probe {
                slot,
                fallback,
                owner: owner.map(|(index, _)| index),
                verdict: verdict
                    .unwrap_or(Some(Verdict::Unavailable))
                    .unwrap_or(Verdict::Taken),
            }
            .into()
        });
        match (owner, verdict) {
            (Some((index, _)), Some(None)) => Found::Usable(index),
            (Some(_), _) => Found::Unusable,
            (None, _) => Found::Nobody,
        }
    }

    /// The owners of all slots in order.
    pub(crate) fn owners(&self) -> impl ExactSizeIterator<Item = Option<usize>> {
        (0..self.len()).map(|slot| self.owner(slot))
    }

    /// No slot any more.
    pub(crate) fn clear(&mut self) {
        match self {
            Self::Narrow(slots) => slots.clear(),
            Self::Wide(slots) => slots.clear(),
        }
    }

    /// Makes `len` slots without owner, for a list of `destinations`. The room of the former table
    /// is used again if it suffices.
    pub(crate) fn reset(&mut self, len: usize, destinations: usize) {
        let narrow = destinations <= usize::from(u16::MAX);
        match self {
            Self::Narrow(slots) if narrow => empty(slots, len),
            Self::Wide(slots) if !narrow => empty(slots, len),
            _ if narrow => *self = Self::Narrow(alloc::vec![u16::NOBODY; len]),
            _ => *self = Self::Wide(alloc::vec![u32::NOBODY; len]),
        }
    }

    /// Gives a slot to the destination with this index.
    #[inline]
    pub(crate) fn set(&mut self, slot: usize, index: usize) {
        match self {
            Self::Narrow(slots) => set(slots, slot, index),
            Self::Wide(slots) => set(slots, slot, index),
        }
    }

    /// Gives `count` consecutive slots from `start` on to the destination with this index.
    pub(crate) fn set_run(&mut self, start: usize, count: usize, index: usize) {
        match self {
            Self::Narrow(slots) => set_run(slots, start, count, index),
            Self::Wide(slots) => set_run(slots, start, count, index),
        }
    }

    /// The destination with this index has left the list: its slots have no owner any more, and
    /// those above it have moved down by one.
    pub(crate) fn forget(&mut self, index: usize) {
        match self {
            Self::Narrow(slots) => forget(slots, index),
            Self::Wide(slots) => forget(slots, index),
        }
    }
}

/// What a slot has to offer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Found {
    /// The destination with this index, which takes connections.
    Usable(usize),
    /// An owner that takes no connections.
    Unusable,
    /// No owner.
    Nobody,
}

/// An owner as it is stored.
trait Owner: Copy {
    const NOBODY: Self;

    fn of(index: usize) -> Self;
    fn owner(self) -> Option<usize>;
}

impl Owner for u16 {
    const NOBODY: Self = Self::MAX;

    fn of(index: usize) -> Self {
        Self::try_from(index).unwrap_or(Self::NOBODY)
    }

    #[inline]
    fn owner(self) -> Option<usize> {
        (self != Self::NOBODY).then_some(self as usize)
    }
}

impl Owner for u32 {
    const NOBODY: Self = Self::MAX;

    fn of(index: usize) -> Self {
        Self::try_from(index).unwrap_or(Self::NOBODY)
    }

    #[inline]
    fn owner(self) -> Option<usize> {
        (self != Self::NOBODY).then_some(self as usize)
    }
}

fn empty<T: Owner>(slots: &mut Vec<T>, len: usize) {
    slots.clear();
    slots.resize(len, T::NOBODY);
}

fn set<T: Owner>(slots: &mut [T], slot: usize, index: usize) {
    if let Some(owner) = slots.get_mut(slot) {
        *owner = T::of(index);
    }
}

fn set_run<T: Owner>(slots: &mut [T], start: usize, count: usize, index: usize) {
    if let Some(run) = slots.get_mut(start..start.saturating_add(count)) {
        run.fill(T::of(index));
    }
}

fn forget<T: Owner>(slots: &mut [T], index: usize) {
    for slot in slots {
        match slot.owner() {
            Some(owner) if owner == index => *slot = T::NOBODY,
            Some(owner) if owner > index => *slot = T::of(owner - 1),
            _ => {}
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use core::net::SocketAddr;
    use std::vec::Vec;

    use super::*;
    use crate::scheduler::{Addressed, Candidate};

    /// A destination for the tests of the hashing schedulers.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Server {
        pub(crate) address: SocketAddr,
        pub(crate) weight: u32,
        pub(crate) last_weight: u32,
        pub(crate) overloaded: bool,
        pub(crate) available: bool,
    }

    impl Server {
        pub(crate) fn new(weight: u32) -> Self {
            Self::at(([10, 0, 0, 1], 80), weight)
        }

        pub(crate) fn at(address: impl Into<SocketAddr>, weight: u32) -> Self {
            Self {
                address: address.into(),
                weight,
                last_weight: weight,
                overloaded: false,
                available: true,
            }
        }
    }

    impl Candidate for Server {
        fn weight(&self) -> u32 {
            self.weight
        }

        fn is_overloaded(&self) -> bool {
            self.overloaded
        }

        fn is_available(&self) -> bool {
            self.available
        }

        fn last_weight(&self) -> u32 {
            self.last_weight
        }
    }

    impl Addressed for Server {
        fn address(&self) -> SocketAddr {
            self.address
        }
    }

    #[test]
    fn owners_are_kept_in_both_widths() {
        for destinations in [1, 65_535, 65_536, 100_000] {
            let mut slots = Slots::new();
            slots.reset(4, destinations);
            assert_eq!(matches!(slots, Slots::Narrow(_)), destinations < 65_536);
            slots.set(0, destinations - 1);
            slots.set_run(2, 2, 0);
            slots.set(4, 0);
            slots.set_run(3, 2, destinations - 1);
            let owners: Vec<_> = slots.owners().collect();
            assert_eq!(owners, [Some(destinations - 1), None, Some(0), Some(0)]);
            assert_eq!(slots.owner(4), None);
        }
    }

    #[test]
    fn a_new_table_uses_the_former_room() {
        let mut slots = Slots::new();
        slots.reset(256, 3);
        let Slots::Narrow(room) = &slots else {
            panic!("wide")
        };
        let former = room.as_ptr();
        slots.set(7, 1);
        slots.reset(256, 65_535);
        assert!(matches!(&slots, Slots::Narrow(room) if room.as_ptr() == former));
        assert_eq!(slots.owner(7), None);
    }

    #[test]
    fn who_leaves_owns_nothing_and_the_others_move_down() {
        for destinations in [4, 70_000] {
            let mut slots = Slots::new();
            slots.reset(4, destinations);
            for (slot, index) in [2, 0, 1, 3].into_iter().enumerate() {
                slots.set(slot, index);
            }
            slots.forget(1);
            let owners: Vec<_> = slots.owners().collect();
            assert_eq!(owners, [Some(1), Some(0), None, Some(2)]);
        }
    }
}
