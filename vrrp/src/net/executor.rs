//! What may take long, off the thread that advertises (OP-2).
//!
//! A driver has one thread for the kernel's addresses, since those requests wait while somebody else
//! configures the network; and one for the program's [`Hooks`], if it has any. Both end with the
//! driver, which never waits for them; what they have not begun by then is not done.

mod expectation;
mod worker;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, Ordering};
use std::panic::catch_unwind;
use std::sync::mpsc::Sender;

use super::NetError;
use super::addresses::{AddressBook, AddressKey, Renewed, VirtualAddress};
use super::claim::Claim;
use super::clock;
use super::config::{Device, DriverError};
use super::links::{Listed, Listing};
use super::macvlan::{Macvlans, VirtualMac};
use crate::address::InterfaceIndex;
use crate::event::DataPlane;
use crate::group::GroupId;
use crate::job::{JobId, JobResult};
use crate::node::RouterId;
use crate::priority::Rank;
use crate::timer::Timestamp;

pub(super) use expectation::Expectation;
pub(super) use worker::Outbox;

/// What a program does beside the addresses, on a thread of its own, one call after the other.
///
/// Whatever it waits for delays only what has to wait for it (OP-1): never advertisements. One that
/// panics has [failed](JobResult::Failed), and is told as
/// [`HookPanicked`](super::DriverEventKind::HookPanicked).
pub trait Hooks: Send {
    /// Makes everything ready that must be there before the addresses are, such as the IPVS table.
    /// Where it fails the router steps down, and tries again later.
    fn prepare(&mut self, router: RouterId) -> JobResult {
        let _ = router;
        JobResult::Done
    }

    /// Does what follows a take-over before that is told, such as making the sync daemon *master*.
    fn establish(&mut self, router: RouterId) -> JobResult {
        let _ = router;
        JobResult::Done
    }

    /// Undoes both, as the addresses are gone.
    fn settle(&mut self, router: RouterId) -> JobResult {
        let _ = router;
        JobResult::Done
    }

    /// Makes the data plane behave like this, as far as it is the program's: accept mode off.
    ///
    /// The driver sees to neighbours being answered and to forwarding, but an address that is there is
    /// one that accepts packets. Where `serves` and not `accepts` (the default of RFC 9568 for all but
    /// owners), the program has to drop them with its packet filter, but never neighbour
    /// solicitations and advertisements (`VRRP-047`). With nft(8), for `192.0.2.100` and
    /// `2001:db8::100`:
    ///
    /// ```text
    /// add table inet vrrp
    /// add chain inet vrrp input { type filter hook input priority filter; }
    /// add rule inet vrrp input ip daddr 192.0.2.100 drop
    /// add rule inet vrrp input ip6 daddr 2001:db8::100 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    /// add rule inet vrrp input ip6 daddr 2001:db8::100 drop
    /// ```
    ///
    /// and otherwise `delete table inet vrrp`. Who balances load wants accept mode on
    /// ([`RouterConfig::with_accept_mode`](crate::RouterConfig::with_accept_mode)), and no filter.
    fn data_plane(&mut self, router: RouterId, plane: DataPlane) -> JobResult {
        let _ = (router, plane);
        JobResult::Done
    }

    /// Asks the arbiter for the guard of a group; the answer is told by
    /// [`Handle::set_guard`](super::Handle::set_guard).
    fn acquire_guard(&mut self, group: GroupId, rank: Rank) -> JobResult {
        let _ = (group, rank);
        JobResult::Failed
    }

    /// Gives the guard of a group back.
    fn release_guard(&mut self, group: GroupId) -> JobResult {
        let _ = group;
        JobResult::Done
    }
}

/// A call of a hook.
#[derive(Clone, Copy, Debug)]
pub(super) enum HookCall {
    Prepare(RouterId),
    Establish(RouterId),
    Settle(RouterId),
    DataPlane(RouterId, DataPlane),
    AcquireGuard(GroupId, Rank),
    ReleaseGuard(GroupId),
}

