//! What is received: vector in, value or reason out.

use lvs_vrrp::codec::{AuthType, EthernetView, Message, v3};
use lvs_vrrp::counters::{GlobalCounters, RouterCounters};
use lvs_vrrp::receive::{Datagram, Scope};
use lvs_vrrp::{Family, Reason, Version, receive};

use crate::vector::{self, Vector};

/// Vectors to be accepted. V20 has a trailer, which is a feature of its own.
pub(crate) fn accepted() -> Vec<Vector> {
    let is_ok = |vector: &Vector| expected(vector) == "ok" && vector.kind == "vrrp";
    vector::all().into_iter().filter(is_ok).collect()
}

/// Vectors to be rejected.
pub(crate) fn rejected() -> Vec<Vector> {
    let is_bad = |vector: &Vector| expected(vector) != "ok" && vector.kind == "vrrp";
    vector::all().into_iter().filter(is_bad).collect()
}

fn expected(vector: &Vector) -> &str {
    match vector.id.as_str() {
        // "Rejected (length) by a receiver without the extension."
        "V20" if cfg!(not(feature = "hmac-trailer")) => "length",
        _ => &vector.expect,
    }
}

/// `VRRP-011`, `VRRP-017`, `VRRP-020`, `VRRP-024`, `VRRP-027`, `VRRP-028`, `VRRP-035`, `VRRP-037`,
/// `VRRP-201` (V07, V08, V21), `VRRP-204` (V19), `VRRP-205` (V18)
#[test]
fn accepted_vectors_give_their_values() {
    for vector in accepted() {
        let id = &vector.id;
        let receiver = vector.receiver();
        let (meta, packet) = vector.packet();
        let accepted = receive(&meta, packet, &receiver.single())
            .unwrap_or_else(|rejection| panic!("{id}: {rejection}"));
        let (advertisement, fields) = (accepted.advertisement, &vector.fields);

        assert_eq!(advertisement.version, receiver.version, "{id}");
        assert_eq!(u64::from(advertisement.vrid.get()), fields["vrid"], "{id}");
        assert_eq!(
            u64::from(advertisement.priority.get()),
            fields["priority"],
            "{id}"
        );
        assert_eq!(advertisement.addresses.len(), fields["count"], "{id}");
        assert_eq!(
            advertisement.addresses,
            vector.addresses().as_addresses(),
            "{id}"
        );
        assert_eq!(
            accepted.source.to_string(),
            fields["src"].as_str().unwrap(),
            "{id}"
        );
        let interval = fields["adver_int"]
            .as_str()
            .or_else(|| fields["max_adver_int"].as_str());
        assert_eq!(
            advertisement.interval,
            vector::interval(interval.unwrap()),
            "{id}"
        );
        let destination = fields["dst"].as_str();
        if !id.starts_with("V20") {
            let group = Family::of(accepted.source).group().to_string();
            assert_eq!(
                accepted.destination.to_string(),
                destination.unwrap_or(&group),
                "{id}"
            );
        }
        if let Some(ttl) = fields["ttl"].as_u64() {
            assert_eq!(u64::from(accepted.ttl), ttl, "{id}");
        }
        let form = accepted.checksum.map(|finding| finding.to_string());
        assert_eq!(form, vector.checksum_form, "{id}");
        let auth_type = accepted
            .auth_type
            .map(|auth_type| u64::from(auth_type.number()));
        assert_eq!(auth_type, fields["auth_type"].as_u64(), "{id}");
        let sequence = accepted.sequence.map(u64::from);
        assert_eq!(sequence, fields["ah_seq"].as_u64(), "{id}");
        assert_eq!(
            (accepted.interface, accepted.received_at),
            (meta.interface(), meta.received_at())
        );
        assert!(
            accepted.observations.is_empty(),
            "{id}: {:?}",
            accepted.observations
        );
    }
}

