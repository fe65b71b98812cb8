//! lblc, locality-based least connections: one destination for each address that clients send to.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use crate::context::{Context, Timestamp};
use crate::explanation::{CacheStep, Choose, Look, Silent, Tracer, Verdict, traced};
use crate::flow::Flow;
use crate::locality::busy::is_too_busy;
use crate::locality::cache::Cache;
use crate::locality::pool::Id;
use crate::locality::remembered::Remembered;
use crate::scheduler::{Addressed, Scheduler};
use crate::semantics::{Overhead, Semantics};
use crate::walk::least::least_for_weight;

/// Locality-based least connections, as the kernel's `ip_vs_lblc`.
///
/// Made for caches behind a service by firewall mark or for all ports, where clients send to many
/// addresses: every address gets one destination, so that each cache holds its part. The first
/// connection to an address goes where [`Wlc`](crate::Wlc) would send it, the later ones to the
/// same destination, even if that has reached its upper threshold, until
///
/// * it is removed or its weight becomes 0, or
/// * it has more active connections than its weight while any other has fewer than half of its own.
///
/// Then the address moves to the destination that is wlc's choice by then. UDP is never active, so
/// that it does not move addresses.
///
/// The cache ages from the moment the scheduler is bound. A full scan, every 30 minutes while the
/// cache is small, drops addresses unused for the [expiration](Self::with_expiration). As long as
/// more than 16,384 are counted, every minute makes room by dropping some that were unused for 6
/// minutes. (The kernel's minutes are up to a few seconds longer, for its timers are coarse.)
/// [`Semantics::cache_limit`] says whether there is a limit besides, and how exact the kernel counts:
/// one without a limit counts an address twice that has moved, and after enough moves never comes to
/// another full scan.
///
/// ```
/// use lvs_schedulers::{Algorithm, Context, Destination, Flow, Semantics, VirtualService};
///
/// let mut service = VirtualService::new(Algorithm::Lblc, Semantics::LINUX_6_1);
/// let a = service.add(Destination::new("10.2.1.1:0".parse()?))?;
/// let b = service.add(Destination::new("10.2.1.2:0".parse()?))?;
/// let mut context = Context::new(Default::default());
/// let mut connect = |to: &str| -> Result<_, Box<dyn std::error::Error>> {
///     let flow = Flow::tcp("192.0.2.7:40000".parse()?, to.parse()?);
///     let connection = service.connect(&flow, &mut context).ok_or("nobody")?;
///     Ok(service.destination_of(connection).ok_or("gone")?.id())
/// };
/// assert_eq!(connect("203.0.113.1:80")?, b);
/// assert_eq!(connect("203.0.113.2:80")?, a);
/// assert_eq!(connect("203.0.113.1:443")?, b, "the port does not matter");
/// assert_eq!(connect("203.0.113.1:80")?, b, "nobody is below half load");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lblc {
    overhead: Overhead,
    /// By address the name of its destination.
    cache: Cache<Id>,
    remembered: Remembered,
}

impl Lblc {
    /// The kernel's name for it.
    pub const NAME: &'static str = "lblc";

    /// A scheduler with an empty cache. Of `semantics` it heeds [`overhead`](Semantics::overhead),
    /// [`address_hash`](Semantics::address_hash) and [`cache_limit`](Semantics::cache_limit).
    pub const fn new(semantics: Semantics) -> Self {
        Self {
            overhead: semantics.overhead,
            cache: Cache::new(semantics),
            remembered: Remembered::new(),
        }
    }

    /// Sets for how long an address must have been unused for a full scan to drop it: the sysctl
    /// `lblc_expiration`, by default 86,400 s.
    ///
    /// ```
    /// use lvs_schedulers::{Lblc, Semantics, VirtualService};
    /// use std::time::Duration;
    ///
    /// let semantics = Semantics::LINUX_7_2;
    /// let scheduler = Lblc::new(semantics).with_expiration(Duration::from_secs(3_600));
    /// let service = VirtualService::with_scheduler(Box::new(scheduler), semantics);
    /// assert_eq!(service.scheduler_name(), "lblc");
    /// ```
    #[must_use]
    pub const fn with_expiration(mut self, expiration: Duration) -> Self {
        self.cache.set_expiration(expiration);
        self
    }

    /// For how long an address must have been unused to be dropped.
    pub const fn expiration(&self) -> Duration {
        self.cache.expiration()
    }

    /// The number of addresses in the cache.
    pub const fn cached(&self) -> usize {
        self.cache.len()
    }

    fn make_ticks(&mut self, now: Timestamp, trace: &mut impl Tracer) {
        let remembered = &mut self.remembered;
        self.cache
            .advance(now, |server| remembered.release(server), trace);
    }

    /// The index of the cached destination, if it is to be used.
    fn usable<D: Addressed>(
        &mut self,
        server: Id,
        list: &[D],
        trace: &mut impl Tracer,
    ) -> Option<usize> {
        let place = self.remembered.index(server, list);
        let Some((index, d)) = place.and_then(|index| Some((index, list.get(index)?))) else {
            if let Some(server) = self.remembered.address(server) {
                trace.step(|| CacheStep::Removed { server }.into());
            }
            return None;
        };
        let left_out = if !d.is_available() {
            Some(Verdict::Unavailable)
        } else if d.weight() == 0 {
            Some(Verdict::Quiesced)
        } else {
            None
        };
        if let Some(verdict) = left_out {
            trace.step(|| Look::new(index, d, verdict).into());
            return None;
        }
        if is_too_busy(list, index, trace) {
            return None;
        }
        trace.step(|| Look::new(index, d, Verdict::Taken).into());
        Some(index)
    }

    /// Has the cache send `address` to `list[index]` from now on.
    fn remember<D: Addressed>(
        &mut self,
        address: IpAddr,
        found: Option<(Id, Id)>,
        list: &[D],
        index: usize,
        trace: &mut impl Tracer,
    ) -> Option<()> {
        let server = list.get(index)?.address();
        let held = self.remembered.hold(list, index)?;
        let step = match found {
            Some((_, former)) if former == held => {
                self.remembered.release(held);
                CacheStep::Kept { address, server }
            }
            Some((entry, former)) => {
                let from = self.remembered.address(former)?;
                self.cache.replace(entry, held);
                self.remembered.release(former);
                CacheStep::Moved {
                    address,
                    from,
                    to: server,
                }
            }
            None if self.cache.insert(address, held) => CacheStep::Created { address, server },
            None => {
                self.remembered.release(held);
                CacheStep::Full { address }
            }
        };
        trace.step(|| step.into());
        Some(())
    }
}

impl<D: Addressed> Scheduler<D> for Lblc {
    fn name(&self) -> &str {
        Self::NAME
    }

    /// Empties the cache; its first minute begins.
    fn bind(&mut self, _: &[D], now: Timestamp) {
        self.cache.bind(now);
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

impl<D: Addressed> Choose<D> for Lblc {
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
            Some(_) => CacheStep::Hit {
                address,
                servers: 1,
            }
            .into(),
            None => CacheStep::Miss { address }.into(),
        });
        if let Some((_, server)) = found {
            let usable = self.usable(server, list, trace);
            if usable.is_some() {
                return usable;
            }
        }
        let overhead = self.overhead;
        let cost = |d: &D| overhead.of(d.active(), d.inactive());
        let index = least_for_weight(list, cost, trace)?;
        self.remember(address, found, list, index, trace);
        Some(index)
    }
}
