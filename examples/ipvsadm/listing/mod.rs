//! What `-L` prints.

mod columns;
mod connections;
mod daemons;
mod destination;
mod number;
mod service;
#[cfg(test)]
mod tests;
mod timeouts;
mod tunnel;

use std::io::Write;

use lvs_ipvs::{Client, DestinationEntry, ServiceEntry, ServiceKey};

use crate::failure::Failure;
use crate::names::Endpoints;
use crate::walk::walk;
use columns::Columns;

pub(crate) use connections::connections;
pub(crate) use daemons::daemons;
pub(crate) use timeouts::timeouts;

/// What to list of the table, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// This service only, without the version line; all when absent.
    pub(crate) service: Option<ServiceKey>,
    /// Numbers instead of names (`-n`).
    pub(crate) numeric: bool,
    /// The columns.
    pub(crate) format: Format,
    /// Whether large counters are written in full (`--exact`) or scaled.
    pub(crate) exact: bool,
    /// Whether to sort (the default) or to keep the kernel's order (`--nosort`).
    pub(crate) sort: bool,
}

/// The columns of a listing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Format {
    /// Method, weight and connections.
    #[default]
    Default,
    /// Counters (`--stats`).
    Stats,
    /// Rates (`--rate`).
    Rate,
    /// Connection thresholds (`--thresholds`).
    Thresholds,
    /// Persistent connections (`--persistent-conn`).
    PersistentConnections,
    /// The default with tunnels (`--tun-info`).
    TunnelInfo,
}

impl Format {
    const fn captions(self) -> &'static str {
        match self {
            Self::Default => {
                "Prot LocalAddress:Port Scheduler Flags\n  \
                 -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
            }
            Self::TunnelInfo => {
                "Prot LocalAddress:Port Scheduler Flags\n  \
                 -> RemoteAddress:Port           Forward TunnelInfo    \
                 Weight ActiveConn InActConn\n"
            }
            Self::Stats => {
                "Prot LocalAddress:Port               \
                 Conns   InPkts  OutPkts  InBytes OutBytes\n  -> RemoteAddress:Port\n"
            }
            Self::Rate => {
                "Prot LocalAddress:Port                 \
                 CPS    InPPS   OutPPS    InBPS   OutBPS\n  -> RemoteAddress:Port\n"
            }
            Self::Thresholds => {
                "Prot LocalAddress:Port            \
                 Uthreshold Lthreshold ActiveConn InActConn \n  -> RemoteAddress:Port\n"
            }
            Self::PersistentConnections => {
                "Prot LocalAddress:Port            \
                 Weight    PersistConn ActiveConn InActConn \n  -> RemoteAddress:Port\n"
            }
        }
    }
}

/// Lists the table, or one service of it.
pub(crate) fn table(
    out: &mut dyn Write,
    client: &mut Client,
    request: &Request,
) -> Result<(), Failure> {
    let services = match request.service {
        Some(key) => vec![client.service(key)?],
        None => {
            let info = client.info()?;
            let services = client.services()?;
            writeln!(
                out,
                "IP Virtual Server version {} (size={})",
                info.version, info.connection_table_size
            )?;
            services
        }
    };
    out.write_all(request.format.captions().as_bytes())?;

    let endpoints = Endpoints::new(request.numeric);
    let mut columns = Columns::default();
    walk(client, &services, request.sort, |service, destinations| {
        columns.clear();
        write_service(&mut columns, request, &endpoints, service, destinations);
        out.write_all(columns.as_bytes())
    })
}

/// Writes the rows of a service and its destinations.
fn write_service(
    columns: &mut Columns,
    request: &Request,
    endpoints: &Endpoints,
    service: &ServiceEntry,
    destinations: &[&DestinationEntry],
) {
    service::write_row(columns, request, endpoints, service);
    let key = service.service.key();
    for destination in destinations {
        destination::write_row(columns, request, endpoints, &key, destination);
    }
}
