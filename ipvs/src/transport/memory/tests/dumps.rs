//! Dumps in batches; sizes and order as seen on 6.1.176, 6.12.101 and 7.2.7.

use nix::libc::{EBUSY, ENOBUFS};

use super::*;

/// A service with that many destinations, 10.9.x.y by number.
fn with_destinations(count: u32) -> (Machine, Vec<Vec<u8>>) {
    let mut machine = Machine::linux_6_1();
    let key = by_mark(2, 1);
    machine.add_service(&key, false);
    for number in 1..=count {
        machine.add_destination(&key, &server_address(number));
    }
    // A socket that has never received anything makes a smaller first batch.
    machine.socket = machine.kernel.socket();
    (machine, key)
}

fn server_address(number: u32) -> String {
    let [_, _, high, low] = number.to_be_bytes();
    format!("10.9.{high}.{low}")
}

fn dump_request(key: &[Vec<u8>]) -> Vec<u8> {
    let nest = nest(top::SERVICE, key);
    message(FAMILY, REQUEST | ACK | DUMP, command::GET_DEST, &nest)
}

/// The numbers of the destinations in a datagram.
fn numbers(datagram: &[u8]) -> Vec<u32> {
    replies(datagram)
        .iter()
        .map(|reply| {
            let address = reply.get(destination::ADDR).unwrap();
            u32::from_be_bytes([0, 0, address[2], address[3]])
        })
        .collect()
}

fn is_done(datagram: &[u8]) -> bool {
    let replies = replies(datagram);
    replies.len() == 1 && replies[0].kind == 3
}

#[test]
fn batches_have_the_kernels_sizes() {
    let (mut machine, key) = with_destinations(201);
    let sizes = |machine: &mut Machine| {
        machine.socket.send(&dump_request(&key)).unwrap();
        let mut sizes = Vec::new();
        while let Ok(datagram) = machine.receive() {
            sizes.push(datagram.len());
        }
        sizes
    };
    assert_eq!(sizes(&mut machine), [3600, 32400, 32400, 12000, 20]);
    assert_eq!(sizes(&mut machine), [32400, 32400, 15600, 20]);
}

#[test]
fn an_empty_dump_is_just_its_end() {
    let mut machine = Machine::linux_6_1();
    for number in [command::GET_SERVICE, command::GET_DEST, command::GET_DAEMON] {
        let request = message(FAMILY, REQUEST | ACK | DUMP, number, &[]);
        machine.socket.send(&request).unwrap();
        assert!(is_done(&machine.receive().unwrap()));
        assert_eq!(machine.receive(), Err(Received::TimedOut));
    }
}

#[test]
fn every_message_says_that_more_come() {
    let (mut machine, key) = with_destinations(20);
    let answers = machine.ask(&dump_request(&key));
    assert_eq!(answers.len(), 21);
    for answer in &answers {
        assert_eq!((answer.flags, answer.sequence), (2, 77));
    }
}

/// The cursor is a plain index: what is added at the head pushes an entry into the next batch
/// again, what is removed pulls one out of it.
#[test]
fn changes_between_batches_repeat_or_skip_entries() {
    for (change, next) in [(command::NEW_DEST, 12), (command::DEL_DEST, 10)] {
        let (mut machine, key) = with_destinations(20);
        machine.socket.send(&dump_request(&key)).unwrap();
        machine.kernel.inject(Fault::SlowDumps(4));
        let mut other = Machine {
            kernel: machine.kernel.clone(),
            socket: machine.kernel.socket(),
        };
        // The first batch is made with the request, the second when the first is read.
        assert_eq!(
            numbers(&machine.receive().unwrap()),
            [20, 19, 18, 17, 16, 15, 14, 13, 12]
        );
        if change == command::NEW_DEST {
            other.add_destination(&key, &server_address(100));
        } else {
            let id = nest(top::DEST, &server(&server_address(20)));
            assert_eq!(other.errno(change, &[nest(top::SERVICE, &key), id]), 0);
        }
        assert_eq!(numbers(&machine.receive().unwrap()), [11, 10, 9, 8]);
        let third = numbers(&machine.receive().unwrap());
        assert_eq!(third[0], next - 4, "8 comes again, or 7 not at all");
    }
}

