//! The table that is loaded: as `ipvsadm -S` text, and as encoded requests.

use core::fmt::Write as _;

use bytes::BytesMut;
use lvs_ipvs::wire::{FamilyId, encode_request};
use lvs_ipvs::{Change, Destination, Scheduler, VirtualService};

/// Virtual services.
pub(crate) const SERVICES: u16 = 1000;
/// Destinations of each.
pub(crate) const DESTINATIONS: u8 = 10;
/// Rules, one for each service and each destination.
pub(crate) const RULES: usize = SERVICES as usize * (DESTINATIONS as usize + 1);

/// Services with their destinations, in the order in which they are added.
fn services() -> impl Iterator<Item = (VirtualService, Vec<Destination>)> {
    (1..=SERVICES).map(|number| {
        let service = VirtualService::tcp(([192, 0, 2, 1], number).into());
        let destinations = (1..=DESTINATIONS).map(|host| {
            Destination::masquerade(([10, 0, 0, host], number).into()).with_weight(host.into())
        });
        (
            service.with_scheduler(Scheduler::Wrr),
            destinations.collect(),
        )
    })
}

/// The rules as `ipvsadm -S -n` writes them.
pub(crate) fn text() -> String {
    let mut text = String::new();
    for (service, destinations) in services() {
        let port = service.key().port().unwrap_or_default();
        let _ = writeln!(text, "-A -t 192.0.2.1:{port} -s wrr");
        for destination in destinations {
            let (key, weight) = (destination.key(), destination.weight());
            let _ = writeln!(text, "-a -t 192.0.2.1:{port} -r {key} -m -w {weight}");
        }
    }
    text
}

/// The same as requests, one after another.
pub(crate) fn requests(family: FamilyId) -> BytesMut {
    let mut bytes = BytesMut::new();
    let mut sequence = 0;
    let mut append = |change: Change| {
        sequence += 1;
        encode_request(&mut bytes, family, sequence, &change.into());
    };
    for (service, destinations) in services() {
        let key = service.key();
        append(Change::AddService(service));
        for destination in destinations {
            append(Change::AddDestination(key, destination));
        }
    }
    bytes
}
