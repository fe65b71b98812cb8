//! A host that runs state machines of virtual routers, with real packets.

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::RangeInclusive;
use core::time::Duration;

use super::host::{Effect, Effects, Host, RouterKey};
use super::work::{Step, Work};
use crate::actions::Actions;
use crate::address::{Family, InterfaceIndex};
use crate::checksum::{ChecksumFinding, ChecksumForm, FormFollower};
use crate::codec::{Advertisement, Authentication, Transmission};
use crate::config::{ConfigError, RouterConfig};
use crate::event::{Action, Event, HeardAdvert, SendAdvert, ShutdownMode};
use crate::job::JobResult;
use crate::lease::{HolderId, JobId, Lease, LeaseAnswer, LeaseConfig, LeaseEvent};
use crate::machine::VirtualRouter;
use crate::node::ReportKind;
use crate::priority::Rank;
use crate::receive::{LocalRouter, Lookup, Meta, Mode, Routers, Versions, receive};
use crate::timer::{NEVER, Timestamp};
use crate::version::Version;
use crate::vrid::Vrid;

/// The only interface of a host.
const LAN: InterfaceIndex = InterfaceIndex::new(1);

/// After what time a step that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Virtual routers of one host on one interface: what they send is encoded, and what they hear goes
/// up the receive ladder. Nothing waits for installations; resignations and leases wait until the
/// addresses are gone. What fails is tried again after a second.
#[derive(Clone, Debug, Default)]
pub struct RouterHost {
    members: Vec<Member>,
    /// The deadline of each, side by side, as they are looked at most often.
    deadlines: Vec<Timestamp>,
    /// Place among the members by id, for IPv4 and for IPv6.
    places_v4: Vec<Option<u16>>,
    places_v6: Vec<Option<u16>>,
    /// How often it was started: each process asks for leases under another name.
    starts: u64,
    rejected: u64,
}

#[derive(Clone, Debug)]
struct Member {
    key: RouterKey,
    /// As it comes out of the box.
    template: VirtualRouter,
    router: VirtualRouter,
    source: IpAddr,
    follower: FormFollower,
    sequence: u32,
    guard: Option<Guard>,
    is_installed: bool,
    /// How many removals are under way.
    removals: u32,
    /// When a step that failed is tried again.
    retry: Option<(Timestamp, Step)>,
    /// For which end of the lease the lifetime was set last.
    extended_for: Option<Timestamp>,
    /// Waits until the addresses are gone.
    resignation: Option<SendAdvert>,
}

#[derive(Clone, Debug)]
struct Guard {
    config: LeaseConfig,
    holder: u64,
    lease: Lease,
    /// The kernel removes the addresses when the lease ends.
    has_lifetime: bool,
}

impl RouterHost {
    /// A host without virtual routers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a virtual router that advertises from this address. There is one of each id and family;
    /// a second one is not heard.
    ///
    /// # Errors
    ///
    /// What [`RouterConfig::validate`] finds.
    pub fn with_router(self, config: RouterConfig, source: IpAddr) -> Result<Self, ConfigError> {
        self.with(config, source, None)
    }

    /// Adds a virtual router that is Active only while it holds a lease. The number of the holder is
    /// another one for each host. With `has_lifetime` the kernel removes the addresses before the end
    /// of the lease though the process may be paused: they get
    /// [the longest lifetime](crate::Lease::address_lifetime) with each renewal.
    ///
    /// # Errors
    ///
    /// What [`RouterConfig::validate`] finds.
    pub fn with_leased_router(
        self,
        config: RouterConfig,
        source: IpAddr,
        lease: LeaseConfig,
        holder: u64,
        has_lifetime: bool,
    ) -> Result<Self, ConfigError> {
        let config = config.with_guard(lease.request_timeout());
        let guard = Guard {
            config: lease,
            holder,
            lease: Lease::new(lease, holder_id(holder, 0)),
            has_lifetime,
        };
        self.with(config, source, Some(guard))
    }

    fn with(
        mut self,
        config: RouterConfig,
        source: IpAddr,
        guard: Option<Guard>,
    ) -> Result<Self, ConfigError> {
        let (family, vrid) = (config.family(), config.vrid());
        let follower = FormFollower::new(config.switches().tx_checksum);
        let router = VirtualRouter::new(config)?;
        let place = u16::try_from(self.members.len()).ok();
        let places = match family {
            Family::Ipv4 => &mut self.places_v4,
            Family::Ipv6 => &mut self.places_v6,
        };
        if places.is_empty() {
            *places = vec![None; 256];
        }
        if let Some(slot) = places.get_mut(usize::from(vrid.get())) {
            *slot = slot.or(place);
        }
        self.members.push(Member {
            key: RouterKey { family, vrid },
            template: router.clone(),
            router,
            source,
            follower,
            sequence: 0,
            guard,
            is_installed: false,
            removals: 0,
            retry: None,
            extended_for: None,
            resignation: None,
        });
        self.deadlines.push(NEVER);
        Ok(self)
    }

