//! What `--vr` adds: a check for each key that is given, and none for those that are not.

use crate::{captures, program, vectors};

/// The reasons, or the observations, of frames with these options.
fn judged(options: &str, frames: &[&[u8]]) -> Vec<String> {
    let capture = captures::pcap(1, frames.iter().copied());
    let objects = program::objects(&format!("{options} -"), &capture);
    let words = objects
        .iter()
        .map(|object| match object["reason"].as_str() {
            Some(reason) => reason.to_owned(),
            None => object["observations"]
                .as_array()
                .unwrap()
                .iter()
                .map(|seen| seen.as_str().unwrap())
                .collect::<Vec<_>>()
                .join(" "),
        });
    words.collect()
}

fn vector(id: &str) -> Vec<u8> {
    vectors::named(id).frame
}

/// Each key alone, with a value that fits the packet and one that does not.
#[test]
fn each_key_adds_its_check_and_no_other() {
    for (id, keys, expected) in [
        ("V07", "vrid=12", ""),
        ("V07", "vrid=13", "vrid"),
        ("V07", "vrid=13,family=6", ""),
        ("V07", "vrid=12,version=3", ""),
        ("V07", "vrid=12,version=2+3", ""),
        ("V07", "vrid=12,version=2", "version"),
        ("V07", "vrid=12,priority=99", ""),
        ("V07", "vrid=12,priority=180", "equal-priority"),
        ("V07", "vrid=12,priority=owner", "owner"),
        ("V09", "vrid=1,priority=owner", "owner owner-conflict"),
        ("V07", "vrid=12,interval=75cs", ""),
        ("V07", "vrid=12,interval=1s", "interval-mismatch"),
        ("X21", "vrid=51,interval=1s", "interval-mismatch"),
        ("V07", "vrid=12,addresses=192.0.2.6+192.0.2.5", ""),
        ("V07", "vrid=12,addresses=192.0.2.5", "address-list"),
        ("V07", "vrid=12,own=192.0.2.1", ""),
        ("V07", "vrid=12,own=192.0.2.240", "self"),
        ("V07", "vrid=12,group=224.0.0.18", ""),
        ("V07", "vrid=12,group=239.0.0.18", "cast-mismatch"),
        ("V07", "vrid=12,peers=192.0.2.240", "cast-mismatch"),
        ("V17", "vrid=30,peers=192.0.2.21@64", ""),
        ("V17", "vrid=30,peers=192.0.2.21@65-255", "ttl"),
        ("V17", "vrid=30", "ttl"),
        ("X26", "vrid=30", ""),
        ("X26", "vrid=30,peers=192.0.2.21", "unknown-peer"),
        ("X26", "vrid=30,group=224.0.0.18", "cast-mismatch"),
        ("V02", "vrid=52", ""),
        ("V02", "vrid=52,auth=none", "auth-type-mismatch"),
        ("V02", "vrid=52,auth=simple,password=s3cr3t!", ""),
        ("V02", "vrid=52,auth=simple,password=other", "auth-failure"),
        ("V03", "vrid=53", ""),
        ("V03", "vrid=53,auth=none", "auth-type-mismatch"),
        ("V03", "vrid=53,auth=ah,password=ahkey123", ""),
        (
            "V03",
            "vrid=53,auth=ah-rfc2402,password=ahkey123",
            "auth-failure",
        ),
        ("V03", "vrid=53,sequence=6,auth=ah,password=ahkey123", ""),
        (
            "V03",
            "vrid=53,sequence=7,auth=ah,password=ahkey123",
            "auth-replay",
        ),
        ("V20", "vrid=60,peers=192.0.2.41@64", "length"),
    ] {
        let judged = judged(&format!("--vr {keys}"), &[&vector(id)]);
        assert_eq!(judged, [expected], "{id} {keys}");
    }
}

/// VRRPv2 by RFC 3768 drops other address lists, but not where there is none to compare with.
#[test]
fn an_address_list_not_given_is_not_compared() {
    let frame = vector("V01");
    let options = "--profile strict-3768 --vr vrid=51";
    assert_eq!(judged(options, &[&frame]), [""]);
    let other = format!("{options},addresses=192.0.2.9");
    assert_eq!(judged(&other, &[&frame]), ["address-list"]);
}

