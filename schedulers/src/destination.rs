//! A destination: what is configured, and what a service knows about it.

use core::net::SocketAddr;

use crate::connection::Activity;
use crate::error::Error;
use crate::scheduler::{Addressed, Candidate};
use crate::semantics::{TemplateThresholds, ThresholdEdits};
use crate::virtual_service::DestinationId;

/// How packets get to a destination.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Forwarding {
    /// The director rewrites addresses, both ways: it sees what the server says.
    #[default]
    Masquerade,
    /// Delivered on the director itself.
    Local,
    /// In another packet.
    Tunnel,
    /// Unchanged, by its link address.
    DirectRoute,
}

impl Forwarding {
    /// Whether the director sees only what the client says, or acts as if.
    pub const fn is_one_way(self) -> bool {
        !matches!(self, Self::Masquerade)
    }
}

/// The settings of a destination: its address, its weight, its connection thresholds and how packets
/// get there.
///
/// ```
/// use lvs_schedulers::Destination;
///
/// let destination = Destination::new("10.2.1.1:80".parse()?).with_weight(3).with_thresholds(100, 60);
/// assert_eq!((destination.weight(), destination.upper(), destination.lower()), (3, 100, 60));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Destination {
    address: SocketAddr,
    weight: u32,
    upper: u32,
    lower: u32,
    forwarding: Forwarding,
}

impl Destination {
    /// The highest weight: the kernel's is a signed 32-bit number that may not be negative.
    pub const MAX_WEIGHT: u32 = i32::MAX.unsigned_abs();

    /// A destination with weight 1 and no thresholds, as `ipvsadm` adds it, but masqueraded. Scope
    /// and flow label of an IPv6 address are dropped: the kernel's table has neither.
    pub const fn new(address: SocketAddr) -> Self {
        Self {
            address: SocketAddr::new(address.ip(), address.port()),
            weight: 1,
            upper: 0,
            lower: 0,
            forwarding: Forwarding::Masquerade,
        }
    }

    /// Sets the weight: 0 (no new connections) to [`MAX_WEIGHT`](Self::MAX_WEIGHT).
    pub const fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Sets the connection thresholds: none are given to the destination from `upper` connections
    /// on, until there are fewer than `lower`. `upper` 0 = no limit; `lower` 0 = three quarters of
    /// `upper`, rounded up. `lower` may not be above `upper`.
    pub const fn with_thresholds(mut self, upper: u32, lower: u32) -> Self {
        self.upper = upper;
        self.lower = lower;
        self
    }

    /// Sets how packets get there; [`Forwarding::Masquerade`] without. It decides which packets bear
    /// on the state of a connection; no scheduler looks at it.
    pub const fn with_forwarding(mut self, forwarding: Forwarding) -> Self {
        self.forwarding = forwarding;
        self
    }

    /// Address and port of the server.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Share of new connections relative to the other destinations; 0 = none.
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    /// Upper connection threshold; 0 = no limit.
    pub const fn upper(&self) -> u32 {
        self.upper
    }

    /// Lower connection threshold as configured; 0 = derived from the upper one.
    pub const fn lower(&self) -> u32 {
        self.lower
    }

    /// How packets get there.
    pub const fn forwarding(&self) -> Forwarding {
        self.forwarding
    }

    pub(crate) const fn validate(&self) -> Result<(), Error> {
        let &Self {
            address,
            weight,
            upper,
            lower,
            ..
        } = self;
        if weight > Self::MAX_WEIGHT {
            return Err(Error::Weight {
                address,
                value: weight,
                limit: Self::MAX_WEIGHT,
            });
        }
        if lower > upper {
            return Err(Error::Thresholds {
                address,
                upper,
                lower,
            });
        }
        Ok(())
    }

    /// The number of connections below which the overload mark goes (spec: effective lower bound).
    const fn release_below(&self) -> u32 {
        if self.lower > 0 {
            self.lower
        } else {
            self.upper - self.upper / 4
        }
    }
}

/// A destination as its service sees it: its settings, its connections and its marks.
///
/// Removing a destination does not end its connections. Its entry stays readable, not
/// [available](Self::is_available), as long as the kernel keeps it; adding the same address before
/// that brings the entry back (see [`VirtualService::remove`](crate::VirtualService::remove)).
#[derive(Clone, Debug)]
pub struct DestinationEntry {
    id: DestinationId,
    destination: Destination,
    last_weight: u32,
    active: u32,
    inactive: u32,
    templates: u32,
    overloaded: bool,
    available: bool,
}

impl DestinationEntry {
    pub(crate) const fn new(id: DestinationId, destination: Destination) -> Self {
        Self {
            id,
            destination,
            last_weight: destination.weight,
            active: 0,
            inactive: 0,
            templates: 0,
            overloaded: false,
            available: true,
        }
    }

    /// The name of this destination within its service.
    pub const fn id(&self) -> DestinationId {
        self.id
    }

