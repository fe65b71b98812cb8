//! The interface of an algorithm, and the kernel's algorithms by name.
//!
//! # Order
//!
//! A list of destinations is a slice in the order in which they were added. The kernel links a new
//! destination at the *head* of its list and walks from there, so its walk is the slice **from the
//! last element to the first**, and ties go to the destination added last. Added destinations go to
//! the end of the slice and disturb no index; a removal shifts the indices above it.

use alloc::boxed::Box;
use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;

use crate::context::{Context, Timestamp};
use crate::dh::Dh;
use crate::error::UnknownScheduler;
use crate::flags::SchedulerFlags;
use crate::flow::Flow;
use crate::fo::Fo;
use crate::lblc::Lblc;
use crate::lblcr::Lblcr;
use crate::lc::Lc;
use crate::mh::Mh;
use crate::nq::Nq;
use crate::ovf::Ovf;
use crate::rr::Rr;
use crate::sed::Sed;
use crate::semantics::Semantics;
use crate::sh::Sh;
use crate::twos::Twos;
use crate::wlc::Wlc;
use crate::wrr::Wrr;

/// What a scheduler can see of a destination. Implement it to run an algorithm on a type of yours.
///
/// The default answers fit a destination without connection counts and thresholds.
pub trait Candidate {
    /// Share of new connections relative to the others; 0 = none.
    fn weight(&self) -> u32;

    /// Whether the destination has reached its upper threshold and takes no new connections.
    fn is_overloaded(&self) -> bool {
        false
    }

    /// Whether the destination is (still) in the list of its service.
    fn is_available(&self) -> bool {
        true
    }

    /// The last weight above 0; the weight itself if it never had another (`mh` builds its table
    /// from it, so that a weight of 0 moves nobody else's clients).
    fn last_weight(&self) -> u32 {
        self.weight()
    }

    /// Number of active connections.
    fn active(&self) -> u32 {
        0
    }

    /// Number of inactive connections.
    fn inactive(&self) -> u32 {
        0
    }
}

/// A destination with an address: what `mh`, `lblc` and `lblcr` need besides.
pub trait Addressed: Candidate {
    /// Address and port of the server; no other destination of the list has the same.
    fn address(&self) -> SocketAddr;
}

/// A scheduling algorithm: one object per virtual service, for destinations of type `D`.
///
/// All methods get the list as it is *after* the change, in the order explained in the
/// [module documentation](self). Call the hook for every change of the list, as
/// [`VirtualService`](crate::VirtualService) does; a forgotten hook gives picks the kernel would not
/// make, but no panic and no endless loop.
///
/// ```
/// use lvs_schedulers::{
///     Candidate, Context, Destination, Flow, Scheduler, Semantics, VirtualService,
/// };
///
/// /// Always the destination with the fewest connections.
/// #[derive(Debug)]
/// struct Fewest;
///
/// impl<D: Candidate> Scheduler<D> for Fewest {
///     fn name(&self) -> &str {
///         "fewest"
///     }
///     fn pick(&mut self, list: &[D], _: &Flow, _: &mut Context<'_>) -> Option<usize> {
///         let eligible = |d: &D| d.weight() > 0 && !d.is_overloaded();
///         let candidates = list.iter().enumerate().rev().filter(|(_, d)| eligible(d));
///         candidates.min_by_key(|(_, d)| d.active() + d.inactive()).map(|(index, _)| index)
///     }
/// }
///
/// let mut service = VirtualService::with_scheduler(Box::new(Fewest), Semantics::LINUX_6_1);
/// let a = service.add(Destination::new("10.2.1.1:80".parse()?))?;
/// let b = service.add(Destination::new("10.2.1.2:80".parse()?))?;
/// let flow = Flow::tcp("192.0.2.7:40000".parse()?, "192.0.2.1:80".parse()?);
/// let mut context = Context::new(Default::default());
/// service.connect(&flow, &mut context).ok_or("nothing picked")?;
/// assert_eq!(service.schedule(&flow, &mut context), Some(a), "b has one connection");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Scheduler<D>: fmt::Debug + Send + Sync {
    /// The name users know the algorithm by, for the kernel's ones the kernel's.
    fn name(&self) -> &str;

    /// The scheduler starts at `now` on a list that may have destinations already.
    fn bind(&mut self, list: &[D], now: Timestamp) {
        let _ = (list, now);
    }

    /// A destination was appended: `list[index]`, the last one.
    fn added(&mut self, list: &[D], index: usize) {
        let _ = (list, index);
    }

    /// Destinations were appended: all from `list[from]` on. Must come to the same as
    /// [`added`](Self::added) for one after the other, which is what it does unless a scheduler knows
    /// a shorter way.
    fn added_all(&mut self, list: &[D], from: usize) {
        for index in from..list.len() {
            if let Some(so_far) = list.get(..=index) {
                self.added(so_far, index);
            }
        }
    }

    /// The destination that was at `index` is gone; those above it have moved down by one.
    fn removed(&mut self, list: &[D], index: usize) {
        let _ = (list, index);
    }

    /// The settings of `list[index]` were replaced, maybe by the same values.
    fn edited(&mut self, list: &[D], index: usize) {
        let _ = (list, index);
    }

    /// The scheduler flags of the service are these from now on; none are set before the first call.
    fn set_flags(&mut self, flags: SchedulerFlags) {
        let _ = flags;
    }

    /// It is `now`: what the algorithm does by a timer happens, up to now. A pick at that time does
    /// the same first.
    fn advance(&mut self, now: Timestamp) {
        let _ = now;
    }

    /// Whether the scheduler, as of the last time it was told, remembers the destination with this
    /// address, which may have been removed (`lblc` and `lblcr` do). The kernel keeps a removed
    /// destination for as long, so that adding the address again brings the same one back.
    fn refers_to(&self, address: SocketAddr) -> bool {
        let _ = address;
        false
    }

    /// The index of the destination for a new connection; `None` if there is none to give.
    fn pick(&mut self, list: &[D], flow: &Flow, context: &mut Context<'_>) -> Option<usize>;
}

