//! Echo, in a network namespace where the kernel answers none and this test does.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io::Read;
use std::thread::{self, JoinHandle};

use lvs_healthcheck::Check;
use lvs_healthcheck::probe::icmp::IcmpProbe;
use socket2::{Domain, Protocol, Socket, Type};

use super::kinds::Kind;
use super::manner::{GARBAGE, Manner, Over};
use super::namespace::{in_namespace, run};
use super::server::Speech;

/// The header of a message: type, code, checksum, identifier, number.
const HEADER: usize = 8;

/// Echo with eight bytes of data, by which it is known.
pub(super) const PING: Kind = Kind {
    name: "icmp",
    speech: Speech::Echo,
    check: |at, policy| Check::new(IcmpProbe::new(at.ip()).with_size(8), policy),
};

/// Answers requests to an address of its own; the port says nothing.
pub(super) fn serve(manner: Manner, over: &Over) -> (SocketAddr, JoinHandle<()>) {
    let at = Manner::ALL.iter().position(|this| *this == manner).unwrap();
    let address = Ipv4Addr::new(127, 0, 0, 10 + u8::try_from(at).unwrap());
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).unwrap();
    let address = SocketAddr::from((address, 0));
    socket.bind(&address.into()).unwrap();
    let moment = Some(Duration::from_millis(50));
    socket.set_read_timeout(moment).unwrap();
    let over = over.clone();
    let thread = thread::spawn(move || {
        let mut buffer = [0; 256];
        while !over.is_set() {
            let Ok(count) = (&socket).read(&mut buffer) else {
                continue;
            };
            treat(manner, &socket, &buffer[..count], &over);
        }
    });
    (address, thread)
}

/// Answers a message, which comes with its IP header, if it is a request.
fn treat(manner: Manner, socket: &Socket, packet: &[u8], over: &Over) {
    let (header, request) = packet.split_at(usize::from(packet[0] & 15) * 4);
    if request.first() != Some(&8) || request.len() < HEADER {
        return;
    }
    let client: [u8; 4] = header[12..16].try_into().unwrap();
    let client = SocketAddr::from((IpAddr::from(client), 0)).into();
    let send = |message: &[u8]| {
        // Whom it goes to may be gone.
        let _ = socket.send_to(message, &client);
    };
    let mut right = request.to_vec();
    right[0] = 0;
    match manner {
        Manner::Drip => {
            for byte in summed(right) {
                send(&[byte]);
                over.pause();
            }
        }
        Manner::Endless => {
            // Somebody else's cookie.
            right[HEADER] ^= 0xff;
            let wrong = summed(right);
            while !over.is_set() {
                for _ in 0..100 {
                    send(&wrong);
                }
                thread::sleep(Duration::from_millis(1));
            }
        }
        Manner::Garbage => send(GARBAGE),
        Manner::Reset => {
            // Host unreachable, and what that is about.
            let quoted = [&[3, 1, 0, 0, 0, 0, 0, 0], header, &request[..HEADER]].concat();
            send(&summed(quoted));
        }
        Manner::Silent => {}
        Manner::Half => {
            right.truncate(right.len() / 2);
            send(&summed(right));
        }
        Manner::Line => {
            right.resize(60_000, b'x');
            send(&summed(right));
        }
        _ => send(&summed(right)),
    }
}

/// With the checksum of RFC 1071.
fn summed(mut message: Vec<u8>) -> Vec<u8> {
    message[2..4].fill(0);
    let words = message.chunks(2).map(|pair| {
        let low = pair.get(1).copied().unwrap_or_default();
        u32::from(u16::from_be_bytes([pair[0], low]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    message[2..4].copy_from_slice(&(!u16::try_from(sum).unwrap()).to_be_bytes());
    message
}

#[test]
#[ignore = "needs root and iproute2: makes a network namespace"]
fn echo_is_held_against_them_too_with_and_without_privileges() {
    let _alone = super::alone();
    for groups in ["1 0", "0 2147483647"] {
        in_namespace(move || {
            run("sysctl -qw net.ipv4.icmp_echo_ignore_all=1");
            // Who may have sockets for echo only; root has raw ones otherwise.
            std::fs::write("/proc/sys/net/ipv4/ping_group_range", groups).unwrap();
            let before = super::counted();
            let (mut driver, epoll) = super::shell::driver();
            super::meet_all(groups, (&mut driver, epoll), &[&PING]);
            drop(driver);
            super::settles("of the process", super::counted, before);
        });
    }
}
