//! What is sent: every field, every refusal.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lvs_vrrp::codec::{
    Advertisement, AhFlavour, AhKey, Authentication, Message, Password, Transmission, v2, v3,
};
use lvs_vrrp::{AddressList, Addresses, EncodeError, Family, Interval, Priority, Version, Vrid};

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// So many addresses; those of IPv6 are link-local.
fn list(family: Family, count: u16) -> AddressList {
    AddressList::new((1..=count).map(|number| match family {
        Family::Ipv4 => Ipv4Addr::from(0x0a00_0000 | u32::from(number)).into(),
        Family::Ipv6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number).into(),
    }))
    .unwrap()
}

fn advertisement(version: Version, addresses: &AddressList) -> Advertisement<'_> {
    Advertisement {
        version,
        vrid: Vrid::new(10).unwrap(),
        priority: Priority::DEFAULT,
        interval: Interval::DEFAULT,
        addresses: addresses.as_addresses(),
    }
}

fn from(family: Family) -> Transmission<'static> {
    Transmission::multicast(match family {
        Family::Ipv4 => address("192.0.2.11"),
        Family::Ipv6 => address("fe80::a:1"),
    })
}

fn refused(transmission: &Transmission<'_>, advertisement: &Advertisement<'_>) -> EncodeError {
    let mut buffer = [0; 1500];
    transmission
        .emit_packet(advertisement, &mut buffer)
        .unwrap_err()
}

/// `VRRP-002`, `VRRP-004`, `VRRP-006`, `VRRP-008`, `VRRP-009`, `VRRP-105`, `VRRP-106`
#[test]
fn ip_headers_say_what_the_standard_wants() {
    let mut buffer = [0xa5; 200];
    let addresses = list(Family::Ipv4, 1);
    let sent = from(Family::Ipv4).emit_packet(&advertisement(Version::V3, &addresses), &mut buffer);
    assert_eq!(sent, Ok(32));
    assert_eq!(buffer[..2], [0x45, 0xc0]);
    assert_eq!(buffer[2..4], [0, 32]);
    assert_eq!(buffer[6..8], [0, 0], "not a fragment");
    assert_eq!((buffer[8], buffer[9]), (255, 112));
    assert_eq!(buffer[12..16], [192, 0, 2, 11]);
    assert_eq!(buffer[16..20], [224, 0, 0, 18]);

    let addresses = list(Family::Ipv6, 1);
    let sent = from(Family::Ipv6).emit_packet(&advertisement(Version::V3, &addresses), &mut buffer);
    assert_eq!(sent, Ok(64));
    assert_eq!(buffer[..4], [0x6c, 0, 0, 0]);
    assert_eq!(buffer[4..8], [0, 24, 112, 255]);
    assert_eq!(
        buffer[8..24],
        "fe80::a:1".parse::<Ipv6Addr>().unwrap().octets()
    );
    assert_eq!(
        buffer[24..40],
        "ff02::12".parse::<Ipv6Addr>().unwrap().octets()
    );
    assert!(buffer[64..].iter().all(|byte| *byte == 0xa5));
}

/// `VRRP-019`, `VRRP-021`: every interval there is, with the reserved bits zero.
#[test]
fn every_interval_survives() {
    let addresses = list(Family::Ipv4, 1);
    let mut buffer = [0xff; 64];
    for centiseconds in 1..=4095 {
        let mut advertisement = advertisement(Version::V3, &addresses);
        advertisement.interval = Interval::from_centiseconds(centiseconds).unwrap();
        let length = from(Family::Ipv4)
            .emit_message(&advertisement, &mut buffer)
            .unwrap();
        let message = Message::new(&buffer[..length]).unwrap();
        let view = v3::View::new(message, Family::Ipv4).unwrap();
        assert_eq!((view.reserved(), view.centiseconds()), (0, centiseconds));
    }
    for seconds in 1..=255 {
        let mut advertisement = advertisement(Version::V2, &addresses);
        advertisement.interval = Interval::from_seconds(seconds).unwrap();
        let length = from(Family::Ipv4)
            .emit_message(&advertisement, &mut buffer)
            .unwrap();
        let view = v2::View::new(Message::new(&buffer[..length]).unwrap()).unwrap();
        assert_eq!(view.seconds(), seconds);
    }
}

