//! The kernels of the hosts: they do what processes ask for, in their own time, and remove addresses
//! whose lifetime is over, whether there is a process or not.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use super::host::{Host, RouterKey};
use super::trace::{HostId, What};
use super::work::Work;
use super::{Input, Lan, Occurrence};
use crate::job::JobResult;
use crate::lease::address_lifetime;
use crate::timer::{NEVER, Timestamp};

/// An address that a kernel has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Installed {
    address: IpAddr,
    router: RouterKey,
    change: Change,
}

/// A number for each time that a lifetime is set: the end of an earlier one does not happen.
pub(super) type Change = u64;

impl<H: Host> Lan<H> {
    /// Begins work when earlier work for the same router is over. What takes no time is done at once,
    /// and told then.
    pub(super) fn begin_work(&mut self, host: HostId, router: RouterKey, work: Work) {
        let now = self.now;
        let Some(seat) = self.seats.get_mut(host.0) else {
            return;
        };
        let (time, result) = seat.paces.draw(work.step(), &mut self.random);
        seat.busy.retain(|(_, until)| *until > now);
        let busy = seat.busy.iter().filter(|(key, _)| *key == router);
        let free_at = busy.map(|(_, until)| *until).max().unwrap_or(now);
        let (life, at) = (seat.life, free_at.saturating_add(time));
        if at == now {
            let (step, result) = (work.step(), self.do_work(host, router, &work, result));
            let input = Input::Worked(router, step, result);
            self.plan(now, Occurrence::Told(host, life, input));
            return;
        }
        seat.busy.push((router, at));
        self.plan(at, Occurrence::Worked(host, life, router, work, result));
    }

    /// Does what was begun, or a part of it if it fails.
    pub(super) fn do_work(
        &mut self,
        host: HostId,
        router: RouterKey,
        work: &Work,
        result: JobResult,
    ) -> JobResult {
        let is_done = result == JobResult::Done;
        let result = match work {
            Work::Prepare | Work::Settle => result,
            Work::Install {
                addresses,
                remove,
                gone_by,
            } => {
                let (addresses, removed) =
                    (self.part(addresses, is_done), self.part(remove, is_done));
                let is_installed = self.install(host, router, &addresses, *gone_by);
                self.remove(host, router, &removed);
                if is_installed {
                    result
                } else {
                    JobResult::Failed
                }
            }
            Work::Remove(addresses) => {
                // The worst: all are still there.
                if is_done {
                    self.remove(host, router, addresses);
                }
                result
            }
        };
        if result == JobResult::Failed {
            self.log(host, Some(router), What::Failed(work.step()));
        }
        result
    }

    /// All addresses, or some of them.
    fn part(&mut self, addresses: &[IpAddr], is_done: bool) -> Vec<IpAddr> {
        let random = &mut self.random;
        let kept = addresses.iter().copied();
        kept.filter(|_| is_done || random.happens(500_000))
            .collect()
    }

    /// Installs addresses, or extends their lifetime. Not if there is no time left for one.
    pub(super) fn install(
        &mut self,
        host: HostId,
        router: RouterKey,
        addresses: &[IpAddr],
        gone_by: Option<Timestamp>,
    ) -> bool {
        let now = self.now;
        let Some(seat) = self.seats.get_mut(host.0) else {
            return false;
        };
        let local = seat.clock.local(now);
        let end = match gone_by.map(|gone_by| address_lifetime(local, gone_by)) {
            None => NEVER,
            Some(None) => return false,
            Some(Some(lifetime)) => {
                let lag = self.random.up_to(seat.expiry_lag);
                let end = local.saturating_add(lifetime).saturating_add(lag);
                seat.clock.when(end)
            }
        };
        self.planned = self.planned.saturating_add(1);
        let change = self.planned;
        let mut is_new = false;
        for &address in addresses {
            let found = seat.addresses.iter_mut().find(|old| old.address == address);
            if let Some(old) = found {
                (old.router, old.change) = (router, change);
                continue;
            }
            is_new = true;
            seat.addresses.push(Installed {
                address,
                router,
                change,
            });
            self.holdings.begin(now, host, router, address);
        }
        if is_new {
            self.log(host, Some(router), What::Installed);
        }
        if end != NEVER {
            self.plan(end, Occurrence::Expired(host, router, change));
        }
        true
    }

    fn remove(&mut self, host: HostId, router: RouterKey, addresses: &[IpAddr]) {
        let is_meant = |old: &Installed| addresses.contains(&old.address);
        if self.lose(host, is_meant) {
            self.log(host, Some(router), What::Removed);
        }
    }

    /// The lifetime of addresses is over, unless it was set again.
    pub(super) fn expire(&mut self, host: HostId, router: RouterKey, change: Change) {
        if self.lose(host, |old| old.change == change) {
            self.log(host, Some(router), What::Expired);
        }
    }

    /// Whether there were any of these.
    pub(super) fn lose(&mut self, host: HostId, is_meant: impl Fn(&Installed) -> bool) -> bool {
        let (now, holdings) = (self.now, &mut self.holdings);
        let Some(seat) = self.seats.get_mut(host.0) else {
            return false;
        };
        let before = seat.addresses.len();
        seat.addresses.retain(|old| {
            let is_lost = is_meant(old);
            if is_lost {
                holdings.end(now, host, old.address);
            }
            !is_lost
        });
        seat.addresses.len() < before
    }

    /// What a process left behind that is no more: removed by the next one before it does anything
    /// else.
    pub(super) fn remove_leftovers(&mut self, host: HostId) {
        if self.lose(host, |_| true) {
            self.log(host, None, What::Swept);
        }
    }
}

/// How late Linux removes addresses at most.
pub(super) const EXPIRY_LAG: Duration = crate::lease::KERNEL_LAG;
