//! Routers whose addresses cannot be there give way, and try again later.

use super::{Node, ReportKind, RouterId};
use crate::event::{Event, InitReason};
use crate::timer::Timestamp;

impl Node {
    /// Addresses of a router that were installed are gone, and could not be brought back: it gives
    /// way as if installing them had failed, since it draws packets that nobody takes. It steps down,
    /// removes what may be there, and tries again after
    /// [`Settings::install_retry`](super::Settings::install_retry).
    ///
    /// Whoever drives a node calls this: when, is a matter of its own. For a router that has no
    /// addresses installed, or that is not known, it does nothing.
    pub fn lose_addresses(&mut self, now: Timestamp, router: RouterId) {
        self.begin(now);
        let key = self.routers.key_of(router);
        let has_some = |key: &usize| {
            let router = self.router(*key);
            router.is_some_and(|router| router.work.is_installed())
        };
        if let Some(key) = key.filter(has_some) {
            self.give_way(key, ReportKind::AddressesLost);
            self.continue_work(key);
        }
        self.settle();
    }

    /// Addresses cannot be there, for this reason.
    pub(super) fn give_way(&mut self, key: usize, reason: ReportKind) {
        let refused_until = self.now.saturating_add(self.config.settings.install_retry);
        let Some(router) = self.router_mut(key) else {
            return;
        };
        let serves = router.work.serves;
        if serves {
            router.refused_until = refused_until;
        }
        self.report_router(key, reason);
        let router = self.router_mut(key);
        if let Some(router) = router.filter(|router| router.work.is_frozen()) {
            // Nobody knows what is there: no successor goes on with that, it is removed.
            router.work.serves = false;
            router.work.freeze();
        } else if serves {
            self.feed(key, Event::Fault(InitReason::AddressWork));
        }
    }
}
