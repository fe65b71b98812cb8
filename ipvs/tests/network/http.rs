//! A small HTTP server that says who it is and whom it sees, and a client for it.

use core::net::{IpAddr, SocketAddr};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread::{self, JoinHandle};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, shutdown, socket,
};

use super::{Host, PATIENCE};

/// What a server answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    /// Name of the server.
    pub(crate) server: String,
    /// The server's end of the connection: what the packet was addressed to when it arrived.
    pub(crate) local: SocketAddr,
    /// The client's end as the server sees it.
    pub(crate) peer: SocketAddr,
}

/// An HTTP server on threads of its own; keeps connections open until the client closes them.
#[derive(Debug)]
pub(crate) struct HttpServer {
    listener: TcpListener,
    acceptor: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Starts a server that answers under that name.
    pub(crate) fn start(host: &Host, name: &str, address: SocketAddr) -> Self {
        let listener = host.enter(|| TcpListener::bind(address).unwrap());
        let (accepting, name) = (listener.try_clone().unwrap(), name.to_owned());
        let acceptor = thread::spawn(move || accept(&accepting, &name));
        Self {
            listener,
            acceptor: Some(acceptor),
        }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        // Ends the wait in `accept`.
        let _ = shutdown(self.listener.as_raw_fd(), nix::sys::socket::Shutdown::Both);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, name: &str) {
    let mut connections = Vec::new();
    while let Ok((connection, _)) = listener.accept() {
        let (serving, name) = (connection.try_clone().unwrap(), name.to_owned());
        let worker = thread::spawn(move || {
            // What goes wrong shows at the client.
            let _ = serve(&serving, &name);
            let _ = serving.shutdown(Shutdown::Both);
        });
        connections.push((connection, worker));
    }
    for (connection, worker) in connections {
        let _ = connection.shutdown(Shutdown::Both);
        let _ = worker.join();
    }
}

fn serve(mut connection: &TcpStream, name: &str) -> io::Result<()> {
    connection.set_read_timeout(Some(PATIENCE))?;
    let body = format!(
        "{name} {} {}",
        connection.local_addr()?,
        connection.peer_addr()?
    );
    while read_head(connection)?.is_some() {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        connection.write_all((head + &body).as_bytes())?;
    }
    Ok(())
}

/// Reads up to the empty line; `None` at the end of the connection.
fn read_head(mut connection: &TcpStream) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if connection.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.extend(byte);
    }
    String::from_utf8(head).map(Some).map_err(io::Error::other)
}

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    to: SocketAddr,
}

impl Connection {
    /// Connects from a host, from one of its addresses if that matters.
    pub(crate) fn open(host: &Host, from: Option<IpAddr>, to: SocketAddr) -> io::Result<Self> {
        let family = match to {
            SocketAddr::V4(_) => AddressFamily::Inet,
            SocketAddr::V6(_) => AddressFamily::Inet6,
        };
        let stream = host.enter(|| -> io::Result<TcpStream> {
            let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
            let stream = TcpStream::from(socket);
            // Bounds connecting, too.
            stream.set_write_timeout(Some(PATIENCE))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            if let Some(from) = from {
                let from = SockaddrStorage::from(SocketAddr::new(from, 0));
                bind(stream.as_raw_fd(), &from)?;
            }
            connect(stream.as_raw_fd(), &SockaddrStorage::from(to))?;
            Ok(stream)
        })?;
        Ok(Self { stream, to })
    }

    /// Sends a request and reads the answer; the connection stays open.
    pub(crate) fn get(&mut self) -> io::Result<Answer> {
        // In one piece, so that it is one packet and packets can be counted.
        let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", self.to);
        self.stream.write_all(request.as_bytes())?;
        let head = read_head(&self.stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        self.stream.read_exact(&mut body)?;
        let body = String::from_utf8(body).unwrap();
        let mut words = body.split(' ');
        let mut next = || words.next().unwrap();
        Ok(Answer {
            server: next().to_owned(),
            local: next().parse().unwrap(),
            peer: next().parse().unwrap(),
        })
    }
}

/// Fetches once over a connection of its own.
pub(crate) fn fetch(host: &Host, to: SocketAddr) -> Answer {
    fetch_from(host, None, to)
}

/// Fetches once over a connection of its own, from one of the host's addresses.
pub(crate) fn fetch_from(host: &Host, from: Option<IpAddr>, to: SocketAddr) -> Answer {
    let answer = Connection::open(host, from, to).and_then(|mut connection| connection.get());
    answer.unwrap_or_else(|error| panic!("no answer from {to}: {error}"))
}
