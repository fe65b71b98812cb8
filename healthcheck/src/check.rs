//! A check: a probe, how its outcomes are judged, and what comes out of each attempt.

use core::fmt;
use core::net::IpAddr;
use std::sync::Arc;

use crate::Timestamp;
use crate::aggregate::Role;
use crate::outcome::{AdminHint, Outcome, Verdict, WeightHint};
use crate::policy::{Decision, Health, HealthChange, Policy, Warning};
use crate::probe::Probe;

/// A probe and its policy, ready to be [added](crate::Driver::add) to a driver.
///
/// A clone has the very same probe. One that remembers something between attempts, as a sequence of
/// HTTP requests of which each attempt makes one, has to be made anew for each check instead.
#[derive(Clone, Debug)]
#[must_use]
pub struct Check {
    pub(crate) probe: Arc<dyn Probe>,
    pub(crate) policy: Policy,
    pub(crate) key: Box<str>,
    pub(crate) exclusive: bool,
}

impl Check {
    /// A check without a key.
    pub fn new(probe: impl Probe + 'static, policy: Policy) -> Self {
        Self {
            probe: Arc::new(probe),
            policy,
            key: Box::default(),
            exclusive: false,
        }
    }

    /// A name that is the same after a restart, such as `director/service/destination/check`.
    ///
    /// [`Spread::Hash`](crate::policy::Spread::Hash) takes the first start from it, so that checks
    /// of the same key start at the same place in the interval. Default: the check's number.
    pub fn with_key(mut self, key: &str) -> Self {
        self.key = key.into();
        self
    }

    /// How its outcomes are judged.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether both would do the same and make the same of the answer, so that one may go on as the
    /// other; what judges the outcomes may differ. Never for probes without an
    /// [identity](Probe::identity).
    ///
    /// ```
    /// use lvs_healthcheck::policy::Policy;
    /// use lvs_healthcheck::{Check, Target, TcpProbe};
    ///
    /// let check = |port| {
    ///     let target = Target::new(([192, 0, 2, 1], port).into());
    ///     Check::new(TcpProbe::new(target), Policy::default())
    /// };
    /// assert!(check(80).has_same_probe(&check(80)));
    /// assert!(!check(80).has_same_probe(&check(81)));
    /// ```
    #[must_use]
    pub fn has_same_probe(&self, other: &Self) -> bool {
        let (own, others) = (self.probe.identity(), other.probe.identity());
        own.is_some() && own == others && self.exclusive == other.exclusive
    }

    /// Never shares its attempts with checks of the same probe; see [`Driver::add`](crate::Driver::add).
    pub const fn exclusive(mut self) -> Self {
        self.exclusive = true;
        self
    }

    /// What is allowed but seldom meant, with the check in this role, on a host with these
    /// [addresses](crate::local_addresses): what the [policy](Policy::warnings) says of itself, and
    /// [`Warning::SelfCheck`] where a required check asks this host (by no mark and in no other
    /// namespace, which may lead elsewhere).
    ///
    /// ```
    /// use lvs_healthcheck::aggregate::Role;
    /// use lvs_healthcheck::{Check, Policy, Target, TcpProbe, local_addresses};
    ///
    /// let virtual_address = "127.0.0.1:80".parse()?;
    /// let check = Check::new(TcpProbe::new(Target::new(virtual_address)), Policy::default());
    /// for warning in check.warnings(Role::Required, &local_addresses()?) {
    ///     println!("{}: {warning}", warning.id());
    /// }
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn warnings(&self, role: Role, local: &[IpAddr]) -> Vec<Warning> {
        let mut warnings = self.policy.warnings();
        let target = self.probe.target().filter(|target| {
            // These are made for addresses that are local here and somebody else's there.
            target.mark().is_none() && target.namespace().is_none()
        });
        if let Some(target) = target {
            let address = target.address().ip();
            let canonical = address.to_canonical();
            // All of 127.0.0.0/8 is, though devices have one of them.
            let loopback = canonical.is_loopback().then_some(address);
            let local = local.iter().copied().chain(loopback);
            warnings.extend(Warning::self_check(role, address, local));
        }
        warnings
    }
}

/// Names a check of one driver. Never used again for another one (until after 2³² uses of a slot).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CheckId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}

