//! The receive ladder, row by row: what drops a packet, what is only reported, in which order.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod authentication;
mod comparison;
mod packet;
mod whole;

use core::net::IpAddr;
use core::ops::RangeInclusive;
use core::time::Duration;

use lvs_vrrp::checksum::{ChecksumFinding, ChecksumForm, RxChecksum, Sum};
use lvs_vrrp::codec::{Advertisement, AhFlavour, AhKey, Authentication, Password, Transmission};
use lvs_vrrp::counters::{GlobalCounters, RouterCounters};
use lvs_vrrp::receive::{
    Accepted, LocalRouter, Lookup, Meta, Mode, Peer, Routers, Scope, SingleRouter, Versions,
};
use lvs_vrrp::{
    AddressList, Addresses, Family, InterfaceIndex, Interval, Observation, Priority, Profile, Rank,
    Reason, Rejection, Version, Vrid, receive,
};

const HERE: InterfaceIndex = InterfaceIndex::new(2);
const PEER: &str = "192.0.2.11";

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn list(addresses: &[&str]) -> AddressList {
    AddressList::new(addresses.iter().map(|text| address(text))).unwrap()
}

fn vrid() -> Vrid {
    Vrid::new(10).unwrap()
}

fn seconds(number: u8) -> Interval {
    Interval::from_seconds(number).unwrap()
}

fn advertisement(version: Version, addresses: &AddressList) -> Advertisement<'_> {
    Advertisement {
        version,
        vrid: vrid(),
        priority: Priority::new(200),
        interval: Interval::DEFAULT,
        addresses: addresses.as_addresses(),
    }
}

fn emit(transmission: &Transmission<'_>, advertisement: &Advertisement<'_>) -> Vec<u8> {
    let mut buffer = [0; 1500];
    let length = transmission
        .emit_packet(advertisement, &mut buffer)
        .unwrap();
    buffer[..length].to_vec()
}

/// A packet of one address, from the usual peer.
fn packet(version: Version) -> Vec<u8> {
    let addresses = list(&["192.0.2.1"]);
    emit(
        &Transmission::multicast(address(PEER)),
        &advertisement(version, &addresses),
    )
}

fn router(version: Version, addresses: &AddressList) -> LocalRouter<'_> {
    LocalRouter::new(
        Versions::Only(version),
        Priority::DEFAULT,
        Interval::DEFAULT,
        addresses,
        Profile::Linux.receive_rules(),
    )
}

fn hear<'a>(packet: &'a [u8], local: &LocalRouter<'_>) -> Result<Accepted<'a>, Rejection> {
    let meta = match local.addresses.family() {
        Family::Ipv4 => Meta::ipv4(HERE, Duration::from_secs(60)),
        Family::Ipv6 => Meta::ipv6(HERE, Duration::from_secs(60)),
    };
    receive(
        &meta,
        packet,
        &SingleRouter::new(HERE, vrid(), local.clone()),
    )
}

/// The reason and the row for which a packet is dropped.
fn dropped(packet: &[u8], local: &LocalRouter<'_>) -> (Reason, u8) {
    let rejection = hear(packet, local).unwrap_err();
    (rejection.reason(), rejection.row())
}

fn observed(packet: &[u8], local: &LocalRouter<'_>) -> Vec<Observation> {
    hear(packet, local).unwrap().observations.iter().collect()
}

/// Sums a VRRPv2 message behind 20 bytes of IP header up again.
fn sum_up(packet: &mut [u8]) {
    packet[26..28].fill(0);
    let checksum = Sum::new().with(&packet[20..]).checksum();
    packet[26..28].copy_from_slice(&checksum.to_be_bytes());
}
