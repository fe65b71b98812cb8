//! The list of destinations, in the kernel's order, and what an administrator does to it.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::trash::Place;
use super::{DestinationId, VirtualService};
use crate::destination::{Destination, DestinationEntry};
use crate::error::Error;

impl VirtualService {
    /// Adds a destination as the newest of the list. One of the same address that was
    /// [removed](Self::remove) and is still kept comes back, under its former name.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] if the address is in the list; [`Error::Weight`] and
    /// [`Error::Thresholds`] as the kernel refuses them.
    pub fn add(&mut self, destination: Destination) -> Result<DestinationId, Error> {
        destination.validate()?;
        let address = destination.address();
        if self.position(address).is_some() {
            return Err(Error::Exists { address });
        }
        let id = self.append(destination);
        self.scheduler.added(&self.list, self.list.len() - 1);
        Ok(id)
    }

    /// Appends a destination, which may come out of the trash. The scheduler is to be told.
    fn append(&mut self, destination: Destination) -> DestinationId {
        let index = self.list.len();
        let entry = match self.take_from_trash(destination.address(), index) {
            Some(mut entry) => {
                entry.restore(destination, self.semantics.threshold_edits);
                entry
            }
            None => {
                let key = self.places.insert(Place::Listed(index));
                DestinationEntry::new(DestinationId(key), destination)
            }
        };
        let id = entry.id();
        self.list.push(entry);
        id
    }

    /// Adds several destinations, as [`add`](Self::add) one after the other does, and with the same
    /// picks afterwards. A scheduler with a big table fills it once only. Returns their names; after
    /// an error those before it are in the list.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add), of the first destination that is refused.
    ///
    /// ```
    /// use lvs_schedulers::{Algorithm, Destination, Semantics, VirtualService};
    ///
    /// let mut service = VirtualService::new(Algorithm::Mh, Semantics::LINUX_6_1);
    /// let servers = (1..=200).map(|host| Destination::new(([10, 0, 0, host], 80).into()));
    /// assert_eq!(service.add_all(servers)?.len(), 200);
    /// # Ok::<(), lvs_schedulers::Error>(())
    /// ```
    pub fn add_all(
        &mut self,
        destinations: impl IntoIterator<Item = Destination>,
    ) -> Result<Vec<DestinationId>, Error> {
        let from = self.list.len();
        let mut known: BTreeSet<_> = self.list.iter().map(DestinationEntry::address).collect();
        let mut refused = None;
        for destination in destinations {
            let address = destination.address();
            let checked = destination.validate().and_then(|()| {
                if known.insert(address) {
                    Ok(())
                } else {
                    Err(Error::Exists { address })
                }
            });
            if let Err(error) = checked {
                refused = Some(error);
                break;
            }
            self.append(destination);
        }
        self.scheduler.added_all(&self.list, from);
        let ids = self.list.iter().skip(from).map(DestinationEntry::id);
        refused.map_or_else(|| Ok(ids.collect()), Err)
    }

    /// Replaces all settings of the destination with this address: weight, thresholds and forwarding
    /// method; to change one of them, begin with the [present ones](DestinationEntry::destination).
    /// Its connections and its place in the list stay; thresholds act as
    /// [`Semantics::threshold_edits`](crate::Semantics::threshold_edits) says.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the address is not in the list; [`Error::Weight`] and
    /// [`Error::Thresholds`] as the kernel refuses them.
    pub fn edit(&mut self, destination: Destination) -> Result<DestinationId, Error> {
        destination.validate()?;
        let address = destination.address();
        let (index, entry) = self
            .list
            .iter_mut()
            .enumerate()
            .find(|(_, entry)| entry.address() == address)
            .ok_or(Error::NotFound { address })?;
        let id = entry.id();
        entry.update(destination, self.semantics.threshold_edits);
        self.scheduler.edited(&self.list, index);
        Ok(id)
    }

    /// Takes the destination with this address out of the list. Its connections go on until they
    /// [expire](Self::expire).
    ///
    /// The kernel does not forget it at once: it stays readable, not
    /// [available](DestinationEntry::is_available), and when the address is added again meanwhile it
    /// comes back with its connections, its templates (which are honoured again unless they were asked
    /// for in between) and its overload mark, as far as its new thresholds let it keep that; its weight
    /// and last weight are those of the addition.
    ///
    /// It is kept as long as connections, templates or the scheduler's cache refer to it, and for two
    /// minutes after nothing was found to do so by a look that the kernel takes every minute, the first
    /// one a minute after the first destination was removed: without connections, for three minutes
    /// if it was the first. (The kernel's minutes are a few seconds longer than a clock's; those here
    /// are exact. Its timer is also one for all services.)
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the address is not in the list.
    pub fn remove(&mut self, address: SocketAddr) -> Result<(), Error> {
        let index = self.position(address).ok_or(Error::NotFound { address })?;
        let entry = self.list.remove(index);
        for (index, entry) in self.list.iter().enumerate().skip(index) {
            if let Some(place) = self.places.get_mut(entry.id().0) {
                *place = Place::Listed(index);
            }
        }
        self.put_into_trash(entry);
        self.scheduler.removed(&self.list, index);
        Ok(())
    }

    /// The destinations of the list in the kernel's order: the one added last comes first.
    pub fn destinations(&self) -> impl DoubleEndedIterator<Item = &DestinationEntry> {
        self.list.iter().rev()
    }

    /// The destination named `id`, in the list or [removed](Self::remove) and still kept.
    pub fn destination(&self, id: DestinationId) -> Option<&DestinationEntry> {
        match self.places.get(id.0)? {
            Place::Listed(index) => self.list.get(*index),
            Place::Trashed(trashed) => Some(&trashed.entry),
        }
    }

    /// The destination of the list with this address.
    pub fn destination_at(&self, address: SocketAddr) -> Option<&DestinationEntry> {
        self.list.get(self.position(address)?)
    }

    fn position(&self, address: SocketAddr) -> Option<usize> {
        let address = SocketAddr::new(address.ip(), address.port());
        self.list
            .iter()
            .position(|entry| entry.address() == address)
    }

    pub(super) fn entry_mut(&mut self, id: DestinationId) -> Option<&mut DestinationEntry> {
        match self.places.get_mut(id.0)? {
            Place::Listed(index) => self.list.get_mut(*index),
            Place::Trashed(trashed) => Some(&mut trashed.entry),
        }
    }

    /// The index of a destination in the list, if it is there.
    pub(super) fn index_of(&self, id: DestinationId) -> Option<usize> {
        match self.places.get(id.0)? {
            Place::Listed(index) => Some(*index),
            Place::Trashed(_) => None,
        }
    }
}
