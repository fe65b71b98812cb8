//! The counters that a router would have.

use std::collections::BTreeMap;
use std::io::{self, Write};

use lvs_vrrp::counters::{GlobalCounters, RouterCounters};
use lvs_vrrp::receive::{Accepted, Scope};
use lvs_vrrp::{Family, Observation, Reason, Rejection};
use serde_json::{Map, Value, json};

use crate::line::insert_vlans;

/// Counters of all packets shown.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) frames: u64,
    pub(crate) announcements: u64,
    global: GlobalCounters,
    routers: BTreeMap<Key, RouterCounters>,
}

/// Interface, VLANs, family and id.
type Key = (String, Vec<u16>, Family, u8);

/// Counts that are not 0, by name.
type Counts = Vec<(&'static str, u64)>;

impl Stats {
    /// Counts a packet of VRRP.
    pub(crate) fn record(
        &mut self,
        interface: &str,
        vlans: &[u16],
        family: Family,
        result: &Result<Accepted<'_>, Rejection>,
    ) {
        let vrid = match result {
            Ok(accepted) => accepted.advertisement.vrid,
            Err(rejection) => match rejection.scope() {
                Scope::Router(vrid) => vrid,
                Scope::Global => return self.global.record_rejection(*rejection),
            },
        };
        let key = (interface.to_owned(), vlans.to_owned(), family, vrid.get());
        let router = self.routers.entry(key).or_default();
        match result {
            Ok(accepted) => router.record_accepted(accepted),
            Err(rejection) => router.record_rejection(*rejection),
        }
    }

    /// Writes them; those that are 0 are left out.
    pub(crate) fn write(&self, out: &mut dyn Write, as_json: bool) -> io::Result<()> {
        let accepted = self
            .routers
            .values()
            .map(RouterCounters::received)
            .sum::<u64>();
        let rejected = self.routers.values().map(RouterCounters::rejected_in_all);
        let rejected = rejected.sum::<u64>() + self.global.rejected_in_all();
        let global = reasons(|reason| self.global.rejected(reason));
        if as_json {
            let routers: Vec<Value> = self.routers.iter().map(router_as_json).collect();
            let object = json!({
                "kind": "stats",
                "frames": self.frames,
                "announcements": self.announcements,
                "accepted": accepted,
                "refused": rejected,
                "global": object(&global),
                "routers": routers,
            });
            return writeln!(out, "{object}");
        }
        write!(
            out,
            "{} frames: {accepted} accepted, {rejected} refused",
            self.frames
        )?;
        match self.announcements {
            0 => writeln!(out)?,
            count => writeln!(out, ", {count} announcements")?,
        }
        if !global.is_empty() {
            write!(out, "refused for no router:")?;
            write_counts(out, &global)?;
        }
        for ((interface, vlans, family, vrid), counters) in &self.routers {
            let name = if interface.is_empty() { "" } else { " on " };
            write!(out, "vrid {vrid} {family}{name}{interface}")?;
            for vlan in vlans {
                write!(out, " vlan {vlan}")?;
            }
            write!(out, ":")?;
            let mut counts = received(counters);
            counts.extend(reasons(|reason| counters.rejected(reason)));
            write_counts(out, &counts)?;
            let observed = observed(counters);
            if !observed.is_empty() {
                write!(out, "  observed:")?;
                write_counts(out, &observed)?;
            }
        }
        Ok(())
    }
}

fn router_as_json(entry: (&Key, &RouterCounters)) -> Value {
    let ((interface, vlans, family, vrid), counters) = entry;
    let mut router = json!({
        "interface": (!interface.is_empty()).then_some(interface),
        "family": match family {
            Family::Ipv4 => 4,
            Family::Ipv6 => 6,
        },
        "vrid": vrid,
        "advertisement-rcvd": counters.received(),
        "priority-zero-pkts-rcvd": counters.received_resignations(),
        "interval-errors": counters.interval_errors(),
        "address-list-errors": counters.address_list_errors(),
        "packet-length-errors": counters.packet_length_errors(),
        "invalid-type-pkts-rcvd": counters.invalid_types(),
        "refused": object(&reasons(|reason| counters.rejected(reason))),
        "observed": object(&observed(counters)),
    });
    if let Some(map) = router.as_object_mut() {
        insert_vlans(map, vlans);
    }
    router
}

fn received(counters: &RouterCounters) -> Counts {
    let mut counts = vec![("advertisement-rcvd", counters.received())];
    match counters.received_resignations() {
        0 => {}
        count => counts.push(("priority-zero-pkts-rcvd", count)),
    }
    counts
}

fn reasons(count: impl Fn(Reason) -> u64) -> Counts {
    let counts = Reason::ALL
        .iter()
        .map(|reason| (reason.as_str(), count(*reason)));
    counts.filter(|(_, count)| *count > 0).collect()
}

fn observed(counters: &RouterCounters) -> Counts {
    let counts = Observation::ALL
        .iter()
        .map(|seen| (seen.as_str(), counters.observed(*seen)));
    counts.filter(|(_, count)| *count > 0).collect()
}

fn object(counts: &Counts) -> Map<String, Value> {
    let entries = counts
        .iter()
        .map(|(name, count)| ((*name).to_owned(), json!(count)));
    entries.collect()
}

fn write_counts(out: &mut dyn Write, counts: &Counts) -> io::Result<()> {
    for (place, (name, count)) in counts.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        write!(out, "{comma} {name} {count}")?;
    }
    writeln!(out)
}
