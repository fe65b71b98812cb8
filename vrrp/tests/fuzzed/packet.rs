//! Any bytes as a packet: what the fuzz targets check.

use core::net::IpAddr;
use core::time::Duration;

use lvs_vrrp::checksum::ChecksumForm;
use lvs_vrrp::codec::{
    Advertisement, AhFlavour, AhKey, Authentication, EthernetView, GratuitousArp, Password,
    Transmission, UnsolicitedNa,
};
use lvs_vrrp::counters::{GlobalCounters, RouterCounters};
use lvs_vrrp::receive::{
    Accepted, AnyRouter, Datagram, LocalRouter, Meta, Mode, Peer, Routers, SingleRouter, Versions,
};
use lvs_vrrp::{
    AddressList, InterfaceIndex, Interval, Priority, Profile, Rejection, Version, Vrid, receive,
};

const HERE: InterfaceIndex = InterfaceIndex::new(2);

/// The bytes of a VRRPv2 message, behind a header of IPv4 made for them: first as they are, then
/// with a checksum that is right.
pub(crate) fn v2(bytes: &[u8]) {
    any(bytes);
    over_ipv4(bytes, Version::V2);
}

/// The bytes of a VRRPv3 message over IPv4.
pub(crate) fn v3_over_ipv4(bytes: &[u8]) {
    any(bytes);
    over_ipv4(bytes, Version::V3);
}

/// The bytes of a VRRPv3 message over IPv6.
pub(crate) fn v3_over_ipv6(bytes: &[u8]) {
    any(bytes);
    let source = [0xfe80, 0, 0, 0, 0, 0, 0xa, 1].into();
    let group = [0xff02, 0, 0, 0, 0, 0, 0, 0x12].into();
    let meta = Meta::ipv6_payload(HERE, Duration::ZERO, source, group, 255);
    let mut message = bytes.to_vec();
    climb(&meta, &message, Version::V3);
    let sum = lvs_vrrp::checksum::Sum::new().with_pseudo_header(
        source.into(),
        group.into(),
        message.len(),
    );
    repair(&mut message, sum);
    climb(&meta, &message, Version::V3);
}

/// The bytes as everything else that is read.
fn any(bytes: &[u8]) {
    let none = AnyRouter::default();
    for meta in [
        Meta::ipv4(HERE, Duration::ZERO),
        Meta::ipv6(HERE, Duration::ZERO),
    ] {
        let _ = Datagram::new(&meta, bytes);
        if let Ok(accepted) = receive(&meta, bytes, &none) {
            assert!(!accepted.advertisement.addresses.is_empty());
        }
    }
    let _ = EthernetView::new(bytes);
    let mut buffer = [0xa5; 128];
    if let Ok(arp) = GratuitousArp::parse_frame(bytes) {
        let length = arp.emit_frame(&mut buffer).expect("it fits");
        assert_eq!(GratuitousArp::parse_frame(&buffer[..length]), Ok(arp));
    }
    if let Ok(na) = UnsolicitedNa::parse_frame(bytes) {
        let length = na.emit_frame(&mut buffer).expect("it fits");
        assert_eq!(UnsolicitedNa::parse_frame(&buffer[..length]), Ok(na));
    }
}

fn over_ipv4(bytes: &[u8], version: Version) {
    let bytes = &bytes[..bytes.len().min(1400)];
    let total = u16::try_from(bytes.len() + 20).expect("cut").to_be_bytes();
    let mut packet = vec![0x45, 0xc0, total[0], total[1], 0, 0, 0, 0, 255, 112, 0, 0];
    packet.extend([192, 0, 2, 11, 224, 0, 0, 18]);
    packet.extend(bytes);
    let meta = Meta::ipv4(HERE, Duration::ZERO);
    climb(&meta, &packet, version);
    repair(&mut packet[20..], lvs_vrrp::checksum::Sum::new());
    climb(&meta, &packet, version);
    packet[9] = 51;
    climb(&meta, &packet, version);
}

