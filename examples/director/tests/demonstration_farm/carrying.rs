//! One connection: half-close, back-pressure, connections that break off.

use core::time::Duration;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;

use director::demonstration::farm::Stats;
use socket2::SockRef;

use crate::support::{MEGABYTE, Pattern, alone, connect, farm_with, lazy_client, wait_for};

#[test]
fn client_that_has_ended_still_receives_everything() {
    let _turn = alone();
    let (farm, server) = farm_with(|mut stream| {
        let mut request = Vec::new();
        stream.read_to_end(&mut request).unwrap();
        assert_eq!(
            Pattern::new().write(&mut stream, 10 * MEGABYTE),
            (10 * MEGABYTE, None)
        );
        request
    });
    let mut client = connect(farm.address());
    client.write_all(b"everything, please").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(Pattern::new().read(&mut client), 10 * MEGABYTE);
    assert_eq!(server.join().unwrap(), b"everything, please");

    let stats = wait_for(&farm, |stats| stats.open == 0);
    assert_eq!((stats.completed, stats.broken), (1, 0));
    assert_eq!(
        (stats.bytes_to_servers, stats.bytes_to_clients),
        (18, 10 * MEGABYTE as u64)
    );
    farm.shutdown();
}

#[test]
fn server_that_has_ended_still_receives_everything() {
    let _turn = alone();
    let (farm, server) = farm_with(|mut stream| {
        stream.write_all(b"send it all").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        Pattern::new().read(&mut stream)
    });
    let mut client = connect(farm.address());
    let mut greeting = Vec::new();
    client.read_to_end(&mut greeting).unwrap();
    assert_eq!(greeting, b"send it all");
    assert_eq!(
        Pattern::new().write(&mut client, 10 * MEGABYTE),
        (10 * MEGABYTE, None)
    );
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.join().unwrap(), 10 * MEGABYTE);

    let stats = wait_for(&farm, |stats| stats.open == 0);
    assert_eq!((stats.completed, stats.broken), (1, 0));
    farm.shutdown();
}

/// Writes until nothing has been taken for a while, and returns how much was.
fn push(stream: &mut TcpStream, most: usize) -> usize {
    SockRef::from(&*stream)
        .set_send_buffer_size(64 * 1024)
        .unwrap();
    stream
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let (pushed, error) = Pattern::new().write(stream, most);
    assert!(
        matches!(error, None | Some(ErrorKind::WouldBlock)),
        "{error:?} after {pushed} bytes"
    );
    pushed
}

/// What the kernel may buffer for the two sockets of the forwarder, and some more for the peers'.
fn kernel_buffers() -> usize {
    let most = |name: &str| -> usize {
        let limits = fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap();
        limits.split_whitespace().last().unwrap().parse().unwrap()
    };
    most("tcp_rmem") + most("tcp_wmem") + MEGABYTE
}

fn check_bounded(stats: &Stats, pushed: usize, bound: usize) {
    assert!(
        pushed < bound,
        "{pushed} bytes were taken while nobody read"
    );
    assert!(stats.buffered_bytes > 0, "{stats:?}");
    assert!(
        stats.peak_buffered_bytes <= 2 * Stats::BUFFER_BYTES as u64,
        "{stats:?}"
    );
}

#[test]
fn slow_client_slows_down_the_server() {
    let _turn = alone();
    let bound = kernel_buffers();
    let (pushed_sender, pushed_receiver) = mpsc::channel();
    let (farm, server) = farm_with(move |mut stream| {
        pushed_sender.send(push(&mut stream, 2 * bound)).unwrap();
    });
    let mut client = lazy_client(farm.address());
    let pushed = pushed_receiver.recv().unwrap();
    check_bounded(&farm.stats(), pushed, bound);

    server.join().unwrap();
    assert_eq!(Pattern::new().read(&mut client), pushed);
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(wait_for(&farm, |stats| stats.open == 0).buffered_bytes, 0);
    farm.shutdown();
}

#[test]
fn slow_server_slows_down_the_client() {
    let _turn = alone();
    let bound = kernel_buffers();
    let (go, gone) = mpsc::channel::<()>();
    let (farm, server) = farm_with(move |mut stream| {
        SockRef::from(&stream)
            .set_recv_buffer_size(64 * 1024)
            .unwrap();
        gone.recv().unwrap();
        Pattern::new().read(&mut stream)
    });
    let mut client = connect(farm.address());
    let pushed = push(&mut client, 2 * bound);
    check_bounded(&farm.stats(), pushed, bound);

    client.shutdown(Shutdown::Write).unwrap();
    go.send(()).unwrap();
    assert_eq!(server.join().unwrap(), pushed);
    assert_eq!(wait_for(&farm, |stats| stats.open == 0).buffered_bytes, 0);
    farm.shutdown();
}

#[test]
fn answer_that_breaks_off_does_not_look_complete() {
    let _turn = alone();
    let (farm, server) = farm_with(|mut stream| {
        stream.write_all(b"half of it").unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    });
    let mut client = connect(farm.address());
    let mut half = [0; 10];
    client.read_exact(&mut half).unwrap();
    client.write_all(b"!").unwrap();
    server.join().unwrap();
    let error = client.read(&mut half).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let stats = wait_for(&farm, |stats| stats.open == 0);
    assert_eq!((stats.completed, stats.broken), (0, 1));
    farm.shutdown();
}

#[test]
fn client_that_breaks_off_breaks_off_the_server() {
    let _turn = alone();
    let (farm, server) = farm_with(|mut stream| {
        let mut request = [0; 7];
        stream.read_exact(&mut request).unwrap();
        stream.write_all(b"ready").unwrap();
        stream.read(&mut request).map_err(|error| error.kind())
    });
    let mut client = connect(farm.address());
    client.write_all(b"request").unwrap();
    let mut ready = [0; 5];
    client.read_exact(&mut ready).unwrap();
    SockRef::from(&client)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(client);
    assert_eq!(server.join().unwrap(), Err(ErrorKind::ConnectionReset));
    let stats = wait_for(&farm, |stats| stats.open == 0);
    assert_eq!((stats.completed, stats.broken), (0, 1));
    farm.shutdown();
}

/// A server may answer before it has read everything and break off the rest.
#[test]
fn early_answer_reaches_a_client_that_is_still_sending() {
    let _turn = alone();
    let (farm, server) = farm_with(|mut stream| {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        stream.write_all(b"too large").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // Dropped with unread bytes: the rest is reset.
        stream.peek(&mut byte).unwrap();
    });
    let mut client = connect(farm.address());
    client.write_all(&[0; 64 * 1024]).unwrap();
    let mut answer = [0; 9];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"too large");
    server.join().unwrap();
    drop(client);
    wait_for(&farm, |stats| stats.open == 0);
    farm.shutdown();
}

#[test]
fn connection_to_a_removed_destination_goes_on() {
    let _turn = alone();
    let (farm, server) = farm_with(|mut stream| {
        let mut request = String::new();
        stream.read_to_string(&mut request).unwrap();
        stream.write_all(request.to_uppercase().as_bytes()).unwrap();
    });
    let mut client = connect(farm.address());
    client.write_all(b"still ").unwrap();
    wait_for(&farm, |stats| stats.bytes_to_servers == 6);
    farm.set_destinations(&[]).unwrap();
    client.write_all(b"here").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "STILL HERE");
    server.join().unwrap();
    farm.shutdown();
}
