//! How many attempts run against which machine, and which wait for others there to end.

use core::net::IpAddr;
use std::collections::{BTreeSet, HashMap};

use super::Turn;

/// What is needed for every attempt, kept small: it is looked up for each.
#[derive(Clone, Copy, Debug, Default)]
struct Host {
    checks: u32,
    running: u32,
}

/// The machines that checks are about, by number.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    numbers: HashMap<IpAddr, u32>,
    hosts: Vec<Host>,
    /// By number, too.
    addresses: Vec<IpAddr>,
    free: Vec<u32>,
    waiting: HashMap<u32, BTreeSet<Turn>>,
    parked: usize,
}

impl Hosts {
    /// The number of a host that has one more check from now on.
    pub(super) fn enter(&mut self, address: IpAddr) -> Option<u32> {
        let number = match self.numbers.get(&address) {
            Some(number) => *number,
            None => {
                let number = match self.free.pop() {
                    Some(number) => number,
                    None => u32::try_from(self.hosts.len()).ok()?,
                };
                let index = number as usize;
                if index >= self.hosts.len() {
                    self.hosts.push(Host::default());
                    self.addresses.push(address);
                }
                if let Some(place) = self.addresses.get_mut(index) {
                    *place = address;
                }
                self.numbers.insert(address, number);
                number
            }
        };
        let host = self.hosts.get_mut(number as usize)?;
        host.checks = host.checks.saturating_add(1);
        Some(number)
    }

    /// A host has one check less; the last of them ends its number.
    pub(super) fn leave(&mut self, number: u32) {
        let Some(host) = self.hosts.get_mut(number as usize) else {
            return;
        };
        host.checks = host.checks.saturating_sub(1);
        if host.checks > 0 {
            return;
        }
        if let Some(address) = self.addresses.get(number as usize) {
            self.numbers.remove(address);
        }
        self.free.push(number);
    }

    /// Counts an attempt as running, unless there are as many already.
    pub(super) fn start(&mut self, number: u32, limit: u32) -> bool {
        let Some(host) = self.hosts.get_mut(number as usize) else {
            return true;
        };
        let free = host.running < limit;
        host.running = host.running.saturating_add(free.into());
        free
    }

    /// An attempt has ended. Gives the one whose turn it is now.
    pub(super) fn finish(&mut self, number: u32) -> Option<Turn> {
        if let Some(host) = self.hosts.get_mut(number as usize) {
            host.running = host.running.saturating_sub(1);
        }
        self.next(number)
    }

    /// Makes an attempt wait until another one there has ended.
    pub(super) fn park(&mut self, number: u32, turn: Turn) {
        let new = self.waiting.entry(number).or_default().insert(turn);
        self.parked = self.parked.saturating_add(new.into());
    }

    /// An attempt does not wait any more.
    pub(super) fn take_back(&mut self, number: u32, turn: Turn) {
        let Some(turns) = self.waiting.get_mut(&number) else {
            return;
        };
        self.parked = self.parked.saturating_sub(turns.remove(&turn).into());
        if turns.is_empty() {
            self.waiting.remove(&number);
        }
    }

    /// The first that waits for a host, which waits no longer.
    pub(super) fn next(&mut self, number: u32) -> Option<Turn> {
        if self.waiting.is_empty() {
            return None;
        }
        let turns = self.waiting.get_mut(&number)?;
        let turn = turns.pop_first();
        if turns.is_empty() {
            self.waiting.remove(&number);
        }
        self.parked = self.parked.saturating_sub(turn.is_some().into());
        turn
    }

    /// How many wait.
    pub(super) const fn parked(&self) -> usize {
        self.parked
    }

    /// Whether nobody knows any host.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty() && self.waiting.is_empty() && self.free.len() == self.hosts.len()
    }
}