/// Rows 13d and 21 look at what came before.
#[test]
fn what_was_accepted_is_remembered() {
    let header = vector("V03");
    let options = "--vr vrid=53,auth=ah,password=ahkey123";
    assert_eq!(judged(options, &[&header, &header]), ["", "auth-replay"]);

    // V07 and V08 differ in the form of their checksum.
    let (one, other) = (vector("V07"), vector("V08"));
    let options = "--vr vrid=12";
    let judged_all = judged(options, &[&one, &one, &other, &other]);
    assert_eq!(judged_all, ["", "", "checksum-form-conflict", ""]);
    assert_eq!(judged("", &[&one, &other]), ["", ""]);
}

/// Row 21: another router with the priority of the Active, whatever our own is.
#[test]
fn two_routers_of_one_priority_are_noticed() {
    // The checksum of V08 covers the message only.
    let one = vector("V08");
    let mut other = one.clone();
    other[14 + 15] = 9;
    let seen = judged("--vr vrid=12", &[&one, &one, &other]);
    assert_eq!(seen, ["", "", "equal-priority"]);
}

/// keepalived's trailer must have a sequence that grows.
#[test]
fn a_trailer_heard_before_is_a_replay() {
    let frame = vector("V20");
    let key = "4f".repeat(32);
    let options = format!("--vr vrid=60,peers=192.0.2.41@64,hmac=9:{key}");
    assert_eq!(judged(&options, &[&frame, &frame]), ["", "auth-replay"]);
    let other = options.replace("4f4f", "4e4f");
    assert_eq!(judged(&other, &[&frame]), ["auth-failure"]);
}

/// Without `auth` nothing is said about authentication, not even where a digest cannot be looked at.
#[test]
fn authentication_not_given_is_not_compared() {
    let mut frame = vector("V01");
    // Type 2 without its header; the checksum is that of type 0.
    let message = 14 + 20;
    frame[message + 4] = 2;
    let checksum = u16::from_be_bytes([frame[message + 6], frame[message + 7]]) - 0x200;
    frame[message + 6..message + 8].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(judged("--vr vrid=51", &[&frame]), [""]);
    let options = "--vr vrid=51,auth=ah,password=x";
    assert_eq!(judged(options, &[&frame]), ["auth-failure"]);
}

/// Row 3 is decided before the virtual router is known: the widest range of a peer counts.
#[test]
fn a_peer_of_several_routers_has_the_widest_range() {
    let frame = vector("V17");
    for options in [
        "--vr vrid=30,peers=192.0.2.21@60-70 --vr vrid=31,peers=192.0.2.21@1-10",
        "--vr vrid=31,peers=192.0.2.21@1-10 --vr vrid=30,peers=192.0.2.21@60-70",
    ] {
        assert_eq!(judged(options, &[&frame]), [""], "{options}");
    }
}

/// Other interfaces are judged as if there were no configuration.
#[test]
fn an_interface_not_configured_is_not_compared() {
    use pcap_file::Endianness;
    let interface = |name| captures::Interface {
        link: 1,
        name: Some(name),
        resolution: None,
        offset: None,
    };
    let frame = vector("V07");
    let capture = captures::pcapng(
        Endianness::Big,
        &[interface("eth0"), interface("eth1")],
        &[(0, 0, &frame), (1, 0, &frame)],
    );
    let objects = program::objects("--vr vrid=13,interface=eth0 -", &capture);
    assert_eq!(
        (&objects[0]["reason"], &objects[0]["row"]),
        (&"vrid".into(), &7.into())
    );
    assert_eq!(objects[1]["ok"], true);
}

/// Of several routers with one id, the one that has the source as its peer is taken.
#[test]
fn peers_tell_routers_of_one_id_apart() {
    let frame = vector("V17");
    let options = "--vr vrid=30,peers=192.0.2.20,interval=2s \
                   --vr vrid=30,peers=192.0.2.21@64,interval=1s";
    assert_eq!(judged(options, &[&frame]), [""]);
}
