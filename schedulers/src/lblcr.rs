//! lblcr, locality-based least connections with replication: several destinations for an address in
//! demand.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use crate::context::{Context, Removed, Timestamp};
use crate::explanation::{CacheStep, Choose, Look, Silent, Tracer, Verdict, traced};
use crate::flow::Flow;
use crate::locality::busy::is_too_busy;
use crate::locality::cache::Cache;
use crate::locality::pool::{Id, Pool};
use crate::locality::remembered::Remembered;
use crate::scheduler::{Addressed, Scheduler};
use crate::semantics::{Overhead, Semantics};
use crate::walk::least::least_for_weight;

/// Locality-based least connections with replication, as the kernel's `ip_vs_lblcr`.
///
/// As [`Lblc`](crate::Lblc), but an address whose destination is too busy gets another one *too*: it
/// has a set of destinations, and its connections go to the least loaded of them for its weight.
/// Here destinations that have reached their upper threshold are left out, in the set and out of
/// it.
///
/// Nobody is added while the set has somebody who is not too busy. A set that has been the same for
/// longer than the [expiration](Self::with_expiration) loses its most loaded member at the next
/// pick, one at a time. Removed destinations stay in sets until that happens, never get
/// connections, and are valid again when they are added again.
///
/// The cache ages as lblc's does. An entry is made once for an address, so that it is never counted
/// twice.
///
/// ```
/// use lvs_schedulers::{Algorithm, Context, Destination, Flow, Semantics, VirtualService};
///
/// let mut service = VirtualService::new(Algorithm::Lblcr, Semantics::LINUX_6_1);
/// service.add(Destination::new("10.2.1.1:0".parse()?).with_weight(4))?;
/// service.add(Destination::new("10.2.1.2:0".parse()?).with_weight(1))?;
/// let flow = Flow::tcp("192.0.2.7:40000".parse()?, "203.0.113.1:80".parse()?);
/// let mut context = Context::new(Default::default());
/// let mut picks = String::new();
/// for _ in 0..6 {
///     let connection = service.connect(&flow, &mut context).ok_or("nobody")?;
///     let address = service.destination_of(connection).ok_or("gone")?.address();
///     picks.push_str(if address.ip().to_string() == "10.2.1.1" { "A" } else { "B" });
/// }
/// assert_eq!(picks, "BBAAAA", "B is too busy from two connections on, then A is added");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lblcr {
    overhead: Overhead,
    /// By address its set.
    cache: Cache<Set>,
    /// The members of all sets.
    members: Pool<Member>,
    remembered: Remembered,
}

/// The destinations of an address: a linked list, most recently added first.
#[derive(Clone, Copy, Debug)]
struct Set {
    first: Option<Id>,
    len: u32,
    modified: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    server: Id,
    next: Option<Id>,
}

impl Lblcr {
    /// The kernel's name for it.
    pub const NAME: &'static str = "lblcr";

    /// A scheduler with an empty cache. Of `semantics` it heeds [`overhead`](Semantics::overhead),
    /// [`address_hash`](Semantics::address_hash) and [`cache_limit`](Semantics::cache_limit).
    pub const fn new(semantics: Semantics) -> Self {
        Self {
            overhead: semantics.overhead,
            cache: Cache::new(semantics),
            members: Pool::new(),
            remembered: Remembered::new(),
        }
    }

    /// Sets for how long an address must have been unused for a full scan to drop it, and for how
    /// long a set must have been the same to lose a member: the sysctl `lblcr_expiration`, by
    /// default 86,400 s. See [`Lblc::with_expiration`](crate::Lblc::with_expiration) for an example.
    #[must_use]
    pub const fn with_expiration(mut self, expiration: Duration) -> Self {
        self.cache.set_expiration(expiration);
        self
    }

    /// For how long an address must have been unused, or a set the same.
    pub const fn expiration(&self) -> Duration {
        self.cache.expiration()
    }

    /// The number of addresses in the cache.
    pub const fn cached(&self) -> usize {
        self.cache.len()
    }

