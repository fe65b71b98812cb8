//! The guard's part in the transitions: no advertisement and no address without it (`VRRP-216`).

use super::VirtualRouter;
use super::counters::increment;
use crate::actions::Actions;
use crate::event::{Action, InitReason, LastEvent, State};
use crate::guard::GuardStatus;
use crate::timer::{self, Timestamp};

impl VirtualRouter {
    /// Whether being Active needs a guard.
    pub(super) fn is_guarded(&self) -> bool {
        self.config.guard_retry().is_some()
    }

    /// Whether the guard does not forbid to be Active now (`VRRP-217`).
    pub(super) fn may_be_active(&self, now: Timestamp) -> bool {
        !self.is_guarded() || self.guard.is_held_at(now)
    }

    pub(super) fn request_guard(&mut self, now: Timestamp, out: &mut Actions) {
        let retry = self.config.guard_retry().unwrap_or_default();
        self.request = Some(now.saturating_add(retry.max(self.skew_time())));
        out.push(Action::RequestGuard);
    }

    /// Asks at the down deadline, and again as long as there is no answer.
    pub(super) fn request_guard_if_due(&mut self, now: Timestamp, out: &mut Actions) {
        if self.request.is_none_or(|retry| timer::is_due(now, retry)) {
            self.request_guard(now, out);
        }
    }

    /// Gives the guard back if there is anything to give: it is held, or was asked for.
    pub(super) fn release_guard(&mut self, out: &mut Actions) {
        let is_held = matches!(self.guard, GuardStatus::Held { .. });
        if self.is_guarded() && (is_held || self.request.is_some()) {
            out.push(Action::ReleaseGuard);
            // From here on nothing may rely on it, however long it was granted for.
            self.guard = GuardStatus::Unknown;
        }
        self.request = None;
    }

    /// An Active stops as soon as the guard does not cover it, and nothing is left to a successor any
    /// more: whatever the event is, this comes first.
    pub(super) fn check_guard(&mut self, now: Timestamp, out: &mut Actions) {
        let is_handed_over = self.is_handed_over();
        if self.may_be_active(now) || (self.state != State::Active && !is_handed_over) {
            return;
        }
        increment(&mut self.counters.guard_losses);
        self.resign_released(out);
        self.release_guard(out);
        if is_handed_over {
            self.leave(now, InitReason::Shutdown, LastEvent::GuardLost, out);
        } else {
            self.enter_backup(now, LastEvent::GuardLost, out);
        }
    }

    pub(super) fn change_guard(&mut self, now: Timestamp, status: GuardStatus, out: &mut Actions) {
        self.guard = status;
        if !self.is_guarded() {
            return;
        }
        let is_held = status.is_held_at(now);
        match self.state {
            State::Active => self.check_guard(now, out),
            State::Initialize if self.is_handed_over() => self.check_guard(now, out),
            State::Backup if is_held && self.request.is_some() => self.promote_if_due(now, out),
            // A rightful Active has spoken since it was asked for.
            State::Backup | State::Initialize if is_held => self.release_guard(out),
            State::Backup | State::Initialize => {}
        }
    }
}
