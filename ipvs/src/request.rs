//! What can be asked of the kernel: changes, which are acknowledged, and queries, which are
//! answered.

use core::fmt;

use crate::address::{Endpoint, Family};
use crate::config::Timeouts;
use crate::daemon::{DaemonRole, SyncDaemon};
use crate::destination::{Destination, DestinationKey};
use crate::flags::{ServiceFlags, TunnelFlags};
use crate::forwarding::{Forwarding, TunnelType};
use crate::invalid::ValidationError;
use crate::scheduler::Scheduler;
use crate::service::{Protocol, ServiceKey, VirtualService};

/// A request that changes something and gets an acknowledgement.
///
/// `Display` writes the `ipvsadm` command line that would do the same, as far as `ipvsadm` can:
/// it knows no local forwarding, no other protocols, and no flags without a name.
///
/// ```
/// use lvs_ipvs::{Change, VirtualService};
/// let add = Change::AddService(VirtualService::tcp("192.0.2.10:80".parse()?));
/// assert_eq!(add.to_string(), "ipvsadm -A -t 192.0.2.10:80 -s wlc");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// Adds a service; rejected when it exists.
    AddService(VirtualService),
    /// Replaces the settings of a service; rejected when it does not exist.
    SetService(VirtualService),
    /// Removes a service with its destinations; rejected when it does not exist.
    RemoveService(ServiceKey),
    /// Adds a destination at the head of the service's list; rejected when it exists.
    AddDestination(ServiceKey, Destination),
    /// Replaces the settings of a destination; rejected when it does not exist.
    SetDestination(ServiceKey, Destination),
    /// Removes a destination; rejected when it does not exist.
    RemoveDestination(ServiceKey, DestinationKey),
    /// Starts a sync daemon; rejected when one of that role runs.
    StartDaemon(SyncDaemon),
    /// Stops the sync daemon of that role; rejected when none runs. Takes up to seconds.
    StopDaemon(DaemonRole),
    /// Sets the timeouts that are given.
    SetTimeouts(Timeouts),
    /// Zeroes the counters of one service and its destinations, or of all and the totals.
    Zero(Option<ServiceKey>),
    /// Removes every service of the network namespace.
    Flush,
}

impl Change {
    /// Checks the arguments, as every client does before it sends a change.
    ///
    /// # Errors
    ///
    /// The first field that cannot be right.
    pub fn validate(&self) -> Result<(), ValidationError> {
        match self {
            Self::AddService(service) | Self::SetService(service) => service.validate(),
            Self::AddDestination(service, destination)
            | Self::SetDestination(service, destination) => destination.validate(service),
            Self::RemoveService(key) | Self::RemoveDestination(key, _) | Self::Zero(Some(key)) => {
                key.validate_mark()
            }
            Self::StartDaemon(daemon) => daemon.validate(),
            Self::SetTimeouts(timeouts) => timeouts.validate(),
            Self::StopDaemon(_) | Self::Zero(None) | Self::Flush => Ok(()),
        }
    }

    /// The service the change is about, if it is about one.
    #[must_use]
    pub const fn service(&self) -> Option<ServiceKey> {
        match self {
            Self::AddService(service) | Self::SetService(service) => Some(service.key()),
            Self::RemoveService(key)
            | Self::AddDestination(key, _)
            | Self::SetDestination(key, _)
            | Self::RemoveDestination(key, _) => Some(*key),
            Self::Zero(key) => *key,
            Self::StartDaemon(_) | Self::StopDaemon(_) | Self::SetTimeouts(_) | Self::Flush => None,
        }
    }
}

/// A request that is answered with what is asked for.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Query {
    /// One service; rejected when it does not exist.
    Service(ServiceKey),
    /// All services, in the kernel's order.
    Services,
    /// The destinations of a service, newest first. A missing service looks like one without
    /// destinations.
    Destinations(ServiceKey),
    /// The running sync daemons.
    Daemons,
    /// The timeouts.
    Timeouts,
    /// Version and table size.
    Info,
    /// The `IPVS` generic netlink family, by name.
    Family,
}

impl Query {
    /// Checks the arguments, as every client does before it asks.
    ///
    /// # Errors
    ///
    /// Firewall mark 0, which the kernel takes for the service `TCP 0.0.0.0:0`.
    pub fn validate(&self) -> Result<(), ValidationError> {
        match self {
            Self::Service(key) | Self::Destinations(key) => key.validate_mark(),
            _ => Ok(()),
        }
    }

