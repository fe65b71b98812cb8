//! The row of a destination.

use std::io::{self, Write};

use lvs_ipvs::{DestinationEntry, Forwarding, ServiceKey};

use super::number::Number;
use super::tunnel::tunnel_info;
use super::{Format, Request};
use crate::names::{Endpoints, cut};

pub(super) fn write_row(
    out: &mut dyn Write,
    request: &Request,
    endpoints: &Endpoints,
    service: &ServiceKey,
    entry: &DestinationEntry,
) -> io::Result<()> {
    let destination = &entry.destination;
    write!(out, "  -> {:<28}", name(endpoints, service, entry))?;
    let method = method(destination.forwarding());
    let weight = destination.weight();
    let active = entry.active_connections;
    let inactive = entry.inactive_connections;
    match request.format {
        Format::Default => writeln!(out, " {method:<7} {weight:<6} {active:<10} {inactive:<10}"),
        Format::TunnelInfo => writeln!(
            out,
            " {method:<7} {:<13} {weight:<6} {active:<10} {inactive:<10}",
            tunnel_info(destination)
        ),
        Format::Thresholds => writeln!(
            out,
            " {:<10} {:<10} {active:<10} {inactive:<10}",
            destination.upper_threshold(),
            destination.lower_threshold()
        ),
        Format::PersistentConnections => writeln!(
            out,
            " {weight:<9} {:<11} {active:<10} {inactive:<10}",
            entry.persistent_connections
        ),
        Format::Stats => write_stats(out, request, entry),
        Format::Rate => write_rates(out, request, entry),
    }
}

/// Address and port. IPv4 ones are cut to 28 columns, which names can exceed.
fn name(endpoints: &Endpoints, service: &ServiceKey, entry: &DestinationEntry) -> String {
    let protocol = match service {
        ServiceKey::Address { protocol, .. } => Some(*protocol),
        ServiceKey::FirewallMark { .. } => None,
    };
    let key = entry.destination.key();
    let mut name = endpoints.text(protocol, key.address, key.port);
    if key.address.is_ipv4() {
        cut(&mut name, 28);
    }
    name
}

const fn method(forwarding: Forwarding) -> &'static str {
    match forwarding {
        Forwarding::Masquerade => "Masq",
        Forwarding::Local => "Local",
        Forwarding::Tunnel => "Tunnel",
        Forwarding::DirectRoute => "Route",
        // Set over netlink only; as printf(3) writes what ipvsadm has no word for.
        _ => "(null)",
    }
}

/// What ipvsadm keeps of a destination's counters and rates, those of bytes aside: 32 bits.
const fn low_word(value: u64) -> u64 {
    value & 0xffff_ffff
}

fn write_stats(out: &mut dyn Write, request: &Request, entry: &DestinationEntry) -> io::Result<()> {
    for number in [
        low_word(entry.stats.connections),
        low_word(entry.stats.packets_in),
        low_word(entry.stats.packets_out),
        entry.stats.bytes_in,
        entry.stats.bytes_out,
    ] {
        write!(out, "{}", Number::new(number, request.exact))?;
    }
    writeln!(out)
}

fn write_rates(out: &mut dyn Write, request: &Request, entry: &DestinationEntry) -> io::Result<()> {
    let rates = &entry.stats.rates;
    for number in [rates.connections, rates.packets_in, rates.packets_out] {
        write!(out, "{}", Number::Plain(low_word(number)))?;
    }
    for number in [rates.bytes_in, rates.bytes_out] {
        write!(out, "{}", Number::new(low_word(number), request.exact))?;
    }
    writeln!(out)
}
