//! A virtual address and how it is to be installed.

use alloc::string::String;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressProtocol, CacheInfo};

use crate::address::InterfaceIndex;
use crate::lease::address_lifetime;
use crate::net::clock;
use crate::net::links::InterfaceAddress;
use crate::net::netlink::{Request, RequestMessage, address};
use crate::timer::Timestamp;

/// Bytes of a label at most: `IFNAMSIZ` without the zero byte.
const LABEL: usize = 15;

/// Which address of which interface.
#[expect(clippy::exhaustive_structs, reason = "an interface and an address")]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AddressKey {
    /// The interface.
    pub interface: InterfaceIndex,
    /// The address.
    pub address: IpAddr,
}

impl fmt::Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on interface {}", self.address, self.interface.get())
    }
}

/// Something about a virtual address that no interface can have.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddressError {
    /// A prefix that is empty or longer than the address.
    #[error("prefix length {value} of {address} is not in 1..={limit}")]
    PrefixLen {
        /// The address.
        address: IpAddr,
        /// The length given.
        value: u8,
        /// The bits of an address.
        limit: u8,
    },
    /// A label that is empty, too long, or has characters of its own meaning.
    #[error(
        "label {value:?} of {address} is not 1 to {LABEL} printable bytes without blanks and slashes"
    )]
    Label {
        /// The address.
        address: IpAddr,
        /// The label given.
        value: String,
    },
    /// A label for an IPv6 address.
    #[error("label {value:?} of {address}: only IPv4 addresses have labels")]
    LabelOfIpv6 {
        /// The address.
        address: IpAddr,
        /// The label given.
        value: String,
    },
    /// A broadcast address for an IPv6 address.
    #[error("broadcast address {value} of {address}: only IPv4 addresses have one")]
    BroadcastOfIpv6 {
        /// The address.
        address: IpAddr,
        /// The broadcast address given.
        value: Ipv4Addr,
    },
    /// A lifetime longer than the kernel can count.
    #[error("lifetime {value:?} of {address} is longer than {limit:?}")]
    Lifetime {
        /// The address.
        address: IpAddr,
        /// The lifetime given.
        value: Duration,
        /// The longest there is.
        limit: Duration,
    },
}

/// A virtual address and how it is to be installed.
///
/// ```
/// use core::time::Duration;
/// use lvs_vrrp::InterfaceIndex;
/// use lvs_vrrp::net::addresses::VirtualAddress;
///
/// let address = "192.0.2.10".parse()?;
/// let address = VirtualAddress::new(InterfaceIndex::new(2), address)
///     .with_lifetime(Some(Duration::from_secs(5)))?;
/// assert_eq!(address.to_string(), "192.0.2.10/32 on interface 2");
/// assert_eq!(
///     address.with_prefix_len(33).unwrap_err().to_string(),
///     "prefix length 33 of 192.0.2.10 is not in 1..=32"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VirtualAddress {
    key: AddressKey,
    prefix_len: u8,
    scope: u8,
    label: Option<String>,
    broadcast: Option<Ipv4Addr>,
    has_prefix_route: bool,
    is_preferred: bool,
    // Whole seconds; `None` for ever.
    lifetime: Option<u32>,
    // Whatever its lifetime, it must be gone by then.
    gone_by: Option<Timestamp>,
}

impl VirtualAddress {
    /// The longest lifetime: longer ones would be taken for endless, or overflow the kernel's
    /// clock on 32-bit machines.
    pub const LONGEST: Duration = Duration::from_secs(0x7fff_ffff / 1000);

    /// This address on this interface, alone in its subnet (/32 or /128), of scope 0, for ever.
    /// An IPv6 address is no source for packets to others.
    #[must_use]
    pub const fn new(interface: InterfaceIndex, address: IpAddr) -> Self {
        Self {
            key: AddressKey { interface, address },
            prefix_len: longest_prefix(address),
            scope: 0,
            label: None,
            broadcast: None,
            has_prefix_route: false,
            is_preferred: address.is_ipv4(),
            lifetime: None,
            gone_by: None,
        }
    }

