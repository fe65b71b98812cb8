//! Rows 1 to 12: what a packet must be, whoever receives it.

use crate::*;

#[test]
fn row_1_wants_a_sane_ip_header() {
    let addresses = list(&["192.0.2.1"]);
    let local = router(Version::V3, &addresses);
    let good = packet(Version::V3);
    assert!(hear(&good, &local).is_ok());
    for (what, at, value) in [
        ("version 6", 0, 0x65),
        ("header of 16 bytes", 0, 0x44),
        ("header longer than the packet", 0, 0x4f),
        ("longer than the buffer", 3, 33),
        ("total length below the header", 3, 19),
        ("more fragments", 6, 0x20),
        ("offset, upper bits", 6, 0x01),
        ("offset", 7, 1),
    ] {
        let mut packet = good.clone();
        packet[at] = value;
        assert_eq!(dropped(&packet, &local), (Reason::IpHeader, 1), "{what}");
    }
    // "Do not fragment" and the reserved bit do not make a fragment.
    for flags in [0x40, 0x80] {
        let mut packet = good.clone();
        packet[6] = flags;
        assert!(hear(&packet, &local).is_ok());
    }
    assert_eq!(dropped(&[], &local), (Reason::IpHeader, 1));
}

/// `VRRP-006`
#[test]
fn row_2_wants_protocol_112() {
    let addresses = list(&["192.0.2.1"]);
    let local = router(Version::V3, &addresses);
    for protocol in (0..=255).filter(|number| *number != 112) {
        let mut packet = packet(Version::V3);
        packet[9] = protocol;
        assert_eq!(dropped(&packet, &local), (Reason::Proto, 2), "{protocol}");
    }
    let six = list(&["fe80::1"]);
    let from = Transmission::multicast(address("fe80::a:1"));
    let mut packet = emit(&from, &advertisement(Version::V3, &six));
    packet[6] = 58;
    let local = router(Version::V3, &six);
    assert_eq!(dropped(&packet, &local), (Reason::Proto, 2));
}

/// `VRRP-005`, `VRRP-010`, `VRRP-082`: in multicast mode nothing but 255 will do.
#[test]
fn row_3_wants_a_ttl_of_255() {
    for (source, address_list) in [
        (PEER, list(&["192.0.2.1"])),
        ("fe80::a:1", list(&["fe80::1"])),
    ] {
        let advertisement = advertisement(Version::V3, &address_list);
        let local = router(Version::V3, &address_list);
        for ttl in 0..=255 {
            let from = Transmission::multicast(address(source)).with_ttl(ttl);
            let packet = emit(&from, &advertisement);
            match ttl {
                255 => assert!(hear(&packet, &local).is_ok()),
                _ => assert_eq!(dropped(&packet, &local), (Reason::Ttl, 3), "{ttl}"),
            }
        }
    }
}

#[test]
fn row_3_gives_peers_their_range_for_packets_to_us_alone() {
    let addresses = list(&["192.0.2.1"]);
    let advertisement = advertisement(Version::V3, &addresses);
    let peers = [Peer::new(address(PEER)).with_ttl(60..=64)];
    let mut local = router(Version::V3, &addresses);
    local.mode = Mode::Unicast { peers: &peers };
    let to_us = Transmission::unicast(address(PEER), address("192.0.2.22"));
    for (ttl, passes) in [
        (59, false),
        (60, true),
        (64, true),
        (65, false),
        (255, false),
    ] {
        let packet = emit(&to_us.clone().with_ttl(ttl), &advertisement);
        assert_eq!(hear(&packet, &local).is_ok(), passes, "{ttl}");
    }
    // A stranger needs 255, and then fails as a stranger.
    let stranger = Transmission::unicast(address("192.0.2.99"), address("192.0.2.22"));
    let packet = emit(&stranger.clone().with_ttl(60), &advertisement);
    assert_eq!(dropped(&packet, &local), (Reason::Ttl, 3));
    let packet = emit(&stranger, &advertisement);
    assert_eq!(dropped(&packet, &local), (Reason::UnknownPeer, 16));
    // To the group, the range is not for the peer either.
    let to_all = Transmission::multicast(address(PEER)).with_ttl(60);
    let packet = emit(&to_all, &advertisement);
    assert_eq!(dropped(&packet, &local), (Reason::Ttl, 3));
}

