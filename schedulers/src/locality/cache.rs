//! What lblc and lblcr remember by the address that clients send to: buckets, limits, ageing.
//!
//! An entry is found by its address in 1,024 buckets. A timer ticks every minute: every thirtieth
//! quiet tick drops the entries that have been unused for the *expiration*; a tick that finds more
//! than 16,384 entries counted drops some of those unused for six minutes instead, from the bucket
//! on where it stopped the last time.
//!
//! What a full scan drops and what a tick that makes room was observed on 6.1.176, address by address,
//! and so was the count that is too high. Ticks are on time here; the kernel's long timers are
//! coarse, so that its ticks are up to a few seconds more than a minute apart (with HZ=100 the full
//! scan came between 1,815 s and 1,860 s after the binding).
//!
//! No timer runs here: the ticks that have come due are made up for before the next pick. Entries
//! are only used by picks, so what many ticks would have done can be done at once, see
//! [`Cache::advance`].

use alloc::vec::Vec;
use core::mem;
use core::net::IpAddr;
use core::time::Duration;

use crate::context::Timestamp;
use crate::explanation::{CacheStep, Tracer};
use crate::hash::fold;
use crate::locality::pool::{Id, Pool};
use crate::semantics::{AddressHash, CacheLimit, Semantics};

/// How long an unused entry stays unless set otherwise: a day, the default of the sysctls.
pub(crate) const DEFAULT_EXPIRATION: Duration = Duration::from_secs(86_400);

const BUCKET_BITS: u32 = 10;
const BUCKETS: usize = 1 << BUCKET_BITS;
/// The number of entries from which on ticks make room.
const MAX_SIZE: u64 = 16 * BUCKETS as u64;
/// The number of entries from which on there are no new ones with [`CacheLimit::Hard`].
const HARD_LIMIT: u64 = MAX_SIZE / 2 * 3;
const TICK_SECS: u64 = 60;
/// Every so many ticks everything unused for the expiration goes, if the ticks between were quiet.
const FULL_SCAN: u64 = 30;
/// What a tick may drop that makes room.
const UNUSED: Duration = Duration::from_secs(6 * 60);

/// Values by address, dropped some time after their last use.
#[derive(Clone, Debug)]
pub(crate) struct Cache<V> {
    hash: AddressHash,
    limit: CacheLimit,
    expiration: Duration,
    entries: Pool<Entry<V>>,
    /// The heads of the chains in which entries are found. The kernel has one chain per bucket; here
    /// a bucket has 2^`spread` neighbouring ones, so that chains stay short however many entries
    /// there are.
    chains: Vec<Option<Id>>,
    spread: u32,
    /// The number of entries as the kernel counts it: it may be higher than it is.
    counted: u64,
    bound: Timestamp,
    now: Timestamp,
    /// How many ticks have been made since `bound`, and when the next one is.
    ticks: u64,
    next_tick: Timestamp,
    /// Counts the quiet ticks since the last full scan, from 1.
    counter: u64,
    /// The bucket that was visited last.
    rover: usize,
}

#[derive(Clone, Debug)]
struct Entry<V> {
    address: IpAddr,
    used: Timestamp,
    value: V,
    /// The next one of the chain.
    next: Option<Id>,
}

impl<V: Copy> Cache<V> {
    pub(crate) const fn new(semantics: Semantics) -> Self {
        Self {
            hash: semantics.address_hash,
            limit: semantics.cache_limit,
            expiration: DEFAULT_EXPIRATION,
            entries: Pool::new(),
            chains: Vec::new(),
            spread: 0,
            counted: 0,
            bound: Timestamp::ZERO,
            now: Timestamp::ZERO,
            ticks: 0,
            next_tick: Duration::from_secs(TICK_SECS),
            counter: 1,
            rover: 0,
        }
    }

    pub(crate) const fn expiration(&self) -> Duration {
        self.expiration
    }

    pub(crate) const fn set_expiration(&mut self, expiration: Duration) {
        self.expiration = expiration;
    }

