//! The row of a virtual service.

use lvs_ipvs::text::SchedulerFlags;
use lvs_ipvs::{Family, Protocol, ServiceEntry, ServiceFlags, ServiceKey, VirtualService};

use super::columns::Columns;
use super::number::Number;
use super::{Format, Request};
use crate::names::{Endpoints, cut};

pub(super) fn write_row(
    columns: &mut Columns,
    request: &Request,
    endpoints: &Endpoints,
    entry: &ServiceEntry,
) {
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
            columns.text(&label).text(" ");
            write_settings(columns, &entry.service);
            return;
        }
    };
    columns.left(&label, 33);
    for number in numbers {
        Number::new(number, request.exact).write(columns);
    }
    columns.text("\n");
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

fn write_settings(columns: &mut Columns, service: &VirtualService) {
    columns.text(service.scheduler().name());
    if let Some(flags) = SchedulerFlags::of(service) {
        columns.text(" (").value(flags).text(")");
    }
    if let Some(persistence) = service.persistence() {
        columns.text(" persistent ").value(persistence.timeout_secs);
        if let Some(mask) = persistence.mask {
            columns.text(" mask ").value(mask);
        }
        if let Some(engine) = persistence.engine {
            columns.text(" pe ").value(engine);
        }
    }
    if service.flags().contains(ServiceFlags::ONE_PACKET) {
        columns.text(" ops");
    }
    columns.text("\n");
}
