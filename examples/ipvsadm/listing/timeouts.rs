//! What `-L --timeout` prints.

use std::io::Write;

use lvs_ipvs::Client;

use crate::failure::Failure;

/// Lists the timeouts in seconds; 0 for a protocol that the kernel lacks.
pub(crate) fn timeouts(out: &mut dyn Write, client: &mut Client) -> Result<(), Failure> {
    let timeouts = client.timeouts()?;
    writeln!(
        out,
        "Timeout (tcp tcpfin udp): {} {} {}",
        timeouts.tcp_secs.unwrap_or(0),
        timeouts.tcp_fin_secs.unwrap_or(0),
        timeouts.udp_secs.unwrap_or(0)
    )?;
    Ok(())
}
