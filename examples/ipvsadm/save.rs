//! What `-S` prints.

use std::io::Write;

use lvs_ipvs::Client;
use lvs_ipvs::text::Style;

use crate::failure::Failure;
use crate::names::Reverse;
use crate::walk::walk;

/// Writes the table as rules; with names unless `numeric`, and with thresholds on request, which
/// ipvsadm does not save.
pub(crate) fn save(
    out: &mut dyn Write,
    client: &mut Client,
    numeric: bool,
    with_thresholds: bool,
) -> Result<(), Failure> {
    let names = Reverse::default();
    let mut style = Style::new();
    if !numeric {
        style = style.with_names(&names);
    }
    if with_thresholds {
        style = style.with_thresholds();
    }
    let services = client.services()?;
    walk(client, &services, true, |service, destinations| {
        writeln!(out, "{}", style.service(&service.service))?;
        let key = service.service.key();
        for entry in destinations {
            writeln!(out, "{}", style.destination(&key, &entry.destination))?;
        }
        Ok(())
    })
}
