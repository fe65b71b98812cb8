//! Virtual addresses in the kernel: installed, renewed, removed, and never anybody else's.
//!
//! # Whose address is it?
//!
//! What we install carries the number [`TAG`] as its origin (`IFA_PROTO`, Linux 5.18; `proto` in
//! `ip -d address`). Whatever has another number, or none, is foreign: it is neither removed nor
//! renewed, and a virtual address that is there already is as good as installed. A kernel without
//! such numbers leaves three marks to go by: that this process installed it, or, for what an
//! earlier one left behind, that it is a virtual address of the configuration with a limited
//! lifetime and without a route to its subnet.
//!
//! An address is added before it is looked at whether somebody else has it, as at a take-over nobody
//! has, and every look takes time. The kernel refuses one that is there. Only of IPv4, with another
//! prefix, it does not: then ours is beside the foreign one for some ten microseconds, and goes again.
//!
//! # When we die
//!
//! An address may have a limited lifetime (OP-4): the kernel removes it by itself unless
//! [`AddressBook::renew_due`] is called in time. It is renewed after a third of its lifetime, so
//! two renewals may fail. The kernel removes it up to a second later than its lifetime says
//! (measured: 0.03 to 0.96 s for both families, on 6.1 and 6.18). A restart finds what is left with [`AddressBook::leftovers`].
//!
//! # Others in the same subnet
//!
//! With the first IPv4 address of a subnet the kernel removes the others. An address of /32 has no
//! subnet; while one of ours has, `net.ipv4.conf.*.promote_secondaries` of its interface is 1. A
//! process that is killed leaves it so, and the next one does not know what it was: it stays 1.
//!
//! # IPv6
//!
//! Virtual addresses are added without duplicate address detection (OP-7): another router may have
//! had them a moment ago, and they must work at once.
//!
//! ```no_run
//! use core::time::Duration;
//! use lvs_vrrp::InterfaceIndex;
//! use lvs_vrrp::net::addresses::{AddressBook, VirtualAddress};
//!
//! let mut book = AddressBook::open()?;
//! let address = VirtualAddress::new(InterfaceIndex::new(2), "192.0.2.10".parse()?)
//!     .with_lifetime(Some(Duration::from_secs(5)))?;
//! let now = lvs_vrrp::net::clock::now();
//! for outcome in book.install(now, &[address.clone()]) {
//!     outcome?;
//! }
//! // ... at `book.next_renewal()` or later:
//! book.renew_due(lvs_vrrp::net::clock::now());
//! // ... and in the end:
//! book.remove(&[address.key()]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod installation;
mod promotion;
mod removal;
mod virtual_address;

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;
use std::fs;

use nix::errno::Errno;

use self::promotion::Promotion;
use self::removal::{There, plan_removal};
pub use self::virtual_address::{AddressError, AddressKey, VirtualAddress};
use super::netlink::{NetlinkCause, Request, Rtnetlink};
use crate::address::Family;
use crate::net::links::InterfaceAddress;
use crate::net::{NetError, Operation};
use crate::timer::Timestamp;

/// The origin of our addresses: VRRP's protocol number, which nobody else uses for this. The kernel
/// itself uses 1 to 3; 0 is whoever says nothing.
pub const TAG: u8 = 112;

/// What became of an address that was to be installed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Installed {
    /// It is there, and ours.
    Ours,
    /// It was there, and is somebody else's.
    Foreign,
}

/// What became of an address that was to be removed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Removed {
    /// It was ours, and is gone.
    Removed,
    /// It was not there.
    Absent,
    /// It is there, and somebody else's.
    Foreign,
}

/// What became of an address that was to be renewed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Renewed {
    /// It has a whole lifetime again.
    Renewed,
    /// It was not there any more, and is there again.
    Restored,
    /// It is not there any more, and was not brought back.
    Gone,
    /// It is there, and somebody else's.
    Foreign,
}

