//! What the kernel does not check, or refuses with a bare `EINVAL`.
//!
//! Every request of a client passes through here first (of reads only the firewall mark), so that
//! a mistake gets an error with field, value and limit. What only the kernel can know (does the
//! service exist, is the scheduler there) is left to it. Where the kernel is more lenient than
//! this module, the rule says so; [`Options::validate`](crate::client::Options::validate) turns
//! the checks off.

use crate::address::Family;
use crate::config::Timeouts;
use crate::daemon::SyncDaemon;
use crate::destination::Destination;
use crate::flags::{ServiceFlags, TunnelFlags};
use crate::forwarding::{Forwarding, TunnelType};
use crate::invalid::{InvalidValue, ValidationError};
use crate::persistence::PersistenceMask;
use crate::service::{Protocol, ServiceKey, VirtualService};

/// Largest weight and threshold: the kernel reads them as signed 32-bit numbers.
pub const MAX_WEIGHT: u32 = i32::MAX as u32;
/// Longest persistence timeout, 31 days, as in `ipvsadm`. The kernel takes more and wraps it in
/// 32 bits of ticks: beyond 49 days at `HZ=1000`.
pub const MAX_PERSISTENCE_SECS: u32 = 2_678_400;
/// Longest protocol timeout of a kernel with `HZ=100`; with a higher `HZ` less is accepted.
pub const MAX_TIMEOUT_SECS: u32 = i32::MAX as u32 / 100;
/// Largest UDP payload of the sync daemon over IPv4.
pub const MAX_SYNC_LENGTH: u16 = 65_507;

fn in_range(
    field: &'static str,
    value: u32,
    range: core::ops::RangeInclusive<u32>,
    limit: &'static str,
) -> Result<(), ValidationError> {
    if range.contains(&value) {
        Ok(())
    } else {
        Err(ValidationError::number(field, value.into(), limit))
    }
}

impl ServiceKey {
    /// Checks what can be wrong with a key alone.
    ///
    /// # Errors
    ///
    /// A protocol other than TCP, UDP and SCTP (the kernel stores it, and never matches a
    /// packet), or firewall mark 0 (the kernel takes it for the service `TCP 0.0.0.0:0`).
    pub fn validate(&self) -> Result<(), ValidationError> {
        match *self {
            Self::Address {
                protocol: Protocol::TCP | Protocol::UDP | Protocol::SCTP,
                ..
            } => Ok(()),
            Self::Address { protocol, .. } => Err(ValidationError::number(
                "protocol",
                protocol.number().into(),
                "must be 6 (TCP), 17 (UDP) or 132 (SCTP)",
            )),
            Self::FirewallMark { .. } => self.validate_mark(),
        }
    }

    /// What has to hold also for something that exists and is to be read or removed.
    pub(crate) fn validate_mark(&self) -> Result<(), ValidationError> {
        match *self {
            Self::Address { .. } => Ok(()),
            Self::FirewallMark { mark, .. } => in_range(
                "firewall mark",
                mark,
                1..=u32::MAX,
                "must be 1 to 4294967295",
            ),
        }
    }
}

impl VirtualService {
    /// Checks key and settings, as every client does before it sends them.
    ///
    /// # Errors
    ///
    /// The first field that cannot be right.
    pub fn validate(&self) -> Result<(), ValidationError> {
        self.key.validate()?;
        let persistent = self.flags.contains(ServiceFlags::PERSISTENT);
        if self.key.port() == Some(0) && !persistent {
            let limit = "a port of 0 means every port and needs persistence";
            return Err(ValidationError::number("port", 0, limit));
        }
        if persistent {
            in_range(
                "persistence timeout",
                self.timeout_secs,
                1..=MAX_PERSISTENCE_SECS,
                "must be 1 to 2678400 seconds (31 days)",
            )?;
        }
        self.validate_mask()?;
        self.validate_flags()
    }

    fn validate_mask(&self) -> Result<(), ValidationError> {
        match (self.mask, self.key.family()) {
            (PersistenceMask::Inet(mask), Family::Inet) => {
                let bits = mask.to_bits();
                if bits.leading_ones() == bits.count_ones() {
                    return Ok(());
                }
                let value = InvalidValue::Address(mask.into());
                Err(ValidationError::new(
                    "persistence mask",
                    value,
                    "must be contiguous",
                ))
            }
            (PersistenceMask::Inet6(prefix), Family::Inet6) => in_range(
                "persistence prefix length",
                prefix,
                1..=128,
                "must be 1 to 128",
            ),
            (PersistenceMask::Inet(mask), Family::Inet6) => Err(ValidationError::new(
                "persistence mask",
                InvalidValue::Address(mask.into()),
                "an IPv6 service takes a prefix length",
            )),
            (PersistenceMask::Inet6(prefix), Family::Inet) => Err(ValidationError::number(
                "persistence prefix length",
                prefix.into(),
                "an IPv4 service takes a netmask",
            )),
        }
    }

    fn validate_flags(&self) -> Result<(), ValidationError> {
        if self.flags.contains(ServiceFlags::ONE_PACKET) {
            if let ServiceKey::Address { protocol, .. } = self.key {
                if protocol != Protocol::UDP {
                    return Err(ValidationError::number(
                        "protocol",
                        protocol.number().into(),
                        "one-packet scheduling is for UDP (17) and firewall-mark services",
                    ));
                }
            }
        }
        if self.flags.intersects(ServiceFlags::SCHEDULER)
            && self.scheduler.reads_flags() == Some(false)
        {
            return Err(ValidationError::new(
                "scheduler",
                InvalidValue::Scheduler(self.scheduler.known_name().unwrap_or_default()),
                "does not read scheduler flags; sh and mh do",
            ));
        }
        Ok(())
    }
}

