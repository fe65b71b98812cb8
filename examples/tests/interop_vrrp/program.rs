//! The programs that can be a router.

use core::time::Duration;

use crate::frr::Frr;
use crate::keepalived::Keepalived;
use crate::lab::{Lab, Side};
use crate::router::Router;
use crate::scene::YIELD;
use crate::settings::Settings;
use crate::vrrpd::Vrrpd;

/// For how long ours waits with the address after its first word, where the other is alive.
const GAP: Duration = Duration::from_millis(5);

/// A program that takes a part in the virtual router.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Program {
    Keepalived,
    Frr,
    /// This project's, with its own loop.
    Blocking,
    /// The same on tokio.
    Tokio,
}

impl Program {
    pub(crate) fn start(self, lab: &Lab, side: Side, settings: &Settings) -> Box<dyn Router> {
        match self {
            Self::Keepalived => Box::new(Keepalived::start(lab, side, settings)),
            Self::Frr => Box::new(Frr::start(lab, side, settings)),
            Self::Blocking => Box::new(Vrrpd::start(lab, side, settings, "blocking")),
            Self::Tokio => Box::new(Vrrpd::start(lab, side, settings, "tokio")),
        }
    }

    /// Whether it speaks for the virtual router with the virtual MAC only.
    pub(crate) const fn needs_virtual_mac(self) -> bool {
        match self {
            Self::Frr => true,
            Self::Keepalived | Self::Blocking | Self::Tokio => false,
        }
    }

    /// Whether an Active that heard another lose tells the neighbours again whose address it is.
    pub(crate) const fn announces_again(self) -> bool {
        match self {
            Self::Frr => false,
            Self::Keepalived | Self::Blocking | Self::Tokio => true,
        }
    }

    /// For how long it lets another that is alive remove the address after having said that it is the
    /// better one.
    pub(crate) const fn gap(self) -> Duration {
        match self {
            Self::Keepalived | Self::Frr => Duration::ZERO,
            Self::Blocking | Self::Tokio => GAP,
        }
    }

    /// How long it may take to remove the address after having heard of a better one, if nothing holds
    /// it up; peers are not what is tested.
    pub(crate) const fn patience(self) -> Duration {
        match self {
            Self::Keepalived | Self::Frr => YIELD,
            Self::Blocking | Self::Tokio => GAP,
        }
    }

    /// How much earlier it may take over than its timers say: FRR counts in hundredths of a second.
    pub(crate) const fn earlier(self) -> Duration {
        match self {
            Self::Frr => Duration::from_millis(10),
            Self::Keepalived | Self::Blocking | Self::Tokio => Duration::ZERO,
        }
    }

    /// How long a virtual address stays at most when the program was killed; `None`: until somebody
    /// removes it.
    pub(crate) fn lifetime(self, settings: &Settings) -> Option<Duration> {
        match self {
            Self::Keepalived | Self::Frr => None,
            Self::Blocking | Self::Tokio => Some(Vrrpd::lifetime(settings)),
        }
    }
}
