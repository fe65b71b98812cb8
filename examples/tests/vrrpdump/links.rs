//! Every link type, both formats, both orders of bytes.

use std::process::Command;

use pcap_file::{Endianness, TsResolution};
use serde_json::json;

use crate::captures::{Interface, pcap, pcap_as, pcapng};
use crate::{program, vectors};

/// A frame of a vector, its packet within, and the type of the latter.
fn vector(id: &str) -> (Vec<u8>, Vec<u8>, [u8; 2]) {
    let frame = vectors::named(id).frame;
    let packet = frame[14..].to_vec();
    let ether_type = [frame[12], frame[13]];
    (frame, packet, ether_type)
}

/// The frame with tags between addresses and type.
fn tagged(id: &str, tags: &[[u8; 4]]) -> Vec<u8> {
    let (frame, ..) = vector(id);
    [&frame[..12], tags.as_flattened(), &frame[12..]].concat()
}

fn cooked_v1(id: &str, tags: &[u8]) -> Vec<u8> {
    let (_, packet, ether_type) = vector(id);
    let mut frame = vec![0, 0, 0, 1, 0, 6, 0, 0, 0x5e, 0, 1, 12, 0, 0];
    if tags.is_empty() {
        frame.extend(ether_type);
    } else {
        frame.extend(tags);
        frame.extend(ether_type);
    }
    frame.extend(packet);
    frame
}

fn cooked_v2(id: &str, index: u8) -> Vec<u8> {
    let (_, packet, [high, low]) = vector(id);
    let mut frame = vec![
        high, low, 0, 0, 0, 0, 0, index, 0, 1, 0, 6, 0, 0, 0x5e, 0, 1, 12, 0, 0,
    ];
    frame.extend(packet);
    frame
}

#[test]
fn every_link_type_leads_to_the_same_packet() {
    for (id, address) in [
        ("V07", "192.0.2.5"),
        ("V14", "fe80::1"),
        ("V19", "192.0.2.4"),
    ] {
        let (frame, packet, _) = vector(id);
        let is_v6 = id == "V14";
        for (link, frame) in [
            (1, frame),
            (1, tagged(id, &[[0x81, 0, 0, 7]])),
            (1, tagged(id, &[[0x88, 0xa8, 0, 7], [0x81, 0, 0, 9]])),
            (113, cooked_v1(id, &[])),
            (113, cooked_v1(id, &[0x81, 0, 0, 7])),
            (276, cooked_v2(id, 3)),
            (12, packet.clone()),
            (14, packet.clone()),
            (101, packet.clone()),
            (if is_v6 { 229 } else { 228 }, packet.clone()),
            // With the length of a check sequence in the upper bits.
            (0x4400_0001, vector(id).0),
        ] {
            let objects = program::objects("-", &pcap(link, [&frame[..]]));
            assert_eq!(objects.len(), 1, "{id} {link}");
            let object = &objects[0];
            assert_eq!(object["ok"], true, "{id} {link}: {object}");
            assert_eq!(object["addresses"][0], address, "{id} {link}");
            let interface = if link == 276 {
                json!("#3")
            } else {
                json!(null)
            };
            assert_eq!(object["interface"], interface, "{id} {link}");
        }
    }
}

/// The numbers of tags are shown, the outermost first, and virtual routers of different VLANs are
/// counted apart. Priority and the drop bit of a tag are no part of its number.
#[test]
fn the_vlan_of_a_packet_is_shown() {
    let (bare, ..) = vector("V07");
    let tags = [[0x88, 0xa8, 0, 7], [0x81, 0, 0xef, 0xff]];
    let frames = [bare, tagged("V07", &tags[1..]), tagged("V07", &tags)];
    let capture = pcap(1, frames.iter().map(|frame| &frame[..]));
    let lines = program::lines("--stats -", &capture);
    let begin = |line: &str, head| assert!(line.starts_with(head), "{line}");
    begin(&lines[0], "22:13:20.250000 192.0.2.240 > ");
    begin(&lines[1], "22:13:21.250000 vlan 4095 192.0.2.240 > ");
    begin(&lines[2], "22:13:22.250000 vlan 7 vlan 4095 192.0.2.240 > ");
    assert_eq!(lines[3], "3 frames: 3 accepted, 0 refused");
    begin(&lines[4], "vrid 12 IPv4: advertisement-rcvd 1");
    begin(
        &lines[5],
        "vrid 12 IPv4 vlan 7 vlan 4095: advertisement-rcvd 1",
    );
    begin(&lines[6], "vrid 12 IPv4 vlan 4095: advertisement-rcvd 1");

    let objects = program::objects("--stats -", &capture);
    let vlans =
        |object: &serde_json::Value| (object["vlan"].clone(), object["outer_vlans"].clone());
    let expected = [
        (json!(null), json!(null)),
        (json!(4095), json!(null)),
        (json!(4095), json!([7])),
    ];
    assert_eq!(objects[..3].iter().map(vlans).collect::<Vec<_>>(), expected);
    assert!(objects[0].get("vlan").is_none());
    assert_eq!(objects[3]["routers"][1]["outer_vlans"], json!([7]));

    let cooked = cooked_v1("V07", &[0x81, 0, 0, 9]);
    let objects = program::objects("-", &pcap(113, [&cooked[..]]));
    assert_eq!(objects[0]["vlan"], 9);
    // Cut off within a tag it is nothing.
    let cut = &tagged("V07", &tags)[..19];
    assert_eq!(program::lines("-", &pcap(1, [cut])), Vec::<String>::new());
}

