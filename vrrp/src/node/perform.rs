//! What machines want done becomes jobs, in the order that addresses demand.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use super::work::{Failure, Next};
use super::{Gate, Item, Node, ReportKind, RouterId, Scope, Wake, virtual_addresses};
use crate::actions::Actions;
use crate::address::InterfaceIndex;
use crate::announce::{ArpStyle, Round, Topic};
use crate::event::{
    Action, Announce, DataPlane, Event, InitReason, Notification, SendAdvert, ShutdownMode, State,
};
use crate::job::{Announcement, Job, JobId, JobKind, JobResult, SendJob};
use crate::receive::{Mode, Versions};
use crate::timer::{self, NEVER, Timestamp};
use crate::version::Version;

/// So many results are awaited beside those of address work; older ones do not count any more.
const MAX_AWAITED: usize = 1024;
/// So many transitions of a router wait for its address work; then they are merged.
const MAX_PENDING: usize = 32;

impl Node {
    /// A job is over.
    ///
    /// Results of jobs that nothing waits for are looked at only if they failed; unknown ids, and
    /// ids given twice, do nothing.
    pub fn complete(&mut self, now: Timestamp, id: JobId, result: JobResult) {
        self.begin(now);
        if let Some(key) = self.awaited.remove(&id) {
            let is_done = result == JobResult::Done;
            let work = self.router(key).map(|router| &router.work);
            if work.is_some_and(|work| work.job == Some(id)) {
                self.finish_work(key, is_done);
            } else if work.is_some_and(|work| work.establishes_by(id)) {
                self.finish_establishing(key, is_done);
            } else if !is_done {
                let kind = ReportKind::SendFailed { suppressed: 0 };
                self.report_limited(key, "send-failed", None, kind);
            }
            self.touched.push(Wake::Router(key));
        }
        self.settle();
    }

    /// Stops all routers. What is left to be done are jobs; [`is_idle`](Self::is_idle) tells when
    /// they are. With a guard [`ShutdownMode::Graceful`] means [`ShutdownMode::ReleaseFirst`].
    pub fn shutdown(&mut self, now: Timestamp, mode: ShutdownMode) {
        self.begin(now);
        self.is_stopped = true;
        for key in self.keys() {
            self.feed(key, Event::Shutdown(mode));
            if mode == ShutdownMode::Handover {
                self.freeze(key);
            }
        }
        self.settle();
    }

    /// What a router has is left to a successor as it is; its notifications need not wait any more.
    fn freeze(&mut self, key: usize) {
        let router = self.router_mut(key);
        if let Some(router) = router.filter(|router| router.work.serves) {
            router.work.freeze();
            let pending = &mut router.pending;
            pending.retain(|(_, item)| matches!(item, Item::Notify(_)));
            self.cancel_announcements(key);
            self.continue_work(key);
        }
    }

    /// The process was stopped for long, and the clock may not show it.
    pub fn stalled(&mut self, now: Timestamp) {
        self.begin(now);
        for key in self.keys() {
            self.feed(key, Event::Stalled);
        }
        self.settle();
    }

    pub(super) fn feed(&mut self, key: usize, event: Event) {
        let now = self.now;
        let Some(router) = self.router_mut(key) else {
            return;
        };
        let before = router.machine.state();
        let actions = router.machine.handle(now, event);
        self.perform(key, before, &actions);
    }

    /// Takes the actions of one step of a machine that was in this state before.
    pub(super) fn perform(&mut self, key: usize, before: State, actions: &Actions) {
        self.touched.push(Wake::Router(key));
        let Some(router) = self.router(key) else {
            return;
        };
        if router.machine.state() != before {
            self.mark(key);
            if before == State::Active {
                // What it said as Active and is still here must not be sent any more.
                self.withdraw_sends(key);
            }
        }
        let mut is_removed = false;
        for action in actions {
            match *action {
                Action::SendAdvert(send) if is_removed => {
                    self.pend(key, Gate::Removed, Item::Resign(send));
                }
                Action::SendAdvert(send) => self.queue_advert(key, send),
                Action::InstallAddresses => self.serve(key),
                Action::ChangeAddresses => {}
                Action::RemoveAddresses => {
                    is_removed = true;
                    self.stop_serving(key);
                }
                // When they are there, which may take a while.
                Action::Announce(Announce::Added) => {}
                Action::Announce(announce) => {
                    self.pend(key, Gate::Installed, Item::Announce(announce));
                }
                Action::CancelAnnouncements => self.cancel_announcements(key),
                Action::DataPlane(plane) if plane.serves => {
                    self.pend(key, Gate::Installed, Item::Plane(plane));
                }
                Action::DataPlane(plane) => self.queue_plane(key, plane),
                Action::RequestGuard => self.ask_group(key),
                Action::ReleaseGuard => self.pend(key, Gate::Settled, Item::Release),
                Action::Notify(Notification::Transition(transition)) => {
                    let gate = if transition.to == State::Active {
                        Gate::Established
                    } else if is_removed {
                        Gate::Settled
                    } else {
                        Gate::Open
                    };
                    let notification = Notification::Transition(transition);
                    self.pend(key, gate, Item::Notify(notification));
                }
                Action::Notify(notification) => {
                    self.report_router(key, ReportKind::Router(notification));
                }
            }
        }
        self.continue_work(key);
    }

