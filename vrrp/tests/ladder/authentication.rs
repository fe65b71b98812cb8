//! Row 13, and row 2 as far as it is about authentication headers.

use crate::*;

/// `VRRP-032`: an authentication header where nobody expects one.
#[test]
fn row_2_wants_authentication_headers_only_where_configured() {
    let addresses = list(&["192.0.2.1"]);
    let key = AhKey::new(AhFlavour::Keepalived, b"key").unwrap();
    let by = Authentication::Header(key);
    let signed = Transmission::multicast(address(PEER)).with_authentication(&by, 1);
    let mut packet = emit(&signed, &advertisement(Version::V2, &addresses));
    let mut local = router(Version::V2, &addresses);
    assert_eq!(dropped(&packet, &local), (Reason::AuthTypeMismatch, 2));
    local.authentication = &by;
    assert_eq!(hear(&packet, &local).unwrap().sequence, Some(1));
    packet[20] = 50; // something else than VRRP behind the header
    assert_eq!(dropped(&packet, &local), (Reason::Proto, 2));
    // Cut off within the header, or by a header that claims to be longer than the packet.
    packet[20] = 112;
    packet[21] = 200;
    assert_eq!(dropped(&packet, &local), (Reason::TooShort, 4));
}

/// `VRRP-032`, `VRRP-100`
#[test]
fn row_13_wants_the_configured_authentication() {
    let addresses = list(&["192.0.2.1"]);
    let by = [
        Authentication::None,
        Authentication::Simple(Password::new(b"secret")),
        Authentication::Header(AhKey::new(AhFlavour::Rfc2402, b"secret").unwrap()),
    ];
    for (ours, configured) in by.iter().enumerate() {
        let mut local = router(Version::V2, &addresses);
        local.authentication = configured;
        for (theirs, sent) in by.iter().enumerate() {
            let from = Transmission::multicast(address(PEER)).with_authentication(sent, 7);
            let packet = emit(&from, &advertisement(Version::V2, &addresses));
            let result = hear(&packet, &local).map_err(Rejection::reason);
            match result {
                Ok(accepted) => {
                    assert_eq!(ours, theirs);
                    assert_eq!(accepted.auth_type, Some(sent.auth_type()));
                }
                Err(reason) => {
                    assert_ne!(ours, theirs);
                    assert_eq!(reason, Reason::AuthTypeMismatch);
                }
            }
        }
        let mut packet = packet(Version::V2);
        packet[24] = 3;
        sum_up(&mut packet);
        assert_eq!(dropped(&packet, &local), (Reason::AuthTypeUnknown, 13));
    }
}

/// `VRRP-034`: a prefix of the password is another password.
#[test]
fn row_13_wants_the_whole_password() {
    let addresses = list(&["192.0.2.1"]);
    let right = Authentication::Simple(Password::new(b"secret"));
    let mut local = router(Version::V2, &addresses);
    local.authentication = &right;
    for (text, passes) in [
        ("secret", true),
        ("secre", false),
        ("secret1", false),
        ("", false),
    ] {
        let by = Authentication::Simple(Password::new(text.as_bytes()));
        let from = Transmission::multicast(address(PEER)).with_authentication(&by, 0);
        let packet = emit(&from, &advertisement(Version::V2, &addresses));
        match hear(&packet, &local) {
            Ok(_) => assert!(passes, "{text}"),
            Err(rejection) => {
                assert!(!passes, "{text}");
                assert_eq!(
                    (rejection.reason(), rejection.row()),
                    (Reason::AuthFailure, 13)
                );
            }
        }
    }
}

/// `VRRP-033`, `VRRP-037`: types 0 and 2 have data that is nothing.
#[test]
fn row_13_ignores_data_that_means_nothing() {
    let addresses = list(&["192.0.2.1"]);
    let mut packet = packet(Version::V2);
    packet[32..40].copy_from_slice(b"whatever");
    sum_up(&mut packet);
    assert!(hear(&packet, &router(Version::V2, &addresses)).is_ok());
}

