//! What must hold between the parts of a scenario.

use alloc::collections::BTreeMap;
use core::net::SocketAddr;

use crate::destination::{Destination, Forwarding};
use crate::persistence::{Persistence, PersistenceMask};
use crate::scenario::error::{Place, Problem, ScenarioError};
use crate::scenario::event::{Change, Event};
use crate::scenario::{Server, Target};

/// How things stand after the events so far.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct State {
    target: Target,
    /// Whether all addresses are IPv6; unknown until a service by mark has seen the first one.
    ipv6: Option<bool>,
    /// Each server that there has been, with its latest settings.
    servers: BTreeMap<u32, Settings>,
    /// Who of the servers present has which address.
    addresses: BTreeMap<SocketAddr, u32>,
    flows: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Settings {
    destination: Destination,
    present: bool,
}

impl State {
    pub(super) fn new(target: Target) -> Result<Self, ScenarioError> {
        let ipv6 = match target {
            Target::Mark(0) => return Err(Problem::Mark.at(Place::Document)),
            Target::Mark(_) => None,
            Target::Address(address) => Some(address.is_ipv6()),
        };
        Ok(Self {
            target,
            ipv6,
            servers: BTreeMap::new(),
            addresses: BTreeMap::new(),
            flows: 0,
        })
    }

    /// Whether all addresses are IPv6, once that is known.
    pub(super) const fn ipv6(&self) -> Option<bool> {
        self.ipv6
    }

    /// The family is known from elsewhere.
    pub(super) const fn set_family(&mut self, ipv6: Option<bool>) {
        if self.ipv6.is_none() {
            self.ipv6 = ipv6;
        }
    }

    /// Takes a server that is there from the beginning, the one of that index.
    pub(super) fn add_server(
        &mut self,
        server: &Server,
        index: usize,
    ) -> Result<(), ScenarioError> {
        let &Server { id, destination } = server;
        let checked = if self.servers.contains_key(&id) {
            Err(Problem::DuplicateId { id })
        } else {
            self.include(id, destination)
        };
        checked.map_err(|problem| problem.at(Place::Server(index)))
    }

    /// Takes the event of that index. If it is refused, nothing has changed.
    pub(super) fn apply(&mut self, event: &Event, index: usize) -> Result<(), ScenarioError> {
        self.check_and_apply(event)
            .map_err(|problem| problem.at(Place::Event(index)))
    }

    /// The settings that a server has now, or had when it was removed.
    pub(super) fn destination(&self, id: u32) -> Option<Destination> {
        self.servers.get(&id).map(|server| server.destination)
    }

    fn check_and_apply(&mut self, event: &Event) -> Result<(), Problem> {
        match *event {
            Event::Flow { client, to } => self.begin(client, to),
            Event::Establish { flow } | Event::Close { flow } | Event::Expire { flow } => {
                if flow < self.flows {
                    return Ok(());
                }
                let flows = self.flows;
                Err(Problem::FlowRange { flow, flows })
            }
            Event::Add(change) => self.add(change),
            Event::Edit(change) => {
                if change.address.is_some() {
                    return Err(Problem::EditedAddress);
                }
                let former = self.present(change.id)?;
                let destination = changed(former, change);
                check_settings(&destination)?;
                self.store(change.id, destination, true);
                Ok(())
            }
            Event::Remove { id } => {
                let destination = self.present(id)?;
                self.addresses.remove(&destination.address());
                self.store(id, destination, false);
                Ok(())
            }
            Event::Advance { by } if by > Event::MAX_ADVANCE => Err(Problem::Advance { by }),
            Event::Advance { .. } => Ok(()),
        }
    }

    fn begin(&mut self, client: SocketAddr, to: Option<SocketAddr>) -> Result<(), Problem> {
        let former = self.ipv6;
        let ipv6 = match (self.target, to) {
            (Target::Mark(_), None) => return Err(Problem::MissingTo),
            (Target::Address(address), Some(_)) => return Err(Problem::SurplusTo { address }),
            (Target::Address(_), None) => family(former, "client", client)?,
            (Target::Mark(_), Some(to)) => {
                let ipv6 = family(former, "client", client)?;
                family(Some(ipv6), "to", to)?
            }
        };
        self.ipv6 = Some(ipv6);
        self.flows += 1;
        Ok(())
    }