    fn serve(&mut self, key: usize) {
        if let Some(router) = self.router_mut(key) {
            router.work.serves = true;
            // It is Active again: nothing to resign from.
            let pending = &mut router.pending;
            pending.retain(|(_, item)| !matches!(item, Item::Resign(_)));
        }
    }

    fn stop_serving(&mut self, key: usize) {
        if let Some(router) = self.router_mut(key) {
            router.work.serves = false;
            let pending = &mut router.pending;
            pending.retain(|(_, item)| !matches!(item, Item::Plane(_) | Item::Announce(_)));
        }
    }

    /// An item waits for address work; it passes at once if there is nothing to wait for.
    fn pend(&mut self, key: usize, gate: Gate, item: Item) {
        let Some(router) = self.router_mut(key) else {
            return;
        };
        let is_full = router.pending.len() >= MAX_PENDING;
        if let (Item::Notify(Notification::Transition(new)), true) = (item, is_full) {
            let waiting = router.pending.iter_mut().rev();
            let mut transitions = waiting.filter_map(|(_, item)| match item {
                Item::Notify(Notification::Transition(transition)) => Some(transition),
                _ => None,
            });
            if let Some(last) = transitions.next() {
                let from = last.from;
                *last = new;
                last.from = from;
                return;
            }
        }
        // Said twice it is done once.
        let is_said = match item {
            Item::Notify(_) => false,
            _ => router.pending.contains(&(gate, item)),
        };
        if !is_said {
            router.pending.push_back((gate, item));
        }
    }

    /// Lets pass what has waited long enough, and begins the next address work.
    pub(super) fn continue_work(&mut self, key: usize) {
        loop {
            self.open_gates(key);
            self.establish(key);
            let now = self.now;
            let Some(router) = self.router_mut(key) else {
                return;
            };
            if router.work.job.is_some() {
                self.check_late(key);
                return;
            }
            let all = virtual_addresses(router.machine.config());
            if router.work.is_complete(all) {
                return;
            }
            let wanted = self.free_addresses(key);
            let Some(router) = self.router_mut(key) else {
                return;
            };
            let next = router.work.next(now, wanted);
            let Some(next) = next else {
                return;
            };
            self.queue_work(key, next);
        }
    }

    /// The addresses of a router that nobody else has on its interface. An address that moves from
    /// one router to another is installed when the other has removed it, or it would be gone.
    fn free_addresses(&self, key: usize) -> Vec<IpAddr> {
        let Some(router) = self.router(key).filter(|router| router.work.serves) else {
            return Vec::new();
        };
        let index = router.setup.interface;
        let others = self
            .routers
            .iter()
            .flatten()
            .filter(|other| other.setup.interface == index && !core::ptr::eq(*other, router));
        let taken: Vec<&[IpAddr]> = others.map(|other| other.work.installed()).collect();
        virtual_addresses(router.machine.config())
            .filter(|address| !taken.iter().any(|taken| taken.contains(address)))
            .collect()
    }

    /// Addresses of an interface may be free now: others may wait for them.
    fn continue_others(&mut self, key: usize) {
        let Some(index) = self.router(key).map(|router| router.setup.interface) else {
            return;
        };
        for other in self.keys() {
            let is_here = self
                .router(other)
                .is_some_and(|router| router.setup.interface == index && router.work.serves);
            if other != key && is_here {
                self.continue_work(other);
            }
        }
    }

    /// A removal that takes longer than it may is a breach, told once.
    fn check_late(&mut self, key: usize) {
        let now = self.now;
        let router = self.router_mut(key);
        if let Some(router) = router.filter(|r| timer::is_due(now, r.work.deadline)) {
            router.work.deadline = NEVER;
            self.report_router(key, ReportKind::RemoveLate);
        }
    }

