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
