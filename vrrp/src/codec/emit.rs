//! Writes advertisements: the message alone, with its IP header, or the whole frame.

use core::net::{IpAddr, Ipv4Addr};

use super::auth::{AH_LEN, AH_PROTOCOL};
use super::ethernet::{HEADER_LEN, ethernet_header};
use super::ip::{Ipv4Header, ipv6_control_head, put_address};
use super::{Advertisement, Authentication, Writer, v2, v3};
use crate::address::{Family, MacAddress, PROTOCOL, TTL};
use crate::checksum::{ChecksumForm, Sum};
use crate::error::EncodeError;
use crate::version::Version;

#[cfg(feature = "hmac-trailer")]
use super::TrailerKey;

/// How an advertisement travels: between which addresses, and everything else that is not part of
/// its value.
///
/// ```
/// use lvs_vrrp::codec::{Advertisement, Transmission};
/// use lvs_vrrp::{AddressList, Interval, Priority, Version, Vrid};
///
/// let addresses = AddressList::new(["192.0.2.1".parse()?])?;
/// let advertisement = Advertisement {
///     version: Version::V3,
///     vrid: Vrid::try_from(51)?,
///     priority: Priority::DEFAULT,
///     interval: Interval::from_centiseconds(25)?,
///     addresses: addresses.as_addresses(),
/// };
/// let mut buffer = [0; 1500];
/// let length = Transmission::multicast("192.0.2.11".parse()?)
///     .emit_packet(&advertisement, &mut buffer)?;
/// assert_eq!(length, 20 + 8 + 4);
/// assert_eq!(buffer[16..20], [224, 0, 0, 18]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What is written replaces every byte of its length and none behind it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Transmission<'a> {
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
    identification: u16,
    mtu: u16,
    checksum: ChecksumForm,
    authentication: &'a Authentication,
    sequence: u32,
    any_first_address: bool,
    #[cfg(feature = "hmac-trailer")]
    trailer: Option<(&'a TrailerKey, u64)>,
}

impl<'a> Transmission<'a> {
    /// To the group of the source's family. The source is the primary address of the interface for
    /// IPv4, a link-local address of it for IPv6 (`VRRP-001`, `VRRP-007`, `VRRP-105`).
    pub const fn multicast(source: IpAddr) -> Self {
        Self::unicast(source, Family::of(source).group())
    }

    /// To a single peer, or to another group.
    pub const fn unicast(source: IpAddr, destination: IpAddr) -> Self {
        Self {
            source,
            destination,
            ttl: TTL,
            identification: 0,
            mtu: 1500,
            checksum: ChecksumForm::PseudoHeader,
            authentication: &Authentication::None,
            sequence: 0,
            any_first_address: false,
            #[cfg(feature = "hmac-trailer")]
            trailer: None,
        }
    }

    /// Sets time to live or hop limit; 255 by default (`VRRP-004`, `VRRP-009`). To a group nothing
    /// else is of use: every receiver discards it.
    pub const fn with_ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets the identification of the IPv4 header; 0 by default. The authentication header covers
    /// it, so a kernel must not change it afterwards.
    pub const fn with_identification(mut self, identification: u16) -> Self {
        self.identification = identification;
        self
    }

    /// Sets how many bytes a packet may have, IP header included; 1500 by default.
    pub const fn with_mtu(mut self, mtu: u16) -> Self {
        self.mtu = mtu;
        self
    }

    /// Sets what the checksum of VRRPv3 over IPv4 covers; with pseudo-header by default. Other
    /// checksums have one form.
    pub const fn with_checksum(mut self, form: ChecksumForm) -> Self {
        self.checksum = form;
        self
    }

    /// Sets the authentication of VRRPv2, by default none, and the sequence number, which only the
    /// authentication header has: it must be higher in each packet.
    pub const fn with_authentication(mut self, by: &'a Authentication, sequence: u32) -> Self {
        self.authentication = by;
        self.sequence = sequence;
        self
    }

    /// Sends a list too whose first IPv6 address is not link-local, as keepalived does; by default
    /// it is refused (`VRRP-029`).
    pub const fn with_any_first_address(mut self, any: bool) -> Self {
        self.any_first_address = any;
        self
    }

    /// Appends keepalived's `auth_hmac` trailer with this sequence (see
    /// [`TrailerView::sequence`](super::TrailerView::sequence)).
    #[cfg(feature = "hmac-trailer")]
    pub const fn with_trailer(mut self, key: &'a TrailerKey, sequence: u64) -> Self {
        self.trailer = Some((key, sequence));
        self
    }

    /// Writes the message, and the trailer if there is one; gives their length.
    ///
    /// # Errors
    ///
    /// [`EncodeError`]; [`EncodeError::NeedsIpHeader`] for the authentication header.
    #[inline]
    pub fn emit_message(
        &self,
        advertisement: &Advertisement<'_>,
        buffer: &mut [u8],
    ) -> Result<usize, EncodeError> {
        let layout = self.layout(advertisement)?;
        if layout.auth > 0 {
            return Err(EncodeError::NeedsIpHeader);
        }
        let message = take(buffer, layout.message_and_trailer())?;
        self.write_message(advertisement, &layout, message);
        Ok(message.len())
    }

