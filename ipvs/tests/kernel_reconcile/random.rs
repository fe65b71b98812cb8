//! Random desired tables, policies and changes by others, between any two requests or datagrams, on
//! the real kernel. Half of the others are `ipvsadm`.

use core::time::Duration;
use std::env;
use std::process::{Command, Stdio};

use lvs_ipvs::operation::TakeSnapshot;
use lvs_ipvs::transport::NetlinkSocket;
use lvs_ipvs::{Change, Client, DestinationOrder, Table};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::arena::{Arena, Kernel};
use crate::generate::{any_foreign, any_setup, any_table};
use crate::model::Model;
use crate::network::Host;

const RUNS: u64 = 60;

/// Names the first seed, for other runs than the usual ones.
const FIRST_SEED: &str = "RECONCILE_FIRST_SEED";

/// A network namespace, and somebody else in it.
struct Shared<'a> {
    host: &'a Host,
    other: Client,
    uses_ipvsadm: bool,
    /// How many times the observer looked, and somebody changed something.
    looks: u32,
    changes: u32,
}

impl Kernel for Shared<'_> {
    fn meddle(&mut self, change: &Change) {
        let is_done = if self.uses_ipvsadm {
            let command = change.to_string();
            let mut words = command.split(' ');
            let mut command = Command::new(words.next().unwrap());
            command.args(words).stderr(Stdio::null());
            self.host.enter(|| command.status().unwrap()).success()
        } else {
            self.other.execute([change.clone()]).unwrap().is_success()
        };
        self.changes += u32::from(is_done);
    }

    fn observe(&mut self) -> Model {
        self.looks += 1;
        // Nobody acts meanwhile, so one reading is enough.
        Model::seen(&self.other.run(TakeSnapshot::once()).unwrap())
    }

    /// There is no traffic.
    fn end_connections(&mut self) {}

    fn before(&mut self) {}

    fn after(&mut self) {}
}

#[derive(Clone, Debug)]
enum Event {
    Desire(Table),
    Foreign(Change),
    Wait(Duration),
    Look(Vec<Option<Change>>),
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => any_table().prop_map(Event::Desire),
        2 => any_foreign().prop_map(Event::Foreign),
        1 => (0..40_u64).prop_map(|secs| Event::Wait(Duration::from_secs(secs))),
        3 => vec(weighted(0.05, any_foreign()), 60).prop_map(Event::Look),
    ]
}

/// A value of a strategy, always the same for that seed.
fn value<S: Strategy>(strategy: S, seed: u64) -> S::Value {
    let seed = [seed.to_le_bytes(); 4].concat();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    strategy.new_tree(&mut runner).unwrap().current()
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn keeps_its_promises_among_others() {
    let host = Host::new("shared");
    let (mut looks, mut changes, mut requests, mut exact) = (0, 0, 0, 0);
    let first = env::var(FIRST_SEED).map_or(0, |seed| seed.parse().unwrap());
    for seed in first..first + RUNS {
        let events = vec(any_event(), 4..10);
        let (setup, before, events) = value((any_setup(), any_table(), events), seed);
        exact += u32::from(setup.policy.order == DestinationOrder::Exact);
        let mut other = host.ipvs();
        other.flush().unwrap();
        for service in before.services() {
            other.add_service(&service.service).unwrap();
            for one in &service.destinations {
                other.add_destination(service.service.key(), one).unwrap();
            }
        }
        let shared = Shared {
            host: &host,
            other,
            uses_ipvsadm: seed % 2 == 1,
            looks: 0,
            changes: 0,
        };
        let socket = host.enter(|| NetlinkSocket::open().unwrap());
        let mut arena = Arena::new(&setup, socket, shared);
        arena.split(seed % 4 < 2);
        for event in events {
            match event {
                Event::Desire(table) => arena.desire(table),
                Event::Foreign(change) => arena.kernel().meddle(&change),
                Event::Wait(time) => arena.wait(time),
                Event::Look(foreign) => requests += arena.look(foreign).unwrap().len(),
            }
        }
        arena.settle();
        looks += arena.kernel().looks;
        changes += arena.kernel().changes;
    }
    eprintln!(
        "{RUNS} runs, {exact} of them in exact order: {requests} requests before settling, \
         {changes} changes by others, {looks} observations"
    );
}