#[derive(Debug)]
struct Held {
    address: VirtualAddress,
    is_ours: bool,
    // Its removal was asked for: whatever comes of that, its lifetime ends.
    is_leaving: bool,
    // From when it is renewed with others, and when in any case; `None` for one that lasts for
    // ever.
    renew_from: Option<Timestamp>,
    renew_at: Option<Timestamp>,
}

impl Held {
    fn new(now: Timestamp, address: VirtualAddress, is_ours: bool) -> Self {
        let after = |part| {
            let time = address.lifetime_at(now)?.checked_div(part)?;
            let is_over = address.is_too_late(now);
            Some(now.saturating_add(time)).filter(|_| !is_over)
        };
        Self {
            renew_from: after(6),
            renew_at: after(3),
            address,
            is_ours,
            is_leaving: false,
        }
    }

    /// It is renewed no more.
    const fn leave(&mut self) {
        self.is_leaving = true;
        (self.renew_from, self.renew_at) = (None, None);
    }
}

/// The virtual addresses that are installed, and the means to change that.
///
/// Everything works on many addresses at once, in few system calls, and gives one outcome for each
/// in their order. It looks at what is there before it changes that; an address that it installs is
/// added first where nothing is in its place.
///
/// # Blocking
///
/// Each call takes as long as the kernel does, some ten microseconds an address; more while other
/// programs configure the network.
#[derive(Debug)]
pub struct AddressBook {
    netlink: Rtnetlink,
    // `None` where the kernel keeps none.
    tag: Option<u8>,
    held: BTreeMap<AddressKey, Held>,
    promotion: Promotion,
}

