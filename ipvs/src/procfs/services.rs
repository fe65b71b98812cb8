//! `/proc/net/ip_vs`: the table, for those who may not use netlink.

use core::net::IpAddr;
use std::fs::File;
use std::io::{BufRead, BufReader};

use super::error::{MalformedLine, ReadError};
use super::lines::{Line, Lines};
use super::open;
use super::words::{Word, Words, decimal, protocol};
use crate::address::Family;
use crate::destination::DestinationKey;
use crate::error::Error;
use crate::forwarding::Forwarding;
use crate::info::{Info, IpvsVersion};
use crate::name::SchedulerName;
use crate::persistence::PersistenceMask;
use crate::scheduler::Scheduler;
use crate::service::{Protocol, ServiceKey};

/// A reader of `/proc/net/ip_vs`.
///
/// Everybody may read the file, where netlink wants `CAP_NET_ADMIN`. It shows less: no
/// thresholds, statistics, scheduler flags, tunnels or persistence engines, not the family of a
/// mark, and persistence in the kernel's own units.
///
/// As an iterator it gives services with their destinations; [`next_row`](Self::next_row) gives
/// line after line and keeps none. The kernel walks its table while it is read: what changes
/// meanwhile can be missing or there twice.
///
/// ```no_run
/// use lvs_ipvs::procfs::Services;
///
/// for service in Services::open()? {
///     let service = service?;
///     let active: u32 = service.destinations.iter().map(|it| it.active_connections).sum();
///     println!("{:?}: {active} active connections", service.key);
/// }
/// # Ok::<(), lvs_ipvs::Error>(())
/// ```
#[derive(Debug)]
pub struct Services<R = BufReader<File>> {
    lines: Lines<R>,
    info: Option<Info>,
    /// The service whose destinations are being read.
    service: Option<ListedService>,
    /// What went wrong in the line that ended that service.
    error: Option<ReadError>,
}

impl Services {
    /// Opens the file of the calling thread's network namespace.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when there is no such file: the module `ip_vs` is not loaded, and
    /// looking here does not load it. [`Error::Io`] when it may not be read.
    pub fn open() -> Result<Self, Error> {
        open("ip_vs").map(Self::new)
    }
}

impl<R: BufRead> Services<R> {
    /// Reads the table from any source, such as a copy of the file.
    pub const fn new(reader: R) -> Self {
        Self {
            lines: Lines::new(reader),
            info: None,
            service: None,
            error: None,
        }
    }

    /// Version of IPVS and size of the connection table: the first line of the file. `None`
    /// before that was read.
    #[must_use]
    pub const fn info(&self) -> Option<Info> {
        self.info
    }

    /// Reads the next line; `None` at the end. Captions are left out.
    ///
    /// After a malformed line reading goes on with the next one; after a failure to read nothing
    /// comes.
    pub fn next_row(&mut self) -> Option<Result<ServicesRow, ReadError>> {
        loop {
            if let Err(error) = self.lines.advance()? {
                return Some(Err(error));
            }
            let line = self.lines.line();
            let is_caption = match line.number {
                2 => line.text.starts_with(b"Prot "),
                3 => line.text.starts_with(b"  -> RemoteAddress:Port "),
                _ => false,
            };
            if is_caption {
                continue;
            }
            let row = ServicesRow::read(line).map_err(ReadError::from);
            if let Ok(ServicesRow::Info(info)) = row {
                self.info = Some(info);
            }
            return Some(row);
        }
    }
}

/// Services with their destinations, which are in memory for one service at a time.
///
/// A destination that cannot be read is an error of its own and missing from its service. So are
/// the destinations of a service that cannot be read.
impl<R: BufRead> Iterator for Services<R> {
    type Item = Result<ListedService, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.error.take() {
            return Some(Err(error));
        }
        loop {
            match self.next_row() {
                None => return self.service.take().map(Ok),
                Some(Ok(ServicesRow::Info(_))) => {}
                Some(Ok(ServicesRow::Service(service))) => {
                    if let Some(previous) = self.service.replace(service) {
                        return Some(Ok(previous));
                    }
                }
                Some(Ok(ServicesRow::Destination(destination))) => match &mut self.service {
                    Some(service) => service.destinations.push(destination),
                    None => {
                        let number = self.lines.line().number;
                        let expected = "a service before its destinations";
                        let error = MalformedLine::new(number, 1, "service", b"", expected);
                        return Some(Err(error.into()));
                    }
                },
                Some(Err(error)) => {
                    let is_destination = self.lines.line().text.starts_with(b"  -> ");
                    if is_destination {
                        return Some(Err(error));
                    }
                    // It may have been a service: what follows is not the previous one's.
                    let Some(service) = self.service.take() else {
                        return Some(Err(error));
                    };
                    self.error = Some(error);
                    return Some(Ok(service));
                }
            }
        }
    }
}

