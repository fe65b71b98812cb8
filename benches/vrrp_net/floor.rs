//! The floor: a socket and system calls, with nothing kept and nothing looked at.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use std::ffi::OsString;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use socket2::{Domain, Protocol, Socket, Type};

use crate::Result;

/// The group of VRRP for IPv4.
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// So many packets are read at once.
const SLOTS: usize = 16;

fn open() -> Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112)))?;
    socket.bind_device(Some(b"eth0"))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Sends so many packets in each interval of so many milliseconds, in so many parts that are as long
/// apart; each part by one `sendmmsg`.
pub(crate) fn send(arguments: &[OsString]) -> Result<()> {
    let numbers = arguments
        .iter()
        .map(|argument| argument.to_str()?.parse().ok());
    let numbers: Vec<u32> = numbers.collect::<Option<_>>().ok_or("numbers")?;
    let [packets, interval_ms, parts] = numbers[..] else {
        return Err("the floor wants three numbers".into());
    };
    let socket = open()?;
    socket.set_multicast_if_v4(&Ipv4Addr::new(172, 16, 0, 1))?;
    socket.set_multicast_ttl_v4(255)?;
    socket.set_multicast_loop_v4(false)?;
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::empty())?;
    let part = Duration::from_millis(u64::from(interval_ms)) / parts;
    timer.set(
        Expiration::Interval(TimeSpec::from(part)),
        TimerSetTimeFlags::empty(),
    )?;
    let mut left = 0;
    let most = usize::try_from(packets.div_ceil(parts))?;
    let destination = SockaddrIn::from(SocketAddrV4::new(GROUP, 0));
    let destinations = vec![Some(destination); most];
    let packet = [0x31, 1, 200, 1, 0, 10, 0, 0, 10, 77, 0, 1];
    let slices = vec![[IoSlice::new(&packet)]; most];
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(most, None);
    loop {
        timer.wait()?;
        left += packets;
        let now = usize::try_from(left / parts)?;
        left %= parts;
        let sent = sendmmsg(
            socket.as_raw_fd(),
            &mut headers,
            &slices[..now],
            &destinations[..now],
            [],
            MsgFlags::empty(),
        )?;
        if sent.count() != now {
            return Err("not all were sent".into());
        }
    }
}

/// Waits for packets and reads all that are there by one `recvmmsg`.
pub(crate) fn receive() -> Result<()> {
    let socket = open()?;
    socket.join_multicast_v4(&GROUP, &Ipv4Addr::new(172, 16, 0, 2))?;
    let mut room = [[0; 256]; SLOTS];
    loop {
        let mut headers = MultiHeaders::<SockaddrIn>::preallocate(SLOTS, None);
        let mut slices = room.each_mut().map(|slot| [IoSliceMut::new(slot)]);
        let mut descriptors = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        poll(&mut descriptors, PollTimeout::NONE)?;
        let received = recvmmsg(
            socket.as_raw_fd(),
            &mut headers,
            slices.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        );
        match received {
            Ok(_) | Err(Errno::EAGAIN) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
