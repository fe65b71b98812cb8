//! Storage with keys that stay valid while other values come and go, and that are refused once
//! their own value is gone.

use alloc::vec::Vec;
use core::num::NonZero;

/// Names a value in an [`Arena`]. The generation tells a value from a later one in its place.
///
/// Small, and an option of it no larger, so that a pick is returned in a register.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    index: u32,
    generation: NonZero<u32>,
}

impl Key {
    const fn place(self) -> usize {
        self.index as usize
    }
}

/// Places of removed values are used again, so that the memory is bounded by the most values held
/// at one time.
#[derive(Debug)]
pub(crate) struct Arena<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: NonZero<u32>,
    value: Option<T>,
}

impl<T> Slot<T> {
    /// Takes the value out; its key is refused from now on.
    fn empty(&mut self) -> Option<T> {
        let value = self.value.take()?;
        self.generation = self
            .generation
            .checked_add(1)
            .unwrap_or(NonZero::<u32>::MIN);
        Some(value)
    }
}

impl<T> Arena<T> {
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn insert(&mut self, value: T) -> Key {
        if let Some(index) = self.free.pop() {
            if let Some(slot) = self.slots.get_mut(index as usize) {
                slot.value = Some(value);
                let generation = slot.generation;
                return Key { index, generation };
            }
        }
        // So many slots fit into no memory there is.
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let generation = NonZero::<u32>::MIN;
        self.slots.push(Slot {
            generation,
            value: Some(value),
        });
        Key { index, generation }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self
            .slots
            .get_mut(key.place())
            .filter(|slot| slot.generation == key.generation)?;
        let value = slot.empty()?;
        self.free.push(key.index);
        Some(value)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = self
            .slots
            .get(key.place())
            .filter(|slot| slot.generation == key.generation)?;
        slot.value.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self
            .slots
            .get_mut(key.place())
            .filter(|slot| slot.generation == key.generation)?;
        slot.value.as_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        (0..).zip(&self.slots).filter_map(|(index, slot)| {
            let generation = slot.generation;
            Some((Key { index, generation }, slot.value.as_ref()?))
        })
    }

    /// Removes the values that `keep` is false for.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        for (index, slot) in (0..).zip(&mut self.slots) {
            if slot.value.as_mut().is_some_and(|value| !keep(value)) {
                slot.empty();
                self.free.push(index);
            }
        }
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| slot.value.as_ref())
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|slot| slot.value.as_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_of_removed_value_is_refused_even_after_reuse() {
        let mut arena = Arena::new();
        let first = arena.insert('a');
        assert_eq!(arena.remove(first), Some('a'));
        assert_eq!(arena.remove(first), None);
        let second = arena.insert('b');
        assert_eq!(arena.get(first), None);
        assert_eq!(arena.get_mut(first), None);
        assert_eq!(arena.remove(first), None);
        assert_eq!(arena.get(second), Some(&'b'));
        assert_eq!(arena.slots.len(), 1, "the place is used again");
        assert_eq!(arena.len(), 1);
    }

    #[test]
    fn retained_values_keep_their_keys_and_others_are_refused() {
        let mut arena = Arena::new();
        let keys = [1, 2, 3, 4].map(|value| arena.insert(value));
        arena.retain(|value| *value % 2 == 0);
        assert_eq!(
            keys.map(|key| arena.get(key).copied()),
            [None, Some(2), None, Some(4)]
        );
        assert_eq!(arena.len(), 2);
        let five = arena.insert(5);
        assert_eq!(arena.slots.len(), 4, "the places are used again");
        assert_eq!(arena.iter().filter(|(key, _)| *key == five).count(), 1);
    }

    #[test]
    fn iteration_skips_free_places() {
        let mut arena = Arena::new();
        let gone = arena.insert(1);
        arena.insert(2);
        arena.remove(gone);
        assert_eq!(
            arena.values_mut().map(|value| *value).collect::<Vec<_>>(),
            [2]
        );
    }
}
