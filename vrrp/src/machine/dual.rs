//! Both versions at once, for an upgrade. RFC 9568 §8.4, RFC 5798 §8.4.

use core::net::IpAddr;

use super::VirtualRouter;
use crate::actions::Actions;
use crate::event::{Action, HeardAdvert, Notification};
use crate::priority::Rank;
use crate::profile::OwnerPolicy;
use crate::receive::Versions;
use crate::timer::{self, Timestamp};
use crate::version::Version;

/// How many advertisements of VRRPv3 without one of VRRPv2 between them mean that the router sends
/// no others.
const ALONE: u8 = 3;

/// What was heard of other routers, by version.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peers {
    /// Who advertised in VRRPv3 last, and when.
    v3: Option<(IpAddr, Timestamp)>,
    /// How many times in a row it did so without VRRPv2 between.
    alone: u8,
}

impl VirtualRouter {
    /// Whether the machine looks at an advertisement at all; the ladder has checked the same, for
    /// those that use it.
    pub(super) fn is_for_us(&self, advert: &HeardAdvert) -> bool {
        let drops = self.config.switches().receive.owner == OwnerPolicy::Drop;
        self.config.versions().accepts(advert.version) && !(drops && self.priority.is_owner())
    }

    /// Whether an advertisement of VRRPv2 comes from a router whose VRRPv3 is heard: it is ignored
    /// (`VRRP-134`).
    pub(super) fn is_heard_in_v3(&mut self, advert: &HeardAdvert, out: &mut Actions) -> bool {
        if self.config.versions() != Versions::Dual {
            return false;
        }
        let known = self.peers.v3.filter(|(source, _)| *source == advert.source);
        match advert.version {
            Version::V3 => {
                let alone = known.map_or(1, |_| self.peers.alone.saturating_add(1));
                if alone == ALONE {
                    out.push(Action::Notify(Notification::ActiveWithoutV2(advert.source)));
                }
                self.peers = Peers {
                    v3: Some((advert.source, advert.received_at)),
                    alone,
                };
                false
            }
            Version::V2 => {
                let patience = timer::active_down_interval(
                    Version::V3,
                    self.priority,
                    self.active_interval,
                    self.config.down_factor(),
                );
                let is_heard = known
                    .is_some_and(|(_, heard)| advert.received_at < heard.saturating_add(patience));
                if is_heard {
                    self.peers.alone = 0;
                }
                is_heard
            }
        }
    }

    /// A router of VRRPv2 alone that outranks one which advertises several times a second is bad
    /// configuration (`VRRP-136`).
    pub(super) fn check_v2_rank(&self, advert: &HeardAdvert, out: &mut Actions) {
        let is_fast = self.config.interval().centiseconds() < 100;
        let rank = Rank::new(advert.priority, advert.source);
        if self.config.versions() == Versions::Dual
            && advert.version == Version::V2
            && is_fast
            && advert.priority > self.priority
            && self.active != Some(rank)
        {
            out.push(Action::Notify(Notification::V2AboveFastV3(rank)));
        }
    }
}
