//! Packets and frames, built when they are sent.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Destinations, Node, Router};
use crate::address::{Family, MacAddress};
use crate::codec::{Advertisement, Authentication, GratuitousArp, Transmission, UnsolicitedNa};
use crate::config::RouterConfig;
use crate::error::EncodeError;
use crate::event::State;
use crate::guard::GuardStatus;
use crate::interval::Interval;
use crate::job::{Announcement, SendJob};
use crate::priority::Priority;
use crate::timer::Timestamp;
use crate::version::Version;

/// Why there is nothing to send.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EmitError {
    /// The router has stopped since, or its guard does not last until now: the job is done by
    /// sending nothing.
    #[error("the job was withdrawn")]
    Withdrawn,
    /// It cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl Node {
    /// Where an advertisement goes: the group, or each peer.
    pub fn destinations(&self, send: &SendJob) -> Destinations {
        let router = self.router(send.key);
        Destinations::of(router.map(|router| router.machine.config().mode()))
    }

    /// Writes the IP packet of an advertisement as of this moment, and gives its length
    /// (`VRRP-102`).
    ///
    /// # Errors
    ///
    /// [`EmitError::Withdrawn`] after the guard's end, whatever the driver was doing until now
    /// (`VRRP-216`).
    pub fn emit_packet(
        &mut self,
        now: Timestamp,
        send: &SendJob,
        destination: IpAddr,
        buffer: &mut [u8],
    ) -> Result<usize, EmitError> {
        self.emit(now, send, destination, |transmission, advertisement| {
            transmission.emit_packet(advertisement, buffer)
        })
    }

    /// The same without IP header, for raw sockets of IPv6; the hop limit is then for the socket to
    /// set: [`RouterConfig::ttl`].
    ///
    /// # Errors
    ///
    /// As [`emit_packet`](Self::emit_packet).
    pub fn emit_message(
        &mut self,
        now: Timestamp,
        send: &SendJob,
        destination: IpAddr,
        buffer: &mut [u8],
    ) -> Result<usize, EmitError> {
        self.emit(now, send, destination, |transmission, advertisement| {
            transmission.emit_message(advertisement, buffer)
        })
    }

    fn emit(
        &mut self,
        now: Timestamp,
        send: &SendJob,
        destination: IpAddr,
        write: impl FnOnce(&Transmission<'_>, &Advertisement<'_>) -> Result<usize, EncodeError>,
    ) -> Result<usize, EmitError> {
        let now = self.now.max(now);
        #[cfg(feature = "hmac-trailer")]
        let utc_offset = self.utc_offset;
        let mtu = self
            .config
            .interfaces
            .get(&send.interface)
            .map_or(1500, |interface| interface.mtu);
        let router = self
            .routers
            .get_mut(send.key)
            .filter(|router| router.id == send.router)
            .ok_or(EmitError::Withdrawn)?;
        let machine = &router.machine;
        let config = machine.config();
        if !send.priority.is_resign() && config.guard_retry().is_some() {
            let holds = matches!(machine.guard(), GuardStatus::Held { until, .. } if now < until);
            if machine.state() != State::Active || !holds {
                return Err(EmitError::Withdrawn);
            }
        }
        let source = machine.source().ok_or(EmitError::Withdrawn)?;
        let advertisement = advertisement(config, send.version, send.priority, send.interval);
        let mut transmission = Transmission::unicast(source, destination)
            .with_mtu(mtu)
            .with_ttl(config.ttl())
            .with_any_first_address(config.switches().permits.any_first_address)
            .with_checksum(router.follower.form());
        if send.version == Version::V2 {
            let authentication = config.authentication();
            if matches!(authentication, Authentication::Header(_)) {
                // One counter for sending and receiving, or a new Active would begin below what
                // the Backups have heard.
                let next = router.sequence.and_then(|last| last.checked_add(1));
                let sequence = next.unwrap_or(1);
                router.sequence = Some(sequence);
                // The header covers it, and the kernel chooses another for zero: raw(7).
                let [.., high, low] = sequence.to_be_bytes();
                let identification = u16::from_be_bytes([high, low]).max(1);
                transmission = transmission.with_identification(identification);
            }
            transmission = transmission
                .with_authentication(authentication, router.sequence.unwrap_or_default());
        }
        #[cfg(feature = "hmac-trailer")]
        if let Some(key) = config.trailer().and_then(|trailer| trailer.signs_with()) {
            let utc = utc_offset.map(|offset| offset.saturating_add(now));
            let sequence = router.trailers.next(utc.ok_or(EmitError::Withdrawn)?);
            transmission = transmission.with_trailer(key, sequence);
        }
        let length = write(&transmission, &advertisement)?;
        router.counters.record_sent(send.priority);
        Ok(length)
    }

    /// Writes the frame of an announcement, and gives its length.
    ///
    /// # Errors
    ///
    /// [`EmitError::Withdrawn`] if the router is not Active any more; for its own address, if it does
    /// not run or advertises from another.
    pub fn emit_announcement(
        &self,
        announcement: &Announcement,
        buffer: &mut [u8],
    ) -> Result<usize, EmitError> {
        let is_current = |router: &&Router| {
            let machine = &router.machine;
            router.id == announcement.router
                && if announcement.is_source {
                    let is_running = machine.state() != State::Initialize;
                    is_running && machine.source() == Some(announcement.address)
                } else {
                    router.work.is_installed()
                }
        };
        let router = self
            .router(announcement.key)
            .filter(is_current)
            .ok_or(EmitError::Withdrawn)?;
        let mac = if router.setup.has_virtual_mac && !announcement.is_source {
            let config = router.machine.config();
            config.vrid().virtual_mac(config.family())
        } else {
            let interface = self.config.interfaces.get(&announcement.interface);
            interface.map_or(MacAddress::ZERO, |interface| interface.mac)
        };
        let length = match announcement.address {
            IpAddr::V4(address) => {
                let mut arp = GratuitousArp::new(address, mac);
                arp.operation = announcement.operation;
                arp.target = self.config.settings.announce.arp_target;
                arp.emit_frame(buffer)?
            }
            IpAddr::V6(address) => UnsolicitedNa::new(address, mac).emit_frame(buffer)?,
        };
        Ok(length)
    }
}

