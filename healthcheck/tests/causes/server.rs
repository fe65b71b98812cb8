//! Servers for one connection, on loopback.

use core::time::Duration;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;

use lvs_healthcheck::Target;
use socket2::SockRef;

/// Treats one connection as given, on a thread that ends with it.
pub(super) fn serve(talk: impl FnOnce(TcpStream) + Send + 'static) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::new(listener.local_addr().unwrap());
    thread::spawn(move || talk(listener.accept().unwrap().0));
    target
}

/// Says this, then listens to the end.
pub(super) fn saying(text: &'static [u8]) -> Target {
    serve(move |mut stream| {
        stream.write_all(text).unwrap();
        listen(stream);
    })
}

/// Answers the first thing it hears with this, then listens to the end.
pub(super) fn answering(text: &'static [u8]) -> Target {
    serve(move |mut stream| {
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        stream.write_all(text).unwrap();
        listen(stream);
    })
}

/// Answers the first of two clients with the one, the second with the other.
pub(super) fn answering_in_turn(texts: [&'static [u8]; 2]) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::new(listener.local_addr().unwrap());
    thread::spawn(move || {
        for text in texts {
            let mut stream = listener.accept().unwrap().0;
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            stream.write_all(text).unwrap();
            listen(stream);
        }
    });
    target
}

/// Never answers.
pub(super) fn silent() -> Target {
    serve(listen)
}

/// Whether the client closes or resets its end is its own affair.
fn listen(mut stream: TcpStream) {
    let _ = stream.read_to_end(&mut Vec::new());
}

/// One byte at a time, for ever.
pub(super) fn dripping() -> Target {
    serve(|mut stream| {
        while stream.write_all(b"2").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    })
}

/// Closes at once.
pub(super) fn closing() -> Target {
    serve(drop)
}

/// Resets when it was asked something.
pub(super) fn resetting() -> Target {
    serve(|mut stream| {
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    })
}

/// A port nobody listens on.
pub(super) fn closed() -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Target::new(listener.local_addr().unwrap())
}

/// The same of UDP.
pub(super) fn closed_udp() -> Target {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    Target::new(socket.local_addr().unwrap())
}

/// A name server that answers one question, with this response code and these answers.
pub(super) fn name_server(rcode: u8, answers: &'static [&'static [u8]]) -> Target {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = Target::new(socket.local_addr().unwrap());
    thread::spawn(move || {
        let mut bytes = [0; 512];
        let (length, from) = socket.recv_from(&mut bytes).unwrap();
        let mut reply = bytes.get(..length).unwrap().to_vec();
        let count = u8::try_from(answers.len()).unwrap();
        reply.splice(2..4, [0x81, 0x80 | rcode]);
        reply.splice(6..8, [0, count]);
        for answer in answers {
            reply.extend_from_slice(answer);
        }
        socket.send_to(&reply, from).unwrap();
    });
    target
}
