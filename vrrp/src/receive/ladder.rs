//! The ladder itself.

use core::net::IpAddr;

use super::datagram::Datagram;
use super::{
    LocalRouter, Lookup, Meta, Mode, Observation, Observations, Reason, Rejection, Routers,
};
use crate::address::{Addresses, Family, InterfaceIndex, TTL};
use crate::checksum::{ChecksumFinding, ChecksumForm, RxChecksum};
use crate::codec::{Advertisement, AuthType, Authentication, Message, v2, v3};
use crate::interval::Interval;
use crate::priority::Priority;
use crate::profile::{AddressListPolicy, Ipv6FirstAddressPolicy, OwnerPolicy, ReceiveRules};
use crate::timer::Timestamp;
use crate::version::Version;
use crate::vrid::Vrid;

#[cfg(feature = "hmac-trailer")]
use super::{TrailerMode, TrailerRules};
#[cfg(feature = "hmac-trailer")]
use crate::codec::TrailerView;

/// An advertisement that passed the ladder.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Accepted<'a> {
    /// What it says.
    pub advertisement: Advertisement<'a>,
    /// The interface it came in at.
    pub interface: InterfaceIndex,
    /// When it came in. Timers start here, not where it is looked at (`VRRP-207`).
    pub received_at: Timestamp,
    /// Who sent it: what breaks a tie of priorities.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// Its time to live or hop limit.
    pub ttl: u8,
    /// Which form of checksum was right; `None` for VRRPv2, which has one.
    pub checksum: Option<ChecksumFinding>,
    /// VRRPv2: its authentication type; `None` for VRRPv3.
    pub auth_type: Option<AuthType>,
    /// The sequence number of its authentication header: the one to compare the next with
    /// ([`LocalRouter::sequence`]).
    pub sequence: Option<u32>,
    /// The sequence of its trailer, if that was looked at: the one to compare the source's next
    /// with.
    #[cfg(feature = "hmac-trailer")]
    pub trailer_sequence: Option<u64>,
    /// What is to be reported.
    pub observations: Observations,
}

/// Sends a packet up the [ladder](mod@crate::receive).
///
/// `bytes` begin as `meta` says.
///
/// # Errors
///
/// The first row at which it failed. That it did is to be counted, and has no other effect.
#[inline]
pub fn receive<'a, R: Routers + ?Sized>(
    meta: &Meta,
    bytes: &'a [u8],
    routers: &R,
) -> Result<Accepted<'a>, Rejection> {
    let reject = |row, reason| Err(Rejection::new(row, reason, None));
    let (interface, family) = (meta.interface(), meta.family());

    // By reference: moved out of the result, it would be copied as soon as it was written, which
    // takes a processor a quarter of the time of the whole ladder.
    let opened = Datagram::new(meta, bytes);
    let datagram = match &opened {
        Ok(datagram) => datagram,
        Err(rejection) => return Err(*rejection),
    };
    if datagram.is_behind_ah && !routers.expects_authentication_header(interface) {
        return reject(2, Reason::AuthTypeMismatch);
    }
    if !ttl_is_right(interface, datagram, routers) {
        return reject(3, Reason::Ttl);
    }

    // For whom a packet is that fails before row 7, if that can be told.
    let known = |number: Option<&u8>| {
        let vrid = Vrid::new(*number?)?;
        let found = routers.find(interface, family, vrid, datagram.source);
        matches!(found, Lookup::Router(_)).then_some(vrid)
    };
    let Ok(message) = Message::new(datagram.message) else {
        let router = known(datagram.message.get(1));
        return Err(Rejection::new(4, Reason::TooShort, router));
    };
    let Some(version) = message
        .version()
        .filter(|version| *version == Version::V3 || family == Family::Ipv4)
    else {
        return reject(5, Reason::Version);
    };
    if message.type_number() != 1 {
        let router = known(Some(&message.vrid_number()));
        return Err(Rejection::new(6, Reason::Type, router));
    }
    let Some(vrid) = Vrid::new(message.vrid_number()) else {
        return reject(7, Reason::Vrid);
    };
    let found = routers.find(interface, family, vrid, datagram.source);
    let (local, rules) = match &found {
        Lookup::Unknown => return reject(7, Reason::Vrid),
        Lookup::Router(router) if !router.versions.accepts(version) => {
            return Err(Rejection::new(8, Reason::Version, Some(vrid)));
        }
        Lookup::Router(router) => (Some(router), &router.rules),
        Lookup::Any(rules) => (None, rules),
    };
    let climb = Climb {
        meta,
        datagram,
        vrid,
        local,
        rules,
    };
    climb.read(version, message)
}

