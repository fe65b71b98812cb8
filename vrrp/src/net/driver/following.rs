//! Following the system: interfaces that come and go, devices with virtual MACs, addresses that
//! somebody else removes.

use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::engine::Engine;
use super::event::DriverEventKind;
use crate::address::{Family, InterfaceIndex};
use crate::net::addresses::{AddressKey, Renewed};
use crate::net::config::{Device, Resolved, View};
use crate::net::executor::{AddressJob, AddressTask};
use crate::net::links::{LinkChanges, Listed};
use crate::net::{NetError, clock};
use crate::timer::Timestamp;

/// How long it takes until what has failed is tried again: opening sockets, listing links.
const RETRY: Duration = Duration::from_millis(250);

impl Engine {
    /// Takes what links are said to have become, some of it: however much there is, advertisements do
    /// not wait.
    pub(super) fn read_links(&mut self) {
        match self.monitor.follow() {
            Ok(changes) => self.take_changes(&changes),
            Err(error) => self.tell(DriverEventKind::Failed(Arc::new(error))),
        }
        if self.listing_due.is_none() {
            self.list_links();
        }
    }

    fn take_changes(&mut self, changes: &LinkChanges) {
        let now = clock::now();
        for key in &changes.removed {
            self.restoring.miss(now, *key);
        }
        self.follow_links(&changes.interfaces);
    }

    /// Lets all links be listed, if something was lost and that is not under way.
    pub(super) fn list_links(&mut self) {
        self.listing_due = None;
        if let Some(listing) = self.monitor.begin_listing() {
            // The thread tells when it ends.
            let _ = self.lister.send(listing);
        }
    }

    pub(super) fn adopt_links(&mut self, listed: Listed) {
        match self.monitor.adopt(listed) {
            Ok(changes) => {
                if changes.was_overrun {
                    self.tell(DriverEventKind::LinksReread);
                }
                self.take_changes(&changes);
            }
            Err(error) => self.tell(DriverEventKind::Failed(Arc::new(error))),
        }
        if self.monitor.has_lost() {
            self.listing_due = Some(clock::now().saturating_add(RETRY));
        }
    }

    /// Tells the node of these links; where interfaces came or went, virtual routers go along.
    fn follow_links(&mut self, changed: &BTreeSet<InterfaceIndex>) {
        let now = clock::now();
        let links = self.monitor.links();
        let mut places = self.resolved.places.values();
        let is_ours = places.any(|place| changed.contains(&place.index));
        let mut places = self.resolved.places.iter();
        let is_current = places.all(|(name, place)| place.is_current(links.by_name(name)));
        // One that was just made is not in the table yet, and has not changed.
        let is_lost =
            |device: &Device| changed.contains(&device.index) && links.get(device.index).is_none();
        let mut lost = Vec::new();
        self.devices.retain(|_, device| {
            if is_lost(device) {
                lost.push(device.index);
            }
            !is_lost(device)
        });
        if !is_current || !lost.is_empty() {
            for index in lost {
                self.post(AddressTask::RemoveDevice(index));
            }
            self.resolve_again(now);
        } else if self.sockets_due.is_some() && is_ours {
            // Perhaps it goes now. Otherwise it waits, or changes without end would try without end.
            self.open_sockets();
        }
        self.tell_links(now, changed);
        let links = self.monitor.links();
        for (tracker, name) in &self.config.link_trackers {
            let is_up = links.by_name(name).is_some_and(|link| link.is_running);
            self.node.set_tracker(now, *tracker, is_up);
        }
    }

    /// Tells the node how these interfaces are now. Where something is not heard, nothing can be
    /// advertised from either: a deaf router takes itself for the only one.
    fn tell_links(&mut self, now: Timestamp, changed: &BTreeSet<InterfaceIndex>) {
        let links = self.monitor.links();
        for (name, place) in &self.resolved.places {
            if !changed.contains(&place.index) {
                continue;
            }
            let link = links.by_name(name);
            let is_up = link.is_some_and(|link| link.is_running);
            let mut sources = link.map(|link| link.sources(self.tag)).unwrap_or_default();
            let sockets = &self.sockets;
            sources.retain(|source| sockets.hears(place.index, Family::of(*source)));
            self.node.link(now, place.index, is_up, &sources);
        }
    }

