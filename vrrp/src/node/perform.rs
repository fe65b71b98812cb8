//! What machines want done becomes jobs, in the order that addresses demand.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::awaited::Purpose;
use super::work::{Failure, Next};
use super::{Gate, Item, Node, ReportKind, Scope, Wake};
use crate::actions::Actions;
use crate::event::{Action, Announce, Event, Notification, ShutdownMode, State};
use crate::job::{Job, JobId, JobKind, JobResult};
use crate::timer::{self, NEVER, Timestamp};

/// So many transitions of a router wait for its address work; then they are merged.
const MAX_PENDING: usize = 32;

impl Node {
    /// A job is over.
    ///
    /// Results of jobs that nothing waits for are looked at only if they failed; unknown ids, and
    /// ids given twice, do nothing.
    pub fn complete(&mut self, now: Timestamp, id: JobId, result: JobResult) {
        self.begin(now);
        if let Some((key, purpose)) = self.forget_result(&id) {
            let is_done = result == JobResult::Done;
            let work = self.router(key).map(|router| &router.work);
            if work.is_some_and(|work| work.job == Some(id)) {
                // It may have been late while nobody looked; as slow as the bound is in time.
                if work.is_some_and(|work| self.now > work.deadline) {
                    self.check_late(key);
                }
                self.finish_work(key, is_done);
            } else if work.is_some_and(|work| work.establishes_by(id)) {
                self.finish_establishing(key, is_done);
            } else if let Some((token, kind)) = purpose.failure().filter(|_| !is_done) {
                self.report_limited(key, token, None, kind);
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
                Action::ChangeAddresses => self.doubt(key),
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
                Action::Notify(notification @ Notification::Priority { .. }) => {
                    self.report_router(key, ReportKind::Router(notification));
                }
                Action::Notify(notification) => self.notify_seldom(key, notification),
            }
        }
        self.continue_work(key);
    }

    /// What packets lead to may come as often as they do.
    fn notify_seldom(&mut self, key: usize, notification: Notification) {
        let (token, source) = match notification {
            Notification::Transition(_) => ("transition", None),
            Notification::Priority { .. } => ("priority", None),
            Notification::LosingAdvert(rank) => ("losing-advert", Some(rank.address())),
            Notification::DuplicatePrimaryAddress(source) => ("duplicate-address", Some(source)),
            Notification::OwnerConflict(source) => ("second-owner", Some(source)),
            Notification::Flap(rank) => ("flap", Some(rank.address())),
            Notification::LongInterval(_) => ("long-interval", None),
            Notification::Stalled { .. } => ("stalled", None),
            Notification::PromotionRefused => ("promotion-refused", None),
            Notification::ResignationIgnored(source) => ("resignation-ignored", Some(source)),
            Notification::ActiveWithoutV2(source) => ("active-without-v2", Some(source)),
            Notification::V2AboveFastV3(rank) => ("v2-above-fast-v3", Some(rank.address())),
        };
        self.report_limited(key, token, source, ReportKind::Router(notification));
    }

    /// The addresses of a router may have to be others now.
    pub(super) fn doubt(&mut self, key: usize) {
        if let Some(router) = self.router_mut(key) {
            router.work.doubt();
        }
    }

    fn serve(&mut self, key: usize) {
        if let Some(router) = self.router_mut(key) {
            router.work.doubt();
            router.work.serves = true;
            // It is Active again: nothing to resign from.
            let pending = &mut router.pending;
            pending.retain(|(_, item)| !matches!(item, Item::Resign(_)));
        }
    }

    fn stop_serving(&mut self, key: usize) {
        if let Some(router) = self.router_mut(key) {
            router.work.serves = false;
            // What was left to a successor is not any more.
            router.work.freeze();
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
        let mut item = item;
        if let (Item::Notify(Notification::Transition(new)), true) =
            (&mut item, router.work.never_served())
        {
            // Nobody was told that it is Active, and it never was with its addresses.
            if let Some(&(Gate::Established, Item::Notify(Notification::Transition(untold)))) =
                router.pending.back()
            {
                router.pending.pop_back();
                new.from = untold.from;
                if new.from == new.to {
                    return;
                }
            }
        }
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
            let wanted = if router.work.looks_at_addresses() {
                self.free_addresses(key)
            } else {
                Vec::new()
            };
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
        let Some(router) = self.routers.get_mut(key) else {
            return;
        };
        router.work.job = Some(id);
        let (interface, router_id) = (router.setup.interface, router.id);
        self.holders.take(key, interface, router.work.installed());
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
        self.expect_result(id, key, Purpose::Work);
        self.jobs.push(Job { id, kind });
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
            self.expect_result(id, key, Purpose::Work);
            self.jobs.push(Job { id, kind });
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
        let Some(router) = self.router_mut(key) else {
            return;
        };
        let had = router.work.installed().to_vec();
        let is_adding = router.work.is_adding();
        let failure = router.work.finish(is_done);
        let serves = router.work.serves;
        match failure {
            None if is_adding && serves => self.begin_rounds(key, Announce::Added),
            None => {}
            Some(Failure::Prepare) => self.give_way(key, ReportKind::PrepareFailed),
            Some(Failure::Install) => self.give_way(key, ReportKind::InstallFailed),
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
        self.continue_others(key, &had);
        self.mark(key);
    }

    /// Items pass in order; one that has to wait holds up those behind it.
    fn open_gates(&mut self, key: usize) {
        loop {
            let Some(router) = self.router_mut(key) else {
                return;
            };
            let Some(&(gate, item)) = router.pending.front() else {
                // Mostly nothing waits: no room is kept for it.
                router.pending = VecDeque::new();
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
}
