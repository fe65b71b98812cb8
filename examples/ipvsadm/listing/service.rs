//! The row of a virtual service.

use std::io::{self, Write};

use lvs_ipvs::text::SchedulerFlags;
use lvs_ipvs::{Family, Protocol, ServiceEntry, ServiceFlags, ServiceKey, VirtualService};

use super::number::Number;
use super::{Format, Request};
use crate::names::{Endpoints, cut};

pub(super) fn write_row(
    out: &mut dyn Write,
    request: &Request,
    endpoints: &Endpoints,
    entry: &ServiceEntry,
) -> io::Result<()> {
    let label = label(endpoints, &entry.service.key());
    let stats = &entry.stats;
    let numbers = match request.format {
        Format::Stats => [
            stats.connections,
            stats.packets_in,
            stats.packets_out,
            stats.bytes_in,
            stats.bytes_out,
        ],
        Format::Rate => [
            stats.rates.connections,
            stats.rates.packets_in,
            stats.rates.packets_out,
            stats.rates.bytes_in,
            stats.rates.bytes_out,
        ],
        _ => {
            write!(out, "{label} ")?;
            return write_settings(out, &entry.service);
        }
    };
    write!(out, "{label:<33}")?;
    for number in numbers {
        write!(out, "{}", Number::new(number, request.exact))?;
    }
    writeln!(out)
}

/// Protocol, address and port, or the mark. IPv4 labels are cut to 33 columns, which names can
/// exceed.
fn label(endpoints: &Endpoints, key: &ServiceKey) -> String {
    match *key {
        ServiceKey::Address {
            protocol,
            address,
            port,
        } => {
            let word = match protocol {
                Protocol::TCP => "TCP",
                Protocol::UDP => "UDP",
                Protocol::SCTP => "SCTP",
                _ => "?",
            };
            let mut label = format!(
                "{word:<4} {}",
                endpoints.text(Some(protocol), address, port)
            );
            if address.is_ipv4() {
                cut(&mut label, 33);
            }
            label
        }
        ServiceKey::FirewallMark { family, mark } => {
            // ipvsadm takes the mark for a signed number.
            let mark = mark.cast_signed();
            match family {
                Family::Inet => format!("FWM  {mark}"),
                Family::Inet6 => format!("FWM  {mark} IPv6"),
            }
        }
    }
}

fn write_settings(out: &mut dyn Write, service: &VirtualService) -> io::Result<()> {
    write!(out, "{}", service.scheduler())?;
    if let Some(flags) = SchedulerFlags::of(service) {
        write!(out, " ({flags})")?;
    }
    if let Some(persistence) = service.persistence() {
        write!(out, " persistent {}", persistence.timeout_secs)?;
        if let Some(mask) = persistence.mask {
            write!(out, " mask {mask}")?;
        }
        if let Some(engine) = persistence.engine {
            write!(out, " pe {engine}")?;
        }
    }
    if service.flags().contains(ServiceFlags::ONE_PACKET) {
        write!(out, " ops")?;
    }
    writeln!(out)
}