    fn add(&mut self, change: Change) -> Result<(), Problem> {
        let id = change.id;
        let missing = |field| Problem::Missing { id, field };
        let former = match self.servers.get(&id) {
            Some(settings) if settings.present => return Err(Problem::Present { id }),
            Some(settings) => settings.destination,
            None => {
                let address = change.address.ok_or_else(|| missing("address"))?;
                let weight = change.weight.ok_or_else(|| missing("weight"))?;
                Destination::new(address).with_weight(weight)
            }
        };
        self.include(id, changed(former, change))
    }

    /// A server becomes present.
    fn include(&mut self, id: u32, destination: Destination) -> Result<(), Problem> {
        let address = destination.address();
        let ipv6 = family(self.ipv6, "address", address)?;
        if let Some(&id) = self.addresses.get(&address) {
            return Err(Problem::AddressInUse { address, id });
        }
        check_settings(&destination)?;
        self.ipv6 = Some(ipv6);
        self.addresses.insert(address, id);
        self.store(id, destination, true);
        Ok(())
    }

    fn present(&self, id: u32) -> Result<Destination, Problem> {
        self.servers
            .get(&id)
            .filter(|settings| settings.present)
            .map(|settings| settings.destination)
            .ok_or(Problem::Absent { id })
    }

    fn store(&mut self, id: u32, destination: Destination, present: bool) {
        let settings = Settings {
            destination,
            present,
        };
        self.servers.insert(id, settings);
    }
}

/// Which family all addresses have, as far as is known, if this persistence is for them.
pub(super) fn persistence(
    persistence: Persistence,
    known: Option<bool>,
) -> Result<Option<bool>, ScenarioError> {
    let timeout = persistence.timeout();
    let seconds = u32::try_from(timeout.as_secs()).unwrap_or(0);
    if seconds == 0 || timeout.subsec_nanos() != 0 {
        return Err(Problem::Timeout { timeout }.at(Place::Document));
    }
    let ipv6 = match persistence.mask() {
        PersistenceMask::Client => return Ok(known),
        PersistenceMask::Inet(_) => false,
        PersistenceMask::Inet6(length) => {
            let (least, most) = (1, 128);
            if !(least..=most).contains(&length) {
                let problem = Problem::MaskLength {
                    length,
                    least,
                    most,
                };
                return Err(problem.at(Place::Document));
            }
            true
        }
    };
    match known {
        Some(known) if known != ipv6 => {
            Err(Problem::MaskFamily { ipv6: known }.at(Place::Document))
        }
        _ => Ok(Some(ipv6)),
    }
}

/// Which family all addresses have, given what those before had.
fn family(known: Option<bool>, field: &'static str, address: SocketAddr) -> Result<bool, Problem> {
    match known {
        Some(ipv6) if ipv6 != address.is_ipv6() => Err(Problem::Family {
            field,
            address,
            ipv6,
        }),
        _ => Ok(address.is_ipv6()),
    }
}

fn changed(former: Destination, change: Change) -> Destination {
    Destination::new(change.address.unwrap_or_else(|| former.address()))
        .with_weight(change.weight.unwrap_or_else(|| former.weight()))
        .with_thresholds(
            change.upper.unwrap_or_else(|| former.upper()),
            change.lower.unwrap_or_else(|| former.lower()),
        )
}

fn check_settings(destination: &Destination) -> Result<(), Problem> {
    let (upper, lower) = (destination.upper(), destination.lower());
    if destination.weight() > Destination::MAX_WEIGHT {
        return Err(Problem::Weight {
            value: destination.weight(),
        });
    }
    if lower > upper {
        return Err(Problem::Thresholds { upper, lower });
    }
    if destination.forwarding() != Forwarding::Masquerade {
        return Err(Problem::Forwarding);
    }
    Ok(())
}
