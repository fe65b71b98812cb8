//! Recorded advertisements of a router that is not there, and what answers them: both forms of the
//! checksum of VRRPv3 over IPv4 (spec 1.5), of which the peers speak one.
//!
//! The recordings are V07 and V08: the same advertisement of VRID 12 with priority 180, the checksum
//! with pseudo-header and over the message only.

use core::time::Duration;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Instant;

use lvs_vrrp::{Family, Version};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket,
};
use nix::sys::time::TimeVal;
use serde_json::Value;

use crate::host::Host;
use crate::lab::{INTERFACE, Lab, Side};
use crate::program::Program;
use crate::router::Router;
use crate::settings::Settings;

/// The frame of this vector.
fn recorded(id: &str) -> Vec<u8> {
    let text = include_str!("../../../vrrp/tests/data/vrrp-vectors.json");
    let data: Value = serde_json::from_str(text).unwrap();
    let vectors = data["vectors"].as_array().unwrap();
    let found = vectors.iter().find(|vector| vector["id"] == id);
    let hex = found.expect(id)["frame"].as_str().unwrap();
    let digits = (0..hex.len()).step_by(2);
    let bytes = digits.map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
    bytes.collect()
}

/// What the interface of a host sends and receives.
struct Wire(std::os::fd::OwnedFd);

impl Wire {
    fn open(host: &Host) -> Self {
        host.enter(|| {
            let all = SockProtocol::EthAll;
            let flags = SockFlag::SOCK_CLOEXEC;
            let socket = socket(AddressFamily::Packet, SockType::Raw, flags, all).unwrap();
            let mut addresses = getifaddrs().unwrap();
            let address = addresses.find_map(|found| {
                let link = found.address?.as_link_addr().copied();
                link.filter(|_| found.interface_name == INTERFACE)
            });
            let address: LinkAddr = address.unwrap();
            bind(socket.as_raw_fd(), &address).unwrap();
            let soon = TimeVal::new(0, 20_000);
            setsockopt(&socket, ReceiveTimeout, &soon).unwrap();
            Self(socket)
        })
    }

    fn send(&self, frame: &[u8]) {
        send(self.0.as_raw_fd(), frame, MsgFlags::empty()).unwrap();
    }

    /// The next VRRP message over IPv4 from this address, if one comes soon.
    fn next_from(&self, source: [u8; 4]) -> Option<Vec<u8>> {
        let mut frame = [0; 2048];
        let length = match recv(self.0.as_raw_fd(), &mut frame, MsgFlags::empty()) {
            Ok(length) => length,
            Err(Errno::EAGAIN | Errno::EINTR) => return None,
            Err(errno) => panic!("{errno}"),
        };
        let packet = frame[..length].get(14..)?;
        let is_vrrp = frame[12..14] == [8, 0] && packet.get(9) == Some(&112);
        let end = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
        let is_ours = is_vrrp && packet.get(12..16) == Some(&source[..]);
        is_ours.then(|| packet[20..end].to_vec())
    }
}

/// Whether the 16-bit words add up as they do where the checksum covers nothing else (RFC 1071).
fn verifies_alone(message: &[u8]) -> bool {
    let words = message.chunks(2).map(|word| match *word {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high, ..] => u32::from(high) << 8,
        [] => 0,
    });
    let sum: u32 = words.sum();
    (sum & 0xffff) + (sum >> 16) == 0xffff
}

/// A router of the recorded one's group, which has the lower priority.
fn start(lab: &Lab, program: Program) -> (Settings, Box<dyn Router>) {
    let mut settings = Settings::new(lab, Version::V3, 100);
    settings.vrid = 12;
    settings.interval = Duration::from_millis(750);
    settings.addresses = ["192.0.2.5", "192.0.2.6"]
        .map(|a| a.parse().unwrap())
        .into();
    let router = program.start(lab, Side::Us, &settings);
    (settings, router)
}

/// Sends the recorded frame five times an interval, for this long.
fn replay(wire: &Wire, id: &str, time: Duration) {
    let (frame, begin) = (recorded(id), Instant::now());
    while begin.elapsed() < time {
        wire.send(&frame);
        thread::sleep(Duration::from_millis(150));
    }
}

/// Of a form it takes for right it is the Backup, and it takes over when there is no more.
fn believes(program: Program, id: &str, answers_alone: bool) {
    let lab = Lab::new(Family::Ipv4);
    let wire = Wire::open(lab.host(Side::Peer));
    let (settings, mut router) = start(&lab, program);
    replay(&wire, id, settings.down_interval() + settings.interval);
    let counters = router.counters();
    assert_eq!(
        (counters.times_active, counters.errors),
        (0, 0),
        "{counters:?}"
    );
    assert!(counters.received >= 10, "{counters:?}");
    // It answers in the form it heard.
    let silence = Instant::now();
    let sent = loop {
        if let Some(message) = wire.next_from([192, 0, 2, 1]) {
            break message;
        }
        assert!(
            silence.elapsed() < 2 * settings.down_interval(),
            "nothing sent"
        );
    };
    assert_eq!(verifies_alone(&sent), answers_alone, "{sent:02x?}");
    assert_eq!(sent[..3], [0x31, 12, 100]);
}

/// Of a form it takes for wrong it takes no notice: it becomes Active.
fn refuses(program: Program, id: &str) {
    let lab = Lab::new(Family::Ipv4);
    let wire = Wire::open(lab.host(Side::Peer));
    let (settings, mut router) = start(&lab, program);
    replay(&wire, id, settings.down_interval() + settings.interval);
    let counters = router.counters();
    assert_eq!(counters.times_active, 1, "{counters:?}");
}

#[test]
#[ignore = "needs root, network namespaces, keepalived and FRR"]
fn we_hear_and_speak_the_form_with_pseudo_header() {
    believes(Program::Blocking, "V07", false);
}

#[test]
#[ignore = "needs root, network namespaces, keepalived and FRR"]
fn we_hear_and_speak_the_form_of_the_message_only() {
    believes(Program::Blocking, "V08", true);
}

#[test]
#[ignore = "needs root, network namespaces, keepalived and FRR"]
fn keepalived_speaks_the_form_with_pseudo_header() {
    believes(Program::Keepalived, "V07", false);
}

#[test]
#[ignore = "needs root, network namespaces, keepalived and FRR"]
fn keepalived_refuses_the_form_of_the_message_only() {
    refuses(Program::Keepalived, "V08");
}

#[test]
#[ignore = "needs root, network namespaces, keepalived and FRR"]
fn frr_speaks_the_form_with_pseudo_header() {
    believes(Program::Frr, "V07", false);
}

#[test]
#[ignore = "needs root, network namespaces, keepalived and FRR"]
fn frr_refuses_the_form_of_the_message_only() {
    refuses(Program::Frr, "V08");
}