    /// The machine of a virtual router.
    #[must_use]
    pub fn router(&self, key: RouterKey) -> Option<&VirtualRouter> {
        let place = self.place(key.family, key.vrid)?;
        self.members.get(place).map(|member| &member.router)
    }

    /// Which checksum form a virtual router sends.
    #[must_use]
    pub fn checksum_form(&self, key: RouterKey) -> Option<ChecksumForm> {
        let place = self.place(key.family, key.vrid)?;
        self.members.get(place).map(|member| member.follower.form())
    }

    /// How many packets the ladder has dropped.
    #[must_use]
    pub const fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Tells a virtual router something.
    pub fn tell(&mut self, now: Timestamp, key: RouterKey, event: Event, out: &mut Effects) {
        if let Some(place) = self.place(key.family, key.vrid) {
            self.feed(place, now, event, out);
        }
    }

    fn place(&self, family: Family, vrid: Vrid) -> Option<usize> {
        let places = match family {
            Family::Ipv4 => &self.places_v4,
            Family::Ipv6 => &self.places_v6,
        };
        let place = places.get(usize::from(vrid.get())).copied().flatten()?;
        Some(usize::from(place))
    }

    fn feed(&mut self, place: usize, now: Timestamp, event: Event, out: &mut Effects) {
        let (Some(member), Some(deadline)) =
            (self.members.get_mut(place), self.deadlines.get_mut(place))
        else {
            return;
        };
        member.feed(now, event, out);
        *deadline = member.next_deadline();
    }

    fn each(&mut self, now: Timestamp, event: Event, out: &mut Effects) {
        for place in 0..self.members.len() {
            self.feed(place, now, event, out);
        }
    }
}

impl Host for RouterHost {
    fn start(&mut self, now: Timestamp, out: &mut Effects) {
        self.starts = self.starts.saturating_add(1);
        out.push(Effect::RemoveLeftovers);
        for member in &mut self.members {
            member.reset(self.starts);
            let source = Event::Source(Some(member.source));
            member.feed(now, source, out);
        }
        self.each(now, Event::Startup, out);
    }

    fn stop(&mut self, now: Timestamp, mode: ShutdownMode, out: &mut Effects) {
        self.each(now, Event::Shutdown(mode), out);
    }

    fn crash(&mut self) {
        for member in &mut self.members {
            member.reset(self.starts);
        }
        self.deadlines.fill(NEVER);
    }

    fn receive(
        &mut self,
        now: Timestamp,
        received_at: Timestamp,
        packet: &[u8],
        out: &mut Effects,
    ) {
        let meta = if packet.first().is_some_and(|first| first >> 4 == 6) {
            Meta::ipv6(LAN, received_at)
        } else {
            Meta::ipv4(LAN, received_at)
        };
        let Ok(accepted) = receive(&meta, packet, self) else {
            self.rejected = self.rejected.saturating_add(1);
            return;
        };
        let (vrid, advert) = (accepted.advertisement.vrid, HeardAdvert::from(&accepted));
        let form = accepted.checksum.and_then(ChecksumFinding::form);
        let Some(place) = self.place(meta.family(), vrid) else {
            return;
        };
        if let (Some(form), Some(member)) = (form, self.members.get_mut(place)) {
            let heard_for = member.router.active_down_interval();
            let _ = member
                .follower
                .heard(received_at, advert.source, form, heard_for);
        }
        self.feed(place, now, Event::Advert(advert), out);
    }

    fn tick(&mut self, now: Timestamp, out: &mut Effects) {
        for (member, deadline) in self.members.iter_mut().zip(&mut self.deadlines) {
            if *deadline <= now {
                member.tick(now, out);
                *deadline = member.next_deadline();
            }
        }
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        let earliest = self.deadlines.iter().copied().min();
        earliest.filter(|deadline| *deadline != NEVER)
    }

    fn worked(
        &mut self,
        now: Timestamp,
        router: RouterKey,
        step: Step,
        result: JobResult,
        out: &mut Effects,
    ) {
        let place = self.place(router.family, router.vrid);
        let member = place.and_then(|place| self.members.get_mut(place));
        if let (Some(member), Some(place)) = (member, place) {
            member.worked(now, step, result, out);
            if let Some(deadline) = self.deadlines.get_mut(place) {
                *deadline = member.next_deadline();
            }
        }
    }