/// `VRRP-036`: type 2 without the header.
#[test]
fn row_13_wants_the_header_of_type_2() {
    let addresses = list(&["192.0.2.1"]);
    let by = Authentication::Header(AhKey::new(AhFlavour::Keepalived, b"secret").unwrap());
    let mut local = router(Version::V2, &addresses);
    local.authentication = &by;
    let mut packet = packet(Version::V2);
    packet[24] = 2;
    sum_up(&mut packet);
    assert_eq!(dropped(&packet, &local), (Reason::AuthFailure, 13));
}

/// `VRRP-036`: each bit of packet and header that the digest covers, and the SPI.
#[test]
fn row_13_wants_the_digest_over_everything() {
    let addresses = list(&["192.0.2.1"]);
    for flavour in [AhFlavour::Keepalived, AhFlavour::Rfc2402] {
        let by = Authentication::Header(AhKey::new(flavour, b"secret").unwrap());
        let mut local = router(Version::V2, &addresses);
        local.authentication = &by;
        let from = Transmission::multicast(address(PEER)).with_authentication(&by, 7);
        let good = emit(&from, &advertisement(Version::V2, &addresses));
        for bit in 0..44 * 8 {
            let mut packet = good.clone();
            packet[bit / 8] ^= 0x80 >> (bit % 8);
            // Service, flags but those of fragments, and the header's checksum.
            let is_mutable = matches!(bit, 8..16 | 48..50 | 80..96);
            assert_eq!(hear(&packet, &local).is_ok(), is_mutable, "bit {bit}");
        }
    }
}

#[test]
fn row_13_wants_new_sequence_numbers() {
    let addresses = list(&["192.0.2.1"]);
    let by = Authentication::Header(AhKey::new(AhFlavour::Keepalived, b"secret").unwrap());
    let mut local = router(Version::V2, &addresses);
    local.authentication = &by;
    for (last, new, passes) in [
        (None, 0, true),
        (Some(6), 7, true),
        (Some(7), 7, false),
        (Some(8), 7, false),
        (Some(u32::MAX), 0, false),
    ] {
        local.sequence = last;
        let from = Transmission::multicast(address(PEER)).with_authentication(&by, new);
        let packet = emit(&from, &advertisement(Version::V2, &addresses));
        match hear(&packet, &local) {
            Ok(accepted) => assert!(passes && accepted.sequence == Some(new)),
            Err(rejection) => {
                assert!(!passes);
                assert_eq!(
                    (rejection.reason(), rejection.row()),
                    (Reason::AuthReplay, 13)
                );
            }
        }
    }
}

/// Puts an authentication header before the message, with a digest of zeros.
fn behind_a_header(plain: &[u8]) -> Vec<u8> {
    let mut packet = plain[..20].to_vec();
    packet.extend([112, 4, 0, 0, 192, 0, 2, 11, 0, 0, 0, 1]);
    packet.extend([0; 12]);
    packet.extend(&plain[20..]);
    packet[3] += 24;
    packet[9] = 51;
    packet
}

/// A virtual router beside another one that expects headers.
struct Beside<'a>(SingleRouter<'a>);

impl Routers for Beside<'_> {
    fn peer_ttl(&self, _: InterfaceIndex, _: IpAddr) -> Option<RangeInclusive<u8>> {
        None
    }

    fn expects_authentication_header(&self, _: InterfaceIndex) -> bool {
        true
    }

    fn find(&self, at: InterfaceIndex, family: Family, vrid: Vrid, from: IpAddr) -> Lookup<'_> {
        self.0.find(at, family, vrid, from)
    }
}

/// A header around a message that says it has none, as does the configuration.
#[test]
fn row_13_refuses_headers_around_other_types() {
    let addresses = list(&["192.0.2.1"]);
    let local = router(Version::V2, &addresses);
    let here = Beside(SingleRouter::new(HERE, vrid(), local));
    let meta = Meta::ipv4(HERE, Duration::ZERO);
    let plain = packet(Version::V2);
    assert!(receive(&meta, &plain, &here).is_ok());
    let packet = behind_a_header(&plain);
    let rejection = receive(&meta, &packet, &here).unwrap_err();
    assert_eq!(
        (rejection.reason(), rejection.row()),
        (Reason::AuthTypeMismatch, 13)
    );
}

