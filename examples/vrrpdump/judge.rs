//! The receive ladder applied to what somebody else received.
//!
//! A virtual router given by `--vr` need not say everything a router knows of itself. What it
//! leaves out is filled in so that the check for it cannot fail: mostly with what the packet says.

use core::net::IpAddr;
use core::ops::RangeInclusive;
use std::collections::HashMap;

use lvs_vrrp::checksum::{ChecksumFinding, ChecksumForm};
use lvs_vrrp::codec::{Authentication, Message, Password, v2};
use lvs_vrrp::priority::Rank;
use lvs_vrrp::profile::{AddressListPolicy, ReceiveRules};
use lvs_vrrp::receive::{
    Accepted, Datagram, LocalRouter, Lookup, Meta, Mode, Observations, Peer, Routers, TrailerMode,
    TrailerRules, Versions, receive,
};
use lvs_vrrp::{
    AddressList, Family, InterfaceIndex, Interval, Observation, Priority, Rejection, Version, Vrid,
};

use crate::router::ConfiguredRouter;

/// The ladder, its rules, and who it judges for.
pub(crate) struct Judge<'c> {
    rules: ReceiveRules,
    routers: Vec<(&'c ConfiguredRouter, Memory)>,
}

/// What a configured router remembers of the packets it accepted.
#[derive(Clone, Debug, Default)]
struct Memory {
    sequence: Option<u32>,
    active: Option<Rank>,
    form: Option<ChecksumForm>,
    trailers: HashMap<IpAddr, u64>,
}

impl<'c> Judge<'c> {
    pub(crate) fn new(rules: ReceiveRules, routers: &'c [ConfiguredRouter]) -> Self {
        Self {
            rules,
            routers: routers
                .iter()
                .map(|router| {
                    let memory = Memory {
                        sequence: router.sequence,
                        ..Memory::default()
                    };
                    (router, memory)
                })
                .collect(),
        }
    }

    /// Judges a packet that came in at the interface of that name.
    pub(crate) fn judge<'a>(
        &mut self,
        meta: &Meta,
        interface: &str,
        bytes: &'a [u8],
    ) -> Result<Accepted<'a>, Rejection> {
        let opened = Datagram::new(meta, bytes).ok();
        let place = opened.as_ref().and_then(|datagram| {
            let vrid = Vrid::new(*datagram.message().get(1)?)?;
            self.choose(interface, meta.family(), vrid, datagram.source())
        });
        let given = Given::new(opened.as_ref());
        let here = Here {
            judge: self,
            interface,
            place,
            given: &given,
        };
        let mut accepted = receive(meta, bytes, &here)?;
        let chosen = place.and_then(|place| self.routers.get_mut(place));
        if let Some((router, memory)) = chosen {
            memory.remember(&accepted);
            if router.addresses.is_none() {
                let seen = accepted.observations.iter();
                let seen = seen.filter(|seen| *seen != Observation::AddressList);
                accepted.observations = seen.fold(Observations::NONE, Observations::with);
            }
        }
        Ok(accepted)
    }

    /// The configured router that a packet is for: of several the one that has its source as peer.
    fn choose(&self, interface: &str, family: Family, vrid: Vrid, source: IpAddr) -> Option<usize> {
        let mut fitting = self
            .routers
            .iter()
            .enumerate()
            .filter(|(_, (router, _))| router.vrid == vrid && router.is_at(interface, family));
        let has_peer =
            |router: &ConfiguredRouter| router.peers.iter().any(|peer| peer.address() == source);
        let first = fitting.clone().next();
        let found = fitting.find(|(_, (router, _))| has_peer(router)).or(first);
        found.map(|(place, _)| place)
    }
}

impl Memory {
    fn remember(&mut self, accepted: &Accepted<'_>) {
        let priority = accepted.advertisement.priority;
        self.sequence = accepted.sequence.or(self.sequence);
        self.active = (!priority.is_resign()).then(|| Rank::new(priority, accepted.source));
        let form = accepted.checksum.and_then(ChecksumFinding::form);
        self.form = form.or(self.form);
        if let Some(sequence) = accepted.trailer_sequence {
            self.trailers.insert(accepted.source, sequence);
        }
    }
}

/// What the packet says, to be compared with itself where nothing was configured.
struct Given {
    version: Version,
    priority: Priority,
    interval: Interval,
    /// `None` where it has an authentication that cannot be compared with itself.
    authentication: Option<Authentication>,
    /// Its source, which is not looked at where no addresses are configured.
    addresses: Option<AddressList>,
    group: Option<IpAddr>,
    peers: Vec<Peer>,
    source: Option<IpAddr>,
}

