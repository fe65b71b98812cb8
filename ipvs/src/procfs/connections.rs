//! `/proc/net/ip_vs_conn` and `/proc/net/ip_vs_conn_sync`: who is connected to which server.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::fs::File;
use std::io::{BufRead, BufReader};

use super::error::{MalformedLine, ReadError};
use super::lines::{Line, Lines};
use super::open;
use super::state::ConnectionState;
use super::words::{Words, decimal, protocol};
use crate::address::Family;
use crate::destination::DestinationKey;
use crate::error::Error;
use crate::name::EngineName;
use crate::service::{Protocol, ServiceKey};

/// A reader of `/proc/net/ip_vs_conn` or `/proc/net/ip_vs_conn_sync`, one row at a time.
///
/// As an iterator it gives [`Connection`] values; [`next_row`](Self::next_row) gives rows that
/// borrow the line they stand in, and allocates nothing. The two files differ in the origin,
/// which the second one has, and in what a persistence engine left, which the first one has.
///
/// The kernel walks its table while it is read: a connection can be missed or shown twice while
/// the table changes. Reading takes time in proportion to the table.
///
/// A client that keeps sending datagrams keeps its entry, so over UDP a drain may never end
/// (`OP-10`).
///
/// ```no_run
/// use lvs_ipvs::Destination;
/// use lvs_ipvs::procfs::Connections;
///
/// // Who is still connected to the server that is being drained?
/// let draining = Destination::masquerade(([10, 0, 0, 11], 80).into()).key();
/// for connection in Connections::open()? {
///     let connection = connection?;
///     if connection.is_to(&draining) && !connection.is_template() {
///         println!("{} {}", connection.client, connection.state);
///     }
/// }
/// # Ok::<(), lvs_ipvs::Error>(())
/// ```
#[derive(Debug)]
pub struct Connections<R = BufReader<File>> {
    lines: Lines<R>,
}

impl Connections {
    /// Opens `ip_vs_conn` of the calling thread's network namespace. No privilege is needed.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when there is no such file: the module `ip_vs` is not loaded, and
    /// looking here does not load it. [`Error::Io`] when it may not be read.
    pub fn open() -> Result<Self, Error> {
        open("ip_vs_conn").map(Self::new)
    }

    /// Opens `ip_vs_conn_sync` of the calling thread's network namespace.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_sync() -> Result<Self, Error> {
        open("ip_vs_conn_sync").map(Self::new)
    }
}

impl<R: BufRead> Connections<R> {
    /// Reads rows from any source, such as a copy of the file. The captions are not needed.
    pub const fn new(reader: R) -> Self {
        Self {
            lines: Lines::new(reader),
        }
    }

    /// Reads the next row; `None` at the end.
    ///
    /// After a malformed line reading goes on with the next one; after a failure to read nothing
    /// comes.
    pub fn next_row(&mut self) -> Option<Result<ConnectionRow<'_>, ReadError>> {
        loop {
            if let Err(error) = self.lines.advance()? {
                return Some(Err(error));
            }
            let line = self.lines.line();
            if !(line.number == 1 && line.text.starts_with(b"Pro ")) {
                break;
            }
        }
        Some(ConnectionRow::read(self.lines.line()).map_err(ReadError::from))
    }

    /// Counts the connections that are to the liking of `wanted`, to the end of the file.
    ///
    /// ```
    /// use lvs_ipvs::Destination;
    /// use lvs_ipvs::procfs::Connections;
    ///
    /// let file = "\
    /// Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
    /// TCP 0A010002 E7EC C000020A 0050 0A020002 1F90 ESTABLISHED     897
    /// TCP 0A010002 E7E8 C000020A 0050 0A020002 1F90 CLOSE_WAIT       57
    /// TCP 0A010002 0000 C000020A 0053 0A020003 1F90 ASSURED         297
    /// ";
    /// let server = Destination::masquerade(([10, 2, 0, 2], 8080).into()).key();
    /// let counts = Connections::new(file.as_bytes()).tally(|row| row.connection.is_to(&server))?;
    /// assert_eq!((counts.active, counts.inactive, counts.templates), (1, 1, 0));
    /// # Ok::<(), lvs_ipvs::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first line that cannot be read.
    pub fn tally(
        mut self,
        mut wanted: impl FnMut(&ConnectionRow<'_>) -> bool,
    ) -> Result<ConnectionCounts, ReadError> {
        let mut counts = ConnectionCounts::default();
        while let Some(row) = self.next_row() {
            let row = row?;
            if !wanted(&row) {
                continue;
            }
            let count = match (row.connection.is_template(), row.connection.state) {
                (true, _) => &mut counts.templates,
                (false, state) if state.is_active() => &mut counts.active,
                (false, _) => &mut counts.inactive,
            };
            *count = count.saturating_add(1);
        }
        Ok(counts)
    }
}

