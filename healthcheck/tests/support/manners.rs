//! Servers that mean harm or seem to, each connection on a thread of its own.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use lvs_healthcheck::Target;

/// How a server treats its clients, until they have had enough.
#[derive(Clone, Copy, Debug)]
pub(super) enum Manner {
    /// A beginning of something good byte by byte, and then for ever like this.
    Drip,
    /// The same as fast as it goes.
    Endless,
    /// What no protocol knows.
    Garbage,
    /// Closes at once.
    Close,
    /// Resets at once.
    Reset,
    /// Never answers.
    Silent,
    /// Says its words, then only listens.
    Halt,
}

pub(super) const MANNERS: [Manner; 7] = [
    Manner::Drip,
    Manner::Endless,
    Manner::Garbage,
    Manner::Close,
    Manner::Reset,
    Manner::Silent,
    Manner::Halt,
];

impl Manner {
    fn treat(self, mut stream: TcpStream, words: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Drip => {
                for byte in words.iter().chain(core::iter::repeat(&b'x')) {
                    stream.write_all(&[*byte])?;
                    thread::sleep(Duration::from_millis(20));
                }
            }
            Self::Endless => {
                stream.write_all(words)?;
                loop {
                    stream.write_all(&[b'x'; 16 * 1024])?;
                }
            }
            Self::Garbage => stream.write_all(b"\0\xff\x01\n\n\r\n\r\n\x80\x02")?,
            Self::Close => {}
            Self::Reset => socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?,
            Self::Silent => drop(stream.read_to_end(&mut Vec::new())?),
            Self::Halt => {
                stream.write_all(words)?;
                stream.read_to_end(&mut Vec::new())?;
            }
        }
        Ok(())
    }
}

/// A server that treats every connection the same until it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(manner: Manner, words: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let done = over.clone();
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                thread::spawn(move || {
                    // Whatever the client does to the connection is its right.
                    let _ = manner.treat(stream, words);
                });
            }
        });
        Self {
            address,
            over,
            thread: Some(thread),
        }
    }

    pub(super) fn target(&self) -> Target {
        Target::new(self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