    fn make_ticks(&mut self, now: Timestamp, trace: &mut impl Tracer) {
        let (members, remembered) = (&mut self.members, &mut self.remembered);
        let release = |set: Set| {
            let mut link = set.first;
            while let Some(member) = link.and_then(|id| members.remove(id)) {
                remembered.release(member.server);
                link = member.next;
            }
        };
        self.cache.advance(now, release, trace);
    }

    /// The member that is least loaded for its weight, of those that may get connections.
    fn least_of<D: Addressed>(
        &mut self,
        set: Set,
        list: &[D],
        trace: &mut impl Tracer,
    ) -> Option<usize> {
        let mut best: Option<(usize, u64, u64)> = None;
        let mut link = set.first;
        while let Some(&member) = link.and_then(|id| self.members.get(id)) {
            link = member.next;
            let place = self.remembered.index(member.server, list);
            let Some((index, d)) = place.and_then(|index| Some((index, list.get(index)?))) else {
                if let Some(server) = self.remembered.address(member.server) {
                    trace.step(|| CacheStep::Removed { server }.into());
                }
                continue;
            };
            let left_out = if d.is_available() {
                Verdict::of(d)
            } else {
                Some(Verdict::Unavailable)
            };
            if let Some(verdict) = left_out {
                trace.step(|| Look::new(index, d, verdict).into());
                continue;
            }
            let cost = self.overhead.of(d.active(), d.inactive());
            let weight = u64::from(d.weight());
            let better = best
                .is_none_or(|(_, least, its)| least.wrapping_mul(weight) > cost.wrapping_mul(its));
            trace.step(|| {
                let verdict = if better {
                    Verdict::Best
                } else {
                    Verdict::NotBetter
                };
                Look::new(index, d, verdict).with_cost(cost).into()
            });
            if better {
                best = Some((index, cost, weight));
            }
        }
        best.map(|(index, ..)| index)
    }

    /// The member that is most loaded for its weight; those of weight 0 do not count, removed ones
    /// do, with the connections they still have.
    fn most_of<D: Addressed>(&mut self, set: Set, list: &[D], context: &Context<'_>) -> Option<Id> {
        let mut most: Option<(Id, u64, u64)> = None;
        let mut link = set.first;
        while let Some((id, &member)) = link.and_then(|id| Some((id, self.members.get(id)?))) {
            link = member.next;
            let listed = self.remembered.index(member.server, list);
            let d = match listed.and_then(|index| list.get(index)) {
                Some(d) => Removed::new(d.weight(), d.active(), d.inactive()),
                None => self
                    .remembered
                    .address(member.server)
                    .and_then(|address| context.removed(address))
                    .unwrap_or(Removed::new(1, 0, 0)),
            };
            let cost = self.overhead.of(d.active, d.inactive);
            let weight = u64::from(d.weight);
            let more = most
                .is_none_or(|(_, most, its)| most.wrapping_mul(weight) < cost.wrapping_mul(its));
            if weight > 0 && more {
                most = Some((id, cost, weight));
            }
        }
        most.map(|(id, ..)| id)
    }

    /// Takes the most loaded member out of a set that has been the same for too long.
    fn shrink<D: Addressed>(
        &mut self,
        entry: Id,
        address: IpAddr,
        list: &[D],
        context: &Context<'_>,
        trace: &mut impl Tracer,
    ) -> Option<()> {
        let set = self.cache.get(entry)?;
        let now = self.cache.now();
        let unchanged = now.saturating_sub(set.modified);
        if set.len <= 1 || unchanged <= self.cache.expiration() {
            return None;
        }
        let most = self.most_of(set, list, context)?;
        let mut before = None;
        let mut link = set.first;
        while let Some(id) = link.filter(|&id| id != most) {
            before = link;
            link = self.members.get(id)?.next;
        }
        let member = self.members.remove(most)?;
        if let Some(before) = before.and_then(|id| self.members.get_mut(id)) {
            before.next = member.next;
        }
        let set = self.cache.get_mut(entry)?;
        if before.is_none() {
            set.first = member.next;
        }
        set.len -= 1;
        set.modified = now;
        let server = self.remembered.address(member.server)?;
        self.remembered.release(member.server);
        trace.step(|| {
            CacheStep::Evicted {
                address,
                server,
                unchanged,
            }
            .into()
        });
        Some(())
    }

