//! Properties of everything that can be sent: it is received as it was, and no bit of it can change
//! unnoticed.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::collections::BTreeSet;

use lvs_vrrp::checksum::ChecksumForm;
use lvs_vrrp::checksum::RxChecksum;
use lvs_vrrp::codec::{
    Advertisement, AhFlavour, AhKey, Authentication, Ipv4View, Password, Transmission,
};
use lvs_vrrp::receive::{Accepted, LocalRouter, Meta, Mode, Peer, SingleRouter, Versions};
use lvs_vrrp::{
    AddressList, Family, InterfaceIndex, Interval, Priority, Profile, Rejection, Version, Vrid,
    receive,
};
use proptest::collection::btree_set;
use proptest::prelude::*;

/// Something that can be sent, and what its receiver must know.
#[derive(Clone, Debug)]
struct Sent {
    version: Version,
    vrid: u8,
    priority: u8,
    interval: Interval,
    addresses: AddressList,
    source: IpAddr,
    /// `None` is the group.
    destination: Option<IpAddr>,
    ttl: u8,
    identification: u16,
    form: ChecksumForm,
    authentication: Authentication,
    sequence: u32,
}

fn authentication() -> impl Strategy<Value = Authentication> {
    let flavour = prop_oneof![Just(AhFlavour::Keepalived), Just(AhFlavour::Rfc2402)];
    prop_oneof![
        Just(Authentication::None),
        any::<[u8; 8]>().prop_map(|text| Authentication::Simple(Password::new(&text))),
        (flavour, any::<[u8; 8]>())
            .prop_map(|(flavour, key)| Authentication::Header(AhKey::new(flavour, &key).unwrap())),
    ]
}

fn form() -> impl Strategy<Value = ChecksumForm> {
    prop_oneof![
        Just(ChecksumForm::MessageOnly),
        Just(ChecksumForm::PseudoHeader)
    ]
}

fn lists(family: Family) -> impl Strategy<Value = AddressList> {
    let sets: BoxedStrategy<BTreeSet<u128>> = btree_set(any::<u128>(), 1..12).boxed();
    (sets, any::<bool>()).prop_filter_map("twice", move |(numbers, reversed)| {
        let mut addresses: Vec<IpAddr> = numbers
            .into_iter()
            .map(|number| match family {
                Family::Ipv4 => {
                    Ipv4Addr::from(number.to_be_bytes().first_chunk::<4>().copied().unwrap()).into()
                }
                Family::Ipv6 => Ipv6Addr::from(number).into(),
            })
            .collect();
        if reversed {
            addresses.reverse();
        }
        if family == Family::Ipv6 {
            let IpAddr::V6(first) = addresses[0] else {
                return None;
            };
            let mut octets = first.octets();
            octets[0] = 0xfe;
            octets[1] = octets[1] & 0x3f | 0x80;
            addresses[0] = octets.into();
        }
        AddressList::new(addresses).ok()
    })
}

/// A source, and a destination that is no group.
fn ends(family: Family) -> impl Strategy<Value = (IpAddr, Option<IpAddr>)> {
    let address = move || {
        any::<u128>().prop_map(move |number| match family {
            Family::Ipv4 => IpAddr::from([10, 0, number.to_be_bytes()[0], number.to_be_bytes()[1]]),
            Family::Ipv6 => Ipv6Addr::from(number >> 16 | 0xfe80 << 112).into(),
        })
    };
    (address(), proptest::option::of(address()))
}

fn sent() -> impl Strategy<Value = Sent> {
    let kind = prop_oneof![
        Just((Version::V2, Family::Ipv4)),
        Just((Version::V3, Family::Ipv4)),
        Just((Version::V3, Family::Ipv6)),
    ];
    kind.prop_flat_map(|(version, family)| {
        let interval = match version {
            Version::V2 => (1..=255_u16).boxed(),
            Version::V3 => (1..=4095_u16).boxed(),
        };
        (
            (
                1..=255_u8,
                any::<u8>(),
                interval,
                lists(family),
                ends(family),
            ),
            (
                any::<u8>(),
                any::<u16>(),
                form(),
                authentication(),
                any::<u32>(),
            ),
        )
            .prop_map(move |(value, travel)| {
                let (vrid, priority, interval, addresses, (source, destination)) = value;
                let (ttl, identification, form, authentication, sequence) = travel;
                Sent {
                    version,
                    vrid,
                    priority,
                    interval: match version {
                        Version::V2 => Interval::from_seconds(interval.try_into().unwrap()),
                        Version::V3 => Interval::from_centiseconds(interval),
                    }
                    .unwrap(),
                    addresses,
                    source,
                    destination,
                    ttl: if destination.is_some() { ttl } else { 255 },
                    identification,
                    form,
                    authentication: match version {
                        Version::V2 => authentication,
                        Version::V3 => Authentication::None,
                    },
                    sequence,
                }
            })
    })
}

