//! A plain model of the kernel's table, and of what a plan must lead to.

use std::collections::{BTreeMap, BTreeSet};

use lvs_ipvs::{
    Change, Destination, Outcome, Policy, Rejected, Repair, Request, ServiceKey, Snapshot, Surplus,
    Table, TableService, VirtualService,
};

/// A table that behaves as the kernel's: destinations newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Model(pub(crate) BTreeMap<ServiceKey, (VirtualService, Vec<Destination>)>);

impl Model {
    pub(crate) fn of(table: &Table) -> Self {
        let service = |entry: &TableService| {
            let newest_first = entry.destinations.iter().rev().cloned().collect();
            (entry.service.key(), (entry.service.clone(), newest_first))
        };
        Self(table.services().map(service).collect())
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut table = Table::new();
        for (service, destinations) in self.0.values() {
            table.insert(service.clone(), destinations.iter().rev().cloned());
        }
        Snapshot::from(&table)
    }

    /// Does what the kernel would do, or refuses with its error number.
    pub(crate) fn apply(&mut self, change: &Change) -> Result<(), i32> {
        const ENOENT: i32 = 2;
        const ESRCH: i32 = 3;
        const EEXIST: i32 = 17;
        let position = |list: &[Destination], key| list.iter().position(|one| one.key() == key);
        match change {
            Change::AddService(service) if self.0.contains_key(&service.key()) => Err(EEXIST),
            Change::AddService(service) => {
                self.0.insert(service.key(), (service.clone(), Vec::new()));
                Ok(())
            }
            Change::SetService(service) => {
                self.0.get_mut(&service.key()).ok_or(ESRCH)?.0 = service.clone();
                Ok(())
            }
            Change::RemoveService(key) => self.0.remove(key).map(drop).ok_or(ESRCH),
            Change::AddDestination(key, destination) => {
                let (_, list) = self.0.get_mut(key).ok_or(ESRCH)?;
                if position(list, destination.key()).is_some() {
                    return Err(EEXIST);
                }
                list.insert(0, destination.clone());
                Ok(())
            }
            Change::SetDestination(key, destination) => {
                let (_, list) = self.0.get_mut(key).ok_or(ESRCH)?;
                let index = position(list, destination.key()).ok_or(ENOENT)?;
                list[index] = destination.clone();
                Ok(())
            }
            Change::RemoveDestination(service, key) => {
                let (_, list) = self.0.get_mut(service).ok_or(ESRCH)?;
                let _ = list.remove(position(list, *key).ok_or(ENOENT)?);
                Ok(())
            }
            other => panic!("not the business of a plan: {other}"),
        }
    }

    /// Like a client: what the table's state explains is repaired, once.
    pub(crate) fn execute(&mut self, change: &Change) -> Outcome {
        let refuse =
            |change: &Change, errno| Rejected::new(&Request::Change(change.clone()), errno);
        let Err(errno) = self.apply(change) else {
            return Outcome::Done;
        };
        let rejected = refuse(change, errno);
        match change.repair(rejected.reason) {
            Some(Repair::Satisfied) => Outcome::Done,
            Some(Repair::Instead(instead)) => match self.apply(&instead) {
                Ok(()) => Outcome::Done,
                Err(errno) => Outcome::Rejected(refuse(&instead, errno)),
            },
            None => Outcome::Rejected(rejected),
        }
    }

    /// Whether new connections to that service find a destination.
    pub(crate) fn is_usable(&self, key: &ServiceKey) -> bool {
        self.0
            .get(key)
            .is_some_and(|(_, list)| list.iter().any(|one| one.weight() > 0))
    }

    /// What an undisturbed plan must lead to.
    pub(crate) fn expected(
        &self,
        desired: &Table,
        policy: &Policy,
        owned: &BTreeSet<ServiceKey>,
    ) -> Self {
        let mut after = self.clone();
        if policy.surplus_services == Surplus::Delete {
            after.0.retain(|key, _| {
                desired.get(key).is_some() || !policy.scope.contains(key) || !owned.contains(key)
            });
        }
        for wanted in desired.services() {
            let key = wanted.service.key();
            if !policy.scope.contains(&key) {
                continue;
            }
            let before = self
                .0
                .get(&key)
                .map_or(&[][..], |(_, list)| list.as_slice());
            let is_there = |one: &&Destination| before.iter().any(|there| there.key() == one.key());
            let (old, new): (Vec<_>, Vec<_>) = wanted.destinations.iter().partition(is_there);
            let mut list: Vec<Destination> = new.into_iter().rev().cloned().collect();
            for there in before {
                match old.iter().find(|one| one.key() == there.key()) {
                    Some(wanted) => list.push((*wanted).clone()),
                    None if policy.surplus_destinations == Surplus::Keep => {
                        list.push(there.clone())
                    }
                    None => {}
                }
            }
            after.0.insert(key, (wanted.service.clone(), list));
        }
        after
    }
}