impl Given {
    fn new(datagram: Option<&Datagram<'_>>) -> Self {
        let mut given = Self {
            version: Version::V3,
            priority: Priority::DEFAULT,
            interval: Interval::DEFAULT,
            authentication: Some(Authentication::None),
            addresses: None,
            group: None,
            peers: Vec::new(),
            source: None,
        };
        let Some(datagram) = datagram else {
            return given;
        };
        let destination = datagram.destination();
        given.source = Some(datagram.source());
        given.addresses = AddressList::new([datagram.source()]).ok();
        if destination.is_multicast() {
            given.group = Some(destination);
        } else {
            given.peers.push(Peer::new(datagram.source()));
        }
        if datagram.authentication_header().is_some() {
            given.authentication = None;
        }
        let Ok(message) = Message::new(datagram.message()) else {
            return given;
        };
        given.priority = message.priority();
        let [_, _, _, _, high, low, ..] = *message.head();
        let interval = match message.version() {
            Some(Version::V2) => {
                given.version = Version::V2;
                if let (Ok(view), Some(_)) = (v2::View::new(message), &given.authentication) {
                    given.authentication = match view.auth_type().number() {
                        1 => Some(Authentication::Simple(Password::new(view.auth_data()))),
                        2 => None,
                        _ => Some(Authentication::None),
                    };
                }
                Interval::from_seconds(low)
            }
            _ => Interval::from_centiseconds(u16::from_be_bytes([high & 0xf, low])),
        };
        // A wrong one is refused before it is compared.
        given.interval = interval.unwrap_or(Interval::DEFAULT);
        given
    }
}

/// The routers as one packet sees them.
struct Here<'j, 'c> {
    judge: &'j Judge<'c>,
    interface: &'j str,
    /// The one it is for.
    place: Option<usize>,
    given: &'j Given,
}

impl Here<'_, '_> {
    fn routers(&self) -> impl Iterator<Item = &ConfiguredRouter> {
        let routers = self.judge.routers.iter().map(|(router, _)| *router);
        routers.filter(|router| router.is_on(self.interface))
    }

    /// The router as the ladder wants it; `None` if too little is known of its authentication.
    fn local<'a>(
        &'a self,
        router: &'a ConfiguredRouter,
        memory: &'a Memory,
    ) -> Option<LocalRouter<'a>> {
        let given = self.given;
        let mut rules = self.judge.rules;
        if router.addresses.is_none() {
            rules.v2_address_list = AddressListPolicy::LogOnly;
        }
        let mut local = LocalRouter::new(
            router.versions.unwrap_or(Versions::Only(given.version)),
            // Neither the packet's nor the owner's, unless it is known.
            router
                .priority
                .unwrap_or_else(|| match given.priority.get() {
                    1 => Priority::new(2),
                    _ => Priority::new(1),
                }),
            router.interval.unwrap_or(given.interval),
            router.addresses.as_ref().or(given.addresses.as_ref())?,
            rules,
        );
        local.own_addresses = &router.own_addresses;
        local.authentication = match &router.authentication {
            Some(authentication) => authentication,
            None => given.authentication.as_ref()?,
        };
        local.sequence = memory.sequence;
        local.mode = match (router.group, given.group) {
            (Some(group), _) => Mode::Multicast { group },
            (None, _) if !router.peers.is_empty() => Mode::Unicast {
                peers: &router.peers,
            },
            (None, Some(group)) => Mode::Multicast { group },
            (None, None) => Mode::Unicast {
                peers: &given.peers,
            },
        };
        local.active = memory.active;
        local.peer_form = memory.form;
        if !router.trailer_keys.is_empty() {
            let source = given.source.as_ref();
            local.trailer = Some(TrailerRules {
                mode: TrailerMode::Enforce,
                keys: &router.trailer_keys,
                last_sequence: source
                    .and_then(|source| memory.trailers.get(source))
                    .copied(),
                window: None,
            });
        }
        Some(local)
    }
}

impl Routers for Here<'_, '_> {
    fn peer_ttl(&self, _: InterfaceIndex, source: IpAddr) -> Option<RangeInclusive<u8>> {
        let peers = self.routers().flat_map(|router| &router.peers);
        let ranges = peers.filter(|peer| peer.address() == source).map(Peer::ttl);
        ranges.fold(None, |widest: Option<RangeInclusive<u8>>, range| {
            let (start, end) = (*range.start(), *range.end());
            Some(widest.map_or(start..=end, |widest| {
                start.min(*widest.start())..=end.max(*widest.end())
            }))
        })
    }

    fn expects_authentication_header(&self, _: InterfaceIndex) -> bool {
        let mut none = true;
        let expects = self.routers().any(|router| {
            none = false;
            !matches!(
                router.authentication,
                Some(Authentication::None | Authentication::Simple(_))
            )
        });
        expects || none
    }

    fn find(&self, _: InterfaceIndex, family: Family, vrid: Vrid, _: IpAddr) -> Lookup<'_> {
        let chosen = self.place.and_then(|place| self.judge.routers.get(place));
        match chosen {
            Some((router, memory)) if router.vrid == vrid => {
                let local = self.local(router, memory);
                local.map_or(Lookup::Any(self.judge.rules), Lookup::Router)
            }
            // What is not configured here is for nobody, if anything is.
            _ if self
                .routers()
                .any(|router| router.is_at(self.interface, family)) =>
            {
                Lookup::Unknown
            }
            _ => Lookup::Any(self.judge.rules),
        }
    }
}