/// Addresses to be installed first and removed then.
#[derive(Debug)]
pub(super) struct AddressJob {
    /// `None` for what nobody asked for, such as a move to another device.
    pub(super) id: Option<JobId>,
    pub(super) install: Vec<VirtualAddress>,
    pub(super) remove: Vec<AddressKey>,
    /// Becomes false when the router is not Active any more: then it is not begun.
    pub(super) wanted: Option<Arc<AtomicBool>>,
}

impl AddressJob {
    fn is_wanted(&self) -> bool {
        let mut wanted = self.wanted.iter();
        wanted.all(|wanted| wanted.load(Ordering::Acquire))
    }
}

/// What the driver has in the kernel, and the means to change it.
#[derive(Debug)]
pub(super) struct Holdings {
    pub(super) book: AddressBook,
    pub(super) macvlans: Macvlans,
    /// `None` when a successor may have it.
    claim: Option<Claim>,
}

impl Holdings {
    /// Begins without any, with a tag that nobody else has.
    pub(super) fn open(tag: u8) -> Result<Self, DriverError> {
        let claim = Some(Claim::new(tag)?);
        Ok(Self {
            book: AddressBook::open_for(tag)?,
            macvlans: Macvlans::open_with_tag(tag)?,
            claim,
        })
    }

    /// Removes them all, as nothing came of it: whatever fails then, something else has failed first.
    pub(super) fn undo(&mut self) {
        let held: Vec<_> = self.book.held().map(|(address, _)| address.key()).collect();
        drop(self.book.remove(&held));
        let _ = self.macvlans.remove_all();
    }
}

/// Something for the thread of the addresses.
#[derive(Debug)]
pub(super) enum AddressTask {
    /// The first: what all others are about.
    Begin(Box<Holdings>),
    Change(Vec<AddressJob>),
    /// Nothing, but that another one comes soon.
    Expect(Expectation),
    /// Those that are due at this time.
    Renew(Timestamp),
    /// These have to be gone by then.
    Bound(Vec<(AddressKey, Timestamp)>),
    /// These, as somebody removed them.
    Restore(Vec<AddressKey>),
    /// A device with a virtual MAC for this router.
    MakeDevice(RouterId, VirtualMac),
    /// It is not needed any more.
    RemoveDevice(InterfaceIndex),
    /// The end of all of them, and of this thread's work.
    RemoveDevices,
    /// All stays as it is, with whole lifetimes, for a successor.
    Leave,
}

/// What a thread tells.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A job is over.
    Job(JobId, JobResult),
    /// Nobody wanted it any more, and nothing was done.
    Skipped(AddressJob),
    /// The next renewal is due then, if ever.
    NextRenewal(Option<Timestamp>),
    /// This address was to be brought back.
    Restored(AddressKey, Result<Renewed, NetError>),
    /// This address is not there any more, and should be if it is wanted.
    Gone(AddressKey),
    /// All links and addresses.
    Listed(Box<Listed>),
    /// There is a device now.
    Device(RouterId, Device),
    /// There is none, as this was refused.
    NoDevice(RouterId),
    /// The last task is done.
    Left,
    /// A hook panicked, and said this.
    HookPanicked(String),
    /// The thread of this name does nothing any more.
    Ended(&'static str),
    /// Something failed, and will be tried again or was told of as a job.
    Failed(NetError),
}

/// Starts the thread of the hooks. One that panics has failed, and the others are called as ever.
pub(super) fn start_hooks(
    mut hooks: Box<dyn Hooks>,
    outbox: Outbox,
) -> Result<Sender<(JobId, HookCall)>, NetError> {
    worker::start("vrrp-hooks", outbox, move |(id, call)| {
        let called = catch_unwind(AssertUnwindSafe(|| match call {
            HookCall::Prepare(router) => hooks.prepare(router),
            HookCall::Establish(router) => hooks.establish(router),
            HookCall::Settle(router) => hooks.settle(router),
            HookCall::DataPlane(router, plane) => hooks.data_plane(router, plane),
            HookCall::AcquireGuard(group, rank) => hooks.acquire_guard(group, rank),
            HookCall::ReleaseGuard(group) => hooks.release_guard(group),
        }));
        let (result, panic) = match called {
            Ok(result) => (result, None),
            Err(panic) => (JobResult::Failed, Some(worker::said(&*panic))),
        };
        let panic = panic.map(Outcome::HookPanicked);
        panic.into_iter().chain([Outcome::Job(id, result)])
    })
}