/// A line of `/proc/net/ip_vs`.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ServicesRow {
    /// The first line: version and size of the connection table.
    Info(Info),
    /// A service; its destinations are the rows that follow.
    Service(ListedService),
    /// A destination of the service above.
    Destination(ListedDestination),
}

impl ServicesRow {
    fn read(line: Line<'_>) -> Result<Self, MalformedLine> {
        let mut words = Words::new(line);
        let first = words.word();
        if line.number == 1 && first.text == b"IP" {
            return read_info(words).map(Self::Info);
        }
        if first.text == b"->" {
            return ListedDestination::read(words).map(Self::Destination);
        }
        ListedService::read(first, words).map(Self::Service)
    }
}

/// `IP Virtual Server version 1.2.1 (size=4096)`, after the first word.
fn read_info(mut words: Words<'_>) -> Result<Info, MalformedLine> {
    for expected in ["Virtual", "Server", "version"] {
        let word = words.word();
        if word.text != expected.as_bytes() {
            return Err(word.malformed("caption", "IP Virtual Server version"));
        }
    }
    let word = words.word();
    let mut parts = word.text.split(|byte| *byte == b'.').map(decimal);
    let mut part = || {
        parts
            .next()
            .flatten()
            .and_then(|part| u8::try_from(part).ok())
    };
    let version = (|| Some(u32::from_be_bytes([0, part()?, part()?, part()?])))();
    let version = version.filter(|_| parts.next().is_none());
    let version =
        version.ok_or_else(|| word.malformed("version", "three numbers of at most 255"))?;
    let word = words.word();
    let size = word
        .text
        .strip_prefix(b"(size=")
        .and_then(|text| text.strip_suffix(b")"))
        .and_then(decimal)
        .and_then(|size| size.try_into().ok());
    let size = size.ok_or_else(|| word.malformed("table size", "(size=NUMBER)"))?;
    words.end()?;
    Ok(Info {
        version: IpvsVersion::from_number(version),
        connection_table_size: size,
    })
}

/// A service as `/proc/net/ip_vs` shows it.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedService {
    /// What identifies it.
    pub key: ListedKey,
    /// The scheduler.
    pub scheduler: Scheduler,
    /// Whether every packet is scheduled on its own. Not shown for IPv6 services that are not
    /// marks: there it is always `false`.
    pub one_packet: bool,
    /// Persistence, if it is on.
    pub persistence: Option<ListedPersistence>,
    /// Its destinations, newest first; empty in a [`ServicesRow`].
    pub destinations: Vec<ListedDestination>,
}

/// What identifies a service, as far as the file says.
#[expect(
    clippy::exhaustive_enums,
    reason = "the kernel's two ways to name a service"
)]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ListedKey {
    /// Protocol, address and port.
    Address {
        /// The protocol; `None` for a name that this crate does not know.
        protocol: Option<Protocol>,
        /// Virtual address.
        address: IpAddr,
        /// Virtual port; 0 means every port.
        port: u16,
    },
    /// A firewall mark. The file does not say of which family, and the same mark may be there
    /// for both.
    FirewallMark(u32),
}

impl ListedKey {
    /// Whether it may be the key of this service.
    #[must_use]
    pub fn may_be(&self, service: &ServiceKey) -> bool {
        match (*self, *service) {
            (
                Self::Address {
                    protocol,
                    address,
                    port,
                },
                ServiceKey::Address {
                    protocol: other_protocol,
                    address: other_address,
                    port: other_port,
                },
            ) => (protocol, address, port) == (Some(other_protocol), other_address, other_port),
            (Self::FirewallMark(mark), ServiceKey::FirewallMark { mark: other, .. }) => {
                mark == other
            }
            _ => false,
        }
    }
}

