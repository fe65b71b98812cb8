//! Announcements of one device: frames through a packet socket.

use alloc::collections::BTreeMap;
use alloc::string::String;
use std::io;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{LinkAddr, bind};
use socket2::{Domain, Socket, Type};

use super::send::SendBatch;
use super::{NetError, Operation};
use crate::address::InterfaceIndex;

/// A packet socket that sends frames from one device, and hears nothing: packet(7).
#[derive(Debug)]
pub struct FrameSender {
    socket: Socket,
    name: String,
}

impl FrameSender {
    /// Sends from the device of this name, in the network namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// Without CAP_NET_RAW, and where the device is not there.
    pub fn open(name: &str) -> Result<Self, NetError> {
        let devices = Devices::list().map_err(|error| cannot_bind(name, error))?;
        Self::open_among(&devices, name, None)
    }

    /// As [`open`](Self::open), one of these devices, which has this index.
    pub(super) fn open_among(
        devices: &Devices,
        name: &str,
        index: Option<InterfaceIndex>,
    ) -> Result<Self, NetError> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)
            .map_err(|error| NetError::new(Operation::OpenPacketSocket, name, error))?;
        let found = devices.0.get(name).filter(|found| {
            let there = index.and_then(|index| usize::try_from(index.get()).ok());
            there.is_none_or(|there| found.ifindex() == there)
        });
        let address = found.ok_or_else(|| cannot_bind(name, Errno::ENODEV.into()))?;
        bind(socket.as_raw_fd(), address).map_err(|errno| cannot_bind(name, errno.into()))?;
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

fn cannot_bind(name: &str, error: io::Error) -> NetError {
    NetError::new(Operation::BindToInterface, name, error)
}

/// What packet sockets are bound to, by name: with no protocol, so that nothing is heard.
#[derive(Debug)]
pub(super) struct Devices(BTreeMap<String, LinkAddr>);

impl Devices {
    /// All there are. It takes as long as listing all addresses does: once for many sockets.
    pub(super) fn list() -> io::Result<Self> {
        let all = getifaddrs()?.filter_map(|interface| {
            let address = *interface.address?.as_link_addr()?;
            Some((interface.interface_name, address))
        });
        Ok(Self(all.collect()))
    }
}