/// Row 3. A peer's range is for packets to ourselves only: in multicast mode nothing but 255 will
/// do, whoever sends.
#[inline]
fn ttl_is_right<R: Routers + ?Sized>(
    interface: InterfaceIndex,
    datagram: &Datagram<'_>,
    routers: &R,
) -> bool {
    if datagram.destination.is_multicast() {
        return datagram.ttl == TTL;
    }
    match routers.peer_ttl(interface, datagram.source) {
        Some(range) => range.contains(&datagram.ttl),
        None => datagram.ttl == TTL,
    }
}

/// The way up from row 9 on: whom the packet is for is known.
struct Climb<'m, 'a, 'l> {
    meta: &'m Meta,
    datagram: &'m Datagram<'a>,
    vrid: Vrid,
    /// `None` where there is no configuration to compare with.
    local: Option<&'l LocalRouter<'l>>,
    rules: &'l ReceiveRules,
}

impl<'a> Climb<'_, 'a, '_> {
    #[inline]
    fn reject<T>(&self, row: u8, reason: Reason) -> Result<T, Rejection> {
        let router = self.local.map(|_| self.vrid);
        Err(Rejection::new(row, reason, router))
    }

    /// Rows 9 to 14.
    #[inline]
    fn read(&self, version: Version, message: Message<'a>) -> Result<Accepted<'a>, Rejection> {
        let family = self.meta.family();
        let (message, extension) = self.split(version, message);
        let (addresses, interval, checksum, auth_type);
        match version {
            Version::V2 => {
                let Ok(view) = v2::View::new(message) else {
                    return self.reject(9, Reason::Length);
                };
                if !view.checksum_is_right() {
                    return self.reject(10, Reason::Checksum);
                }
                addresses = view.addresses();
                interval = Interval::from_seconds(view.seconds()).ok();
                checksum = None;
                auth_type = Some((view.auth_type(), view.auth_data()));
            }
            Version::V3 => {
                let Ok(view) = v3::View::new(message, family) else {
                    return self.reject(9, Reason::Length);
                };
                checksum = self.checksum(view, extension, self.rules.checksum);
                if checksum.is_none() {
                    return self.reject(10, Reason::Checksum);
                }
                addresses = view.addresses();
                interval = Interval::from_centiseconds(view.centiseconds()).ok();
                auth_type = None;
            }
        }
        if addresses.is_empty() {
            return self.reject(11, Reason::CountZero);
        }
        let Some(interval) = interval else {
            return self.reject(12, Reason::IntervalZero);
        };
        let sequence = self.authenticate(auth_type, message)?;
        #[cfg(feature = "hmac-trailer")]
        let trailer_sequence = self.authenticate_trailer(message, extension)?;
        let mut observations = Observations::NONE;
        if !addresses.first_is_valid() {
            if self.rules.first_address == Ipv6FirstAddressPolicy::Enforce {
                return self.reject(14, Reason::FirstNotLinkLocal);
            }
            observations = observations.with(Observation::FirstNotLinkLocal);
        }
        if let Some(local) = self.local {
            let priority = message.priority();
            let form = checksum.and_then(ChecksumFinding::form);
            observations = observations
                .and(self.compare(local, version, priority, interval, addresses)?)
                .and(odd(local, priority, self.datagram.source, form));
        }
        Ok(Accepted {
            advertisement: Advertisement {
                version,
                vrid: self.vrid,
                priority: message.priority(),
                interval,
                addresses,
            },
            interface: self.meta.interface(),
            received_at: self.meta.received_at(),
            source: self.datagram.source,
            destination: self.datagram.destination,
            ttl: self.datagram.ttl,
            checksum,
            auth_type: auth_type.map(|(auth_type, _)| auth_type),
            sequence,
            #[cfg(feature = "hmac-trailer")]
            trailer_sequence,
            observations,
        })
    }

    #[inline]
    fn checksum(
        &self,
        view: v3::View<'_>,
        extension: &[u8],
        policy: RxChecksum,
    ) -> Option<ChecksumFinding> {
        let Datagram { both, source, .. } = *self.datagram;
        view.checksum_between(both, source, extension, policy)
    }

    /// Row 13: gives the sequence number of the authentication header, if there is one.
    #[inline]
    fn authenticate(
        &self,
        auth: Option<(AuthType, &[u8; 8])>,
        message: Message<'a>,
    ) -> Result<Option<u32>, Rejection> {
        let sequence = self.datagram.ah.map(|header| header.sequence());
        let Some((auth_type, data)) = auth else {
            // VRRPv3 has no authentication.
            return if self.datagram.is_behind_ah {
                self.reject(13, Reason::AuthTypeMismatch)
            } else {
                Ok(None)
            };
        };
        if let AuthType::Other(_) = auth_type {
            return self.reject(13, Reason::AuthTypeUnknown);
        }
        let Some(local) = self.local else {
            return Ok(sequence);
        };
        if auth_type != local.authentication.auth_type()
            || (self.datagram.is_behind_ah && auth_type != AuthType::Header)
        {
            return self.reject(13, Reason::AuthTypeMismatch);
        }
        let right = match local.authentication {
            Authentication::None => true,
            Authentication::Simple(password) => password.matches(data),
            Authentication::Header(key) => self.datagram.ah.is_some_and(|header| {
                key.verifies(self.datagram.ip_header, header, message.bytes())
            }),
        };
        if !right {
            return self.reject(13, Reason::AuthFailure);
        }
        match (sequence, local.sequence) {
            (Some(new), Some(last)) if new <= last => self.reject(13, Reason::AuthReplay),
            _ => Ok(sequence),
        }
    }

    /// Rows 15 to 20: the comparison with what we are.
    #[inline]
    fn compare(
        &self,
        local: &LocalRouter<'_>,
        version: Version,
        priority: Priority,
        interval: Interval,
        addresses: Addresses<'_>,
    ) -> Result<Observations, Rejection> {
        let mut observations = Observations::NONE;
        let Datagram {
            source,
            destination,
            ..
        } = *self.datagram;
        match local.mode {
            Mode::Multicast { group } if destination == group => {}
            Mode::Unicast { .. } if destination.is_multicast() => {
                return self.reject(15, Reason::CastMismatch);
            }
            Mode::Multicast { .. } => return self.reject(15, Reason::CastMismatch),
            Mode::Unicast { peers } => {
                if !peers.iter().any(|peer| peer.address() == source) {
                    return self.reject(16, Reason::UnknownPeer);
                }
            }
        }
        if local.own_addresses.contains(&source) {
            let duplicate = Observations::NONE.with_if(
                priority == local.priority,
                Observation::DuplicatePrimaryAddress,
            );
            let own = Rejection::new(17, Reason::SelfSent, Some(self.vrid));
            return Err(own.with_observations(duplicate));
        }
        if local.priority.is_owner() {
            if self.rules.owner == OwnerPolicy::Drop {
                return self.reject(18, Reason::Owner);
            }
            observations = observations.with(Observation::Owner);
        }
        if !local.addresses.is_same_set(addresses) {
            let drops = version == Version::V2
                && self.rules.v2_address_list == AddressListPolicy::DropUnlessOwner
                && !priority.is_owner();
            if drops {
                return self.reject(19, Reason::AddressList);
            }
            observations = observations.with(Observation::AddressList);
        }
        if interval != expected_interval(local, version) {
            // A router of both versions adopts the rate of the Active in either (`VRRP-133`).
            if local.versions == super::Versions::Only(Version::V2) {
                return self.reject(20, Reason::IntervalMismatch);
            }
            observations = observations.with(Observation::IntervalMismatch);
        }
        Ok(observations)
    }
}

/// The interval that an advertisement of this version says if it is ours.
#[inline]
fn expected_interval(local: &LocalRouter<'_>, version: Version) -> Interval {
    match version {
        Version::V3 => local.interval,
        Version::V2 => {
            let seconds = local.interval.seconds_rounded_up();
            Interval::from_seconds(seconds).unwrap_or(local.interval)
        }
    }
}

/// Row 21.
#[inline]
fn odd(
    local: &LocalRouter<'_>,
    priority: Priority,
    source: IpAddr,
    form: Option<ChecksumForm>,
) -> Observations {
    let other = local.active.filter(|active| active.address() != source);
    let is_shared =
        priority == local.priority || other.is_some_and(|active| active.priority() == priority);
    Observations::NONE
        .with_if(
            form.is_some() && local.peer_form.is_some() && form != local.peer_form,
            Observation::ChecksumFormConflict,
        )
        .with_if(is_shared && priority.is_owner(), Observation::OwnerConflict)
        .with_if(
            is_shared && !priority.is_owner() && !priority.is_resign(),
            Observation::EqualPriority,
        )
}

#[cfg(not(feature = "hmac-trailer"))]
impl<'a> Climb<'_, 'a, '_> {
    /// Nothing may follow the message.
    #[expect(clippy::unused_self, reason = "the feature makes use of it")]
    const fn split(&self, _: Version, message: Message<'a>) -> (Message<'a>, &'a [u8]) {
        (message, &[])
    }
}

#[cfg(feature = "hmac-trailer")]
impl<'a> Climb<'_, 'a, '_> {
    fn trailer_rules(&self) -> Option<&TrailerRules<'_>> {
        self.local?.trailer.as_ref()
    }

