//! How servers treat their clients.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::SockRef;

const CERTIFICATE: &[u8] = include_bytes!("../data/tls/server.pem");
const KEY: &[u8] = include_bytes!("../data/tls/server.key");

/// What no protocol knows.
pub(super) const GARBAGE: &[u8] = b"\0\xff\x01\n\n\r\n\r\n\x80\x02";

/// The columns of the table, where they are explained.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Manner {
    Right,
    Drip,
    Endless,
    Garbage,
    Close,
    Reset,
    Silent,
    Half,
    Line,
    Full,
}

impl Manner {
    pub(super) const ALL: [Self; 10] = [
        Self::Right,
        Self::Drip,
        Self::Endless,
        Self::Garbage,
        Self::Close,
        Self::Reset,
        Self::Silent,
        Self::Half,
        Self::Line,
        Self::Full,
    ];
}

/// Where TLS comes in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Layer {
    /// Nowhere.
    Plain,
    /// The server has shaken hands before it misbehaves.
    Within,
    /// It misbehaves while shaking hands.
    Handshake,
}

/// What a server of some protocol has to say over TCP.
#[derive(Clone, Copy, Debug)]
pub(super) struct Talk {
    pub(super) layer: Layer,
    /// Whether the server speaks first.
    pub(super) first: bool,
    /// What it says rightly before it misbehaves.
    pub(super) before: &'static [&'static [u8]],
    /// The right answer to a request, or to nothing, which is where it misbehaves.
    pub(super) answer: fn(&[u8]) -> Vec<u8>,
    /// What it says after that if it behaves.
    pub(super) after: &'static [&'static [u8]],
    /// What goes on for ever in the form of an answer: its beginning, and a piece of the rest.
    pub(super) endless: (&'static [u8], &'static [u8]),
    /// What never ends: its beginning, and a byte of the rest.
    pub(super) line: (&'static [u8], u8),
}

/// Says when servers are to stop, and how long they pause.
#[derive(Clone, Debug)]
pub(super) struct Over {
    over: Arc<AtomicBool>,
    pause: Duration,
}

impl Over {
    pub(super) fn new(pause: Duration) -> Self {
        let over = Arc::default();
        Self { over, pause }
    }

    pub(super) fn set(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Waits between two bytes of a drip, or until it is over; the thread has to be unparked then.
    pub(super) fn pause(&self) {
        let end = Instant::now() + self.pause;
        while !self.is_set() {
            let Some(rest) = end.checked_duration_since(Instant::now()) else {
                return;
            };
            thread::park_timeout(rest);
        }
    }
}

/// Something to speak through.
trait Line: Read + Write {}

impl<T: Read + Write> Line for T {}

impl Talk {
    /// Treats one connection. Whatever the client does to it is its right, and ends this.
    pub(super) fn treat(&self, manner: Manner, stream: TcpStream, over: &Over) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let socket = stream.try_clone()?;
        if self.layer == Layer::Within {
            let mut secured = secured(stream);
            while secured.conn.is_handshaking() {
                secured.conn.complete_io(&mut secured.sock)?;
            }
            return self.go_on(manner, &mut secured, &socket, over);
        }
        self.go_on(manner, &mut &stream, &socket, over)
    }

    fn go_on(
        &self,
        manner: Manner,
        line: &mut dyn Line,
        socket: &TcpStream,
        over: &Over,
    ) -> io::Result<()> {
        let mut first = self.first;
        for said in self.before {
            hear(line, &mut first)?;
            line.write_all(said)?;
        }
        match manner {
            Manner::Close => {
                socket.shutdown(Shutdown::Write)?;
                return listen(socket);
            }
            Manner::Reset => return SockRef::from(socket).set_linger(Some(Duration::ZERO)),
            Manner::Silent => return listen(socket),
            Manner::Right if self.layer == Layer::Handshake => {
                let mut secured = secured(socket.try_clone()?);
                while secured.conn.is_handshaking() {
                    secured.conn.complete_io(&mut secured.sock)?;
                }
                for said in self.after {
                    hear(&mut secured, &mut false)?;
                    secured.write_all(said)?;
                }
                return listen(socket);
            }
            _ => {}
        }
        let request = hear(line, &mut first)?;
        let answer = (self.answer)(&request);
        match manner {
            Manner::Drip => {
                for byte in answer {
                    line.write_all(&[byte])?;
                    line.flush()?;
                    over.pause();
                }
            }
            Manner::Endless => {
                let (start, piece) = self.endless;
                line.write_all(start)?;
                for_ever(line, &piece.repeat(16 * 1024 / piece.len()), over)?;
            }
            Manner::Line => {
                let (start, byte) = self.line;
                line.write_all(start)?;
                for_ever(line, &[byte; 16 * 1024], over)?;
            }
            Manner::Garbage => line.write_all(GARBAGE)?,
            Manner::Half => line.write_all(&answer[..answer.len() / 2])?,
            _ => {
                line.write_all(&answer)?;
                for said in self.after {
                    hear(line, &mut first)?;
                    line.write_all(said)?;
                }
            }
        }
        line.flush()?;
        listen(socket)
    }
}

fn for_ever(line: &mut dyn Line, bytes: &[u8], over: &Over) -> io::Result<()> {
    while !over.is_set() {
        line.write_all(bytes)?;
    }
    Ok(())
}

/// What the client says next, unless the server is to speak first.
fn hear(line: &mut dyn Line, first: &mut bool) -> io::Result<Vec<u8>> {
    if core::mem::take(first) {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; 4096];
    let count = line.read(&mut bytes)?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.truncate(count);
    Ok(bytes)
}

/// Waits for the client to close.
fn listen(mut socket: &TcpStream) -> io::Result<()> {
    io::copy(&mut socket, &mut io::sink()).map(drop)
}

fn secured(stream: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(chain, key);
    let connection = ServerConnection::new(Arc::new(config.unwrap())).unwrap();
    StreamOwned::new(connection, stream)
}