impl<R: BufRead> Iterator for Connections<R> {
    type Item = Result<Connection, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row()
            .map(|row| row.map(|row| row.to_connection()))
    }
}

/// Numbers of connections, as the kernel counts them for a destination.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct ConnectionCounts {
    /// In a state that is [active](ConnectionState::is_active).
    pub active: u64,
    /// In any other state.
    pub inactive: u64,
    /// Persistence templates, which are not connections.
    pub templates: u64,
}

/// A row of the file, with the line it stands in.
///
/// What the text says and the values do not is here: how the protocol is written, and the line
/// itself.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConnectionRow<'a> {
    /// What the row says; the data of a persistence engine is borrowed.
    pub connection: Connection<&'a [u8]>,
    /// The protocol as the kernel writes it: `TCP`, `UDP`, `SCTP`, `IP`, `IP_50`.
    pub protocol_text: &'a str,
    /// The line as it is, without its end.
    pub line: &'a [u8],
}

impl<'a> ConnectionRow<'a> {
    fn read(line: Line<'a>) -> Result<Self, MalformedLine> {
        let mut words = Words::new(line);
        let word = words.word();
        let protocol_text = core::str::from_utf8(word.text)
            .ok()
            .filter(|text| !text.is_empty() && text.is_ascii())
            .ok_or_else(|| word.malformed("protocol", "a name in ASCII"))?;

        let client = words.word().address("client address")?;
        let client = SocketAddr::new(client, words.word().port("client port")?);

        let word = words.word();
        let address = word.address("virtual address")?;
        if Family::of(address) != Family::of(client.ip()) {
            return Err(word.malformed("virtual address", "an address of the client's family"));
        }
        let virtual_address = SocketAddr::new(address, words.word().port("virtual port")?);

        let destination = DestinationKey {
            address: words.word().address("destination address")?,
            port: words.word().port("destination port")?,
        };

        let word = words.word();
        let state = core::str::from_utf8(word.text)
            .ok()
            .and_then(ConnectionState::from_name)
            .ok_or_else(|| word.malformed("state", "a name of 1 to 16 bytes"))?;

        // `ip_vs_conn_sync` has one word more, and it is no number.
        let mut word = words.word();
        let mut origin = None;
        if decimal(word.text).is_none() {
            origin = Some(match word.text {
                b"LOCAL" => Origin::Local,
                b"SYNC" => Origin::Sync,
                _ => return Err(word.malformed("expiry", "seconds, or LOCAL or SYNC before them")),
            });
            word = words.word();
        }
        let expires_in = Duration::from_secs(word.decimal("expiry")?);

        let mut engine = None;
        let mut engine_data: &[u8] = &[];
        if !words.is_at_end() {
            let word = words.word();
            let name = EngineName::from_kernel(word.text)
                .ok_or_else(|| word.malformed("persistence engine", "a name of 1 to 16 bytes"))?;
            engine = Some(name);
            engine_data = words.remainder();
        }
        Ok(Self {
            connection: Connection {
                protocol: protocol(protocol_text.as_bytes()),
                client,
                virtual_address,
                destination,
                state,
                expires_in,
                origin,
                engine,
                engine_data,
            },
            protocol_text,
            line: line.text,
        })
    }

    /// The values alone, with their own copy of the engine's data. Allocates only if there is
    /// some.
    #[must_use]
    pub fn to_connection(&self) -> Connection {
        let Connection {
            protocol,
            client,
            virtual_address,
            destination,
            state,
            expires_in,
            origin,
            engine,
            engine_data,
        } = self.connection;
        Connection {
            protocol,
            client,
            virtual_address,
            destination,
            state,
            expires_in,
            origin,
            engine,
            engine_data: engine_data.to_vec(),
        }
    }
}

