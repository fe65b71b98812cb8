//! A demonstration to test, clients and servers for it.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use director::demonstration::farm::{Config, Farm, Stats};
use lvs_schedulers::Algorithm;
use socket2::{Domain, Socket, Type};

/// Longer than anything here takes; a test that hangs fails instead.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const MEGABYTE: usize = 1024 * 1024;

pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A demonstration with `servers` HTTP servers and no destinations.
pub(crate) fn farm(algorithm: Algorithm, servers: usize) -> Farm {
    let mut config = Config::default();
    config.algorithm = algorithm;
    config.servers.truncate(servers);
    Farm::start(&config).unwrap()
}

/// A demonstration whose only destination is a server of the test's own: it handles one connection.
pub(crate) fn farm_with<T: Send + 'static>(
    handle: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (Farm, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let farm = farm(Algorithm::Rr, 0);
    farm.set_destinations(&[(listener.local_addr().unwrap(), 1)])
        .unwrap();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        impatient(&stream);
        handle(stream)
    });
    (farm, server)
}

pub(crate) fn impatient(stream: &TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    impatient(&stream);
    stream
}

pub(crate) fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: farm\r\nconnection: close\r\n\r\n")
}

/// Fetches `path` and returns the answer without its head.
pub(crate) fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    impatient(&stream);
    stream.write_all(request(path).as_bytes())?;
    read_answer(&mut stream)
}

pub(crate) fn read_answer(stream: &mut TcpStream) -> io::Result<String> {
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer
        .split_once("\r\n\r\n")
        .ok_or(ErrorKind::UnexpectedEof)?;
    Ok(body.to_string())
}

/// Bytes in which any loss, repetition or exchange shows, taken round and round.
pub(crate) struct Pattern(Vec<u8>);

impl Pattern {
    pub(crate) fn new() -> Self {
        Self(
            (0..251 * 256_u32)
                .map(|index| (index % 251) as u8 ^ (index / 251) as u8)
                .collect(),
        )
    }

    /// The bytes from `position` on, as many as are at hand.
    fn at(&self, position: usize) -> &[u8] {
        &self.0[position % self.0.len()..]
    }

    /// Writes up to `most` bytes, until an error; returns how many were taken, and the error.
    pub(crate) fn write(&self, stream: &mut TcpStream, most: usize) -> (usize, Option<ErrorKind>) {
        let mut position = 0;
        while position < most {
            let bytes = self.at(position);
            match stream.write(&bytes[..bytes.len().min(most - position)]) {
                Ok(count) => position += count,
                Err(error) => return (position, Some(error.kind())),
            }
        }
        (position, None)
    }

    /// Reads to the end and returns how many bytes came, all of them right.
    pub(crate) fn read(&self, stream: &mut TcpStream) -> usize {
        let (mut buffer, mut position) = (vec![0; 64 * 1024], 0);
        loop {
            let count = stream.read(&mut buffer).unwrap();
            if count == 0 {
                return position;
            }
            let mut rest = &buffer[..count];
            while !rest.is_empty() {
                let bytes = self.at(position);
                let compared = rest.len().min(bytes.len());
                assert!(
                    rest[..compared] == bytes[..compared],
                    "wrong after byte {position}"
                );
                rest = &rest[compared..];
                position += compared;
            }
        }
    }
}

/// Waits until the figures are as wanted; the forwarder counts a little after its peers notice.
pub(crate) fn wait_for(farm: &Farm, wanted: impl Fn(&Stats) -> bool) -> Stats {
    let start = Instant::now();
    loop {
        let stats = farm.stats();
        if wanted(&stats) {
            return stats;
        }
        assert!(start.elapsed() < PATIENCE, "never as wanted: {stats:?}");
        thread::yield_now();
    }
}

/// A connected client that will buffer little on its own.
pub(crate) fn lazy_client(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    impatient(&stream);
    stream
}
