//! Bugs put between the network and a machine, to see that the search finds them.

use lvs_vrrp::event::{Event, HeardAdvert, State};
use lvs_vrrp::machine::VirtualRouter;

/// How a router differs from what it should be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Bug {
    /// Not at all.
    #[default]
    None,
    /// Of two addresses it takes the lower one for the greater.
    ComparesAddressesBackwards,
    /// As Backup it waits on when it hears a router that it should preempt.
    WaitsOnForLosers,
}

impl Bug {
    /// The event as a machine with this bug would see it.
    pub(crate) fn distort(self, router: &VirtualRouter, event: Event) -> Event {
        let Event::Advert(advert) = event else {
            return event;
        };
        let own = router.effective_priority();
        let loses = !advert.priority.is_resign() && advert.priority < own;
        let source = router.source().unwrap();
        Event::Advert(match self {
            Self::ComparesAddressesBackwards if advert.priority == own => HeardAdvert {
                source: if advert.source > source {
                    "0.0.0.1".parse().unwrap()
                } else {
                    "255.255.255.254".parse().unwrap()
                },
                ..advert
            },
            Self::WaitsOnForLosers if loses && router.state() == State::Backup => HeardAdvert {
                priority: own,
                ..advert
            },
            _ => advert,
        })
    }
}