/// Starts the thread of the addresses, in the network namespace of this one.
pub(super) fn start_addresses(outbox: Outbox) -> Result<Sender<AddressTask>, NetError> {
    let mut all = None;
    worker::start("vrrp-addresses", outbox, move |task| match task {
        AddressTask::Begin(holdings) => {
            all = Some(holdings);
            Vec::new()
        }
        AddressTask::Expect(expectation) => {
            expectation.wait();
            Vec::new()
        }
        task => {
            let outcomes = all.as_mut().map(|holdings| perform(holdings, task));
            outcomes.unwrap_or_default()
        }
    })
}

/// Starts the thread that lists links and addresses. It is not that of the addresses, whose work is
/// not to wait for so much.
pub(super) fn start_links(outbox: Outbox) -> Result<Sender<Listing>, NetError> {
    worker::start("vrrp-links", outbox, |listing: Listing| {
        [Outcome::Listed(Box::new(listing.run()))]
    })
}

fn perform(holdings: &mut Holdings, task: AddressTask) -> Vec<Outcome> {
    let Holdings {
        book,
        macvlans,
        claim,
    } = holdings;
    let mut outcomes = Vec::new();
    match task {
        AddressTask::Begin(_) | AddressTask::Expect(_) => {}
        AddressTask::Change(jobs) => change(book, macvlans, jobs, &mut outcomes),
        AddressTask::Renew(now) => {
            for (key, renewed) in book.renew_due(now) {
                tell_renewed(key, renewed, &mut outcomes);
            }
        }
        AddressTask::Bound(bounds) => {
            for (key, renewed) in book.bound(clock::now(), &bounds) {
                tell_renewed(key, renewed, &mut outcomes);
            }
        }
        AddressTask::Restore(keys) => {
            // Their removal may have been asked for since.
            let held: BTreeSet<_> = book.renewable().collect();
            let (keys, others): (Vec<_>, Vec<_>) =
                keys.into_iter().partition(|key| held.contains(key));
            let restored = book.renew(clock::now(), &keys);
            let restored = keys.into_iter().zip(restored);
            let others = others.into_iter().map(|key| (key, Ok(Renewed::Gone)));
            outcomes.extend(
                restored
                    .chain(others)
                    .map(|(key, restored)| Outcome::Restored(key, restored)),
            );
        }
        AddressTask::MakeDevice(router, wanted) => {
            let made = make_device(macvlans, router, wanted);
            // Its addresses come later, if at all.
            for outcome in &made {
                if let Outcome::Device(_, device) = outcome {
                    let rests = macvlans.set_at_rest(device.index, true);
                    outcomes.extend(rests.err().map(Outcome::Failed));
                }
            }
            outcomes.extend(made);
        }
        AddressTask::RemoveDevice(index) => {
            outcomes.extend(macvlans.remove(index).err().map(Outcome::Failed));
        }
        AddressTask::RemoveDevices => {
            outcomes.extend(macvlans.remove_all().err().map(Outcome::Failed));
            *claim = None;
            outcomes.push(Outcome::Left);
        }
        AddressTask::Leave => {
            let held: Vec<_> = book.renewable().collect();
            let renewed = book.renew(clock::now(), &held);
            outcomes.extend(
                renewed
                    .into_iter()
                    .filter_map(Result::err)
                    .map(Outcome::Failed),
            );
            book.forget();
            macvlans.forget();
            *claim = None;
            outcomes.push(Outcome::Left);
        }
    }
    outcomes.push(Outcome::NextRenewal(book.next_renewal()));
    outcomes
}

/// Makes a device, and gives what it is.
pub(super) fn make_device(
    macvlans: &mut Macvlans,
    router: RouterId,
    wanted: VirtualMac,
) -> Vec<Outcome> {
    match macvlans.create(&wanted) {
        Ok(index) => {
            let mut devices = macvlans.devices();
            let name = devices.find(|(other, _, _)| *other == index);
            let name = name.map_or_else(String::new, |(_, name, _)| name.into());
            let made_as = wanted;
            let device = Device {
                index,
                name,
                made_as,
            };
            [Outcome::Device(router, device)].into()
        }
        Err(error) => [Outcome::Failed(error), Outcome::NoDevice(router)].into(),
    }
}