    /// The settings in force.
    pub const fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Address and port of the server.
    pub const fn address(&self) -> SocketAddr {
        self.destination.address
    }

    /// Share of new connections relative to the other destinations; 0 = none.
    pub const fn weight(&self) -> u32 {
        self.destination.weight
    }

    /// The last weight above 0; 0 if it never had another.
    pub const fn last_weight(&self) -> u32 {
        self.last_weight
    }

    /// Number of active connections.
    pub const fn active(&self) -> u32 {
        self.active
    }

    /// Number of inactive connections.
    pub const fn inactive(&self) -> u32 {
        self.inactive
    }

    /// Number of connections, active or not.
    pub const fn total(&self) -> u32 {
        self.active.saturating_add(self.inactive)
    }

    /// Number of persistence templates that lead here, honoured or not; they count as neither
    /// active nor inactive connections (`ipvsadm -L --persistent-conn`).
    pub const fn templates(&self) -> u32 {
        self.templates
    }

    /// The upper threshold was reached and the connections have not fallen below the lower one
    /// since: no new connections.
    pub const fn is_overloaded(&self) -> bool {
        self.overloaded
    }

    /// The destination is in the list of its service; `false` once it was removed.
    pub const fn is_available(&self) -> bool {
        self.available
    }

    /// Whether connections or templates lead here.
    pub(crate) const fn is_referred_to(&self) -> bool {
        self.active > 0 || self.inactive > 0 || self.templates > 0
    }

    pub(crate) const fn set_available(&mut self, available: bool) {
        self.available = available;
    }

    /// Comes back into the list with these settings. What it weighed before is forgotten: its weight
    /// is the last one, even if it is 0.
    pub(crate) fn restore(&mut self, destination: Destination, rule: ThresholdEdits) {
        self.available = true;
        self.last_weight = destination.weight;
        self.update(destination, rule);
    }

    /// Replaces the settings, by an edit or when a removed destination comes back.
    pub(crate) fn update(&mut self, destination: Destination, rule: ThresholdEdits) {
        let former = core::mem::replace(&mut self.destination, destination);
        let Destination {
            weight,
            upper,
            lower,
            ..
        } = destination;
        if weight > 0 {
            self.last_weight = weight;
        }
        match rule {
            ThresholdEdits::ClearOnRaise => {
                if upper == 0 || upper > former.upper {
                    self.overloaded = false;
                }
            }
            ThresholdEdits::Recompute => {
                if (upper, lower) != (former.upper, former.lower) {
                    self.mark_if_full();
                    self.release_if_below();
                }
            }
        }
    }

    /// Counts a new connection.
    pub(crate) fn bind(&mut self, active: bool) {
        let count = if active {
            &mut self.active
        } else {
            &mut self.inactive
        };
        *count = count.saturating_add(1);
        self.mark_if_full();
    }

    /// Moves a connection between the active and the inactive ones. The thresholds are not looked
    /// at: the sum stays.
    pub(crate) const fn note(&mut self, activity: Activity) {
        match activity {
            Activity::Unchanged => {}
            Activity::Begins => {
                self.inactive = self.inactive.saturating_sub(1);
                self.active = self.active.saturating_add(1);
            }
            Activity::Ends => {
                self.active = self.active.saturating_sub(1);
                self.inactive = self.inactive.saturating_add(1);
            }
        }
    }

    /// Counts a new template.
    pub(crate) fn bind_template(&mut self, rule: TemplateThresholds) {
        self.templates = self.templates.saturating_add(1);
        if rule == TemplateThresholds::Evaluate {
            self.mark_if_full();
        }
    }

    /// Counts a template no more.
    pub(crate) fn unbind_template(&mut self, rule: TemplateThresholds) {
        self.templates = self.templates.saturating_sub(1);
        if rule == TemplateThresholds::Evaluate {
            self.release_if_below();
        }
    }

    /// Counts a connection no more.
    pub(crate) fn unbind(&mut self, active: bool) {
        let count = if active {
            &mut self.active
        } else {
            &mut self.inactive
        };
        *count = count.saturating_sub(1);
        self.release_if_below();
    }

    fn mark_if_full(&mut self) {
        let upper = self.destination.upper;
        if upper > 0 && self.total() >= upper {
            self.overloaded = true;
        }
    }

    fn release_if_below(&mut self) {
        if self.destination.upper == 0 || self.total() < self.destination.release_below() {
            self.overloaded = false;
        }
    }
}

impl Candidate for DestinationEntry {
    fn weight(&self) -> u32 {
        self.weight()
    }

    fn last_weight(&self) -> u32 {
        self.last_weight
    }

    fn is_overloaded(&self) -> bool {
        self.overloaded
    }

    fn is_available(&self) -> bool {
        self.available
    }

    fn active(&self) -> u32 {
        self.active
    }

    fn inactive(&self) -> u32 {
        self.inactive
    }
}

impl Addressed for DestinationEntry {
    fn address(&self) -> SocketAddr {
        self.address()
    }
}
