//! What goes wrong on demand, seen through a socket.

use nix::libc::{EIO, ENOBUFS};

use super::*;

fn info() -> Vec<u8> {
    message(FAMILY, REQUEST, command::GET_INFO, &[])
}

#[test]
fn lost_replies_were_carried_out() {
    let mut machine = Machine::linux_6_1();
    machine.kernel.inject(Fault::LoseReplies(1));
    let full = [by_mark(2, 1), service_settings(false)].concat();
    let add = request(command::NEW_SERVICE, &[nest(top::SERVICE, &full)]);
    assert!(machine.ask(&add).is_empty());
    assert_eq!(machine.dump(command::GET_SERVICE, &[]).len(), 1);
}

#[test]
fn late_replies_come_after_a_time_out() {
    let mut machine = Machine::linux_6_1();
    machine.kernel.inject(Fault::DelayReplies(1));
    machine.socket.send(&info()).unwrap();
    assert_eq!(machine.receive(), Err(Received::TimedOut));
    // The late reply stands before those of later requests.
    machine
        .socket
        .send(&message(FAMILY, REQUEST, command::GET_CONFIG, &[]))
        .unwrap();
    let commands: Vec<_> = machine.drain().iter().map(|reply| reply.body[0]).collect();
    assert_eq!(commands, [command::SET_INFO, command::SET_CONFIG]);
}

#[test]
fn replies_come_twice_cut_or_flipped() {
    let mut machine = Machine::linux_6_1();
    let good = machine.ask(&info());
    machine.kernel.inject(Fault::DuplicateReplies(1));
    assert_eq!(machine.ask(&info()), [good.clone(), good.clone()].concat());
    machine.kernel.inject(Fault::TruncateReply(17));
    machine.socket.send(&info()).unwrap();
    assert_eq!(machine.receive().unwrap().len(), 17);
    machine.kernel.inject(Fault::FlipBit(16 * 8 + 7));
    let flipped = machine.ask(&info());
    assert_eq!(flipped[0].body[0], command::SET_INFO | 0x80);
    assert_eq!(machine.ask(&info()), good);
}

#[test]
fn rejected_requests_are_not_carried_out() {
    let mut machine = Machine::linux_6_1();
    machine.kernel.inject(Fault::RejectRequest {
        after: 1,
        errno: EIO,
    });
    assert_eq!(machine.errno(command::SET_CONFIG, &[ne32(4, 5)]), 0);
    assert_eq!(machine.errno(command::SET_CONFIG, &[ne32(4, 6)]), EIO);
    let config = machine.ask(&message(FAMILY, REQUEST, command::GET_CONFIG, &[]));
    assert_eq!(config[0].attributes()[0].1, 5_u32.to_ne_bytes());
}

/// Dumps count as requests, too.
#[test]
fn dumps_can_be_rejected() {
    let mut machine = Machine::linux_6_1();
    machine.kernel.inject(Fault::RejectRequest {
        after: 0,
        errno: ENOBUFS,
    });
    let dump = message(FAMILY, REQUEST | DUMP, command::GET_SERVICE, &[]);
    assert_eq!(machine.ask(&dump)[0].errno(), Some(ENOBUFS));
    assert!(machine.dump(command::GET_SERVICE, &[]).is_empty());
}

#[test]
fn overruns_lose_replies_until_the_queue_is_empty() {
    let mut machine = Machine::linux_6_1();
    machine.kernel.inject(Fault::OverrunAfter(2));
    for _ in 0..4 {
        machine.socket.send(&info()).unwrap();
    }
    assert_eq!(machine.receive(), Err(Received::Overrun));
    assert_eq!(machine.drain().len(), 2);
    assert_eq!(machine.ask(&info()).len(), 1);
}

/// A real overflow, by not reading: 277 acknowledgements fit on 6.1.176.
#[test]
fn unread_replies_overflow() {
    let mut machine = Machine::linux_6_1();
    for _ in 0..500 {
        machine
            .socket
            .send(&request(command::SET_CONFIG, &[]))
            .unwrap();
    }
    assert_eq!(machine.receive(), Err(Received::Overrun));
    assert_eq!(machine.drain().len(), 277);
    // Other sockets were not affected.
    machine.socket = machine.kernel.socket();
    assert_eq!(machine.ask(&info()).len(), 1);
}

#[test]
fn calls_fail() {
    let mut machine = Machine::linux_6_1();
    let errno = |result: io::Result<()>| result.unwrap_err().raw_os_error();
    machine.kernel.inject(Fault::FailSend(EIO));
    assert_eq!(errno(machine.socket.send(&info())), Some(EIO));
    assert!(machine.drain().is_empty(), "nothing was sent");
    machine.socket.send(&info()).unwrap();
    machine.kernel.inject(Fault::FailReceive(EIO));
    let mut buffer = BytesMut::new();
    let failed = machine.socket.receive(&mut buffer, Duration::ZERO);
    assert_eq!(errno(failed.map(drop)), Some(EIO));
    assert_eq!(machine.drain().len(), 1, "nothing was taken");
}

#[test]
fn faults_can_be_forgotten() {
    let mut machine = Machine::linux_6_1();
    machine.kernel.inject(Fault::LoseReplies(9));
    machine.kernel.inject(Fault::FailSend(EIO));
    machine.kernel.clear_faults();
    assert_eq!(machine.ask(&info()).len(), 1);
}