/// The fields of the views that are not part of the value.
#[test]
fn views_show_what_the_value_leaves_out() {
    let vector = vector::named("V03");
    let (meta, packet) = vector.packet();
    let datagram = Datagram::new(&meta, packet).unwrap();
    let header = datagram.authentication_header().unwrap();
    assert_eq!(
        core::net::Ipv4Addr::from(header.spi()).to_string(),
        "192.0.2.13"
    );
    assert_eq!(header.next_header(), 112);

    // VRRP-020: the reserved bits are ignored, and can be looked at.
    let vector = vector::named("V11");
    let view = v3::View::new(Message::new(&vector.message).unwrap(), Family::Ipv4).unwrap();
    assert_eq!((view.reserved(), view.centiseconds()), (0xf, 4095));
}

/// The message is where it should be, and has the checksum listed.
#[test]
fn packets_are_taken_apart() {
    let vectors = accepted().into_iter().chain(rejected());
    for vector in vectors {
        let (meta, packet) = vector.packet();
        let datagram = Datagram::new(&meta, packet).unwrap();
        assert_eq!(datagram.message(), vector.message, "{}", vector.id);
        let frame = EthernetView::new(&vector.frame).unwrap();
        if datagram.destination().is_multicast() {
            let [.., vrid] = frame.source().octets();
            let number = Message::new(&vector.message).map(Message::vrid_number);
            assert_eq!(number.unwrap_or(vrid), vrid, "{}", vector.id);
        }
    }
}

/// `VRRP-005`, `VRRP-010`, `VRRP-012`, `VRRP-013`, `VRRP-018`, `VRRP-032`, `VRRP-034`, `VRRP-036`,
/// `VRRP-082` to `VRRP-087`, `VRRP-090` to `VRRP-092`, `VRRP-100`, `VRRP-101`, `VRRP-203`
#[test]
fn rejected_vectors_give_their_reasons() {
    let mut tokens = std::collections::BTreeSet::new();
    for vector in rejected() {
        let receiver = vector.receiver();
        let (meta, packet) = vector.packet();
        let rejection = receive(&meta, packet, &receiver.single()).unwrap_err();
        assert_eq!(rejection.to_string(), expected(&vector), "{}", vector.id);
        tokens.insert(rejection.reason());
    }
    // All but those the vectors have no frame for; `ladder.rs` has.
    use Reason::{AddressList, IpHeader, Owner, Proto, SelfSent};
    let missing = Reason::ALL.iter().filter(|reason| !tokens.contains(reason));
    assert!(missing.eq(&[IpHeader, Proto, SelfSent, Owner, AddressList]));
}

/// `VRRP-139`, `VRRP-203`: one packet moves one counter, or is counted as received.
#[test]
fn each_vector_moves_exactly_one_counter() {
    for vector in accepted().into_iter().chain(rejected()) {
        let (mut global, mut router) = (GlobalCounters::new(), RouterCounters::new());
        let receiver = vector.receiver();
        let (meta, packet) = vector.packet();
        match receive(&meta, packet, &receiver.single()) {
            Ok(accepted) => {
                router.record_accepted(&accepted);
                assert_eq!(router.received(), 1, "{}", vector.id);
                let resigns = u64::from(accepted.advertisement.priority.is_resign());
                assert_eq!(router.received_resignations(), resigns);
                assert_eq!(global, GlobalCounters::new(), "{}", vector.id);
                assert_eq!(router.rejected_in_all(), 0, "{}", vector.id);
            }
            Err(rejection) => {
                global.record_rejection(rejection);
                router.record_rejection(rejection);
                let reason = rejection.reason();
                let (one, none) = match rejection.scope() {
                    Scope::Global => (global.rejected(reason), router == RouterCounters::new()),
                    Scope::Router(vrid) => {
                        assert_eq!(vrid, receiver.vrid());
                        (router.rejected(reason), global == GlobalCounters::new())
                    }
                };
                assert!(one == 1 && none, "{}", vector.id);
                assert_eq!(global.rejected_in_all() + router.rejected_in_all(), 1);
                assert_eq!(router.received(), 0, "{}", vector.id);
            }
        }
    }
}