    fn answered(
        &mut self,
        now: Timestamp,
        router: RouterKey,
        id: JobId,
        answer: LeaseAnswer,
        out: &mut Effects,
    ) {
        let place = self.place(router.family, router.vrid);
        let member = place.and_then(|place| self.members.get_mut(place));
        if let (Some(member), Some(place)) = (member, place) {
            if let Some(guard) = &mut member.guard {
                guard.lease.answer(now, id, answer);
            }
            member.follow_lease(now, out);
            if let Some(deadline) = self.deadlines.get_mut(place) {
                *deadline = member.next_deadline();
            }
        }
    }
}

impl Routers for RouterHost {
    fn peer_ttl(&self, _: InterfaceIndex, source: IpAddr) -> Option<RangeInclusive<u8>> {
        self.members
            .iter()
            .find_map(|member| match member.router.config().mode() {
                Mode::Unicast { peers } => peers.iter().find(|peer| peer.address() == source),
                Mode::Multicast { .. } => None,
            })
            .map(|peer| peer.ttl().clone())
    }

    fn expects_authentication_header(&self, _: InterfaceIndex) -> bool {
        self.members.iter().any(|member| {
            let authentication = member.router.config().authentication();
            matches!(authentication, Authentication::Header(_))
        })
    }

    fn find(&self, _: InterfaceIndex, family: Family, vrid: Vrid, _: IpAddr) -> Lookup<'_> {
        let place = self.place(family, vrid);
        place
            .and_then(|place| self.members.get(place))
            .map_or(Lookup::Unknown, |member| Lookup::Router(member.local()))
    }
}

impl Member {
    fn reset(&mut self, starts: u64) {
        self.router = self.template.clone();
        self.follower = FormFollower::new(self.router.config().switches().tx_checksum);
        self.is_installed = false;
        self.removals = 0;
        self.retry = None;
        self.extended_for = None;
        self.resignation = None;
        if let Some(guard) = &mut self.guard {
            guard.lease = Lease::new(guard.config, holder_id(guard.holder, starts));
        }
    }

