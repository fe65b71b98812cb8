//! What tshark makes of the packets that are sent: each field, and whether the checksum is right.
//!
//! tshark takes VRRPv3 over IPv4 to have a pseudo-header; with its preference "v3 checksum as in v2"
//! it wants the other form. So each form is looked at both ways.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use core::net::IpAddr;
use std::io::Write as _;
use std::process::Command;

use lvs_vrrp::checksum::ChecksumForm;
#[cfg(feature = "hmac-trailer")]
use lvs_vrrp::codec::TrailerKey;
use lvs_vrrp::codec::{
    Advertisement, AhFlavour, AhKey, ArpOperation, ArpTarget, Authentication, GratuitousArp,
    Password, Transmission, UnsolicitedNa,
};
use lvs_vrrp::{AddressList, Family, Interval, MacAddress, Priority, Version, Vrid};

/// What tshark is asked for, in this order.
const FIELDS: [&str; 16] = [
    "vrrp.version",
    "vrrp.type",
    "vrrp.virt_rtr_id",
    "vrrp.prio",
    "vrrp.addr_count",
    "vrrp.checksum.status",
    "vrrp.auth_type",
    "vrrp.ip_addr",
    "vrrp.ipv6_addr",
    "ip.ttl",
    "ip.checksum.status",
    "ipv6.hlim",
    "eth.src",
    "vrrp.adver_int",
    "vrrp.short_adver_int",
    "vrrp.auth_string",
];

/// A capture file: Ethernet, one packet each second.
fn capture(frames: &[Vec<u8>]) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".pcap").tempfile().unwrap();
    let words = |words: &[u32]| {
        words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect::<Vec<_>>()
    };
    let header = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1]);
    file.write_all(&header).unwrap();
    for (second, frame) in (0..).zip(frames) {
        let length = u32::try_from(frame.len()).unwrap();
        file.write_all(&words(&[second, 0, length, length]))
            .unwrap();
        file.write_all(frame).unwrap();
    }
    file.flush().unwrap();
    file
}

/// The fields of each frame, as tshark prints them.
fn dissect(frames: &[Vec<u8>], preferences: &[&str], fields: &[&str]) -> Vec<Vec<String>> {
    let file = capture(frames);
    let mut command = Command::new("tshark");
    command.args([
        "-n",
        "-T",
        "fields",
        "-E",
        "separator=;",
        "-o",
        "ip.check_checksum:TRUE",
    ]);
    command.arg("-r").arg(file.path());
    for preference in preferences {
        command.args(["-o", preference]);
    }
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let split = |line: &str| line.split(';').map(str::to_owned).collect::<Vec<_>>();
    let lines: Vec<_> = text.lines().map(split).collect();
    assert_eq!(lines.len(), frames.len(), "{text}");
    lines
}

struct Case {
    version: Version,
    source: &'static str,
    /// A peer; otherwise the group.
    destination: Option<&'static str>,
    addresses: Vec<IpAddr>,
    priority: u8,
    form: ChecksumForm,
    authentication: Authentication,
    /// The interval, and how tshark prints it.
    interval: (Interval, &'static str),
}

fn cases() -> Vec<Case> {
    let many_v4: Vec<IpAddr> = (1..=255).map(|n| [10, 9, 0, n].into()).collect();
    let many_v6: Vec<IpAddr> = (1..=90)
        .map(|n| [0xfe80, 0, 0, 0, 0, 0, 0x5e, n].into())
        .collect();
    let second = (Interval::DEFAULT, "1");
    let fast = (Interval::from_centiseconds(7).unwrap(), "7");
    let slow = (Interval::MAX_V3, "4095");
    let key = AhKey::new(AhFlavour::Keepalived, b"key").unwrap();
    let simple = Authentication::Simple(Password::new(b"secret"));
    let mut cases = Vec::new();
    for (authentication, addresses, priority) in [
        (Authentication::None, &many_v4[..1], 100),
        (Authentication::None, &many_v4[..], 0),
        (simple, &many_v4[..2], 255),
        (Authentication::Header(key), &many_v4[..1], 1),
    ] {
        cases.push(Case {
            version: Version::V2,
            source: "192.0.2.11",
            destination: None,
            addresses: addresses.to_vec(),
            priority,
            form: ChecksumForm::MessageOnly,
            authentication,
            interval: second,
        });
    }
    for (source, all) in [("192.0.2.11", many_v4), ("fe80::a:1", many_v6)] {
        for (addresses, priority, interval) in [
            (&all[..1], 100, fast),
            (&all[..2], 0, slow),
            (&all[..], 255, fast),
        ] {
            for form in [ChecksumForm::MessageOnly, ChecksumForm::PseudoHeader] {
                cases.push(Case {
                    version: Version::V3,
                    source,
                    destination: None,
                    addresses: addresses.to_vec(),
                    priority,
                    form,
                    authentication: Authentication::None,
                    interval,
                });
            }
        }
    }
    // The pseudo-header has the real destination.
    let peers = [
        ("192.0.2.11", "192.0.2.12", [10, 9, 0, 1].into()),
        (
            "fe80::a:1",
            "fe80::a:2",
            [0xfe80, 0, 0, 0, 0, 0, 0x5e, 1].into(),
        ),
    ];
    for (source, peer, address) in peers {
        cases.push(Case {
            version: Version::V3,
            source,
            destination: Some(peer),
            addresses: vec![address],
            priority: 100,
            form: ChecksumForm::PseudoHeader,
            authentication: Authentication::None,
            interval: fast,
        });
    }
    let key = AhKey::new(AhFlavour::Rfc2402, b"a key of more than eight bytes").unwrap();
    cases.push(Case {
        version: Version::V2,
        source: "192.0.2.11",
        destination: None,
        addresses: vec![[10, 9, 0, 1].into()],
        priority: 100,
        form: ChecksumForm::MessageOnly,
        authentication: Authentication::Header(key),
        interval: second,
    });
    cases
}

impl Case {
    fn family(&self) -> Family {
        Family::of(self.addresses[0])
    }

