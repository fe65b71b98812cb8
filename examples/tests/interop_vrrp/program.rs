//! The programs that can be a router.

use core::time::Duration;

use crate::frr::Frr;
use crate::keepalived::Keepalived;
use crate::lab::{Lab, Side};
use crate::router::Router;
use crate::settings::Settings;

/// A program that takes a part in the virtual router.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Program {
    Keepalived,
    Frr,
}

impl Program {
    pub(crate) fn start(self, lab: &Lab, side: Side, settings: &Settings) -> Box<dyn Router> {
        match self {
            Self::Keepalived => Box::new(Keepalived::start(lab, side, settings)),
            Self::Frr => Box::new(Frr::start(lab, side, settings)),
        }
    }

    /// Whether it speaks for the virtual router with the virtual MAC only.
    pub(crate) const fn needs_virtual_mac(self) -> bool {
        match self {
            Self::Keepalived => false,
            Self::Frr => true,
        }
    }

    /// Whether an Active that heard another lose tells the neighbours again whose address it is.
    pub(crate) const fn announces_again(self) -> bool {
        match self {
            Self::Keepalived => true,
            Self::Frr => false,
        }
    }

    /// How long a virtual address stays at most when the program was killed; `None`: until somebody
    /// removes it.
    pub(crate) fn lifetime(self, _settings: &Settings) -> Option<Duration> {
        match self {
            Self::Keepalived | Self::Frr => None,
        }
    }
}
