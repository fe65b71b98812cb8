//! What a director wants of the kernel, and why.

use core::fmt;
use std::borrow::Cow;

use super::value::{ConnReuse, Value};
use super::variable::{
    CONN_REUSE_MODE, CONNTRACK, Definition, EXPIRE_NODEST_CONN, EXPIRE_QUIESCENT_TEMPLATE,
    IP_FORWARD, IPV6_FORWARDING, SCHEDULE_ICMP, SLOPPY_TCP, Sysctl,
};
use super::{SysctlError, Sysctls};
use crate::address::Family;
use crate::error::Error;

/// What a director does, as far as the kernel's settings depend on it (`OP-9`).
///
/// Settings of real servers (`arp_ignore`, `rp_filter` for tunnels) and of single interfaces are
/// not part of it.
///
/// ```
/// use lvs_ipvs::Family;
/// use lvs_ipvs::sysctl::Director;
///
/// let preset = Director::new()
///     .removing_dead_servers()
///     .masquerading(Family::Inet)
///     .preset();
/// let wanted: Vec<String> = preset.wishes().iter().map(ToString::to_string).collect();
/// assert_eq!(wanted[0], "net.ipv4.ip_forward = 1: masquerading forwards packets between clients \
///                        and servers");
/// assert!(wanted[1].starts_with("net.ipv4.vs.expire_nodest_conn = 1: "));
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Director {
    removes_dead_servers: bool,
    drains_persistent_services: bool,
    masquerades: bool,
    masquerades_ipv6: bool,
    is_one_of_several: bool,
    tracks_connections: bool,
}

impl Director {
    /// A director that only sets up services.
    pub fn new() -> Self {
        Self::default()
    }

    /// It removes destinations that fail their checks, instead of setting their weight to 0.
    pub const fn removing_dead_servers(mut self) -> Self {
        self.removes_dead_servers = true;
        self
    }

    /// It drains destinations of persistent services by setting their weight to 0.
    pub const fn draining_persistent_services(mut self) -> Self {
        self.drains_persistent_services = true;
        self
    }

    /// It has masqueraded destinations of that family.
    pub const fn masquerading(mut self, family: Family) -> Self {
        match family {
            Family::Inet => self.masquerades = true,
            Family::Inet6 => self.masquerades_ipv6 = true,
        }
        self
    }

    /// Packets of one connection may come through any of several directors at the same time.
    pub const fn one_of_several(mut self) -> Self {
        self.is_one_of_several = true;
        self
    }

    /// Rules of netfilter look at the state of balanced connections.
    pub const fn tracking_connections(mut self) -> Self {
        self.tracks_connections = true;
        self
    }

    /// What it wants. Nothing is read or set.
    ///
    /// `conn_reuse_mode` is left on, with connection tracking, too: on the kernels tested (6.1,
    /// 6.12 and 7.2) a client port that is used again is scheduled anew without delay. Before
    /// Linux 5.9 **(unsure)** the first SYN was dropped there with `conntrack` on, which costs a
    /// second; [`Preset::with_wish`] can ask for 0 instead.
    pub fn preset(&self) -> Preset {
        let mut preset = Preset::default();
        let yes = [
            (
                self.masquerades,
                IP_FORWARD,
                "masquerading forwards packets between clients and servers",
            ),
            (
                self.masquerades_ipv6,
                IPV6_FORWARDING,
                "masquerading forwards packets between clients and servers",
            ),
            (
                self.removes_dead_servers,
                EXPIRE_NODEST_CONN,
                "else the packets of a removed server's connections are dropped in silence until \
                 the connections time out, and clients hang instead of connecting again",
            ),
            (
                self.drains_persistent_services,
                EXPIRE_QUIESCENT_TEMPLATE,
                "else a persistent client is sent to a server of weight 0 for as long as it keeps \
                 coming, and the drain does not end",
            ),
            (
                self.is_one_of_several,
                SLOPPY_TCP,
                "the first packet of a connection that this director sees may be one in its \
                 middle",
            ),
            (
                self.is_one_of_several,
                SCHEDULE_ICMP,
                "an ICMP error, such as for the path MTU, may come to a director that does not \
                 know the connection it is about",
            ),
            (
                self.tracks_connections,
                CONNTRACK,
                "netfilter's rules see the state of a balanced connection only with it",
            ),
        ];
        for (wanted, sysctl, reason) in yes {
            if wanted {
                preset.wishes.push(Wish::new(sysctl, &true, reason.into()));
            }
        }
        if self.removes_dead_servers || self.drains_persistent_services || self.tracks_connections {
            let reason = "else a client port that is used again goes on with its old entry, to a \
                          server that has weight 0 or is gone";
            let mut wish = Wish::new(CONN_REUSE_MODE, &ConnReuse::CLOSED, reason.into());
            wish.is_same = are_both_on;
            preset.wishes.push(wish);
        }
        preset
    }
}