    /// Ends its lifetime early enough that it is gone by then (spec §4.2 rule 7).
    pub(in crate::net) const fn with_gone_by(mut self, gone_by: Option<Timestamp>) -> Self {
        self.gone_by = gone_by;
        self
    }

    /// It could not be gone in time.
    pub(super) fn is_too_late(&self, now: Timestamp) -> bool {
        self.gone_by
            .is_some_and(|gone_by| address_lifetime(now, gone_by).is_none())
    }

    /// The lifetime that it gets now.
    pub(super) fn lifetime_at(&self, now: Timestamp) -> Option<Duration> {
        let bound = self.gone_by.map(|gone_by| {
            let lifetime = address_lifetime(now, gone_by);
            // One that is too late is not asked for: a second is the least there is.
            lifetime.unwrap_or(Duration::from_secs(1))
        });
        [self.lifetime(), bound].into_iter().flatten().min()
    }

    /// Where it is.
    #[must_use]
    pub const fn key(&self) -> AddressKey {
        self.key
    }

    /// Bits of its prefix.
    #[must_use]
    pub const fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// For how long it is there when nobody renews it, in whole seconds; `None` for ever.
    #[must_use]
    pub fn lifetime(&self) -> Option<Duration> {
        self.lifetime
            .map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// Gives it a subnet: the bits of its prefix, 1 to 32 or 128.
    ///
    /// # Errors
    ///
    /// [`AddressError::PrefixLen`].
    pub fn with_prefix_len(mut self, value: u8) -> Result<Self, AddressError> {
        let address = self.key.address;
        let limit = longest_prefix(address);
        if value == 0 || value > limit {
            return Err(AddressError::PrefixLen {
                address,
                value,
                limit,
            });
        }
        self.prefix_len = value;
        Ok(self)
    }

    /// Gives it another scope: 253 for the link, 254 for the host. `ip-address(8)` IPv4 only: that of
    /// an IPv6 address is what it begins with.
    #[must_use]
    pub const fn with_scope(mut self, scope: u8) -> Self {
        self.scope = scope;
        self
    }

    /// Gives it a name, such as `eth0:1`. IPv4 only; older tools want it to start with the
    /// interface's.
    ///
    /// # Errors
    ///
    /// [`AddressError::Label`], [`AddressError::LabelOfIpv6`].
    pub fn with_label(mut self, label: &str) -> Result<Self, AddressError> {
        let address = self.key.address;
        let value = String::from(label);
        if address.is_ipv6() {
            return Err(AddressError::LabelOfIpv6 { address, value });
        }
        let is_printable = |byte: &u8| byte.is_ascii_graphic() && *byte != b'/';
        if label.is_empty() || label.len() > LABEL || !label.as_bytes().iter().all(is_printable) {
            return Err(AddressError::Label { address, value });
        }
        self.label = Some(value);
        Ok(self)
    }

    /// Gives it the address at which all hosts of its subnet are reached, for programs that ask for
    /// it and for the kernel, which takes packets to it for broadcasts. IPv4 only. Default: none; the
    /// last address of the subnet that its route makes is one all the same.
    ///
    /// # Errors
    ///
    /// [`AddressError::BroadcastOfIpv6`].
    pub fn with_broadcast(mut self, value: Ipv4Addr) -> Result<Self, AddressError> {
        let address = self.key.address;
        if address.is_ipv6() {
            return Err(AddressError::BroadcastOfIpv6 { address, value });
        }
        self.broadcast = Some(value);
        Ok(self)
    }

    /// Whether the kernel makes a route to its subnet, as `ip address add` does. Default: no.
    #[must_use]
    pub const fn with_prefix_route(mut self, has_route: bool) -> Self {
        self.has_prefix_route = has_route;
        self
    }

    /// Whether packets to others may come from it. Default: IPv4 yes, IPv6 no (it is *deprecated*,
    /// as keepalived does it; connections to it are as ever). For IPv4 it makes no difference.
    #[must_use]
    pub const fn with_preferred(mut self, is_preferred: bool) -> Self {
        self.is_preferred = is_preferred;
        self
    }

    /// For how long it is there when nobody renews it, rounded up to whole seconds; `None` for
    /// ever.
    ///
    /// # Errors
    ///
    /// [`AddressError::Lifetime`] beyond [`LONGEST`](Self::LONGEST).
    pub fn with_lifetime(mut self, lifetime: Option<Duration>) -> Result<Self, AddressError> {
        self.lifetime = match lifetime {
            None => None,
            Some(value) => {
                let is_over = value.subsec_nanos() > 0;
                let seconds = value.as_secs().saturating_add(is_over.into()).max(1);
                match u32::try_from(seconds) {
                    Ok(seconds) if value <= Self::LONGEST => Some(seconds),
                    _ => {
                        return Err(AddressError::Lifetime {
                            address: self.key.address,
                            value,
                            limit: Self::LONGEST,
                        });
                    }
                }
            }
        };
        Ok(self)
    }

    /// Whether an address that is there can become like this one, or must be removed first.
    pub(super) fn can_replace(&self, there: &InterfaceAddress) -> bool {
        let is_labelled = self.label.is_none() || self.label == there.label;
        // The scope of an IPv6 address is what it begins with.
        let is_scoped = self.key.address.is_ipv6() || self.scope == there.scope;
        // What is there with another one keeps that.
        let is_broadcast = self.broadcast == there.broadcast;
        self.prefix_len == there.prefix_len && is_labelled && is_scoped && is_broadcast
    }

    /// Adds it; refused if it is there.
    pub(super) fn addition(&self, tag: Option<u8>) -> Request {
        Request::new(&self.message(tag), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Sets what it is like, above all its lifetime, and adds it if it is not there.
    pub(super) fn replacement(&self, tag: Option<u8>) -> Request {
        Request::new(&self.message(tag), NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Removes it.
    pub(super) fn removal(&self) -> Request {
        let AddressKey { interface, address } = self.key;
        let message = address::message(interface, address, self.prefix_len);
        Request::new(&RequestMessage::DelAddress(message), 0)
    }

    fn message(&self, tag: Option<u8>) -> RequestMessage {
        let AddressKey { interface, address } = self.key;
        let mut message = address::message(interface, address, self.prefix_len);
        message.header.scope = self.scope.into();
        let mut flags = AddressFlags::empty();
        flags.set(AddressFlags::Nodad, address.is_ipv6());
        flags.set(AddressFlags::Noprefixroute, !self.has_prefix_route);
        address::set_flags(&mut message, flags);
        let mut cache = CacheInfo::default();
        let lifetime = self.lifetime_at(clock::now());
        let lifetime = lifetime.and_then(|lifetime| u32::try_from(lifetime.as_secs()).ok());
        cache.ifa_valid = lifetime.unwrap_or(u32::MAX);
        cache.ifa_preferred = if self.is_preferred {
            cache.ifa_valid
        } else {
            0
        };
        let attributes = &mut message.attributes;
        attributes.push(AddressAttribute::CacheInfo(cache));
        attributes.extend(self.label.clone().map(AddressAttribute::Label));
        attributes.extend(self.broadcast.map(AddressAttribute::Broadcast));
        let tag = tag.map(AddressProtocol::from);
        attributes.extend(tag.map(AddressAttribute::Protocol));
        RequestMessage::NewAddress(message)
    }
}

impl fmt::Display for VirtualAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AddressKey { interface, address } = self.key;
        let (length, interface) = (self.prefix_len, interface.get());
        write!(f, "{address}/{length} on interface {interface}")
    }
}

const fn longest_prefix(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}
