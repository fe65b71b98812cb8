//! Where a check goes, and from where.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use crate::program::{down, field, up};
use crate::servers::{serve, web};

#[test]
fn proxy_header_comes_first() {
    let (told, heard) = mpsc::channel();
    let address = serve(move |mut stream| {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        told.send(bytes).unwrap();
    });
    let url = format!("tcp://{address}");
    up(&[&url, "--proxy-header", "v1"]);
    assert_eq!(heard.recv().unwrap(), b"PROXY UNKNOWN\r\n");
    let between = "198.51.100.1:4000,203.0.113.1:80";
    up(&[&url, "--proxy-header", "v1", "--proxy-addresses", between]);
    assert_eq!(
        heard.recv().unwrap(),
        b"PROXY TCP4 198.51.100.1 203.0.113.1 4000 80\r\n"
    );
    up(&[&url, "--proxy-header", "v2", "--proxy-addresses", "own"]);
    assert!(
        heard
            .recv()
            .unwrap()
            .starts_with(b"\r\n\r\n\0\r\nQUIT\n\x21\x11")
    );
}

#[test]
fn source_is_bound() {
    let (told, heard) = mpsc::channel();
    let address = serve(move |stream| told.send(stream.peer_addr().unwrap()).unwrap());
    let url = format!("tcp://{address}");
    up(&[&url, "--source", "127.0.0.9", "--ttl", "3", "--dscp", "46"]);
    assert_eq!(heard.recv().unwrap().ip().to_string(), "127.0.0.9");
    let text = down(&[&url, "--source", "192.0.2.1"]);
    assert!(text.starts_with(&format!("{url}: unknown\n")), "{text}");
    assert_eq!(field(&text, "outcome"), "local_bind (bind)");
    assert!(
        field(&text, "try").starts_with("is the source one of this host's"),
        "{text}"
    );
    let text = down(&[&url, "--namespace", "no-such-namespace"]);
    assert!(
        field(&text, "got").contains("/run/netns/no-such-namespace"),
        "{text}"
    );
}

#[test]
fn host_field_is_that_of_the_url_or_as_given() {
    let (told, heard) = mpsc::channel();
    let address = serve(move |mut stream| {
        let mut bytes = [0; 1024];
        let length = stream.read(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        let host = text
            .lines()
            .find(|line| line.starts_with("Host: "))
            .unwrap()
            .to_owned();
        told.send(host).unwrap();
        stream.write_all(b"HTTP/1.1 204 OK\r\n\r\n").unwrap();
    });
    let connect = address.to_string();
    up(&["http://www.example:8080/", "--connect", &connect]);
    assert_eq!(heard.recv().unwrap(), "Host: www.example:8080");
    up(&[&format!("http://{address}?a"), "--header", "X-A: b"]);
    assert_eq!(heard.recv().unwrap(), format!("Host: {address}"));
    up(&[&format!("http://{address}"), "--host", "b.example"]);
    assert_eq!(heard.recv().unwrap(), "Host: b.example");
}

#[test]
fn names_become_addresses_of_the_family_asked_for() {
    let port = web("200 OK", "").port();
    let text = up(&["-4", &format!("http://localhost:{port}/")]);
    let title = format!("http://localhost:{port}/ at 127.0.0.1:{port}: up");
    assert_eq!(text.lines().next(), Some(&*title));
}

#[test]
fn ipv6_is_as_good() {
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || while listener.accept().is_ok() {});
    let text = up(&["-6", &url]);
    assert!(text.starts_with(&format!("{url}: up\n")), "{text}");
}

#[test]
fn deadlines_are_kept() {
    // Accepts and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let text = down(&[&url, "--timeout", "80ms"]);
    assert_eq!(field(&text, "outcome"), "timeout_io (recv)");
    assert!(field(&text, "expected").ends_with("within 80 ms"), "{text}");
    assert!(field(&text, "try").contains("--timeout"), "{text}");
    let text = down(&[&url, "--timeout", "30s", "--idle-timeout", "50ms"]);
    assert_eq!(field(&text, "outcome"), "timeout_io (recv)");
}
