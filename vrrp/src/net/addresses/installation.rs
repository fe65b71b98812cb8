//! Installing addresses: added first, looked at after that.
//!
//! A take-over finds none of its addresses, and neighbours wait for them: so each is added at once, in
//! a way that the kernel refuses if it is there (`NLM_F_EXCL`). Only then, and only where that is of
//! any use, is listed what there is: where the kernel said so, to see whose the address is; and of IPv4,
//! as there the same address with another prefix is another one to the kernel. If that is somebody
//! else's, ours goes again: it was beside theirs for some ten microseconds, and theirs was not touched.

use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::vec::Vec;

use nix::errno::Errno;

use super::removal::There;
use super::{AddressBook, AddressKey, Held, Installed, Present, VirtualAddress, again};
use crate::net::links::InterfaceAddress;
use crate::net::netlink::{NetlinkCause, Request};
use crate::net::{NetError, Operation};
use crate::timer::Timestamp;

/// What the kernel said when an address was to be added.
enum Tried {
    Added,
    IsThere,
    Failed(NetError),
}

/// What there is when the kernel has said that.
struct Found {
    present: Result<Present, NetError>,
    // What was just added, with its prefix.
    added: BTreeSet<(AddressKey, u8)>,
}

impl Found {
    fn has_added(&self, address: &VirtualAddress, prefix_len: u8) -> bool {
        self.added.contains(&(address.key(), prefix_len))
    }
}

fn added_of(tried: &[Tried], batch: &[VirtualAddress]) -> BTreeSet<(AddressKey, u8)> {
    let tried = tried.iter().zip(batch);
    let added = tried.filter(|(tried, _)| matches!(tried, Tried::Added));
    let added = added.map(|(_, address)| (address.key(), address.prefix_len()));
    added.collect()
}

/// Whose an address is, and which request decides whether that comes true.
type Planned = Result<(Installed, Option<usize>), NetError>;

impl AddressBook {
    /// Installs addresses. One that is there already is no failure: if it is ours, it becomes as
    /// given; if not, it is left alone.
    ///
    /// # Errors
    ///
    /// For each address: the kernel's, such as a missing capability or an interface that is gone;
    /// the address is not there then, except that an answer may be lost
    /// ([`TimedOut`](std::io::ErrorKind::TimedOut)).
    pub fn install(
        &mut self,
        now: Timestamp,
        batch: &[VirtualAddress],
    ) -> Vec<Result<Installed, NetError>> {
        let tried = self.add(now, batch);
        let unsure = tried.iter().zip(batch);
        let unsure = unsure.filter(|(tried, address)| match tried {
            Tried::Added => address.key().address.is_ipv4(),
            Tried::IsThere => true,
            Tried::Failed(_) => false,
        });
        let unsure: BTreeSet<AddressKey> = unsure.map(|(_, address)| address.key()).collect();
        let found = Found {
            present: self.present(unsure.into_iter()),
            added: added_of(&tried, batch),
        };
        let mut requests = Vec::new();
        let mut plan = Vec::new();
        for (tried, address) in tried.into_iter().zip(batch) {
            plan.push(match tried {
                Tried::Added => self.plan_for_added(address, &found, &mut requests),
                Tried::IsThere => self.plan_for_there(address, &found, &mut requests),
                Tried::Failed(error) => Err(error),
            });
        }
        let outcomes = self.netlink.execute(&requests);
        let results = plan.into_iter().zip(batch);
        let results = results.map(|(planned, address)| {
            let (mut installed, request) = planned?;
            match request.and_then(|place| outcomes.get(place)) {
                Some(Ok(())) | None => {}
                // Somebody was faster.
                Some(Err(cause)) if cause.is(Errno::EEXIST) => {
                    let held = self.held.get(&address.key());
                    if held.is_none_or(|held| !held.is_ours) {
                        installed = Installed::Foreign;
                    }
                }
                Some(Err(cause)) => {
                    self.promotion.release(address.key());
                    let cause = cause.clone();
                    return Err(cause.of(Operation::AddAddress, &address.to_string()));
                }
            }
            let held = Held::new(now, address.clone(), installed == Installed::Ours);
            self.held.insert(address.key(), held);
            Ok(installed)
        });
        results.collect()
    }

