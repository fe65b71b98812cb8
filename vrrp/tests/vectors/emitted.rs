//! What is sent: the value of each vector, written again.

use std::collections::BTreeMap;

use lvs_vrrp::checksum::ChecksumForm;
use lvs_vrrp::codec::{
    Advertisement, AuthType, Authentication, EthernetView, Message, Password, Transmission, v2, v3,
};
use lvs_vrrp::receive::Datagram;
use lvs_vrrp::{EncodeError, Family};

use crate::vector::{self, Vector};

/// How a vector looks when it is written again.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Written {
    /// The frame, byte for byte.
    Frame,
    /// The frame without its padding.
    WithoutPadding,
    /// The message; the IP header has options, which are never sent.
    Message,
    /// All but the reserved bits, which are sent as zero, and the checksum, which covers them.
    AllButReserved,
    /// All but the checksum, which is wrong in the vector.
    AllButChecksum,
    /// All but the digest, which is wrong in the vector.
    AllButDigest,
    /// The writer refuses the value.
    Refused,
    /// Not a value: length, version, type, authentication type or a zero.
    NoValue,
}

fn expected(vector: &Vector) -> Written {
    match vector.id.as_str() {
        "V11" => Written::AllButReserved,
        "V18" => Written::Message,
        "V19" => Written::WithoutPadding,
        // The trailer is a feature of its own; without it this is a wrong length.
        "V20" if cfg!(not(feature = "hmac-trailer")) => Written::NoValue,
        "X03" | "X05" | "X06" | "X07" | "X08" | "X09" | "X14" | "X15" | "X16" | "X20" => {
            Written::NoValue
        }
        "X10" | "X11" | "X12" | "X13" => Written::AllButChecksum,
        "X04" | "X22" => Written::Refused,
        "X23" => Written::AllButDigest,
        _ => Written::Frame,
    }
}

/// How many vectors are written in each way.
pub(crate) fn counts() -> BTreeMap<Written, usize> {
    let mut counts = BTreeMap::new();
    for vector in vector::all().iter().filter(|vector| vector.kind == "vrrp") {
        *counts.entry(write(vector)).or_default() += 1;
    }
    counts
}

/// `VRRP-002`, `VRRP-004`, `VRRP-006`, `VRRP-008`, `VRRP-009`, `VRRP-019`, `VRRP-103`,
/// `VRRP-106`, `VRRP-218`
#[test]
fn vectors_are_written_as_they_were() {
    for vector in vector::all().iter().filter(|vector| vector.kind == "vrrp") {
        assert_eq!(write(vector), expected(vector), "{}", vector.id);
    }
}

/// The value that a message has, whatever a receiver would think of it.
fn value<'a>(vector: &'a Vector, family: Family) -> Option<Advertisement<'a>> {
    let mut bytes = &vector.message[..];
    if cfg!(feature = "hmac-trailer") && vector.id == "V20" {
        bytes = &bytes[..bytes.len() - 28];
    }
    let message = Message::new(bytes).ok()?;
    if message.type_number() != 1 {
        return None;
    }
    match message.version_number() {
        2 if family == Family::Ipv4 => {
            let view = v2::View::new(message).ok()?;
            let is_known = !matches!(view.auth_type(), AuthType::Other(_));
            is_known.then(|| view.advertisement().ok())?
        }
        3 => v3::View::new(message, family).ok()?.advertisement().ok(),
        2 => {
            // Over IPv6, which has no such message: the list and eight bytes.
            let list = &message.body()[..16];
            let view = v3::View::new(message, family);
            assert!(view.is_err());
            Some(Advertisement {
                version: lvs_vrrp::Version::V2,
                vrid: message.vrid_number().try_into().unwrap(),
                priority: message.priority(),
                interval: lvs_vrrp::Interval::DEFAULT,
                addresses: lvs_vrrp::Addresses::new(family, list).unwrap(),
            })
        }
        _ => None,
    }
}

fn write(vector: &Vector) -> Written {
    let (meta, packet) = vector.packet();
    let datagram = Datagram::new(&meta, packet).unwrap();
    let Some(advertisement) = value(vector, meta.family()) else {
        return Written::NoValue;
    };
    let receiver = vector.receiver();
    let password;
    let mut authentication = &receiver.authentication;
    let sent = Message::new(&vector.message).unwrap();
    if vector.id == "X18" || vector.id == "X19" {
        let view = v2::View::new(sent).unwrap();
        password = Authentication::Simple(Password::new(view.auth_data()));
        authentication = &password;
    } else if advertisement.version == lvs_vrrp::Version::V3 {
        authentication = &Authentication::None;
    }
    let sequence = datagram
        .authentication_header()
        .map_or(0, |header| header.sequence());
    let form = match vector.checksum_form.as_deref() {
        Some("message-only" | "both") => ChecksumForm::MessageOnly,
        // The rejected ones were made with pseudo-header, those that name none.
        _ => ChecksumForm::PseudoHeader,
    };
    let transmission = Transmission::unicast(datagram.source(), datagram.destination())
        .with_ttl(datagram.ttl())
        .with_identification(0x1234)
        .with_checksum(form)
        .with_authentication(authentication, sequence);
    #[cfg(feature = "hmac-trailer")]
    let key = lvs_vrrp::codec::TrailerKey::new(9, &[0x4f; 32]).unwrap();
    #[cfg(feature = "hmac-trailer")]
    let transmission = if vector.id == "V20" {
        transmission.with_trailer(&key, 0x68c0_ffee_0001_0002)
    } else {
        transmission
    };
    let frame = EthernetView::new(&vector.frame).unwrap();
    // Filled, to see that every byte of the length is written, and none behind it.
    let mut buffer = [0xa5; 1600];
    let (to, from) = (frame.destination(), frame.source());
    let length = match transmission.emit_frame(&advertisement, to, from, &mut buffer) {
        Ok(length) => length,
        Err(EncodeError::Version { .. } | EncodeError::FirstNotLinkLocal { .. }) => {
            return Written::Refused;
        }
        Err(error) => panic!("{}: {error}", vector.id),
    };
    let mut emptied = [0x5a; 1600];
    transmission
        .emit_frame(&advertisement, to, from, &mut emptied)
        .unwrap();
    assert_eq!(buffer[..length], emptied[..length], "{}", vector.id);
    assert!(
        buffer[length..].iter().all(|byte| *byte == 0xa5),
        "{}",
        vector.id
    );
    compare(&buffer[..length], vector, sent)
}

fn compare(written: &[u8], vector: &Vector, sent: Message<'_>) -> Written {
    let frame = &vector.frame[..];
    if written == frame {
        return Written::Frame;
    }
    if frame.starts_with(written) && frame[written.len()..].iter().all(|byte| *byte == 0) {
        return Written::WithoutPadding;
    }
    if written.ends_with(sent.bytes()) {
        assert_eq!(written[..14], frame[..14]);
        let is_same = written.len() == frame.len();
        assert!(!is_same || written[..34] == frame[..34]);
        return if is_same {
            Written::AllButDigest
        } else {
            Written::Message
        };
    }
    let at = frame.len() - sent.bytes().len();
    let mut differ = (0..frame.len()).filter(|place| written[*place] != frame[*place]);
    let is_reserved = frame[at + 4] & 0xf0 != 0 && written[at + 4] == frame[at + 4] & 0x0f;
    if differ.all(|place| place == at + 6 || place == at + 7 || (is_reserved && place == at + 4)) {
        return if is_reserved {
            Written::AllButReserved
        } else {
            Written::AllButChecksum
        };
    }
    panic!("{}: {written:02x?} instead of {frame:02x?}", vector.id);
}
