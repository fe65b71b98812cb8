//! Random tables and policies over four services with four destinations each.

use core::time::Duration;

use lvs_ipvs::{
    Adoption, Change, Destination, DestinationOrder, Drain, Drift, Family, Forwarding, Policy,
    Scheduler, Scope, ServiceKey, Surplus, Table, VirtualService,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::model::{Connections, Model, Server};
use crate::setup::Setup;

/// The services the tests know, and the port of their destinations.
pub(crate) fn services() -> [(VirtualService, u16); 4] {
    [
        (VirtualService::tcp("192.0.2.1:80".parse().unwrap()), 80),
        (VirtualService::udp("[2001:db8::1]:53".parse().unwrap()), 53),
        (VirtualService::firewall_mark(Family::Inet, 7), 8080),
        (VirtualService::tcp("192.0.2.2:443".parse().unwrap()), 443),
    ]
}

pub(crate) fn destination(service: &VirtualService, port: u16, host: u8) -> Destination {
    let address = match service.key().family() {
        Family::Inet => ([10, 0, 0, host], port).into(),
        Family::Inet6 => ([0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into()], port).into(),
    };
    Destination::masquerade(address)
}

pub(crate) fn any_destination(
    service: VirtualService,
    port: u16,
    host: u8,
) -> impl Strategy<Value = Destination> {
    let forwarding = prop_oneof![Just(Forwarding::Masquerade), Just(Forwarding::DirectRoute)];
    let thresholds = prop_oneof![3 => Just((0, 0)), 1 => Just((1, 2))];
    (0..3_u32, forwarding, thresholds).prop_map(move |(weight, forwarding, (lower, upper))| {
        destination(&service, port, host)
            .with_weight(weight)
            .with_forwarding(forwarding)
            .with_thresholds(lower, upper)
    })
}

/// A service with some of four destinations, in any order.
pub(crate) fn any_service(
    service: VirtualService,
    port: u16,
) -> impl Strategy<Value = (VirtualService, Vec<Destination>)> {
    let schedulers = prop_oneof![
        Just(Scheduler::Wlc),
        Just(Scheduler::Sh),
        Just(Scheduler::Rr)
    ];
    let all: Vec<_> = (1..=4)
        .map(|host| any_destination(service.clone(), port, host).boxed())
        .collect();
    let some = all.prop_flat_map(|list| subsequence(list, 0..=4).prop_shuffle());
    (schedulers, some)
        .prop_map(move |(scheduler, list)| (service.clone().with_scheduler(scheduler), list))
}

pub(crate) fn any_table() -> impl Strategy<Value = Table> {
    let [a, b, c, d] = services().map(|(service, port)| {
        prop_oneof![
            1 => Just(None),
            3 => any_service(service, port).prop_map(Some),
        ]
    });
    (a, b, c, d).prop_map(|(a, b, c, d)| {
        let mut table = Table::new();
        for (service, list) in [a, b, c, d].into_iter().flatten() {
            table.insert(service, list);
        }
        table
    })
}

/// Every kind of surplus.
pub(crate) fn any_surplus() -> impl Strategy<Value = Surplus> {
    prop_oneof![
        2 => Just(Surplus::Delete),
        2 => Just(Surplus::Drain),
        1 => Just(Surplus::Keep),
    ]
}

fn any_drain() -> impl Strategy<Value = Drain> {
    let limits = [None, Some(0), Some(5), Some(60)];
    (select(limits.to_vec()), any::<[bool; 3]>()).prop_map(
        |(limit, [udp, inactive, persistent])| {
            Drain::new()
                .with_limit(limit.map(Duration::from_secs))
                .with_udp(udp)
                .with_inactive(inactive)
                .with_persistent(persistent)
        },
    )
}

pub(crate) fn any_scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::all()),
        subsequence(everything(), 0..=4).prop_map(|keys| Scope::none().with_keys(keys)),
    ]
}

pub(crate) fn any_policy() -> impl Strategy<Value = Policy> {
    let order = select(vec![
        DestinationOrder::Any,
        DestinationOrder::ForHashing,
        DestinationOrder::Exact,
    ]);
    let surplus = (any_surplus(), any_surplus());
    (any_scope(), surplus, any_drain(), order).prop_map(
        |(scope, (services, destinations), drain, order)| {
            Policy::new(scope)
                .with_surplus_services(services)
                .with_surplus_destinations(destinations)
                .with_drain(drain)
                .with_order(order)
        },
    )
}

/// Connections for up to four destinations; often none.
pub(crate) fn any_connections() -> impl Strategy<Value = Vec<Connections>> {
    let one = prop_oneof![
        3 => Just([0; 3]),
        1 => Just([1, 0, 0]),
        1 => Just([0, 2, 0]),
        1 => Just([0, 0, 1]),
    ];
    vec(one, 4)
}

/// A table with connections.
pub(crate) fn any_model() -> impl Strategy<Value = Model> {
    (any_table(), vec(any_connections(), 4)).prop_map(|(table, connections)| {
        let mut model = Model::of(&table);
        for (service, connections) in everything().iter().zip(connections) {
            model.connect(service, &connections);
        }
        model
    })
}

/// A change somebody else makes, which may be refused.
pub(crate) fn any_foreign() -> impl Strategy<Value = Change> {
    let change = |(service, port): (VirtualService, u16)| {
        (any_service(service, port), 1..=4_u8, 0..6).prop_map(
            move |((service, list), host, kind)| {
                let key = service.key();
                let one = destination(&service, port, host);
                let one = list
                    .into_iter()
                    .find(|other| other.key() == one.key())
                    .unwrap_or(one);
                match kind {
                    0 => Change::AddService(service),
                    1 => Change::SetService(service),
                    2 => Change::RemoveService(key),
                    3 => Change::AddDestination(key, one),
                    4 => Change::SetDestination(key, one),
                    _ => Change::RemoveDestination(key, one.key()),
                }
            },
        )
    };
    let [a, b, c, d] = services().map(change);
    prop_oneof![a, b, c, d]
}

/// Any way to set up a reconciler.
pub(crate) fn any_setup() -> impl Strategy<Value = Setup> {
    let adoption = select(vec![Adoption::Adopt, Adoption::Merge, Adoption::Refuse]);
    let drift = select(vec![Drift::Repair, Drift::Report, Drift::AdoptWeight]);
    (any_policy(), adoption, drift).prop_map(|(policy, adoption, drift)| Setup {
        policy,
        adoption,
        drift,
    })
}

pub(crate) fn with_weight(server: &Server, weight: u32) -> Server {
    Server {
        destination: server.destination.clone().with_weight(weight),
        ..server.clone()
    }
}

/// The keys of all services the tests know.
pub(crate) fn everything() -> Vec<ServiceKey> {
    services()
        .iter()
        .map(|(service, _)| service.key())
        .collect()
}