    fn frame(&self) -> Vec<u8> {
        let list = AddressList::new(self.addresses.iter().copied()).unwrap();
        let vrid = Vrid::new(51).unwrap();
        let advertisement = Advertisement {
            version: self.version,
            vrid,
            priority: Priority::new(self.priority),
            interval: self.interval.0,
            addresses: list.as_addresses(),
        };
        let mut buffer = [0; 1600];
        let group = MacAddress::of_group(self.family().group()).unwrap();
        let group_address = self.family().group();
        let to = self
            .destination
            .map_or(group_address, |peer| peer.parse().unwrap());
        let length = Transmission::unicast(self.source.parse().unwrap(), to)
            .with_identification(7)
            .with_checksum(self.form)
            .with_authentication(&self.authentication, 3)
            .emit_frame(
                &advertisement,
                group,
                vrid.virtual_mac(self.family()),
                &mut buffer,
            )
            .unwrap();
        buffer[..length].to_vec()
    }
}

/// `VRRP-103`, `VRRP-106`: every kind of advertisement, decoded by somebody else.
#[test]
#[ignore = "needs tshark: run through .ci/test"]
fn tshark_reads_what_is_sent() {
    let cases = cases();
    assert_eq!(cases.len(), 19);
    let frames: Vec<_> = cases.iter().map(Case::frame).collect();
    for as_in_v2 in [false, true] {
        let preference = format!("vrrp.v3_checksum_as_in_v2:{as_in_v2}");
        let lines = dissect(&frames, &[&preference], &FIELDS);
        for (number, (case, line)) in cases.iter().zip(&lines).enumerate() {
            let what = format!("packet {number}, {preference}: {line:?}");
            let is_v4 = case.family() == Family::Ipv4;
            // 1 is good, 0 bad.
            let is_other_form = case.version == Version::V3
                && is_v4
                && as_in_v2 != (case.form == ChecksumForm::MessageOnly);
            let addresses: Vec<String> = case.addresses.iter().map(IpAddr::to_string).collect();
            let addresses = addresses.join(",");
            let (v4, v6) = if is_v4 {
                (addresses, String::new())
            } else {
                (String::new(), addresses)
            };
            let of_v4 = |text: &str| {
                if is_v4 {
                    text.to_owned()
                } else {
                    String::new()
                }
            };
            let expected = [
                case.version.number().to_string(),
                "1".into(),
                "51".into(),
                case.priority.to_string(),
                case.addresses.len().to_string(),
                if is_other_form { "0" } else { "1" }.into(),
                match case.version {
                    Version::V2 => case.authentication.auth_type().number().to_string(),
                    Version::V3 => String::new(),
                },
                v4,
                v6,
                of_v4("255"),
                of_v4("1"),
                if is_v4 { String::new() } else { "255".into() },
                format!("00:00:5e:00:0{}:33", if is_v4 { 1 } else { 2 }),
                if case.version == Version::V2 {
                    case.interval.1
                } else {
                    ""
                }
                .into(),
                if case.version == Version::V3 {
                    case.interval.1
                } else {
                    ""
                }
                .into(),
                match case.authentication {
                    Authentication::Simple(_) => "secret".into(),
                    _ => String::new(),
                },
            ];
            assert_eq!(line[..], expected, "{what}");
        }
    }
}

#[test]
#[ignore = "needs tshark: run through .ci/test"]
fn tshark_reads_the_authentication_header() {
    let cases = cases().into_iter();
    let headers = cases.filter(|case| matches!(case.authentication, Authentication::Header(_)));
    let frames: Vec<_> = headers.map(|case| case.frame()).collect();
    assert_eq!(frames.len(), 2, "one of each flavour");
    let fields = ["ah.next_header", "ah.length", "ah.spi", "ah.sequence"];
    for line in dissect(&frames, &[], &fields) {
        assert_eq!(line[..], ["112", "4", "0xc000020b", "3"]);
    }
}

/// tshark knows no trailer. Over IPv6 the checksum covers it, and is found right.
#[cfg(feature = "hmac-trailer")]
#[test]
#[ignore = "needs tshark: run through .ci/test"]
fn tshark_finds_the_checksum_over_a_trailer_right() {
    let key = TrailerKey::new(7, &[0x5a; 32]).unwrap();
    let list = AddressList::new(["fe80::1".parse().unwrap()]).unwrap();
    let vrid = Vrid::new(51).unwrap();
    let advertisement = Advertisement {
        version: Version::V3,
        vrid,
        priority: Priority::DEFAULT,
        interval: Interval::DEFAULT,
        addresses: list.as_addresses(),
    };
    let mac = vrid.virtual_mac(Family::Ipv6);
    let mut frame = [0; 200];
    let length = Transmission::multicast("fe80::a:1".parse().unwrap())
        .with_trailer(&key, 9)
        .emit_frame(&advertisement, mac, mac, &mut frame)
        .unwrap();
    let fields = ["ipv6.plen", "vrrp.addr_count", "vrrp.checksum.status"];
    let line = &dissect(&[frame[..length].to_vec()], &[], &fields)[0];
    let payload = 8 + 16 + 28;
    assert_eq!(line[..], [payload.to_string(), "1".into(), "1".into()]);
}

#[test]
#[ignore = "needs tshark: run through .ci/test"]
fn tshark_reads_announcements() {
    let vrid = Vrid::new(10).unwrap();
    let mac = vrid.virtual_mac(Family::Ipv4);
    let mut frames = Vec::new();
    for operation in [ArpOperation::Request, ArpOperation::Reply] {
        for target in [ArpTarget::Sender, ArpTarget::Broadcast, ArpTarget::Zero] {
            let arp = GratuitousArp {
                address: [192, 0, 2, 1].into(),
                mac,
                operation,
                target,
            };
            let mut frame = vec![0; GratuitousArp::FRAME_LEN];
            arp.emit_frame(&mut frame).unwrap();
            frames.push(frame);
        }
    }
    let fields = [
        "arp.isgratuitous",
        "arp.opcode",
        "arp.src.hw_mac",
        "arp.src.proto_ipv4",
        "arp.dst.hw_mac",
        "arp.dst.proto_ipv4",
        "eth.dst",
    ];
    let lines = dissect(&frames, &[], &fields);
    let targets = [
        "00:00:5e:00:01:0a",
        "ff:ff:ff:ff:ff:ff",
        "00:00:00:00:00:00",
    ];
    for (number, line) in lines.iter().enumerate() {
        let gratuitous = line[0].to_lowercase();
        assert!(gratuitous == "1" || gratuitous == "true", "{line:?}");
        let opcode = if number < 3 { "1" } else { "2" };
        let rest = [
            opcode,
            "00:00:5e:00:01:0a",
            "192.0.2.1",
            targets[number % 3],
            "192.0.2.1",
            "ff:ff:ff:ff:ff:ff",
        ];
        assert_eq!(line[1..], rest, "{number}");
    }

    let na = UnsolicitedNa::new(
        "2001:db8::1".parse().unwrap(),
        vrid.virtual_mac(Family::Ipv6),
    );
    // The same from the link-local virtual address.
    let from_link_local = UnsolicitedNa {
        source: "fe80::1".parse().unwrap(),
        ..na
    };
    let frames = [na, from_link_local].map(|na| {
        let mut frame = vec![0; UnsolicitedNa::FRAME_LEN];
        na.emit_frame(&mut frame).unwrap();
        frame
    });
    let fields = [
        "icmpv6.type",
        "icmpv6.checksum.status",
        "icmpv6.nd.na.target_address",
        "icmpv6.opt.linkaddr",
        "ipv6.dst",
        "ipv6.hlim",
        "icmpv6.nd.na.flag.r",
        "icmpv6.nd.na.flag.s",
        "icmpv6.nd.na.flag.o",
        "ipv6.src",
    ];
    let lines = dissect(&frames, &[], &fields);
    for (line, source) in lines.iter().zip(["2001:db8::1", "fe80::1"]) {
        let flags: Vec<_> = line[6..9]
            .iter()
            .map(|flag| matches!(&flag.to_lowercase()[..], "1" | "true"))
            .collect();
        assert_eq!(flags, [true, false, true]);
        let mac = "00:00:5e:00:02:0a";
        assert_eq!(
            line[..6],
            ["136", "1", "2001:db8::1", mac, "ff02::1", "255"]
        );
        assert_eq!(line[9], source);
    }
}
