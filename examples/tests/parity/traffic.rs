//! Live traffic on one host: clients and servers of its own addresses, with IPVS between them.
//!
//! Connections of every kind that `-L -c` shows differently, and counters that need a letter.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::thread;

use socket2::{Domain, Protocol, Socket, Type};

use super::host::Host;
use super::tool::Tool;

/// Services, and servers that are the host itself (or nobody, behind the tunnel).
const RULES: &str = "\
-A -t 192.0.2.10:80 -s rr
-a -t 192.0.2.10:80 -r 127.0.0.1:8081 -m -x 5 -y 2
-a -t 192.0.2.10:80 -r 127.0.0.2:8081 -m -w 3
-A -t 192.0.2.10:443 -s rr -p 50 -M 255.255.255.0
-a -t 192.0.2.10:443 -r 127.0.0.1:8081 -m
-a -t 192.0.2.10:443 -r 127.0.0.2:8081 -m
-A -u 192.0.2.10:53 -s wlc
-a -u 192.0.2.10:53 -r 127.0.0.1:5353 -m
-A -u 192.0.2.10:54 -s rr -o
-a -u 192.0.2.10:54 -r 127.0.0.1:5353 -m
-A -u 192.0.2.10:5060 -s rr -p 70 --pe sip
-a -u 192.0.2.10:5060 -r 127.0.0.1:5353 -m
-A -u 192.0.2.10:55 -s rr
-a -u 192.0.2.10:55 -r fd00:9::2 -i
-A --sctp-service 192.0.2.10:80 -s rr
-a --sctp-service 192.0.2.10:80 -r 10.9.0.9 -g
-A -t 192.0.2.10:81 -s rr
-a -t 192.0.2.10:81 -r 10.9.0.9:81 -m
-A -t [fd00::10]:80 -s rr -p
-a -t [fd00::10]:80 -r [fd00:9::1]:8081 -m
-A -u [fd00::10]:53 -s rr
-a -u [fd00::10]:53 -r [fd00:9::1]:5353 -m
-A -f 7 -s rr -p 90
-a -f 7 -r 127.0.0.3:80 -m
-A -f 8 -6 -s rr -p 90 -M 64
-a -f 8 -6 -r [fd00:9::1]:80 -m
";

/// Where TCP servers listen. Services by mark keep the port.
const SERVERS: [&str; 5] = [
    "127.0.0.1:8081",
    "127.0.0.2:8081",
    "127.0.0.3:80",
    "[fd00:9::1]:8081",
    "[fd00:9::1]:80",
];

/// What a client asks a TCP server for: bytes to send it, bytes to get back.
const SMALL: (usize, usize) = (1, 1);

/// The same, of a server that does not close its end.
const HALF: (usize, usize) = (1, 2);

