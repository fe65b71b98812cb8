//! The row of a destination.

use lvs_ipvs::{DestinationEntry, Forwarding, ServiceKey};

use super::columns::Columns;
use super::number::Number;
use super::tunnel::tunnel_info;
use super::{Format, Request};
use crate::names::{Endpoints, cut};

pub(super) fn write_row(
    columns: &mut Columns,
    request: &Request,
    endpoints: &Endpoints,
    service: &ServiceKey,
    entry: &DestinationEntry,
) {
    columns
        .text("  -> ")
        .left(&name(endpoints, service, entry), 28);
    let destination = &entry.destination;
    let method = method(destination.forwarding());
    match request.format {
        Format::Stats => write_stats(columns, request, entry),
        Format::Rate => write_rates(columns, request, entry),
        Format::Default => {
            columns.text(" ").left(method, 7);
            columns.text(" ").left_number(destination.weight(), 6);
            write_connections(columns, entry);
        }
        Format::TunnelInfo => {
            columns.text(" ").left(method, 7);
            columns.text(" ").left(&tunnel_info(destination), 13);
            columns.text(" ").left_number(destination.weight(), 6);
            write_connections(columns, entry);
        }
        Format::Thresholds => {
            columns
                .text(" ")
                .left_number(destination.upper_threshold(), 10);
            columns
                .text(" ")
                .left_number(destination.lower_threshold(), 10);
            write_connections(columns, entry);
        }
        Format::PersistentConnections => {
            columns.text(" ").left_number(destination.weight(), 9);
            columns
                .text(" ")
                .left_number(entry.persistent_connections, 11);
            write_connections(columns, entry);
        }
    }
    columns.text("\n");
}

fn write_connections(columns: &mut Columns, entry: &DestinationEntry) {
    columns.text(" ").left_number(entry.active_connections, 10);
    columns
        .text(" ")
        .left_number(entry.inactive_connections, 10);
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

fn write_stats(columns: &mut Columns, request: &Request, entry: &DestinationEntry) {
    for number in [
        low_word(entry.stats.connections),
        low_word(entry.stats.packets_in),
        low_word(entry.stats.packets_out),
        entry.stats.bytes_in,
        entry.stats.bytes_out,
    ] {
        Number::new(number, request.exact).write(columns);
    }
}

fn write_rates(columns: &mut Columns, request: &Request, entry: &DestinationEntry) {
    let rates = &entry.stats.rates;
    for number in [rates.connections, rates.packets_in, rates.packets_out] {
        Number::Plain(low_word(number)).write(columns);
    }
    for number in [rates.bytes_in, rates.bytes_out] {
        Number::new(low_word(number), request.exact).write(columns);
    }
}
