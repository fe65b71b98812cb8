//! Gratuitous ARP and unsolicited neighbour advertisements.

use serde_json::json;

use crate::{captures, program, vectors};

#[test]
fn announcements_of_virtual_macs_are_shown_on_request() {
    let vectors: Vec<_> = vectors::all()
        .into_iter()
        .filter(|v| v.kind != "vrrp")
        .collect();
    let capture = captures::pcap(1, vectors.iter().map(|vector| &vector.frame[..]));
    assert_eq!(
        program::objects("-", &capture),
        Vec::<serde_json::Value>::new()
    );
    let objects = program::objects("--announcements -", &capture);
    assert_eq!(objects.len(), 7);
    for (vector, object) in vectors.iter().zip(&objects) {
        assert_eq!(object["kind"], vector.kind, "{}", vector.id);
        assert_eq!(object["vrid"], 10, "{}", vector.id);
        let mac = if vector.kind == "arp" {
            "00:00:5e:00:01:0a"
        } else {
            "00:00:5e:00:02:0a"
        };
        assert_eq!(object["mac"], mac, "{}", vector.id);
    }
    assert_eq!(objects[0]["addresses"], json!(["192.0.2.1"]));
    let objects = program::objects("--announcements --vrid 11 -", &capture);
    assert_eq!(objects.len(), 0);

    let g01 = captures::pcap(1, [&vectors::named("G01").frame[..]]);
    let lines = program::lines("--announcements -", &g01);
    let line = "22:13:20.250000 gratuitous ARP request: 192.0.2.1 is at 00:00:5e:00:01:0a, vrid 10";
    assert_eq!(lines, [line]);
}

/// Announcements of other MACs are others' business.
#[test]
fn announcements_of_real_macs_are_not_shown() {
    let mut frame = vectors::named("G01").frame;
    frame[14 + 8..14 + 14].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    frame[14 + 18..14 + 24].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    let capture = captures::pcap(1, [&frame[..]]);
    assert_eq!(
        program::lines("--announcements -", &capture),
        Vec::<String>::new()
    );
}

/// Whatever lies around them; ARP is no packet of IP, so raw captures have the others only.
#[test]
fn announcements_are_found_in_frames_of_every_link_type() {
    let arp = vectors::named("G01").frame;
    let all = vectors::all();
    let na = &all.iter().find(|vector| vector.kind == "na").unwrap().frame;
    let cooked_v1 = |frame: &[u8], tag: &[u8]| {
        let head = [0, 0, 0, 1, 0, 6, 0, 0, 0x5e, 0, 1, 10, 0, 0];
        [&head, tag, &frame[12..]].concat()
    };
    let cooked_v2 = |frame: &[u8]| {
        let head = [0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 0, 0, 0x5e, 0, 1, 10, 0, 0];
        [&frame[12..14], &head, &frame[14..]].concat()
    };
    let tag = [0x81, 0, 0, 7];
    for (kind, frame) in [("arp", &arp), ("na", na)] {
        let tagged = [&frame[..12], &tag, &frame[12..]].concat();
        for (link, frame, vlan) in [
            (1, tagged, json!(7)),
            (113, cooked_v1(frame, &[]), json!(null)),
            (113, cooked_v1(frame, &tag), json!(7)),
            (276, cooked_v2(frame), json!(null)),
            (101, frame[14..].to_vec(), json!(null)),
        ] {
            let objects =
                program::objects("--announcements -", &captures::pcap(link, [&frame[..]]));
            let is_found = link != 101 || kind == "na";
            assert_eq!(objects.len(), usize::from(is_found), "{kind} {link}");
            for object in objects {
                assert_eq!(
                    (&object["kind"], &object["vrid"]),
                    (&json!(kind), &json!(10))
                );
                assert_eq!(object["vlan"], vlan, "{kind} {link}");
            }
        }
    }
    let tagged = [&arp[..12], &tag, &arp[12..]].concat();
    let lines = program::lines("--announcements -", &captures::pcap(1, [&tagged[..]]));
    let line =
        "22:13:20.250000 vlan 7 gratuitous ARP request: 192.0.2.1 is at 00:00:5e:00:01:0a, vrid 10";
    assert_eq!(lines, [line]);
}
