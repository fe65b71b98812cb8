//! A UDP server that answers every datagram with its name, and a client for it.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::{Host, PATIENCE};

/// A UDP server on a thread of its own.
#[derive(Debug)]
pub(crate) struct UdpServer {
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
}

impl UdpServer {
    /// Starts a server that answers with that name, from the address it is bound to.
    pub(crate) fn start(host: &Host, name: &str, address: SocketAddr) -> Self {
        let socket = host.enter(|| UdpSocket::bind(address).unwrap());
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let worker = thread::spawn({
            let (stop, name) = (Arc::clone(&stop), name.to_owned());
            move || {
                let mut buffer = [0; 64];
                while !stop.load(Ordering::Relaxed) {
                    if let Ok((_, from)) = socket.recv_from(&mut buffer) {
                        let _ = socket.send_to(name.as_bytes(), from);
                    }
                }
            }
        });
        Self {
            stop,
            worker: Some(worker),
        }
    }
}

impl Drop for UdpServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

/// A client socket: always the same port, answers from that server address only.
#[derive(Debug)]
pub(crate) struct UdpClient {
    socket: UdpSocket,
}

impl UdpClient {
    /// Opens a socket for that server address.
    pub(crate) fn open(host: &Host, from: SocketAddr, to: SocketAddr) -> Self {
        let socket = host.enter(|| UdpSocket::bind(from).unwrap());
        socket.connect(to).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket }
    }

    /// Sends a datagram and waits for the answer: the server's name.
    pub(crate) fn ask(&self) -> io::Result<String> {
        self.socket.send(b"who is there?")?;
        let mut buffer = [0; 64];
        let length = self.socket.recv(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }
}
