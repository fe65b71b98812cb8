//! Configuration of a virtual router: what it is, how it behaves, and what is refused.
//!
//! Setters take any value; [`RouterConfig::validate`] names the first that is wrong, its value and
//! its limit. A machine is made of valid configurations only.

mod error;
#[cfg(feature = "hmac-trailer")]
mod trailer;
mod transport;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use crate::address::{AddressList, Family};
use crate::codec::Authentication;
use crate::interval::Interval;
use crate::priority::Priority;
use crate::profile::{AcceptDefault, Profile, Switches};
use crate::receive::Versions;
use crate::timer;
use crate::version::Version;
use crate::vrid::Vrid;

pub use error::ConfigError;
#[cfg(feature = "hmac-trailer")]
pub use trailer::{MAX_TRAILER_WINDOW, TrailerConfig};
pub use transport::SourcePolicy;

use transport::Transport;

/// The longest preempt hold: 65535 s. RFC 8347.
pub const MAX_PREEMPT_HOLD: Duration = Duration::from_secs(65_535);
/// The greatest down factor.
pub const MAX_DOWN_FACTOR: u8 = 100;

/// One virtual router. Copies share their values until one of them is changed.
///
/// | Setting | Range | Default |
/// |---|---|---|
/// | virtual router id, addresses | 1 to 255 of either, of one family | none |
/// | versions | 2, 3, both; IPv6 has 3 only | 3 |
/// | priority | 1 to 254; the owner has 255 | 100 |
/// | interval | VRRPv2 1 to 255 s, VRRPv3 1 to 4095 cs | 1 s |
/// | preempt | | on |
/// | preempt hold | 0 to 65535 s | 0 |
/// | accept mode | | by profile: off |
/// | down factor | 1 to 100 | 3 |
/// | TTL to unicast peers | 1 to 255 | 255 |
/// | guard | | none |
/// | router advertisements (IPv6) | | none |
///
/// ```
/// use lvs_vrrp::config::RouterConfig;
/// use lvs_vrrp::{AddressList, Interval, Priority, Vrid};
///
/// let addresses = AddressList::new(["192.0.2.1".parse()?])?;
/// let config = RouterConfig::new(Vrid::try_from(51)?, addresses)
///     .with_priority(Priority::new(200))
///     .with_interval(Interval::from_centiseconds(25)?);
/// config.validate()?;
/// assert_eq!(config.active_down_interval().as_nanos(), 804_687_500);
///
/// let refused = config.with_priority(Priority::new(255)).validate().unwrap_err();
/// assert_eq!(refused.to_string(), "priority 255 is not in 1..=254: the owner is set as such");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct RouterConfig {
    /// A driver, a node and a machine have the same ones.
    values: Arc<Values>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Values {
    vrid: Vrid,
    versions: Versions,
    priority: Priority,
    is_owner: bool,
    interval: Interval,
    addresses: AddressList,
    excluded: Box<[IpAddr]>,
    preempt: bool,
    preempt_hold: Duration,
    accept_mode: Option<bool>,
    down_factor: u8,
    transport: Transport,
    guard_retry: Option<Duration>,
    router_advertisements: bool,
    switches: Switches,
}

impl RouterConfig {
    /// A virtual router of this id with these addresses; everything else has its default, and the
    /// switches are those of [`Profile::Linux`].
    ///
    /// The first IPv6 address should be link-local, as RFC 9568 §5.2.9 wants it: routers that are
    /// strict about that drop the advertisements of others
    /// ([`Permits::any_first_address`](crate::profile::Permits::any_first_address)).
    pub fn new(vrid: Vrid, addresses: AddressList) -> Self {
        let values = Values {
            vrid,
            versions: Versions::Only(Version::V3),
            priority: Priority::DEFAULT,
            is_owner: false,
            interval: Interval::DEFAULT,
            excluded: Box::default(),
            preempt: true,
            preempt_hold: Duration::ZERO,
            accept_mode: None,
            down_factor: 3,
            transport: Transport::new(addresses.family()),
            guard_retry: None,
            router_advertisements: false,
            switches: Profile::Linux.switches(),
            addresses,
        };
        Self {
            values: Arc::new(values),
        }
    }

    /// Sets the versions: one, or both for an upgrade.
    pub fn with_versions(mut self, versions: Versions) -> Self {
        self.change().versions = versions;
        self
    }

