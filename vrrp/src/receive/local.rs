//! What a receiver knows of itself: the virtual routers configured, and the state of one that the
//! ladder looks at.

use core::net::IpAddr;
use core::ops::RangeInclusive;

use crate::address::{AddressList, Family, InterfaceIndex, TTL};
use crate::checksum::ChecksumForm;
use crate::codec::Authentication;
#[cfg(feature = "hmac-trailer")]
use crate::codec::TrailerKey;
use crate::interval::Interval;
use crate::priority::{Priority, Rank};
use crate::profile::ReceiveRules;
use crate::version::Version;
use crate::vrid::Vrid;

/// The virtual routers that packets may be for.
///
/// The rows of the ladder before it is known which virtual router a packet is for ask here; so one
/// ladder serves any number of them.
pub trait Routers {
    /// Row 3: the times to live that may come from this unicast peer on this interface, or `None`
    /// if the source is no peer. The widest range, where several virtual routers have it as a peer.
    fn peer_ttl(&self, interface: InterfaceIndex, source: IpAddr) -> Option<RangeInclusive<u8>>;

    /// Row 2: whether any virtual router on this interface expects authentication headers.
    fn expects_authentication_header(&self, interface: InterfaceIndex) -> bool;

    /// Row 7: the virtual router of this id. The source tells apart several of the same id that
    /// have different unicast peers; where it is the peer of none, any of them will do.
    fn find(
        &self,
        interface: InterfaceIndex,
        family: Family,
        vrid: Vrid,
        source: IpAddr,
    ) -> Lookup<'_>;
}

/// What [`Routers::find`] found.
#[expect(
    clippy::exhaustive_enums,
    reason = "configured, not configured, or no configuration at all; never stored"
)]
#[derive(Clone, Debug)]
pub enum Lookup<'a> {
    /// None is configured: row 7 drops the packet.
    Unknown,
    /// This one.
    Router(LocalRouter<'a>),
    /// There is no configuration to compare with. Only the rows that need none are applied: 1 to 7
    /// as far as they go, 9 to 12, 13a and 14.
    Any(ReceiveRules),
}

/// A virtual router as the ladder sees it.
///
/// Make one with [`new`](Self::new), then set the fields that differ.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct LocalRouter<'a> {
    /// Row 8: the versions it takes part in.
    pub versions: Versions,
    /// Our effective priority: rows 17, 18 and 21.
    pub priority: Priority,
    /// Row 20: our interval.
    pub interval: Interval,
    /// Row 19: our virtual addresses.
    pub addresses: &'a AddressList,
    /// Row 17: our own addresses, from which we may send. By default none.
    pub own_addresses: &'a [IpAddr],
    /// Row 13: how VRRPv2 is authenticated. By default not at all.
    pub authentication: &'a Authentication,
    /// Row 13d: the last sequence number of an authentication header sent or accepted. `None`, the
    /// default, lets any pass; so it must be when a virtual router starts, or a peer that has
    /// restarted would stay locked out.
    pub sequence: Option<u32>,
    /// Rows 15 and 16: group or peers. By default the group of the family.
    pub mode: Mode<'a>,
    /// Row 21: who is Active now, if that is another router. By default nobody.
    pub active: Option<Rank>,
    /// Row 21: the checksum form of the peers so far. By default unknown.
    pub peer_form: Option<ChecksumForm>,
    /// What is dropped, and what only reported. By default that of the profile `Linux`.
    pub rules: ReceiveRules,
    /// keepalived's `auth_hmac` trailer. By default none may be there.
    #[cfg(feature = "hmac-trailer")]
    pub trailer: Option<TrailerRules<'a>>,
}

impl<'a> LocalRouter<'a> {
    /// A virtual router with the defaults of all other fields.
    #[must_use]
    pub const fn new(
        versions: Versions,
        priority: Priority,
        interval: Interval,
        addresses: &'a AddressList,
        rules: ReceiveRules,
    ) -> Self {
        Self {
            versions,
            priority,
            interval,
            addresses,
            own_addresses: &[],
            authentication: &Authentication::None,
            sequence: None,
            mode: Mode::Multicast {
                group: addresses.family().group(),
            },
            active: None,
            peer_form: None,
            rules,
            #[cfg(feature = "hmac-trailer")]
            trailer: None,
        }
    }
}

/// Which versions a virtual router takes part in.
#[expect(clippy::exhaustive_enums, reason = "there are two versions")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Versions {
    /// This one.
    Only(Version),
    /// Both, over IPv4, for an upgrade. RFC 9568 §8.4.
    Dual,
}

impl Versions {
    /// Whether advertisements of this version are for it.
    #[must_use]
    pub fn accepts(self, version: Version) -> bool {
        self == Self::Dual || self == Self::Only(version)
    }
}

/// Whom a virtual router speaks with.
#[expect(clippy::exhaustive_enums, reason = "everybody, or those listed")]
#[derive(Clone, Copy, Debug)]
pub enum Mode<'a> {
    /// Everybody in this group.
    Multicast {
        /// The group; 224.0.0.18 or ff02::12 unless configured otherwise.
        group: IpAddr,
    },
    /// These peers.
    Unicast {
        /// The peers.
        peers: &'a [Peer],
    },
}

