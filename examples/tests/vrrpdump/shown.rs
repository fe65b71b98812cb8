//! What the lines look like, and which are shown.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use crate::{captures, program, vectors};

fn capture(ids: &[&str]) -> Vec<u8> {
    let frames: Vec<_> = ids.iter().map(|id| vectors::named(id).frame).collect();
    captures::pcap(1, frames.iter().map(|frame| &frame[..]))
}

#[test]
fn lines_say_what_the_packet_says() {
    let capture = capture(&["V01", "V03", "V05", "V07", "V09", "V14", "X01", "X06"]);
    let lines = program::lines("-", &capture);
    assert_eq!(
        lines,
        [
            "22:13:20.250000 192.0.2.11 > 224.0.0.18: VRRPv2 vrid 51 prio 100 every 1 s ttl 255 \
             addrs 192.0.2.1",
            "22:13:21.250000 192.0.2.13 > 224.0.0.18: VRRPv2 vrid 53 prio 120 every 1 s ttl 255 \
             auth header seq 7 addrs 192.0.2.3",
            "22:13:22.250000 192.0.2.11 > 224.0.0.18: VRRPv2 vrid 51 prio 0 (resigns) every 1 s \
             ttl 255 addrs 192.0.2.1",
            "22:13:23.250000 192.0.2.240 > 224.0.0.18: VRRPv3 vrid 12 prio 180 every 75 cs \
             ttl 255 checksum pseudo-header addrs 192.0.2.5,192.0.2.6",
            "22:13:24.250000 198.51.100.1 > 224.0.0.18: VRRPv3 vrid 1 prio 255 (owner) every 10 \
             cs ttl 255 checksum pseudo-header addrs 198.51.100.1",
            "22:13:25.250000 fe80::a:1 > ff02::12: VRRPv3 vrid 10 prio 100 every 100 cs ttl 255 \
             checksum ipv6-pseudo-header addrs fe80::1,2001:db8::1",
            "22:13:26.250000 192.0.2.251 > 224.0.0.18: VRRPv3 vrid 10 prio 200 every 100 cs \
             ttl 254 addrs 192.0.2.1 REFUSED ttl (row 3)",
            "22:13:27.250000 192.0.2.251 > 224.0.0.18: VRRPv3 vrid 10 ttl 255 \
             REFUSED too-short (row 4)",
        ]
    );
}

#[test]
fn virtual_routers_are_chosen_by_id_and_lines_counted() {
    let capture = capture(&["V01", "V07", "V14", "V01", "X16"]);
    assert_eq!(program::lines("--vrid 51,12 -", &capture).len(), 3);
    assert_eq!(program::lines("--vrid 10 -", &capture).len(), 1);
    assert_eq!(program::lines("--count 2 -", &capture).len(), 2);
    // Only what is shown is counted.
    let lines = program::lines("--vrid 51 --stats -", &capture);
    assert_eq!(
        lines[2..],
        [
            "5 frames: 2 accepted, 0 refused",
            "vrid 51 IPv4: advertisement-rcvd 2"
        ]
    );
}

#[test]
fn counters_are_those_of_a_router() {
    let capture = capture(&["V05", "V01", "X01", "X10", "X21", "X16"]);
    let lines = program::lines("--stats --vr vrid=51,interval=1s,priority=100 -", &capture);
    assert_eq!(
        lines[6..],
        [
            "6 frames: 2 accepted, 4 refused",
            "refused for no router: ttl 1, vrid 1, checksum 1",
            "vrid 51 IPv4: advertisement-rcvd 2, priority-zero-pkts-rcvd 1, interval-mismatch 1",
            "  observed: equal-priority 1",
        ]
    );
    let arguments = "--stats --vr vrid=51,interval=1s,priority=100 -";
    let stats = program::objects(arguments, &capture).pop().unwrap();
    assert_eq!(stats["global"]["ttl"], 1);
    let router = &stats["routers"][0];
    assert_eq!(router["vrid"], 51);
    assert_eq!(router["interval-errors"], 1);
    assert_eq!(router["refused"]["interval-mismatch"], 1);
    assert_eq!(router["observed"]["equal-priority"], 1);
}

/// A capture may keep the first bytes of each frame only.
#[test]
fn a_frame_not_captured_whole_is_marked() {
    let frame = vectors::named("V07").frame;
    let mut capture = captures::pcap(1, [&frame[..40]]);
    let length = capture.len();
    let place = length - 40 - 4;
    capture[place..place + 4].copy_from_slice(&50_u32.to_ne_bytes());
    // The capture's own limit is below, too, as it is in such captures.
    capture[16..20].copy_from_slice(&40_u32.to_ne_bytes());
    let objects = program::objects("-", &capture);
    assert_eq!(objects[0]["reason"], "ip-header");
    assert_eq!(
        (&objects[0]["captured"], &objects[0]["length"]),
        (&40.into(), &50.into())
    );
    let lines = program::lines("-", &capture);
    let line = "22:13:20.250000 VRRP REFUSED ip-header (row 1) (40 of 50 bytes captured)";
    assert_eq!(lines, [line]);
}

/// What comes through a pipe is shown as it comes, not when the pipe ends.
#[test]
fn a_pipe_is_followed() {
    let capture = capture(&["V01", "V07"]);
    let mut child = program::command()
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // All but the last byte of the second packet.
    input.write_all(&capture[..capture.len() - 1]).unwrap();
    input.flush().unwrap();
    assert!(lines.next().unwrap().unwrap().contains("vrid 51"));
    input.write_all(&capture[capture.len() - 1..]).unwrap();
    input.flush().unwrap();
    assert!(lines.next().unwrap().unwrap().contains("vrid 12"));
    drop(input);
    assert!(lines.next().is_none());
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_sample_is_there_to_try() {
    let lines = program::lines("vrrpdump/sample.pcap", b"");
    assert!(lines.len() > 10 && lines.iter().any(|line| line.contains("REFUSED")));
}

#[test]
fn wrong_options_are_refused_with_the_reason() {
    for (arguments, said) in [
        ("", "required arguments were not provided"),
        ("--vrid 0 -", "not in 1..=255"),
        ("--profile rfc -", "strict-3768"),
        ("--vr vrid=300 -", "vrid=300: expected 1 to 255"),
        ("--passive -", "cannot be used with"),
    ] {
        let outcome = program::run(arguments, b"");
        assert_eq!(
            (outcome.status, outcome.stdout.as_str()),
            (Some(2), ""),
            "{arguments}"
        );
        assert!(
            outcome.stderr.contains(said),
            "{arguments}: {}",
            outcome.stderr
        );
    }
}
