//! Any datagrams from several sockets to the kernel in memory.

use core::time::Duration;

use bytes::BytesMut;
use lvs_ipvs::transport::{Received, Transport};
use lvs_ipvs::wire::attributes::{command, control};
use lvs_ipvs::wire::{
    Body, DestinationView, Messages, ServiceView, read_daemon, read_family, read_info,
    read_timeouts,
};
use lvs_ipvs::{
    Client, DecodeError, Destination, Family, Generation, MemoryKernel, MemorySocket,
    VirtualService,
};

/// Replies read after each datagram: few enough for queues to fill up.
const READS: usize = 4;

/// Sends every message of the input, from the socket that its port field chooses; port bit 2
/// joins it with the next one.
///
/// Whatever is asked, replies can be read, and afterwards a client finds a kernel that works.
pub(crate) fn check(data: &[u8]) {
    for generation in [Generation::LINUX_6_1, Generation::LINUX_7_2] {
        let kernel = MemoryKernel::new(generation);
        let mut sockets = [kernel.socket(), kernel.socket(), kernel.socket()];
        sockets[1].set_receive_buffer(4096);
        sockets[2].set_capped_acks(true);
        for (which, datagram) in datagrams(data) {
            let socket = &mut sockets[which % 3];
            if socket.send(datagram).is_ok() {
                read(socket, READS);
            }
        }
        for socket in &mut sockets {
            read(socket, usize::MAX);
        }
        works(&kernel);
    }
}

/// The input cut into datagrams.
fn datagrams(mut data: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    core::iter::from_fn(move || {
        let mut end = 0;
        let mut which = 0;
        for message in Messages::new(data) {
            let Ok(message) = message else {
                end = data.len();
                break;
            };
            let port = message.header().port;
            let bytes = data.get(message.offset()..)?;
            let length = u32::from_ne_bytes(*bytes.first_chunk()?);
            let length = usize::try_from(length).ok()?.next_multiple_of(4);
            end = message.offset().saturating_add(length).min(data.len());
            which = usize::try_from(port & 3).ok()?;
            if port & 4 == 0 {
                break;
            }
        }
        let (datagram, rest) = data.split_at(end);
        data = rest;
        (end > 0).then_some((which, datagram))
    })
}

fn read(socket: &mut MemorySocket, limit: usize) {
    let mut buffer = BytesMut::new();
    for _ in 0..limit {
        match socket.receive(&mut buffer, Duration::ZERO) {
            Ok(Received::Datagram) => read_all(&buffer),
            Ok(Received::Overrun) => {}
            Ok(Received::TimedOut) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Replies are whole messages with readable content.
fn read_all(datagram: &[u8]) {
    for message in Messages::new(datagram) {
        let message = message.expect("a whole message");
        let Body::Generic {
            command,
            attributes,
        } = message.body().expect("a whole message")
        else {
            continue;
        };
        if message.header().message_type == control::FAMILY {
            // Policies and families of other names have no number.
            let _other = read_family(attributes, 20);
        } else if let Err(error) = read_reply(command, attributes) {
            panic!("command {command}: {error}");
        }
    }
}

fn read_reply(command: u8, attributes: &[u8]) -> Result<(), DecodeError> {
    match command {
        command::NEW_SERVICE => ServiceView::read(attributes, 20).map(drop),
        command::NEW_DEST => DestinationView::read(attributes, Family::Inet, 20).map(drop),
        command::NEW_DAEMON => read_daemon(attributes, 20).map(drop),
        command::SET_CONFIG => read_timeouts(attributes, 20).map(drop),
        command::SET_INFO => read_info(attributes, 20).map(drop),
        other => panic!("a reply with command {other}"),
    }
}

/// A client can read what is there, remove it and start anew.
fn works(kernel: &MemoryKernel) {
    let mut client = Client::with_transport(kernel.socket()).expect("the family is there");
    let before = client.snapshot().expect("it can be read");
    assert!(before.agreed);
    client.daemons().expect("they can be read");
    client.timeouts().expect("they can be read");
    client.flush().expect("it is emptied");
    let web = VirtualService::tcp(([192, 0, 2, 10], 80).into());
    let server = Destination::masquerade(([10, 0, 0, 11], 80).into());
    client.add_service(&web).expect("there is none");
    client
        .add_destination(web.key(), &server)
        .expect("there is none");
    let after = client.snapshot().expect("it can be read");
    let [service] = &after.services[..] else {
        panic!("{after:?}")
    };
    assert!(service.entry.service.same_settings(&web));
    let [destination] = &service.destinations[..] else {
        panic!("{after:?}")
    };
    assert!(destination.destination.same_settings(&server));
}