    /// Writes the packet: IP header, authentication header if there is one, message; gives its
    /// length.
    ///
    /// # Errors
    ///
    /// [`EncodeError`]
    #[inline]
    pub fn emit_packet(
        &self,
        advertisement: &Advertisement<'_>,
        buffer: &mut [u8],
    ) -> Result<usize, EncodeError> {
        let layout = self.layout(advertisement)?;
        let packet = take(buffer, layout.packet())?;
        self.write_packet(advertisement, &layout, packet);
        Ok(packet.len())
    }

    /// Writes the Ethernet frame, without padding and check sequence; gives its length.
    ///
    /// # Errors
    ///
    /// [`EncodeError`]
    pub fn emit_frame(
        &self,
        advertisement: &Advertisement<'_>,
        destination: MacAddress,
        source: MacAddress,
        buffer: &mut [u8],
    ) -> Result<usize, EncodeError> {
        let layout = self.layout(advertisement)?;
        let frame = take(buffer, HEADER_LEN.saturating_add(layout.packet()))?;
        let length = frame.len();
        let (header, packet) = frame.split_at_mut(HEADER_LEN);
        Writer::new(header).put(&ethernet_header(destination, source, layout.family));
        self.write_packet(advertisement, &layout, packet);
        Ok(length)
    }

    /// Whether it could be written.
    pub(crate) fn check(&self, advertisement: &Advertisement<'_>) -> Result<(), EncodeError> {
        self.layout(advertisement).map(|_| ())
    }

    /// Checks everything and says how long each part will be.
    #[inline]
    fn layout(&self, advertisement: &Advertisement<'_>) -> Result<Layout, EncodeError> {
        let addresses = advertisement.addresses;
        let version = advertisement.version;
        let family = addresses.family();
        let Some(count) = u8::try_from(addresses.len())
            .ok()
            .filter(|count| *count > 0)
        else {
            return Err(EncodeError::AddressCount {
                count: addresses.len(),
            });
        };
        if !self.any_first_address && !addresses.first_is_valid() {
            let address = addresses.first().unwrap_or(self.source);
            return Err(EncodeError::FirstNotLinkLocal { address });
        }
        for (field, address) in [("source", self.source), ("destination", self.destination)] {
            if Family::of(address) != family {
                return Err(EncodeError::Family { field, address });
            }
        }
        let interval = advertisement.interval;
        let interval = match version {
            Version::V2 if family == Family::Ipv6 => return Err(EncodeError::Version { version }),
            Version::V2 => interval.whole_seconds().map(u16::from),
            Version::V3 if !matches!(self.authentication, Authentication::None) => {
                return Err(EncodeError::Authentication { version });
            }
            Version::V3 => Some(interval.centiseconds()).filter(|cs| *cs <= 0x0fff),
        }
        .ok_or_else(|| EncodeError::Interval {
            centiseconds: interval.centiseconds(),
            version,
        })?;
        let layout = Layout {
            family,
            count,
            interval,
            ip: match family {
                Family::Ipv4 => 20,
                Family::Ipv6 => 40,
            },
            auth: match self.authentication {
                Authentication::Header(_) => AH_LEN,
                _ => 0,
            },
            fixed: match version {
                Version::V2 => v2::FIXED_LEN,
                Version::V3 => v3::FIXED_LEN,
            },
            addresses: addresses.octets().len(),
            trailer: self.trailer_len(),
        };
        if layout.packet() > usize::from(self.mtu) {
            let others = layout.packet().saturating_sub(layout.addresses);
            let room = usize::from(self.mtu).saturating_sub(others);
            return Err(EncodeError::Mtu {
                count: addresses.len(),
                fits: room.checked_div(family.address_len()).unwrap_or(0),
                mtu: self.mtu,
            });
        }
        Ok(layout)
    }

    /// Writes exactly the bytes of the packet.
    #[inline]
    fn write_packet(&self, advertisement: &Advertisement<'_>, layout: &Layout, packet: &mut [u8]) {
        let (IpAddr::V4(source), IpAddr::V4(destination)) = (self.source, self.destination) else {
            return self.write_ipv6(advertisement, layout, packet);
        };
        let (header, rest) = packet.split_at_mut(layout.ip.min(packet.len()));
        let (auth, message) = rest.split_at_mut(layout.auth.min(rest.len()));
        let bytes = self.ipv4_header(source, destination, layout).bytes();
        Writer::new(header).put(&bytes);
        self.write_message(advertisement, layout, message);
        let signed = match self.authentication {
            Authentication::Header(key) => key.sign(&bytes, self.sequence, message),
            _ => None,
        };
        if let Some(header) = signed {
            Writer::new(auth).put(&header);
        }
    }

