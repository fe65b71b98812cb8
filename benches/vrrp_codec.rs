//! Reading and writing VRRP advertisements: `cargo bench -p benches --bench vrrp_codec`.
//!
//! One address each, from the IP header on. The floors, in the same run: to read, the checksum of
//! the message's bytes and nothing else; to write, a copy of the finished packet.

use core::hint::black_box;
use core::net::IpAddr;
use core::ops::RangeInclusive;
use core::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use lvs_vrrp::checksum::{ChecksumForm, Sum};
use lvs_vrrp::codec::{Advertisement, Transmission};
use lvs_vrrp::receive::{
    AnyRouter, LocalRouter, Lookup, Meta, Routers, SingleRouter, Versions, receive,
};
use lvs_vrrp::{AddressList, Family, InterfaceIndex, Interval, Priority, Profile, Version, Vrid};

const INTERFACE: InterfaceIndex = InterfaceIndex::new(2);

struct Case {
    name: &'static str,
    version: Version,
    source: IpAddr,
    addresses: AddressList,
    form: ChecksumForm,
}

fn cases() -> Vec<Case> {
    let case = |name, version, source: &str, address: &str, form| {
        Some(Case {
            name,
            version,
            source: source.parse().ok()?,
            addresses: AddressList::new(address.parse()).ok()?,
            form,
        })
    };
    let (alone, with) = (ChecksumForm::MessageOnly, ChecksumForm::PseudoHeader);
    let made = [
        case("v2", Version::V2, "192.0.2.11", "192.0.2.1", alone),
        case(
            "v3 IPv4, message-only",
            Version::V3,
            "192.0.2.11",
            "192.0.2.1",
            alone,
        ),
        case(
            "v3 IPv4, pseudo-header",
            Version::V3,
            "192.0.2.11",
            "192.0.2.1",
            with,
        ),
        case("v3 IPv6", Version::V3, "fe80::a:1", "fe80::1", with),
    ];
    made.into_iter().flatten().collect()
}

impl Case {
    fn advertisement(&self) -> Option<Advertisement<'_>> {
        Some(Advertisement {
            version: self.version,
            vrid: Vrid::new(51)?,
            priority: Priority::new(200),
            interval: Interval::DEFAULT,
            addresses: self.addresses.as_addresses(),
        })
    }

    fn transmission(&self) -> Transmission<'_> {
        Transmission::multicast(self.source).with_checksum(self.form)
    }

    fn meta(&self) -> Meta {
        let now = Duration::from_secs(60);
        match self.addresses.family() {
            Family::Ipv4 => Meta::ipv4(INTERFACE, now),
            Family::Ipv6 => Meta::ipv6(INTERFACE, now),
        }
    }

    fn local(&self) -> LocalRouter<'_> {
        let versions = Versions::Only(self.version);
        let rules = Profile::Linux.receive_rules();
        LocalRouter::new(
            versions,
            Priority::DEFAULT,
            Interval::DEFAULT,
            &self.addresses,
            rules,
        )
    }
}

/// Many virtual routers on one interface, found by their number.
struct Table<'a>(Vec<Option<LocalRouter<'a>>>);

impl Routers for Table<'_> {
    fn peer_ttl(&self, _: InterfaceIndex, _: IpAddr) -> Option<RangeInclusive<u8>> {
        None
    }

    fn expects_authentication_header(&self, _: InterfaceIndex) -> bool {
        false
    }

    fn find(&self, _: InterfaceIndex, _: Family, vrid: Vrid, _: IpAddr) -> Lookup<'_> {
        match self.0.get(usize::from(vrid.get())) {
            Some(Some(router)) => Lookup::Router(router.clone()),
            _ => Lookup::Unknown,
        }
    }
}

fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse + ladder");
    for case in &cases() {
        let (Some(advertisement), meta) = (case.advertisement(), case.meta()) else {
            continue;
        };
        let mut packet = [0; 128];
        let written = case.transmission().emit_packet(&advertisement, &mut packet);
        let packet = packet.get(..written.unwrap_or(0)).unwrap_or_default();
        let single = SingleRouter::new(INTERFACE, advertisement.vrid, case.local());
        group.bench_function(case.name, |bencher| {
            bencher.iter(|| receive(black_box(&meta), black_box(packet), &single).is_ok());
        });
        let table = Table(vec![Some(case.local()); 256]);
        group.bench_function(format!("{}, one of 255", case.name), |bencher| {
            bencher.iter(|| receive(black_box(&meta), black_box(packet), &table).is_ok());
        });
        group.bench_function(format!("{}, no configuration", case.name), |bencher| {
            let any = AnyRouter::default();
            bencher.iter(|| receive(black_box(&meta), black_box(packet), &any).is_ok());
        });
        let header = case.addresses.family().address_len().saturating_sub(4);
        let message = packet.get(20 + header..).unwrap_or_default();
        group.bench_function(format!("{}, floor: checksum", case.name), |bencher| {
            bencher.iter(|| Sum::new().with(black_box(message)).verifies());
        });
    }
}

fn write(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("emit");
    for case in &cases() {
        let Some(advertisement) = case.advertisement() else {
            continue;
        };
        let transmission = case.transmission();
        let mut buffer = [0; 128];
        group.bench_function(format!("{}, packet", case.name), |bencher| {
            bencher.iter(|| {
                let written = transmission.emit_packet(black_box(&advertisement), &mut buffer);
                black_box(&buffer);
                written.is_ok()
            });
        });
        group.bench_function(format!("{}, message", case.name), |bencher| {
            bencher.iter(|| {
                let written = transmission.emit_message(black_box(&advertisement), &mut buffer);
                black_box(&buffer);
                written.is_ok()
            });
        });
        let written = transmission.emit_packet(&advertisement, &mut buffer);
        let finished = buffer
            .get(..written.unwrap_or(0))
            .unwrap_or_default()
            .to_vec();
        group.bench_function(format!("{}, floor: copy", case.name), |bencher| {
            bencher.iter(|| {
                if let Some(place) = buffer.get_mut(..finished.len()) {
                    place.copy_from_slice(black_box(&finished));
                }
                black_box(&buffer);
            });
        });
    }
}

criterion_group!(benches, read, write);
criterion_main!(benches);
