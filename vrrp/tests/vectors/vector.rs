//! Reads the vectors, and makes of each the receiver it describes.

use core::net::IpAddr;
use core::time::Duration;

use lvs_vrrp::codec::{AhFlavour, AhKey, Authentication, EthernetView, Password};
use lvs_vrrp::receive::{LocalRouter, Meta, Mode, Peer, SingleRouter, Versions};
use lvs_vrrp::{AddressList, Family, InterfaceIndex, Interval, Priority, Profile, Version, Vrid};
use serde_json::Value;

/// Where all packets of the tests come in.
pub(crate) const INTERFACE: InterfaceIndex = InterfaceIndex::new(2);

/// One vector.
pub(crate) struct Vector {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) frame: Vec<u8>,
    pub(crate) message: Vec<u8>,
    pub(crate) local: Value,
    pub(crate) fields: Value,
    pub(crate) checksum_form: Option<String>,
    /// `ok` or the token of a reason.
    pub(crate) expect: String,
}

/// All vectors, in order.
pub(crate) fn all() -> Vec<Vector> {
    let data: Value = serde_json::from_str(include_str!("../data/vrrp-vectors.json")).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let vectors = data["vectors"].as_array().unwrap().iter();
    vectors
        .map(|vector| Vector {
            id: text(&vector["id"]).unwrap(),
            kind: text(&vector["kind"]).unwrap(),
            frame: bytes(vector["frame"].as_str().unwrap()),
            message: bytes(vector["message"].as_str().unwrap_or("")),
            local: vector["local"].clone(),
            fields: vector["fields"].clone(),
            checksum_form: text(&vector["checksum_form"]),
            expect: text(&vector["expect"]).unwrap(),
        })
        .collect()
}

