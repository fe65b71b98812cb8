//! The routers of a node, by place and by name.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{Router, RouterId};

/// The places. One is not used again while a job may still name it.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    routers: Vec<Option<Router>>,
    free: Vec<usize>,
    /// Those that are configured.
    by_id: BTreeMap<RouterId, usize>,
}

impl Places {
    pub(super) fn get(&self, key: usize) -> Option<&Router> {
        count_look();
        self.routers.get(key)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, key: usize) -> Option<&mut Router> {
        count_look();
        self.routers.get_mut(key)?.as_mut()
    }

    pub(super) fn key_of(&self, id: RouterId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    /// How many there are, those that leave too.
    pub(super) fn len(&self) -> usize {
        self.routers.len().saturating_sub(self.free.len())
    }

    /// All, those that leave too.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Router)> {
        let places = self.routers.iter().enumerate();
        places.filter_map(|(key, router)| {
            count_look();
            Some((key, router.as_ref()?))
        })
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Router)> {
        let places = self.routers.iter_mut().enumerate();
        places.filter_map(|(key, router)| {
            count_look();
            Some((key, router.as_mut()?))
        })
    }

    /// Makes room for so many more at once: growing step by step leaves holes behind.
    pub(super) fn reserve(&mut self, more: usize) {
        self.routers.reserve_exact(more);
    }

    /// Puts a router in that is configured, and gives its place.
    pub(super) fn insert(&mut self, router: Router) -> usize {
        let key = self.free.pop().unwrap_or(self.routers.len());
        self.by_id.insert(router.id, key);
        match self.routers.get_mut(key) {
            Some(place) => *place = Some(router),
            None => self.routers.push(Some(router)),
        }
        key
    }

    /// It is not configured any more, and goes when its work is done.
    pub(super) fn dismiss(&mut self, key: usize) {
        let Some(router) = self.get_mut(key) else {
            return;
        };
        router.is_leaving = true;
        let id = router.id;
        if self.by_id.get(&id) == Some(&key) {
            self.by_id.remove(&id);
        }
    }

    /// Takes out one that was dismissed.
    pub(super) fn remove(&mut self, key: usize) -> Option<Router> {
        let router = self.routers.get_mut(key)?.take()?;
        self.free.push(key);
        Some(router)
    }
}

#[cfg(test)]
std::thread_local! {
    static LOOKS: core::cell::Cell<u64> = const { core::cell::Cell::new(0) };
}

/// Tests count how much is looked at.
#[cfg(test)]
pub(super) fn looks() -> u64 {
    LOOKS.get()
}

#[cfg(test)]
fn count_look() {
    LOOKS.set(LOOKS.get() + 1);
}

#[cfg(not(test))]
const fn count_look() {}