/// A connection, or a persistence template.
///
/// A *template* is what a persistent service remembers of a client: where its next connection
/// goes. It has client port 0, its client address is cut by the persistence mask (`10.1.0.0` for
/// all of `10.1.0.0/24`), and it is not counted as a connection. (The entry that the FTP helper
/// makes for a data connection it expects has no client port yet, and looks the same.)
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Connection<Data = Vec<u8>> {
    /// The protocol; 0 (`IP`) in the templates of mark services, `None` for a name that this
    /// crate does not know.
    pub protocol: Option<Protocol>,
    /// Address and port of the client; port 0 in templates.
    pub client: SocketAddr,
    /// What the client sent to, as the file shows it: in the templates of mark services the
    /// address is the mark in disguise (`0.0.0.5`, or `0:5::`). See
    /// [`service_key`](Self::service_key).
    pub virtual_address: SocketAddr,
    /// Where packets go. Its family is its own: tunnels may cross families.
    pub destination: DestinationKey,
    /// The state.
    pub state: ConnectionState,
    /// Time until the kernel forgets it, unless a packet comes; whole seconds. 0 when overdue.
    pub expires_in: Duration,
    /// Whether the connection was made here; `ip_vs_conn_sync` only.
    pub origin: Option<Origin>,
    /// The persistence engine that made the template; `ip_vs_conn` only.
    pub engine: Option<EngineName>,
    /// What the engine took from the packet (for `sip` the Call-ID): any bytes but line ends;
    /// empty without an engine.
    pub engine_data: Data,
}

/// Where an entry comes from.
#[expect(clippy::exhaustive_enums, reason = "a flag of the kernel's")]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Origin {
    /// `LOCAL`: made by a packet.
    Local,
    /// `SYNC`: received by the backup sync daemon.
    Sync,
}

impl<Data> Connection<Data> {
    /// Whether this is a persistence template.
    #[must_use]
    pub const fn is_template(&self) -> bool {
        self.client.port() == 0
    }

    /// Whether this is a template that the kernel no longer goes by, because its destination was
    /// quiesced (sysctl `expire_quiescent_template`) or is gone. Such a template shows
    /// destination port 65535.
    #[must_use]
    pub const fn is_invalidated(&self) -> bool {
        self.is_template() && self.destination.port == u16::MAX
    }

    /// The firewall mark of the service, in the template of a mark service. Connections
    /// themselves do not show it.
    #[must_use]
    pub fn mark(&self) -> Option<u32> {
        if self.protocol != Some(Protocol::from_number(0)) {
            return None;
        }
        match self.virtual_address.ip() {
            IpAddr::V4(address) => Some(address.to_bits()),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                let mark = u32::try_from(bits >> 96).ok()?;
                (bits << 32 == 0).then_some(mark)
            }
        }
    }

    /// What the row says of the service: the mark in the template of a mark service, else
    /// protocol, virtual address and port. `None` if the protocol is unknown.
    ///
    /// The connections of a mark service, and those of a service with port 0, show the address
    /// and port of the packet.
    #[must_use]
    pub fn service_key(&self) -> Option<ServiceKey> {
        let family = Family::of(self.virtual_address.ip());
        if let Some(mark) = self.mark() {
            return Some(ServiceKey::firewall_mark(family, mark));
        }
        Some(ServiceKey::Address {
            protocol: self.protocol?,
            address: self.virtual_address.ip(),
            port: self.virtual_address.port(),
        })
    }

    /// Whether the row fits this service. A service with port 0 is fitted by every port of its
    /// address, a mark service by its templates only.
    #[must_use]
    pub fn is_of(&self, service: &ServiceKey) -> bool {
        let Some(own) = self.service_key() else {
            return false;
        };
        match (own, *service) {
            (
                ServiceKey::Address {
                    protocol, address, ..
                },
                ServiceKey::Address {
                    protocol: wanted_protocol,
                    address: wanted_address,
                    port: 0,
                },
            ) => (protocol, address) == (wanted_protocol, wanted_address),
            (own, service) => own == service,
        }
    }

    /// Whether packets go to this destination: the same address, and the same port unless one of
    /// the two is 0 (which keeps the port of the packet).
    ///
    /// A persistent service with port 0 or a mark keeps the port of the packet even if its
    /// destinations have one. There, compare addresses only.
    #[must_use]
    pub fn is_to(&self, destination: &DestinationKey) -> bool {
        let ports = [self.destination.port, destination.port];
        self.destination.address == destination.address
            && (ports[0] == ports[1] || ports.contains(&0))
    }
}
