//! Active: advertising, and giving way. RFC 9568 §6.4.3.

use core::cmp::Ordering;
use core::time::Duration;

use super::counters::increment;
use super::{VirtualRouter, Wait};
use crate::actions::Actions;
use crate::event::{
    Action, Announce, Event, HeardAdvert, LastEvent, Notification, SendAdvert, State,
};
use crate::interval::Interval;
use crate::priority::Rank;
use crate::profile::{AnswerLosing, StallPolicy};
use crate::timer::{self, Timestamp};
use crate::version::Version;

impl VirtualRouter {
    /// Advertises (`VRRP-075`). Whatever the event, an Active with a guard has looked at the time
    /// before.
    pub(super) fn send(&mut self, now: Timestamp, out: &mut Actions) {
        out.push(self.advert(self.priority));
        self.reference = now;
    }

    /// Advertises now, out of turn, unless it only listens.
    pub(super) fn send_out_of_turn(&mut self, now: Timestamp, out: &mut Actions) {
        if now >= self.not_before {
            self.send(now, out);
        }
    }

    pub(super) fn advertise_if_due(&mut self, now: Timestamp, out: &mut Actions) {
        if timer::is_due(now, self.deadline) {
            self.send(now, out);
            let interval = self.config.interval().as_duration();
            self.deadline = timer::next_slot(self.deadline, now, interval);
        }
    }

    /// When an Active may send its next advertisement at the earliest: so much before it is due, but
    /// never more than a sixteenth of the interval. `None` while it is not Active.
    #[must_use]
    pub fn earliest_advert(&self, slack: Duration) -> Option<Timestamp> {
        if self.state != State::Active {
            return None;
        }
        let most = self.config.interval().as_duration() / 16;
        let earliest = self.deadline.saturating_sub(slack.min(most));
        Some(earliest.max(self.not_before))
    }

    /// Advertises now, if that is not too [early](Self::earliest_advert): so that advertisements of
    /// several routers leave together. The next one is due an interval after this one. It changes
    /// nothing in any other state, and a tick that is due comes first.
    pub fn advertise_early(&mut self, now: Timestamp, slack: Duration) -> Actions {
        let now = self.advance(now);
        let earliest = self.earliest_advert(slack);
        if timer::is_due(now, self.deadline) || earliest.is_none_or(|earliest| now < earliest) {
            return self.handle(now, Event::Tick);
        }
        let mut out = Actions::new();
        self.check_guard(now, &mut out);
        if self.state == State::Active {
            self.send(now, &mut out);
            self.deadline = now.saturating_add(self.config.interval().as_duration());
        }
        out
    }

    pub(super) fn hear_as_active(
        &mut self,
        now: Timestamp,
        advert: &HeardAdvert,
        out: &mut Actions,
    ) {
        if advert.priority.is_resign() {
            // `VRRP-076`
            if now >= self.not_before {
                self.send(now, out);
                self.deadline = now.saturating_add(self.config.interval().as_duration());
            }
            return;
        }
        let rank = Rank::new(advert.priority, advert.source);
        if advert.priority.is_owner() && self.priority.is_owner() {
            let conflict = Notification::OwnerConflict(advert.source);
            out.push(Action::Notify(conflict));
        }
        let order = self.source.map_or(Ordering::Greater, |source| {
            rank.cmp(&Rank::new(self.priority, source))
        });
        match order {
            Ordering::Greater => self.yield_to(now, advert, out),
            // To answer one's own packet would have no end.
            Ordering::Equal => out.push(Action::Notify(Notification::DuplicatePrimaryAddress(
                advert.source,
            ))),
            Ordering::Less => self.hear_losing(now, rank, out),
        }
    }

    /// Gives way to a router of higher rank (`VRRP-077`, `VRRP-078`).
    fn yield_to(&mut self, now: Timestamp, advert: &HeardAdvert, out: &mut Actions) {
        let rank = Rank::new(advert.priority, advert.source);
        let active_for = advert.received_at.saturating_sub(self.since);
        if active_for <= self.config.interval().as_duration() {
            increment(&mut self.counters.flaps);
            out.push(Action::Notify(Notification::Flap(rank)));
        }
        if self.config.switches().yield_with_advert && now >= self.not_before {
            out.push(self.last_word(advert));
        }
        self.stop_serving(out);
        self.release_guard(out);
        let event = if advert.priority.is_owner() {
            LastEvent::OwnerPreempt
        } else {
            LastEvent::HigherPriorityBackup
        };
        self.forget(now);
        self.adopt(advert, out);
        self.active = Some(rank);
        self.enter_backup_with(now, advert.received_at, event, out);
    }