#[test]
fn a_service_that_goes_ends_the_dump() {
    let (mut machine, key) = with_destinations(20);
    machine.kernel.inject(Fault::SlowDumps(4));
    machine.socket.send(&dump_request(&key)).unwrap();
    let mut other = Machine {
        kernel: machine.kernel.clone(),
        socket: machine.kernel.socket(),
    };
    assert_eq!(numbers(&machine.receive().unwrap()).len(), 4);
    assert_eq!(other.errno(command::FLUSH, &[]), 0);
    assert_eq!(numbers(&machine.receive().unwrap()).len(), 4);
    assert!(is_done(&machine.receive().unwrap()));
}

/// Spec: one dump per socket. Other requests go between its batches.
#[test]
fn a_second_dump_of_the_same_socket_is_busy() {
    let (mut machine, key) = with_destinations(20);
    machine.kernel.inject(Fault::SlowDumps(10));
    let datagram = [dump_request(&key), dump_request(&key)].concat();
    machine.socket.send(&datagram).unwrap();
    machine
        .socket
        .send(&request(command::GET_INFO, &[]))
        .unwrap();
    assert_eq!(numbers(&machine.receive().unwrap()).len(), 9);
    // A third, while more batches are to come.
    machine.socket.send(&dump_request(&key)).unwrap();
    let busy = replies(&machine.receive().unwrap());
    assert_eq!(busy[0].errno(), Some(EBUSY));
    let info = replies(&machine.receive().unwrap());
    assert_eq!(info[0].body[0], command::SET_INFO);
    assert_eq!(replies(&machine.receive().unwrap())[0].errno(), Some(0));
    assert_eq!(numbers(&machine.receive().unwrap()).len(), 10);
    let busy = replies(&machine.receive().unwrap());
    assert_eq!(busy[0].errno(), Some(EBUSY));
    assert_eq!(numbers(&machine.receive().unwrap()), [1]);
    assert!(is_done(&machine.receive().unwrap()));
    assert_eq!(machine.receive(), Err(Received::TimedOut));
    // Another socket is not affected, and this one can start again.
    machine.kernel.inject(Fault::SlowDumps(0));
    assert_eq!(machine.servers(&key).len(), 20);
}

/// A dump whose end is queued, read or not, is over.
#[test]
fn a_dump_that_fits_is_over_at_once() {
    let mut machine = Machine::linux_6_1();
    let dump = message(FAMILY, REQUEST | DUMP, command::GET_SERVICE, &[]);
    let answers = machine.ask(&[dump.clone(), dump].concat());
    assert_eq!(answers.len(), 2);
    assert!(answers.iter().all(|answer| answer.kind == 3));
}

#[test]
fn daemons_that_start_between_batches_are_seen_or_not() {
    let mut machine = Machine::linux_6_1();
    let daemon = |state| nest(top::DAEMON, &[ne32(1, state), attr(2, b"lo\0"), ne32(3, 1)]);
    assert_eq!(machine.errno(command::NEW_DAEMON, &[daemon(2)]), 0);
    machine.kernel.inject(Fault::SlowDumps(1));
    let dump = message(FAMILY, REQUEST | DUMP, command::GET_DAEMON, &[]);
    machine.socket.send(&dump).unwrap();
    let mut other = Machine {
        kernel: machine.kernel.clone(),
        socket: machine.kernel.socket(),
    };
    // The backup is in the first batch already; the master comes late but comes.
    assert_eq!(other.errno(command::NEW_DAEMON, &[daemon(1)]), 0);
    let states: Vec<_> = machine
        .drain()
        .iter()
        .filter(|reply| reply.kind == FAMILY)
        .map(|reply| reply.get_u32(1).unwrap())
        .collect();
    assert_eq!(states, [2, 1]);
}

/// A dump waits while there is no room for a batch, and goes on when half of the queue has been
/// read. Who reads is told that there was no room, although nothing was lost.
#[test]
fn a_full_queue_delays_a_dump() {
    let (mut machine, key) = with_destinations(20);
    machine.socket.set_receive_buffer(6 * 768);
    let set = request(command::SET_CONFIG, &[]);
    for _ in 0..3 {
        machine.socket.send(&set).unwrap();
    }
    machine.socket.send(&dump_request(&key)).unwrap();
    // Each receive tries again; there is room once everything was read, the refusal included.
    for errno in [0, 0, 0, ENOBUFS] {
        let answer = machine.receive().unwrap();
        assert_eq!(replies(&answer)[0].errno(), Some(errno));
        if errno == 0 {
            assert_eq!(machine.receive(), Err(Received::Overrun));
        }
    }
    assert_eq!(numbers(&machine.receive().unwrap()).len(), 20);
    assert!(is_done(&machine.receive().unwrap()));
    assert_eq!(machine.receive(), Err(Received::TimedOut));
}

