//! The server that is checked: every address, one port, HTTP for those who ask for something.

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::process::{Program, stay_on};
use crate::{Result, host::Host};

pub(crate) const PORT: u16 = 8080;
const LISTENER: u64 = u64::MAX;
const REPLY: &[u8] =
    b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nup\n";

/// The address of a server, all of them of one network of 2¹⁶.
pub(crate) fn address(network: [u8; 2], number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    let address = Ipv4Addr::new(network[0], network[1], high, low);
    SocketAddrV4::new(address, PORT).into()
}

/// Starts it on a host and waits until it listens.
pub(crate) fn start(host: &Host) -> Result<Program> {
    let program = Program::own(host, ["server"])?;
    let at = address([127, 0], 1);
    let answers = host.enter(|| {
        (0..500).any(|_| {
            thread::sleep(Duration::from_millis(10));
            TcpStream::connect(at).is_ok()
        })
    });
    if !answers {
        return Err("the server does not listen".into());
    }
    Ok(program)
}

/// Serves until it is killed.
pub(crate) fn run() -> Result<()> {
    stay_on(1)?;
    let listener = listen()?;
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let mut ready = vec![EpollEvent::empty(); 256];
    let mut buffer = vec![0; 4096];
    loop {
        let count = epoll.wait(&mut ready, EpollTimeout::NONE)?;
        for event in &ready[..count] {
            if event.data() == LISTENER {
                // Those that were reset before they were accepted are errors.
                while let Ok((stream, _)) = listener.accept() {
                    let number = usize::try_from(stream.as_raw_fd())?;
                    let event = EpollEvent::new(EpollFlags::EPOLLIN, number as u64);
                    epoll.add(&stream, event)?;
                    if number >= streams.len() {
                        streams.resize_with(number + 1, || None);
                    }
                    streams[number] = Some(stream);
                }
            } else if let Some(mut stream) = streams[usize::try_from(event.data())?].take() {
                // Readable, so it does not block. Closed afterwards, whatever came.
                if let Ok(1..) = stream.read(&mut buffer) {
                    let _ = stream.write_all(REPLY);
                }
            }
        }
    }
}

/// Accepts and closes, every 20 ms, until it is killed: the least work, and the same for whoever
/// connects.
pub(crate) fn run_quietly() -> Result<()> {
    let listener = listen()?;
    listener.set_nonblocking(true)?;
    loop {
        thread::sleep(Duration::from_millis(20));
        while listener.accept().is_ok() {}
    }
}

fn listen() -> Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    let everywhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT);
    socket.bind(&SocketAddr::V4(everywhere).into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}