    /// The advertisement before giving way. Backups that hear it last adopt its interval, so it says
    /// that of the winner: at a shorter one they would not bear the winner's pauses, take over, give
    /// way in the same manner, and so on without end.
    fn last_word(&self, winner: &HeardAdvert) -> Action {
        let own = self.config.interval();
        let interval = match self.config.timer_version() {
            Version::V2 => own,
            Version::V3 => winner.interval.max(own).min(Interval::MAX_V3),
        };
        Action::SendAdvert(SendAdvert {
            priority: self.priority,
            interval,
            versions: self.config.versions(),
        })
    }

    /// Another router advertises though this one outranks it: it was Active too, or is not to
    /// preempt (`VRRP-079`, `VRRP-080`, `VRRP-213`).
    fn hear_losing(&mut self, now: Timestamp, rank: Rank, out: &mut Actions) {
        let switches = *self.config.switches();
        increment(&mut self.counters.losing_adverts);
        let answers = match switches.answer_losing_adverts {
            AnswerLosing::Never => false,
            AnswerLosing::V3 => self.config.timer_version() == Version::V3,
            AnswerLosing::Always => true,
        };
        if answers {
            self.send_out_of_turn(now, out);
        }
        if switches.reannounce && now >= self.hold && now >= self.not_before {
            self.hold = now.saturating_add(self.config.interval().as_duration());
            out.push(Action::Announce(Announce::LosingAdvert));
        }
        out.push(Action::Notify(Notification::LosingAdvert(rank)));
    }

    /// After how long without an advertisement of ours another router may have taken over.
    pub(crate) fn stall_threshold(&self) -> Duration {
        timer::active_down_interval(
            self.config.timer_version(),
            self.config.switches().highest_other_priority,
            self.config.interval(),
            self.config.down_factor(),
        )
    }

    /// How long an Active has been silent, if so long that another may have taken over; zero if only
    /// the caller knows of the pause.
    pub(super) fn stall(&self, now: Timestamp, is_told: bool) -> Option<Duration> {
        if self.state != State::Active {
            return None;
        }
        if is_told {
            return Some(Duration::ZERO);
        }
        // The threshold is beyond the deadline, so most of the time it need not be known.
        if now <= self.deadline {
            return None;
        }
        let gap = now.saturating_sub(self.reference);
        (gap >= self.stall_threshold()).then_some(gap)
    }

    /// OP-5 (`VRRP-210`): what follows from a pause comes before everything else.
    pub(super) fn recover(&mut self, now: Timestamp, gap: Duration, out: &mut Actions) {
        increment(&mut self.counters.stalls);
        out.push(Action::Notify(Notification::Stalled { gap }));
        let next = now.saturating_add(self.config.interval().as_duration());
        match self.config.switches().stall {
            StallPolicy::Assert => {
                self.send(now, out);
                self.deadline = next;
                out.push(Action::Announce(Announce::AfterStall));
            }
            StallPolicy::Listen => {
                // Counts as an advertisement, or the next tick would find the same gap.
                self.reference = now;
                self.not_before = next;
                self.deadline = next;
            }
            StallPolicy::StepDown => {
                self.stop_serving(out);
                self.release_guard(out);
                self.enter_backup(now, LastEvent::Stalled, out);
                self.refuse_until_deadline();
            }
        }
    }

    /// Pulled down by others than a better advertisement: resigns, so that whoever was better is
    /// Active everywhere within a skew time.
    pub(super) fn give_way(&mut self, now: Timestamp, out: &mut Actions) {
        match self.state {
            State::Initialize => {}
            State::Backup => {
                if self.request.is_some() {
                    self.release_guard(out);
                    self.enter_wait(now);
                }
            }
            State::Active => {
                self.resign(out);
                self.release_guard(out);
                self.enter_backup(now, LastEvent::Yielded, out);
            }
        }
    }

    /// Silence counts from now on, for a full down interval.
    fn enter_wait(&mut self, now: Timestamp) {
        self.reference = now;
        self.wait = Wait::Down;
        self.set_down_deadline();
    }
}