    /// Sets the base priority, 1 to 254, of a router that does not own the addresses.
    pub fn with_priority(mut self, priority: Priority) -> Self {
        let values = self.change();
        (values.priority, values.is_owner) = (priority, false);
        self
    }

    /// Says that the addresses are real addresses of this router's interface: its priority is 255,
    /// whatever trackers say, it always preempts and accepts (`VRRP-014`, `VRRP-045`).
    pub fn as_owner(mut self) -> Self {
        let values = self.change();
        (values.priority, values.is_owner) = (Priority::OWNER, true);
        self
    }

    /// Sets the advertisement interval.
    pub fn with_interval(mut self, interval: Interval) -> Self {
        self.change().interval = interval;
        self
    }

    /// Sets other virtual addresses; the id stays.
    pub fn with_addresses(mut self, addresses: AddressList) -> Self {
        self.change().addresses = addresses;
        self
    }

    /// Sets addresses, of either family, that are installed but not advertised. Two routers of one
    /// interface cannot have the same
    /// ([`NodeError::AddressTwice`](crate::node::NodeError::AddressTwice)).
    pub fn with_excluded_addresses(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.change().excluded = addresses.into_iter().collect();
        self
    }

    /// Sets whether a Backup of higher priority takes over from a living Active. The owner does
    /// whatever is set.
    pub fn with_preempt(mut self, preempt: bool) -> Self {
        self.change().preempt = preempt;
        self
    }

    /// Sets for how long a Backup bears an Active of lower priority before it preempts. An Active
    /// that falls silent or resigns is replaced without that delay (`VRRP-212`).
    pub fn with_preempt_hold(mut self, hold: Duration) -> Self {
        self.change().preempt_hold = hold;
        self
    }

    /// Sets whether an Active that does not own the addresses accepts packets to them.
    pub fn with_accept_mode(mut self, accept: bool) -> Self {
        self.change().accept_mode = Some(accept);
        self
    }

    /// Sets how many intervals of silence mean that the Active is gone. Anything but 3 deviates from
    /// the RFCs, and all routers must agree.
    pub fn with_down_factor(mut self, factor: u8) -> Self {
        self.change().down_factor = factor;
        self
    }

    /// Sets how VRRPv2 is authenticated.
    pub fn with_authentication(mut self, authentication: Authentication) -> Self {
        self.change().transport.authentication = authentication;
        self
    }

    /// Authenticates advertisements of either version by keepalived's `auth_hmac` trailer.
    #[cfg(feature = "hmac-trailer")]
    pub fn with_trailer(mut self, trailer: TrailerConfig) -> Self {
        self.change().transport.trailer = Some(trailer);
        self
    }

    /// Makes a [guard](crate::guard) a condition for being Active. It is asked for again after this
    /// time, or the skew time if that is longer.
    pub fn with_guard(mut self, retry: Duration) -> Self {
        self.change().guard_retry = Some(retry);
        self
    }

    /// Sets whether the Active sends router advertisements (IPv6).
    pub fn with_router_advertisements(mut self, send: bool) -> Self {
        self.change().router_advertisements = send;
        self
    }

    /// Sets the switches, as from a [`Profile`].
    pub fn with_switches(mut self, switches: Switches) -> Self {
        self.change().switches = switches;
        self
    }

    fn change(&mut self) -> &mut Values {
        Arc::make_mut(&mut self.values)
    }

    /// Its virtual router id.
    #[must_use]
    pub fn vrid(&self) -> Vrid {
        self.values.vrid
    }

    /// The family of its addresses.
    #[must_use]
    pub fn family(&self) -> Family {
        self.values.addresses.family()
    }

    /// The versions it speaks.
    #[must_use]
    pub fn versions(&self) -> Versions {
        self.values.versions
    }

