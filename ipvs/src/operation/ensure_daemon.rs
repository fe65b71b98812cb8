//! Making sure that a sync daemon runs as described, or does not run.

use core::net::IpAddr;

use super::{Ensured, Operation, Step, StopDaemon};
use crate::daemon::{DaemonRole, SyncDaemon};
use crate::error::{Error, RequestKind};
use crate::request::{Change, Query};
use crate::session::{Event, Reply, Session};

/// Makes sure that a sync daemon runs as described.
///
/// One that does already is left alone. One that runs otherwise is stopped and started anew, for
/// the kernel cannot change a running one; should starting be refused then, none runs.
#[derive(Debug)]
pub struct EnsureDaemon {
    wanted: SyncDaemon,
    running: Option<SyncDaemon>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Looking,
    Stopping(StopDaemon),
    Starting(Ensured),
}

impl EnsureDaemon {
    /// Prepares that daemon.
    #[must_use]
    pub const fn new(daemon: &SyncDaemon) -> Self {
        Self {
            wanted: *daemon,
            running: None,
            stage: Stage::Looking,
        }
    }

    fn start_daemon(&mut self, session: &mut Session, then: Ensured) {
        session.submit(Change::StartDaemon(self.wanted));
        self.stage = Stage::Starting(then);
    }
}

impl Operation for EnsureDaemon {
    type Output = Ensured;

    fn start(&mut self, session: &mut Session) -> Step<Ensured> {
        session.submit(Query::Daemons);
        Step::Continue
    }

    fn step(&mut self, session: &mut Session, event: Event<'_>) -> Result<Step<Ensured>, Error> {
        match (&mut self.stage, event) {
            (
                Stage::Looking,
                Event::Reply {
                    reply: Reply::Daemon(daemon),
                    ..
                },
            ) => {
                if daemon.role == self.wanted.role {
                    self.running = Some(daemon);
                }
            }
            (Stage::Looking, Event::Completed { outcome, .. }) => {
                outcome.into_result(RequestKind::Read(Query::Daemons))?;
                match self.running {
                    None => self.start_daemon(session, Ensured::Added),
                    Some(running) if is_as_wanted(&running, &self.wanted) => {
                        return Ok(Step::Done(Ensured::Unchanged));
                    }
                    Some(_) => {
                        let mut stop = StopDaemon::new(self.wanted.role);
                        // It asks something, so it is not done yet.
                        let _ = stop.start(session);
                        self.stage = Stage::Stopping(stop);
                    }
                }
            }
            (Stage::Stopping(stop), event) => match stop.step(session, event) {
                Ok(Step::Continue) => {}
                Ok(Step::Done(())) => self.start_daemon(session, Ensured::Replaced),
                // Somebody else stopped it.
                Err(error) if error.is_not_found() => self.start_daemon(session, Ensured::Replaced),
                Err(error) => return Err(error),
            },
            (Stage::Starting(then), Event::Completed { outcome, .. }) => {
                let then = *then;
                outcome.into_result(RequestKind::StartDaemon(self.wanted.role))?;
                return Ok(Step::Done(then));
            }
            (_, Event::Reply { .. }) => {}
        }
        Ok(Step::Continue)
    }
}

/// Makes sure that no sync daemon of a role runs.
#[derive(Debug)]
pub struct EnsureNoDaemon(StopDaemon);

impl EnsureNoDaemon {
    /// Prepares to stop that role.
    #[must_use]
    pub const fn new(role: DaemonRole) -> Self {
        Self(StopDaemon::new(role))
    }
}

impl Operation for EnsureNoDaemon {
    type Output = Ensured;

    fn start(&mut self, session: &mut Session) -> Step<Ensured> {
        match self.0.start(session) {
            Step::Done(()) => Step::Done(Ensured::Removed),
            Step::Continue => Step::Continue,
        }
    }

    fn step(&mut self, session: &mut Session, event: Event<'_>) -> Result<Step<Ensured>, Error> {
        match self.0.step(session, event) {
            Ok(Step::Continue) => Ok(Step::Continue),
            Ok(Step::Done(())) => Ok(Step::Done(Ensured::Removed)),
            Err(error) if error.is_not_found() => Ok(Step::Done(Ensured::Unchanged)),
            Err(error) => Err(error),
        }
    }
}

