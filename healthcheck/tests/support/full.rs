//! A listener that takes nothing more.

use core::net::SocketAddr;
use core::time::Duration;
use std::net::TcpStream;

use socket2::{Domain, Socket, Type};

/// Listens on loopback, and has a full backlog as long as this is kept.
#[derive(Debug)]
pub(super) struct Full {
    pub(super) address: SocketAddr,
    _listener: Socket,
    _filling: Vec<TcpStream>,
}

impl Full {
    pub(super) fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut filling = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            filling.push(stream);
            assert!(filling.len() < 16, "the backlog never fills");
        }
        Self {
            address,
            _listener: listener,
            _filling: filling,
        }
    }
}
