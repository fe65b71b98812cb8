//! What `-L --daemon` prints.

use std::io::{self, Write};

use lvs_ipvs::{Client, DaemonRole, SyncDaemon};

use crate::failure::Failure;

/// Lists the running sync daemons, a line each.
pub(crate) fn daemons(out: &mut dyn Write, client: &mut Client) -> Result<(), Failure> {
    for daemon in client.daemons()? {
        write_daemon(out, &daemon)?;
    }
    Ok(())
}

fn write_daemon(out: &mut dyn Write, daemon: &SyncDaemon) -> io::Result<()> {
    let role = match daemon.role {
        DaemonRole::Active => "master",
        DaemonRole::Backup => "backup",
    };
    write!(
        out,
        "{role} sync daemon (mcast={}, syncid={}",
        daemon.interface, daemon.sync_id
    )?;
    // Kernels before 4.3 report neither of these.
    if let Some(length) = daemon.max_length {
        write!(out, ", maxlen={length}")?;
    }
    if let Some(group) = daemon.group {
        write!(out, ", group={group}")?;
    }
    if let Some(port) = daemon.port {
        write!(out, ", port={port}")?;
    }
    if let Some(ttl) = daemon.ttl {
        write!(out, ", ttl={ttl}")?;
    }
    writeln!(out, ")")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(daemon: &SyncDaemon) -> String {
        let mut out = Vec::new();
        write_daemon(&mut out, daemon).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Printed by `ipvsadm -L --daemon` (1.31).
    #[test]
    fn a_daemon_is_a_line() {
        let daemon = SyncDaemon::new(DaemonRole::Active, "d0".parse().unwrap(), 255)
            .with_max_length(1000)
            .with_group("ff02::5".parse().unwrap())
            .with_port(88)
            .with_ttl(4);
        assert_eq!(
            line(&daemon),
            "master sync daemon (mcast=d0, syncid=255, maxlen=1000, group=ff02::5, port=88, ttl=4)\n"
        );
    }

    #[test]
    fn what_a_kernel_does_not_report_is_left_out() {
        let daemon = SyncDaemon::new(DaemonRole::Backup, "d0".parse().unwrap(), 3);
        assert_eq!(line(&daemon), "backup sync daemon (mcast=d0, syncid=3)\n");
    }
}
