//! Rounds of announcements: when they begin, what their frames are.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use super::awaited::Purpose;
use super::{Node, RouterId, Wake};
use crate::address::InterfaceIndex;
use crate::announce::{ArpStyle, Round, Topic};
use crate::event::{Announce, State};
use crate::job::{Announcement, Job, JobKind};
use crate::receive::Mode;
use crate::timer::{self, NEVER, Timestamp};

impl Node {
    /// The addresses are there: the rounds begin.
    pub(super) fn begin_rounds(&mut self, key: usize, announce: Announce) {
        let now = self.now;
        let settings = self.config.settings.announce;
        let passes = match announce {
            Announce::LosingAdvert => settings.losing_repeat,
            Announce::BecameActive | Announce::AfterStall | Announce::Added => settings.repeat,
        };
        let Some(router) = self.router_mut(key) else {
            return;
        };
        if announce != Announce::LosingAdvert {
            router.second_round = after(now, settings.second_round);
        }
        router.refresh = after(now, settings.refresh);
        let group = router.group;
        let mut keys = Vec::new();
        if let Some(group) = group.filter(|_| announce == Announce::LosingAdvert) {
            // Neighbours may have learned the other addresses from the loser too.
            keys = self.members(group);
        }
        if !keys.contains(&key) {
            keys.push(key);
        }
        let is_loser = announce == Announce::LosingAdvert;
        for key in keys {
            // One that announces all its addresses anyway is not held up in that.
            let is_busy = is_loser && self.router(key).is_some_and(|r| r.work.is_announcing());
            if !is_busy {
                self.add_round(key, passes);
            }
        }
    }

    fn add_round(&mut self, key: usize, passes: u8) {
        let now = self.now;
        let Some(router) = self.router(key).filter(|router| router.work.is_installed()) else {
            return;
        };
        let index = router.setup.interface;
        if let Some(interface) = self.interfaces.get_mut(&index) {
            interface.announcer.wake(now);
            let topic = Topic::Addresses(key);
            interface.announcer.add(topic, passes);
            let is_empty = !interface.announcer.has(topic);
            self.announce(index);
            self.touched.push(Wake::Interface(index));
            if is_empty {
                self.end_announcing(key);
            }
        }
    }

    /// A peer that has forgotten where this node is could deliver nothing to it, and it would promote
    /// itself (spec 3.1).
    pub(super) fn announce_source(&mut self, key: usize) {
        let now = self.now;
        let Some(router) = self.router(key) else {
            return;
        };
        let index = router.setup.interface;
        let Mode::Unicast { .. } = router.machine.config().mode() else {
            return;
        };
        if let Some(interface) = self.interfaces.get_mut(&index) {
            interface.announcer.wake(now);
            interface.announcer.add(Topic::Source(key), 1);
            self.announce(index);
            self.touched.push(Wake::Interface(index));
        }
    }

    /// Second rounds and refreshes whose time has come.
    pub(super) fn continue_rounds(&mut self, key: usize) {
        let now = self.now;
        let settings = self.config.settings.announce;
        let Some(router) = self.router_mut(key) else {
            return;
        };
        let second = timer::is_due(now, router.second_round);
        let refresh = timer::is_due(now, router.refresh);
        if second {
            router.second_round = NEVER;
        }
        if refresh {
            router.refresh = after(now, settings.refresh);
        }
        if second {
            self.add_round(key, settings.repeat);
        } else if refresh && !self.router(key).is_some_and(|r| r.work.is_announcing()) {
            self.add_round(key, settings.refresh_repeat);
        }
    }

    pub(super) fn cancel_announcements(&mut self, key: usize) {
        let Some(router) = self.router_mut(key) else {
            return;
        };
        router.second_round = NEVER;
        router.refresh = NEVER;
        let index = router.setup.interface;
        if let Some(interface) = self.interfaces.get_mut(&index) {
            interface.announcer.cancel(Topic::Addresses(key));
        }
        let mut dropped = Vec::new();
        self.announcements.retain(|job| match &job.kind {
            JobKind::Announce(announcement) if announcement.key == key => {
                dropped.push(job.id);
                false
            }
            _ => true,
        });
        for id in dropped {
            self.forget_result(&id);
        }
    }

    /// Frames whose time has come.
    pub(super) fn announce(&mut self, index: InterfaceIndex) {
        let now = self.now;
        let settings = self.config.settings.announce;
        let Some(interface) = self.interfaces.get_mut(&index) else {
            return;
        };
        if interface.announcer.deadline() > now {
            return;
        }
        let slots = interface.announcer.take_slots(now, settings.spacing);
        for _ in 0..slots {
            let Some(announcement) = self.next_announcement(index) else {
                return;
            };
            let id = self.new_id();
            let key = announcement.key;
            let kind = JobKind::Announce(announcement);
            self.await_result(id, key, Purpose::of(&kind));
            self.announcements.push_back(Job { id, kind });
        }
    }

    fn next_announcement(&mut self, index: InterfaceIndex) -> Option<Announcement> {
        loop {
            let round = *self.interfaces.get_mut(&index)?.announcer.front()?;
            let key = round.topic.key();
            let Some((router, address, count)) = self.address_of(round) else {
                let announcer = &mut self.interfaces.get_mut(&index)?.announcer;
                if announcer.end_pass() && round.topic == Topic::Addresses(key) {
                    self.end_announcing(key);
                }
                continue;
            };
            let style = match address {
                IpAddr::V4(_) => self.config.settings.announce.arp,
                IpAddr::V6(_) => ArpStyle::Request,
            };
            let announcer = &mut self.interfaces.get_mut(&index)?.announcer;
            let round = announcer.front()?;
            let operation = round.step(style);
            let (is_pass_over, topic) = (round.next >= count, round.topic);
            let ends_round = is_pass_over && announcer.end_pass();
            let is_source = topic == Topic::Source(key);
            return Some(Announcement {
                key,
                router,
                interface: index,
                address,
                operation,
                is_source,
                ends_round: ends_round && !is_source,
            });
        }
    }

    /// The next address of a round, whose it is, and how many there are.
    fn address_of(&self, round: Round) -> Option<(RouterId, IpAddr, usize)> {
        let router = self.router(round.topic.key())?;
        let source;
        let addresses = match round.topic {
            Topic::Addresses(_) => router.work.installed(),
            Topic::Source(_) if router.machine.state() == State::Initialize => &[],
            Topic::Source(_) => {
                source = router.machine.source();
                source.as_slice()
            }
        };
        let address = addresses.get(round.next)?;
        Some((router.id, *address, addresses.len()))
    }
}

fn after(now: Timestamp, time: Option<Duration>) -> Timestamp {
    time.map_or(NEVER, |time| now.saturating_add(time))
}
