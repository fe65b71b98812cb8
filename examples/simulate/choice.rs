//! Which scheduler: one of the kernel's or one of `own.rs`, by name.

use core::fmt;
use core::str::FromStr;

use lvs_schedulers::{Algorithm, DestinationEntry, Scheduler, Semantics};

use crate::own::{OWN, Own};

/// A scheduler to run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    /// One of the kernel's.
    Kernel(Algorithm),
    /// One of [`OWN`].
    Own(&'static Own),
}

impl Choice {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kernel(algorithm) => algorithm.name(),
            Self::Own(own) => own.name,
        }
    }

    pub(crate) fn scheduler(self, semantics: Semantics) -> Box<dyn Scheduler<DestinationEntry>> {
        match self {
            Self::Kernel(algorithm) => algorithm.scheduler(semantics),
            Self::Own(own) => (own.make)(),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if let Some(own) = OWN.iter().find(|own| own.name == name) {
            return Ok(Self::Own(own));
        }
        name.parse().map(Self::Kernel).map_err(|error| {
            let own: Vec<&str> = OWN.iter().map(|own| own.name).collect();
            format!("{error}; of own.rs: {}", own.join(", "))
        })
    }
}
