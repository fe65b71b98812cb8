//! Counters: one for each reason, in the sets of RFC 8347, and what else a virtual router counts.
//!
//! A packet moves exactly one counter, or one of the "received" and those of what was observed
//! (`VRRP-139`, `VRRP-203`). The leaves of RFC 8347, which were named when the Active router was
//! called master, are sums of these.

use crate::receive::{Accepted, Observation, Reason, Rejection, Scope};

const REASONS: usize = Reason::ALL.len();
const OBSERVATIONS: usize = Observation::ALL.len();

/// What is counted once for all virtual routers: packets that were for none of them, and those
/// whose reason RFC 8347 counts globally.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GlobalCounters {
    rejected: [u64; REASONS],
}

impl GlobalCounters {
    /// All zero.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rejected: [0; REASONS],
        }
    }

    /// Counts a rejection whose scope is [`Scope::Global`]; others are not counted here.
    pub fn record_rejection(&mut self, rejection: Rejection) {
        if rejection.scope() == Scope::Global {
            increment(&mut self.rejected, rejection.reason().index());
        }
    }

    /// How many packets were dropped for this reason.
    #[must_use]
    pub fn rejected(&self, reason: Reason) -> u64 {
        get(&self.rejected, reason.index())
    }

    /// How many packets were dropped in all.
    #[must_use]
    pub fn rejected_in_all(&self) -> u64 {
        sum(&self.rejected)
    }
}

/// What one virtual router counts of what it received and sent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RouterCounters {
    rejected: [u64; REASONS],
    observed: [u64; OBSERVATIONS],
    received: u64,
    received_resignations: u64,
    sent: u64,
    sent_resignations: u64,
    flooded: u64,
}

impl RouterCounters {
    /// All zero.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rejected: [0; REASONS],
            observed: [0; OBSERVATIONS],
            received: 0,
            received_resignations: 0,
            sent: 0,
            sent_resignations: 0,
            flooded: 0,
        }
    }

    /// Counts an advertisement that passed the ladder, and what was observed of it.
    pub fn record_accepted(&mut self, accepted: &Accepted<'_>) {
        self.received = self.received.saturating_add(1);
        if accepted.advertisement.priority.is_resign() {
            self.received_resignations = self.received_resignations.saturating_add(1);
        }
        for observation in accepted.observations.iter() {
            increment(&mut self.observed, observation.index());
        }
    }

    /// Counts a rejection whose scope is [`Scope::Router`], and what was observed of it; others are
    /// not counted here. That it is for this virtual router is the caller's to know.
    pub fn record_rejection(&mut self, rejection: Rejection) {
        if let Scope::Router(_) = rejection.scope() {
            increment(&mut self.rejected, rejection.reason().index());
            for observation in rejection.observations().iter() {
                increment(&mut self.observed, observation.index());
            }
        }
    }

    /// Counts something that was observed of an advertisement beside the ladder.
    pub fn record_observed(&mut self, observation: Observation) {
        increment(&mut self.observed, observation.index());
    }

    /// Counts an advertisement that was sent.
    pub fn record_sent(&mut self, priority: crate::Priority) {
        self.sent = self.sent.saturating_add(1);
        if priority.is_resign() {
            self.sent_resignations = self.sent_resignations.saturating_add(1);
        }
    }

    /// Counts an advertisement that passed the ladder and was one too many. It is counted as nothing
    /// else: not as received, and not among the rejected, as no row of the ladder dropped it.
    pub fn record_flooded(&mut self) {
        self.flooded = self.flooded.saturating_add(1);
    }

    /// Advertisements that passed the ladder and were dropped because there were too many
    /// ([`FloodLimit`](crate::node::FloodLimit)). No RFC counts them.
    #[must_use]
    pub const fn flooded(&self) -> u64 {
        self.flooded
    }

    /// How many packets were dropped for this reason.
    #[must_use]
    pub fn rejected(&self, reason: Reason) -> u64 {
        get(&self.rejected, reason.index())
    }

    /// How many packets were dropped in all.
    #[must_use]
    pub fn rejected_in_all(&self) -> u64 {
        sum(&self.rejected)
    }

    /// How often this was observed.
    #[must_use]
    pub fn observed(&self, observation: Observation) -> u64 {
        get(&self.observed, observation.index())
    }

    /// Advertisements accepted: `advertisement-rcvd`.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Of these, those with priority 0: `priority-zero-pkts-rcvd`.
    #[must_use]
    pub const fn received_resignations(&self) -> u64 {
        self.received_resignations
    }

    /// Advertisements sent: `advertisement-sent`.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Of these, those with priority 0: `priority-zero-pkts-sent`.
    #[must_use]
    pub const fn sent_resignations(&self) -> u64 {
        self.sent_resignations
    }

    /// `interval-errors`: dropped or only reported.
    #[must_use]
    pub fn interval_errors(&self) -> u64 {
        self.leaf("interval-errors")
            .saturating_add(self.observed(Observation::IntervalMismatch))
    }

    /// `address-list-errors`: dropped or only reported.
    #[must_use]
    pub fn address_list_errors(&self) -> u64 {
        self.leaf("address-list-errors")
            .saturating_add(self.observed(Observation::AddressList))
            .saturating_add(self.observed(Observation::FirstNotLinkLocal))
    }

    /// `packet-length-errors`.
    #[must_use]
    pub fn packet_length_errors(&self) -> u64 {
        self.leaf("packet-length-errors")
    }

    /// `invalid-type-pkts-rcvd`.
    #[must_use]
    pub fn invalid_types(&self) -> u64 {
        self.leaf("invalid-type-pkts-rcvd")
    }

    /// The sum over the reasons which RFC 8347 counts in this leaf.
    fn leaf(&self, name: &str) -> u64 {
        let reasons = Reason::ALL.iter().copied();
        let counted = reasons.filter(|reason| reason.rfc8347_leaf() == Some(name));
        counted.fold(0, |total, reason| {
            total.saturating_add(self.rejected(reason))
        })
    }
}

fn increment(counters: &mut [u64], index: usize) {
    if let Some(counter) = counters.get_mut(index) {
        *counter = counter.saturating_add(1);
    }
}

fn get(counters: &[u64], index: usize) -> u64 {
    counters.get(index).copied().unwrap_or(0)
}

fn sum(counters: &[u64]) -> u64 {
    counters
        .iter()
        .fold(0, |total, count| total.saturating_add(*count))
}
