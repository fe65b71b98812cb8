//! Servers that say what each test needs.

use core::net::SocketAddr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;

use socket2::{Domain, Socket, Type};

/// Serves each connection in turn, as long as the test runs.
pub(crate) fn serve(mut handler: impl FnMut(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            handler(stream.unwrap());
        }
    });
    address
}

/// Greets with the first text, then says the next one after each line it hears.
pub(crate) fn talk(says: &'static [&'static str]) -> SocketAddr {
    serve(move |mut stream| {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        for (number, text) in says.iter().enumerate() {
            if number > 0 && !matches!(lines.next(), Some(Ok(_))) {
                return;
            }
            if stream.write_all(text.as_bytes()).is_err() {
                return;
            }
        }
        // Waits for the end, so that nothing is reset.
        for _ in lines.by_ref().map_while(Result::ok) {}
    })
}

/// Answers whatever comes first with these bytes.
pub(crate) fn answer(bytes: &'static [u8]) -> SocketAddr {
    serve(move |mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(bytes);
        let _ = stream.read(&mut [0; 1024]);
    })
}

/// Answers each request with this status line, fields and body, and closes.
pub(crate) fn web(head: &'static str, body: &'static str) -> SocketAddr {
    serve(move |stream| reply(stream, head, body))
}

/// Reads the head of a request, and answers.
pub(crate) fn reply(mut stream: impl Read + Write, head: &str, body: &str) {
    let mut asked = Vec::new();
    let mut byte = [0];
    while !asked.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        asked.push(byte[0]);
    }
    let length = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let _ = stream.flush();
}

/// Answers each datagram with what the function makes of it.
pub(crate) fn datagrams(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if let Some(said) = answer(&buffer[..length]) {
                socket.send_to(&said, from).unwrap();
            }
        }
    });
    address
}

/// A name server that knows one address for every name.
pub(crate) fn name_server() -> SocketAddr {
    datagrams(|question| {
        let mut answer = question.get(..2)?.to_vec();
        // A response, recursion desired and available; one question, one answer.
        answer.extend([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        // The question without what follows it, such as EDNS.
        let name = question.get(12..)?.iter().position(|byte| *byte == 0)?;
        answer.extend(question.get(12..12 + name + 5)?);
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 80]);
        Some(answer)
    })
}

/// An address where nobody listens, and which nobody else gets as long as the test runs.
pub(crate) fn nobody() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    core::mem::forget(socket);
    address
}
