//! What a host knows of its neighbours: its cache of ARP or neighbour discovery.

use core::net::IpAddr;

use crate::host::Host;

/// The MAC that a host has for this address, if any.
pub(crate) fn mac(host: &Host, address: IpAddr) -> Option<String> {
    let listed = host.ask(&format!("neighbour show to {address}"));
    let entries = listed.as_array()?;
    let entry = entries.iter().find(|e| e["dst"] == address.to_string())?;
    entry["lladdr"].as_str().map(str::to_owned)
}