    /// Adds `list[index]` to the set unless it is in it.
    fn extend<D: Addressed>(
        &mut self,
        entry: Id,
        address: IpAddr,
        list: &[D],
        index: usize,
        trace: &mut impl Tracer,
    ) -> Option<()> {
        let server = list.get(index)?.address();
        let held = self.remembered.hold(list, index)?;
        let set = self.cache.get(entry)?;
        let mut link = set.first;
        while let Some(member) = link.and_then(|id| self.members.get(id)) {
            if member.server == held {
                self.remembered.release(held);
                trace.step(|| CacheStep::Kept { address, server }.into());
                return Some(());
            }
            link = member.next;
        }
        let now = self.cache.now();
        let member = Member {
            server: held,
            next: set.first,
        };
        let Some(first) = self.members.insert(member) else {
            self.remembered.release(held);
            return None;
        };
        let set = self.cache.get_mut(entry)?;
        set.first = Some(first);
        set.len += 1;
        set.modified = now;
        let servers = set.len;
        trace.step(|| {
            CacheStep::Added {
                address,
                server,
                servers,
            }
            .into()
        });
        Some(())
    }

    /// Makes an entry whose set is `list[index]`.
    fn create<D: Addressed>(
        &mut self,
        address: IpAddr,
        list: &[D],
        index: usize,
        trace: &mut impl Tracer,
    ) -> Option<()> {
        let server = list.get(index)?.address();
        let held = self.remembered.hold(list, index)?;
        let member = Member {
            server: held,
            next: None,
        };
        let Some(first) = self.members.insert(member) else {
            self.remembered.release(held);
            return None;
        };
        let set = Set {
            first: Some(first),
            len: 1,
            modified: self.cache.now(),
        };
        let step = if self.cache.insert(address, set) {
            CacheStep::Created { address, server }
        } else {
            self.members.remove(first);
            self.remembered.release(held);
            CacheStep::Full { address }
        };
        trace.step(|| step.into());
        Some(())
    }
}

impl<D: Addressed> Scheduler<D> for Lblcr {
    fn name(&self) -> &str {
        Self::NAME
    }

    /// Empties the cache; its first minute begins.
    fn bind(&mut self, _: &[D], now: Timestamp) {
        self.cache.bind(now);
        self.members.clear();
        self.remembered.clear();
    }

    fn added(&mut self, list: &[D], index: usize) {
        self.remembered.added(list, index);
    }

    fn removed(&mut self, _: &[D], index: usize) {
        self.remembered.removed(index);
    }

    fn advance(&mut self, now: Timestamp) {
        self.make_ticks(now, &mut Silent);
    }

    fn refers_to(&self, address: SocketAddr) -> bool {
        self.remembered.contains(address)
    }

    fn pick(&mut self, list: &[D], flow: &Flow, context: &mut Context<'_>) -> Option<usize> {
        traced(self, list, flow, context)
    }
}

impl<D: Addressed> Choose<D> for Lblcr {
    const NAME: &'static str = Self::NAME;

    fn choose(
        &mut self,
        list: &[D],
        flow: &Flow,
        context: &mut Context<'_>,
        trace: &mut impl Tracer,
    ) -> Option<usize> {
        self.make_ticks(context.now(), trace);
        let address = flow.virtual_address().ip();
        let found = self.cache.find(address);
        trace.step(|| match found {
            Some((_, Set { len: servers, .. })) => CacheStep::Hit { address, servers }.into(),
            None => CacheStep::Miss { address }.into(),
        });
        if let Some((entry, set)) = found {
            let best = self.least_of(set, list, trace);
            // May take out the best one, which gets this connection all the same.
            self.shrink(entry, address, list, context, trace);
            if let Some(index) = best.filter(|&index| !is_too_busy(list, index, trace)) {
                return Some(index);
            }
        }
        let overhead = self.overhead;
        let cost = |d: &D| overhead.of(d.active(), d.inactive());
        let index = least_for_weight(list, cost, trace)?;
        match found {
            Some((entry, _)) => self.extend(entry, address, list, index, trace),
            None => self.create(address, list, index, trace),
        };
        Some(index)
    }
}
