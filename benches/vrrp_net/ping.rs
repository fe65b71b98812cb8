//! A client that pings an address every millisecond.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::Result;
use crate::host::Host;
use crate::watch::wall;

const EVERY: Duration = Duration::from_millis(1);

/// Two threads: one asks, one hears.
#[derive(Debug)]
pub(crate) struct Pinging {
    is_over: Arc<AtomicBool>,
    asking: JoinHandle<io::Result<Vec<Duration>>>,
    hearing: JoinHandle<BTreeSet<u16>>,
}

impl Pinging {
    pub(crate) fn start(host: &Host, address: Ipv4Addr) -> Result<Self> {
        let socket = host.enter(|| Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)))?;
        socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        let mut ear = socket.try_clone()?;
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let asking = thread::spawn(move || {
            let to = SockAddr::from(SocketAddrV4::new(address, 0));
            let mut sent = Vec::new();
            while !over.load(Ordering::Relaxed) {
                sent.push(wall());
                let number = u16::try_from(sent.len()).unwrap_or(u16::MAX);
                // While nobody has the address the kernel may say so.
                let _ = socket.send_to(&request(number), &to);
                thread::sleep(EVERY);
            }
            Ok(sent)
        });
        let over = Arc::clone(&is_over);
        let hearing = thread::spawn(move || {
            let mut heard = BTreeSet::new();
            let mut room = [0; 128];
            loop {
                match ear.read(&mut room) {
                    Ok(length) => heard.extend(answer(room.get(..length).unwrap_or_default())),
                    Err(_) if over.load(Ordering::Relaxed) => return heard,
                    Err(_) => {}
                }
            }
        });
        Ok(Self {
            is_over,
            asking,
            hearing,
        })
    }

    /// For how long no ping was answered that was sent: from the last that was answered until the
    /// next one that was, the longest such time.
    pub(crate) fn end(self) -> Result<Duration> {
        self.is_over.store(true, Ordering::Relaxed);
        let sent = self.asking.join().map_err(|_| "a thread has panicked")??;
        let heard = self.hearing.join().map_err(|_| "a thread has panicked")?;
        let answered = (1..)
            .zip(&sent)
            .filter(|(number, _)| heard.contains(number));
        let answered: Vec<_> = answered.map(|(_, at)| *at).collect();
        let gaps = answered.windows(2).map(|pair| pair[1] - pair[0]);
        gaps.max().ok_or_else(|| "no ping was answered".into())
    }
}

/// An echo request: RFC 792.
fn request(number: u16) -> [u8; 8] {
    let mut packet = [8, 0, 0, 0, 0x4c, 0x56, 0, 0];
    packet[6..].copy_from_slice(&number.to_be_bytes());
    let words = packet
        .chunks_exact(2)
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap_or_default();
    packet[2..4].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// The number of an echo reply to one of ours.
fn answer(packet: &[u8]) -> Option<u16> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    match *packet.get(header..)? {
        [0, 0, _, _, 0x4c, 0x56, high, low, ..] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}
