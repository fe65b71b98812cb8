//! Storage for values that name one another, such as the members of linked lists.

use alloc::vec::Vec;
use core::num::NonZeroU32;

/// Names a value in a [`Pool`] while it is held. Unlike the keys of an [`Arena`](crate::arena::Arena)
/// it does not tell a value from a later one in its place: whoever links values keeps the links
/// right. An `Option` of it takes no more room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Id(NonZeroU32);

impl Id {
    fn new(index: usize) -> Option<Self> {
        let number = u32::try_from(index).ok()?.checked_add(1)?;
        Some(Self(NonZeroU32::new(number)?))
    }

    const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Places of removed values are used again, so that the memory is bounded by the most values held
/// at one time.
#[derive(Clone, Debug)]
pub(crate) struct Pool<T> {
    slots: Vec<Slot<T>>,
    free: Option<Id>,
    len: usize,
}

#[derive(Clone, Debug)]
enum Slot<T> {
    Held(T),
    /// The next of the free ones.
    Free(Option<Id>),
}

impl<T> Pool<T> {
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: None,
            len: 0,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Forgets all values and keeps the room.
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.free = None;
        self.len = 0;
    }

    /// Stores a value; `None` if there are 2^32 - 1 already.
    pub(crate) fn insert(&mut self, value: T) -> Option<Id> {
        let id = match self.free {
            Some(id) => {
                let slot = self.slots.get_mut(id.index())?;
                if let Slot::Free(next) = core::mem::replace(slot, Slot::Held(value)) {
                    self.free = next;
                }
                id
            }
            None => {
                let id = Id::new(self.slots.len())?;
                self.slots.push(Slot::Held(value));
                id
            }
        };
        self.len += 1;
        Some(id)
    }

    pub(crate) fn remove(&mut self, id: Id) -> Option<T> {
        let slot = self.slots.get_mut(id.index())?;
        if matches!(slot, Slot::Free(_)) {
            return None;
        }
        match core::mem::replace(slot, Slot::Free(self.free)) {
            Slot::Held(value) => {
                self.free = Some(id);
                self.len -= 1;
                Some(value)
            }
            Slot::Free(_) => None,
        }
    }

    pub(crate) fn get(&self, id: Id) -> Option<&T> {
        match self.slots.get(id.index())? {
            Slot::Held(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        match self.slots.get_mut(id.index())? {
            Slot::Held(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id, &T)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(index, slot)| match slot {
            Slot::Held(value) => Some((Id::new(index)?, value)),
            Slot::Free(_) => None,
        })
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|slot| match slot {
            Slot::Held(value) => Some(value),
            Slot::Free(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn places_of_removed_values_are_used_again_the_last_one_first() {
        let mut pool = Pool::new();
        let [a, b, c] = ['a', 'b', 'c'].map(|value| pool.insert(value).unwrap());
        assert_eq!((pool.remove(a), pool.remove(b)), (Some('a'), Some('b')));
        assert_eq!(pool.remove(b), None, "already removed");
        assert_eq!(pool.get(b), None);
        assert_eq!(pool.get_mut(a), None);
        assert_eq!((pool.len(), pool.get(c)), (1, Some(&'c')));

        assert_eq!(pool.insert('d'), Some(b));
        assert_eq!(pool.insert('e'), Some(a));
        assert_eq!((pool.slots.len(), pool.len()), (3, 3));
        let held: Vec<_> = pool.iter().map(|(id, &value)| (id, value)).collect();
        assert_eq!(held, [(a, 'e'), (b, 'd'), (c, 'c')]);
        pool.values_mut().for_each(|value| *value = 'x');
        assert_eq!(pool.get(c), Some(&'x'));

        pool.clear();
        assert_eq!((pool.len(), pool.get(c)), (0, None));
        assert_eq!(pool.insert('f'), Some(a));
    }

    #[test]
    fn an_optional_name_is_as_small_as_a_name() {
        assert_eq!(size_of::<Option<Id>>(), 4);
    }
}