impl ListedService {
    /// Reads the rest of a line.
    fn read(first: Word<'_>, mut words: Words<'_>) -> Result<Self, MalformedLine> {
        let word = words.word();
        let key = if first.text == b"FWM" {
            let mark = word.hexadecimal("mark")?.try_into();
            ListedKey::FirewallMark(
                mark.map_err(|_| word.malformed("mark", "a number of at most 32 bits"))?,
            )
        } else if first.text.is_empty() {
            return Err(first.malformed("protocol", "a name, FWM or ->"));
        } else {
            let (address, port) = end("virtual address", word)?;
            ListedKey::Address {
                protocol: protocol(first.text),
                address,
                port,
            }
        };
        let word = words.word();
        let scheduler = SchedulerName::from_kernel(word.text)
            .map(Scheduler::from_name)
            .ok_or_else(|| word.malformed("scheduler", "a name of 1 to 15 bytes"))?;
        let mut one_packet = false;
        let mut persistence = None;
        while !words.is_at_end() {
            match words.word().text {
                b"ops" => one_packet = true,
                b"persistent" => {
                    let ticks = words.word().decimal("persistence timeout")?;
                    let word = words.word();
                    let mask = word.hexadecimal("persistence mask")?.try_into();
                    let mask = mask.map_err(|_| {
                        word.malformed("persistence mask", "a number of at most 32 bits")
                    });
                    persistence = Some(ListedPersistence {
                        timeout_ticks: ticks,
                        mask_bits: mask?,
                    });
                }
                // What a newer kernel has to say.
                _ => {}
            }
        }
        Ok(Self {
            key,
            scheduler,
            one_packet,
            persistence,
            destinations: Vec::new(),
        })
    }
}

/// Persistence in the units of the file.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ListedPersistence {
    /// The timeout in ticks of the kernel, of which there are `HZ` in a second: 60 s are 6000 on
    /// a kernel with `HZ=100` and 15000 with 250. The file does not say which.
    pub timeout_ticks: u64,
    /// The mask as the file has it. For IPv6 that is a prefix length with the bytes of a network
    /// order number: 64 is `0x4000_0000` on little-endian machines.
    pub mask_bits: u32,
}

impl ListedPersistence {
    /// The timeout in seconds, if you know the kernel's `HZ`; `None` for 0.
    #[must_use]
    pub const fn timeout_secs(&self, hz: u32) -> Option<u64> {
        #[expect(clippy::as_conversions, reason = "widens; `From` is not const")]
        self.timeout_ticks.checked_div(hz as u64)
    }

    /// The mask, if you know the family: that of the address, and of a mark only you can tell.
    #[must_use]
    pub const fn mask(&self, family: Family) -> PersistenceMask {
        match family {
            Family::Inet => PersistenceMask::Inet(core::net::Ipv4Addr::from_bits(self.mask_bits)),
            // The kernel takes it for an address and converts it from network order.
            Family::Inet6 => PersistenceMask::Inet6(self.mask_bits.to_be()),
        }
    }
}

/// A destination as `/proc/net/ip_vs` shows it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ListedDestination {
    /// Address and port.
    pub key: DestinationKey,
    /// How packets get there; `None` for a name that this crate does not know. The kernel writes
    /// `Masq` for whatever it has no name for.
    pub forwarding: Option<Forwarding>,
    /// Weight; 0 means quiesced.
    pub weight: u32,
    /// Connections that are active.
    pub active_connections: u32,
    /// Other connections.
    pub inactive_connections: u32,
}

impl ListedDestination {
    /// Reads what stands after the arrow.
    fn read(mut words: Words<'_>) -> Result<Self, MalformedLine> {
        let (address, port) = end("destination address", words.word())?;
        let word = words.word();
        let forwarding = match word.text {
            b"Masq" => Some(Forwarding::Masquerade),
            b"Local" => Some(Forwarding::Local),
            b"Tunnel" => Some(Forwarding::Tunnel),
            b"Route" => Some(Forwarding::DirectRoute),
            b"Bypass" => Some(Forwarding::Bypass),
            b"" => return Err(word.malformed("forwarding method", "a name")),
            _ => None,
        };
        let mut number = |field| {
            let word = words.word();
            let number = word.decimal(field)?.try_into();
            number.map_err(|_| word.malformed(field, "a number of at most 32 bits"))
        };
        Ok(Self {
            key: DestinationKey { address, port },
            forwarding,
            weight: number("weight")?,
            active_connections: number("active connections")?,
            inactive_connections: number("inactive connections")?,
        })
    }
}

/// `ADDRESS:PORT`, IPv6 in brackets.
fn end(field: &'static str, word: Word<'_>) -> Result<(IpAddr, u16), MalformedLine> {
    let Some((address, port)) = word.split_last(b':') else {
        return Err(word.malformed(field, "an address, a colon and a port"));
    };
    let bare = address.without_prefix(b"[");
    let bare = bare.and_then(|address| address.without_suffix(b"]"));
    let (address, family) = bare.map_or((address, Family::Inet), |bare| (bare, Family::Inet6));
    let read = address.address(field)?;
    if Family::of(read) != family {
        return Err(address.malformed(field, "brackets around IPv6 only"));
    }
    Ok((read, port.port("port")?))
}