impl AddressBook {
    /// Opens the kernel's addresses in the network namespace of the calling thread. What it
    /// installs carries [`TAG`], if the kernel keeps such numbers.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn open() -> Result<Self, NetError> {
        Self::open_for(TAG)
    }

    /// As [`open_with_tag`](Self::open_with_tag), where the kernel keeps such numbers.
    pub(super) fn open_for(tag: u8) -> Result<Self, NetError> {
        Self::open_with_tag(keeps_tags().then_some(tag))
    }

    /// As [`open`](Self::open), with another number: two programs with virtual addresses in the
    /// same network namespace need one each, or the one takes the other's for leftovers. `None`
    /// does without, as on kernels before 5.18. 0 to 3 are the kernel's and mean nothing here.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn open_with_tag(tag: Option<u8>) -> Result<Self, NetError> {
        Ok(Self {
            netlink: Rtnetlink::open()?,
            tag: tag.filter(|tag| *tag > 3),
            held: BTreeMap::new(),
            promotion: Promotion::default(),
        })
    }

    /// The number that our addresses carry, if the kernel keeps it.
    #[must_use]
    pub const fn tag(&self) -> Option<u8> {
        self.tag
    }

    /// Removes addresses, if they are ours. One that is not there is no failure.
    ///
    /// # Errors
    ///
    /// For each address: the kernel's. The address may be there then, and is still held; but it is
    /// not renewed any more, so the kernel removes it when its lifetime ends (OP-4).
    pub fn remove(&mut self, batch: &[AddressKey]) -> Vec<Result<Removed, NetError>> {
        for key in batch {
            if let Some(held) = self.held.get_mut(key) {
                held.leave();
            }
        }
        let listed = self.present(batch.iter().copied());
        let (present, error) = match listed {
            Ok(present) => (present, None),
            Err(error) => (Present::new(), Some(error)),
        };
        let mut requests = Vec::new();
        let mut plan = Vec::new();
        for key in batch {
            let held = self.held.get(key);
            let held = held.filter(|held| held.is_ours).map(|held| &held.address);
            let there = self.find(&present, *key, held);
            let planned = plan_removal(&there, held, error.is_none());
            plan.push(planned.map(|(removed, request)| {
                let place = request.is_some().then_some(requests.len());
                requests.extend(request);
                (removed, place)
            }));
        }
        let outcomes = self.netlink.execute(&requests);
        let results = plan.into_iter().zip(batch);
        let results = results.map(|(planned, key)| {
            let Some((removed, request)) = planned else {
                let error = error.as_ref().map(again);
                return error.map_or(Ok(Removed::Absent), Err);
            };
            let outcome = request.and_then(|place| outcomes.get(place));
            let removed = match outcome {
                Some(Ok(())) | None => removed,
                Some(Err(cause)) if is_absence(cause) => Removed::Absent,
                Some(Err(cause)) => {
                    let cause = cause.clone();
                    return Err(cause.of(Operation::RemoveAddress, &key.to_string()));
                }
            };
            self.held.remove(key);
            self.promotion.release(*key);
            Ok(removed)
        });
        results.collect()
    }

    /// When [`renew_due`](Self::renew_due) has something to do, if ever.
    #[must_use]
    pub fn next_renewal(&self) -> Option<Timestamp> {
        self.held.values().filter_map(|held| held.renew_at).min()
    }

    /// Renews the lifetime of every address whose time it is, and if there is one, of those whose
    /// time will soon be: so they are renewed together, whenever they were installed.
    ///
    /// It brings none back: if one is gone because this process stood still for longer than its
    /// lifetime, another router may have it now (OP-5). Whoever knows better calls
    /// [`renew`](Self::renew).
    pub fn renew_due(&mut self, now: Timestamp) -> Vec<(AddressKey, Result<Renewed, NetError>)> {
        if self.next_renewal().is_none_or(|at| at > now) {
            return Vec::new();
        }
        let is_due = |held: &Held| held.renew_from.is_some_and(|from| from <= now);
        let due = self.held.iter().filter(|(_, held)| is_due(held));
        let due: Vec<AddressKey> = due.map(|(key, _)| *key).collect();
        let results = self.renew_some(now, &due, false);
        due.into_iter().zip(results).collect()
    }

    /// Renews the lifetime of addresses that are installed, whenever that was, and brings back
    /// those that are gone, for instance as somebody removed them.
    ///
    /// # Errors
    ///
    /// For each address: the kernel's; it is tried again after a third of the lifetime. `NotFound`
    /// for an address that is not held, or was to be removed.
    pub fn renew(
        &mut self,
        now: Timestamp,
        batch: &[AddressKey],
    ) -> Vec<Result<Renewed, NetError>> {
        self.renew_some(now, batch, true)
    }

    /// These have to be gone by then, and not before as far as that is up to them.
    pub(super) fn bound(
        &mut self,
        now: Timestamp,
        batch: &[(AddressKey, Timestamp)],
    ) -> Vec<(AddressKey, Result<Renewed, NetError>)> {
        let mut keys = Vec::new();
        for (key, gone_by) in batch {
            let held = self.held.get_mut(key);
            if let Some(held) = held.filter(|held| held.is_ours && !held.is_leaving) {
                held.address = held.address.clone().with_gone_by(Some(*gone_by));
                keys.push(*key);
            }
        }
        let results = self.renew_some(now, &keys, false);
        keys.into_iter().zip(results).collect()
    }

    fn renew_some(
        &mut self,
        now: Timestamp,
        batch: &[AddressKey],
        restores: bool,
    ) -> Vec<Result<Renewed, NetError>> {
        let present = match self.present(batch.iter().copied()) {
            Ok(present) => present,
            Err(error) => {
                for key in batch {
                    self.hold_again(now, *key, None);
                }
                return all_failed(&error, batch.len());
            }
        };
        let mut requests = Vec::new();
        let mut plan = Vec::new();
        for key in batch {
            let held = self.held.get(key);
            let Some(held) = held.filter(|held| !held.is_leaving) else {
                plan.push(None);
                continue;
            };
            let ours = held.is_ours.then_some(&held.address);
            plan.push(Some(match self.find(&present, *key, ours) {
                There::Absent if !restores => (Renewed::Gone, None),
                // It has what it may have.
                There::Ours(_) if held.address.is_too_late(now) => (Renewed::Renewed, None),
                There::Absent if held.address.is_too_late(now) => (Renewed::Gone, None),
                There::Absent => {
                    requests.push(held.address.addition(self.tag));
                    (Renewed::Restored, requests.len().checked_sub(1))
                }
                There::Ours(_) => {
                    requests.push(held.address.replacement(self.tag));
                    (Renewed::Renewed, requests.len().checked_sub(1))
                }
                There::Foreign => (Renewed::Foreign, None),
            }));
        }
        let outcomes = self.netlink.execute(&requests);
        let results = plan.into_iter().zip(batch);
        let results = results.map(|(planned, key)| {
            let Some((mut renewed, request)) = planned else {
                return Err(NetlinkCause::refused(Errno::ENOENT)
                    .of(Operation::AddAddress, &key.to_string()));
            };
            let outcome = request.and_then(|place| outcomes.get(place));
            match outcome {
                Some(Ok(())) | None => {}
                Some(Err(cause)) if cause.is(Errno::EEXIST) => renewed = Renewed::Foreign,
                Some(Err(cause)) => {
                    self.hold_again(now, *key, None);
                    let cause = cause.clone();
                    return Err(cause.of(Operation::AddAddress, &key.to_string()));
                }
            }
            let is_ours = match renewed {
                Renewed::Renewed | Renewed::Restored => Some(true),
                Renewed::Foreign => Some(false),
                Renewed::Gone => None,
            };
            self.hold_again(now, *key, is_ours);
            Ok(renewed)
        });
        results.collect()
    }

    /// What is held: installed by us, or there already when it was to be installed.
    pub fn held(&self) -> impl Iterator<Item = (&VirtualAddress, Installed)> {
        self.held.values().map(|held| {
            let installed = if held.is_ours {
                Installed::Ours
            } else {
                Installed::Foreign
            };
            (&held.address, installed)
        })
    }

    /// What is held and was not to be removed.
    pub(super) fn renewable(&self) -> impl Iterator<Item = AddressKey> {
        let renewable = self.held.iter().filter(|(_, held)| !held.is_leaving);
        renewable.map(|(key, _)| *key)
    }

    /// Forgets what is held and leaves it installed, for a successor (spec §3.7 `Handover`). It
    /// will find the addresses, and they are its own.
    pub fn forget(&mut self) {
        self.held.clear();
        self.promotion.forget();
    }

    /// What an earlier process left behind: every address that is ours and not held. Of kernels
    /// that keep no tags, those of `configured` that look as if we had installed them.
    ///
    /// [`remove_leftovers`](Self::remove_leftovers) removes them, and [`install`](Self::install)
    /// makes them ours again.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn leftovers(
        &mut self,
        configured: &[VirtualAddress],
    ) -> Result<Vec<InterfaceAddress>, NetError> {
        let mut all = self.netlink.addresses([Family::Ipv4, Family::Ipv6])?;
        all.retain(|there| {
            let key = key_of(there);
            let expected = configured.iter().find(|address| address.key() == key);
            !self.held.contains_key(&key) && self.is_ours(there, expected)
        });
        Ok(all)
    }

    /// Removes what an earlier process left behind, and gives what that was. See
    /// [`leftovers`](Self::leftovers).
    ///
    /// # Errors
    ///
    /// The kernel's, of the first that could not be removed; the others are tried all the same.
    pub fn remove_leftovers(
        &mut self,
        configured: &[VirtualAddress],
    ) -> Result<Vec<InterfaceAddress>, NetError> {
        let left = self.leftovers(configured)?;
        // The first of a subnet would take others with it.
        let mut promotion = Promotion::default();
        for there in &left {
            promotion.hold(key_of(there), there.prefix_len)?;
        }
        let requests = left.iter().map(|there| Request::new(&there.removal(), 0));
        let outcomes = self.netlink.execute(&requests.collect::<Vec<_>>());
        let mut first_error = Ok(());
        for (there, outcome) in left.iter().zip(outcomes) {
            let key = key_of(there);
            promotion.release(key);
            if let Err(cause) = outcome {
                if !is_absence(&cause) && first_error.is_ok() {
                    first_error = Err(cause.of(Operation::RemoveAddress, &key.to_string()));
                }
            }
        }
        first_error.map(|()| left)
    }

    fn hold_again(&mut self, now: Timestamp, key: AddressKey, is_ours: Option<bool>) {
        let held = self.held.get_mut(&key);
        if let Some(held) = held.filter(|held| !held.is_leaving) {
            let is_ours = is_ours.unwrap_or(held.is_ours);
            *held = Held::new(now, held.address.clone(), is_ours);
        }
    }

    /// Whether an address is one of ours; `expected` is how it would have been installed.
    fn is_ours(&self, there: &InterfaceAddress, expected: Option<&VirtualAddress>) -> bool {
        match (self.tag, there.protocol, expected) {
            (Some(tag), protocol, _) => protocol == Some(tag),
            (None, Some(_), _) | (None, None, None) => false,
            (None, None, Some(expected)) => {
                let is_held = self.held.get(&expected.key());
                let is_held = is_held.is_some_and(|held| held.is_ours);
                there.prefix_len == expected.prefix_len()
                    && there.has_no_prefix_route()
                    && (is_held || there.lifetime.is_some())
            }
        }
    }

    /// What is there at the interfaces of these addresses.
    fn present(&mut self, keys: impl Iterator<Item = AddressKey>) -> Result<Present, NetError> {
        let places = keys.map(|key| (key.interface, Family::of(key.address)));
        let mut present = Present::new();
        for there in self.netlink.addresses_at(&places.collect())? {
            // Mostly there is one.
            let same = present.entry(key_of(&there));
            same.or_insert_with(|| Vec::with_capacity(1)).push(there);
        }
        Ok(present)
    }

    /// Whose an address is that may be there; ours if it is ours and somebody else's, too.
    fn find<'a>(
        &self,
        present: &'a Present,
        key: AddressKey,
        expected: Option<&VirtualAddress>,
    ) -> There<'a> {
        let Some(all) = present.get(&key) else {
            return There::Absent;
        };
        let mut all = all.iter();
        all.find(|there| self.is_ours(there, expected))
            .map_or(There::Foreign, There::Ours)
    }
}