#[test]
fn both_orders_of_bytes_and_both_resolutions_are_read() {
    let (frame, ..) = vector("V07");
    for endianness in [Endianness::Big, Endianness::Little] {
        for resolution in [TsResolution::MicroSecond, TsResolution::NanoSecond] {
            let capture = pcap_as(1, endianness, resolution, [&frame[..], &frame[..]]);
            let objects = program::objects("-", &capture);
            let times: Vec<_> = objects
                .iter()
                .map(|o| o["time"].as_f64().unwrap())
                .collect();
            assert_eq!(times, [1_700_000_000.25, 1_700_000_001.25]);
        }
        let interfaces = [
            Interface {
                link: 1,
                name: Some("eth0"),
                resolution: None,
                offset: None,
            },
            Interface {
                link: 101,
                name: None,
                resolution: Some(9),
                offset: Some(-1_000_000_000),
            },
            Interface {
                link: 276,
                name: Some("any"),
                resolution: Some(0x80 | 10),
                offset: None,
            },
        ];
        let (_, packet, _) = vector("V14");
        let cooked = cooked_v2("V01", 7);
        let ticks = 1_700_000_000;
        let frames: [(u32, u64, &[u8]); 3] = [
            (0, ticks * 1_000_000 + 125_000, &frame),
            (1, (ticks + 1_000_000_000) * 1_000_000_000 + 5_000, &packet),
            (2, ticks * 1024 + 512, &cooked),
        ];
        let capture = pcapng(endianness, &interfaces, &frames);
        let objects = program::objects("-", &capture);
        let seen: Vec<_> = objects
            .iter()
            .map(|o| {
                (
                    o["interface"].as_str().unwrap(),
                    o["time"].as_f64().unwrap(),
                    &o["vrid"],
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("eth0", 1_700_000_000.125, &json!(12)),
                ("#1", 1_700_000_000.000_005, &json!(10)),
                ("#7", 1_700_000_000.5, &json!(51)),
            ]
        );
        // By interface, as it is shown.
        for (name, vrids) in [
            ("eth0", vec![12]),
            ("#1,#7", vec![10, 51]),
            ("eth1", vec![]),
        ] {
            let objects = program::objects(&format!("--interface {name} -"), &capture);
            let seen: Vec<_> = objects
                .iter()
                .map(|o| o["vrid"].as_u64().unwrap())
                .collect();
            assert_eq!(seen, vrids);
        }
    }
}

/// Names come from the file, and end up in a terminal.
#[test]
fn names_of_interfaces_cannot_steer_a_terminal() {
    let (frame, ..) = vector("V07");
    let interface = Interface {
        link: 1,
        name: Some("\u{1b}[2Jeth0\n"),
        resolution: None,
        offset: None,
    };
    let capture = pcapng(Endianness::Little, &[interface], &[(0, 0, &frame)]);
    let lines = program::lines("-", &capture);
    assert_eq!(lines.len(), 1);
    let head = "00:00:00.000000 \u{fffd}[2Jeth0\u{fffd} 192.0.2.240 > ";
    assert!(lines[0].starts_with(head), "{lines:?}");
}

/// Captures as Wireshark's tools write them: the same lines, whatever the format.
#[test]
#[ignore = "needs editcap of Wireshark"]
fn captures_written_by_wireshark_are_read() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/vrrpdump/sample.pcap");
    let expected = program::lines(sample, b"");
    let folder = tempfile::tempdir().unwrap();
    for format in ["pcap", "nsecpcap", "pcapng"] {
        let path = folder.path().join(format);
        let arguments = ["-F", format, sample, path.to_str().unwrap()];
        let status = Command::new("editcap").args(arguments).status().unwrap();
        assert!(status.success(), "editcap {arguments:?}");
        let lines = program::lines(path.to_str().unwrap(), b"");
        if format == "pcapng" {
            let named = expected.iter().map(|line| line.replacen(' ', " #0 ", 1));
            assert!(lines.iter().cloned().eq(named), "{lines:?}");
        } else {
            assert_eq!(lines, expected, "{format}");
        }
    }
    // Cut off to 64 bytes each, which pcap-file by itself refuses.
    let path = folder.path().join("cut");
    let arguments = ["-F", "pcap", "-s", "64", sample, path.to_str().unwrap()];
    let status = Command::new("editcap").args(arguments).status().unwrap();
    assert!(status.success(), "editcap {arguments:?}");
    let lines = program::lines(path.to_str().unwrap(), b"");
    let cut = lines
        .iter()
        .filter(|line| line.contains(" bytes captured)"));
    assert_eq!((lines.len(), cut.count()), (expected.len(), 5));
}

#[test]
fn what_cannot_be_read_is_said_and_not_hidden() {
    let (frame, ..) = vector("V07");
    let outcome = program::run("-", &pcap(105, [&frame[..], &frame[..]]));
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(2), ""));
    let said = "standard input: 2 frames skipped, whose link type (105) is not Ethernet";
    assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
}

#[test]
fn other_traffic_is_passed_over() {
    let (mut frame, ..) = vector("V07");
    frame[14 + 9] = 6;
    let runt = &frame[..13];
    let capture = pcap(1, [&frame[..], runt, &[]]);
    assert_eq!(program::lines("-", &capture), Vec::<String>::new());
    let lines = program::lines("--stats -", &capture);
    assert_eq!(lines, ["3 frames: 0 accepted, 0 refused"]);
}