    fn queue_work(&mut self, key: usize, next: Next) {
        if let Next::Install(addresses)
        | Next::Change {
            install: addresses, ..
        } = &next
        {
            self.place(key, addresses);
        }
        let id = self.new_id();
        let late_at = self.now.saturating_add(self.config.settings.remove_bound);
        let Some(router) = self.routers.get_mut(key).and_then(Option::as_mut) else {
            return;
        };
        router.work.job = Some(id);
        let (interface, router_id) = (router.setup.interface, router.id);
        let kind = match next {
            Next::Prepare => JobKind::Prepare { router: router_id },
            Next::Install(addresses) => JobKind::InstallAddresses {
                router: router_id,
                interface,
                addresses,
            },
            Next::Change { install, remove } => JobKind::ChangeAddresses {
                router: router_id,
                interface,
                install,
                remove,
            },
            Next::Remove(addresses) => {
                router.work.deadline = late_at;
                JobKind::RemoveAddresses {
                    router: router_id,
                    interface,
                    addresses,
                }
            }
            Next::Settle => JobKind::Settle { router: router_id },
        };
        self.awaited.insert(id, key);
        self.jobs.push_back(Job { id, kind });
        self.touched.push(Wake::Router(key));
    }

    /// What follows the announcements begins, if it is time.
    fn establish(&mut self, key: usize) {
        if !self.router(key).is_some_and(|r| r.work.is_to_establish()) {
            return;
        }
        let id = self.new_id();
        if let Some(router) = self.router_mut(key) {
            router.work.begin_establishing(id);
            let kind = JobKind::Establish { router: router.id };
            self.awaited.insert(id, key);
            self.jobs.push_back(Job { id, kind });
        }
    }

    fn finish_establishing(&mut self, key: usize, is_done: bool) {
        if let Some(router) = self.router_mut(key) {
            router.work.end_establishing();
        }
        if !is_done {
            self.report_router(key, ReportKind::EstablishFailed);
        }
        self.continue_work(key);
    }

    /// The last frame of a round was handed out, or there was none.
    pub(super) fn end_announcing(&mut self, key: usize) {
        if let Some(router) = self.router_mut(key) {
            router.work.end_announcing();
            self.continue_work(key);
        }
    }

    fn finish_work(&mut self, key: usize, is_done: bool) {
        let retry_at = self.now.saturating_add(self.config.settings.remove_retry);
        let refused_until = self.now.saturating_add(self.config.settings.install_retry);
        let Some(router) = self.router_mut(key) else {
            return;
        };
        let is_adding = router.work.is_adding();
        let failure = router.work.finish(is_done);
        let serves = router.work.serves;
        match failure {
            None if is_adding && serves => self.begin_rounds(key, Announce::Added),
            None => {}
            Some(failure @ (Failure::Prepare | Failure::Install)) => {
                if serves {
                    router.refused_until = refused_until;
                }
                let kind = match failure {
                    Failure::Prepare => ReportKind::PrepareFailed,
                    _ => ReportKind::InstallFailed,
                };
                self.report_router(key, kind);
                let router = self.router_mut(key);
                if let Some(router) = router.filter(|router| router.work.is_frozen()) {
                    // Nobody knows what is there: no successor goes on with that, it is removed.
                    router.work.serves = false;
                    router.work.freeze();
                } else if serves {
                    self.feed(key, Event::Fault(InitReason::AddressWork));
                }
            }
            Some(Failure::Remove) => {
                router.work.deadline = retry_at;
                self.report_router(key, ReportKind::RemoveFailed);
            }
            Some(Failure::Settle) => self.report_router(key, ReportKind::SettleFailed),
        }
        let former = match self.router_mut(key) {
            Some(router) if router.work.is_settled() => router.former_group.take(),
            _ => None,
        };
        self.dirty.extend(former.map(Scope::Group));
        self.continue_work(key);
        self.continue_others(key);
        self.mark(key);
    }

    /// Items pass in order; one that has to wait holds up those behind it.
    fn open_gates(&mut self, key: usize) {
        loop {
            let Some(router) = self.router_mut(key) else {
                return;
            };
            let Some(&(gate, item)) = router.pending.front() else {
                return;
            };
            let work = &router.work;
            let opens = match gate {
                Gate::Open => true,
                _ if work.is_frozen() => true,
                Gate::Installed => work.is_installed() || !work.serves,
                Gate::Established => work.is_established() || !work.serves,
                Gate::Removed => work.is_gone(),
                Gate::Settled => work.is_settled(),
            };
            if !opens {
                return;
            }
            router.pending.pop_front();
            match item {
                Item::Resign(send) => self.queue_advert(key, send),
                Item::Plane(plane) => self.queue_plane(key, plane),
                Item::Announce(announce) => self.begin_rounds(key, announce),
                Item::Release => self.mark(key),
                Item::Notify(notification) => {
                    self.report_router(key, ReportKind::Router(notification));
                }
            }
        }
    }

