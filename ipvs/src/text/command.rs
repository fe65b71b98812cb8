//! Changes as the `ipvsadm` commands that would make them.

use core::fmt;

use crate::daemon::{DaemonRole, SyncDaemon};
use crate::request::Change;
use crate::text::rule::Style;

/// Commands, unlike saved rules, are meant to be run: they lose nothing they can say.
const COMMAND: Style<'static> = Style::new().with_thresholds().loadable().implying_ipip();

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ipvsadm ")?;
        match self {
            Self::AddService(service) => COMMAND.service(service).fmt(f),
            Self::SetService(service) => COMMAND.service(service).editing().fmt(f),
            Self::RemoveService(key) => {
                f.write_str("-D ")?;
                COMMAND.write_service_option(f, key)
            }
            Self::AddDestination(service, destination) => {
                COMMAND.destination(service, destination).fmt(f)
            }
            Self::SetDestination(service, destination) => {
                COMMAND.destination(service, destination).editing().fmt(f)
            }
            Self::RemoveDestination(service, key) => {
                f.write_str("-d ")?;
                COMMAND.write_service_option(f, service)?;
                f.write_str(" ")?;
                COMMAND.write_destination_option(f, service, key)
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
            Self::Zero(Some(key)) => {
                f.write_str("-Z ")?;
                COMMAND.write_service_option(f, key)
            }
            Self::Flush => f.write_str("-C"),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Destination, Encapsulation, Family, Persistence, PersistenceMask, Scheduler, ServiceFlags,
        ServiceKey, Timeouts, TunnelFlags, VirtualService,
    };

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
