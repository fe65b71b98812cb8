//! Listening sockets whose queue holds a thousand clients that come at once.

use core::net::SocketAddr;
use std::io;

use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted; the kernel lowers it to `net.core.somaxconn`. With the
/// usual 128 a burst overflows the queue, and who is left out tries again a second later.
const BACKLOG: u32 = 4_096;

/// Listens on `address`, also right after a former listener there was closed.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::fs;
    use std::net::TcpStream;

    use super::*;

    /// Clients beyond the queue would get no answer in time.
    #[tokio::test]
    async fn hundreds_may_come_at_once() {
        let most = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        let count = most.trim().parse::<usize>().unwrap().min(400);
        let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let patience = Duration::from_millis(900);
        let clients: Vec<_> = (0..count)
            .map(|_| TcpStream::connect_timeout(&address, patience).unwrap())
            .collect();
        assert_eq!(clients.len(), count);
    }

    #[tokio::test]
    async fn address_can_be_used_again_at_once() {
        let first = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let address = first.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let (accepted, _) = first.accept().await.unwrap();
        // The side that closes first keeps the address for a while.
        drop((accepted, first));
        drop(client);
        assert!(listen(address).is_ok());
        assert!(
            listen(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 0).into()).is_err(),
            "not an own address"
        );
    }
}