/// `VRRP-085`; the length is counted for the virtual router whose number can be read.
#[test]
fn row_4_wants_eight_bytes() {
    let addresses = list(&["192.0.2.1"]);
    let local = router(Version::V3, &addresses);
    for length in 0..8_u8 {
        let mut packet = packet(Version::V3);
        packet[3] = 20 + length;
        let rejection = hear(&packet, &local).unwrap_err();
        assert_eq!((rejection.reason(), rejection.row()), (Reason::TooShort, 4));
        let expected = if length < 2 {
            Scope::Global
        } else {
            Scope::Router(vrid())
        };
        assert_eq!(rejection.scope(), expected);
        packet[21] = 99;
        assert_eq!(hear(&packet, &local).unwrap_err().scope(), Scope::Global);
    }
}

/// `VRRP-011`, `VRRP-083`
#[test]
fn rows_5_and_8_want_the_version() {
    let addresses = list(&["192.0.2.1"]);
    for (ours, theirs) in [(Version::V2, Version::V3), (Version::V3, Version::V2)] {
        let local = router(ours, &addresses);
        let mut packet = packet(theirs);
        assert_eq!(dropped(&packet, &local), (Reason::Version, 8));
        // Global, as RFC 8347 has it, though the virtual router is known.
        let rejection = hear(&packet, &local).unwrap_err();
        assert_eq!(
            (rejection.router(), rejection.scope()),
            (Some(vrid()), Scope::Global)
        );
        for number in [0, 1, 4, 5, 15] {
            packet[20] = number << 4 | 1;
            assert_eq!(dropped(&packet, &local), (Reason::Version, 5), "{number}");
        }
    }
    let mut dual = router(Version::V3, &addresses);
    dual.versions = Versions::Dual;
    assert!(hear(&packet(Version::V2), &dual).is_ok());
    assert!(hear(&packet(Version::V3), &dual).is_ok());
}

/// `VRRP-012`, `VRRP-084`: all 15 other types; counted for the virtual router.
#[test]
fn row_6_wants_an_advertisement() {
    let addresses = list(&["192.0.2.1"]);
    let local = router(Version::V3, &addresses);
    for kind in (0..=15).filter(|kind| *kind != 1) {
        let mut packet = packet(Version::V3);
        packet[20] = 0x30 | kind;
        let rejection = hear(&packet, &local).unwrap_err();
        assert_eq!((rejection.reason(), rejection.row()), (Reason::Type, 6));
        assert_eq!(rejection.scope(), Scope::Router(vrid()));
        packet[21] = 0;
        assert_eq!(hear(&packet, &local).unwrap_err().scope(), Scope::Global);
    }
}

/// `VRRP-013`, `VRRP-087`: another number, interface or family.
#[test]
fn row_7_wants_a_virtual_router_configured_here() {
    let addresses = list(&["192.0.2.1"]);
    let local = router(Version::V3, &addresses);
    for number in (0..=255).filter(|number| *number != 10) {
        let mut packet = packet(Version::V3);
        packet[21] = number;
        assert_eq!(dropped(&packet, &local), (Reason::Vrid, 7), "{number}");
    }
    let elsewhere = Meta::ipv4(InterfaceIndex::new(3), Duration::ZERO);
    let single = SingleRouter::new(HERE, vrid(), local);
    let rejection = receive(&elsewhere, &packet(Version::V3), &single).unwrap_err();
    assert_eq!(rejection.reason(), Reason::Vrid);
    // The same number in IPv6 is another virtual router.
    let six = list(&["fe80::1"]);
    let from = Transmission::multicast(address("fe80::a:1"));
    let packet = emit(&from, &advertisement(Version::V3, &six));
    let rejection = receive(&Meta::ipv6(HERE, Duration::ZERO), &packet, &single).unwrap_err();
    assert_eq!(rejection.reason(), Reason::Vrid);
}

