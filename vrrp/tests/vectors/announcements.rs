//! Gratuitous ARP and unsolicited neighbour advertisements, both ways.

use lvs_vrrp::checksum::Sum;
use lvs_vrrp::codec::{ArpOperation, ArpTarget, DecodeError, GratuitousArp, UnsolicitedNa};
use lvs_vrrp::{EncodeError, Family, MacAddress, Vrid};

use crate::vector::{self, Vector};

/// The vectors that are announcements.
pub(crate) fn both_ways() -> Vec<Vector> {
    let all = vector::all().into_iter();
    all.filter(|vector| vector.kind != "vrrp").collect()
}

fn value(vector: &Vector) -> GratuitousArp {
    let text = |field: &str| vector.fields[field].as_str().unwrap();
    let mac: MacAddress = text("sha").parse().unwrap();
    GratuitousArp {
        address: text("spa").parse().unwrap(),
        mac,
        operation: match vector.fields["op"].as_u64().unwrap() {
            1 => ArpOperation::Request,
            2 => ArpOperation::Reply,
            other => panic!("{other}"),
        },
        target: match text("tha") {
            "ff:ff:ff:ff:ff:ff" => ArpTarget::Broadcast,
            "00:00:00:00:00:00" => ArpTarget::Zero,
            other if other == mac.to_string() => ArpTarget::Sender,
            other => panic!("{other}"),
        },
    }
}

#[test]
fn gratuitous_arp_agrees_both_ways() {
    let vectors: Vec<_> = both_ways()
        .into_iter()
        .filter(|v| v.kind == "arp")
        .collect();
    assert_eq!(vectors.len(), 4);
    for vector in vectors {
        let value = value(&vector);
        assert_eq!(
            GratuitousArp::parse_frame(&vector.frame),
            Ok(value),
            "{}",
            vector.id
        );
        let mut buffer = [0xa5; 64];
        assert_eq!(value.emit_frame(&mut buffer), Ok(42));
        assert_eq!(buffer[..42], vector.frame, "{}", vector.id);
        assert_eq!(buffer[42..], [0xa5; 22]);
    }
}

/// The default is what RFC 9568 says with its errata: G01.
#[test]
fn the_defaults_are_those_of_rfc_9568() {
    let mac = Vrid::new(10).unwrap().virtual_mac(Family::Ipv4);
    let arp = GratuitousArp::new("192.0.2.1".parse().unwrap(), mac);
    assert_eq!(arp, value(&vector::named("G01")));
}

/// `VRRP-061`.
#[test]
fn neighbour_advertisements_agree_both_ways() {
    let vectors: Vec<_> = both_ways().into_iter().filter(|v| v.kind == "na").collect();
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        let text = |field: &str| vector.fields[field].as_str().unwrap();
        let value = UnsolicitedNa {
            target: text("target").parse().unwrap(),
            mac: text("tlla").parse().unwrap(),
            source: text("src").parse().unwrap(),
        };
        assert_eq!(
            UnsolicitedNa::parse_frame(&vector.frame),
            Ok(value),
            "{}",
            vector.id
        );
        let mut buffer = [0xa5; 90];
        assert_eq!(value.emit_frame(&mut buffer), Ok(86));
        assert_eq!(buffer[..86], vector.frame, "{}", vector.id);
        assert_eq!(buffer[86..], [0xa5; 4]);
    }
}

/// Of each bit that counts: changed, the frame is refused or says something else.
#[test]
fn no_bit_of_an_announcement_is_lost() {
    for vector in both_ways() {
        for bit in 14 * 8..vector.frame.len() * 8 {
            let mut frame = vector.frame.clone();
            frame[bit / 8] ^= 0x80 >> (bit % 8);
            // IPv6: traffic class and flow label.
            if vector.kind == "na" && (14 * 8 + 4..14 * 8 + 32).contains(&bit) {
                continue;
            }
            let is_same = match vector.kind.as_str() {
                "arp" => GratuitousArp::parse_frame(&frame) == Ok(value(&vector)),
                _ => {
                    UnsolicitedNa::parse_frame(&frame) == UnsolicitedNa::parse_frame(&vector.frame)
                }
            };
            assert!(!is_same, "{} bit {bit}", vector.id);
        }
        for length in 0..vector.frame.len() {
            let frame = &vector.frame[..length];
            assert!(matches!(
                GratuitousArp::parse_frame(frame),
                Err(DecodeError::Length { .. }) | Err(DecodeError::Field { .. })
            ));
            assert!(UnsolicitedNa::parse_frame(frame).is_err());
        }
    }
}

/// With a right checksum: what makes another message is refused, what is reserved is ignored.
#[test]
fn fields_of_a_neighbour_advertisement_count_and_reserved_bits_do_not() {
    let vector = vector::named("N01");
    let (icmp, source) = (14 + 40, "fe80::1".parse().unwrap());
    let good = UnsolicitedNa::parse_frame(&vector.frame).unwrap();
    for (place, bits, is_reserved) in [
        (0, 0xff, false),
        (1, 0xff, false),
        (4, 0xe0, false),
        (4, 0x1f, true),
        (5, 0xff, true),
        (7, 0xff, true),
        (24, 0xff, false),
        (25, 0xff, false),
    ] {
        for bit in (0..8)
            .map(|shift| 1_u8 << shift)
            .filter(|bit| bit & bits != 0)
        {
            let mut frame = vector.frame.clone();
            frame[icmp + place] ^= bit;
            frame[icmp + 2..icmp + 4].fill(0);
            // The pseudo-header of VRRP, but for the protocol: 58 instead of 112.
            let sum = Sum::new()
                .with(&frame[icmp..])
                .with_pseudo_header(source, "ff02::1".parse().unwrap(), 32)
                .with(&(!(112_u16 - 58)).to_be_bytes());
            frame[icmp + 2..icmp + 4].copy_from_slice(&sum.checksum().to_be_bytes());
            let parsed = UnsolicitedNa::parse_frame(&frame);
            assert_eq!(
                parsed == Ok(good),
                is_reserved,
                "{place} {bit:#x} {parsed:?}"
            );
            assert_eq!(parsed.is_ok(), is_reserved);
        }
    }
}

#[test]
fn buffers_that_are_too_small_are_refused() {
    let vrid = Vrid::new(1).unwrap();
    let arp = GratuitousArp::new("192.0.2.1".parse().unwrap(), vrid.virtual_mac(Family::Ipv4));
    let short = |given, needed| Err(EncodeError::Buffer { given, needed });
    assert_eq!(arp.emit_frame(&mut [0; 41]), short(41, 42));
    let na = UnsolicitedNa::new("fe80::1".parse().unwrap(), vrid.virtual_mac(Family::Ipv6));
    assert_eq!(na.emit_frame(&mut [0; 85]), short(85, 86));
}
