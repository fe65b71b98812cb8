//! The traffic to play: recorded in a scenario, or made up as it goes.

use core::net::SocketAddr;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use lvs_schedulers::scenario::{Event, Scenario, Server, Target};
use lvs_schedulers::{Algorithm, Destination};

use crate::arguments::{Arguments, Load, Service};
use crate::choice::Choice;
use crate::failure::Failure;
use crate::generate::Generator;

/// A service, its servers, and a source of events that can be read again and again.
#[derive(Debug)]
pub(crate) struct Traffic {
    /// The service and its servers; the events, too, unless they are made up.
    base: Scenario,
    load: Option<Load>,
}

impl Traffic {
    pub(crate) fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let mut base = match &arguments.scenario {
            Some(path) => read(path)?,
            None => service(&arguments.service)
                .map_err(Failure::Servers)?
                .with_seed(arguments.load.seed),
        };
        if let Some(Choice::Kernel(algorithm)) = arguments.scheduler {
            base = base.with_algorithm(algorithm);
        }
        let load = arguments.generate.then(|| arguments.load.clone());
        let traffic = Self { base, load };
        if traffic.load.is_some() {
            // What is refused is refused here, before anything runs.
            traffic.generator()?;
        }
        Ok(traffic)
    }

    /// The service and its servers. Its events are those of the traffic only if it is recorded.
    pub(crate) const fn base(&self) -> &Scenario {
        &self.base
    }

    pub(crate) const fn is_recorded(&self) -> bool {
        self.load.is_none()
    }

    /// How many flows there will be.
    pub(crate) fn flows(&self) -> u64 {
        match &self.load {
            Some(load) => load.flows,
            None => {
                let flows = self.base.events().iter().filter(|event| is_flow(event));
                u64::try_from(flows.count()).unwrap_or(u64::MAX)
            }
        }
    }

    /// Whether time passes; otherwise events are all there is to count.
    pub(crate) fn is_timed(&self) -> bool {
        let passes = |event: &Event| matches!(event, Event::Advance { by } if !by.is_zero());
        self.load.is_some() || self.base.events().iter().any(passes)
    }

    /// All events from the beginning.
    pub(crate) fn events(&self) -> Result<Box<dyn Iterator<Item = Event> + '_>, Failure> {
        Ok(match self.load {
            Some(_) => Box::new(self.generator()?),
            None => Box::new(self.base.events().iter().copied()),
        })
    }

    /// As a scenario with all events.
    pub(crate) fn record(&self) -> Result<Scenario, Failure> {
        let mut scenario = self.empty()?;
        for event in self.events()? {
            scenario.push(event).map_err(Failure::Servers)?;
        }
        Ok(scenario)
    }

    /// As a scenario without events.
    fn empty(&self) -> Result<Scenario, Failure> {
        let base = &self.base;
        let servers = base.servers().iter().copied();
        let scenario = Scenario::new(base.algorithm(), base.target(), servers);
        let scenario = scenario
            .map_err(Failure::Servers)?
            .with_flags(base.flags())
            .with_semantics(base.semantics())
            .with_protocol(base.protocol())
            .with_seed(base.seed());
        match base.persistence() {
            None => Ok(scenario),
            Some(persistence) => scenario
                .with_persistence(persistence)
                .map_err(Failure::Servers),
        }
    }

    fn generator(&self) -> Result<Generator, Failure> {
        let load = self
            .load
            .as_ref()
            .ok_or_else(|| Failure::Usage("nothing to generate".to_owned()))?;
        let (ipv6, by_mark) = match self.base.target() {
            Target::Address(address) => (address.is_ipv6(), false),
            Target::Mark(_) => {
                let first = self.base.servers().first();
                let ipv6 = first.is_some_and(|server| server.destination().address().is_ipv6());
                (ipv6, true)
            }
        };
        Generator::new(load, self.base.protocol(), ipv6, by_mark).map_err(Failure::Usage)
    }
}

/// Whether the event is a flow.
pub(crate) const fn is_flow(event: &Event) -> bool {
    matches!(event, Event::Flow { .. })
}

fn read(path: &Path) -> Result<Scenario, Failure> {
    let unreadable = |error| Failure::Read(path.to_owned(), error);
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(unreadable)?;
        text
    } else {
        fs::read_to_string(path).map_err(unreadable)?
    };
    Scenario::from_json(&text).map_err(|error| Failure::Scenario(path.to_owned(), error))
}

/// The service that the options describe.
fn service(service: &Service) -> Result<Scenario, lvs_schedulers::scenario::ScenarioError> {
    let target = if service.mark {
        Target::Mark(1)
    } else {
        Target::Address(SocketAddr::from(([10, 1, 0, 100], 80)))
    };
    let servers = (0_u32..).zip(&service.servers).map(|(id, weight)| {
        let [_, _, high, low] = (id + 1).to_be_bytes();
        let address = SocketAddr::from(([10, 2, high, low], 80));
        Server::new(id, Destination::new(address).with_weight(*weight))
    });
    Ok(Scenario::new(Algorithm::Wlc, target, servers)?
        .with_semantics(service.kernel.0)
        .with_protocol(service.protocol.into()))
}