/// The vector of this name.
pub(crate) fn named(id: &str) -> Vector {
    let found = all().into_iter().find(|vector| vector.id == id);
    found.unwrap_or_else(|| panic!("no vector {id}"))
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = (0..hex.len()).step_by(2);
    digits
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

impl Vector {
    /// The packet, from its IP header on, and what is known of it.
    pub(crate) fn packet(&self) -> (Meta, &[u8]) {
        let frame = EthernetView::new(&self.frame).unwrap();
        let now = Duration::from_secs(100);
        let meta = match frame.family().unwrap() {
            Family::Ipv4 => Meta::ipv4(INTERFACE, now),
            Family::Ipv6 => Meta::ipv6(INTERFACE, now),
        };
        (meta, frame.payload())
    }

    /// The addresses that the packet lists, or some where it has no valid list.
    pub(crate) fn addresses(&self) -> AddressList {
        let list = match &self.fields["addrs"] {
            Value::Array(list) => list
                .iter()
                .map(|a| a.as_str().unwrap().parse().unwrap())
                .collect(),
            Value::String(text) if text == "as V06" => return named("V06").addresses(),
            Value::String(text) => text.split(", ").flat_map(range).collect(),
            _ if self.local["family"] == 4 => vec!["192.0.2.1".parse().unwrap()],
            _ => vec!["fe80::1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        };
        AddressList::new(list).unwrap()
    }

    /// The receiver that the vector describes.
    pub(crate) fn receiver(&self) -> Receiver {
        let local = &self.local;
        let version = local["version"].as_u64().unwrap().try_into().unwrap();
        let mode = local["mode"].as_str().unwrap_or("");
        let source = self.packet_source();
        let peer = mode.split_once("peer ").map_or(source, |(_, rest)| {
            rest.split(',').next().unwrap().parse().unwrap()
        });
        // Time to live 64, from a peer of which nothing else is said.
        let is_wide = mode.contains("min_ttl 0") || mode.contains("auth_hmac");
        let auth = local["auth"].as_str().unwrap_or("");
        Receiver {
            version: Version::from_number(version).unwrap(),
            vrid: u8::try_from(local["vrid"].as_u64().unwrap()).unwrap(),
            interval: interval(local["interval"].as_str().unwrap()),
            priority: Priority::new(99),
            addresses: self.addresses(),
            own_addresses: vec!["192.0.2.77".parse().unwrap()],
            authentication: authentication(auth),
            sequence: auth.contains("last seq 7").then_some(7),
            peers: mode.starts_with("unicast").then(|| {
                let ttl = if is_wide { 0..=255 } else { 255..=255 };
                vec![Peer::new(peer).with_ttl(ttl)]
            }),
            profile: match local["profile"].as_str() {
                Some("Strict9568") => Profile::Strict9568,
                Some(other) => panic!("profile {other}"),
                None => Profile::Linux,
            },
            #[cfg(feature = "hmac-trailer")]
            trailer_keys: mode
                .contains("auth_hmac key 9 = 0x4f × 32")
                .then(|| vec![lvs_vrrp::codec::TrailerKey::new(9, &[0x4f; 32]).unwrap()]),
        }
    }

    fn packet_source(&self) -> IpAddr {
        let (meta, packet) = self.packet();
        match meta.family() {
            Family::Ipv4 => <[u8; 4]>::try_from(&packet[12..16]).unwrap().into(),
            Family::Ipv6 => <[u8; 16]>::try_from(&packet[8..24]).unwrap().into(),
        }
    }
}

/// `10.9.0.1 … 10.9.0.250`, or one address.
fn range(text: &str) -> Vec<IpAddr> {
    let mut ends = text.split(" … ").map(|end| end.parse::<IpAddr>().unwrap());
    let first = ends.next().unwrap();
    match (first, ends.next().unwrap_or(first)) {
        (IpAddr::V4(first), IpAddr::V4(last)) => (first.to_bits()..=last.to_bits())
            .map(|bits| IpAddr::V4(bits.into()))
            .collect(),
        (IpAddr::V6(first), IpAddr::V6(last)) => (first.to_bits()..=last.to_bits())
            .map(|bits| IpAddr::V6(bits.into()))
            .collect(),
        _ => panic!("{text}"),
    }
}

/// `75 cs`, `3 s`
pub(crate) fn interval(text: &str) -> Interval {
    match text.split_once(' ').unwrap() {
        (number, "s") => Interval::from_seconds(number.parse().unwrap()).unwrap(),
        (number, "cs") => Interval::from_centiseconds(number.parse().unwrap()).unwrap(),
        _ => panic!("{text}"),
    }
}

/// Nothing, `1, PASSWORD`, or `2, key KEY, …`
fn authentication(text: &str) -> Authentication {
    let Some((kind, rest)) = text.split_once(", ") else {
        return Authentication::None;
    };
    if kind == "1" {
        return Authentication::Simple(Password::new(rest.as_bytes()));
    }
    let key = rest
        .strip_prefix("key ")
        .unwrap()
        .split(',')
        .next()
        .unwrap();
    let flavour = if rest.contains("icv=rfc2402") {
        AhFlavour::Rfc2402
    } else {
        AhFlavour::Keepalived
    };
    Authentication::Header(AhKey::new(flavour, key.as_bytes()).unwrap())
}

/// A receiver with one virtual router; fields can be changed.
pub(crate) struct Receiver {
    pub(crate) version: Version,
    pub(crate) vrid: u8,
    pub(crate) interval: Interval,
    pub(crate) priority: Priority,
    pub(crate) addresses: AddressList,
    pub(crate) own_addresses: Vec<IpAddr>,
    pub(crate) authentication: Authentication,
    pub(crate) sequence: Option<u32>,
    pub(crate) peers: Option<Vec<Peer>>,
    pub(crate) profile: Profile,
    #[cfg(feature = "hmac-trailer")]
    pub(crate) trailer_keys: Option<Vec<lvs_vrrp::codec::TrailerKey>>,
}

impl Receiver {
    pub(crate) fn vrid(&self) -> Vrid {
        Vrid::new(self.vrid).unwrap()
    }

    pub(crate) fn local(&self) -> LocalRouter<'_> {
        let mut local = LocalRouter::new(
            Versions::Only(self.version),
            self.priority,
            self.interval,
            &self.addresses,
            self.profile.receive_rules(),
        );
        local.own_addresses = &self.own_addresses;
        local.authentication = &self.authentication;
        local.sequence = self.sequence;
        if let Some(peers) = &self.peers {
            local.mode = Mode::Unicast { peers };
        }
        #[cfg(feature = "hmac-trailer")]
        {
            use lvs_vrrp::receive::{TrailerMode, TrailerRules};
            local.trailer = self.trailer_keys.as_deref().map(|keys| TrailerRules {
                mode: TrailerMode::Enforce,
                keys,
                last_sequence: None,
                window: None,
            });
        }
        local
    }

    pub(crate) fn single(&self) -> SingleRouter<'_> {
        SingleRouter::new(INTERFACE, self.vrid(), self.local())
    }
}
