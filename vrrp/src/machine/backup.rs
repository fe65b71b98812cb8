//! Backup: waiting for silence. RFC 9568 §6.4.2.

use core::time::Duration;

use super::counters::increment;
use super::{Pending, VirtualRouter, Wait};
use crate::actions::Actions;
use crate::event::{
    Action, Announce, DataPlane, HeardAdvert, LastEvent, NewActiveReason, Notification, State,
};
use crate::priority::Rank;
use crate::timer::{self, NEVER, Timestamp};
use crate::version::Version;

/// How often it became Active of late.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Promotions {
    /// When counting began.
    began: Timestamp,
    count: u8,
    /// How many were put off in a row.
    refused: u8,
}

impl VirtualRouter {
    /// Becomes Backup with a full down interval from now on, at its own interval: nobody is known to
    /// be Active.
    pub(super) fn enter_backup(&mut self, now: Timestamp, event: LastEvent, out: &mut Actions) {
        self.forget(now);
        self.enter_backup_with(now, now, event, out);
    }

    /// Becomes Backup; silence counts from this time on.
    pub(super) fn enter_backup_with(
        &mut self,
        now: Timestamp,
        from: Timestamp,
        event: LastEvent,
        out: &mut Actions,
    ) {
        if self.state == State::Initialize {
            out.push(Action::DataPlane(DataPlane::default()));
        }
        self.transition(now, State::Backup, event, out);
        self.reference = from;
        self.set_down_deadline();
    }

    /// No promotion before the deadline, whatever is heard.
    pub(super) fn refuse_until_deadline(&mut self) {
        self.not_before = self.deadline;
    }

    /// The deadline that follows from where silence began and how long it has to be.
    pub(super) fn set_down_deadline(&mut self) {
        let wait = match self.wait {
            Wait::Down => self.active_down_interval(),
            Wait::Skew => self.skew_time(),
            Wait::Nothing => Duration::ZERO,
        };
        self.deadline = self.reference.saturating_add(wait).max(self.not_before);
    }

    /// Silence counts from the reception of an advertisement on; one that was overtaken by a later
    /// one does not turn time back.
    fn rearm(&mut self, received_at: Timestamp, wait: Wait) {
        self.reference = self.reference.max(received_at);
        self.wait = wait;
        self.set_down_deadline();
    }

    pub(super) fn hear_as_backup(&mut self, advert: &HeardAdvert, out: &mut Actions) {
        let preempts = self.config.preempts();
        if advert.priority.is_resign() {
            self.hear_resignation(advert, out);
        } else if !preempts || advert.priority >= self.priority {
            self.hold = NEVER;
            self.accept(advert, out);
        } else if !self.config.preempt_hold().is_zero() {
            self.hear_in_hold(advert, out);
        } else {
            // Not accepted: the deadline stays, and its end is the preemption (`VRRP-065`).
            self.pending = Pending::Preempted;
            self.remember(advert, out);
        }
    }

    /// `VRRP-062`: the Active stops. Its interval is not adopted.
    fn hear_resignation(&mut self, advert: &HeardAdvert, out: &mut Actions) {
        let of_active = self
            .active
            .is_some_and(|active| active.address() == advert.source);
        if self.config.switches().zero_only_from_current_active && !of_active {
            let ignored = Notification::ResignationIgnored(advert.source);
            out.push(Action::Notify(ignored));
            return;
        }
        self.hold = NEVER;
        self.pending = Pending::Priority;
        self.rearm(advert.received_at, Wait::Skew);
    }

    /// The sender may be Active, so its silence begins anew (`VRRP-063`).
    fn accept(&mut self, advert: &HeardAdvert, out: &mut Actions) {
        self.check_v2_rank(advert, out);
        self.adopt(advert, out);
        self.active = Some(Rank::new(advert.priority, advert.source));
        self.pending = Pending::NoResponse;
        self.rearm(advert.received_at, Wait::Down);
        if self.request.is_some() {
            self.release_guard(out);
        }
    }

    /// An Active of lower priority is borne until the hold ends; then it counts as one that has
    /// resigned, so that several that waited are ordered by their priorities (`VRRP-212`).
    fn hear_in_hold(&mut self, advert: &HeardAdvert, out: &mut Actions) {
        let received_at = advert.received_at;
        if self.hold == NEVER {
            self.hold = received_at.saturating_add(self.config.preempt_hold());
        }
        if received_at < self.hold {
            self.accept(advert, out);
            return;
        }
        self.remember(advert, out);
        self.pending = Pending::HoldOver;
        if received_at.saturating_add(self.skew_time()) < self.deadline {
            self.rearm(received_at, Wait::Skew);
        }
    }

