//! TLS over the socket of a stream: bytes in, bytes out, never waiting.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{ErrorKind, Read, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::client::ClientConnection;
use rustls::{Error, HandshakeKind, ProtocolVersion};
use rustls_pki_types::ServerName;
use socket2::Socket;

use super::{Arrived, Shaken, Trouble};
use crate::probe::Operation;
use crate::probe::tls::certificate::not_after;
use crate::probe::tls::explain::explain;
use crate::probe::tls::prepare::server_name;
use crate::probe::tls::{Tls, TlsInfo, TlsKind, TlsVersion};

/// How many times in a row one connection reads before others get their turn.
const TURN: u32 = 64;

const DAY: u64 = 24 * 60 * 60;

#[derive(Debug)]
pub(super) struct Session {
    connection: ClientConnection,
    tls: Tls,
    /// What is to be sent and not yet encrypted, and how much of it is.
    plain: Vec<u8>,
    taken: usize,
    /// To say goodbye when `plain` is empty.
    goodbye: bool,
    handshaking: bool,
    /// Whether the peer has closed the connection underneath.
    closed: bool,
}

impl Session {
    /// Prepares a handshake with a server at this address; nothing is sent yet.
    pub(super) fn new(tls: &Tls, address: SocketAddr) -> Result<Self, Trouble> {
        let unusable = |text: String| Trouble::Tls(TlsKind::Settings, text);
        let config = tls
            .config()
            .map_err(|invalid| unusable(invalid.to_string()))?;
        let name = match tls.name() {
            Some(name) => server_name(name).map_err(|invalid| unusable(invalid.to_string()))?,
            None => ServerName::IpAddress(address.ip().into()),
        };
        let offered = tls.alpn().into_iter().map(<[u8]>::to_vec).collect();
        let connection = ClientConnection::new_with_alpn(config, name, offered)
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Self {
            connection,
            tls: tls.clone(),
            plain: Vec::new(),
            taken: 0,
            goodbye: false,
            handshaking: true,
            closed: false,
        })
    }

    pub(super) const fn is_handshaking(&self) -> bool {
        self.handshaking
    }

    /// Whether it could go on if the socket took bytes.
    pub(super) fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    /// Goes on with the handshake as far as the socket lets it, or for its turn.
    pub(super) fn handshake(&mut self, socket: &Socket) -> Result<Shaken, Trouble> {
        for _ in 0..TURN {
            if let Err(trouble) = self.write(socket) {
                return Err(self.last_word(socket, trouble));
            }
            if !self.connection.is_handshaking() {
                // The last of our own bytes may still wait; they go before anything else.
                self.handshaking = false;
                return Ok(Shaken::Done(Box::new(self.info())));
            }
            match self.read(socket)? {
                Some(0) => {
                    let text = "the server closed the connection during the TLS handshake";
                    return Err(Trouble::Tls(TlsKind::Eof, text.to_owned()));
                }
                Some(_) => {}
                None => return Ok(Shaken::Waits),
            }
        }
        Ok(Shaken::More)
    }

    /// Adds to what is to be sent.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.plain.extend_from_slice(bytes);
    }

    /// Says that nothing more will be sent, once all that waits is gone.
    pub(super) const fn half_close(&mut self) {
        self.goodbye = true;
    }

    /// Sends what the kernel takes. True when nothing is left.
    pub(super) fn flush(&mut self, socket: &Socket) -> Result<bool, Trouble> {
        loop {
            match self.write(socket) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(trouble) => return Err(self.last_word(socket, trouble)),
            }
            let rest = self.plain.get(self.taken..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let sent = |error| Trouble::Io(Operation::Send, error);
            let count = self.connection.writer().write(rest).map_err(sent)?;
            self.taken = self.taken.saturating_add(count);
        }
        self.plain.clear();
        self.taken = 0;
        if core::mem::take(&mut self.goodbye) && self.tls.settings().close_notify {
            self.connection.send_close_notify();
            return self.write(socket);
        }
        Ok(true)
    }

    /// Reads what has arrived.
    pub(super) fn receive(
        &mut self,
        socket: &Socket,
        buffer: &mut [u8],
    ) -> Result<Arrived, Trouble> {
        for _ in 0..TURN {
            match self.connection.reader().read(buffer) {
                Ok(0) => return Ok(Arrived::Eof { orderly: true }),
                Ok(count) => return Ok(Arrived::Data { count, more: true }),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Ok(Arrived::Eof { orderly: false });
                }
                Err(error) => return Err(Trouble::Io(Operation::Receive, error)),
            }
            if self.closed || self.read(socket)?.is_none() {
                return Ok(Arrived::Nothing);
            }
            // The protocol itself may have something to answer.
            self.write(socket)?;
        }
        Ok(Arrived::More)
    }

    /// Says goodbye as far as that is possible without waiting.
    pub(super) fn close(&mut self, socket: &Socket) {
        if !self.handshaking && self.tls.settings().close_notify {
            self.connection.send_close_notify();
            let _ = self.write(socket);
        }
    }

    /// Hands encrypted bytes to the kernel. True when none are left.
    fn write(&mut self, mut socket: &Socket) -> Result<bool, Trouble> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Trouble::Io(Operation::Send, error)),
            }
        }
        Ok(true)
    }

    /// Takes encrypted bytes from the kernel: how many, 0 at the end, `None` if there are none.
    fn read(&mut self, mut socket: &Socket) -> Result<Option<usize>, Trouble> {
        let count = loop {
            match self.connection.read_tls(&mut socket) {
                Ok(count) => break count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Trouble::Io(Operation::Receive, error)),
            }
        };
        self.closed |= count == 0;
        match self.connection.process_new_packets() {
            Ok(_) => Ok(Some(count)),
            Err(error) => {
                // The server is told why, if it can be.
                let _ = self.write(socket);
                Err(self.refuse(&error))
            }
        }
    }

    /// What cannot be sent was perhaps refused by an alert, which says more.
    fn last_word(&mut self, socket: &Socket, trouble: Trouble) -> Trouble {
        for _ in 0..TURN {
            match self.read(socket) {
                Ok(Some(1..)) => {}
                Err(alert @ Trouble::Tls(..)) => return alert,
                _ => break,
            }
        }
        trouble
    }

    fn refuse(&self, error: &Error) -> Trouble {
        let (kind, text) = explain(error, &self.tls, self.handshaking);
        Trouble::Tls(kind, text)
    }

    fn info(&self) -> TlsInfo {
        let connection = &self.connection;
        let certificate = connection
            .peer_certificates()
            .and_then(|chain| chain.first());
        let not_after = certificate.and_then(not_after);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
        let days_left = not_after.zip(now).map(|(end, now)| days(now, end));
        let warning = i64::from(self.tls.settings().expiry_warning_days);
        let suite = connection.negotiated_cipher_suite();
        let suite = suite.and_then(|suite| suite.suite().as_str());
        TlsInfo {
            version: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => Some(TlsVersion::V1_2),
                Some(ProtocolVersion::TLSv1_3) => Some(TlsVersion::V1_3),
                _ => None,
            },
            cipher_suite: suite.unwrap_or_default().into(),
            alpn: connection.alpn_protocol().map(Into::into),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            not_after,
            days_left,
            expires_soon: days_left.is_some_and(|left| warning > 0 && left < warning),
        }
    }
}

/// Whole days from one time to another, negative if it is over.
fn days(now: Duration, end: Duration) -> i64 {
    let whole = |time: Duration| i64::try_from(time.as_secs() / DAY).unwrap_or(i64::MAX);
    match end.checked_sub(now) {
        Some(left) => whole(left),
        None => whole(now.saturating_sub(end))
            .saturating_neg()
            .saturating_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_and_negative_when_over() {
        let at = |days: u64| Duration::from_secs(1000 * DAY + days * DAY / 2);
        for (end, left) in [
            (10, 0),
            (11, 0),
            (12, 1),
            (13, 1),
            (9, -1),
            (8, -2),
            (6, -3),
        ] {
            assert_eq!(days(at(10), at(end)), left, "{end}");
        }
    }
}
