//! Neither reading nor writing allocates anything.

use core::time::Duration;

use allocation_counter::measure;
use lvs_vrrp::checksum::{ChecksumForm, FormFollower, TxChecksum};
use lvs_vrrp::codec::{
    Advertisement, AhFlavour, AhKey, Authentication, GratuitousArp, Password, Transmission,
    UnsolicitedNa,
};
use lvs_vrrp::counters::{GlobalCounters, RouterCounters};
use lvs_vrrp::receive::{AnyRouter, LocalRouter, Meta, SingleRouter, Versions};
use lvs_vrrp::{
    AddressList, Family, InterfaceIndex, Interval, Priority, Profile, Version, Vrid, receive,
};

/// An advertisement of 1 and of 90 addresses, in each version and family, with each kind of
/// authentication: written, read, climbed, counted, and once more with a bit changed.
#[test]
fn reading_and_writing_allocate_nothing() {
    let here = InterfaceIndex::new(2);
    let key = AhKey::new(AhFlavour::Keepalived, b"key").unwrap();
    let by = [
        Authentication::None,
        Authentication::Simple(Password::new(b"secret")),
        Authentication::Header(key),
    ];
    let lists = [
        AddressList::new((1..=1).map(|n| [192, 0, 2, n].into())).unwrap(),
        AddressList::new((1..=90).map(|n| [192, 0, 2, n].into())).unwrap(),
        AddressList::new((1..=90).map(|n| [0xfe80, 0, 0, 0, 0, 0, 0, n].into())).unwrap(),
    ];
    let reversed: Vec<AddressList> = lists
        .iter()
        .map(|list| {
            let mut addresses: Vec<_> = list.as_addresses().iter().collect();
            addresses.reverse();
            AddressList::new(addresses).unwrap()
        })
        .collect();
    let (mut global, mut counters) = (GlobalCounters::new(), RouterCounters::new());
    let mut follower = FormFollower::new(TxChecksum::default());
    // A router that is heard for the first time gets a place; there it stays.
    for source in ["192.0.2.250", "fe80::1:0"] {
        for form in [ChecksumForm::MessageOnly, ChecksumForm::PseudoHeader] {
            follower.heard(
                Duration::ZERO,
                source.parse().unwrap(),
                form,
                Duration::from_secs(4),
            );
        }
    }
    let mut buffer = [0; 1600];
    let count = measure(|| {
        for (list, reversed) in lists.iter().zip(&reversed) {
            for (version, by) in [
                (Version::V2, &by[0]),
                (Version::V2, &by[1]),
                (Version::V2, &by[2]),
                (Version::V3, &by[0]),
            ] {
                let (source, meta) = match list.family() {
                    Family::Ipv4 => ([192, 0, 2, 250].into(), Meta::ipv4(here, Duration::ZERO)),
                    Family::Ipv6 if version == Version::V2 => continue,
                    Family::Ipv6 => (
                        [0xfe80, 0, 0, 0, 0, 0, 1, 0].into(),
                        Meta::ipv6(here, Duration::ZERO),
                    ),
                };
                let advertisement = Advertisement {
                    version,
                    vrid: Vrid::new(1).unwrap(),
                    priority: Priority::DEFAULT,
                    interval: Interval::DEFAULT,
                    addresses: list.as_addresses(),
                };
                let transmission = Transmission::multicast(source).with_authentication(by, 1);
                let length = transmission
                    .emit_packet(&advertisement, &mut buffer)
                    .unwrap();
                let mut local = LocalRouter::new(
                    Versions::Only(version),
                    Priority::DEFAULT,
                    Interval::DEFAULT,
                    reversed,
                    Profile::Linux.receive_rules(),
                );
                local.authentication = by;
                let single = SingleRouter::new(here, advertisement.vrid, local);
                let packet = buffer.get_mut(..length).unwrap();
                let accepted = receive(&meta, packet, &single).unwrap();
                counters.record_accepted(&accepted);
                let form = accepted.checksum.and_then(|finding| finding.form());
                let form = form.unwrap_or(ChecksumForm::MessageOnly);
                follower.heard(Duration::ZERO, source, form, Duration::from_secs(4));
                assert!(receive(&meta, packet, &AnyRouter::default()).is_ok());
                *packet.last_mut().unwrap() ^= 1;
                let rejection = receive(&meta, packet, &single).unwrap_err();
                counters.record_rejection(rejection);
                global.record_rejection(rejection);
            }
        }
        let mac = Vrid::new(1).unwrap().virtual_mac(Family::Ipv4);
        let arp = GratuitousArp::new([192, 0, 2, 1].into(), mac);
        arp.emit_frame(&mut buffer).unwrap();
        assert_eq!(GratuitousArp::parse_frame(&buffer), Ok(arp));
        let na = UnsolicitedNa::new([0xfe80, 0, 0, 0, 0, 0, 0, 1].into(), mac);
        na.emit_frame(&mut buffer).unwrap();
        assert_eq!(UnsolicitedNa::parse_frame(&buffer), Ok(na));
    });
    assert_eq!(count.count_total, 0);
    assert_eq!(counters.received(), 9);
    assert_eq!(counters.rejected_in_all() + global.rejected_in_all(), 9);
}