/// `VRRP-028`, `VRRP-204`
#[test]
fn row_9_wants_the_length_of_the_count() {
    let addresses = list(&["192.0.2.1"]);
    for version in [Version::V2, Version::V3] {
        let local = router(version, &addresses);
        for count in [0, 2, 3, 255] {
            let mut packet = packet(version);
            packet[23] = count;
            assert_eq!(
                dropped(&packet, &local),
                (Reason::Length, 9),
                "{version} {count}"
            );
        }
    }
}

/// `VRRP-086`, `VRRP-025`, `VRRP-026`, `VRRP-201`: which forms each profile accepts.
#[test]
fn row_10_wants_a_checksum_of_an_accepted_form() {
    let addresses = list(&["192.0.2.1"]);
    let advertisement = advertisement(Version::V3, &addresses);
    let of = |form| {
        let from = Transmission::multicast(address(PEER)).with_checksum(form);
        emit(&from, &advertisement)
    };
    let alone = of(ChecksumForm::MessageOnly);
    let with = of(ChecksumForm::PseudoHeader);
    for (profile, takes_alone, takes_with) in [
        (Profile::Strict9568, true, false),
        (Profile::Strict5798, false, true),
        (Profile::Linux, true, true),
    ] {
        let mut local = router(Version::V3, &addresses);
        local.rules = profile.receive_rules();
        for (packet, takes, finding) in [
            (&alone, takes_alone, ChecksumFinding::MessageOnly),
            (&with, takes_with, ChecksumFinding::PseudoHeader),
        ] {
            match hear(packet, &local) {
                Ok(accepted) => {
                    assert!(takes, "{profile} {finding}");
                    assert_eq!(accepted.checksum, Some(finding));
                }
                Err(rejection) => {
                    assert!(!takes, "{profile} {finding}");
                    assert_eq!(
                        (rejection.reason(), rejection.row()),
                        (Reason::Checksum, 10)
                    );
                    assert_eq!(rejection.scope(), Scope::Global);
                }
            }
        }
    }
}

/// The third form: keepalived up to 1.3.6 summed up the group in unicast mode.
#[test]
fn row_10_can_take_a_pseudo_header_with_the_group() {
    let addresses = list(&["192.0.2.1"]);
    let advertisement = advertisement(Version::V3, &addresses);
    let mut packet = emit(&Transmission::multicast(address(PEER)), &advertisement);
    packet[16..20].copy_from_slice(&[192, 0, 2, 22]);
    let peers = [Peer::new(address(PEER))];
    let mut local = router(Version::V3, &addresses);
    local.mode = Mode::Unicast { peers: &peers };
    assert_eq!(dropped(&packet, &local), (Reason::Checksum, 10));
    local.rules.checksum = RxChecksum::EitherOrGroup;
    let accepted = hear(&packet, &local).unwrap();
    assert_eq!(accepted.checksum, Some(ChecksumFinding::GroupPseudoHeader));
    assert_eq!(accepted.checksum.unwrap().form(), None);
}

/// `VRRP-018`, `VRRP-090`, `VRRP-092`
#[test]
fn rows_11_and_12_want_no_zeros() {
    let addresses = list(&["192.0.2.1"]);
    let local = router(Version::V2, &addresses);
    let mut packet = packet(Version::V2);
    packet[25] = 0;
    sum_up(&mut packet);
    assert_eq!(dropped(&packet, &local), (Reason::IntervalZero, 12));
    packet.drain(28..32);
    packet[3] -= 4;
    packet[23] = 0;
    sum_up(&mut packet);
    // Before the interval, which is zero as well.
    assert_eq!(dropped(&packet, &local), (Reason::CountZero, 11));
}