impl Sent {
    fn advertisement(&self) -> Advertisement<'_> {
        Advertisement {
            version: self.version,
            vrid: Vrid::new(self.vrid).unwrap(),
            priority: Priority::new(self.priority),
            interval: self.interval,
            addresses: self.addresses.as_addresses(),
        }
    }

    fn packet(&self) -> Vec<u8> {
        let destination = self
            .destination
            .unwrap_or_else(|| self.addresses.family().group());
        let mut buffer = [0xa5; 1500];
        let length = Transmission::unicast(self.source, destination)
            .with_ttl(self.ttl)
            .with_identification(self.identification)
            .with_checksum(self.form)
            .with_authentication(&self.authentication, self.sequence)
            .emit_packet(&self.advertisement(), &mut buffer)
            .unwrap();
        assert!(buffer[length..].iter().all(|byte| *byte == 0xa5));
        buffer[..length].to_vec()
    }

    /// Receives a packet as the one it was sent to, with one checksum form only.
    fn receive<'a>(&self, packet: &'a [u8]) -> Result<Accepted<'a>, Rejection> {
        let peers = [Peer::new(self.source).with_ttl(self.ttl..=self.ttl)];
        let mut local = LocalRouter::new(
            Versions::Only(self.version),
            Priority::DEFAULT,
            self.interval,
            &self.addresses,
            Profile::Linux.receive_rules(),
        );
        local.rules.checksum = RxChecksum::Strict(self.form);
        local.authentication = &self.authentication;
        if self.destination.is_some() {
            local.mode = Mode::Unicast { peers: &peers };
        }
        let here = InterfaceIndex::new(2);
        let meta = match self.addresses.family() {
            Family::Ipv4 => Meta::ipv4(here, Duration::ZERO),
            Family::Ipv6 => Meta::ipv6(here, Duration::ZERO),
        };
        let vrid = Vrid::new(self.vrid).unwrap();
        receive(&meta, packet, &SingleRouter::new(here, vrid, local))
    }
}

proptest! {
    /// `VRRP-103`, `VRRP-218`
    #[test]
    fn what_is_sent_is_received(sent in sent()) {
        let packet = sent.packet();
        let accepted = sent.receive(&packet).unwrap();
        prop_assert_eq!(accepted.advertisement, sent.advertisement());
        prop_assert_eq!((accepted.source, accepted.ttl), (sent.source, sent.ttl));
        let form = accepted.checksum.and_then(|finding| finding.form());
        prop_assert!(form.is_none() || form == Some(sent.form));
        let has_header = matches!(sent.authentication, Authentication::Header(_));
        prop_assert_eq!(accepted.sequence, has_header.then_some(sent.sequence));
        // The owned copy of a received list is the configured one.
        let copy = AddressList::try_from(accepted.advertisement.addresses).unwrap();
        prop_assert_eq!(&copy, &sent.addresses);
    }

    /// `VRRP-023`: a bit that is changed is noticed, or is one that is ignored. In IPv4 the checksum
    /// of the header, which the kernel verifies, guards what VRRP's own does not cover.
    #[test]
    fn no_bit_changes_unnoticed(sent in sent()) {
        let packet = sent.packet();
        let good = sent.receive(&packet).unwrap();
        let family = sent.addresses.family();
        for bit in 0..packet.len() * 8 {
            let mut changed = packet.clone();
            changed[bit / 8] ^= 0x80 >> (bit % 8);
            let Ok(accepted) = sent.receive(&changed) else {
                continue;
            };
            match (family, bit) {
                // Traffic class and flow label.
                (Family::Ipv6, 4..32) => prop_assert_eq!(accepted, good),
                // Type of service, identification, "do not fragment", the header's checksum.
                (Family::Ipv4, 8..16 | 32..50 | 80..96) => prop_assert_eq!(accepted, good),
                // Addresses: covered by nothing of VRRP's own without a pseudo-header; of the
                // destination, the receiver knows only that it is no group.
                (Family::Ipv4, 96..160) => {
                    prop_assert_eq!(accepted.advertisement, good.advertisement);
                    prop_assert!(!Ipv4View::new(&changed).unwrap().checksum_is_right());
                    prop_assert!(
                        sent.version == Version::V2 || sent.form == ChecksumForm::MessageOnly
                    );
                }
                _ => prop_assert!(false, "bit {} of {:?}", bit, sent),
            }
        }
    }

    /// `VRRP-085`: whatever is cut off.
    #[test]
    fn no_truncation_is_received(sent in sent()) {
        let packet = sent.packet();
        for length in 0..packet.len() {
            prop_assert!(sent.receive(&packet[..length]).is_err());
        }
    }
}
