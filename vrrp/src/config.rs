//! Configuration of a virtual router: what it is, how it behaves, and what is refused.
//!
//! Setters take any value; [`RouterConfig::validate`] names the first that is wrong, its value and
//! its limit. A machine is made of valid configurations only.

mod error;
#[cfg(feature = "hmac-trailer")]
mod trailer;
mod transport;

use alloc::boxed::Box;
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

/// One virtual router.
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
    /// Rarely looked at, and away from what every step reads.
    transport: Box<Transport>,
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
        Self {
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
            transport: Box::new(Transport::new(addresses.family())),
            guard_retry: None,
            router_advertisements: false,
            switches: Profile::Linux.switches(),
            addresses,
        }
    }

    /// Sets the versions: one, or both for an upgrade.
    pub fn with_versions(mut self, versions: Versions) -> Self {
        self.versions = versions;
        self
    }

    /// Sets the base priority, 1 to 254, of a router that does not own the addresses.
    pub fn with_priority(mut self, priority: Priority) -> Self {
        (self.priority, self.is_owner) = (priority, false);
        self
    }

    /// Says that the addresses are real addresses of this router's interface: its priority is 255,
    /// whatever trackers say, it always preempts and accepts (`VRRP-014`, `VRRP-045`).
    pub fn as_owner(mut self) -> Self {
        (self.priority, self.is_owner) = (Priority::OWNER, true);
        self
    }

    /// Sets the advertisement interval.
    pub fn with_interval(mut self, interval: Interval) -> Self {
        self.interval = interval;
        self
    }

    /// Sets other virtual addresses; the id stays.
    pub fn with_addresses(mut self, addresses: AddressList) -> Self {
        self.addresses = addresses;
        self
    }

    /// Sets addresses, of either family, that are installed but not advertised. Two routers of one
    /// interface cannot have the same
    /// ([`NodeError::AddressTwice`](crate::node::NodeError::AddressTwice)).
    pub fn with_excluded_addresses(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.excluded = addresses.into_iter().collect();
        self
    }

    /// Sets whether a Backup of higher priority takes over from a living Active. The owner does
    /// whatever is set.
    pub fn with_preempt(mut self, preempt: bool) -> Self {
        self.preempt = preempt;
        self
    }

    /// Sets for how long a Backup bears an Active of lower priority before it preempts. An Active
    /// that falls silent or resigns is replaced without that delay (`VRRP-212`).
    pub fn with_preempt_hold(mut self, hold: Duration) -> Self {
        self.preempt_hold = hold;
        self
    }

    /// Sets whether an Active that does not own the addresses accepts packets to them.
    pub fn with_accept_mode(mut self, accept: bool) -> Self {
        self.accept_mode = Some(accept);
        self
    }

    /// Sets how many intervals of silence mean that the Active is gone. Anything but 3 deviates from
    /// the RFCs, and all routers must agree.
    pub fn with_down_factor(mut self, factor: u8) -> Self {
        self.down_factor = factor;
        self
    }

    /// Sets how VRRPv2 is authenticated.
    pub fn with_authentication(mut self, authentication: Authentication) -> Self {
        self.transport.authentication = authentication;
        self
    }

    /// Authenticates advertisements of either version by keepalived's `auth_hmac` trailer.
    #[cfg(feature = "hmac-trailer")]
    pub fn with_trailer(mut self, trailer: TrailerConfig) -> Self {
        self.transport.trailer = Some(trailer);
        self
    }

    /// Makes a [guard](crate::guard) a condition for being Active. It is asked for again after this
    /// time, or the skew time if that is longer.
    pub fn with_guard(mut self, retry: Duration) -> Self {
        self.guard_retry = Some(retry);
        self
    }

    /// Sets whether the Active sends router advertisements (IPv6).
    pub fn with_router_advertisements(mut self, send: bool) -> Self {
        self.router_advertisements = send;
        self
    }

    /// Sets the switches, as from a [`Profile`].
    pub fn with_switches(mut self, switches: Switches) -> Self {
        self.switches = switches;
        self
    }

    /// Its virtual router id.
    #[must_use]
    pub const fn vrid(&self) -> Vrid {
        self.vrid
    }

    /// The family of its addresses.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.addresses.family()
    }

    /// The versions it speaks.
    #[must_use]
    pub const fn versions(&self) -> Versions {
        self.versions
    }

    /// The priority before trackers: 255 for the owner.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// Whether it owns the addresses.
    #[must_use]
    pub const fn is_owner(&self) -> bool {
        self.is_owner
    }

    /// Its advertisement interval.
    #[must_use]
    pub const fn interval(&self) -> Interval {
        self.interval
    }

    /// The virtual addresses it advertises.
    #[must_use]
    pub const fn addresses(&self) -> &AddressList {
        &self.addresses
    }

    /// The virtual addresses it does not advertise.
    #[must_use]
    pub fn excluded_addresses(&self) -> &[IpAddr] {
        &self.excluded
    }

    /// Whether it takes over from a living Active of lower priority.
    #[must_use]
    pub const fn preempts(&self) -> bool {
        self.preempt || self.is_owner
    }

    /// For how long it bears such an Active.
    #[must_use]
    pub const fn preempt_hold(&self) -> Duration {
        self.preempt_hold
    }

    /// Whether it accepts packets to the virtual addresses while Active (`VRRP-046`, `VRRP-072`).
    #[must_use]
    pub const fn accepts(&self) -> bool {
        self.is_owner
            || match self.accept_mode {
                Some(accept) => accept,
                None => matches!(self.switches.accept_mode, AcceptDefault::On),
            }
    }

    /// How many intervals of silence mean that the Active is gone.
    #[must_use]
    pub const fn down_factor(&self) -> u8 {
        self.down_factor
    }

    /// How VRRPv2 is authenticated.
    #[must_use]
    pub fn authentication(&self) -> &Authentication {
        &self.transport.authentication
    }

    /// The `auth_hmac` trailer, if there is to be one.
    #[cfg(feature = "hmac-trailer")]
    #[must_use]
    pub fn trailer(&self) -> Option<&TrailerConfig> {
        self.transport.trailer.as_ref()
    }

    /// After what time the guard is asked for again, if there is one.
    #[must_use]
    pub const fn guard_retry(&self) -> Option<Duration> {
        self.guard_retry
    }

    /// Whether the Active sends router advertisements.
    #[must_use]
    pub fn router_advertisements(&self) -> bool {
        self.router_advertisements && self.family() == Family::Ipv6
    }

    /// The switches.
    #[must_use]
    pub const fn switches(&self) -> &Switches {
        &self.switches
    }

    /// The priority it advertises when trackers add this much in sum: base and sum, cut once to 1
    /// to 254; 255 for the owner, whatever trackers say (`VRRP-015`, `VRRP-211`).
    #[must_use]
    pub fn effective_priority(&self, contribution: i64) -> Priority {
        if self.is_owner {
            return Priority::OWNER;
        }
        let sum = i64::from(self.priority.get()).saturating_add(contribution);
        Priority::new(u8::try_from(sum.clamp(1, 254)).unwrap_or(254))
    }

    /// How long it bears silence of an Active that advertises at its own interval.
    #[must_use]
    pub fn active_down_interval(&self) -> Duration {
        let version = self.timer_version();
        timer::active_down_interval(version, self.priority, self.interval, self.down_factor)
    }

    /// The version whose timers it uses: those of VRRPv3 if it speaks both (`VRRP-133`).
    pub(crate) const fn timer_version(&self) -> Version {
        match self.versions {
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
        let mut advertised = self.addresses.as_addresses().iter();
        let foreign = advertised.find(|address| !real_addresses.contains(address));
        match foreign {
            _ if self.switches.permits.any_owner => Ok(()),
            Some(address) if self.is_owner => Err(ConfigError::NotOwned { address }),
            None if !self.is_owner => Err(ConfigError::Owned {
                priority: self.priority.get(),
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
        let permits = self.switches.permits;
        for (version, permitted) in [(Version::V2, permits.v2), (Version::V3, permits.v3)] {
            if !self.versions.accepts(version) {
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
        let value = self.priority.get();
        if self.is_owner || (1..=254).contains(&value) {
            Ok(())
        } else {
            Err(ConfigError::Priority { value })
        }
    }

    /// `VRRP-043`
    fn validate_interval(&self) -> Result<(), ConfigError> {
        let interval = self.interval;
        let fits_v2 =
            self.versions != Versions::Only(Version::V2) || interval.whole_seconds().is_some();
        let fits_v3 = !self.versions.accepts(Version::V3) || interval <= Interval::MAX_V3;
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
        let advertised = self.addresses.as_addresses();
        let is_valid = advertised.first_is_valid() || self.switches.permits.any_first_address;
        if let Some(address) = advertised.first().filter(|_| !is_valid) {
            return Err(ConfigError::FirstNotLinkLocal { address });
        }
        let mut excluded: Vec<IpAddr> = self.excluded.to_vec();
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
        let permits = self.switches.permits;
        if self.down_factor == 0 || self.down_factor > MAX_DOWN_FACTOR {
            return Err(ConfigError::DownFactor {
                value: self.down_factor,
            });
        }
        if self.down_factor != 3 && !permits.down_factor {
            return Err(ConfigError::Refused {
                field: "a down factor other than 3",
            });
        }
        if self.preempt_hold > MAX_PREEMPT_HOLD {
            return Err(ConfigError::PreemptHold {
                value: self.preempt_hold,
            });
        }
        if !self.preempt_hold.is_zero() && !permits.preempt_hold {
            return Err(ConfigError::Refused {
                field: "a preempt hold",
            });
        }
        match self.switches.promotion_limit {
            Some(limit) if limit.promotions == 0 => Err(ConfigError::PromotionLimit),
            _ => Ok(()),
        }
    }

    fn validate_extras(&self) -> Result<(), ConfigError> {
        if self.transport.authentication != Authentication::None {
            if !self.switches.permits.authentication {
                return Err(ConfigError::Refused {
                    field: "authentication",
                });
            }
            if self.versions != Versions::Only(Version::V2) {
                return Err(ConfigError::AuthenticationInV3);
            }
        }
        #[cfg(feature = "hmac-trailer")]
        if let Some(trailer) = &self.transport.trailer {
            if !self.switches.permits.authentication {
                return Err(ConfigError::Refused {
                    field: "authentication by a trailer",
                });
            }
            trailer.validate()?;
        }
        let owner_only = self.switches.accept_mode == AcceptDefault::OwnerOnly;
        if owner_only && !self.is_owner && self.accept_mode == Some(true) {
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
