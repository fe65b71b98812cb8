//! Virtual services: identity, settings, and what the kernel reports.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use crate::address::{Endpoint, Family};
use crate::flags::ServiceFlags;
use crate::name::EngineName;
use crate::persistence::{Persistence, PersistenceMask};
use crate::scheduler::Scheduler;
use crate::stats::Stats;
use crate::unknown::UnknownAttributes;

/// An IP protocol number.
///
/// IPVS balances [`TCP`](Self::TCP), [`UDP`](Self::UDP) and [`SCTP`](Self::SCTP). The kernel
/// stores other numbers too, but no packet ever matches them.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Protocol(u16);

impl Protocol {
    /// Transmission Control Protocol, 6.
    pub const TCP: Self = Self(6);
    /// User Datagram Protocol, 17.
    pub const UDP: Self = Self(17);
    /// Stream Control Transmission Protocol, 132.
    pub const SCTP: Self = Self(132);

    /// The protocol with that number.
    #[must_use]
    pub const fn from_number(number: u16) -> Self {
        Self(number)
    }

    /// The IP protocol number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TCP => f.pad("TCP"),
            Self::UDP => f.pad("UDP"),
            Self::SCTP => f.pad("SCTP"),
            Self(number) => write!(f, "protocol {number}"),
        }
    }
}

/// What identifies a virtual service within a network namespace.
///
/// `Display` writes it as `TCP 192.0.2.10:80`, `UDP [2001:db8::1]:53` or `fwmark 7 IPv6`.
#[expect(
    clippy::exhaustive_enums,
    reason = "the kernel's two ways to name a service"
)]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ServiceKey {
    /// Protocol, virtual address and port.
    Address {
        /// TCP, UDP or SCTP.
        protocol: Protocol,
        /// Virtual address.
        address: IpAddr,
        /// Virtual port, 1 to 65535; 0 means every port and needs persistence.
        port: u16,
    },
    /// A firewall mark; the same mark may exist once for each family.
    FirewallMark {
        /// Family of the packets.
        family: Family,
        /// The mark, 1 to 4294967295; the kernel compares all 32 bits.
        mark: u32,
    },
}

impl ServiceKey {
    /// Key of a TCP service.
    #[must_use]
    pub const fn tcp(address: SocketAddr) -> Self {
        Self::address(Protocol::TCP, address)
    }

    /// Key of a UDP service.
    #[must_use]
    pub const fn udp(address: SocketAddr) -> Self {
        Self::address(Protocol::UDP, address)
    }

    /// Key of an SCTP service.
    #[must_use]
    pub const fn sctp(address: SocketAddr) -> Self {
        Self::address(Protocol::SCTP, address)
    }

    const fn address(protocol: Protocol, address: SocketAddr) -> Self {
        Self::Address {
            protocol,
            address: address.ip(),
            port: address.port(),
        }
    }

    /// Key of a firewall-mark service.
    #[must_use]
    pub const fn firewall_mark(family: Family, mark: u32) -> Self {
        Self::FirewallMark { family, mark }
    }

    /// The address family.
    #[must_use]
    pub const fn family(&self) -> Family {
        match *self {
            Self::Address { address, .. } => Family::of(address),
            Self::FirewallMark { family, .. } => family,
        }
    }

    /// The virtual port; `None` for firewall marks.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        match *self {
            Self::Address { port, .. } => Some(port),
            Self::FirewallMark { .. } => None,
        }
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Address {
                protocol,
                address,
                port,
            } => {
                write!(f, "{protocol} {}", Endpoint(address, port))
            }
            Self::FirewallMark {
                family: Family::Inet,
                mark,
            } => write!(f, "fwmark {mark}"),
            Self::FirewallMark {
                family: Family::Inet6,
                mark,
            } => write!(f, "fwmark {mark} IPv6"),
        }
    }
}

/// A virtual service: its key and its settings.
///
/// Settings are replaced as a whole by the kernel, so read a service before changing one of
/// them, or describe all of them.
///
/// ```
/// use lvs_ipvs::{Persistence, Scheduler, VirtualService};
///
/// let web = VirtualService::tcp("192.0.2.10:443".parse()?)
///     .with_scheduler(Scheduler::Sh)
///     .with_persistence(Persistence::new(360));
/// assert_eq!(web.key().to_string(), "TCP 192.0.2.10:443");
/// web.validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct VirtualService {
    pub(crate) key: ServiceKey,
    pub(crate) scheduler: Scheduler,
    pub(crate) flags: ServiceFlags,
    pub(crate) timeout_secs: u32,
    pub(crate) mask: PersistenceMask,
    pub(crate) engine: Option<EngineName>,
    pub(crate) unknown: UnknownAttributes,
}

impl VirtualService {
    /// A service with the defaults of `ipvsadm`: scheduler `wlc`, no flags, no persistence.
    pub const fn new(key: ServiceKey) -> Self {
        Self {
            key,
            scheduler: Scheduler::Wlc,
            flags: ServiceFlags::empty(),
            timeout_secs: 0,
            mask: PersistenceMask::full(key.family()),
            engine: None,
            unknown: UnknownAttributes::none(),
        }
    }

    /// A TCP service on that address and port.
    pub const fn tcp(address: SocketAddr) -> Self {
        Self::new(ServiceKey::tcp(address))
    }

    /// A UDP service on that address and port.
    pub const fn udp(address: SocketAddr) -> Self {
        Self::new(ServiceKey::udp(address))
    }

    /// An SCTP service on that address and port.
    pub const fn sctp(address: SocketAddr) -> Self {
        Self::new(ServiceKey::sctp(address))
    }

