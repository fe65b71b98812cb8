//! Announcements of one device: frames through a packet socket.

use alloc::string::String;
use std::io;
use std::os::fd::AsRawFd;

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{LinkAddr, bind};
use socket2::{Domain, Socket, Type};

use super::send::SendBatch;
use super::{NetError, Operation};

/// A packet socket that sends frames from one device, and hears nothing: packet(7).
#[derive(Debug)]
pub struct FrameSender {
    socket: Socket,
    name: String,
}

impl FrameSender {
    /// Sends from the device of this name.
    ///
    /// # Errors
    ///
    /// Without CAP_NET_RAW, and where the device is not there.
    pub fn open(name: &str) -> Result<Self, NetError> {
        let failed = |operation| move |error: io::Error| NetError::new(operation, name, error);
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)
            .map_err(failed(Operation::OpenPacketSocket))?;
        let address = link_address(name).map_err(failed(Operation::BindToInterface))?;
        bind(socket.as_raw_fd(), &address)
            .map_err(|errno| NetError::new(Operation::BindToInterface, name, errno))?;
        Ok(Self {
            socket,
            name: name.into(),
        })
    }

    /// From which device.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.name
    }

    /// Sends frames in order, each once, and tells of each which place it has in the batch and what
    /// became of it. It never waits: what finds no room has failed.
    pub fn send(&self, batch: &SendBatch, mut each: impl FnMut(usize, Result<(), NetError>)) {
        batch.transmit::<LinkAddr>(
            &self.socket,
            |_| None,
            |place, result| {
                each(
                    place,
                    result.map_err(|error| NetError::new(Operation::Send, &*self.name, error)),
                );
            },
        );
    }
}

/// The address to bind to: with no protocol, so that nothing is heard.
fn link_address(name: &str) -> io::Result<LinkAddr> {
    let interfaces = getifaddrs()?;
    let mut here = interfaces.filter(|interface| interface.interface_name == name);
    here.find_map(|interface| interface.address?.as_link_addr().copied())
        .ok_or_else(|| io::Error::from(nix::errno::Errno::ENODEV))
}
