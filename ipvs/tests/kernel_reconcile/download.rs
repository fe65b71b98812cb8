//! A server that says who it is, or sends slowly, and a client for it.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread::{self, JoinHandle};

use nix::sys::socket::{self, setsockopt, sockopt};

use crate::network::{Host, PATIENCE};

/// Pieces of a download, one each tenth of a second.
pub(crate) const PIECES: usize = 40;
const PIECE: usize = 4000;

/// Sends its name and what it is asked for; ends with its value.
pub(crate) struct SlowServer {
    listener: TcpListener,
    acceptor: Option<JoinHandle<()>>,
}

impl SlowServer {
    pub(crate) fn start(host: &Host, name: &str, address: SocketAddr) -> Self {
        let listener = host.enter(|| TcpListener::bind(address).unwrap());
        let (accepting, name) = (listener.try_clone().unwrap(), name.to_owned());
        let acceptor = thread::spawn(move || {
            let mut workers = Vec::new();
            while let Ok((stream, _)) = accepting.accept() {
                let (serving, name) = (stream.try_clone().unwrap(), name.clone());
                // What goes wrong shows at the client.
                let worker = thread::spawn(move || drop(serve(serving, &name)));
                workers.push((stream, worker));
            }
            for (stream, worker) in workers {
                let _ = stream.shutdown(Shutdown::Both);
                let _ = worker.join();
            }
        });
        Self {
            listener,
            acceptor: Some(acceptor),
        }
    }
}

impl Drop for SlowServer {
    fn drop(&mut self) {
        // Ends the wait for connections.
        let _ = socket::shutdown(self.listener.as_raw_fd(), socket::Shutdown::Both);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// Answers lines until the client closes; a download ends the connection.
fn serve(mut stream: TcpStream, name: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while let Some(line) = lines.next().transpose()? {
        writeln!(stream, "{name}")?;
        if line == "download" {
            for number in 0..PIECES {
                stream.write_all(&piece(number))?;
                thread::sleep(Duration::from_millis(100));
            }
            break;
        }
    }
    stream.shutdown(Shutdown::Both)
}

fn piece(number: usize) -> Vec<u8> {
    vec![u8::try_from(number).unwrap(); PIECE]
}

/// A connection to a [`SlowServer`].
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(host: &Host, to: SocketAddr) -> Self {
        let stream = host.enter(|| TcpStream::connect_timeout(&to, PATIENCE).unwrap());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Says something, and gives the name of the server that answers.
    pub(crate) fn say(&mut self, word: &str) -> io::Result<String> {
        let line = format!("{word}\n");
        self.stream.get_mut().write_all(line.as_bytes())?;
        let mut name = String::new();
        match self.stream.read_line(&mut name)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(name.trim_end().to_owned()),
        }
    }

    /// Whether the server answers within a second.
    pub(crate) fn is_alive(&mut self) -> bool {
        let stream = self.stream.get_ref();
        stream
            .set_read_timeout(Some(Duration::from_secs(1)))
            .unwrap();
        self.say("who").is_ok()
    }

    /// Starts to receive a download, on a thread of its own.
    pub(crate) fn receive(mut self) -> JoinHandle<Self> {
        thread::spawn(move || {
            let mut all = Vec::new();
            self.stream.read_to_end(&mut all).unwrap();
            let expected: Vec<_> = (0..PIECES).flat_map(piece).collect();
            assert!(all == expected, "{} of {} bytes", all.len(), expected.len());
            self
        })
    }

    /// Ends the connection with a reset.
    pub(crate) fn abort(self) {
        let linger = nix::libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        setsockopt(self.stream.get_ref(), sockopt::Linger, &linger).unwrap();
    }
}

/// The server that answers a connection of its own.
pub(crate) fn who(host: &Host, to: SocketAddr) -> String {
    Connection::open(host, to).say("who").unwrap()
}