    /// Adds what is not there.
    fn add(&mut self, now: Timestamp, batch: &[VirtualAddress]) -> Vec<Tried> {
        let in_time = batch.iter().filter(|address| !address.is_too_late(now));
        let requests: Vec<_> = in_time.map(|address| address.addition(self.tag)).collect();
        let mut outcomes = self.netlink.execute(&requests).into_iter();
        let mut tried = Vec::new();
        for address in batch {
            let outcome = if address.is_too_late(now) {
                Err(NetlinkCause::refused(Errno::ETIME))
            } else {
                outcomes.next().unwrap_or(Err(NetlinkCause::Unknown))
            };
            tried.push(match outcome {
                Ok(()) => Tried::Added,
                Err(cause) if cause.is(Errno::EEXIST) => Tried::IsThere,
                Err(cause) => {
                    self.promotion.release(address.key());
                    Tried::Failed(cause.of(Operation::AddAddress, &address.to_string()))
                }
            });
        }
        tried
    }

    /// An address that was added may be there with other prefixes, too: ours that are left, which go,
    /// or somebody else's, to which it gives way.
    fn plan_for_added(
        &mut self,
        address: &VirtualAddress,
        found: &Found,
        requests: &mut Vec<Request>,
    ) -> Planned {
        let mut ours = Vec::new();
        if address.key().address.is_ipv4() {
            let present = match &found.present {
                Ok(present) => present,
                Err(error) => {
                    requests.push(address.removal());
                    return Err(again(error));
                }
            };
            let others = present.get(&address.key()).into_iter().flatten();
            let is_new = |there: &&InterfaceAddress| found.has_added(address, there.prefix_len);
            let others = others.filter(|there| !is_new(there));
            let (left, foreign): (_, Vec<_>) =
                others.partition(|there| self.is_ours(there, Some(address)));
            ours = left;
            if ours.is_empty() && !foreign.is_empty() {
                requests.push(address.removal());
                return Ok((Installed::Foreign, None));
            }
        }
        // Before it can be removed, or expire.
        if let Err(error) = self.promotion.hold(address.key(), address.prefix_len()) {
            requests.push(address.removal());
            return Err(error);
        }
        let removals = ours.into_iter().map(InterfaceAddress::removal);
        requests.extend(removals.map(|removal| Request::new(&removal, 0)));
        Ok((Installed::Ours, None))
    }

    /// An address that was there becomes as given if it is ours.
    fn plan_for_there(
        &mut self,
        address: &VirtualAddress,
        found: &Found,
        requests: &mut Vec<Request>,
    ) -> Planned {
        if found.has_added(address, address.prefix_len()) {
            // It is twice in the batch.
            requests.push(address.replacement(self.tag));
            return Ok((Installed::Ours, requests.len().checked_sub(1)));
        }
        let present = found.present.as_ref().map_err(again)?;
        let there = self.find(present, address.key(), Some(address));
        if matches!(there, There::Foreign) {
            return Ok((Installed::Foreign, None));
        }
        let key = address.key();
        self.promotion.hold(key, address.prefix_len())?;
        let request = match there {
            There::Ours(there) if address.can_replace(there) => address.replacement(self.tag),
            There::Ours(there) => {
                requests.push(Request::new(&there.removal(), 0));
                address.addition(self.tag)
            }
            There::Absent | There::Foreign => address.addition(self.tag),
        };
        requests.push(request);
        Ok((Installed::Ours, requests.len().checked_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::InterfaceIndex;

    /// What nothing is in the place of is there as soon as the kernel can; a listing takes as long as
    /// that, and neighbours wait for it. Here it is refused, as there is no such interface, or no right.
    #[test]
    fn an_address_is_asked_for_before_anything_else_is() {
        let mut book = AddressBook::open().unwrap();
        let nowhere = InterfaceIndex::new(u32::MAX >> 1);
        let batch = ["192.0.2.1", "2001:db8::1"];
        let batch = batch.map(|text| VirtualAddress::new(nowhere, text.parse().unwrap()));
        let results = book.install(Timestamp::ZERO, &batch);
        assert!(results.iter().all(Result::is_err), "{results:?}");
        assert_eq!(book.netlink.requests_sent(), 2);
        assert_eq!(book.held().count(), 0);
    }
}
