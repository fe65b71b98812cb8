//! A reconciler on the memory kernel: answers get lost, requests are refused, queues overflow, and
//! somebody else changes the table between any two requests and in the middle of every dump.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

mod arena;
mod courier;
#[path = "../plan_properties/draining.rs"]
mod draining;
#[expect(dead_code, reason = "shared with tests that use all of it")]
#[path = "../plan_properties/expectation.rs"]
mod expectation;
mod found;
#[expect(dead_code, reason = "shared with tests that use all of it")]
#[path = "../plan_properties/generate.rs"]
mod generate;
#[expect(dead_code, reason = "shared with tests that use all of it")]
#[path = "../plan_properties/model.rs"]
mod model;
#[path = "../plan_properties/settled.rs"]
mod settled;
#[expect(dead_code, reason = "shared with tests that use all of it")]
#[path = "../plan_properties/setup.rs"]
mod setup;

use core::time::Duration;

use lvs_ipvs::{Change, Client, Fault, MemoryKernel, ServiceKey, Snapshot, Table};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;

use crate::arena::{Arena, Kernel};
use crate::generate::{any_connections, any_foreign, any_setup, any_table, everything};
use crate::model::{Connections, Model};

/// The kernel, somebody else's client, and the faults to come: one for each request and receive.
struct Faulty {
    kernel: MemoryKernel,
    other: Client,
    faults: Vec<Option<Fault>>,
    /// Entries in a batch of a dump at most; 0 for as many as fit.
    batch: usize,
}

impl Faulty {
    fn new() -> Self {
        let kernel = MemoryKernel::default();
        let other = Client::with_transport(kernel.socket()).unwrap();
        Self {
            kernel,
            other,
            faults: Vec::new(),
            batch: 0,
        }
    }

    fn clear_faults(&self) {
        self.kernel.clear_faults();
        self.kernel.inject(Fault::SlowDumps(self.batch));
    }

    fn snapshot(&mut self) -> Snapshot {
        let snapshot = self.other.snapshot().unwrap();
        assert!(snapshot.agreed);
        snapshot
    }

    /// Gives the destinations of a service, newest first, these connections.
    fn connect(&mut self, service: ServiceKey, connections: &[Connections]) {
        let snapshot = self.snapshot();
        for (entry, counts) in snapshot.destinations(&service).iter().zip(connections) {
            let key = entry.destination.key();
            let [active, inactive, templates] = *counts;
            let kernel = &self.kernel;
            assert!(kernel.set_connections(service, key, active, inactive, templates));
        }
    }
}

impl Kernel for Faulty {
    fn meddle(&mut self, change: &Change) {
        self.clear_faults();
        let report = self.other.execute([change.clone()]).unwrap();
        assert_eq!(report.len(), 1);
    }

    fn observe(&mut self) -> Model {
        self.clear_faults();
        Model::seen(&self.snapshot())
    }

    fn end_connections(&mut self) {
        for service in everything() {
            self.connect(service, &[[0; 3]; 4]);
        }
        // Nor does anybody remember those of removed destinations.
        self.kernel.advance(Duration::from_secs(600));
    }

    fn before(&mut self) {
        if let Some(fault) = self.faults.pop().flatten() {
            self.kernel.inject(fault);
        }
    }

    fn after(&mut self) {
        self.clear_faults();
    }
}

fn any_fault() -> impl Strategy<Value = Fault> {
    const ENOMEM: i32 = 12;
    const ENOBUFS: i32 = 105;
    let reject = Fault::RejectRequest {
        after: 0,
        errno: ENOMEM,
    };
    prop_oneof![
        3 => Just(reject),
        3 => Just(Fault::LoseReplies(1)),
        2 => Just(Fault::OverrunAfter(0)),
        1 => Just(Fault::DelayReplies(1)),
        1 => Just(Fault::DuplicateReplies(1)),
        1 => (0..80_usize).prop_map(Fault::TruncateReply),
        1 => Just(Fault::FailSend(ENOBUFS)),
        1 => Just(Fault::FailReceive(ENOBUFS)),
    ]
}

#[derive(Clone, Debug)]
enum Event {
    Desire(Table),
    Foreign(Change),
    Connections(ServiceKey, Vec<Connections>),
    Wait(Duration),
    /// With what others do and what goes wrong meanwhile, the entries of a batch, and whether
    /// requests go one by one.
    Look(Vec<Option<Change>>, Vec<Option<Fault>>, usize, bool),
}

fn any_event() -> impl Strategy<Value = Event> {
    let foreign = vec(weighted(0.05, any_foreign()), 60);
    let faults = prop_oneof![
        2 => vec(weighted(0.1, any_fault()), 60),
        1 => Just(Vec::new()),
    ];
    prop_oneof![
        2 => any_table().prop_map(Event::Desire),
        2 => any_foreign().prop_map(Event::Foreign),
        1 => (select(everything()), any_connections())
            .prop_map(|(service, connections)| Event::Connections(service, connections)),
        1 => (0..40_u64).prop_map(|secs| Event::Wait(Duration::from_secs(secs))),
        4 => (foreign, faults, 0..3_usize, any::<bool>()).prop_map(
            |(foreign, faults, batch, splits)| Event::Look(foreign, faults, batch, splits)
        ),
    ]
}

proptest! {
    /// What the plans and the reconciler promise, seen on the kernel after each datagram.
    #[test]
    fn keeps_its_promises_whatever_goes_wrong(
        setup in any_setup(),
        before in any_table(),
        events in vec(any_event(), 1..12),
    ) {
        let mut faulty = Faulty::new();
        for service in before.services() {
            faulty.other.add_service(&service.service).unwrap();
            for one in &service.destinations {
                faulty.other.add_destination(service.service.key(), one).unwrap();
            }
        }
        let socket = faulty.kernel.socket();
        let mut arena = Arena::new(&setup, socket, faulty);
        for event in events {
            match event {
                Event::Desire(table) => arena.desire(table),
                Event::Foreign(change) => arena.kernel().meddle(&change),
                Event::Connections(service, all) => arena.kernel().connect(service, &all),
                Event::Wait(time) => arena.wait(time),
                Event::Look(foreign, faults, batch, splits) => {
                    arena.split(splits);
                    arena.kernel().faults = faults;
                    arena.kernel().batch = batch;
                    arena.kernel().after();
                    drop(arena.look(foreign));
                    arena.kernel().faults.clear();
                    arena.kernel().after();
                }
            }
        }
        arena.settle();
    }
}