const DEFAULT_GROUP: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(224, 0, 0, 81));
const DEFAULT_PORT: u16 = 8848;
const DEFAULT_TTL: u8 = 1;

/// Whether a running daemon is what starting the wanted one would give. What a kernel before 4.3
/// does not report cannot be set there either.
fn is_as_wanted(running: &SyncDaemon, wanted: &SyncDaemon) -> bool {
    fn same<T: PartialEq>(running: Option<T>, wanted: T) -> bool {
        running.is_none_or(|running| running == wanted)
    }
    let group = wanted.group.unwrap_or(DEFAULT_GROUP);
    // The default depends on the interface, so without a wish any length will do.
    let length = wanted.max_length.filter(|length| *length != 0);
    running.role == wanted.role
        && running.interface == wanted.interface
        && running.sync_id == wanted.sync_id
        && same(running.group, group)
        && same(running.port, wanted.port.unwrap_or(DEFAULT_PORT))
        && same(running.ttl, wanted.ttl.unwrap_or(DEFAULT_TTL))
        && length.is_none_or(|asked| same(running.max_length, granted(asked, wanted.role, group)))
}

/// The payload that the kernel makes of one that is asked for (`ip_vs_sync.c`).
fn granted(asked: u16, role: DaemonRole, group: IpAddr) -> u16 {
    let headers = if group.is_ipv6() { 48 } else { 28 };
    let least = match role {
        DaemonRole::Active => 1,
        DaemonRole::Backup => 1024,
    };
    asked.clamp(least, u16::MAX - headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(role: DaemonRole) -> SyncDaemon {
        SyncDaemon::new(role, "eth0".parse().unwrap(), 7)
    }

    /// What 6.1.176 reports of a backup with every default on an interface of MTU 1500.
    fn running(role: DaemonRole) -> SyncDaemon {
        wanted(role)
            .with_group("224.0.0.81".parse().unwrap())
            .with_port(8848)
            .with_ttl(1)
            .with_max_length(1472)
    }

    #[test]
    fn defaults_need_not_be_spelled_out() {
        for role in [DaemonRole::Active, DaemonRole::Backup] {
            assert!(is_as_wanted(&running(role), &wanted(role)));
            assert!(is_as_wanted(&running(role), &running(role)));
        }
    }

    #[test]
    fn each_setting_counts() {
        let role = DaemonRole::Active;
        let plain = wanted(role);
        for other in [
            wanted(DaemonRole::Backup),
            SyncDaemon::new(role, "eth1".parse().unwrap(), 7),
            SyncDaemon::new(role, "eth0".parse().unwrap(), 8),
            plain.with_group("224.0.0.82".parse().unwrap()),
            plain.with_port(8849),
            plain.with_ttl(2),
            plain.with_max_length(1400),
        ] {
            assert!(!is_as_wanted(&running(role), &other), "{other:?}");
            // Nor does one that was started so pass for the plain one, but for the length.
            if other.max_length.is_none() {
                let runs = SyncDaemon {
                    group: other.group.or(Some(DEFAULT_GROUP)),
                    port: other.port.or(Some(DEFAULT_PORT)),
                    ttl: other.ttl.or(Some(DEFAULT_TTL)),
                    ..other
                };
                assert!(!is_as_wanted(&runs, &plain), "{other:?}");
            }
        }
    }

    /// §11.1: a backup that asks for 10 gets 1024.
    #[test]
    fn what_the_kernel_makes_of_a_length_is_what_was_wanted() {
        let backup = wanted(DaemonRole::Backup).with_max_length(10);
        let runs = running(DaemonRole::Backup).with_max_length(1024);
        assert!(is_as_wanted(&runs, &backup));
        let group = "ff02::1:2".parse().unwrap();
        let active = wanted(DaemonRole::Active).with_group(group);
        let runs = running(DaemonRole::Active).with_group(group);
        let asked = active.with_max_length(65_507);
        assert!(is_as_wanted(&runs.with_max_length(65_487), &asked));
        assert!(!is_as_wanted(&runs.with_max_length(65_507), &asked));
    }
}
