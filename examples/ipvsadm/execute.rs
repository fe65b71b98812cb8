//! Runs commands.

use std::io::Write;
use std::process::Command as Process;

use lvs_ipvs::{Change, Client, IpvsVersion, Options};

use crate::arguments::Command;
use crate::failure::Failure;
use crate::{listing, save};

/// The oldest IPVS that ipvsadm 1.31 does not warn of.
const OLDEST: IpvsVersion = IpvsVersion::from_number(0x0001_0104);

/// Connects to IPVS, loading the module if that helps.
///
/// The kernel, not this library, judges the changes that are sent: what it says to nonsense is
/// part of what ipvsadm does.
pub(crate) fn connect() -> Result<Client, Failure> {
    let (mut client, version) = match try_connect() {
        Ok(connected) => connected,
        Err(_) => {
            // Whether this worked shows when we try again.
            let _ = Process::new("/sbin/modprobe")
                .args(["--", "ip_vs"])
                .status();
            try_connect().map_err(Failure::Unavailable)?
        }
    };
    if version < OLDEST {
        eprintln!("ipvsadm: warning: the kernel's IPVS {version} is older than {OLDEST}");
    }
    client.set_options(Options::default().without_validation());
    Ok(client)
}

/// A client that is known to be let in, and the version of IPVS.
fn try_connect() -> Result<(Client, IpvsVersion), lvs_ipvs::Error> {
    let mut client = Client::connect()?;
    let info = client.info()?;
    Ok((client, info.version))
}

/// Runs a command that stands alone: all but restoring, help and version.
pub(crate) fn execute(
    out: &mut dyn Write,
    client: &mut Client,
    command: Command,
) -> Result<(), Failure> {
    match command {
        Command::Change(change) => execute_change(client, change),
        Command::Table(request) => listing::table(out, client, &request),
        Command::Connections {
            numeric,
            persistent,
        } => listing::connections(out, numeric, persistent),
        Command::Timeouts => listing::timeouts(out, client),
        Command::Daemons => listing::daemons(out, client),
        Command::Save {
            numeric,
            with_thresholds,
        } => save::save(out, client, numeric, with_thresholds),
        Command::Restore | Command::Help | Command::Version => Ok(()),
    }
}

fn execute_change(client: &mut Client, change: Change) -> Result<(), Failure> {
    let done = match change {
        // The kernel may leave this unanswered; the client knows how to find out.
        Change::StopDaemon(role) => client.stop_daemon(role),
        change => client
            .execute([change])
            .and_then(lvs_ipvs::Report::into_result),
    };
    done.map_err(Failure::Kernel)
}