    pub(super) fn view(&self) -> View<'_> {
        View {
            links: Some(self.monitor.links()),
            tag: self.tag,
            devices: &self.devices,
        }
    }

    pub(super) fn resolve_again(&mut self, now: Timestamp) {
        let resolved = self.config.resolve(&self.view()).and_then(|mut resolved| {
            let node = core::mem::take(&mut resolved.node);
            self.node.reconfigure(now, node)?;
            Ok(resolved)
        });
        let resolved = match resolved {
            Ok(resolved) => resolved,
            Err(error) => {
                // Such as an owner without its addresses: it goes on as it was.
                self.tell(DriverEventKind::Refused(Arc::new(error)));
                return;
            }
        };
        let before = self.change_to(resolved);
        let mut told = Vec::new();
        for (name, place) in &self.resolved.places {
            let known = before.places.get(name).map(|place| place.index);
            if known != Some(place.index) {
                let (name, index) = (name.clone(), place.index);
                told.push(if place.is_absent() {
                    DriverEventKind::InterfaceMissing { name }
                } else {
                    DriverEventKind::InterfaceFound { name, index }
                });
            }
        }
        for kind in told {
            self.tell(kind);
        }
    }

    /// The node goes on with this, and so has all else: sockets, devices, and where addresses are. Gives
    /// what was before. Routers that leave say so from where they were, while their sockets are there.
    pub(super) fn change_to(&mut self, resolved: Resolved) -> Resolved {
        let before = core::mem::replace(&mut self.resolved, resolved);
        self.say_farewell(&before);
        self.make_devices();
        self.open_sockets();
        self.move_addresses();
        before
    }

    fn make_devices(&mut self) {
        if self.is_leaving {
            return;
        }
        let wanted = &self.resolved.wanted_devices;
        let mut left = Vec::new();
        self.devices.retain(|router, device| {
            let stays = wanted.get(router) == Some(&device.made_as);
            if !stays {
                left.push((*router, device.index));
            }
            stays
        });
        let mut tasks = Vec::new();
        for (router, wanted) in wanted {
            if !self.devices.contains_key(router) && self.devices_asked.insert(*router) {
                tasks.push(AddressTask::MakeDevice(*router, wanted.clone()));
            }
        }
        self.devices_left.extend(left);
        for task in tasks {
            self.post(task);
        }
    }

    /// Deletes devices when the addresses of their routers are gone.
    pub(super) fn forget_devices(&mut self) {
        if self.devices_left.is_empty() {
            return;
        }
        let left = core::mem::take(&mut self.devices_left);
        for (router, index) in left {
            let is_used = self.placed.iter().any(|((other, _, _), placed)| {
                *other == router && placed.is_wanted && placed.address.key().interface == index
            });
            if is_used {
                self.devices_left.push((router, index));
            } else {
                self.post(AddressTask::RemoveDevice(index));
            }
        }
    }

    /// Addresses of routers that stay that are installed and belong elsewhere now, or are to be
    /// installed differently.
    fn move_addresses(&mut self) {
        let links = self.monitor.links();
        // With the device the address is gone.
        self.placed.retain(|(_, interface, _), placed| {
            let device = placed.address.key().interface;
            placed.is_wanted || links.get(*interface).is_some() || links.get(device).is_some()
        });
        let mut job = AddressJob {
            id: None,
            install: Vec::new(),
            remove: Vec::new(),
            wanted: None,
        };
        for ((router, interface, address), placed) in &mut self.placed {
            let stays = self.resolved.is_on(*router, *interface);
            let new = self.resolved.addresses.get(&(*router, *address));
            let Some(new) = new.filter(|_| stays) else {
                continue;
            };
            let is_there = self.resolved.names.contains_key(&new.key().interface);
            if !placed.is_wanted || *new == placed.address || !is_there {
                continue;
            }
            if new.key() != placed.address.key() {
                job.remove.push(placed.address.key());
            }
            let group = self.config.guarded_group(*router);
            let gone_by = group.and_then(|group| self.guarded_until.get(&group).copied());
            job.install.push(new.clone().with_gone_by(gone_by));
            placed.address = new.clone();
        }
        if !job.install.is_empty() {
            self.post(AddressTask::Change([job].into()));
        }
    }

    /// Brings back what somebody else has removed.
    pub(super) fn restore_missing(&mut self) {
        let now = clock::now();
        if self.restoring.next_due().is_none_or(|at| at > now) {
            return;
        }
        let links = self.monitor.links();
        let placed = self.placed.values().filter(|placed| placed.is_wanted);
        let wanted = placed.map(|placed| placed.address.key());
        let wanted: BTreeSet<_> = wanted
            .filter(|key| links.get(key.interface).is_some())
            .collect();
        let due = self.restoring.take_due(now, |key| wanted.contains(&key));
        if !due.is_empty() {
            self.post(AddressTask::Restore(due));
        }
    }

    /// Takes what came of it. A router whose address cannot be brought back gives way.
    pub(super) fn take_restored(&mut self, key: AddressKey, restored: Result<Renewed, NetError>) {
        let now = clock::now();
        let error = match restored {
            Ok(restored) => {
                self.restoring.end(now, key);
                if restored == Renewed::Restored {
                    self.tell(DriverEventKind::AddressRestored(key));
                }
                return;
            }
            Err(error) => error,
        };
        let failure = self.restoring.fail(now, key);
        if failure.is_told {
            self.tell(DriverEventKind::Failed(Arc::new(error)));
        }
        if failure.is_last {
            let placed = self.placed.iter();
            let lost = placed.filter(|(_, placed)| placed.is_wanted && placed.address.key() == key);
            let lost: Vec<_> = lost.map(|((router, _, _), _)| *router).collect();
            for router in lost {
                self.node.lose_addresses(now, router);
            }
        }
    }

    pub(super) fn open_sockets(&mut self) {
        let mut changed: BTreeSet<_> = self.sockets.deaf().collect();
        let errors = self
            .sockets
            .adopt(&self.config, &self.resolved, &self.waiting);
        changed.extend(self.sockets.deaf());
        let now = clock::now();
        self.tell_links(now, &changed);
        self.sockets_due = (!errors.is_empty()).then(|| now.saturating_add(RETRY));
        let before = core::mem::take(&mut self.sockets_said);
        for error in errors {
            let said = error.to_string();
            if !before.contains(&said) && !self.sockets_said.contains(&said) {
                self.tell(DriverEventKind::Failed(Arc::new(error)));
            }
            self.sockets_said.insert(said);
        }
    }
}
