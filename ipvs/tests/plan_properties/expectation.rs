//! What a plan must lead to, said without regard to how plans are made.

use std::collections::BTreeMap;

use lvs_ipvs::{Plan, Policy, Protocol, Scheduler, ServiceKey, Surplus, Table, TableService};

use crate::generate::with_weight;
use crate::model::{Model, Server, Service};

/// Whether destinations of that service drain where the policy says so (`OP-10`).
pub(crate) fn drains(policy: &Policy, service: &ServiceKey) -> bool {
    let is_udp =
        matches!(service, ServiceKey::Address { protocol, .. } if *protocol == Protocol::UDP);
    policy.drain.udp || !is_udp
}

/// What is left of a destination nobody desires, when no limit is over.
fn left(policy: &Policy, service: &ServiceKey, server: &Server, how: Surplus) -> Option<Server> {
    match how {
        Surplus::Keep => Some(server.clone()),
        Surplus::Drain if drains(policy, service) => {
            let has_drained = !server.is_usable() && server.open(&policy.drain) == 0;
            (!has_drained).then(|| with_weight(server, 0))
        }
        _ => None,
    }
}

/// Of a service nobody desires.
fn surplus_service(policy: &Policy, key: &ServiceKey, service: &Service) -> Option<Service> {
    let how = policy.surplus_services;
    let (settings, servers) = service;
    let of = |server| left(policy, key, server, how);
    // One that drains goes as a whole, with its last destination.
    (how == Surplus::Keep || servers.iter().any(|server| of(server).is_some())).then(|| {
        let servers = servers.iter();
        let servers = servers.map(|server| of(server).unwrap_or_else(|| server.clone()));
        (settings.clone(), servers.collect())
    })
}

/// Of a service that is desired: what stays where it is, before it what is new.
fn desired_service(before: &Model, wanted: &TableService, policy: &Policy) -> Service {
    let key = wanted.service.key();
    let mut servers: Vec<_> = before.servers(&key).iter().rev().cloned().collect();
    servers = servers
        .into_iter()
        .filter_map(|server| match wanted.destination(&server.key()) {
            Some(wanted) => Some(Server {
                destination: wanted.clone(),
                ..server
            }),
            None => left(policy, &key, &server, policy.surplus_destinations),
        })
        .collect();
    for wanted in &wanted.destinations {
        if before.server(&key, wanted.key()).is_none() {
            servers.push(Server {
                destination: wanted.clone(),
                connections: before.kept(&key, wanted.key()),
            });
        }
    }
    servers.reverse();
    (wanted.service.clone(), servers)
}

/// Where a plan that knows no time leads, if it leaves the order of destinations alone.
pub(crate) fn expected(
    before: &Model,
    desired: &Table,
    policy: &Policy,
) -> BTreeMap<ServiceKey, Service> {
    let mut after = BTreeMap::new();
    for (key, service) in &before.services {
        if !policy.scope.contains(key) {
            after.insert(*key, service.clone());
        } else if desired.get(key).is_none() {
            after.extend(surplus_service(policy, key, service).map(|left| (*key, left)));
        }
    }
    for wanted in desired.services() {
        let key = wanted.service.key();
        if policy.scope.contains(&key) {
            after.insert(key, desired_service(before, wanted, policy));
        }
    }
    after
}

/// Whether the policy asks for the desired order of that service's destinations (`OP-12`).
pub(crate) fn orders(policy: &Policy, wanted: &TableService) -> bool {
    let hashes = [Scheduler::Dh, Scheduler::Sh, Scheduler::Mh];
    match policy.order {
        lvs_ipvs::DestinationOrder::Exact => true,
        lvs_ipvs::DestinationOrder::ForHashing => hashes.contains(&wanted.service.scheduler()),
        _ => false,
    }
}

/// Whether the desired destinations stand in the desired order, whatever stands between.
pub(crate) fn is_in_order(servers: &[Server], wanted: &TableService) -> bool {
    let oldest_first = servers.iter().rev().map(Server::key);
    let desired: Vec<_> = oldest_first
        .filter(|key| wanted.destination(key).is_some())
        .collect();
    let wanted: Vec<_> = wanted.destinations.iter().map(|one| one.key()).collect();
    desired == wanted
}

/// Checks what a plan led to.
pub(crate) fn check(before: &Model, after: &Model, desired: &Table, policy: &Policy, plan: &Plan) {
    let mut expected = expected(before, desired, policy);
    let mut after = after.services.clone();
    for wanted in desired.services() {
        let key = wanted.service.key();
        if !policy.scope.contains(&key) {
            continue;
        }
        let (servers, expected) = (
            &mut after.get_mut(&key).unwrap().1,
            &mut expected.get_mut(&key).unwrap().1,
        );
        let report = plan.out_of_order().iter().find(|one| one.service == key);
        assert_eq!(report.is_some(), !is_in_order(expected, wanted), "{key}");
        if report.is_some_and(|report| report.rebuilt) {
            assert!(orders(policy, wanted) && is_in_order(servers, wanted));
            // What was not removed keeps its place towards the others.
            let by_key = |server: &Server| (server.key().address, server.key().port);
            servers.sort_by_key(by_key);
            expected.sort_by_key(by_key);
        }
    }
    assert_eq!(after, expected, "{plan}");
}