fn tell_renewed(key: AddressKey, renewed: Result<Renewed, NetError>, outcomes: &mut Vec<Outcome>) {
    match renewed {
        Ok(Renewed::Gone) => outcomes.push(Outcome::Gone(key)),
        Ok(_) => {}
        Err(error) => outcomes.push(Outcome::Failed(error)),
    }
}

/// All that is to be installed goes to the kernel at once, then all that is to be removed. Devices of
/// virtual MACs that have addresses take what comes to them, the others rest.
fn change(
    book: &mut AddressBook,
    macvlans: &Macvlans,
    jobs: Vec<AddressJob>,
    outcomes: &mut Vec<Outcome>,
) {
    let (jobs, unwanted): (Vec<_>, Vec<_>) = jobs.into_iter().partition(AddressJob::is_wanted);
    outcomes.extend(unwanted.into_iter().map(Outcome::Skipped));
    let install: Vec<_> = jobs.iter().flat_map(|job| &job.install).cloned().collect();
    let remove: Vec<_> = jobs.iter().flat_map(|job| &job.remove).copied().collect();
    let mut installed = Vec::new().into_iter();
    // Those that cannot be made to take anything.
    let mut refusing = BTreeSet::new();
    if !install.is_empty() {
        let devices: BTreeSet<_> = install.iter().map(|new| new.key().interface).collect();
        for device in devices {
            if let Err(error) = macvlans.set_at_rest(device, false) {
                refusing.insert(device);
                outcomes.push(Outcome::Failed(error));
            }
        }
        installed = book.install(clock::now(), &install).into_iter();
    }
    let mut removed = Vec::new().into_iter();
    if !remove.is_empty() {
        removed = book.remove(&remove).into_iter();
        let devices: BTreeSet<_> = remove.iter().map(|old| old.interface).collect();
        for device in devices {
            let mut held = book.held();
            if !held.any(|(address, _)| address.key().interface == device) {
                let rests = macvlans.set_at_rest(device, true);
                outcomes.extend(rests.err().map(Outcome::Failed));
            }
        }
    }
    for job in jobs {
        let mut wanted = job.install.iter();
        let is_refused = wanted.any(|new| refusing.contains(&new.key().interface));
        let installed = installed.by_ref().take(job.install.len());
        let removed = removed.by_ref().take(job.remove.len());
        let failures = installed
            .filter_map(Result::err)
            .chain(removed.filter_map(Result::err));
        let before = outcomes.len();
        outcomes.extend(failures.map(Outcome::Failed));
        let result = if outcomes.len() == before && !is_refused {
            JobResult::Done
        } else {
            JobResult::Failed
        };
        outcomes.extend(job.id.map(|id| Outcome::Job(id, result)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::addresses::TAG;

    /// It would need the right to change addresses, and fail without.
    #[test]
    fn what_nobody_wants_any_more_is_not_installed() {
        let mut book = AddressBook::open().unwrap();
        let macvlans = Macvlans::open_with_tag(TAG).unwrap();
        let nowhere = InterfaceIndex::new(u32::MAX >> 1);
        let address = VirtualAddress::new(nowhere, "192.0.2.1".parse().unwrap());
        for is_wanted in [true, false] {
            let job = AddressJob {
                id: Some(JobId(7)),
                install: [address.clone()].into(),
                remove: Vec::new(),
                wanted: Some(Arc::new(AtomicBool::new(is_wanted))),
            };
            let mut outcomes = Vec::new();
            change(&mut book, &macvlans, [job].into(), &mut outcomes);
            match outcomes.last() {
                Some(Outcome::Job(JobId(7), JobResult::Failed)) if is_wanted => {}
                Some(Outcome::Skipped(job)) if !is_wanted => {
                    assert_eq!(job.id, Some(JobId(7)));
                    assert_eq!(outcomes.len(), 1);
                }
                _ => panic!("{is_wanted}: {outcomes:?}"),
            }
        }
        assert_eq!(book.held().count(), 0);
    }
}