/// Writes the right checksum into a message.
fn repair(message: &mut [u8], sum: lvs_vrrp::checksum::Sum) {
    if message.len() >= 8 {
        message[6..8].fill(0);
        let checksum = sum.with(message).checksum();
        message[6..8].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Sends a packet up the ladder of several receivers, and what passes back again.
fn climb(meta: &Meta, packet: &[u8], version: Version) {
    let again = |accepted: Accepted<'_>| written_again(&accepted, meta);
    match receive(meta, packet, &AnyRouter::default()) {
        Ok(accepted) => again(accepted),
        Err(rejection) => counted_once(rejection),
    }
    let peers = [Peer::new([192, 0, 2, 11].into()).with_ttl(0..=255)];
    let key = AhKey::new(AhFlavour::Keepalived, b"key").expect("short");
    let addresses = match meta.family() {
        lvs_vrrp::Family::Ipv4 => AddressList::new([[192, 0, 2, 1].into()]),
        lvs_vrrp::Family::Ipv6 => AddressList::new([[0xfe80, 0, 0, 0, 0, 0, 0, 1].into()]),
    }
    .expect("one address");
    let by = [
        Authentication::None,
        Authentication::Simple(Password::new(b"secret")),
        Authentication::Header(key),
    ];
    let number = Datagram::new(meta, packet).map(|datagram| datagram.message().get(1).copied());
    let Some(vrid) = number.ok().flatten().and_then(Vrid::new) else {
        return;
    };
    for (profile, by) in Profile::ALL.into_iter().zip(by.iter().cycle()) {
        for versions in [Versions::Only(version), Versions::Dual] {
            let mut local = LocalRouter::new(
                versions,
                Priority::DEFAULT,
                Interval::DEFAULT,
                &addresses,
                profile.receive_rules(),
            );
            local.authentication = by;
            one(meta, packet, &SingleRouter::new(HERE, vrid, local.clone()));
            local.mode = Mode::Unicast { peers: &peers };
            one(meta, packet, &SingleRouter::new(HERE, vrid, local));
        }
    }
}

fn one(meta: &Meta, packet: &[u8], routers: &impl Routers) {
    match receive(meta, packet, routers) {
        Ok(accepted) => written_again(&accepted, meta),
        Err(rejection) => counted_once(rejection),
    }
}

/// `VRRP-203`
fn counted_once(rejection: Rejection) {
    let (mut global, mut router) = (GlobalCounters::new(), RouterCounters::new());
    global.record_rejection(rejection);
    router.record_rejection(rejection);
    assert_eq!(global.rejected_in_all() + router.rejected_in_all(), 1);
    assert!((1..=20).contains(&rejection.row()));
}

/// `VRRP-218`: what was accepted, written and read again, is the same.
fn written_again(accepted: &Accepted<'_>, meta: &Meta) {
    let advertisement: Advertisement<'_> = accepted.advertisement;
    let form = accepted.checksum.and_then(|finding| finding.form());
    let transmission = Transmission::unicast(accepted.source, accepted.destination)
        .with_ttl(accepted.ttl)
        .with_mtu(u16::MAX)
        .with_checksum(form.unwrap_or(ChecksumForm::PseudoHeader));
    let mut buffer = [0xa5; 4200];
    let Ok(length) = transmission.emit_packet(&advertisement, &mut buffer) else {
        // What is sent must have a link-local address first; what is received need not.
        assert!(!advertisement.addresses.first_is_valid());
        return;
    };
    let meta = match accepted.source {
        IpAddr::V4(_) => Meta::ipv4(meta.interface(), meta.received_at()),
        IpAddr::V6(_) => Meta::ipv6(meta.interface(), meta.received_at()),
    };
    let again = receive(&meta, &buffer[..length], &AnyRouter::default()).expect("sent by us");
    assert_eq!(again.advertisement, advertisement);
    assert_eq!((again.source, again.ttl), (accepted.source, accepted.ttl));
}