impl Destination {
    /// Checks the settings of a destination of that service, as every client does before it
    /// sends them.
    ///
    /// # Errors
    ///
    /// The first field that cannot be right.
    pub fn validate(&self, service: &ServiceKey) -> Result<(), ValidationError> {
        service.validate()?;
        let limit = "must be 0 to 2147483647";
        in_range("weight", self.weight, 0..=MAX_WEIGHT, limit)?;
        in_range(
            "upper threshold",
            self.upper_threshold,
            0..=MAX_WEIGHT,
            limit,
        )?;
        if self.lower_threshold > self.upper_threshold {
            return Err(ValidationError::number(
                "lower threshold",
                self.lower_threshold.into(),
                "must not be above the upper threshold; where that is 0 it must be 0",
            ));
        }
        if self.forwarding.number() > Forwarding::DirectRoute.number() {
            return Err(ValidationError::new(
                "forwarding method",
                InvalidValue::Forwarding(self.forwarding),
                "must be masquerade, local, tunnel or direct route",
            ));
        }
        if self.key.family() != service.family() && self.forwarding != Forwarding::Tunnel {
            return Err(ValidationError::new(
                "destination address",
                InvalidValue::Address(self.key.address),
                "only a tunnel may lead to the other address family",
            ));
        }
        if matches!(
            self.forwarding,
            Forwarding::Tunnel | Forwarding::DirectRoute
        ) && service
            .port()
            .is_some_and(|port| port != 0 && self.key.port != 0 && port != self.key.port)
        {
            return Err(ValidationError::number(
                "destination port",
                self.key.port.into(),
                "tunnel and direct route keep the port of the virtual service",
            ));
        }
        self.validate_encapsulation()
    }

    fn validate_encapsulation(&self) -> Result<(), ValidationError> {
        let tunnel = self.encapsulation;
        let flags = tunnel.flags.bits();
        let flag_error = |limit| Err(ValidationError::number("tunnel flags", flags.into(), limit));
        match tunnel.tunnel_type {
            // The kernel refuses this whatever the forwarding method.
            TunnelType::GUE if tunnel.port == 0 => {
                return Err(ValidationError::number(
                    "tunnel port",
                    0,
                    "GUE needs 1 to 65535",
                ));
            }
            TunnelType::GUE if flags > TunnelFlags::REMOTE_CHECKSUM.bits() => {
                return flag_error("GUE takes checksum or remote checksum");
            }
            TunnelType::GRE if flags > TunnelFlags::CHECKSUM.bits() => {
                return flag_error("GRE takes checksum only");
            }
            TunnelType::IPIP if flags != 0 => return flag_error("IPIP has no checksum"),
            TunnelType::GUE | TunnelType::GRE | TunnelType::IPIP => {}
            other => {
                return Err(ValidationError::number(
                    "tunnel type",
                    other.number().into(),
                    "must be 0 (IPIP), 1 (GUE) or 2 (GRE)",
                ));
            }
        }
        if tunnel.tunnel_type != TunnelType::GUE && tunnel.port != 0 {
            let limit = "only GUE has a port";
            return Err(ValidationError::number(
                "tunnel port",
                tunnel.port.into(),
                limit,
            ));
        }
        Ok(())
    }
}

impl SyncDaemon {
    /// Checks what can be wrong before the interface is looked at.
    ///
    /// # Errors
    ///
    /// The first field that cannot be right. The kernel would accept sync ids above 255 and
    /// send only their low eight bits.
    pub fn validate(&self) -> Result<(), ValidationError> {
        in_range("sync id", self.sync_id, 0..=255, "must be 0 to 255")?;
        if let Some(length) = self.max_length {
            let range = 1..=MAX_SYNC_LENGTH.into();
            in_range(
                "sync message length",
                length.into(),
                range,
                "must be 1 to 65507 bytes",
            )?;
        }
        if let Some(group) = self.group {
            if !group.is_multicast() {
                let value = InvalidValue::Address(group);
                return Err(ValidationError::new(
                    "sync group",
                    value,
                    "must be multicast",
                ));
            }
        }
        if self.port == Some(0) {
            return Err(ValidationError::number(
                "sync port",
                0,
                "must be 1 to 65535",
            ));
        }
        if self.ttl == Some(0) {
            return Err(ValidationError::number("sync TTL", 0, "must be 1 to 255"));
        }
        Ok(())
    }
}

impl Timeouts {
    /// Checks the range all kernels share; the kernel's own upper limit depends on its `HZ`.
    ///
    /// # Errors
    ///
    /// The first value above 21474836 seconds.
    pub fn validate(&self) -> Result<(), ValidationError> {
        for (field, value) in [
            ("TCP timeout", self.tcp_secs),
            ("TCP FIN timeout", self.tcp_fin_secs),
            ("UDP timeout", self.udp_secs),
        ] {
            let limit = "must be 0 to 21474836 seconds";
            in_range(field, value.unwrap_or(0), 0..=MAX_TIMEOUT_SECS, limit)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