    /// A service for packets of that family that carry a firewall mark.
    pub const fn firewall_mark(family: Family, mark: u32) -> Self {
        Self::new(ServiceKey::firewall_mark(family, mark))
    }

    /// Replaces the scheduler. Default: `wlc`.
    pub const fn with_scheduler(mut self, scheduler: Scheduler) -> Self {
        self.scheduler = scheduler;
        self
    }

    /// Turns persistence on.
    pub fn with_persistence(mut self, persistence: Persistence) -> Self {
        self.flags.insert(ServiceFlags::PERSISTENT);
        self.timeout_secs = persistence.timeout_secs;
        self.mask = persistence
            .mask
            .unwrap_or_else(|| PersistenceMask::full(self.key.family()));
        self.engine = persistence.engine;
        self
    }

    /// Turns persistence off and its settings back to their defaults.
    pub fn without_persistence(mut self) -> Self {
        self.flags.remove(ServiceFlags::PERSISTENT);
        self.timeout_secs = 0;
        self.mask = PersistenceMask::full(self.key.family());
        self.engine = None;
        self
    }

    /// Replaces all flags except [`ServiceFlags::PERSISTENT`], which belongs to
    /// [`with_persistence`](Self::with_persistence).
    pub fn with_flags(mut self, flags: ServiceFlags) -> Self {
        let persistent = self.flags & ServiceFlags::PERSISTENT;
        self.flags = (flags - ServiceFlags::HASHED - ServiceFlags::PERSISTENT) | persistent;
        self
    }

    /// Schedules every datagram on its own (UDP and firewall-mark services).
    pub fn with_one_packet(mut self) -> Self {
        self.flags.insert(ServiceFlags::ONE_PACKET);
        self
    }

    /// Takes over the attributes of a service read from the kernel that this crate has no
    /// field for, so that replacing its settings does not drop them.
    pub fn with_unknown(mut self, unknown: UnknownAttributes) -> Self {
        self.unknown = unknown;
        self
    }

    /// What identifies the service.
    #[must_use]
    pub const fn key(&self) -> ServiceKey {
        self.key
    }

    /// The scheduler.
    #[must_use]
    pub const fn scheduler(&self) -> Scheduler {
        self.scheduler
    }

    /// The flags, without the kernel-internal [`ServiceFlags::HASHED`].
    #[must_use]
    pub const fn flags(&self) -> ServiceFlags {
        self.flags
    }

    /// Persistence, if it is on. A mask that keeps the whole address is left out.
    #[must_use]
    pub fn persistence(&self) -> Option<Persistence> {
        self.flags
            .contains(ServiceFlags::PERSISTENT)
            .then(|| Persistence {
                timeout_secs: self.timeout_secs,
                mask: Some(self.mask).filter(|mask| !mask.is_full()),
                engine: self.engine,
            })
    }

    /// Persistence timeout as stored, in seconds; kept by the kernel even when persistence is
    /// off.
    #[must_use]
    pub const fn timeout_secs(&self) -> u32 {
        self.timeout_secs
    }

    /// Persistence mask as stored; kept by the kernel even when persistence is off.
    #[must_use]
    pub const fn mask(&self) -> PersistenceMask {
        self.mask
    }

    /// Persistence engine as stored; kept by the kernel even when persistence is off.
    #[must_use]
    pub const fn engine(&self) -> Option<EngineName> {
        self.engine
    }

    /// Attributes this crate has no field for.
    #[must_use]
    pub const fn unknown(&self) -> &UnknownAttributes {
        &self.unknown
    }

    /// Whether both have the same effect: equal in everything but unknown attributes and, while
    /// persistence is off, its leftover settings.
    #[must_use]
    pub fn same_settings(&self, other: &Self) -> bool {
        self.key == other.key
            && self.scheduler == other.scheduler
            && self.flags == other.flags
            && self.persistence() == other.persistence()
    }
}

/// A virtual service as the kernel reports it.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceEntry {
    /// Key and settings.
    pub service: VirtualService,
    /// Counters and rates, up to 2 s old.
    pub stats: Stats,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> VirtualService {
        VirtualService::tcp("192.0.2.10:80".parse().unwrap())
    }

    #[test]
    fn keys_print_in_the_fields_notation() {
        assert_eq!(service().key().to_string(), "TCP 192.0.2.10:80");
        let key = ServiceKey::udp("[2001:db8::1]:53".parse().unwrap());
        assert_eq!(key.to_string(), "UDP [2001:db8::1]:53");
        assert_eq!(
            ServiceKey::firewall_mark(Family::Inet, 7).to_string(),
            "fwmark 7"
        );
        assert_eq!(
            ServiceKey::firewall_mark(Family::Inet6, 7).to_string(),
            "fwmark 7 IPv6"
        );
    }

    #[test]
    fn flags_cannot_turn_persistence_on_or_off() {
        let on = service()
            .with_persistence(Persistence::new(60))
            .with_flags(ServiceFlags::empty());
        assert!(on.persistence().is_some());
        let off = service().with_flags(ServiceFlags::PERSISTENT | ServiceFlags::HASHED);
        assert!(off.persistence().is_none());
        assert!(off.flags().is_empty());
    }

    #[test]
    fn turning_persistence_off_forgets_its_settings() {
        let mask = PersistenceMask::Inet([255, 255, 0, 0].into());
        let persistent = service().with_persistence(Persistence::new(60).with_mask(mask));
        assert_eq!(persistent.without_persistence(), service());
    }

    #[test]
    fn leftover_persistence_settings_do_not_count_as_a_difference() {
        let mut leftover = service();
        leftover.timeout_secs = 60;
        assert!(leftover.same_settings(&service()));
        assert!(
            !service()
                .with_persistence(Persistence::new(60))
                .same_settings(&service())
        );
    }
}