    /// The priority before trackers: 255 for the owner.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.values.priority
    }

    /// Whether it owns the addresses.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.values.is_owner
    }

    /// Its advertisement interval.
    #[must_use]
    pub fn interval(&self) -> Interval {
        self.values.interval
    }

    /// The virtual addresses it advertises.
    #[must_use]
    pub fn addresses(&self) -> &AddressList {
        &self.values.addresses
    }

    /// The virtual addresses it does not advertise.
    #[must_use]
    pub fn excluded_addresses(&self) -> &[IpAddr] {
        &self.values.excluded
    }

    /// Whether it takes over from a living Active of lower priority.
    #[must_use]
    pub fn preempts(&self) -> bool {
        self.values.preempt || self.values.is_owner
    }

    /// For how long it bears such an Active.
    #[must_use]
    pub fn preempt_hold(&self) -> Duration {
        self.values.preempt_hold
    }

    /// Whether it accepts packets to the virtual addresses while Active (`VRRP-046`, `VRRP-072`).
    #[must_use]
    pub fn accepts(&self) -> bool {
        self.values.is_owner
            || match self.values.accept_mode {
                Some(accept) => accept,
                None => matches!(self.values.switches.accept_mode, AcceptDefault::On),
            }
    }

    /// How many intervals of silence mean that the Active is gone.
    #[must_use]
    pub fn down_factor(&self) -> u8 {
        self.values.down_factor
    }

    /// How VRRPv2 is authenticated.
    #[must_use]
    pub fn authentication(&self) -> &Authentication {
        &self.values.transport.authentication
    }

    /// The `auth_hmac` trailer, if there is to be one.
    #[cfg(feature = "hmac-trailer")]
    #[must_use]
    pub fn trailer(&self) -> Option<&TrailerConfig> {
        self.values.transport.trailer.as_ref()
    }

    /// After what time the guard is asked for again, if there is one.
    #[must_use]
    pub fn guard_retry(&self) -> Option<Duration> {
        self.values.guard_retry
    }

    /// Whether the Active sends router advertisements.
    #[must_use]
    pub fn router_advertisements(&self) -> bool {
        self.values.router_advertisements && self.family() == Family::Ipv6
    }

    /// The switches.
    #[must_use]
    pub fn switches(&self) -> &Switches {
        &self.values.switches
    }

    /// The priority it advertises when trackers add this much in sum: base and sum, cut once to 1
    /// to 254; 255 for the owner, whatever trackers say (`VRRP-015`, `VRRP-211`).
    #[must_use]
    pub fn effective_priority(&self, contribution: i64) -> Priority {
        if self.values.is_owner {
            return Priority::OWNER;
        }
        let sum = i64::from(self.values.priority.get()).saturating_add(contribution);
        Priority::new(u8::try_from(sum.clamp(1, 254)).unwrap_or(254))
    }

    /// How long it bears silence of an Active that advertises at its own interval.
    #[must_use]
    pub fn active_down_interval(&self) -> Duration {
        let version = self.timer_version();
        timer::active_down_interval(
            version,
            self.values.priority,
            self.values.interval,
            self.values.down_factor,
        )
    }

    /// The version whose timers it uses: those of VRRPv3 if it speaks both (`VRRP-133`).
    pub(crate) fn timer_version(&self) -> Version {
        match self.values.versions {
            Versions::Only(version) => version,
            Versions::Dual => Version::V3,
        }
    }

    /// Compares with the real addresses of the interface: in the strict profiles the router that has
    /// all virtual addresses is the owner, and no other is (`VRRP-014`). The others take what is set.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NotOwned`], [`ConfigError::Owned`].
    pub fn check_ownership(&self, real_addresses: &[IpAddr]) -> Result<(), ConfigError> {
        let mut advertised = self.values.addresses.as_addresses().iter();
        let foreign = advertised.find(|address| !real_addresses.contains(address));
        match foreign {
            _ if self.values.switches.permits.any_owner => Ok(()),
            Some(address) if self.values.is_owner => Err(ConfigError::NotOwned { address }),
            None if !self.values.is_owner => Err(ConfigError::Owned {
                priority: self.values.priority.get(),
            }),
            _ => Ok(()),
        }
    }

    /// Looks at every value.
    ///
    /// # Errors
    ///
    /// The first value that is out of its range, contradicts another, or is refused by the switches.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_versions()?;
        self.validate_priority()?;
        self.validate_interval()?;
        self.validate_addresses()?;
        self.validate_timers()?;
        self.validate_cast()?;
        self.validate_ttl()?;
        self.validate_source()?;
        self.validate_extras()
    }

    fn validate_versions(&self) -> Result<(), ConfigError> {
        let permits = self.values.switches.permits;
        for (version, permitted) in [(Version::V2, permits.v2), (Version::V3, permits.v3)] {
            if !self.values.versions.accepts(version) {
                continue;
            }
            if version == Version::V2 && self.family() == Family::Ipv6 {
                return Err(ConfigError::VersionOverIpv6);
            }
            if !permitted {
                return Err(ConfigError::Refused {
                    field: version_name(version),
                });
            }
        }
        Ok(())
    }

    /// `VRRP-015`
    fn validate_priority(&self) -> Result<(), ConfigError> {
        let value = self.values.priority.get();
        if self.values.is_owner || (1..=254).contains(&value) {
            Ok(())
        } else {
            Err(ConfigError::Priority { value })
        }
    }

    /// `VRRP-043`
    fn validate_interval(&self) -> Result<(), ConfigError> {
        let interval = self.values.interval;
        let fits_v2 = self.values.versions != Versions::Only(Version::V2)
            || interval.whole_seconds().is_some();
        let fits_v3 = !self.values.versions.accepts(Version::V3) || interval <= Interval::MAX_V3;
        if fits_v2 && fits_v3 {
            Ok(())
        } else {
            Err(ConfigError::Interval {
                centiseconds: interval.centiseconds(),
                version: self.timer_version(),
            })
        }
    }

    /// `VRRP-029`
    fn validate_addresses(&self) -> Result<(), ConfigError> {
        let advertised = self.values.addresses.as_addresses();
        let is_valid =
            advertised.first_is_valid() || self.values.switches.permits.any_first_address;
        if let Some(address) = advertised.first().filter(|_| !is_valid) {
            return Err(ConfigError::FirstNotLinkLocal { address });
        }
        let mut excluded: Vec<IpAddr> = self.values.excluded.to_vec();
        excluded.sort_unstable();
        let twice = excluded
            .iter()
            .zip(excluded.iter().skip(1))
            .find(|(one, next)| one == next)
            .map(|(one, _)| *one);
        let both = || {
            let mut advertised = advertised.iter();
            advertised.find(|address| excluded.binary_search(address).is_ok())
        };
        match twice.or_else(both) {
            Some(address) => Err(ConfigError::AddressTwice { address }),
            None => Ok(()),
        }
    }

    fn validate_timers(&self) -> Result<(), ConfigError> {
        let permits = self.values.switches.permits;
        if self.values.down_factor == 0 || self.values.down_factor > MAX_DOWN_FACTOR {
            return Err(ConfigError::DownFactor {
                value: self.values.down_factor,
            });
        }
        if self.values.down_factor != 3 && !permits.down_factor {
            return Err(ConfigError::Refused {
                field: "a down factor other than 3",
            });
        }
        if self.values.preempt_hold > MAX_PREEMPT_HOLD {
            return Err(ConfigError::PreemptHold {
                value: self.values.preempt_hold,
            });
        }
        if !self.values.preempt_hold.is_zero() && !permits.preempt_hold {
            return Err(ConfigError::Refused {
                field: "a preempt hold",
            });
        }
        match self.values.switches.promotion_limit {
            Some(limit) if limit.promotions == 0 => Err(ConfigError::PromotionLimit),
            _ => Ok(()),
        }
    }

    fn validate_extras(&self) -> Result<(), ConfigError> {
        if self.values.transport.authentication != Authentication::None {
            if !self.values.switches.permits.authentication {
                return Err(ConfigError::Refused {
                    field: "authentication",
                });
            }
            if self.values.versions != Versions::Only(Version::V2) {
                return Err(ConfigError::AuthenticationInV3);
            }
        }
        #[cfg(feature = "hmac-trailer")]
        if let Some(trailer) = &self.values.transport.trailer {
            if !self.values.switches.permits.authentication {
                return Err(ConfigError::Refused {
                    field: "authentication by a trailer",
                });
            }
            trailer.validate()?;
        }
        let owner_only = self.values.switches.accept_mode == AcceptDefault::OwnerOnly;
        if owner_only && !self.values.is_owner && self.values.accept_mode == Some(true) {
            return Err(ConfigError::Refused {
                field: "accept mode",
            });
        }
        Ok(())
    }
}

const fn version_name(version: Version) -> &'static str {
    match version {
        Version::V2 => "VRRPv2",
        Version::V3 => "VRRPv3",
    }
}
