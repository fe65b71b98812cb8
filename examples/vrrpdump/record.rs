//! What is shown of a packet: as much as can be read, whether a router would accept it or not.

use core::net::IpAddr;
use core::time::Duration;

use lvs_vrrp::checksum::{ChecksumFinding, RxChecksum};
use lvs_vrrp::codec::{Message, v2, v3};
use lvs_vrrp::receive::{Accepted, Datagram, Meta};
use lvs_vrrp::{Family, Observation, Rejection, Version};

/// The row of the checksum: what fails before it is not summed up. What fails there may have a form
/// that a profile does not accept.
const CHECKSUM_ROW: u8 = 10;

/// One packet of VRRP.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Since 1970.
    pub(crate) time: Option<Duration>,
    /// Empty if nobody said.
    pub(crate) interface: String,
    /// The outermost first.
    pub(crate) vlans: Vec<u16>,
    pub(crate) ends: Option<Ends>,
    pub(crate) version: Option<u8>,
    pub(crate) vrid: Option<u8>,
    pub(crate) priority: Option<u8>,
    /// In hundredths of a second.
    pub(crate) interval: Option<u32>,
    /// Of VRRPv2.
    pub(crate) auth_type: Option<u8>,
    /// Of an authentication header.
    pub(crate) sequence: Option<u32>,
    /// Of VRRPv3.
    pub(crate) checksum: Option<ChecksumFinding>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) rejection: Option<Rejection>,
    pub(crate) observations: Vec<Observation>,
    /// How many bytes of how many were captured, where it was not all of them.
    pub(crate) cut: Option<(usize, usize)>,
}

/// Where a packet comes from and goes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) ttl: u8,
}

impl Record {
    /// Reads what can be read, and takes over what the ladder said.
    pub(crate) fn new(meta: &Meta, bytes: &[u8], result: &Result<Accepted<'_>, Rejection>) -> Self {
        let observations = match result {
            Ok(accepted) => accepted.observations,
            Err(rejection) => rejection.observations(),
        };
        let mut record = Self {
            time: None,
            interface: String::new(),
            vlans: Vec::new(),
            ends: None,
            version: None,
            vrid: None,
            priority: None,
            interval: None,
            auth_type: None,
            sequence: None,
            checksum: None,
            addresses: Vec::new(),
            rejection: result.as_ref().err().copied(),
            observations: observations.iter().collect(),
            cut: None,
        };
        let Ok(datagram) = Datagram::new(meta, bytes) else {
            return record;
        };
        record.ends = Some(Ends {
            source: datagram.source(),
            destination: datagram.destination(),
            ttl: datagram.ttl(),
        });
        let header = datagram.authentication_header();
        record.sequence = header.map(|header| header.sequence());
        // Of a message that is too short there may still be an id.
        record.vrid = datagram.message().get(1).copied();
        let Ok(message) = Message::new(datagram.message()) else {
            record.version = datagram.message().first().map(|first| first >> 4);
            return record;
        };
        record.version = Some(message.version_number());
        record.priority = Some(message.priority().get());
        let [_, _, _, _, auth_type, low, ..] = *message.head();
        match (message.version(), meta.family()) {
            (Some(Version::V2), Family::Ipv4) => {
                record.interval = Some(u32::from(low) * 100);
                record.auth_type = Some(auth_type);
                if let Ok(view) = v2::View::new(message) {
                    record.addresses = view.addresses().iter().collect();
                }
            }
            (Some(Version::V3), family) => {
                let interval = u16::from_be_bytes([auth_type & 0xf, low]);
                record.interval = Some(interval.into());
                record.read_v3(&datagram, message, family);
            }
            _ => {}
        }
        if let Ok(accepted) = result {
            record.checksum = accepted.checksum;
        }
        record
    }

    fn read_v3(&mut self, datagram: &Datagram<'_>, message: Message<'_>, family: Family) {
        let (message, extension) = without_trailer(message, family);
        let Ok(view) = v3::View::new(message, family) else {
            return;
        };
        self.addresses = view.addresses().iter().collect();
        let is_summed = self
            .rejection
            .is_none_or(|rejection| rejection.row() >= CHECKSUM_ROW);
        if is_summed {
            let policy = RxChecksum::EitherOrGroup;
            let (source, destination) = (datagram.source(), datagram.destination());
            self.checksum = view.checksum(source, destination, extension, policy);
        }
    }

    /// What is wrong with it, if something is, in the words of the ladder.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        self.rejection.map(|rejection| rejection.reason().as_str())
    }
}

/// Parts a message from keepalived's `auth_hmac` trailer, which it may have.
fn without_trailer<'a>(message: Message<'a>, family: Family) -> (Message<'a>, &'a [u8]) {
    let length = v3::FIXED_LEN + usize::from(message.count()) * family.address_len();
    let parted = message.bytes().split_at_checked(length);
    match parted {
        Some((bytes, trailer)) if lvs_vrrp::codec::TrailerView::new(trailer).is_some() => {
            Message::new(bytes).map_or((message, &[]), |message| (message, trailer))
        }
        _ => (message, &[]),
    }
}