/// What is there. IPv4 knows the same address several times, with different prefixes.
type Present = BTreeMap<AddressKey, Vec<InterfaceAddress>>;

fn key_of(there: &InterfaceAddress) -> AddressKey {
    AddressKey {
        interface: there.interface,
        address: there.address,
    }
}

/// The address is not there, or its interface is not.
fn is_absence(cause: &NetlinkCause) -> bool {
    [Errno::EADDRNOTAVAIL, Errno::ENODEV, Errno::ENXIO]
        .into_iter()
        .any(|errno| cause.is(errno))
}

fn all_failed<T>(error: &NetError, count: usize) -> Vec<Result<T, NetError>> {
    let all = core::iter::repeat_with(|| Err(again(error)));
    all.take(count).collect()
}

/// The same error once more.
fn again(error: &NetError) -> NetError {
    let source = error.io();
    let source = match source.raw_os_error() {
        Some(code) => std::io::Error::from_raw_os_error(code),
        None => std::io::Error::new(source.kind(), source.to_string()),
    };
    NetError::new(error.operation(), error.subject(), source)
}

/// Whether the kernel keeps who installed an address: since 5.18.
fn keeps_tags() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    is_at_least(&release, (5, 18))
}

fn is_at_least(release: &str, least: (u32, u32)) -> bool {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map_while(|number| number.parse().ok());
    (numbers.next(), numbers.next()) >= (Some(least.0), Some(least.1))
}