    fn ipv4_header(&self, source: Ipv4Addr, destination: Ipv4Addr, layout: &Layout) -> Ipv4Header {
        Ipv4Header {
            source,
            destination,
            ttl: self.ttl,
            protocol: if layout.auth > 0 {
                AH_PROTOCOL
            } else {
                PROTOCOL
            },
            identification: self.identification,
            // At most the MTU.
            total_len: u16::try_from(layout.packet()).unwrap_or(u16::MAX),
        }
    }

    fn write_ipv6(&self, advertisement: &Advertisement<'_>, layout: &Layout, packet: &mut [u8]) {
        let (header, message) = packet.split_at_mut(layout.ip.min(packet.len()));
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        let mut header = Writer::new(header);
        header.put(&ipv6_control_head(length, PROTOCOL, self.ttl));
        put_address(&mut header, self.source);
        put_address(&mut header, self.destination);
        self.write_message(advertisement, layout, message);
    }

    /// Writes exactly the bytes of message and trailer.
    #[inline]
    fn write_message(&self, advertisement: &Advertisement<'_>, layout: &Layout, bytes: &mut [u8]) {
        let addresses = advertisement.addresses.octets();
        let head = |checksum: u16| {
            let [i0, i1] = layout.interval.to_be_bytes();
            let [c0, c1] = checksum.to_be_bytes();
            [
                advertisement.version.number() << 4 | 1,
                advertisement.vrid.get(),
                advertisement.priority.get(),
                layout.count,
                match advertisement.version {
                    Version::V2 => self.authentication.auth_type().number(),
                    Version::V3 => i0,
                },
                i1,
                c0,
                c1,
            ]
        };
        let (bytes, trailer) = bytes.split_at_mut(layout.message().min(bytes.len()));
        let sum = Sum::new().with(&head(0)).with(addresses);
        let mut writer = Writer::new(bytes);
        if advertisement.version == Version::V2 {
            let data = match self.authentication {
                Authentication::Simple(password) => password.octets(),
                _ => [0; 8],
            };
            writer.put(&head(sum.with(&data).checksum()));
            writer.put(addresses);
            writer.put(&data);
            return self.write_trailer(advertisement, bytes, trailer);
        }
        let sum = match (layout.family, self.checksum) {
            (Family::Ipv4, ChecksumForm::MessageOnly) => sum,
            (Family::Ipv4, ChecksumForm::PseudoHeader) => {
                sum.with_pseudo_header(self.source, self.destination, layout.message())
            }
            (Family::Ipv6, _) => {
                let length = layout.message_and_trailer();
                sum.with_pseudo_header(self.source, self.destination, length)
            }
        };
        writer.put(&head(sum.checksum()));
        writer.put(addresses);
        if trailer.is_empty() {
            return;
        }
        self.write_trailer(advertisement, bytes, trailer);
        if layout.family == Family::Ipv6 {
            // This checksum covers the trailer, which in turn takes it as zero.
            Writer::new(bytes).put(&head(sum.with(trailer).checksum()));
        }
    }

    #[cfg(feature = "hmac-trailer")]
    const fn trailer_len(&self) -> usize {
        match self.trailer {
            Some(_) => super::trailer::TRAILER_LEN,
            None => 0,
        }
    }

    #[cfg(not(feature = "hmac-trailer"))]
    #[expect(clippy::unused_self, reason = "the feature makes use of it")]
    const fn trailer_len(&self) -> usize {
        0
    }

    #[cfg(feature = "hmac-trailer")]
    fn write_trailer(&self, advertisement: &Advertisement<'_>, message: &[u8], trailer: &mut [u8]) {
        let signed = self
            .trailer
            .and_then(|(key, sequence)| key.sign(advertisement, self.source, message, sequence));
        if let Some(signed) = signed {
            Writer::new(trailer).put(&signed);
        }
    }

    #[cfg(not(feature = "hmac-trailer"))]
    #[expect(clippy::unused_self, reason = "the feature makes use of it")]
    const fn write_trailer(&self, _: &Advertisement<'_>, _: &[u8], _: &mut [u8]) {}
}

/// How long each part of a packet is, and the fields that were checked on the way.
struct Layout {
    family: Family,
    count: u8,
    /// In the unit of the version.
    interval: u16,
    ip: usize,
    auth: usize,
    fixed: usize,
    addresses: usize,
    trailer: usize,
}

impl Layout {
    const fn message(&self) -> usize {
        self.fixed.saturating_add(self.addresses)
    }

    const fn message_and_trailer(&self) -> usize {
        self.message().saturating_add(self.trailer)
    }

    const fn packet(&self) -> usize {
        self.message_and_trailer()
            .saturating_add(self.ip)
            .saturating_add(self.auth)
    }
}

/// The beginning of the buffer.
fn take(buffer: &mut [u8], needed: usize) -> Result<&mut [u8], EncodeError> {
    let given = buffer.len();
    buffer
        .get_mut(..needed)
        .ok_or(EncodeError::Buffer { given, needed })
}