    fn local(&self) -> LocalRouter<'_> {
        let config = self.router.config();
        let mut local = LocalRouter::new(
            config.versions(),
            self.router.effective_priority(),
            config.interval(),
            config.addresses(),
            config.switches().receive,
        );
        local.own_addresses = core::slice::from_ref(&self.source);
        local.authentication = config.authentication();
        local.mode = config.mode();
        local.active = self.router.active();
        local
    }

    fn next_deadline(&self) -> Timestamp {
        let lease = self
            .guard
            .as_ref()
            .and_then(|guard| guard.lease.next_deadline());
        let retry = self.retry.map(|(at, _)| at);
        let all = self.router.next_deadline().into_iter();
        all.chain(lease).chain(retry).min().unwrap_or(NEVER)
    }

    fn tick(&mut self, now: Timestamp, out: &mut Effects) {
        if let Some(guard) = &mut self.guard {
            guard.lease.tick(now);
            self.follow_lease(now, out);
        }
        self.feed(now, Event::Tick, out);
        match self.retry.take_if(|(at, _)| *at <= now) {
            Some((_, Step::Remove)) if !self.is_installed => self.remove(out),
            Some((_, Step::Install)) if self.is_installed => self.install(now, out),
            _ => {}
        }
    }

    fn addresses(&self) -> Vec<IpAddr> {
        let config = self.router.config();
        let advertised = config.addresses().as_addresses().iter();
        advertised
            .chain(config.excluded_addresses().iter().copied())
            .collect()
    }

    /// By when the kernel has to remove the addresses.
    fn gone_by(&self, now: Timestamp) -> Option<Timestamp> {
        let guard = self.guard.as_ref().filter(|guard| guard.has_lifetime)?;
        // Without a lease at once: nothing is installed.
        Some(guard.lease.gone_by(now).unwrap_or(now))
    }

    fn install(&mut self, now: Timestamp, out: &mut Effects) {
        let gone_by = self.gone_by(now);
        self.extended_for = gone_by;
        let work = Work::Install {
            addresses: self.addresses(),
            remove: Vec::new(),
            gone_by,
        };
        out.push(Effect::Work(self.key, work));
    }

    fn remove(&mut self, out: &mut Effects) {
        self.removals = self.removals.saturating_add(1);
        out.push(Effect::Work(self.key, Work::Remove(self.addresses())));
    }

    fn feed(&mut self, now: Timestamp, event: Event, out: &mut Effects) {
        let actions = self.router.handle(now, event);
        self.perform(now, &actions, out);
        self.follow_lease(now, out);
    }

    /// Until the lease has nothing more to say.
    fn follow_lease(&mut self, now: Timestamp, out: &mut Effects) {
        while let Some(event) = self
            .guard
            .as_mut()
            .and_then(|guard| guard.lease.poll_event())
        {
            let event = match event {
                LeaseEvent::Status(status) => Event::Guard(status),
                LeaseEvent::Yield(_) => Event::Yield,
                LeaseEvent::Breach { since } => {
                    out.push(Effect::Breach(self.key, since));
                    continue;
                }
                _ => continue,
            };
            let actions = self.router.handle(now, event);
            self.perform(now, &actions, out);
            self.note_gone(now);
        }
        if let Some(guard) = &mut self.guard {
            while let Some(job) = guard.lease.poll_job() {
                out.push(Effect::Ask(self.key, job));
            }
        }
        self.extend(now, out);
    }

    /// The lease was renewed: the addresses may stay for longer.
    fn extend(&mut self, now: Timestamp, out: &mut Effects) {
        let guard = self.guard.as_ref().filter(|guard| guard.has_lifetime);
        let gone_by = guard.and_then(|guard| guard.lease.gone_by(now));
        if let (true, Some(gone_by)) = (self.is_installed, gone_by) {
            if self.extended_for != Some(gone_by) {
                self.extended_for = Some(gone_by);
                out.push(Effect::Extend {
                    router: self.key,
                    addresses: self.addresses(),
                    gone_by,
                });
            }
        }
    }

    fn perform(&mut self, now: Timestamp, actions: &Actions, out: &mut Effects) {
        for action in actions {
            match action {
                Action::SendAdvert(advert) if self.removals > 0 && advert.priority.is_resign() => {
                    self.resignation = Some(*advert);
                }
                Action::SendAdvert(advert) => self.send(advert, out),
                Action::InstallAddresses => {
                    self.is_installed = true;
                    self.resignation = None;
                    self.install(now, out);
                }
                Action::RemoveAddresses => {
                    self.is_installed = false;
                    self.remove(out);
                }
                Action::Announce(_) => out.push(Effect::Announce(self.key)),
                Action::RequestGuard => {
                    let rank = Rank::new(self.router.effective_priority(), self.source);
                    if let Some(guard) = &mut self.guard {
                        guard.lease.request(now, rank);
                    }
                }
                Action::ReleaseGuard => {
                    if let Some(guard) = &mut self.guard {
                        guard.lease.withdraw(now);
                    }
                    self.note_gone(now);
                }
                Action::Notify(notification) => {
                    out.push(Effect::Report(self.key, *notification));
                }
                Action::ChangeAddresses | Action::CancelAnnouncements | Action::DataPlane(_) => {}
            }
        }
    }

    /// Gives the lease back, if no address is there.
    fn note_gone(&mut self, now: Timestamp) {
        let is_gone = !self.is_installed && self.removals == 0;
        if let (true, None, Some(guard)) = (is_gone, self.retry, &mut self.guard) {
            guard.lease.addresses_gone(now);
        }
    }

    fn worked(&mut self, now: Timestamp, step: Step, result: JobResult, out: &mut Effects) {
        let is_done = result == JobResult::Done;
        let is_removal = step == Step::Remove;
        if is_removal {
            self.removals = self.removals.saturating_sub(1);
        }
        if !is_done {
            let trouble = if is_removal {
                ReportKind::RemoveFailed
            } else {
                ReportKind::InstallFailed
            };
            out.push(Effect::Trouble(self.key, trouble));
            self.retry = Some((now.saturating_add(RETRY), step));
        } else if is_removal && self.removals == 0 {
            if let Some(advert) = self.resignation.take() {
                self.send(&advert, out);
            }
            self.note_gone(now);
        }
        self.follow_lease(now, out);
    }

    fn send(&mut self, advert: &SendAdvert, out: &mut Effects) {
        for version in [Version::V2, Version::V3] {
            let is_meant = match advert.versions {
                Versions::Only(only) => only == version,
                Versions::Dual => true,
            };
            if is_meant {
                self.send_version(advert, version, out);
            }
        }
    }

    fn send_version(&mut self, advert: &SendAdvert, version: Version, out: &mut Effects) {
        self.sequence = self.sequence.wrapping_add(1);
        let config = self.router.config();
        let transmission = Transmission::multicast(self.source)
            .with_any_first_address(config.switches().permits.any_first_address)
            .with_checksum(self.follower.form())
            .with_authentication(config.authentication(), self.sequence);
        let advertisement = Advertisement {
            version,
            vrid: config.vrid(),
            priority: advert.priority,
            interval: advert.interval,
            addresses: config.addresses().as_addresses(),
        };
        let mut packet = [0; 1500];
        let Ok(length) = transmission.emit_packet(&advertisement, &mut packet) else {
            return;
        };
        if let Some(bytes) = packet.get(..length) {
            out.push(Effect::Send(bytes.to_vec()));
        }
    }
}

fn holder_id(holder: u64, starts: u64) -> HolderId {
    HolderId::new(u128::from(holder) << 64 | u128::from(starts))
}
