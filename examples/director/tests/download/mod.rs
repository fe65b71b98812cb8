//! A download that lasts as long as a test wants it to.

use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::network::{Host, PATIENCE, eventually};

/// What is sent in one piece.
const PIECE: usize = 1000;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(20);

/// Answers one request, with numbers. It is to be there before a director checks it.
pub(crate) struct Server {
    is_over: Arc<AtomicBool>,
    sender: JoinHandle<u64>,
}

impl Server {
    pub(crate) fn start(host: &Host, listen: (IpAddr, u16)) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let listener = host.enter(|| TcpListener::bind(SocketAddr::from(listen)).unwrap());
        let over = Arc::clone(&is_over);
        let sender = thread::spawn(move || send(&listener, &over));
        Self { is_over, sender }
    }
}

/// A server that sends numbers, and a client that checks them.
pub(crate) struct Download {
    is_over: Arc<AtomicBool>,
    received: Arc<AtomicU64>,
    server: JoinHandle<u64>,
    client: JoinHandle<u64>,
}

/// The byte at a place of the download.
fn byte(place: u64) -> u8 {
    // A prime, so that lost pieces show.
    u8::try_from(place % 251).unwrap()
}

impl Download {
    /// Has a client ask at an address behind which that server is.
    pub(crate) fn start(server: Server, client: &Host, ask: (IpAddr, u16)) -> Self {
        let Server { is_over, sender } = server;
        let received = Arc::new(AtomicU64::new(0));
        let ask = SocketAddr::from(ask);
        let stream = client.enter(|| TcpStream::connect_timeout(&ask, PATIENCE).unwrap());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let count = Arc::clone(&received);
        let client = thread::spawn(move || receive(stream, &count));
        Self {
            is_over,
            received,
            server: sender,
            client,
        }
    }

    /// Waits, and sees to it that something arrives all the time, and also afterwards.
    pub(crate) fn goes_on_for(&self, time: Duration) {
        let end = Instant::now() + time;
        let count = || self.received.load(Ordering::Acquire);
        loop {
            let before = count();
            eventually(count, |now| *now > before);
            if Instant::now() >= end {
                return;
            }
        }
    }

    /// Lets it come to its end; gives its length.
    pub(crate) fn finish(self) -> u64 {
        self.is_over.store(true, Ordering::Release);
        let sent = self.server.join().unwrap();
        let received = self.client.join().unwrap();
        assert_eq!(sent, received);
        sent
    }
}

fn send(listener: &TcpListener, is_over: &AtomicBool) -> u64 {
    // Checks connect as well, and send nothing.
    let (mut stream, mut sent) = loop {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0];
        if stream.read(&mut request).is_ok_and(|length| length == 1) {
            break (stream, 0);
        }
    };
    // The checks go on being accepted by the listener's queue.
    while !is_over.load(Ordering::Acquire) {
        let piece: Vec<u8> = (sent..).take(PIECE).map(byte).collect();
        stream.write_all(&piece).unwrap();
        sent += u64::try_from(PIECE).unwrap();
        thread::sleep(PAUSE);
    }
    sent
}

fn receive(mut stream: TcpStream, count: &AtomicU64) -> u64 {
    stream.write_all(b"?").unwrap();
    let mut received = 0;
    let mut bytes = [0; 4096];
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    loop {
        let length = stream.read(&mut bytes).unwrap();
        longest = longest.max(last.elapsed());
        last = Instant::now();
        if length == 0 {
            println!("{received} bytes received, nothing for {longest:?} at most");
            return received;
        }
        for byte_there in bytes.iter().take(length) {
            assert_eq!(*byte_there, byte(received), "at {received}");
            received += 1;
        }
        count.store(received, Ordering::Release);
    }
}
