//! Who had which address when, as the kernels saw it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::host::RouterKey;
use super::trace::HostId;
use crate::timer::Timestamp;

/// A time during which the kernel of a host had an address, whatever its process thought.
#[expect(
    clippy::exhaustive_structs,
    reason = "who, what, from when, until when"
)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Holding {
    /// Who.
    pub host: HostId,
    /// For which virtual router.
    pub router: RouterKey,
    /// The address.
    pub address: IpAddr,
    /// From when on.
    pub from: Timestamp,
    /// Until when; none if it still has.
    pub until: Option<Timestamp>,
}

/// A time during which two hosts or more had an address.
#[expect(clippy::exhaustive_structs, reason = "what, from when, until when")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Overlap {
    /// Whose address, to the host that had it last.
    pub router: RouterKey,
    /// The address.
    pub address: IpAddr,
    /// From when on.
    pub from: Timestamp,
    /// Until when; none if they still have.
    pub until: Option<Timestamp>,
}

/// All holdings of a network.
#[derive(Clone, Debug, Default)]
pub(super) struct Holdings {
    all: Vec<Holding>,
    /// Places among them of those that go on.
    present: BTreeMap<IpAddr, Vec<usize>>,
    overlaps: Vec<Overlap>,
}

impl Holdings {
    pub(super) const fn new() -> Self {
        Self {
            all: Vec::new(),
            present: BTreeMap::new(),
            overlaps: Vec::new(),
        }
    }

    pub(super) fn all(&self) -> &[Holding] {
        &self.all
    }

    pub(super) fn overlaps(&self) -> &[Overlap] {
        &self.overlaps
    }

    /// Those that go on.
    pub(super) fn present(&self) -> impl Iterator<Item = &Holding> {
        let places = self.present.values().flatten();
        places.filter_map(|place| self.all.get(*place))
    }

    /// A host has an address that it had not.
    pub(super) fn begin(
        &mut self,
        now: Timestamp,
        host: HostId,
        router: RouterKey,
        address: IpAddr,
    ) {
        let present = self.present.entry(address).or_default();
        present.push(self.all.len());
        self.all.push(Holding {
            host,
            router,
            address,
            from: now,
            until: None,
        });
        if present.len() == 2 {
            self.overlaps.push(Overlap {
                router,
                address,
                from: now,
                until: None,
            });
        }
    }

    /// A host has an address no longer.
    pub(super) fn end(&mut self, now: Timestamp, host: HostId, address: IpAddr) {
        let Some(present) = self.present.get_mut(&address) else {
            return;
        };
        let all = &mut self.all;
        let before = present.len();
        present.retain(|place| match all.get_mut(*place) {
            Some(holding) if holding.host == host => {
                holding.until = Some(now);
                false
            }
            _ => true,
        });
        if before == 2 && present.len() == 1 {
            let mut open = self.overlaps.iter_mut().rev();
            if let Some(overlap) = open.find(|overlap| overlap.address == address) {
                overlap.until = Some(now);
            }
        }
    }
}