    fn queue_advert(&mut self, key: usize, send: SendAdvert) {
        let versions: &[Version] = match send.versions {
            Versions::Only(Version::V2) => &[Version::V2],
            Versions::Only(Version::V3) => &[Version::V3],
            Versions::Dual => &[Version::V2, Version::V3],
        };
        let Some(router) = self.router(key) else {
            return;
        };
        let (id, interface) = (router.id, router.setup.interface);
        for &version in versions {
            // A driver that fell behind sends the newest only, and a resignation once.
            self.drop_sends(key, |other| {
                let is_same = other.version == version;
                is_same && (!other.priority.is_resign() || send.priority.is_resign())
            });
            let job = self.new_id();
            if let Some(router) = self.router_mut(key) {
                router.sends = router.sends.saturating_add(1);
            }
            self.sends.push_back(Job {
                id: job,
                kind: JobKind::Send(SendJob {
                    key,
                    router: id,
                    interface,
                    priority: send.priority,
                    interval: send.interval,
                    version,
                }),
            });
            self.await_result(job, key);
        }
    }

    /// The oldest half of the results that nothing waits for.
    fn forget_results(&mut self) {
        let routers = &self.routers;
        let is_work = |id: &JobId, key: &usize| {
            let router = routers.get(*key).and_then(Option::as_ref);
            router.is_some_and(|router| {
                router.work.job == Some(*id) || router.work.establishes_by(*id)
            })
        };
        let mut left = MAX_AWAITED / 2;
        self.awaited.retain(|id, key| {
            if left == 0 || is_work(id, key) {
                return true;
            }
            left = left.saturating_sub(1);
            false
        });
    }

    fn withdraw_sends(&mut self, key: usize) {
        self.drop_sends(key, |send| !send.priority.is_resign());
    }

    fn drop_sends(&mut self, key: usize, is_dropped: impl Fn(&SendJob) -> bool) {
        let place = self.routers.get_mut(key).and_then(Option::as_mut);
        // As a rule it has none, and the others need not be looked at.
        let Some(router) = place.filter(|router| router.sends > 0) else {
            return;
        };
        let awaited = &mut self.awaited;
        self.sends.retain(|job| match &job.kind {
            JobKind::Send(send) if send.key == key && is_dropped(send) => {
                awaited.remove(&job.id);
                router.sends = router.sends.saturating_sub(1);
                false
            }
            _ => true,
        });
    }

    /// The newest behaviour counts, however slow the driver is.
    fn queue_plane(&mut self, key: usize, plane: DataPlane) {
        let Some(id) = self.router(key).map(|router| router.id) else {
            return;
        };
        self.jobs
            .retain(|job| !matches!(job.kind, JobKind::DataPlane { router, .. } if router == id));
        self.queue(key, JobKind::DataPlane { router: id, plane });
    }

    /// A request that nobody has seen yet is not doubled; giving back makes it void.
    pub(super) fn queue_guard(&mut self, key: usize, kind: JobKind) {
        // The newest rank counts.
        let group = match kind {
            JobKind::ReleaseGuard { group } | JobKind::AcquireGuard { group, .. } => Some(group),
            _ => None,
        };
        self.jobs.retain(|job| match job.kind {
            JobKind::AcquireGuard { group: of, .. } => Some(of) != group,
            _ => true,
        });
        if self.jobs.iter().all(|job| job.kind != kind) {
            self.queue(key, kind);
        }
    }

    fn queue(&mut self, key: usize, kind: JobKind) {
        let id = self.new_id();
        self.await_result(id, key);
        self.jobs.push_back(Job { id, kind });
    }

    fn await_result(&mut self, id: JobId, key: usize) {
        self.awaited.insert(id, key);
        if self.awaited.len() > MAX_AWAITED.saturating_add(self.routers.len()) {
            self.forget_results();
        }
    }

    /// The addresses are there: the rounds begin.
    fn begin_rounds(&mut self, key: usize, announce: Announce) {
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

    fn cancel_announcements(&mut self, key: usize) {
        let Some(router) = self.router_mut(key) else {
            return;
        };
        router.second_round = NEVER;
        router.refresh = NEVER;
        let index = router.setup.interface;
        if let Some(interface) = self.interfaces.get_mut(&index) {
            interface.announcer.cancel(Topic::Addresses(key));
        }
        self.announcements.retain(|job| match &job.kind {
            JobKind::Announce(announcement) => announcement.key != key,
            _ => true,
        });
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
            let kind = JobKind::Announce(announcement);
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