/// `VRRP-033`, `VRRP-035`, `VRRP-037`
#[test]
fn authentication_data_is_the_password_or_zero() {
    let addresses = list(Family::Ipv4, 1);
    let advertisement = advertisement(Version::V2, &addresses);
    let header = AhKey::new(AhFlavour::Keepalived, b"abc").unwrap();
    for (by, start, data) in [
        (Authentication::None, 20, b"\0\0\0\0\0\0\0\0"),
        (
            Authentication::Simple(Password::new(b"abc")),
            20,
            b"abc\0\0\0\0\0",
        ),
        (Authentication::Header(header), 44, b"\0\0\0\0\0\0\0\0"),
    ] {
        let mut buffer = [0xff; 100];
        let from = from(Family::Ipv4).with_authentication(&by, 1);
        let length = from.emit_packet(&advertisement, &mut buffer).unwrap();
        let view = v2::View::new(Message::new(&buffer[start..length]).unwrap()).unwrap();
        assert_eq!((view.auth_type(), view.auth_data()), (by.auth_type(), data));
        assert!(view.checksum_is_right());
    }
}

/// `VRRP-102`: nothing is remembered from one advertisement to the next.
#[test]
fn fields_follow_the_value() {
    let (one, two) = (list(Family::Ipv4, 1), list(Family::Ipv4, 2));
    let from = from(Family::Ipv4);
    let mut first = advertisement(Version::V3, &one);
    let mut buffer = [0; 64];
    for (priority, interval, list) in [(100, 100, &one), (0, 100, &one), (0, 7, &one), (0, 7, &two)]
    {
        first.priority = Priority::new(priority);
        first.interval = Interval::from_centiseconds(interval).unwrap();
        first.addresses = list.as_addresses();
        let length = from.emit_message(&first, &mut buffer).unwrap();
        let view = v3::View::new(Message::new(&buffer[..length]).unwrap(), Family::Ipv4).unwrap();
        assert_eq!(view.advertisement(), Ok(first));
    }
}

/// `VRRP-018`
#[test]
fn lists_must_have_1_to_255_addresses() {
    let addresses = list(Family::Ipv4, 1);
    let mut advertisement = advertisement(Version::V3, &addresses);
    advertisement.addresses = Addresses::new(Family::Ipv4, &[]).unwrap();
    let error = refused(&from(Family::Ipv4), &advertisement);
    assert_eq!(error.to_string(), "0 addresses are not in 1..=255");
    let octets = [1; 256 * 4];
    advertisement.addresses = Addresses::new(Family::Ipv4, &octets).unwrap();
    let error = refused(&from(Family::Ipv4), &advertisement);
    assert_eq!(error, EncodeError::AddressCount { count: 256 });
}

/// `VRRP-029`
#[test]
fn ipv6_lists_must_begin_with_a_link_local_address() {
    let addresses = AddressList::new([address("2001:db8::1"), address("fe80::1")]).unwrap();
    let error = refused(&from(Family::Ipv6), &advertisement(Version::V3, &addresses));
    assert_eq!(
        error.to_string(),
        "the first IPv6 address, 2001:db8::1, is not link-local (fe80::/10)"
    );
}

/// `VRRP-030`
#[test]
fn families_are_not_mixed() {
    let (four, six) = (list(Family::Ipv4, 1), list(Family::Ipv6, 1));
    let error = refused(&from(Family::Ipv6), &advertisement(Version::V3, &four));
    let message = "source fe80::a:1 is of another family than the virtual addresses";
    assert_eq!(error.to_string(), message);
    let mixed = Transmission::unicast(address("fe80::a:1"), address("192.0.2.1"));
    let error = refused(&mixed, &advertisement(Version::V3, &six));
    assert!(matches!(
        error,
        EncodeError::Family {
            field: "destination",
            ..
        }
    ));
    let error = refused(&from(Family::Ipv6), &advertisement(Version::V2, &six));
    assert_eq!(error.to_string(), "VRRPv2 does not exist over IPv6");
}