/// Keeps connections, servers and their ports.
pub(crate) struct Traffic {
    _connections: Vec<TcpStream>,
    _sockets: Vec<UdpSocket>,
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Starts servers, adds services and lets traffic flow; when it returns, all of it has ended but
/// connections that stay open.
pub(crate) fn start(host: &Host) -> Traffic {
    let added = host.run(Tool::Original, &["-R".to_owned()], RULES);
    assert!(
        added.status.success() && added.stderr.is_empty(),
        "{added:?}"
    );
    host.enter("traffic", |_| {
        for server in SERVERS {
            let listener = TcpListener::bind(address(server)).unwrap();
            thread::spawn(move || serve(&listener));
        }
        let mut sockets: Vec<_> = ["127.0.0.1:5353", "[fd00:9::1]:5353"]
            .map(|server| UdpSocket::bind(address(server)).unwrap())
            .into();
        let mut connections = Vec::new();
        for round in 0..4 {
            for to in ["192.0.2.10:80", "192.0.2.10:443", "[fd00::10]:80"] {
                let open = connect("", to, 0);
                let open = exchange(open, if round == 1 { HALF } else { SMALL });
                // Some stay established, some are left half closed, the others end.
                match round {
                    0 => connections.push(open),
                    1 => {
                        open.shutdown(Shutdown::Write).unwrap();
                        connections.push(open);
                    }
                    _ => {}
                }
            }
        }
        connections.push(exchange(connect("10.9.0.1:0", "192.0.2.10:443", 0), SMALL));
        connections.push(exchange(connect("10.9.0.1:0", "192.0.2.10:80", 7), SMALL));
        connections.push(exchange(connect("", "[fd00::10]:80", 8), SMALL));
        // Past the numbers that are printed in full: 10^8 and 10^9 bytes; in rates too, if it is quick.
        exchange(connect("", "192.0.2.10:80", 0), (2_400_000_000, 1));
        exchange(connect("", "192.0.2.10:80", 0), (1, 250_000_000));
        for (to, words) in [
            ("192.0.2.10:53", "a question"),
            ("192.0.2.10:54", "a question"),
            ("192.0.2.10:55", "into the tunnel"),
            ("192.0.2.10:5060", CALL),
            ("[fd00::10]:53", "a question"),
        ] {
            for _ in 0..3 {
                sockets.push(send(to, words));
            }
        }
        // Nobody answers these.
        connections.push(connect("", "192.0.2.10:81", 0));
        associate();
        Traffic {
            _connections: connections,
            _sockets: sockets,
        }
    })
}

/// Enough of a SIP request for the engine to find the call.
const CALL: &str = "INVITE sip:bob@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK776asdhds\r\n\
    Call-ID: a84b4c76e66710@pc33.example.com\r\n\
    Content-Length: 0\r\n\r\n";

/// Answers each connection: reads a head that says how much comes and how much is wanted.
fn serve(listener: &TcpListener) {
    while let Ok((mut connection, _)) = listener.accept() {
        thread::spawn(move || {
            let mut head = [0; 16];
            if connection.read_exact(&mut head).is_err() {
                return;
            }
            let number = |bytes: &[u8]| usize::from_be_bytes(bytes.try_into().unwrap());
            let (mut coming, mut wanted) = (number(&head[..8]), number(&head[8..]));
            let mut buffer = vec![0; 1 << 20];
            while coming > 0 {
                match connection.read(&mut buffer) {
                    Ok(0) | Err(_) => return,
                    Ok(read) => coming = coming.saturating_sub(read),
                }
            }
            while wanted > 0 {
                let size = wanted.min(buffer.len());
                if connection.write_all(&buffer[..size]).is_err() {
                    return;
                }
                wanted -= size;
            }
            // Until the client closes; forever where it wanted two bytes.
            let _ = connection.read(&mut head);
            while number(&head[8..]) == 2 {
                thread::park();
            }
        });
    }
}

/// Connects, or at least begins to.
fn connect(from: &str, to: &str, mark: u32) -> TcpStream {
    let to = address(to);
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
    socket.set_mark(mark).unwrap();
    if !from.is_empty() {
        socket.bind(&address(from).into()).unwrap();
    }
    if to.port() == 81 {
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&to.into());
    } else {
        let patience = Duration::from_secs(20);
        socket.connect_timeout(&to.into(), patience).unwrap();
        socket.set_read_timeout(Some(patience)).unwrap();
    }
    socket.into()
}

fn exchange(mut connection: TcpStream, (sent, wanted): (usize, usize)) -> TcpStream {
    connection.write_all(&sent.to_be_bytes()).unwrap();
    connection.write_all(&wanted.to_be_bytes()).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut left = sent;
    while left > 0 {
        let size = left.min(buffer.len());
        connection.write_all(&buffer[..size]).unwrap();
        left -= size;
    }
    let mut left = wanted;
    while left > 0 {
        let read = connection.read(&mut buffer).unwrap();
        assert_ne!(read, 0);
        left -= read;
    }
    connection
}

fn send(to: &str, words: &str) -> UdpSocket {
    let to = address(to);
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).unwrap();
    socket.send_to(words.as_bytes(), to).unwrap();
    socket
}

/// The first packet of an SCTP association: a header, and an INIT chunk.
fn associate() {
    let mut packet = vec![0x30, 0x39, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0];
    packet.extend([
        1, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0xff, 0xff, 0, 1, 0, 1, 0, 0, 0, 1,
    ]);
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(132))).unwrap();
    let to = address("192.0.2.10:0");
    socket.send_to(&packet, &to.into()).unwrap();
}