/// VRRPv3 has no authentication, so none can be right.
#[test]
fn row_13_refuses_vrrpv3_behind_a_header() {
    let addresses = list(&["192.0.2.1"]);
    let by = Authentication::Header(AhKey::new(AhFlavour::Keepalived, b"secret").unwrap());
    let mut local = router(Version::V3, &addresses);
    local.authentication = &by;
    let packet = behind_a_header(&packet(Version::V3));
    assert_eq!(dropped(&packet, &local), (Reason::AuthTypeMismatch, 13));
}

/// The trailer: what each mode makes of none, a right one, a wrong one and an old one.
#[cfg(feature = "hmac-trailer")]
#[test]
fn trailers_are_treated_by_their_mode() {
    use lvs_vrrp::codec::TrailerKey;
    use lvs_vrrp::receive::{TrailerMode, TrailerRules, TrailerWindow};

    let sets = [
        (Version::V2, PEER, list(&["192.0.2.1"])),
        (Version::V3, PEER, list(&["192.0.2.1"])),
        (Version::V3, "fe80::a:1", list(&["fe80::1"])),
    ];
    let keys = [
        TrailerKey::new(1, &[1; 32]).unwrap(),
        TrailerKey::new(2, &[2; 64]).unwrap(),
    ];
    let impostor = TrailerKey::new(2, &[3; 64]).unwrap();
    let sequence = 1_000_u64 << 32;
    for (version, source, addresses) in &sets {
        let advertisement = advertisement(*version, addresses);
        let from = Transmission::multicast(address(source));
        let none = emit(&from, &advertisement);
        let right = emit(
            &from.clone().with_trailer(&keys[1], sequence),
            &advertisement,
        );
        let wrong = emit(
            &from.clone().with_trailer(&impostor, sequence),
            &advertisement,
        );
        let mut local = router(*version, addresses);
        assert_eq!(dropped(&right, &local), (Reason::Length, 9));
        for (mode, of_none, of_wrong) in [
            (TrailerMode::Ignore, Ok(None), Ok(None)),
            (TrailerMode::Permissive, Ok(None), Err(Reason::AuthFailure)),
            (
                TrailerMode::Enforce,
                Err(Reason::AuthFailure),
                Err(Reason::AuthFailure),
            ),
        ] {
            local.trailer = Some(TrailerRules {
                mode,
                keys: &keys,
                last_sequence: Some(sequence - 1),
                window: Some(TrailerWindow {
                    now: 1_005,
                    seconds: 5,
                }),
            });
            let hears = |packet: &[u8], local: &LocalRouter<'_>| {
                let result = hear(packet, local).map_err(Rejection::reason);
                result.map(|accepted| accepted.trailer_sequence)
            };
            assert_eq!(hears(&none, &local), of_none, "{version} {mode:?}");
            assert_eq!(hears(&wrong, &local), of_wrong, "{version} {mode:?}");
            let looked_at = mode != TrailerMode::Ignore;
            assert_eq!(hears(&right, &local), Ok(looked_at.then_some(sequence)));
            if !looked_at {
                continue;
            }
            let rules = local.trailer.clone().unwrap();
            for (last_sequence, now) in [(sequence, 1_005), (0, 1_006), (0, 994)] {
                local.trailer = Some(TrailerRules {
                    last_sequence: Some(last_sequence),
                    window: Some(TrailerWindow { now, seconds: 5 }),
                    ..rules.clone()
                });
                assert_eq!(hears(&right, &local), Err(Reason::AuthReplay), "{version}");
            }
            local.trailer = Some(rules);
            // Each bit of the trailer, and of the message, counts.
            let start = none.len() - advertisement_len(&advertisement);
            for bit in start * 8..right.len() * 8 {
                let mut packet = right.clone();
                packet[bit / 8] ^= 0x80 >> (bit % 8);
                assert!(hear(&packet, &local).is_err(), "{version} bit {bit}");
            }
        }
    }
}

#[cfg(feature = "hmac-trailer")]
fn advertisement_len(advertisement: &Advertisement<'_>) -> usize {
    let fixed = if advertisement.version == Version::V2 {
        16
    } else {
        8
    };
    fixed + advertisement.addresses.octets().len()
}
