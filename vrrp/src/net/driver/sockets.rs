//! The sockets that a configuration needs, opened and closed by the difference.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::waiting::{Ready, Waiting};
use crate::address::{Family, InterfaceIndex};
use crate::codec::Authentication;
use crate::config::RouterConfig;
use crate::net::announce::Devices;
use crate::net::config::{DriverConfig, Resolved, group_of};
use crate::net::{Carrier, FrameSender, NetError, Operation, Receiver, Sender};

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
    numbers: BTreeMap<u64, Ear>,
    senders: BTreeMap<(InterfaceIndex, Family), Sender>,
    frames: BTreeMap<InterfaceIndex, FrameSender>,
    next_number: u64,
    deaf: BTreeSet<(InterfaceIndex, Family)>,
}

impl Sockets {
    /// Opens what is needed and not open, and closes what is not needed any more. What cannot be
    /// opened is given back, and tried again with the next call; until then [`hears`](Self::hears)
    /// says where that leaves routers without a part of what is said.
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
            let mouth = resolved.mouths.get(&(*id, index));
            let mouth = mouth.map_or(index, |mouth| mouth.device);
            for device in [index, mouth] {
                if let Some(name) = resolved.names.get(&device) {
                    faces.insert(device, name);
                    mouths.insert((device, family), (name, index));
                }
            }
        }
        for address in resolved.addresses.values() {
            let device = address.key().interface;
            if let Some(name) = resolved.names.get(&device) {
                faces.insert(device, name);
            }
        }
        self.deaf.clear();
        self.receivers.retain(|ear, _| ears.contains_key(ear));
        self.senders.retain(|mouth, _| mouths.contains_key(mouth));
        self.frames.retain(|face, _| faces.contains_key(face));
        for (ear, wanted) in ears {
            if let Err(error) = self.listen(ear, wanted, waiting) {
                // Or it would be taken for one that hears all it should.
                self.receivers.remove(&ear);
                self.deaf.insert((ear.0, ear.1));
                errors.push(error);
            }
        }
        self.numbers = self
            .receivers
            .iter()
            .map(|(ear, open)| (open.number, *ear))
            .collect();
        for ((index, family), (name, interface)) in mouths {
            if self.senders.contains_key(&(index, family)) {
                continue;
            }
            match Sender::open(name, index.get(), family) {
                Ok(sender) => drop(self.senders.insert((index, family), sender)),
                Err(error) => {
                    self.deaf.insert((interface, family));
                    errors.push(error);
                }
            }
        }
        faces.retain(|index, _| !self.frames.contains_key(index));
        if faces.is_empty() {
            return errors;
        }
        let devices = match Devices::list() {
            Ok(devices) => devices,
            Err(error) => {
                errors.push(NetError::new(Operation::OpenPacketSocket, "", error));
                return errors;
            }
        };
        for (index, name) in faces {
            match FrameSender::open_among(&devices, name, Some(index)) {
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
    pub(super) fn receiver_mut(&mut self, number: u64) -> Option<&mut Receiver> {
        let ear = self.numbers.get(&number)?;
        self.receivers.get_mut(ear).map(|open| &mut open.receiver)
    }

    /// Closes a receiver that has failed.
    pub(super) fn close(&mut self, number: u64) {
        if let Some(ear) = self.numbers.remove(&number) {
            self.receivers.remove(&ear);
            self.deaf.insert((ear.0, ear.1));
        }
    }

    /// Whether all is open that routers of this family need there.
    pub(super) fn hears(&self, interface: InterfaceIndex, family: Family) -> bool {
        !self.deaf.contains(&(interface, family))
    }

    /// Where not all is open.
    pub(super) fn deaf(&self) -> impl Iterator<Item = InterfaceIndex> {
        self.deaf.iter().map(|(interface, _)| *interface)
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
