//! How a driver begins: with what is there, and what an earlier process left.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use nix::errno::Errno;

use super::event::DriverEventKind;
use super::jobs::{Place, Placed};
use crate::address::InterfaceIndex;
use crate::net::addresses::AddressBook;
use crate::net::clock;
use crate::net::config::{Device, DriverConfig, DriverError, Resolved, View};
use crate::net::executor::{Holdings, Outcome, make_device};
use crate::net::links::LinkMonitor;
use crate::net::netlink::{Request, RequestMessage, Rtnetlink, address};
use crate::net::{NetError, Operation};
use crate::node::{HandOver, Node, RouterId};

/// All of it.
pub(super) struct Beginning {
    pub(super) holdings: Holdings,
    pub(super) monitor: LinkMonitor,
    pub(super) devices: BTreeMap<RouterId, Device>,
    pub(super) resolved: Resolved,
    pub(super) node: Node,
    pub(super) placed: BTreeMap<Place, Placed>,
    /// What happened before anybody could listen.
    pub(super) unsaid: Vec<DriverEventKind>,
}

impl Beginning {
    /// Makes devices, removes leftovers, and takes over what a predecessor has left on purpose. If
    /// anything fails, nothing is left that was not there.
    pub(super) fn new(config: &DriverConfig, left: Option<&HandOver>) -> Result<Self, DriverError> {
        check_privilege()?;
        let mut holdings = Holdings::open(config.tag)?;
        match Self::build(config, left, &mut holdings) {
            Ok(build) => Ok(build(holdings)),
            Err(error) => {
                if left.is_none() {
                    holdings.undo();
                }
                Err(error)
            }
        }
    }

    fn build(
        config: &DriverConfig,
        left: Option<&HandOver>,
        holdings: &mut Holdings,
    ) -> Result<impl FnOnce(Holdings) -> Self + use<>, DriverError> {
        let (book, macvlans) = (&mut holdings.book, &mut holdings.macvlans);
        let mut deleted = Vec::new();
        if left.is_none() {
            deleted = macvlans.remove_leftovers()?;
        }
        let monitor = LinkMonitor::open()?;
        let mut devices = BTreeMap::new();
        let view = View {
            links: Some(monitor.links()),
            tag: book.tag(),
            devices: &devices,
        };
        let wanted = config.resolve(&view)?.wanted_devices;
        for (router, wanted) in wanted {
            for outcome in make_device(macvlans, router, wanted) {
                match outcome {
                    Outcome::Device(router, device) => drop(devices.insert(router, device)),
                    // What is refused at the start cannot be hoped for later.
                    Outcome::Failed(error) => return Err(error.into()),
                    _ => {}
                }
            }
        }
        let view = View {
            links: Some(monitor.links()),
            tag: book.tag(),
            devices: &devices,
        };
        let mut resolved = config.resolve(&view)?;
        let placed = left.map(|left| take_over(book, &resolved, left));
        let placed: BTreeMap<_, Placed> = placed.transpose()?.unwrap_or_default();
        for device in devices.values() {
            let mut there = placed.values().map(|placed| placed.address.key());
            let has_address = there.any(|key| key.interface == device.index);
            macvlans.set_at_rest(device.index, !has_address)?;
        }
        let configured: Vec<_> = resolved.addresses.values().cloned().collect();
        let removed = book.remove_leftovers(&configured)?;
        if left.is_some() {
            // Those of the predecessor that the configuration wants still are held by now.
            deleted = macvlans.remove_leftovers()?;
        }
        let node = core::mem::take(&mut resolved.node);
        let node = match left {
            Some(left) => Node::resume(node, clock::now(), left)?,
            None => Node::new(node)?,
        };
        let absent = resolved
            .places
            .iter()
            .filter(|(_, place)| place.is_absent());
        let deleted = deleted.into_iter().map(DriverEventKind::DeviceDeleted);
        let removed = removed.into_iter().map(DriverEventKind::LeftoverRemoved);
        let missing =
            absent.map(|(name, _)| DriverEventKind::InterfaceMissing { name: name.clone() });
        let unsaid = deleted.chain(removed).chain(missing).collect();
        Ok(|holdings| Self {
            holdings,
            monitor,
            devices,
            resolved,
            node,
            placed,
            unsaid,
        })
    }
}

/// Without the right to change addresses it would find out when it is Active. So it asks for the
/// removal of one from an interface that no system has: who may is told that there is none.
fn check_privilege() -> Result<(), NetError> {
    let nowhere = InterfaceIndex::new(0x7fff_ffff);
    let nothing =
        RequestMessage::DelAddress(address::message(nowhere, IpAddr::from([192, 0, 2, 1]), 32));
    let outcomes = Rtnetlink::open()?.execute(&[Request::new(&nothing, 0)]);
    for outcome in outcomes {
        match outcome {
            Err(cause) if cause.is(Errno::EPERM) => return Err(cause.of(Operation::AddAddress, "")),
            _ => {}
        }
    }
    Ok(())
}

/// The addresses of routers that go on are ours again.
fn take_over(
    book: &mut AddressBook,
    resolved: &Resolved,
    left: &HandOver,
) -> Result<BTreeMap<Place, Placed>, DriverError> {
    let mut placed = BTreeMap::new();
    for (router, handed) in &left.routers {
        let mut homes = resolved.mouths.keys();
        let home = homes.find(|(other, _)| other == router);
        for address in &handed.addresses {
            let setup = resolved.addresses.get(&(*router, *address));
            if let Some(((_, interface), setup)) = home.zip(setup) {
                let place = (*router, *interface, *address);
                let address = setup.clone();
                let is_wanted = true;
                placed.insert(place, Placed { address, is_wanted });
            }
        }
    }
    let all: Vec<_> = placed
        .values()
        .map(|placed| placed.address.clone())
        .collect();
    if !all.is_empty() {
        for installed in book.install(clock::now(), &all) {
            installed?;
        }
    }
    Ok(placed)
}
