//! Real servers whose answers a test changes: HTTP, DNS, mail, TLS, or nothing but an open port.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use nix::sys::socket::shutdown;

use crate::network::{Host, PATIENCE};

/// What an HTTP server answers to every request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Page {
    /// Status code.
    pub(crate) status: u16,
    /// Body.
    pub(crate) body: String,
}

/// Accepts connections on one thread, one after the other, until it is dropped.
#[derive(Debug)]
struct Acceptor {
    listener: TcpListener,
    thread: Option<JoinHandle<()>>,
}

impl Acceptor {
    fn start(
        host: &Host,
        address: SocketAddr,
        serve: impl Fn(&TcpStream) -> io::Result<()> + Send + 'static,
    ) -> Self {
        let listener = host.enter(|| TcpListener::bind(address).unwrap());
        let accepting = listener.try_clone().unwrap();
        let thread = thread::spawn(move || {
            while let Ok((connection, _)) = accepting.accept() {
                let _ = connection.set_read_timeout(Some(PATIENCE));
                // A check that leaves at once is none of the server's business.
                let _ = serve(&connection);
            }
        });
        Self {
            listener,
            thread: Some(thread),
        }
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        // Ends the wait for connections.
        let _ = shutdown(self.listener.as_raw_fd(), nix::sys::socket::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A server over TCP that answers each request with its page. Checks that only connect are content
/// with it as well.
#[derive(Debug)]
pub(crate) struct HttpServer {
    _acceptor: Acceptor,
    page: Arc<Mutex<Page>>,
}

impl HttpServer {
    pub(crate) fn start(host: &Host, address: SocketAddr) -> Self {
        let page = Arc::new(Mutex::new(Page {
            status: 200,
            body: "well".to_owned(),
        }));
        let answer = Arc::clone(&page);
        let acceptor = Acceptor::start(host, address, move |connection| {
            let page = answer.lock().unwrap_or_else(PoisonError::into_inner);
            let page = page.clone();
            serve_page(connection, &page)
        });
        Self {
            _acceptor: acceptor,
            page,
        }
    }

    pub(crate) fn answer(&self, status: u16, body: &str) {
        *self.page.lock().unwrap() = Page {
            status,
            body: body.to_owned(),
        };
    }
}

fn serve_page(mut connection: &TcpStream, page: &Page) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if connection.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.extend(byte);
    }
    let Page { status, body } = page;
    let answer = format!(
        "HTTP/1.0 {status} Whatever\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(answer.as_bytes())?;
    connection.shutdown(Shutdown::Write)
}

/// A mail server that is content with every command (RFC 5321) and takes no mail.
#[derive(Debug)]
pub(crate) struct MailServer {
    _acceptor: Acceptor,
}

impl MailServer {
    pub(crate) fn start(host: &Host, address: SocketAddr) -> Self {
        let acceptor = Acceptor::start(host, address, |mut connection| {
            connection.write_all(b"220 mail.example ESMTP\r\n")?;
            for line in BufReader::new(connection).lines() {
                let line = line?.to_ascii_uppercase();
                let is_last = line.starts_with("QUIT");
                let code = if is_last { 221 } else { 250 };
                connection.write_all(format!("{code} mail.example\r\n").as_bytes())?;
                if is_last {
                    break;
                }
            }
            Ok(())
        });
        Self {
            _acceptor: acceptor,
        }
    }
}

/// Debian's OpenSSL as an HTTPS server that answers every request with a page about itself.
#[derive(Debug)]
pub(crate) struct TlsServer {
    server: Child,
}

impl TlsServer {
    /// `folder` is for key and certificate.
    pub(crate) fn start(host: &Host, address: SocketAddr, folder: &Path) -> Self {
        let [key, certificate] = ["key.pem", "certificate.pem"].map(|name| folder.join(name));
        if !certificate.exists() {
            let mut command = Command::new("openssl");
            command.args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split(' '));
            command.args("-days 2 -subj /CN=server.example -keyout".split(' '));
            command.arg(&key).arg("-out").arg(&certificate);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        let mut command = Command::new("openssl");
        command.args(["s_server", "-quiet", "-www", "-accept"]);
        command.arg(address.to_string());
        command.arg("-key").arg(&key).arg("-cert").arg(&certificate);
        let quiet = [Stdio::null(), Stdio::null(), Stdio::null()];
        let [input, output, errors] = quiet;
        command.stdin(input).stdout(output).stderr(errors);
        let server = host.enter(|| command.spawn().unwrap());
        Self { server }
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// How often a name server looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);

/// A name server that answers every question with one address, or with SERVFAIL.
#[derive(Debug)]
pub(crate) struct NameServer {
    is_well: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    pub(crate) fn start(host: &Host, address: SocketAddr) -> Self {
        let socket = host.enter(|| UdpSocket::bind(address).unwrap());
        let (is_well, is_over) = (
            Arc::new(AtomicBool::new(true)),
            Arc::new(AtomicBool::new(false)),
        );
        // A shutdown would wake the thread as well, but with an address that std does not expect.
        socket.set_read_timeout(Some(LOOK)).unwrap();
        let (well, over) = (Arc::clone(&is_well), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            let mut question = [0; 512];
            while !over.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut question) {
                    let answer = answer_to(&question[..length], well.load(Ordering::Relaxed));
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Self {
            is_well,
            is_over,
            thread: Some(thread),
        }
    }

    pub(crate) fn set_well(&self, is_well: bool) {
        self.is_well.store(is_well, Ordering::Relaxed);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// RFC 1035 §4.1: the question again, and after it 192.0.2.53 for the name at offset 12.
fn answer_to(question: &[u8], is_well: bool) -> Vec<u8> {
    let mut answer = question.to_vec();
    let Some([_, _, flags, code, _, _, _, answers, ..]) = answer.get_mut(..12) else {
        return Vec::new();
    };
    *flags |= 0x80; // a response
    if is_well {
        *answers = 1;
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 53]);
    } else {
        *code = 2; // SERVFAIL
    }
    answer
}