    /// The message, and the trailer if there may be one and its bytes are there.
    fn split(&self, version: Version, message: Message<'a>) -> (Message<'a>, &'a [u8]) {
        let whole = (message, &[][..]);
        if self.trailer_rules().is_none() {
            return whole;
        }
        let fixed = match version {
            Version::V2 => v2::FIXED_LEN,
            Version::V3 => v3::FIXED_LEN,
        };
        let list = self.meta.family().address_len();
        let length = usize::from(message.count())
            .wrapping_mul(list)
            .wrapping_add(fixed);
        match message.bytes().split_at_checked(length) {
            Some((bytes, trailer)) if TrailerView::new(trailer).is_some() => {
                Message::new(bytes).map_or(whole, |message| (message, trailer))
            }
            _ => whole,
        }
    }

    /// Row 13 for the trailer: gives its sequence, if it was looked at.
    fn authenticate_trailer(
        &self,
        message: Message<'a>,
        trailer: &[u8],
    ) -> Result<Option<u64>, Rejection> {
        let Some(rules) = self.trailer_rules() else {
            return Ok(None);
        };
        let Some(trailer) = TrailerView::new(trailer) else {
            return match rules.mode {
                TrailerMode::Enforce => self.reject(13, Reason::AuthFailure),
                TrailerMode::Ignore | TrailerMode::Permissive => Ok(None),
            };
        };
        if rules.mode == TrailerMode::Ignore {
            return Ok(None);
        }
        let mut keys = rules.keys.iter();
        if !keys.any(|key| key.verifies(self.datagram.source, message, trailer)) {
            return self.reject(13, Reason::AuthFailure);
        }
        let is_old = rules
            .last_sequence
            .is_some_and(|last| trailer.sequence() <= last);
        let is_off = rules.window.is_some_and(|window| {
            trailer.seconds().abs_diff(window.now) > u32::from(window.seconds)
        });
        if is_old || is_off {
            return self.reject(13, Reason::AuthReplay);
        }
        Ok(Some(trailer.sequence()))
    }
}