    /// Whether the answer is a dump: any number of messages and an end mark.
    #[must_use]
    pub const fn is_dump(&self) -> bool {
        matches!(self, Self::Services | Self::Destinations(_) | Self::Daemons)
    }
}

/// A change or a query.
#[expect(clippy::exhaustive_enums, reason = "there is no third kind")]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// Acknowledged.
    Change(Change),
    /// Answered.
    Query(Query),
}

impl From<Change> for Request {
    fn from(change: Change) -> Self {
        Self::Change(change)
    }
}

impl From<Query> for Request {
    fn from(query: Query) -> Self {
        Self::Query(query)
    }
}

/// Writes the options that name a service: `-t 192.0.2.10:80`, `-f 7 -6`.
struct ServiceOption(ServiceKey);

impl fmt::Display for ServiceOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ServiceKey::Address {
                protocol,
                address,
                port,
            } => {
                match protocol {
                    Protocol::TCP => f.write_str("-t")?,
                    Protocol::UDP => f.write_str("-u")?,
                    Protocol::SCTP => f.write_str("--sctp-service")?,
                    // No ipvsadm takes this; it says at least what was meant.
                    other => write!(f, "--{}-service", other.number())?,
                }
                write!(f, " {}", Endpoint(address, port))
            }
            ServiceKey::FirewallMark {
                family: Family::Inet,
                mark,
            } => write!(f, "-f {mark}"),
            ServiceKey::FirewallMark {
                family: Family::Inet6,
                mark,
            } => write!(f, "-f {mark} -6"),
        }
    }
}

fn write_service(f: &mut fmt::Formatter<'_>, service: &VirtualService) -> fmt::Result {
    write!(
        f,
        "{} -s {}",
        ServiceOption(service.key()),
        service.scheduler()
    )?;
    if let Some(persistence) = service.persistence() {
        write!(f, " -p {}", persistence.timeout_secs)?;
        if let Some(mask) = persistence.mask {
            write!(f, " -M {mask}")?;
        }
        if let Some(engine) = persistence.engine {
            write!(f, " --pe {engine}")?;
        }
    }
    if service.flags().contains(ServiceFlags::ONE_PACKET) {
        f.write_str(" -o")?;
    }
    let scheduler = service.scheduler();
    let prefix = matches!(scheduler, Scheduler::Sh | Scheduler::Mh).then(|| scheduler.name());
    let mut separator = " -b ";
    for (flag, number, meaning) in [
        (ServiceFlags::SCHED_1, 1, "fallback"),
        (ServiceFlags::SCHED_2, 2, "port"),
        (ServiceFlags::SCHED_3, 3, ""),
    ] {
        if service.flags().contains(flag) {
            match prefix.filter(|_| !meaning.is_empty()) {
                Some(scheduler) => write!(f, "{separator}{scheduler}-{meaning}")?,
                None => write!(f, "{separator}flag-{number}")?,
            }
            separator = ",";
        }
    }
    Ok(())
}

fn write_destination(
    f: &mut fmt::Formatter<'_>,
    service: &ServiceKey,
    destination: &Destination,
) -> fmt::Result {
    write!(f, "{} -r {}", ServiceOption(*service), destination.key())?;
    f.write_str(match destination.forwarding() {
        Forwarding::Masquerade => " -m",
        Forwarding::Tunnel => " -i",
        _ => " -g",
    })?;
    write!(f, " -w {}", destination.weight())?;
    if destination.upper_threshold() != 0 {
        write!(f, " -x {}", destination.upper_threshold())?;
    }
    if destination.lower_threshold() != 0 {
        write!(f, " -y {}", destination.lower_threshold())?;
    }
    let tunnel = destination.encapsulation();
    if destination.forwarding() == Forwarding::Tunnel && tunnel.tunnel_type != TunnelType::IPIP {
        write!(f, " --tun-type {}", tunnel.tunnel_type)?;
        if tunnel.port != 0 {
            write!(f, " --tun-port {}", tunnel.port)?;
        }
        if tunnel.flags.contains(TunnelFlags::CHECKSUM) {
            f.write_str(" --tun-csum")?;
        }
        if tunnel.flags.contains(TunnelFlags::REMOTE_CHECKSUM) {
            f.write_str(" --tun-remcsum")?;
        }
    }
    Ok(())
}

