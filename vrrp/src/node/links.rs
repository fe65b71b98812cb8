//! Whether a router can run: links, addresses to advertise from, trackers, delays.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use super::real::choose_source;
use super::{Node, NodeRouter, Scope, Wake};
use crate::address::{Family, InterfaceIndex};
use crate::event::{Event, InitReason, State};
use crate::timer::Timestamp;
use crate::track::{Track, TrackerId, TrackerStatus};

/// A link is said to be otherwise than it is taken for.
#[derive(Clone, Debug)]
pub(super) struct Rumour {
    is_up: bool,
    addresses: Vec<IpAddr>,
    pub(super) due_at: Timestamp,
}

impl Node {
    /// An interface is up or down now, and has these addresses. Virtual addresses among them do no
    /// harm: nothing is ever advertised from them, and what another router sends from one is heard.
    ///
    /// With [delays](super::InterfaceConfig::with_link_delays) it is believed if it is still so after
    /// the delay; addresses that were told with it count from then on too. Until then everything
    /// stays as it was.
    ///
    /// For an interface that is not configured it does nothing.
    pub fn link(
        &mut self,
        now: Timestamp,
        index: InterfaceIndex,
        is_up: bool,
        addresses: &[IpAddr],
    ) {
        self.begin(now);
        let now = self.now;
        let config = self.config.interfaces.get(&index);
        let delay = config.map_or(Duration::ZERO, |config| config.link_delay(is_up));
        if let Some(interface) = self.interfaces.get_mut(&index) {
            let since = interface.rumour.take();
            if is_up == interface.is_up || delay.is_zero() {
                self.believe(index, is_up, addresses.to_vec());
            } else {
                let due_at = since.map_or_else(|| now.saturating_add(delay), |since| since.due_at);
                interface.rumour = Some(Rumour {
                    is_up,
                    addresses: addresses.to_vec(),
                    due_at,
                });
                self.touched.push(Wake::Interface(index));
            }
        }
        self.settle();
    }

    /// What was said last of an interface.
    #[cfg(feature = "sim")]
    pub(crate) fn told(&self, index: InterfaceIndex) -> Option<(bool, &[IpAddr])> {
        let interface = self.interfaces.get(&index)?;
        Some(match &interface.rumour {
            Some(rumour) => (rumour.is_up, &rumour.addresses),
            None => (interface.is_up, &interface.addresses),
        })
    }

    fn believe(&mut self, index: InterfaceIndex, is_up: bool, addresses: Vec<IpAddr>) {
        let settles_at = self.now.saturating_add(self.config.settings.link_settle);
        if let Some(interface) = self.interfaces.get_mut(&index) {
            if is_up && !interface.is_up {
                interface.settles_at = settles_at;
            }
            interface.is_up = is_up;
            interface.addresses = addresses;
            self.find_real(index);
            self.mark_interface(index);
            self.touched.push(Wake::Interface(index));
        }
    }

    /// A link has been for long enough what it is said to be.
    pub(super) fn believe_due(&mut self, index: InterfaceIndex) {
        let now = self.now;
        let is_due = |rumour: &mut Rumour| rumour.due_at <= now;
        let interface = self.interfaces.get_mut(&index);
        if let Some(rumour) = interface.and_then(|i| i.rumour.take_if(is_due)) {
            self.believe(index, rumour.is_up, rumour.addresses);
        }
    }

    /// This is known of a tracker now. For one that is not configured it does nothing.
    pub fn set_tracker(
        &mut self,
        now: Timestamp,
        tracker: TrackerId,
        status: impl Into<TrackerStatus>,
    ) {
        self.begin(now);
        let status = status.into();
        let known = self.config.trackers.get_mut(&tracker);
        if let Some(known) = known.filter(|known| **known != status) {
            *known = status;
            for scope in self.followers.get(&tracker).cloned().unwrap_or_default() {
                match scope {
                    Scope::Router(key) => self.mark(key),
                    Scope::Group(_) => self.dirty.push(scope),
                }
            }
        }
        self.settle();
    }

    pub(super) fn mark_interface(&mut self, index: InterfaceIndex) {
        let interface = self.interfaces.get(&index);
        for key in interface.map_or_else(Vec::new, |interface| interface.routers.clone()) {
            self.mark(key);
        }
    }

    pub(super) fn mark_all(&mut self) {
        for key in self.keys() {
            self.mark(key);
        }
    }

    /// The node begins: whoever starts does so after the delay, spread over an interval (spec 2.10).
    pub(super) fn schedule_starts(&mut self) {
        let now = self.now;
        let settings = &self.config.settings;
        let (delay, settle) = (settings.startup_delay, settings.link_settle);
        for key in self.keys() {
            let spread = self.spread(key);
            if let Some(router) = self.router_mut(key) {
                router.start_at = now.saturating_add(delay).saturating_add(spread);
            }
            self.touched.push(Wake::Router(key));
        }
        for (index, interface) in &mut self.interfaces {
            interface.settles_at = now.saturating_add(settle);
            self.touched.push(Wake::Interface(*index));
        }
        self.mark_all();
    }

