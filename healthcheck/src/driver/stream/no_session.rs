//! What stands for TLS where this library was built without it: nothing.

use core::net::SocketAddr;

use socket2::Socket;

use super::{Arrived, Shaken, Trouble};
use crate::probe::tls::{Tls, TlsKind};

/// There is none.
#[derive(Debug)]
pub(super) enum Session {}

impl Session {
    pub(super) fn new(_tls: &Tls, _address: SocketAddr) -> Result<Self, Trouble> {
        let text = "this library was built without the feature `tls`";
        Err(Trouble::Tls(TlsKind::Unsupported, text.to_owned()))
    }

    pub(super) const fn is_handshaking(&self) -> bool {
        match *self {}
    }

    pub(super) const fn wants_write(&self) -> bool {
        match *self {}
    }

    pub(super) const fn handshake(&mut self, _socket: &Socket) -> Result<Shaken, Trouble> {
        match *self {}
    }

    pub(super) const fn send(&mut self, _bytes: &[u8]) {
        match *self {}
    }

    pub(super) const fn half_close(&mut self) {
        match *self {}
    }

    pub(super) const fn flush(&mut self, _socket: &Socket) -> Result<bool, Trouble> {
        match *self {}
    }

    pub(super) const fn receive(
        &mut self,
        _socket: &Socket,
        _buffer: &mut [u8],
    ) -> Result<Arrived, Trouble> {
        match *self {}
    }

    pub(super) const fn close(&mut self, _socket: &Socket) {
        match *self {}
    }
}
