//! The floor: checks that are due within 10 ms begin together; no policy, no deadlines.

use core::time::Duration;
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd;
use std::thread;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, Socket, Type};

use crate::Result;
use crate::process::stay_on;
use crate::server::address;
use crate::subject::{Kind, NETWORK, arguments};

const TOGETHER: Duration = Duration::from_millis(10);
const REQUEST: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

/// Checks as many servers as often as the arguments say, until it is killed.
pub(crate) fn run(words: &[OsString]) -> Result<()> {
    let (kind, servers, interval) = arguments(words)?;
    stay_on(0)?;
    let parts = u32::try_from(interval.as_nanos() / TOGETHER.as_nanos())?.max(1);
    let batch = u16::try_from(u32::from(servers).div_ceil(parts))?;
    let start = Instant::now();
    let mut number = 0;
    for tick in 1.. {
        thread::sleep((TOGETHER * tick).saturating_sub(start.elapsed()));
        let sockets = (0..batch).map(|_| {
            number = (number + 1) % servers;
            begin(kind, number)
        });
        let mut sockets = sockets.collect::<Result<Vec<_>>>()?;
        wait(&sockets, PollFlags::POLLOUT)?;
        if kind == Kind::Http {
            for socket in &mut sockets {
                socket.write_all(REQUEST)?;
            }
            wait(&sockets, PollFlags::POLLIN)?;
            for socket in &mut sockets {
                if !matches!(socket.read(&mut [0; 4096]), Ok(1..)) {
                    return Err("no reply".into());
                }
            }
        }
        if kind == Kind::HalfOpen {
            for socket in &sockets {
                socket.set_linger(Some(Duration::ZERO))?;
            }
        }
    }
    Ok(())
}

fn begin(kind: Kind, number: u16) -> Result<Socket> {
    let socket = Socket::new(
        Domain::IPV4,
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    if kind == Kind::HalfOpen {
        socket.set_tcp_quickack(false)?;
    }
    // It always goes on in the background.
    let _ = socket.connect(&address(NETWORK, number).into());
    Ok(socket)
}

/// Until each of them has had it.
fn wait(sockets: &[Socket], wanted: PollFlags) -> Result<()> {
    let polled = sockets
        .iter()
        .map(|socket| PollFd::new(socket.as_fd(), wanted));
    let mut polled: Vec<_> = polled.collect();
    while !polled.is_empty() {
        poll(&mut polled, PollTimeout::NONE)?;
        polled.retain(|socket| !socket.any().unwrap_or(false));
    }
    Ok(())
}