fn advertisement(
    config: &RouterConfig,
    version: Version,
    priority: Priority,
    interval: Interval,
) -> Advertisement<'_> {
    Advertisement {
        version,
        vrid: config.vrid(),
        priority,
        interval: match version {
            Version::V2 => {
                Interval::from_seconds(interval.seconds_rounded_up()).unwrap_or(interval)
            }
            Version::V3 => interval,
        },
        addresses: config.addresses().as_addresses(),
    }
}

/// Whether each advertisement of a router could be sent over a link with this MTU. One that takes
/// itself for Active and is never heard would be worse than none.
pub(super) fn check_advertisements(config: &RouterConfig, mtu: u16) -> Result<(), EncodeError> {
    // All addresses of a family are as long.
    let source = match config.family() {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    for version in [Version::V2, Version::V3] {
        if !config.versions().accepts(version) {
            continue;
        }
        let mut transmission = Transmission::multicast(source)
            .with_mtu(mtu)
            .with_any_first_address(config.switches().permits.any_first_address);
        if version == Version::V2 {
            transmission = transmission.with_authentication(config.authentication(), 0);
        }
        #[cfg(feature = "hmac-trailer")]
        if let Some(key) = config.trailer().and_then(|trailer| trailer.signs_with()) {
            transmission = transmission.with_trailer(key, 0);
        }
        let longest = advertisement(config, version, config.priority(), config.interval());
        transmission.check(&longest)?;
    }
    Ok(())
}
