//! Random operations on the memory kernel and on a plain map: same outcome, same table.
//!
//! The map knows nothing of bytes, errno or the order of checks: it is what a user expects. What
//! the real kernel does is the business of the differential test.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use lvs_ipvs::{
    Change, Client, Destination, DestinationKey, Family, Generation, MemoryKernel, Options,
    Persistence, Reason, Scheduler, ServiceFlags, ServiceKey, Table, Timeouts, VirtualService,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// What a user expects of a kernel.
#[derive(Debug, Default)]
struct Model {
    services: BTreeMap<ServiceKey, (VirtualService, Vec<Destination>)>,
    timeouts: [u32; 3],
}

impl Model {
    fn new() -> Self {
        Self {
            services: BTreeMap::new(),
            timeouts: [900, 120, 300],
        }
    }

    /// Carries a change out, or says why not.
    fn change(&mut self, change: &Change) -> Result<(), Reason> {
        match change {
            Change::AddService(service) if self.services.contains_key(&service.key()) => {
                Err(Reason::ServiceExists)
            }
            Change::AddService(service) => {
                known(service)?;
                let entry = (service.clone(), Vec::new());
                self.services.insert(service.key(), entry);
                Ok(())
            }
            Change::SetService(service) => {
                let found = self.services.get_mut(&service.key());
                let (settings, _) = found.ok_or(Reason::NoSuchService)?;
                known(service)?;
                *settings = service.clone();
                Ok(())
            }
            Change::RemoveService(key) => {
                let removed = self.services.remove(key);
                removed.map(drop).ok_or(Reason::NoSuchService)
            }
            Change::AddDestination(key, destination) => {
                let list = self.list(key)?;
                if position(list, &destination.key()).is_some() {
                    return Err(Reason::DestinationExists);
                }
                list.push(destination.clone());
                Ok(())
            }
            Change::SetDestination(key, destination) => {
                let list = self.list(key)?;
                let place = position(list, &destination.key());
                *place.ok_or(Reason::NoSuchDestination)? = destination.clone();
                Ok(())
            }
            Change::RemoveDestination(key, destination) => {
                let list = self.list(key)?;
                position(list, destination).ok_or(Reason::NoSuchDestination)?;
                list.retain(|other| other.key() != *destination);
                Ok(())
            }
            Change::Zero(Some(key)) => self.list(key).map(drop),
            Change::Flush => {
                self.services.clear();
                Ok(())
            }
            Change::SetTimeouts(timeouts) => {
                let asked = [timeouts.tcp_secs, timeouts.tcp_fin_secs, timeouts.udp_secs];
                for (timeout, asked) in self.timeouts.iter_mut().zip(asked) {
                    *timeout = asked.filter(|asked| *asked != 0).unwrap_or(*timeout);
                }
                Ok(())
            }
            other => unreachable!("{other} is never asked for"),
        }
    }

    fn list(&mut self, key: &ServiceKey) -> Result<&mut Vec<Destination>, Reason> {
        let found = self.services.get_mut(key).map(|(_, list)| list);
        found.ok_or(Reason::NoSuchService)
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        for (service, destinations) in self.services.values() {
            table.insert(service.clone(), destinations.clone());
        }
        table
    }
}

/// The kernel of this test has all schedulers but one.
fn known(service: &VirtualService) -> Result<(), Reason> {
    match service.scheduler() {
        Scheduler::Twos => Err(Reason::UnknownScheduler(Scheduler::Twos)),
        _ => Ok(()),
    }
}

fn position<'a>(list: &'a mut [Destination], key: &DestinationKey) -> Option<&'a mut Destination> {
    list.iter_mut()
        .find(|destination| destination.key() == *key)
}