/// V03 and V04 differ in what the digest covers only; neither passes where the other is expected.
#[test]
fn flavours_of_the_authentication_header_do_not_mix() {
    for (id, other) in [("V03", "V04"), ("V04", "V03")] {
        let vector = vector::named(id);
        let mut receiver = vector.receiver();
        receiver.authentication = vector::named(other).receiver().authentication;
        let (meta, packet) = vector.packet();
        let rejection = receive(&meta, packet, &receiver.single()).unwrap_err();
        assert_eq!(rejection.reason(), Reason::AuthFailure, "{id}");
    }
}

/// `VRRP-085`: every truncation of every valid vector, and every extension, is rejected.
#[test]
fn no_truncation_passes() {
    for vector in accepted() {
        let receiver = vector.receiver();
        let (meta, packet) = vector.packet();
        for length in 0..packet.len() {
            // Padding may go.
            let padding = if vector.id == "V19" { 14 } else { 0 };
            if length >= packet.len() - padding {
                continue;
            }
            let result = receive(&meta, &packet[..length], &receiver.single());
            assert_eq!(
                result.unwrap_err().reason(),
                Reason::IpHeader,
                "{} {length}",
                vector.id
            );
        }
        // The same with lengths in the IP header that agree.
        for length in 0..vector.message.len() {
            let mut packet = packet.to_vec();
            shorten(&mut packet, vector.message.len() - length, meta.family());
            let result = receive(&meta, &packet, &receiver.single());
            let reason = result.unwrap_err().reason();
            let expected = if length < 8 {
                Reason::TooShort
            } else {
                Reason::Length
            };
            #[cfg(feature = "hmac-trailer")]
            let expected = if vector.id == "V20" && length == 12 {
                Reason::AuthFailure // just the trailer is missing
            } else {
                expected
            };
            assert_eq!(reason, expected, "{} {length}", vector.id);
        }
    }
}

/// Takes bytes off the end, and off the length in the IP header.
fn shorten(packet: &mut Vec<u8>, by: usize, family: Family) {
    let at = match family {
        Family::Ipv4 => 2,
        Family::Ipv6 => 4,
    };
    let length = u16::from_be_bytes([packet[at], packet[at + 1]]);
    let shorter = length - u16::try_from(by).unwrap();
    packet[at..at + 2].copy_from_slice(&shorter.to_be_bytes());
    let header = if family == Family::Ipv6 { 40 } else { 0 };
    packet.truncate(header + usize::from(shorter));
}

/// What a tool without configuration finds in the same packets: everything but what needs one.
#[test]
fn without_configuration_the_rows_that_need_none_apply() {
    use lvs_vrrp::Profile;
    use lvs_vrrp::receive::AnyRouter;
    for vector in vector::all()
        .into_iter()
        .filter(|vector| vector.kind == "vrrp")
    {
        let (meta, packet) = vector.packet();
        let rules = vector.receiver().profile.receive_rules();
        let result = receive(&meta, packet, &AnyRouter::new(rules));
        let token = result.map_or_else(|rejection| rejection.to_string(), |_| "ok".into());
        let expected = match vector.id.as_str() {
            "V17" | "V20" => "ttl", // from peers behind routers, which nobody configured
            "X17" | "X18" | "X19" | "X21" | "X23" | "X24" | "X25" | "X26" => "ok",
            _ => &vector.expect,
        };
        assert_eq!(token, expected, "{}", vector.id);
    }
    // Row 14 follows the profile.
    let vector = vector::named("X22");
    let (meta, packet) = vector.packet();
    let any = AnyRouter::new(Profile::Linux.receive_rules());
    let accepted = receive(&meta, packet, &any).unwrap();
    let observation = lvs_vrrp::Observation::FirstNotLinkLocal;
    assert!(accepted.observations.iter().eq([observation]));
    assert_eq!(accepted.advertisement.version, Version::V3);
    assert_eq!(accepted.auth_type, None::<AuthType>);
}
