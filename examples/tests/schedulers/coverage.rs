//! What a set of scenarios contained, so that "all equal" means something.

use core::fmt;
use std::collections::BTreeMap;

use lvs_schedulers::scenario::{Event, Scenario, Target};
use lvs_schedulers::{PersistenceMask, Protocol};

use super::kernel::Picks;

/// Counts by name.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    counts: BTreeMap<String, usize>,
}

impl Coverage {
    pub(crate) fn add(&mut self, scenario: &Scenario, picks: &Picks) {
        let mut kinds = vec!["scenarios", scenario.algorithm().name()];
        kinds.push(match scenario.protocol() {
            Protocol::Tcp => "over TCP",
            Protocol::Udp => "over UDP",
            _ => "over SCTP",
        });
        let mut addresses = scenario
            .servers()
            .iter()
            .map(|it| it.destination().address());
        kinds.push(match addresses.next() {
            Some(address) if address.is_ipv6() => "over IPv6",
            _ => "over IPv4",
        });
        kinds.push(match scenario.target() {
            Target::Mark(_) => "by mark",
            Target::Address(address) if address.port() == 0 => "with port 0",
            Target::Address(_) => "by address",
        });
        if let Some(persistence) = scenario.persistence() {
            kinds.push("with persistence");
            if persistence.mask() != PersistenceMask::Client {
                kinds.push("with a persistence mask");
            }
        }
        let flags = scenario.flags();
        if flags.fallback() {
            kinds.push("with fallback");
        }
        if flags.port() {
            kinds.push("with port");
        }
        let limits = scenario.servers().iter().map(|it| it.destination().upper());
        if limits.max().is_some_and(|upper| upper > 0) {
            kinds.push("with thresholds");
        }
        for event in scenario.events() {
            kinds.push(match event {
                Event::Flow { client, .. } if client.port() == 20 => "flows from port 20",
                Event::Flow { .. } => "flows",
                Event::Establish { .. } => "flows established",
                Event::Close { .. } => "flows closed",
                Event::Expire { .. } => "flows expired",
                Event::Add(change) if change.address().is_none() => "servers added again",
                Event::Add(change) if change.upper().is_none() => "servers moved",
                Event::Add(_) => "servers added",
                Event::Edit(change) if change.upper().is_some() => "thresholds edited",
                Event::Edit(change) if change.weight().is_some() => "weights edited",
                Event::Edit(_) => "edits without change",
                Event::Remove { .. } => "servers removed",
                _ => "other events",
            });
        }
        for kind in kinds {
            *self.counts.entry(kind.to_owned()).or_default() += 1;
        }
        let refused = picks.iter().filter(|pick| pick.is_none()).count();
        *self.counts.entry("flows refused".to_owned()).or_default() += refused;
    }

    /// Fails if one of these came less than that often.
    pub(crate) fn require(&self, kinds: &[&str], least: usize) {
        for kind in kinds {
            let count = self.counts.get(*kind).copied().unwrap_or(0);
            assert!(count >= least, "{kind}: only {count}");
        }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self
            .counts
            .iter()
            .map(|(kind, count)| format!("{kind} {count}"));
        f.write_str(&counts.collect::<Vec<_>>().join(", "))
    }
}
