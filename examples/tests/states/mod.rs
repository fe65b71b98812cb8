//! States, templates and counts of a running kernel, to compare them with the library's.

pub(crate) mod planted;
pub(crate) mod remembered;
pub(crate) mod sync;
pub(crate) mod walk;

use core::net::SocketAddr;
use core::time::Duration;
use std::net::UdpSocket;

use crate::schedulers::director::Director;
use crate::schedulers::packet::{Content, Packet};

/// Sends packets, and returns when the director has dealt with them: when one that was sent behind
/// them has arrived.
pub(crate) fn send(director: &mut Director, packets: &[Packet]) {
    let end = UdpSocket::bind("10.127.255.1:0").unwrap();
    end.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let last = Packet {
        source: SocketAddr::from(([10, 63, 255, 1], 9)),
        destination: end.local_addr().unwrap(),
        content: Content::Udp,
    };
    director.wire.send(0, packets);
    director.wire.send(0, &[last]);
    end.recv(&mut [0]).unwrap();
}