    /// Starts empty at `now`, with the first tick a minute later.
    pub(crate) fn bind(&mut self, now: Timestamp) {
        self.entries.clear();
        self.chains.clear();
        self.spread = 0;
        self.counted = 0;
        self.bound = now;
        self.now = now;
        self.counter = 1;
        self.rover = 0;
        self.set_ticks(0);
    }

    /// The latest time it was told.
    pub(crate) const fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Makes the ticks that are due at `now`; the values of dropped entries go to `release`.
    #[inline]
    pub(crate) fn advance(
        &mut self,
        now: Timestamp,
        release: impl FnMut(V),
        trace: &mut impl Tracer,
    ) {
        self.now = self.now.max(now);
        if self.now >= self.next_tick {
            self.make_ticks(release, trace);
        }
    }

    /// The entry of an address, which thereby is in use now, and its value.
    #[inline]
    pub(crate) fn find(&mut self, address: IpAddr) -> Option<(Id, V)> {
        let mut link = *self.chains.get(self.chain(address))?;
        while let Some(id) = link {
            let entry = self.entries.get_mut(id)?;
            if entry.address == address {
                entry.used = self.now;
                return Some((id, entry.value));
            }
            link = entry.next;
        }
        None
    }

    pub(crate) fn get(&self, id: Id) -> Option<V> {
        self.entries.get(id).map(|entry| entry.value)
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut V> {
        self.entries.get_mut(id).map(|entry| &mut entry.value)
    }

    /// Makes an entry for an address that has none. Returns whether there was room for it.
    pub(crate) fn insert(&mut self, address: IpAddr, value: V) -> bool {
        if self.limit == CacheLimit::Hard && self.counted >= HARD_LIMIT {
            return false;
        }
        if self.entries.len() >= self.chains.len() {
            self.grow();
        }
        let entry = Entry {
            address,
            used: self.now,
            value,
            next: None,
        };
        let Some(id) = self.entries.insert(entry) else {
            return false;
        };
        self.link(id);
        self.counted = self.counted.saturating_add(1);
        true
    }

    /// Replaces an entry by a new one for the same address, as lblc does; returns the former value.
    ///
    /// This leaves no more entries than before, so the limit allows it **(unsure)**. Kernels that
    /// know no limit forget to count the former entry off, and collect the more.
    pub(crate) fn replace(&mut self, id: Id, value: V) -> Option<V> {
        let entry = self.entries.get_mut(id)?;
        entry.used = self.now;
        if self.limit == CacheLimit::Soft {
            self.counted = self.counted.saturating_add(1);
        }
        Some(mem::replace(&mut entry.value, value))
    }

    /// The chain of an address: within its bucket one of several by another hash.
    #[inline]
    fn chain(&self, address: IpAddr) -> usize {
        let bucket = self.hash.slot(fold(address), BUCKET_BITS) as usize;
        if self.spread == 0 {
            return bucket;
        }
        let bits = match address {
            IpAddr::V4(address) => u128::from(u32::from(address)),
            IpAddr::V6(address) => u128::from(address),
        };
        // The halves get different odd factors, so that none of the bits is lost and addresses
        // that fold to the same bucket are told apart.
        let (high, low) = ((bits >> 64) as u64, bits as u64);
        let mixed = high
            .wrapping_mul(0xd6e8_feb8_6659_fd93)
            .wrapping_add(low)
            .wrapping_mul(0xa076_1d64_78bd_642f);
        (bucket << self.spread) | (mixed >> (u64::BITS - self.spread)) as usize
    }

    fn link(&mut self, id: Id) {
        let Some(address) = self.entries.get(id).map(|entry| entry.address) else {
            return;
        };
        let chain = self.chain(address);
        if let (Some(head), Some(entry)) = (self.chains.get_mut(chain), self.entries.get_mut(id)) {
            entry.next = head.replace(id);
        }
    }

    /// Makes the first chains, then twice as many.
    fn grow(&mut self) {
        let chains = if self.chains.is_empty() {
            BUCKETS
        } else {
            self.spread += 1;
            self.chains.len() * 2
        };
        self.chains.clear();
        self.chains.resize(chains, None);
        let linked: Vec<Id> = self.entries.iter().map(|(id, _)| id).collect();
        for id in linked {
            self.link(id);
        }
    }

    fn set_ticks(&mut self, ticks: u64) {
        self.ticks = ticks;
        self.next_tick = self.tick(ticks.saturating_add(1));
    }

    /// When a tick happens, counted from 1.
    fn tick(&self, number: u64) -> Timestamp {
        let since = Duration::from_secs(number.saturating_mul(TICK_SECS));
        self.bound.saturating_add(since)
    }

    /// The work is bounded by the number of entries, not by the time that passed.
    #[cold]
    fn make_ticks(&mut self, mut release: impl FnMut(V), trace: &mut impl Tracer) {
        let due = self.now.saturating_sub(self.bound).as_secs() / TICK_SECS;
        while self.ticks < due {
            let next = self.ticks + 1;
            if self.counter >= FULL_SCAN {
                self.scan_all(next, &mut release, trace);
                self.counter = 1;
                self.set_ticks(next);
            } else if self.counted <= MAX_SIZE {
                // Entries only become fewer between picks, so all ticks that are left are quiet or
                // full scans, and of these the last one drops what any would have dropped.
                let quiet = FULL_SCAN - self.counter;
                match (due - self.ticks).checked_sub(quiet + 1) {
                    None => self.counter += due - self.ticks,
                    Some(beyond) => {
                        let after = beyond % FULL_SCAN;
                        self.scan_all(due - after, &mut release, trace);
                        self.counter = 1 + after;
                    }
                }
                self.set_ticks(due);
            } else if self.entries.len() == 0 {
                // Only a count that is too high: ticks that look for something to drop in vain.
                self.set_ticks(due);
            } else {
                // After six minutes all entries may go, and every tick drops at least as many as
                // are too many or thousands, so that this is over soon.
                self.make_room(next, &mut release, trace);
                self.set_ticks(next);
            }
        }
    }

    /// Drops every entry unused for the expiration.
    fn scan_all(&mut self, tick: u64, release: &mut impl FnMut(V), trace: &mut impl Tracer) {
        if self.entries.len() == 0 {
            return;
        }
        let (at, unused) = (self.tick(tick), self.expiration);
        let before = self.entries.len();
        for bucket in 0..BUCKETS {
            self.drop_unused(bucket, at, unused, release);
        }
        self.report(before, unused, trace);
    }

    /// Drops entries that are too many, a third more for good measure, if unused for a while.
    fn make_room(&mut self, tick: u64, release: &mut impl FnMut(V), trace: &mut impl Tracer) {
        let surplus = self.counted.saturating_sub(MAX_SIZE);
        let mut goal = (surplus.saturating_mul(4) / 3).min(MAX_SIZE / 2);
        let at = self.tick(tick);
        let before = self.entries.len();
        for _ in 0..BUCKETS {
            self.rover = (self.rover + 1) % BUCKETS;
            let dropped = self.drop_unused(self.rover, at, UNUSED, release);
            goal = goal.saturating_sub(dropped);
            if goal == 0 {
                break;
            }
        }
        self.report(before, UNUSED, trace);
    }

    /// Drops the entries of a bucket that at the time `at` have been unused for so long, and says
    /// how many. The others of a chain change their order, which nobody can see.
    fn drop_unused(
        &mut self,
        bucket: usize,
        at: Timestamp,
        unused: Duration,
        release: &mut impl FnMut(V),
    ) -> u64 {
        let mut dropped = 0;
        let first = bucket << self.spread;
        let chains = self.chains.iter_mut().skip(first).take(1 << self.spread);
        for head in chains {
            let mut link = head.take();
            while let Some(id) = link {
                let Some(entry) = self.entries.get_mut(id) else {
                    break;
                };
                link = entry.next;
                if at.saturating_sub(entry.used) < unused {
                    entry.next = head.replace(id);
                } else if let Some(entry) = self.entries.remove(id) {
                    release(entry.value);
                    dropped += 1;
                }
            }
        }
        self.counted = self.counted.saturating_sub(dropped);
        dropped
    }

    fn report(&self, before: usize, unused: Duration, trace: &mut impl Tracer) {
        let entries = before - self.entries.len();
        if entries > 0 {
            trace.step(|| CacheStep::Collected { entries, unused }.into());
        }
    }
}