/// `VRRP-043`
#[test]
fn intervals_must_be_sayable() {
    let addresses = list(Family::Ipv4, 1);
    let mut v2 = advertisement(Version::V2, &addresses);
    v2.interval = Interval::from_centiseconds(150).unwrap();
    let error = refused(&from(Family::Ipv4), &v2);
    assert_eq!(
        error.to_string(),
        "an interval of 150 cs cannot be sent in VRRPv2"
    );
    let mut v3 = advertisement(Version::V3, &addresses);
    v3.interval = Interval::from_seconds(41).unwrap();
    let error = refused(&from(Family::Ipv4), &v3);
    assert_eq!(
        error.to_string(),
        "an interval of 4100 cs cannot be sent in VRRPv3"
    );
}

/// `VRRP-138`
#[test]
fn vrrpv3_has_no_authentication() {
    let addresses = list(Family::Ipv4, 1);
    let by = Authentication::Simple(Password::new(b"secret"));
    let from = from(Family::Ipv4).with_authentication(&by, 0);
    let error = refused(&from, &advertisement(Version::V3, &addresses));
    assert_eq!(error.to_string(), "VRRPv3 has no authentication");
    let by = Authentication::Header(AhKey::new(AhFlavour::Rfc2402, b"secret").unwrap());
    let from = from.with_authentication(&by, 0);
    let message = from.emit_message(&advertisement(Version::V2, &addresses), &mut [0; 99]);
    assert_eq!(message, Err(EncodeError::NeedsIpHeader));
}

/// The most addresses that fit are told, and do fit.
#[test]
fn packets_fit_the_mtu() {
    let by = Authentication::Header(AhKey::new(AhFlavour::Rfc2402, b"secret").unwrap());
    for (version, family, mtu, fits) in [
        (Version::V3, Family::Ipv6, 1500, 90),
        (Version::V3, Family::Ipv6, 1280, 77),
        (Version::V3, Family::Ipv6, 64, 1),
        (Version::V3, Family::Ipv6, 63, 0),
        (Version::V3, Family::Ipv6, 0, 0),
        (Version::V3, Family::Ipv4, 576, 137),
        (Version::V2, Family::Ipv4, 576, 129), // with 24 bytes of authentication header
    ] {
        let from = match version {
            Version::V2 => from(family).with_authentication(&by, 1),
            Version::V3 => from(family),
        }
        .with_mtu(mtu);
        let many = list(family, 255);
        let error = refused(&from, &advertisement(version, &many));
        assert_eq!(
            error,
            EncodeError::Mtu {
                count: 255,
                fits,
                mtu
            }
        );
        let mut buffer = [0; 1500];
        for count in [fits, fits + 1] {
            if count == 0 {
                continue;
            }
            let some = list(family, u16::try_from(count).unwrap());
            let sent = from.emit_packet(&advertisement(version, &some), &mut buffer);
            assert_eq!(sent.is_ok(), count == fits, "{version} {family} {mtu}");
        }
    }
    // IPv4 always fits the usual MTU.
    let (all, mut buffer) = (list(Family::Ipv4, 255), [0; 1500]);
    let sent = from(Family::Ipv4).emit_packet(&advertisement(Version::V2, &all), &mut buffer);
    assert_eq!(sent, Ok(20 + 16 + 4 * 255));
    let error = refused(
        &from(Family::Ipv6),
        &advertisement(Version::V3, &list(Family::Ipv6, 91)),
    );
    assert_eq!(
        error.to_string(),
        "91 addresses do not fit an MTU of 1500 bytes: 90 do"
    );
}

#[test]
fn buffers_must_be_large_enough_and_need_not_be_larger() {
    let addresses = list(Family::Ipv6, 2);
    let advertisement = advertisement(Version::V3, &addresses);
    let from = from(Family::Ipv6);
    for (needed, emit) in [
        (40, Transmission::emit_message as fn(&_, &_, &mut [u8]) -> _),
        (80, Transmission::emit_packet),
    ] {
        let mut buffer = [0; 80];
        assert_eq!(
            emit(&from, &advertisement, &mut buffer[..needed]),
            Ok(needed)
        );
        let given = needed - 1;
        let error = emit(&from, &advertisement, &mut buffer[..given]);
        assert_eq!(error, Err(EncodeError::Buffer { given, needed }));
    }
    let mac = advertisement.vrid.virtual_mac(Family::Ipv6);
    let error = from.emit_frame(&advertisement, mac, mac, &mut [0; 93]);
    assert_eq!(
        error,
        Err(EncodeError::Buffer {
            given: 93,
            needed: 94
        })
    );
}