/// The kernel's algorithms, under the kernel's names.
///
/// ```
/// use lvs_schedulers::Algorithm;
///
/// assert_eq!("wrr".parse(), Ok(Algorithm::Wrr));
/// assert_eq!(Algorithm::Wrr.to_string(), "wrr");
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Algorithm {
    /// Round robin: [`Rr`].
    Rr,
    /// Weighted round robin: [`Wrr`].
    Wrr,
    /// Least connections: [`Lc`].
    Lc,
    /// Weighted least connections: [`Wlc`].
    Wlc,
    /// Weighted fail-over: [`Fo`].
    Fo,
    /// Weighted overflow: [`Ovf`].
    Ovf,
    /// Locality-based least connections: [`Lblc`].
    Lblc,
    /// Locality-based least connections with replication: [`Lblcr`].
    Lblcr,
    /// Destination hashing: [`Dh`].
    Dh,
    /// Source hashing: [`Sh`].
    Sh,
    /// Shortest expected delay: [`Sed`].
    Sed,
    /// Never queue: [`Nq`].
    Nq,
    /// Maglev hashing: [`Mh`].
    Mh,
    /// Weighted random twos choice: [`Twos`].
    Twos,
}

impl Algorithm {
    /// All algorithms of this version.
    pub const ALL: &'static [Self] = &[
        Self::Rr,
        Self::Wrr,
        Self::Lc,
        Self::Wlc,
        Self::Fo,
        Self::Ovf,
        Self::Lblc,
        Self::Lblcr,
        Self::Dh,
        Self::Sh,
        Self::Sed,
        Self::Nq,
        Self::Mh,
        Self::Twos,
    ];

    /// The kernel's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rr => Rr::NAME,
            Self::Wrr => Wrr::NAME,
            Self::Lc => Lc::NAME,
            Self::Wlc => Wlc::NAME,
            Self::Fo => Fo::NAME,
            Self::Ovf => Ovf::NAME,
            Self::Lblc => Lblc::NAME,
            Self::Lblcr => Lblcr::NAME,
            Self::Dh => Dh::NAME,
            Self::Sh => Sh::NAME,
            Self::Sed => Sed::NAME,
            Self::Nq => Nq::NAME,
            Self::Mh => Mh::NAME,
            Self::Twos => Twos::NAME,
        }
    }

    /// A new scheduler of this algorithm that behaves as `semantics` says.
    pub fn scheduler<D: Addressed>(self, semantics: Semantics) -> Box<dyn Scheduler<D>> {
        match self {
            Self::Rr => Box::new(Rr::new()),
            Self::Wrr => Box::new(Wrr::new()),
            Self::Lc => Box::new(Lc::new(semantics.overhead)),
            Self::Wlc => Box::new(Wlc::new(semantics.overhead)),
            Self::Fo => Box::new(Fo::new()),
            Self::Ovf => Box::new(Ovf::new()),
            Self::Lblc => Box::new(Lblc::new(semantics)),
            Self::Lblcr => Box::new(Lblcr::new(semantics)),
            Self::Dh => Box::new(Dh::new(semantics.address_hash)),
            Self::Sh => Box::new(Sh::new(semantics.address_hash, semantics.sh_table_bits)),
            Self::Sed => Box::new(Sed::new()),
            Self::Nq => Box::new(Nq::new()),
            Self::Mh => Box::new(Mh::new(semantics.mh_word, semantics.mh_table_index)),
            Self::Twos => Box::new(Twos::new(semantics.overhead)),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownScheduler;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().find(|algorithm| algorithm.name() == name);
        known.copied().ok_or_else(|| UnknownScheduler::new(name))
    }
}

/// Displays the names of all algorithms, for messages.
pub(crate) struct Known;

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, algorithm) in Algorithm::ALL.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(algorithm.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn every_name_parses_to_its_algorithm_and_the_scheduler_carries_it() {
        for &algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
            let scheduler = algorithm.scheduler::<crate::DestinationEntry>(Semantics::LINUX_6_1);
            assert_eq!(scheduler.name(), algorithm.name());
        }
    }

    #[test]
    fn names_are_exact() {
        for name in ["", "WRR", "wrr ", "ip_vs_wrr", "lc\0"] {
            assert_eq!(name.parse::<Algorithm>().unwrap_err().name(), name);
        }
    }
}
