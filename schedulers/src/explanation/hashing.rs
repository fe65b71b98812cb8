//! The steps of the schedulers that look a client up in a table.

use core::fmt;
use core::net::IpAddr;

use super::step::{Step, Verdict};
use crate::hash::slots::Slots;

/// An address was hashed to a slot of the table (`dh`, `sh`, `mh`).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hashed {
    /// The address: the client's, for `dh` the one the client sent to.
    pub address: IpAddr,
    /// The port that was hashed with it; 0 = none.
    pub port: u16,
    /// What was hashed: the folded address plus the port.
    pub input: u32,
    /// The hash value; for `dh` and `sh` it is the slot itself.
    pub value: u32,
    /// The slot it leads to.
    pub slot: u32,
    /// Number of slots of the table; 0 = there is no table.
    pub slots: u32,
}

impl Hashed {
    /// An address hashed to `slot`, without a port.
    pub(crate) fn new(address: IpAddr, input: u32, slot: u32, table: &Slots) -> Self {
        Self {
            address,
            port: 0,
            input,
            value: slot,
            slot,
            slots: u32::try_from(table.len()).unwrap_or(u32::MAX),
        }
    }
}

impl fmt::Display for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if self.port != 0 {
            write!(f, " and port {}", self.port)?;
        }
        write!(f, " fold to {:#010x}", self.input)?;
        if self.slots == 0 {
            return f.write_str(", but the table is empty");
        }
        if self.value != self.slot {
            write!(f, ", hash {}", self.value)?;
        }
        write!(f, ", slot {} of {}", self.slot, self.slots)
    }
}

impl From<Hashed> for Step {
    fn from(hashed: Hashed) -> Self {
        Self::Hashed(hashed)
    }
}

/// A slot of the table was looked at (`dh`, `sh`, `mh`).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Probe {
    /// The slot.
    pub slot: u32,
    /// `None` for the slot of the hash, otherwise the number of the fallback probe, from 0.
    pub fallback: Option<u32>,
    /// The index of the destination that owns the slot; `None` if nobody does.
    pub owner: Option<usize>,
    /// What came of it: taken, or why the owner was left out.
    pub verdict: Verdict,
}

impl Probe {
    pub(super) fn write<L: fmt::Display>(
        &self,
        f: &mut fmt::Formatter<'_>,
        label: &impl Fn(usize) -> L,
    ) -> fmt::Result {
        if let Some(number) = self.fallback {
            write!(f, "fallback {number}, ")?;
        }
        write!(f, "slot {}: ", self.slot)?;
        let Some(owner) = self.owner else {
            return f.write_str("nobody's");
        };
        let verdict = match self.verdict {
            Verdict::Quiesced => "left out, weight 0",
            Verdict::Overloaded => "left out, overloaded",
            Verdict::Unavailable => "left out, removed",
            _ => "taken",
        };
        write!(f, "{}, {verdict}", label(owner))
    }
}

impl From<Probe> for Step {
    fn from(probe: Probe) -> Self {
        Self::Probe(probe)
    }
}
