//! Changes while it runs: priority, source address, configuration.

use core::net::IpAddr;

use super::VirtualRouter;
use crate::actions::Actions;
use crate::config::{ConfigError, RouterConfig};
use crate::event::{Action, Announce, DataPlane, InitReason, LastEvent, Notification, State};
use crate::timer::Timestamp;

impl VirtualRouter {
    /// Goes on with another configuration, by the difference: what is as it was is not touched, and
    /// the same configuration does nothing (`VRRP-215`).
    ///
    /// | Change | Backup | Active |
    /// |---|---|---|
    /// | priority | the deadline moves, not before now | advertises at once |
    /// | interval | used if none was learned from an Active | advertises at once, and an interval from now |
    /// | addresses | nothing | installs and removes the difference, announces what is new, advertises |
    /// | versions, down factor | the deadline moves, not before now | versions: advertises at once |
    /// | accept mode, router advertisements | nothing | the data plane follows |
    /// | guard | counts from now on | one that is not held is lost: tell it the status before |
    ///
    /// # Errors
    ///
    /// What [`RouterConfig::validate`] finds, and [`ConfigError::Identity`] for another id or family,
    /// which would be another virtual router. Nothing has changed then.
    pub fn reconfigure(
        &mut self,
        now: Timestamp,
        config: &RouterConfig,
    ) -> Result<Actions, ConfigError> {
        config.validate()?;
        if config.vrid() != self.config.vrid() {
            return Err(ConfigError::Identity {
                field: "virtual router id",
            });
        }
        if config.family() != self.config.family() {
            return Err(ConfigError::Identity { field: "family" });
        }
        let mut out = Actions::new();
        if *config == self.config {
            return Ok(out);
        }
        let now = self.advance(now);
        self.check_guard(now, &mut out);
        let stall = self.stall(now, false);
        if config.guard_retry().is_none() {
            self.release_guard(&mut out);
        }
        let old = core::mem::replace(&mut self.config, config.clone());
        self.check_guard(now, &mut out);
        if !self.is_interval_learned || old.versions() != self.config.versions() {
            self.active_interval = self.config.interval();
            self.is_interval_learned = false;
        }
        if let Some(gap) = stall.filter(|_| self.state == State::Active) {
            self.recover(now, gap, &mut out);
        }
        match self.state {
            State::Initialize => self.update_priority(now, &mut out),
            State::Backup => self.reconfigure_backup(now, &old, &mut out),
            State::Active => self.reconfigure_active(now, &old, &mut out),
        }
        Ok(out)
    }

    fn reconfigure_backup(&mut self, now: Timestamp, old: &RouterConfig, out: &mut Actions) {
        self.update_priority(now, out);
        let timing =
            |config: &RouterConfig| (config.interval(), config.versions(), config.down_factor());
        if timing(old) != timing(&self.config) {
            // What was refused for a down interval is refused for no more than one of the new ones.
            let refusal = now.saturating_add(self.active_down_interval());
            self.not_before = self.not_before.min(refusal);
            self.move_down_deadline(now);
        }
    }

    fn reconfigure_active(&mut self, now: Timestamp, old: &RouterConfig, out: &mut Actions) {
        let new = &self.config;
        let addresses_differ = old.addresses() != new.addresses()
            || old.excluded_addresses() != new.excluded_addresses();
        let interval_differs = old.interval() != new.interval();
        let adverts_differ = old.versions() != new.versions()
            || old.addresses() != new.addresses()
            || interval_differs;
        let plane_differs = (old.accepts(), old.router_advertisements())
            != (new.accepts(), new.router_advertisements());
        if addresses_differ {
            out.push(Action::ChangeAddresses);
            out.push(Action::Announce(Announce::Added));
        }
        if plane_differs {
            out.push(Action::DataPlane(DataPlane {
                serves: true,
                accepts: new.accepts(),
                router_advertisements: new.router_advertisements(),
            }));
        }
        let priority = self.config.effective_priority(self.contribution);
        if priority == self.priority {
            if adverts_differ {
                self.send_out_of_turn(now, out);
            }
        } else {
            self.update_priority(now, out);
        }
        if interval_differs && self.state == State::Active {
            let next = now.saturating_add(self.config.interval().as_duration());
            self.deadline = next.max(self.not_before);
        }
    }

    /// The effective priority follows base and trackers. RFC 9568 has nothing on it: an Active
    /// advertises at once.
    pub(super) fn update_priority(&mut self, now: Timestamp, out: &mut Actions) {
        let to = self.config.effective_priority(self.contribution);
        let from = core::mem::replace(&mut self.priority, to);
        if from == to {
            return;
        }
        out.push(Action::Notify(Notification::Priority { from, to }));
        match self.state {
            State::Initialize => {}
            State::Backup => self.move_down_deadline(now),
            State::Active if to < from && self.config.switches().fast_handover => {
                self.resign(out);
                self.release_guard(out);
                self.enter_backup(now, LastEvent::FastHandover, out);
                self.refuse_until_deadline();
            }
            State::Active => self.send_out_of_turn(now, out),
        }
    }

    /// Other numbers to wait by: silence counts from where it did, and is not over before now.
    fn move_down_deadline(&mut self, now: Timestamp) {
        self.set_down_deadline();
        self.deadline = self.deadline.max(now);
    }

    pub(super) fn change_source(
        &mut self,
        now: Timestamp,
        source: Option<IpAddr>,
        out: &mut Actions,
    ) {
        if source == self.source {
            return;
        }
        if source.is_none() {
            if self.state != State::Initialize {
                self.fail(now, InitReason::NoSource, out);
            }
            self.source = None;
            return;
        }
        self.source = source;
        if self.state == State::Active {
            self.send_out_of_turn(now, out);
        }
    }
}