/// The word `ipvsadm` has for a role.
const fn role_word(role: DaemonRole) -> &'static str {
    match role {
        DaemonRole::Active => "master",
        DaemonRole::Backup => "backup",
    }
}

fn write_daemon(f: &mut fmt::Formatter<'_>, daemon: &SyncDaemon) -> fmt::Result {
    write!(
        f,
        "--start-daemon {} --mcast-interface {} --syncid {}",
        role_word(daemon.role),
        daemon.interface,
        daemon.sync_id
    )?;
    if let Some(length) = daemon.max_length {
        write!(f, " --sync-maxlen {length}")?;
    }
    if let Some(group) = daemon.group {
        write!(f, " --mcast-group {group}")?;
    }
    if let Some(port) = daemon.port {
        write!(f, " --mcast-port {port}")?;
    }
    if let Some(ttl) = daemon.ttl {
        write!(f, " --mcast-ttl {ttl}")?;
    }
    Ok(())
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ipvsadm ")?;
        match self {
            Self::AddService(service) => {
                f.write_str("-A ")?;
                write_service(f, service)
            }
            Self::SetService(service) => {
                f.write_str("-E ")?;
                write_service(f, service)
            }
            Self::RemoveService(key) => write!(f, "-D {}", ServiceOption(*key)),
            Self::AddDestination(service, destination) => {
                f.write_str("-a ")?;
                write_destination(f, service, destination)
            }
            Self::SetDestination(service, destination) => {
                f.write_str("-e ")?;
                write_destination(f, service, destination)
            }
            Self::RemoveDestination(service, key) => {
                write!(f, "-d {} -r {key}", ServiceOption(*service))
            }
            Self::StartDaemon(daemon) => write_daemon(f, daemon),
            Self::StopDaemon(role) => write!(f, "--stop-daemon {}", role_word(*role)),
            Self::SetTimeouts(timeouts) => write!(
                f,
                "--set {} {} {}",
                timeouts.tcp_secs.unwrap_or(0),
                timeouts.tcp_fin_secs.unwrap_or(0),
                timeouts.udp_secs.unwrap_or(0)
            ),
            Self::Zero(None) => f.write_str("-Z"),
            Self::Zero(Some(key)) => write!(f, "-Z {}", ServiceOption(*key)),
            Self::Flush => f.write_str("-C"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Encapsulation, Persistence, PersistenceMask};

    fn service() -> VirtualService {
        VirtualService::tcp("192.0.2.10:80".parse().unwrap())
    }

    #[test]
    fn changes_print_as_commands() {
        let sticky = service()
            .with_scheduler(Scheduler::Sh)
            .with_flags(ServiceFlags::SH_FALLBACK | ServiceFlags::SH_PORT)
            .with_persistence(
                Persistence::new(60).with_mask(PersistenceMask::Inet([255, 255, 0, 0].into())),
            );
        assert_eq!(
            Change::SetService(sticky).to_string(),
            "ipvsadm -E -t 192.0.2.10:80 -s sh -p 60 -M 255.255.0.0 -b sh-fallback,sh-port"
        );
        let gue = Destination::tunnel("10.0.0.1:80".parse().unwrap())
            .with_encapsulation(Encapsulation::gue(6080).with_flags(TunnelFlags::CHECKSUM))
            .with_thresholds(3, 5);
        assert_eq!(
            Change::AddDestination(service().key(), gue).to_string(),
            "ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.1:80 -i -w 1 -x 5 -y 3 \
             --tun-type gue --tun-port 6080 --tun-csum"
        );
        let mark = ServiceKey::firewall_mark(Family::Inet6, 9);
        assert_eq!(
            Change::RemoveService(mark).to_string(),
            "ipvsadm -D -f 9 -6"
        );
        assert_eq!(Change::Zero(Some(mark)).to_string(), "ipvsadm -Z -f 9 -6");
        assert_eq!(Change::Flush.to_string(), "ipvsadm -C");
        let daemon = SyncDaemon::new(DaemonRole::Active, "eth0".parse().unwrap(), 7).with_ttl(2);
        assert_eq!(
            Change::StartDaemon(daemon).to_string(),
            "ipvsadm --start-daemon master --mcast-interface eth0 --syncid 7 --mcast-ttl 2"
        );
        let timeouts = Timeouts {
            udp_secs: Some(30),
            ..Timeouts::default()
        };
        assert_eq!(
            Change::SetTimeouts(timeouts).to_string(),
            "ipvsadm --set 0 0 30"
        );
    }
}