    /// By how much a router starts later than it could: a part of its interval that depends on
    /// nothing but who it is. Members of a group start with the first one.
    pub(super) fn spread(&self, key: usize) -> Duration {
        let Some(router) = self.router(key).filter(|_| self.config.settings.spread) else {
            return Duration::ZERO;
        };
        let group = router
            .group
            .and_then(|group| self.config.groups.get(&group));
        let first = group.and_then(|group| group.members.first());
        let first = first.and_then(|id| self.config.routers.get(id));
        spread_of(first.unwrap_or(&router.setup))
    }

    /// A router that is in no group runs if it can.
    pub(super) fn settle_router(&mut self, key: usize) {
        let fault = self.own_fault(key);
        self.align(key, fault);
    }

    /// Starts a router, or stops it for this reason; what trackers say goes to its machine.
    pub(super) fn align(&mut self, key: usize, fault: Option<InitReason>) {
        let sum = self.contribution(key).unwrap_or_default();
        let source = self.source(key);
        let Some(router) = self.router_mut(key) else {
            return;
        };
        if router.is_leaving {
            return;
        }
        if router.contribution != sum {
            router.contribution = sum;
            self.feed(key, Event::Contribution(sum));
        }
        let Some(router) = self.router(key) else {
            return;
        };
        let state = router.machine.state();
        match (state, fault) {
            (State::Initialize, Some(reason)) => {
                let is_stopped = matches!(
                    router.machine.init_reason(),
                    Some(InitReason::Shutdown | InitReason::HandedOver)
                );
                if router.machine.init_reason() != Some(reason) && !is_stopped {
                    self.feed(key, Event::Fault(reason));
                }
            }
            (_, Some(reason)) => self.feed(key, Event::Fault(reason)),
            (_, None) => {
                if router.machine.source() != source.ok() {
                    self.feed(key, Event::Source(source.ok()));
                }
                if state == State::Initialize {
                    self.start(key);
                }
            }
        }
    }

    fn start(&mut self, key: usize) {
        let now = self.now;
        let group = self.router(key).and_then(|router| router.group);
        let joins = group.is_some_and(|group| self.ties_of(group).any(|key| self.is_active(key)));
        let Some(router) = self.router_mut(key) else {
            return;
        };
        // A peer that has restarted begins with low numbers again.
        router.sequence = None;
        #[cfg(feature = "hmac-trailer")]
        router.trailers.restart(&router.setup.config);
        if joins {
            // A group that is Active does not stop because a member is added.
            let actions = router.machine.resume(now);
            self.perform(key, State::Initialize, &actions);
        } else {
            self.feed(key, Event::Startup);
        }
        self.announce_source(key);
    }

    pub(super) fn is_active(&self, key: usize) -> bool {
        self.router(key)
            .is_some_and(|router| router.machine.state() == State::Active)
    }

    /// Why a router cannot run by itself, if it cannot.
    pub(super) fn own_fault(&self, key: usize) -> Option<InitReason> {
        let router = self.router(key)?;
        let now = self.now;
        if self.is_stopped || router.is_leaving {
            return Some(InitReason::Shutdown);
        }
        if router.start_at > now {
            return Some(InitReason::NotStarted);
        }
        let is_up = self
            .interfaces
            .get(&router.setup.interface)
            .is_some_and(|interface| interface.is_up && interface.settles_at <= now);
        if !is_up && !router.setup.ignores_link {
            return Some(InitReason::InterfaceDown);
        }
        #[cfg(feature = "hmac-trailer")]
        if self.lacks_clock(router) {
            return Some(InitReason::NotStarted);
        }
        if let Err(reason) = self.source(key) {
            return Some(reason);
        }
        if router.refused_until > now {
            return Some(InitReason::AddressWork);
        }
        self.contribution(key)
            .is_none()
            .then_some(InitReason::Tracker)
    }

    /// From where it advertises.
    pub(super) fn source(&self, key: usize) -> Result<IpAddr, InitReason> {
        let router = self.router(key).ok_or(InitReason::NoSource)?;
        let interface = self.interfaces.get(&router.setup.interface);
        let addresses = interface.map_or(&[][..], |interface| &interface.real);
        choose_source(&router.setup.config, addresses)
    }

    /// What trackers add to its priority; `None` if one forbids it to run.
    pub(super) fn contribution(&self, key: usize) -> Option<i64> {
        let router = self.router(key)?;
        let group = router
            .group
            .and_then(|group| self.config.groups.get(&group));
        let of_group: &[Track] = group.map_or(&[], |group| &group.tracks);
        let tracks = router.setup.tracks.iter().chain(of_group);
        let mut sum = 0_i64;
        for track in tracks {
            let status = self.config.trackers.get(&track.tracker()).copied();
            sum = sum.saturating_add(track.contribution(status.unwrap_or_default())?);
        }
        Some(sum)
    }
}

/// A number that never changes, brought into the interval: FNV-1a over interface, family and id,
/// mixed so that neighbouring ids are far apart.
fn spread_of(setup: &NodeRouter) -> Duration {
    let config = &setup.config;
    let family = match config.family() {
        Family::Ipv4 => 4,
        Family::Ipv6 => 6,
    };
    let identity = setup.interface.get().to_be_bytes();
    let bytes = identity.into_iter().chain([family, config.vrid().get()]);
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let mixed = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    let mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
    let part = mixed >> 16;
    config
        .interval()
        .as_duration()
        .saturating_mul(part)
        .checked_div(0x1_0000)
        .unwrap_or_default()
}
