//! The floor: plain system calls on a netlink socket, with nothing kept and nothing looked up.

use std::ffi::OsStr;
use std::fs;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use bytes::BytesMut;
use lvs_ipvs::Query;
use lvs_ipvs::wire::attributes::{destination, service, top};
use lvs_ipvs::wire::{Body, FamilyId, Messages, ServiceView, encode_request, read_family};
use nix::sys::socket::{
    AddressFamily, MsgFlags, MultiHeaders, NetlinkAddr, SockFlag, SockProtocol, SockType, bind,
    recv, recvmmsg, send, socket,
};

use crate::Result;
use crate::table::{RULES, SERVICES};

/// Requests in one `send`.
const BATCH: usize = 64;
/// Room for what one `recv` gives: the kernel fills dumps up to this.
const DATAGRAM: usize = 32 * 1024;
/// Room for an acknowledgement, which repeats the header of the request, or all of it in an error.
const ANSWER: usize = 1024;

fn open() -> Result<OwnedFd> {
    let descriptor = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkGeneric,
    )?;
    bind(descriptor.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    Ok(descriptor)
}

/// Asks the kernel for the number of the family.
pub(crate) fn family() -> Result<FamilyId> {
    let socket = open()?;
    let mut request = BytesMut::new();
    encode_request(&mut request, FamilyId::new(0), 1, &Query::Family.into());
    send(socket.as_raw_fd(), &request, MsgFlags::empty())?;
    let mut room = vec![0; DATAGRAM];
    let length = recv(socket.as_raw_fd(), &mut room, MsgFlags::empty())?;
    let message = Messages::new(&room[..length]).next().ok_or("no answer")??;
    match message.body()? {
        Body::Generic { attributes, .. } => Ok(read_family(attributes, 20)?.id),
        _ => Err("this kernel has no IPVS".into()),
    }
}

/// How the answers to a batch are read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answers {
    /// Each by a `recv`.
    Each,
    /// All by `recvmmsg`.
    Together,
}

/// Sends the requests of a file, [`BATCH`] at a time, and reads their acknowledgements.
///
/// Prints the milliseconds from the first `send` to the last answer.
pub(crate) fn load(file: &Path, read: Answers) -> Result<()> {
    let bytes = fs::read(file)?;
    let socket = open()?;
    let mut room = vec![0; BATCH * ANSWER];
    let mut answers = 0;
    let start = Instant::now();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let (mut length, mut count) = (0, 0);
        while count < BATCH && length < rest.len() {
            length += word(&rest[length..]).next_multiple_of(4);
            count += 1;
        }
        send(socket.as_raw_fd(), &rest[..length], MsgFlags::empty())?;
        match read {
            Answers::Each => {
                for _ in 0..count {
                    let received = recv(socket.as_raw_fd(), &mut room, MsgFlags::empty())?;
                    check(&room[..received])?;
                }
            }
            Answers::Together => receive_together(&socket, &mut room, count)?,
        }
        answers += count;
        rest = &rest[length..];
    }
    let took = start.elapsed();
    if answers != RULES {
        return Err(format!("{answers} requests instead of {RULES}").into());
    }
    println!("{}", took.as_secs_f64() * 1000.0);
    Ok(())
}

/// Reads that many answers. They are there when `send` returns.
fn receive_together(socket: &OwnedFd, room: &mut [u8], count: usize) -> Result<()> {
    let mut headers = MultiHeaders::<()>::preallocate(count, None);
    let mut parts: Vec<_> = room
        .chunks_exact_mut(ANSWER)
        .take(count)
        .map(|part| [IoSliceMut::new(part)])
        .collect();
    let (descriptor, flags) = (socket.as_raw_fd(), MsgFlags::empty());
    let answers = recvmmsg(descriptor, &mut headers, &mut parts, flags, None)?;
    let lengths: Vec<_> = answers.map(|answer| answer.bytes).collect();
    if lengths.len() != count {
        return Err(format!("{} answers instead of {count}", lengths.len()).into());
    }
    for (part, length) in room.chunks_exact(ANSWER).zip(lengths) {
        check(&part[..length])?;
    }
    Ok(())
}

/// Whether an acknowledgement says success: behind its header stands the error number.
fn check(answer: &[u8]) -> Result<()> {
    match answer.get(16..20) {
        Some([0, 0, 0, 0]) => Ok(()),
        _ => Err("the kernel refused a request".into()),
    }
}

/// Dumps the services, then the destinations of each, and visits every attribute.
///
/// Prints the milliseconds from the first `send` to the last answer.
pub(crate) fn read(family: &OsStr) -> Result<()> {
    let family = family.to_str().and_then(|number| number.parse().ok());
    let family = FamilyId::new(family.ok_or("no family number")?);
    let socket = open()?;
    let mut room = vec![0; DATAGRAM];
    let mut keys = Vec::with_capacity(SERVICES.into());
    let mut visited = 0;
    let mut request = BytesMut::new();
    let start = Instant::now();
    encode_request(&mut request, family, 1, &Query::Services.into());
    dump(&socket, &request, &mut room, |attributes| {
        visited += visit(attributes, SERVICE);
        keys.push(ServiceView::read(attributes, 20)?.key());
        Ok(())
    })?;
    let mut destinations = 0;
    for key in &keys {
        request.clear();
        let query = Query::Destinations(*key);
        encode_request(&mut request, family, 1, &query.into());
        dump(&socket, &request, &mut room, |attributes| {
            visited += visit(attributes, DESTINATION);
            destinations += 1;
            Ok(())
        })?;
    }
    let took = start.elapsed();
    if keys.len() + destinations != RULES || visited == 0 {
        return Err(format!("{} services, {destinations} destinations", keys.len()).into());
    }
    println!("{}", took.as_secs_f64() * 1000.0);
    Ok(())
}

/// Sends a request for a dump and hands the attributes of each message to `each`.
fn dump(
    socket: &OwnedFd,
    request: &[u8],
    room: &mut [u8],
    mut each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    const NLMSG_DONE: u16 = 3;
    send(socket.as_raw_fd(), request, MsgFlags::empty())?;
    loop {
        let received = recv(socket.as_raw_fd(), room, MsgFlags::empty())?;
        let mut rest = &room[..received];
        while rest.len() >= 16 {
            let length = word(rest);
            if u16::from_ne_bytes([rest[4], rest[5]]) == NLMSG_DONE {
                return Ok(());
            }
            each(&rest[20..length])?;
            rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        }
    }
}

/// Which nests to enter, from the top level down.
type Nests = &'static [&'static [u16]];
const SERVICE: Nests = &[&[top::SERVICE], &[service::STATS, service::STATS64]];
const DESTINATION: Nests = &[&[top::DEST], &[destination::STATS, destination::STATS64]];

/// Visits every attribute; the sum of all bytes, so that none can be left out.
fn visit(mut bytes: &[u8], nests: Nests) -> u64 {
    let mut sum = 0;
    while bytes.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
        let number = u16::from_ne_bytes([bytes[2], bytes[3]]) & 0x3fff;
        let value = &bytes[4..length];
        match nests.split_first() {
            Some((numbers, deeper)) if numbers.contains(&number) => sum += visit(value, deeper),
            _ => sum += value.iter().map(|byte| u64::from(*byte)).sum::<u64>(),
        }
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    sum
}

/// The length of the message that starts here.
fn word(bytes: &[u8]) -> usize {
    let length = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    usize::try_from(length).unwrap_or(usize::MAX)
}
