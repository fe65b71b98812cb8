//! A server for each cell of the table.

use core::net::SocketAddr;
use core::time::Duration;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread::{self, JoinHandle};

use super::full::Full;
use super::manner::{GARBAGE, Manner, Over, Talk};
use super::ping;

/// How a server of some protocol is spoken to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Speech {
    Tcp(Talk),
    Udp(Datagrams),
    /// Echo, which the kernel would answer otherwise.
    Echo,
    /// Over UDP it says that its answer is too long, and misbehaves over TCP.
    Truncated(Talk),
}

/// What a server has to say over UDP.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagrams {
    /// The right answer to a request.
    pub(super) answer: fn(&[u8]) -> Vec<u8>,
    /// What is sent again and again.
    pub(super) endless: fn(&[u8]) -> Vec<u8>,
    /// One that is larger than any should be.
    pub(super) line: fn(&[u8]) -> Vec<u8>,
}

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// One that is full is not started, but takes the place of this.
    pub(super) fn start(speech: Speech, manner: Manner, full: &Full, over: &Over) -> Self {
        match speech {
            Speech::Echo => {
                let (address, thread) = ping::serve(manner, over);
                Self::new(address, vec![thread])
            }
            Speech::Udp(_) if manner == Manner::Reset => {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                Self::new(socket.local_addr().unwrap(), Vec::new())
            }
            Speech::Udp(datagrams) => {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                let address = socket.local_addr().unwrap();
                let over = over.clone();
                let thread = thread::spawn(move || datagrams.treat(manner, &socket, &over));
                Self::new(address, vec![thread])
            }
            Speech::Tcp(_) if manner == Manner::Full => Self::new(full.address, Vec::new()),
            Speech::Tcp(talk) => {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let address = listener.local_addr().unwrap();
                Self::new(address, vec![accept(listener, talk, manner, over)])
            }
            Speech::Truncated(talk) => loop {
                let mut server = Self::start(Speech::Tcp(talk), manner, full, over);
                // Another server may have the port of this number.
                let Ok(socket) = UdpSocket::bind(server.address) else {
                    server.end();
                    continue;
                };
                let over = over.clone();
                let thread = thread::spawn(move || TRUNCATED.treat(Manner::Right, &socket, &over));
                server.threads.push(thread);
                return server;
            },
        }
    }

    fn new(address: SocketAddr, threads: Vec<JoinHandle<()>>) -> Self {
        Self { address, threads }
    }

    /// Lets it see that it is over.
    pub(super) fn wake(&self) {
        for thread in &self.threads {
            thread.thread().unpark();
        }
    }

    /// Waits for its threads, when it is over.
    pub(super) fn end(self) {
        // One that nobody has spoken to still waits for somebody.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_millis(10));
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

/// Treats one connection, on a thread that ends with it.
fn accept(listener: TcpListener, talk: Talk, manner: Manner, over: &Over) -> JoinHandle<()> {
    let over = over.clone();
    thread::spawn(move || {
        let stream = listener.accept().unwrap().0;
        drop(listener);
        let _ = talk.treat(manner, stream, &over);
    })
}

/// The question, marked as an answer that does not fit.
const TRUNCATED: Datagrams = Datagrams {
    answer: |question| {
        let mut answer = question.to_vec();
        answer[2] |= 0x82;
        answer
    },
    endless: |_| Vec::new(),
    line: |_| Vec::new(),
};

impl Datagrams {
    fn treat(&self, manner: Manner, socket: &UdpSocket, over: &Over) {
        let mut buffer = [0; 2048];
        let moment = Some(Duration::from_millis(50));
        socket.set_read_timeout(moment).unwrap();
        while !over.is_set() {
            let Ok((count, from)) = socket.recv_from(&mut buffer) else {
                continue;
            };
            let request = &buffer[..count];
            let answer = (self.answer)(request);
            let answers = match manner {
                Manner::Silent => continue,
                Manner::Right => vec![answer],
                Manner::Half => vec![answer[..answer.len() / 2].to_vec()],
                Manner::Garbage => vec![GARBAGE.to_vec()],
                Manner::Line => vec![(self.line)(request)],
                Manner::Drip => answer.iter().map(|byte| vec![*byte]).collect(),
                Manner::Endless => vec![(self.endless)(request)],
                other => panic!("{other:?} over UDP"),
            };
            // The client's end tells of itself only to those who are connected to it.
            if manner == Manner::Endless {
                socket.connect(from).unwrap();
                while !over.is_set() && socket.send(&answers[0]).is_ok() {}
                return;
            }
            for answer in answers {
                // A client that has gone does not hear it.
                let _ = socket.send_to(&answer, from);
                if manner == Manner::Drip {
                    over.pause();
                }
            }
        }
    }
}