/// Whether both let a client port be used again: any bit does, where the old entry is closed.
fn are_both_on(one: &str, other: &str) -> bool {
    [one, other]
        .iter()
        .all(|text| ConnReuse::read(text).is_some_and(|mode| !mode.is_empty()))
}

/// Values that sysctls should have, each with its reason.
#[must_use]
#[derive(Clone, Debug, Default)]
pub struct Preset {
    wishes: Vec<Wish>,
}

/// One of them. `Display` writes name, value and reason.
#[derive(Clone, Debug)]
pub struct Wish {
    sysctl: &'static Definition,
    value: String,
    reason: Cow<'static, str>,
    is_same: fn(&str, &str) -> bool,
}

impl Wish {
    fn new<T: Value>(sysctl: Sysctl<T>, value: &T, reason: Cow<'static, str>) -> Self {
        Self {
            sysctl: sysctl.definition(),
            value: value.write(),
            reason,
            // As values: the kernel writes some differently, and takes 2 for yes as well as 1.
            is_same: |one, other| T::read(one) == T::read(other),
        }
    }

    /// Which sysctl.
    #[must_use]
    pub const fn sysctl(&self) -> &'static Definition {
        self.sysctl
    }

    /// The value, as the kernel reads it.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Why it should be so.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The difference, if there is one.
    fn compare(&self, found: Option<String>) -> Option<Finding> {
        let is_fine = found
            .as_deref()
            .is_some_and(|found| (self.is_same)(found, &self.value));
        let wish = self;
        (!is_fine).then(|| Finding {
            wish: wish.clone(),
            found,
        })
    }

    /// What there is, or `None` if there is no such sysctl.
    fn found(&self, sysctls: &Sysctls) -> Result<Option<String>, Error> {
        match sysctls.read(self.sysctl) {
            Ok(text) => Ok(Some(text)),
            Err(Error::Sysctl(SysctlError::Absent { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: {}", self.sysctl, self.value, self.reason)
    }
}

impl Preset {
    /// Adds a wish of your own, or replaces the one for the same sysctl.
    ///
    /// # Errors
    ///
    /// [`SysctlError::Invalid`] when the value is out of range.
    pub fn with_wish<T: Value>(
        mut self,
        sysctl: Sysctl<T>,
        value: &T,
        reason: impl Into<Cow<'static, str>>,
    ) -> Result<Self, SysctlError> {
        if !sysctl.accepts(value) {
            return Err(SysctlError::Invalid {
                sysctl: sysctl.definition(),
                value: value.write(),
            });
        }
        self.wishes
            .retain(|wish| wish.sysctl != sysctl.definition());
        self.wishes.push(Wish::new(sysctl, value, reason.into()));
        Ok(self)
    }

    /// What is wanted, in the order in which it is set.
    #[must_use]
    pub fn wishes(&self) -> &[Wish] {
        &self.wishes
    }

    /// Compares with what is set, and changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Sysctl`] when a file cannot be read; one that is not there is a finding.
    /// [`Error::Io`] when the namespace cannot be entered.
    pub fn review(&self, sysctls: &Sysctls) -> Result<Review, Error> {
        let mut findings = Vec::new();
        for wish in &self.wishes {
            findings.extend(wish.compare(wish.found(sysctls)?));
        }
        Ok(Review { findings })
    }

    /// Compares with values that were read before, as text; `None` for what is not there. Reads
    /// nothing.
    pub fn review_values(
        &self,
        mut found: impl FnMut(&'static Definition) -> Option<String>,
    ) -> Review {
        let wishes = self.wishes.iter();
        let findings = wishes.filter_map(|wish| wish.compare(found(wish.sysctl)));
        Review {
            findings: findings.collect(),
        }
    }

    /// Sets what differs. The values that were there are kept for
    /// [`restore`](Applied::restore).
    ///
    /// One that cannot be set does not keep the others from being set; it is among the
    /// [failures](Applied::failures).
    ///
    /// # Errors
    ///
    /// As [`review`](Self::review), before anything is set.
    pub fn apply(&self, sysctls: &Sysctls) -> Result<Applied, Error> {
        let mut applied = Applied {
            sysctls: sysctls.clone(),
            changes: Vec::new(),
            failures: Vec::new(),
        };
        for finding in self.review(sysctls)?.findings {
            let Finding { wish, found } = finding;
            match sysctls.write(wish.sysctl, &wish.value) {
                Ok(()) => applied.changes.push(Change {
                    // Without an old value there was no file to write to.
                    before: found.unwrap_or_default(),
                    wish,
                }),
                Err(error) => applied.failures.push((wish, error)),
            }
        }
        Ok(applied)
    }
}

/// What differs from a [`Preset`]. `Display` writes a line for each, with its reason; nothing
/// when nothing differs.
#[must_use]
#[derive(Clone, Debug)]
pub struct Review {
    findings: Vec<Finding>,
}

impl Review {
    /// The differences.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether all is as wanted.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.findings.is_empty()
    }
}

impl fmt::Display for Review {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.findings
            .iter()
            .try_for_each(|finding| writeln!(f, "{finding}"))
    }
}

/// A sysctl that is not as wanted.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Finding {
    /// What is wanted, and why.
    pub wish: Wish,
    /// What is there; `None` when this kernel or namespace does not have it.
    pub found: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wish {
            sysctl,
            value,
            reason,
            ..
        } = &self.wish;
        match &self.found {
            Some(found) => write!(f, "{sysctl} is {found}, should be {value}: {reason}"),
            None => write!(f, "{sysctl} is not there, should be {value}: {reason}"),
        }
    }
}