/// A batch is made ahead only while less than half of the queue waits to be read.
#[test]
fn unread_batches_hold_the_next_one_back() {
    let (mut machine, key) = with_destinations(200);
    // Room for one large batch and some acknowledgements.
    machine.socket.set_receive_buffer(50_000);
    machine.socket.send(&dump_request(&key)).unwrap();
    let set = request(command::SET_CONFIG, &[]);
    machine.socket.send(&[set.clone(), set].concat()).unwrap();
    // With the first batch the second is made, which is more than half of the queue, so that
    // there is no third with the acknowledgement.
    assert_eq!(numbers(&machine.receive().unwrap()).len(), 9);
    assert_eq!(replies(&machine.receive().unwrap())[0].errno(), Some(0));
    let get = message(FAMILY, REQUEST, command::GET_INFO, &[]);
    machine.socket.send(&get).unwrap();
    let sizes: Vec<_> = core::iter::from_fn(|| machine.receive().ok())
        .map(|datagram| replies(&datagram).len())
        .collect();
    assert_eq!(sizes, [1, 81, 1, 81, 29, 1]);
}

#[test]
fn hooks_run_between_batches() {
    let (mut machine, key) = with_destinations(20);
    machine.kernel.inject(Fault::SlowDumps(4));
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    let of_hook = key.clone();
    machine.kernel.between_batches(move |kernel, batch| {
        let mut other = Machine {
            kernel: kernel.clone(),
            socket: kernel.socket(),
        };
        // A dump inside is complete, and does not call this again.
        let length = other.servers(&of_hook).len();
        seen.lock().unwrap().push((batch, length));
        // Without end, each would push one more entry behind the cursor, for ever.
        if batch <= 3 {
            other.add_destination(&of_hook, &server_address(100 + batch));
        }
    });
    let mut entries = machine.servers(&key);
    let calls = calls.lock().unwrap().clone();
    // Four entries per batch, one of them pushed there by the entry added before.
    assert_eq!(calls[..3], [(1, 20), (2, 21), (3, 22)]);
    let length = entries.len();
    entries.sort();
    entries.dedup();
    assert!(entries.len() < length, "entries came twice");
    assert_eq!(entries.len(), 20, "and none was lost");
}

/// A hook may own a socket, and may replace itself.
#[test]
fn hooks_are_replaced_without_a_deadlock() {
    let (mut machine, key) = with_destinations(20);
    machine.kernel.inject(Fault::SlowDumps(4));
    let sockets = [machine.kernel.socket(), machine.kernel.socket()];
    let [first, second] = sockets;
    machine.kernel.between_batches(move |_, _| {
        let _keep = &first;
    });
    machine.kernel.between_batches(move |kernel, _| {
        let _keep = &second;
        kernel.between_batches(|_, _| {});
    });
    assert_eq!(machine.servers(&key).len(), 20);
}

/// A dump that cannot start for lack of room is refused, as far as there is room to say so, and
/// goes on all the same when there is (seen on 6.1.176).
#[test]
fn a_dump_without_room_is_refused_and_comes_late() {
    let mut machine = Machine::linux_6_1();
    for _ in 0..277 {
        let get = message(FAMILY, REQUEST, command::GET_INFO, &[]);
        machine.socket.send(&get).unwrap();
    }
    let dump = message(FAMILY, REQUEST | DUMP, command::GET_SERVICE, &[]);
    for _ in 0..3 {
        machine.socket.send(&dump).unwrap();
    }
    assert_eq!(machine.receive(), Err(Received::Overrun));
    let kinds: Vec<_> = machine.drain().iter().map(|reply| reply.kind).collect();
    let ends: Vec<_> = kinds.iter().filter(|kind| **kind != FAMILY).collect();
    // The first one; the others found it busy, and there was no room to say so.
    assert_eq!((kinds.len(), ends), (278, vec![&3]));
}
