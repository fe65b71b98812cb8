//! Removed destinations, which the kernel keeps for a while (kernel interface specification, section
//! 5.9; the times were observed on 6.1.176).

use core::net::SocketAddr;
use core::time::Duration;

use super::VirtualService;
use crate::arena::Arena;
use crate::context::{Removed, Timestamp};
use crate::destination::DestinationEntry;

/// How long a removed destination is kept after it was first found without references.
const IDLE: Duration = Duration::from_secs(120);

/// Time between looks.
const INTERVAL: Duration = Duration::from_secs(60);

/// Where the entry of a destination is.
#[derive(Debug)]
pub(super) enum Place {
    Listed(usize),
    Trashed(Trashed),
}

/// A removed destination.
#[derive(Debug)]
pub(super) struct Trashed {
    pub(super) entry: DestinationEntry,
    /// When a look first found nothing that refers to it.
    idle_since: Option<Timestamp>,
}

/// What holds for all removed destinations together.
#[derive(Debug)]
pub(super) struct Trash {
    count: usize,
    next_look: Timestamp,
}

impl Trash {
    pub(super) const fn new() -> Self {
        Self {
            count: 0,
            next_look: Timestamp::ZERO,
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn next_look(&self) -> Option<Timestamp> {
        (!self.is_empty()).then_some(self.next_look)
    }
}

impl VirtualService {
    pub(super) fn put_into_trash(&mut self, mut entry: DestinationEntry) {
        entry.set_available(false);
        if self.trash.is_empty() {
            self.trash.next_look = self.now.saturating_add(INTERVAL);
            self.next_timer = self.next_timer.min(self.trash.next_look);
        }
        if let Some(place) = self.places.get_mut(entry.id().0) {
            self.trash.count += 1;
            let idle_since = None;
            *place = Place::Trashed(Trashed { entry, idle_since });
        }
    }

    /// Takes the removed destination with this address out of the trash, to be listed at `index`.
    pub(super) fn take_from_trash(
        &mut self,
        address: SocketAddr,
        index: usize,
    ) -> Option<DestinationEntry> {
        if self.trash.is_empty() {
            return None;
        }
        let place = self.places.values_mut().find(
            |place| matches!(place, Place::Trashed(trashed) if trashed.entry.address() == address),
        )?;
        match core::mem::replace(place, Place::Listed(index)) {
            Place::Trashed(trashed) => {
                self.trash.count -= 1;
                Some(trashed.entry)
            }
            Place::Listed(_) => None,
        }
    }

    /// The look that is due at `now`. Nothing else happens until the `next` timer of a template.
    pub(super) fn look_at_trash(&mut self, now: Timestamp, next: Timestamp) {
        // Which destinations its cache refers to at that time.
        self.scheduler.advance(now);
        let mut all_referred_to = true;
        let Self {
            places,
            scheduler,
            trash,
            ..
        } = self;
        places.retain(|place| {
            let Place::Trashed(trashed) = place else {
                return true;
            };
            let entry = &trashed.entry;
            if entry.is_referred_to() || scheduler.refers_to(entry.address()) {
                return true;
            }
            all_referred_to = false;
            let idle_since = *trashed.idle_since.get_or_insert(now);
            let keep = now.saturating_sub(idle_since) < IDLE;
            trash.count -= usize::from(!keep);
            keep
        });
        trash.next_look = now.saturating_add(INTERVAL);
        if all_referred_to {
            // Looks that find the same are left out: time may leap.
            let until = self.now.min(next);
            let looks = until.saturating_sub(trash.next_look).as_secs() / INTERVAL.as_secs();
            let leap = Duration::from_secs(looks * INTERVAL.as_secs());
            trash.next_look = trash.next_look.saturating_add(leap);
        }
    }
}

/// What the removed destination with this address is like, for the scheduler.
pub(super) fn removed(places: &Arena<Place>, address: SocketAddr) -> Option<Removed> {
    places.values().find_map(|place| match place {
        Place::Trashed(Trashed { entry, .. }) if entry.address() == address => Some(Removed::new(
            entry.weight(),
            entry.active(),
            entry.inactive(),
        )),
        _ => None,
    })
}