/// Sysctls that were set, with the values they had.
///
/// Dropping it restores nothing. Restoring is input and output, for a namespace on a thread of
/// its own; it can fail, and where it matters most, when a process is killed, it would not
/// happen. So say [`restore`](Self::restore) where you want it, or keep
/// [`changes`](Self::changes) where they outlive the process.
#[must_use = "dropping it leaves the sysctls as they were set"]
#[derive(Debug)]
pub struct Applied {
    sysctls: Sysctls,
    changes: Vec<Change>,
    failures: Vec<(Wish, Error)>,
}

/// A sysctl that was set.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Change {
    /// What it was set to, and why.
    pub wish: Wish,
    /// The value before.
    pub before: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wish { sysctl, value, .. } = &self.wish;
        write!(f, "{sysctl} was {}, is {value}", self.before)
    }
}

impl Applied {
    /// What was set, in order.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// What could not be set, and why.
    #[must_use]
    pub fn failures(&self) -> &[(Wish, Error)] {
        &self.failures
    }

    /// Sets the old values again, last change first. What no longer has the value it was set to
    /// has been changed by somebody else, and is left as it is.
    ///
    /// # Errors
    ///
    /// The first failure; the others were tried nonetheless.
    pub fn restore(self) -> Result<Restored, Error> {
        let mut restored = Restored {
            restored: Vec::new(),
            left: Vec::new(),
        };
        let mut failure = None;
        for change in self.changes.into_iter().rev() {
            let wish = &change.wish;
            let outcome = wish.found(&self.sysctls).and_then(|found| {
                let is_ours = found.is_some_and(|found| (wish.is_same)(&found, &wish.value));
                if is_ours {
                    self.sysctls.write(wish.sysctl, &change.before)?;
                }
                Ok(is_ours)
            });
            match outcome {
                Ok(true) => restored.restored.push(change),
                Ok(false) => restored.left.push(change),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(restored), Err)
    }
}

/// What became of sysctls that were to be restored.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Restored {
    /// Those that have their old value again.
    pub restored: Vec<Change>,
    /// Those that somebody else has changed meanwhile, or that are gone.
    pub left: Vec<Change>,
}