/// A unicast peer.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Peer {
    address: IpAddr,
    ttl: RangeInclusive<u8>,
}

impl Peer {
    /// A peer on the same link, whose packets have a time to live of 255.
    #[must_use]
    pub const fn new(address: IpAddr) -> Self {
        Self {
            address,
            ttl: TTL..=TTL,
        }
    }

    /// Sets the times to live its packets may have, for a peer behind routers. This gives up the
    /// protection against packets from afar.
    #[must_use]
    pub const fn with_ttl(mut self, ttl: RangeInclusive<u8>) -> Self {
        self.ttl = ttl;
        self
    }

    /// Its address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// The times to live its packets may have.
    #[must_use]
    pub const fn ttl(&self) -> &RangeInclusive<u8> {
        &self.ttl
    }
}

/// How the `auth_hmac` trailer is treated.
#[cfg(feature = "hmac-trailer")]
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "every combination is valid")]
pub struct TrailerRules<'a> {
    /// Whether it must be there.
    pub mode: TrailerMode,
    /// The keys it may be made with, told apart by their numbers.
    pub keys: &'a [TrailerKey],
    /// The last sequence accepted from the packet's source: it must grow. `None` lets any pass.
    pub last_sequence: Option<u64>,
    /// Time mode: how far its seconds may be from ours; needs clocks that agree. `None` is
    /// monotonic mode, in which the sequence only has to grow.
    pub window: Option<TrailerWindow>,
}

/// Whether a trailer must be there; a roll-out goes from the first to the last.
#[cfg(feature = "hmac-trailer")]
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TrailerMode {
    /// It may be there and is not looked at.
    Ignore,
    /// It may be there and must then be right.
    Permissive,
    /// It must be there and be right.
    Enforce,
}

/// How far a trailer's clock may be from ours.
#[cfg(feature = "hmac-trailer")]
#[expect(clippy::exhaustive_structs, reason = "a time and a tolerance")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TrailerWindow {
    /// UTC seconds now.
    pub now: u32,
    /// Seconds of tolerance to either side, 1 to 300.
    pub seconds: u16,
}

/// A single virtual router on one interface.
///
/// ```
/// use core::time::Duration;
/// use lvs_vrrp::receive::{LocalRouter, Meta, SingleRouter, Versions};
/// use lvs_vrrp::{
///     AddressList, InterfaceIndex, Interval, Priority, Profile, Reason, Version, Vrid, receive,
/// };
///
/// let addresses = AddressList::new(["192.0.2.1".parse()?])?;
/// let versions = Versions::Only(Version::V3);
/// let rules = Profile::Linux.receive_rules();
/// let router = LocalRouter::new(versions, Priority::DEFAULT, Interval::DEFAULT, &addresses, rules);
/// let here = SingleRouter::new(InterfaceIndex::new(2), Vrid::try_from(10)?, router);
///
/// let meta = Meta::ipv4(InterfaceIndex::new(2), Duration::from_secs(60));
/// let rejection = receive(&meta, &[0x45, 0, 0], &here).unwrap_err();
/// assert_eq!((rejection.reason(), rejection.row()), (Reason::IpHeader, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SingleRouter<'a> {
    interface: InterfaceIndex,
    vrid: Vrid,
    router: LocalRouter<'a>,
}

impl<'a> SingleRouter<'a> {
    /// This virtual router on this interface; the family is that of its addresses.
    #[must_use]
    pub const fn new(interface: InterfaceIndex, vrid: Vrid, router: LocalRouter<'a>) -> Self {
        Self {
            interface,
            vrid,
            router,
        }
    }
}

impl Routers for SingleRouter<'_> {
    fn peer_ttl(&self, interface: InterfaceIndex, source: IpAddr) -> Option<RangeInclusive<u8>> {
        match self.router.mode {
            Mode::Unicast { peers } if interface == self.interface => {
                let peer = peers.iter().find(|peer| peer.address == source)?;
                Some(peer.ttl.clone())
            }
            _ => None,
        }
    }

    fn expects_authentication_header(&self, interface: InterfaceIndex) -> bool {
        interface == self.interface
            && matches!(self.router.authentication, Authentication::Header(_))
    }

    fn find(&self, interface: InterfaceIndex, family: Family, vrid: Vrid, _: IpAddr) -> Lookup<'_> {
        if (interface, family, vrid) == (self.interface, self.router.addresses.family(), self.vrid)
        {
            Lookup::Router(self.router.clone())
        } else {
            Lookup::Unknown
        }
    }
}

/// No configuration: every virtual router of every interface, judged by the rows that need none.
/// For tools that look at the traffic of others.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyRouter {
    rules: ReceiveRules,
}

impl AnyRouter {
    /// Any virtual router, judged by these rules.
    #[must_use]
    pub const fn new(rules: ReceiveRules) -> Self {
        Self { rules }
    }
}

impl Routers for AnyRouter {
    fn peer_ttl(&self, _: InterfaceIndex, _: IpAddr) -> Option<RangeInclusive<u8>> {
        None
    }

    fn expects_authentication_header(&self, _: InterfaceIndex) -> bool {
        true
    }

    #[inline]
    fn find(&self, _: InterfaceIndex, _: Family, _: Vrid, _: IpAddr) -> Lookup<'_> {
        Lookup::Any(self.rules)
    }
}