    /// Keeps in mind who is Active though it is not accepted; one that was accepted stays.
    fn remember(&mut self, advert: &HeardAdvert, out: &mut Actions) {
        self.check_v2_rank(advert, out);
        let is_accepted = self
            .active
            .is_some_and(|active| active.priority() >= self.priority);
        if !is_accepted {
            self.active = Some(Rank::new(advert.priority, advert.source));
        }
    }

    /// The rate of the Active becomes the one to wait by, in VRRPv3. RFC 9568 §6.1 (`VRRP-039`).
    pub(super) fn adopt(&mut self, advert: &HeardAdvert, out: &mut Actions) {
        if self.config.timer_version() == Version::V2 {
            return;
        }
        let longest = self.config.switches().max_adopted_interval;
        let adopted = longest.map_or(advert.interval, |longest| longest.min(advert.interval));
        let ten_times = u32::from(self.config.interval().centiseconds()).saturating_mul(10);
        let is_long = u32::from(adopted.centiseconds()) > ten_times;
        if is_long && adopted != self.active_interval {
            out.push(Action::Notify(Notification::LongInterval(adopted)));
        }
        self.active_interval = adopted;
        self.is_interval_learned = true;
    }

    /// Silence was long enough: become Active, if the guard allows it (`VRRP-059`).
    pub(super) fn promote_if_due(&mut self, now: Timestamp, out: &mut Actions) {
        if !timer::is_due(now, self.deadline) {
            return;
        }
        if let Some(delay) = self.promotion_delay(now) {
            increment(&mut self.counters.refused_promotions);
            out.push(Action::Notify(Notification::PromotionRefused));
            self.release_guard(out);
            self.deadline = now.saturating_add(delay);
            self.refuse_until_deadline();
            return;
        }
        if !self.may_be_active(now) {
            self.request_guard_if_due(now, out);
            return;
        }
        let (reason, event) = match self.pending {
            Pending::NoResponse => (NewActiveReason::NoResponse, LastEvent::ActiveTimeout),
            Pending::Priority => (NewActiveReason::Priority, LastEvent::ActiveTimeout),
            Pending::HoldOver => (NewActiveReason::Preempted, LastEvent::PreemptHoldTimeout),
            Pending::Preempted if self.priority.is_owner() => {
                (NewActiveReason::Preempted, LastEvent::OwnerPreempt)
            }
            Pending::Preempted => (NewActiveReason::Preempted, LastEvent::LowerPriorityActive),
        };
        self.become_active(now, reason, event, out);
    }

    /// By how much a promotion beyond the limit is put off: by a down interval, then by two, by four
    /// and so on, at most by the window.
    fn promotion_delay(&mut self, now: Timestamp) -> Option<Duration> {
        let limit = self.config.switches().promotion_limit?;
        let past = now.saturating_sub(self.promotions.began);
        if self.promotions.count < limit.promotions || past >= limit.window {
            return None;
        }
        let times = 1_u32
            .checked_shl(u32::from(self.promotions.refused))
            .unwrap_or(u32::MAX);
        self.promotions.refused = self.promotions.refused.saturating_add(1);
        let delay = self.active_down_interval().saturating_mul(times);
        Some(delay.min(limit.window))
    }

    /// Counts a promotion within the window of the limit.
    fn count_promotion(&mut self, now: Timestamp) {
        let Some(limit) = self.config.switches().promotion_limit else {
            return;
        };
        let past = now.saturating_sub(self.promotions.began);
        if self.promotions.count == 0 || past >= limit.window {
            self.promotions = Promotions {
                began: now,
                ..Promotions::default()
            };
        }
        self.promotions.count = self.promotions.count.saturating_add(1);
    }

    /// RFC 9568 §6.4.2 (`VRRP-059`, `VRRP-060`): advertisement first, so that another Active lets
    /// go; addresses before the announcements, which must not be made for what we do not answer for
    /// (`VRRP-113`, `VRRP-121`).
    pub(super) fn become_active(
        &mut self,
        now: Timestamp,
        reason: NewActiveReason,
        event: LastEvent,
        out: &mut Actions,
    ) {
        self.forget(now);
        self.count_promotion(now);
        self.send(now, out);
        out.push(Action::InstallAddresses);
        self.serve(Announce::BecameActive, out);
        self.deadline = now.saturating_add(self.config.interval().as_duration());
        self.hold = Timestamp::ZERO;
        self.new_active_reason = reason;
        increment(&mut self.counters.became_active);
        self.transition(now, State::Active, event, out);
    }

    /// Data plane of an Active, announcements, and only then router advertisements.
    pub(super) fn serve(&self, announce: Announce, out: &mut Actions) {
        let plane = DataPlane {
            serves: true,
            accepts: self.config.accepts(),
            router_advertisements: false,
        };
        out.push(Action::DataPlane(plane));
        out.push(Action::Announce(announce));
        if self.config.router_advertisements() {
            out.push(Action::DataPlane(DataPlane {
                router_advertisements: true,
                ..plane
            }));
        }
    }
}