/// Few keys, so that operations meet.
fn service_key() -> impl Strategy<Value = ServiceKey> {
    select(vec![
        ServiceKey::tcp("192.0.2.1:80".parse().unwrap()),
        ServiceKey::udp("192.0.2.1:80".parse().unwrap()),
        ServiceKey::tcp("[2001:db8::1]:80".parse().unwrap()),
        ServiceKey::firewall_mark(Family::Inet, 7),
        ServiceKey::firewall_mark(Family::Inet6, 7),
    ])
}

fn service() -> impl Strategy<Value = VirtualService> {
    let schedulers = vec![
        Scheduler::Rr,
        Scheduler::Wlc,
        Scheduler::Sh,
        Scheduler::None,
        Scheduler::Twos,
    ];
    let settings = (select(schedulers), 0..4_u32, any::<bool>());
    (service_key(), settings).prop_map(|(key, (scheduler, seconds, port))| {
        let mut service = VirtualService::new(key).with_scheduler(scheduler);
        if seconds > 0 {
            service = service.with_persistence(Persistence::new(seconds));
        }
        if port {
            service = service.with_flags(ServiceFlags::SCHED_2);
        }
        service
    })
}

/// Destinations of both families: tunnels may lead to the other one.
fn destination() -> impl Strategy<Value = Destination> {
    (0..4_u8, any::<bool>(), 0..100_u32, 0..5_u32).prop_map(|(host, inet6, weight, lower)| {
        let address = if inet6 {
            format!("[2001:db8::{host}]:80").parse()
        } else {
            format!("10.0.0.{host}:80").parse()
        };
        Destination::tunnel(address.unwrap())
            .with_weight(weight)
            .with_thresholds(lower, 5)
    })
}

fn change() -> impl Strategy<Value = Change> {
    let timeouts = (0..3_u32, 0..3_u32).prop_map(|(tcp, udp)| Timeouts {
        tcp_secs: Some(tcp),
        udp_secs: Some(udp),
        ..Timeouts::default()
    });
    prop_oneof![
        4 => service().prop_map(Change::AddService),
        2 => service().prop_map(Change::SetService),
        1 => service_key().prop_map(Change::RemoveService),
        6 => (service_key(), destination())
            .prop_map(|(key, destination)| Change::AddDestination(key, destination)),
        3 => (service_key(), destination())
            .prop_map(|(key, destination)| Change::SetDestination(key, destination)),
        3 => (service_key(), destination())
            .prop_map(|(key, destination)| Change::RemoveDestination(key, destination.key())),
        1 => service_key().prop_map(|key| Change::Zero(Some(key))),
        1 => timeouts.prop_map(Change::SetTimeouts),
        1 => Just(Change::Flush),
    ]
}

fn generation() -> impl Strategy<Value = Generation> {
    select(vec![
        Generation::LINUX_6_1,
        Generation::LINUX_6_12,
        Generation::LINUX_7_2,
    ])
    .prop_map(|mut generation| {
        generation.schedulers = &["rr", "wlc", "sh"];
        generation
    })
}

proptest! {
    #[test]
    fn the_kernel_does_what_a_map_does(
        generation in generation(),
        changes in vec(change(), 1..80),
    ) {
        let kernel = MemoryKernel::new(generation);
        let mut client = Client::with_transport(kernel.socket()).unwrap();
        // The model has no opinion on flags without a scheduler that reads them.
        client.set_options(Options::default().without_validation());
        let mut model = Model::new();
        for change in changes {
            let expected = model.change(&change);
            let report = client.execute([change.clone()]).unwrap();
            let outcome = report.into_result().map_err(|error| error.reason().unwrap());
            prop_assert_eq!(outcome, expected, "{}", change);
        }
        let snapshot = client.snapshot().unwrap();
        prop_assert!(snapshot.agreed);
        prop_assert_eq!(snapshot.table(), model.table());
        let timeouts = client.timeouts().unwrap();
        let timeouts = [timeouts.tcp_secs, timeouts.tcp_fin_secs, timeouts.udp_secs];
        prop_assert_eq!(timeouts, model.timeouts.map(Some));
    }
}
