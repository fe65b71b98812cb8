//! The sockets that a configuration needs, opened and closed by the difference.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::waiting::{Ready, Waiting};
use crate::address::{Family, InterfaceIndex};
use crate::codec::Authentication;
use crate::config::RouterConfig;
use crate::net::config::{DriverConfig, Resolved, group_of};
use crate::net::{Carrier, FrameSender, NetError, Receiver, Sender};

/// Which receiver.
type Ear = (InterfaceIndex, Family, Carrier);

/// What a receiver has to hear.
#[derive(Debug, Default)]
struct Wanted {
    name: String,
    groups: BTreeSet<IpAddr>,
    routers: usize,
}

/// A receiver at work.
#[derive(Debug)]
struct Open {
    /// By which the waiting knows it; never used twice.
    number: u64,
    receiver: Receiver,
    groups: BTreeSet<IpAddr>,
}

/// All sockets for advertisements and announcements.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    receivers: BTreeMap<Ear, Open>,
    senders: BTreeMap<(InterfaceIndex, Family), Sender>,
    frames: BTreeMap<InterfaceIndex, FrameSender>,
    next_number: u64,
}

impl Sockets {
    /// Opens what is needed and not open, and closes what is not needed any more. What cannot be
    /// opened is given back, and tried again with the next change.
    pub(super) fn adopt(
        &mut self,
        config: &DriverConfig,
        resolved: &Resolved,
        waiting: &Waiting,
    ) -> Vec<NetError> {
        let mut errors = Vec::new();
        let mut ears: BTreeMap<Ear, Wanted> = BTreeMap::new();
        let mut mouths = BTreeMap::new();
        let mut faces = BTreeMap::new();
        for (id, router) in &config.routers {
            let name = &router.interface;
            let place = resolved.places.get(name);
            let Some(place) = place.filter(|place| !place.is_absent()) else {
                continue;
            };
            let index = place.index;
            let family = router.config.family();
            for carrier in carriers(&router.config) {
                let wanted = ears.entry((index, family, *carrier)).or_default();
                wanted.name.clone_from(name);
                wanted.groups.extend(group_of(&router.config));
                wanted.routers = wanted.routers.saturating_add(1);
            }
            let mouth = resolved.mouths.get(id).copied().unwrap_or(index);
            for device in [index, mouth] {
                if let Some(name) = resolved.names.get(&device) {
                    faces.insert(device, name);
                    mouths.insert((device, family), name);
                }
            }
        }
        for address in resolved.addresses.values() {
            let device = address.key().interface;
            if let Some(name) = resolved.names.get(&device) {
                faces.insert(device, name);
            }
        }
        self.receivers.retain(|ear, _| ears.contains_key(ear));
        self.senders.retain(|mouth, _| mouths.contains_key(mouth));
        self.frames.retain(|face, _| faces.contains_key(face));
        for (ear, wanted) in ears {
            if let Err(error) = self.listen(ear, wanted, waiting) {
                errors.push(error);
            }
        }
        for ((index, family), name) in mouths {
            if self.senders.contains_key(&(index, family)) {
                continue;
            }
            match Sender::open(name, index.get(), family) {
                Ok(sender) => drop(self.senders.insert((index, family), sender)),
                Err(error) => errors.push(error),
            }
        }
        for (index, name) in faces {
            if self.frames.contains_key(&index) {
                continue;
            }
            match FrameSender::open(name) {
                Ok(sender) => drop(self.frames.insert(index, sender)),
                Err(error) => errors.push(error),
            }
        }
        errors
    }

    fn listen(&mut self, ear: Ear, wanted: Wanted, waiting: &Waiting) -> Result<(), NetError> {
        let (index, family, carrier) = ear;
        let open = match self.receivers.get_mut(&ear) {
            Some(open) => open,
            None => {
                let receiver = Receiver::open(&wanted.name, index, family, carrier)?;
                let number = self.next_number;
                waiting.add(&receiver, Ready::Receiver(number))?;
                self.next_number = number.saturating_add(1);
                let groups = BTreeSet::new();
                self.receivers.entry(ear).or_insert(Open {
                    number,
                    receiver,
                    groups,
                })
            }
        };
        open.receiver.make_room(wanted.routers)?;
        for group in wanted.groups.difference(&open.groups) {
            open.receiver.join(*group)?;
        }
        for group in open.groups.difference(&wanted.groups) {
            // It was joined; an interface that has gone took it along.
            let _ = open.receiver.leave(*group);
        }
        open.groups = wanted.groups;
        Ok(())
    }

    /// The receiver of this number.
    pub(super) fn receiver(&self, number: u64) -> Option<&Receiver> {
        let mut receivers = self.receivers.values();
        receivers
            .find(|open| open.number == number)
            .map(|open| &open.receiver)
    }

    /// Closes sockets of interfaces that have gone.
    pub(super) fn close(&mut self, number: u64) {
        self.receivers.retain(|_, open| open.number != number);
    }

    pub(super) fn sender(&self, device: InterfaceIndex, family: Family) -> Option<&Sender> {
        self.senders.get(&(device, family))
    }

    pub(super) fn frames(&self, device: InterfaceIndex) -> Option<&FrameSender> {
        self.frames.get(&device)
    }
}

/// An authentication header is a protocol of its own. Packets without one are heard all the same, to
/// be counted.
fn carriers(config: &RouterConfig) -> &'static [Carrier] {
    match config.authentication() {
        Authentication::Header(_) => &[Carrier::Plain, Carrier::AuthenticationHeader],
        _ => &[Carrier::Plain],
    }
}
