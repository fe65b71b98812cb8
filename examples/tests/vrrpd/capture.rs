//! What comes to a network namespace, with its time.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Instant;

use socket2::{Domain, Protocol, Socket, Type};

use crate::network::Network;

/// All frames, as `ETH_P_ALL` of packet(7), in the order of the network.
const ALL: u16 = 0x0003_u16.to_be();

/// A capture under way.
pub(crate) struct Capture {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Frame>>,
}

/// A frame.
pub(crate) struct Frame {
    at: Instant,
    bytes: Vec<u8>,
}

/// A VRRP advertisement over IPv4.
#[derive(Debug)]
pub(crate) struct Advert {
    pub(crate) at: Instant,
    pub(crate) from: String,
    pub(crate) priority: u8,
}

impl Capture {
    /// Captures what comes to all interfaces, from now on.
    pub(crate) fn start(network: &Network) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stop);
        let (ready, is_ready) = mpsc::channel();
        let thread = network.spawn(move || {
            let protocol = Protocol::from(i32::from(ALL));
            let mut socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).unwrap();
            let moment = Duration::from_millis(50);
            socket.set_read_timeout(Some(moment)).unwrap();
            ready.send(()).unwrap();
            let mut frames = Vec::new();
            let mut buffer = [0; 2048];
            while !is_over.load(Ordering::Relaxed) {
                if let Ok(length) = socket.read(&mut buffer) {
                    let (at, bytes) = (Instant::now(), buffer[..length].to_vec());
                    frames.push(Frame { at, bytes });
                }
            }
            frames
        });
        is_ready.recv().unwrap();
        Self { stop, thread }
    }

    /// What came.
    pub(crate) fn end(self) -> Vec<Frame> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

impl Frame {
    /// It as an advertisement: protocol 112 in IPv4 without options.
    pub(crate) fn advert(&self) -> Option<Advert> {
        let bytes = &self.bytes;
        (bytes.get(12..15) == Some(&[0x08, 0x00, 0x45]) && bytes.get(23) == Some(&112)).then(|| {
            Advert {
                at: self.at,
                from: mac(&bytes[6..12]),
                priority: bytes[36],
            }
        })
    }

    /// The MAC that it says an address has: ARP of either kind.
    pub(crate) fn arp_sender(&self, address: [u8; 4]) -> Option<String> {
        let bytes = &self.bytes;
        let is_arp = bytes.get(12..14) == Some(&[0x08, 0x06]);
        (is_arp && bytes.get(28..32) == Some(&address)).then(|| mac(&bytes[22..28]))
    }
}

fn mac(bytes: &[u8]) -> String {
    let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(":")
}