/// Who found out what a [`Report`] says.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Source {
    /// An attempt of the check, or that no report came in time where they are waited for.
    Attempt,
    /// Errors of real traffic, [observed](crate::Driver::observe) by somebody else.
    Traffic,
    /// A reporter, see [`Driver::report`](crate::Driver::report).
    Reporter,
}

/// Everything one attempt led to, or what somebody else found out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Which check.
    pub check: CheckId,
    /// When the attempt started.
    pub started: Timestamp,
    /// When its outcome became known.
    pub at: Timestamp,
    /// The number of the attempt, from 1; where it was none, of the last one.
    pub attempt: u64,
    /// Who found it out.
    pub source: Source,
    /// What was found out. Its verdict is the probe's.
    pub outcome: Outcome,
    /// What that counted as: the policy may see errors of this host otherwise, and everything is
    /// neutral while the check is [suspended](crate::Driver::suspend).
    pub verdict: Verdict,
    /// The check's health now.
    pub health: Health,
    /// Where its counter is now, 0 to [`Policy::highest`]; up from `rise` on.
    pub counter: u32,
    /// How its health changed, if it did.
    pub change: Option<HealthChange>,
    /// The weight hint in force now: a failure removes it, a success replaces it.
    pub hint: Option<WeightHint>,
    /// Whether the destination asks for no new connections.
    pub no_new: bool,
    /// What the check asks for apart from health: the last vote an outcome carried.
    pub admin: Option<AdminHint>,
    /// Whether `hint`, `no_new` or `admin` is another than before.
    pub hint_changed: bool,
    /// Whether this is worth a line in a log, see [`Decision::log`](crate::policy::Decision::log).
    pub log: bool,
    /// Errors of this host in a row, including this one.
    pub local_errors: u32,
}

impl Report {
    /// What a decision about this outcome of an attempt with this number means.
    pub(crate) fn new(
        (check, attempt): (CheckId, u64),
        source: Source,
        (started, at): (Timestamp, Timestamp),
        outcome: Outcome,
        decision: &Decision,
    ) -> Self {
        Self {
            check,
            started,
            at,
            attempt,
            source,
            outcome,
            verdict: decision.verdict,
            health: decision.health,
            counter: decision.counter,
            change: decision.change,
            hint: decision.hint,
            no_new: decision.no_new,
            admin: decision.admin,
            hint_changed: decision.hint_changed,
            log: decision.log,
            local_errors: decision.local_errors,
        }
    }
}

/// What a [`Driver`](crate::Driver) hands out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CheckEvent {
    /// An attempt has an outcome, or somebody else has found something out. Steady ones are reported too; look at [`Report::change`] and
    /// [`Report::hint_changed`] for what needs action.
    Completed(Report),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::PushProbe;
    use crate::{Target, TcpProbe};

    #[test]
    fn asking_this_host_is_warned_of_unless_it_leads_elsewhere() {
        let target = |address: &str| Target::new(address.parse().unwrap());
        let local: [IpAddr; 2] = ["192.0.2.80", "2001:db8::80"].map(|ip| ip.parse().unwrap());
        let warns = |target: Target, role| {
            let check = Check::new(TcpProbe::new(target), Policy::default());
            let warnings = check.warnings(role, &local);
            assert!(warnings.iter().all(|warning| warning.id() == "self_check"));
            !warnings.is_empty()
        };
        assert!(warns(target("192.0.2.80:80"), Role::Required));
        assert!(warns(target("[2001:db8::80]:80"), Role::Required));
        assert!(warns(target("127.3.2.1:80"), Role::Required));
        assert!(!warns(target("192.0.2.81:80"), Role::Required));
        assert!(!warns(target("192.0.2.80:80"), Role::Info));
        assert!(!warns(target("192.0.2.80:80").with_mark(7), Role::Required));
        let inside = target("192.0.2.80:80").with_namespace("blue");
        assert!(!warns(inside, Role::Required));
        let second = core::time::Duration::from_secs(1);
        let hasty = Policy::default().with_fall(1).with_timeout(second / 2);
        let check = Check::new(PushProbe::new(second), hasty);
        assert_eq!(
            check.warnings(Role::Required, &local).len(),
            1,
            "the policy's"
        );
    }
}
