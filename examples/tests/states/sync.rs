//! Synchronisation messages: any connection in any state, as another director would report it
//! (kernel interface specification, sections 4.3 and 11.2).

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// Flags of a connection: the forwarding method, and what a backup keeps besides.
pub(crate) const MASQUERADE: u32 = 0;
pub(crate) const DIRECT_ROUTE: u32 = 3;
pub(crate) const NO_OUTPUT: u32 = 0x80;
pub(crate) const INACTIVE: u32 = 0x100;

/// Where messages go.
const GROUP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 81)), 8848);

/// Size of a record without options, IPv4.
const RECORD: u16 = 36;

/// One connection of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) protocol: u8,
    pub(crate) flags: u32,
    pub(crate) state: u16,
    pub(crate) client: SocketAddr,
    pub(crate) virtual_address: SocketAddr,
    pub(crate) destination: SocketAddr,
    /// Seconds.
    pub(crate) timeout: u32,
}

/// Sends the connections to a backup that listens on the loopback interface, in as few messages as
/// they fit into.
pub(crate) fn send(records: &[Record]) {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
    socket.bind_device(Some(b"lo")).unwrap();
    for records in records.chunks(40) {
        socket.send_to(&message(records), &GROUP.into()).unwrap();
    }
}

fn message(records: &[Record]) -> Vec<u8> {
    let size = 8 + records.len() * usize::from(RECORD);
    let mut bytes = vec![0, 0];
    bytes.extend(u16::try_from(size).unwrap().to_be_bytes());
    bytes.extend([u8::try_from(records.len()).unwrap(), 1, 0, 0]);
    for record in records {
        write(record, &mut bytes);
    }
    assert_eq!(bytes.len(), size);
    bytes
}

fn write(record: &Record, bytes: &mut Vec<u8>) {
    let &Record {
        protocol,
        flags,
        state,
        client,
        virtual_address,
        destination,
        timeout,
    } = record;
    bytes.extend([0, protocol]);
    bytes.extend(RECORD.to_be_bytes());
    bytes.extend(flags.to_be_bytes());
    bytes.extend(state.to_be_bytes());
    let ends = [client, virtual_address, destination];
    for end in ends {
        bytes.extend(end.port().to_be_bytes());
    }
    // No firewall mark.
    bytes.extend([0; 4]);
    bytes.extend(timeout.to_be_bytes());
    for end in ends {
        match end.ip() {
            IpAddr::V4(address) => bytes.extend(address.octets()),
            IpAddr::V6(address) => panic!("{address}: IPv4 alone"),
        }
    }
}
