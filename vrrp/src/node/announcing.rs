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
        if announce == Announce::LosingAdvert {
            return self.begin_losing_rounds(key);
        }
        let Some(router) = self.router_mut(key) else {
            return;
        };
        let rounds = router.rounds;
        router.second_round = after(now, rounds.second_round);
        router.refresh = after(now, rounds.refresh);
        self.add_round(key, rounds.repeat);
    }

    /// Neighbours may have learned the other addresses of the group from the loser too.
    fn begin_losing_rounds(&mut self, key: usize) {
        let now = self.now;
        let Some(router) = self.router_mut(key) else {
            return;
        };
        router.refresh = after(now, router.rounds.refresh);
        let mut keys = router
            .group
            .map_or_else(Vec::new, |group| self.members(group));
        if !keys.contains(&key) {
            keys.push(key);
        }
        for key in keys {
            let Some(router) = self.router_mut(key).filter(|r| r.work.is_installed()) else {
                continue;
            };
            let rounds = router.rounds;
            if rounds.losing_repeat == 0 {
                continue;
            }
            router.losing_round = after(now, rounds.losing_second_round);
            // One that announces all its addresses anyway is not held up in that.
            if !router.work.is_announcing() {
                self.add_round(key, rounds.losing_repeat);
            }
        }
    }

    /// Other rounds are configured now. What is under way goes on, and second rounds come when they
    /// were to come; a refresh begins, ends, or comes after the new time.
    pub(super) fn change_rounds(&mut self, key: usize) {
        let now = self.now;
        let default = self.config.settings.announce.rounds;
        let Some(router) = self.router_mut(key) else {
            return;
        };
        let rounds = router.setup.rounds.unwrap_or(default);
        if rounds.refresh != router.rounds.refresh && router.work.is_installed() {
            router.refresh = after(now, rounds.refresh);
        }
        router.rounds = rounds;
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
        let Some(router) = self.router_mut(key) else {
            return;
        };
        let rounds = router.rounds;
        let second = timer::is_due(now, router.second_round);
        let losing = timer::is_due(now, router.losing_round);
        let refresh = timer::is_due(now, router.refresh);
        if second {
            router.second_round = NEVER;
        }
        if losing {
            router.losing_round = NEVER;
        }
        if refresh {
            router.refresh = after(now, rounds.refresh);
        }
        let is_busy = router.work.is_announcing();
        // The first round of an Active is not held up; others that are due together are one.
        let passes = [
            (second, rounds.repeat),
            (losing && !is_busy, rounds.losing_repeat),
            (refresh && !is_busy, rounds.refresh_repeat),
        ];
        let due = passes.into_iter().filter(|(is_due, _)| *is_due);
        if let Some(passes) = due.map(|(_, passes)| passes).max() {
            self.add_round(key, passes);
        }
    }

    pub(super) fn cancel_announcements(&mut self, key: usize) {
        let Some(router) = self.router_mut(key) else {
            return;
        };
        router.second_round = NEVER;
        router.losing_round = NEVER;
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
        let own = self.config.interfaces.get(&index).and_then(|it| it.spacing);
        let spacing = own.unwrap_or(self.config.settings.announce.spacing);
        let Some(interface) = self.interfaces.get_mut(&index) else {
            return;
        };
        if interface.announcer.deadline() > now {
            return;
        }
        let slots = interface.announcer.take_slots(now, spacing);
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
