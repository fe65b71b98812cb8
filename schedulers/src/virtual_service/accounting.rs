//! Connections: how they begin, what their packets do to them, how they end; and templates, through
//! which they begin.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::{ConnectionId, DestinationId, VirtualService, is_left_alone};
use crate::arena::Key;
use crate::connection::{Activity, Column, Connection, ConnectionState, Direction, Packet, Synced};
use crate::context::{Context, Timestamp};
use crate::destination::DestinationEntry;
use crate::explanation::Step;
use crate::flow::{Flow, Protocol};
use crate::persistence::{Persistence, Template};
use crate::sctp_states::SctpChunk;
use crate::tcp_states::TcpFlags;

impl VirtualService {
    /// A connection begins with its first packet (TCP: SYN, SCTP: INIT): the template of its client
    /// says where it goes, or the scheduler does, and there it is counted. `None`: the kernel would
    /// drop the packet and answer port unreachable, or does not schedule it.
    pub fn connect(&mut self, flow: &Flow, context: &mut Context<'_>) -> Option<ConnectionId> {
        self.reach(context.now());
        let (index, template) = match self.persistence {
            None => (self.pick(flow, context)?, None),
            Some(persistence) => self.pick_persistent(persistence, flow, context)?,
        };
        let entry = self.list.get_mut(index)?;
        let mut connection = Connection {
            destination: entry.id(),
            state: ConnectionState::initial(flow.protocol()),
            is_active: false,
            is_one_way: entry.destination().forwarding().is_one_way(),
            timeout: Duration::ZERO,
            seen: self.now,
            template,
        };
        let first = match flow.protocol() {
            Protocol::Tcp => Packet::Tcp(TcpFlags::SYN),
            Protocol::Udp => Packet::Udp,
            Protocol::Sctp => Packet::Sctp(SctpChunk::Init),
        };
        let first_column = if connection.is_one_way {
            Column::OneWay
        } else {
            Column::In
        };
        connection.take(
            first,
            first_column,
            &self.settings,
            self.semantics.tcp_active,
        );
        connection.seen = self.now;
        entry.bind(connection.is_active);
        if let Some(template) = template {
            self.templates.bind(template, self.now);
        }
        let is_passing = self.one_packet && flow.protocol() == Protocol::Udp;
        let id = ConnectionId(self.connections.insert(connection));
        if is_passing {
            self.pass(id);
        }
        Some(id)
    }

    /// Lets a connection of a single packet go, counted no more, but readable until the next one.
    fn pass(&mut self, id: ConnectionId) {
        if let Some(former) = self.passing.replace(id) {
            self.connections.remove(former.0);
        }
        if let Some(connection) = self.connections.get_mut(id.0) {
            let (destination, is_active) = (connection.destination, connection.is_active);
            let template = connection.template.take();
            if let Some(entry) = self.entry_mut(destination) {
                entry.unbind(is_active);
            }
            if let Some(template) = template {
                self.templates.unbind(template);
            }
        }
    }

    /// Whether templates that lead to this destination of the list are honoured.
    fn is_honoured(&self, index: usize) -> bool {
        let is_quiesced = || self.list.get(index).is_none_or(|entry| entry.weight() == 0);
        !(self.settings.expire_quiescent_template && is_quiesced())
    }

    /// Where a connection of a persistent service goes, and the template it is made through.
    fn pick_persistent(
        &mut self,
        persistence: Persistence,
        flow: &Flow,
        context: &mut Context<'_>,
    ) -> Option<(usize, Option<Key>)> {
        if is_left_alone(flow) {
            // An explanation is to say so.
            return self.pick(flow, context).map(|index| (index, None));
        }
        let client = persistence.mask().apply(flow.client().ip());
        let mut forgotten = false;
        if let Some((key, template)) = self.templates.find(client) {
            // Only those in the list are available.
            let index = self.index_of(template.destination);
            let index = index.filter(|index| self.is_honoured(*index));
            if let Some(index) = index {
                if let Some(explanation) = context.trace() {
                    explanation.clear();
                    explanation.push(Step::Template { client, index });
                    explanation.conclude("template", Some(index));
                    explanation.name(self.list.iter().map(DestinationEntry::address));
                }
                return Some((index, Some(key)));
            }
            self.templates.invalidate(client);
            forgotten = true;
        }
        let pick = self.pick(flow, context);
        if let Some(explanation) = context.trace().filter(|_| forgotten) {
            explanation.begin_with(Step::TemplateRefused { client });
        }
        let index = pick?;
        let entry = self.list.get_mut(index)?;
        entry.bind_template(self.semantics.template_thresholds);
        let due = self.now.saturating_add(persistence.timeout());
        let key = self.templates.insert(
            client,
            Template {
                destination: entry.id(),
                timeout: persistence.timeout(),
                due,
                connections: 0,
                is_assured: false,
            },
        );
        self.next_timer = self.next_timer.min(due);
        Some((index, Some(key)))
    }

    /// A further packet of a connection passes, in that direction: its state may change, and with it
    /// whether it counts as active; its timer starts again. Returns the state it is in now; `None` if
    /// there is no such connection, or the packet is of another protocol.
    ///
    /// What the client sends to a destination that was removed changes nothing either: the kernel drops
    /// it, and the timer goes on (seen with 6.1.176 and 7.2.7).
    ///
    /// Packets from servers that are not masqueraded ([`Forwarding`](crate::Forwarding)) change
    /// nothing: the kernel takes them for none of its own, even where they pass the director (seen
    /// with 6.1.176 and 7.2.7).
    ///
    /// ```
    /// use lvs_schedulers::{
    ///     Algorithm, ConnectionState, Context, Destination, Direction, Flow, Semantics, TcpFlags,
    ///     TcpState, VirtualService,
    /// };
    ///
    /// let mut service = VirtualService::new(Algorithm::Wlc, Semantics::LINUX_6_1);
    /// let a = service.add(Destination::new("10.2.1.1:80".parse()?))?;
    /// let flow = Flow::tcp("192.0.2.7:40000".parse()?, "192.0.2.1:80".parse()?);
    /// let mut context = Context::new(Default::default());
    /// let connection = service.connect(&flow, &mut context).ok_or("refused")?;
    ///
    /// let answer = TcpFlags::SYN | TcpFlags::ACK;
    /// service.packet(connection, Direction::Out, answer, &mut context);
    /// let state = service.packet(connection, Direction::In, TcpFlags::ACK, &mut context);
    /// assert_eq!(state, Some(ConnectionState::Tcp(TcpState::Established)));
    /// assert_eq!(service.destination(a).map(|it| (it.active(), it.inactive())), Some((1, 0)));
    ///
    /// service.packet(connection, Direction::In, TcpFlags::FIN | TcpFlags::ACK, &mut context);
    /// assert_eq!(service.state_of(connection).map(|it| it.to_string()).as_deref(), Some("CLOSE_WAIT"));
    /// assert_eq!(service.destination(a).map(|it| (it.active(), it.inactive())), Some((0, 1)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn packet(
        &mut self,
        connection: ConnectionId,
        direction: Direction,
        packet: impl Into<Packet>,
        context: &mut Context<'_>,
    ) -> Option<ConnectionState> {
        self.reach(context.now());
        self.see(connection, direction, packet.into())
    }

    fn see(
        &mut self,
        id: ConnectionId,
        direction: Direction,
        packet: Packet,
    ) -> Option<ConnectionState> {
        let destination = self.connections.get(id.0)?.destination;
        let is_available = self.destination(destination)?.is_available();
        let connection = self.connections.get_mut(id.0)?;
        let former = connection.state;
        let Some(column) = connection.column(direction, is_available) else {
            // Not heard; but a packet of another protocol is an error of the caller's all the same.
            return former
                .after(Column::In, packet, &self.settings)
                .and(Some(former));
        };
        let rule = self.semantics.tcp_active;
        let activity = connection.take(packet, column, &self.settings, rule)?;
        connection.seen = self.now;
        let &mut Connection {
            state,
            destination,
            template,
            ..
        } = connection;
        let answered = matches!((state, direction), (ConnectionState::Udp, Direction::Out));
        let assures = answered || state != former && state.assures();
        if let Some(template) = template.filter(|_| assures) {
            self.templates.assure(template);
        }
        self.note(id, destination, activity);
        Some(state)
    }

    /// Counts a connection as what it is now, unless it is counted no more.
    fn note(&mut self, id: ConnectionId, destination: DestinationId, activity: Activity) {
        if self.passing == Some(id) {
            return;
        }
        if let Some(entry) = self.entry_mut(destination) {
            entry.note(activity);
        }
    }

    /// The server answers and the client acknowledges, at the service's time: TCP and SCTP
    /// connections are established as far as the packets of a handshake do it, of UDP a datagram comes
    /// back. Returns whether the connection exists.
    pub fn establish(&mut self, connection: ConnectionId) -> bool {
        self.see_all(connection, |state| match state {
            ConnectionState::Tcp(_) => &[
                (Direction::Out, Packet::Tcp(TcpFlags::SYN_ACK)),
                (Direction::In, Packet::Tcp(TcpFlags::ACK)),
            ],
            ConnectionState::Udp => &[(Direction::Out, Packet::Udp)],
            ConnectionState::Sctp(_) => &[
                (Direction::Out, Packet::Sctp(SctpChunk::InitAck)),
                (Direction::In, Packet::Sctp(SctpChunk::CookieEcho)),
                (Direction::Out, Packet::Sctp(SctpChunk::CookieAck)),
            ],
        })
    }

    /// Both sides close the connection, at the service's time, the client first: it stays, but counts
    /// as inactive. Returns whether the connection exists.
    pub fn close(&mut self, connection: ConnectionId) -> bool {
        self.see_all(connection, |state| match state {
            ConnectionState::Tcp(_) => &[
                (Direction::In, Packet::Tcp(TcpFlags::FIN_ACK)),
                (Direction::Out, Packet::Tcp(TcpFlags::FIN_ACK)),
                (Direction::In, Packet::Tcp(TcpFlags::ACK)),
            ],
            ConnectionState::Udp => &[],
            ConnectionState::Sctp(_) => &[
                (Direction::In, Packet::Sctp(SctpChunk::Shutdown)),
                (Direction::Out, Packet::Sctp(SctpChunk::ShutdownAck)),
                (Direction::In, Packet::Sctp(SctpChunk::ShutdownComplete)),
            ],
        })
    }

    fn see_all(
        &mut self,
        connection: ConnectionId,
        packets: impl Fn(ConnectionState) -> &'static [(Direction, Packet)],
    ) -> bool {
        let Some(state) = self.state_of(connection) else {
            return false;
        };
        for &(direction, packet) in packets(state) {
            self.see(connection, direction, packet);
        }
        true
    }

    /// The connection leaves the table and is counted no more. Returns whether it existed.
    pub fn expire(&mut self, connection: ConnectionId) -> bool {
        let Some(gone) = self.connections.remove(connection.0) else {
            return false;
        };
        if self.passing == Some(connection) {
            self.passing = None;
            return true;
        }
        if let Some(template) = gone.template {
            self.templates.unbind(template);
        }
        if let Some(entry) = self.entry_mut(gone.destination) {
            entry.unbind(gone.is_active);
        }
        true
    }

    /// It is `now`, and what has a timer obeys it, connections too: those whose time is over leave the
    /// table, in the order of their times, as if [`expire`](Self::expire) was called at each. Returns
    /// them. Takes time in proportion to the connections.
    ///
    /// ```
    /// use lvs_schedulers::{Algorithm, Context, Destination, Flow, Semantics, VirtualService};
    /// use std::time::Duration;
    ///
    /// let mut service = VirtualService::new(Algorithm::Rr, Semantics::LINUX_6_1);
    /// service.add(Destination::new("10.2.1.1:80".parse()?))?;
    /// let flow = Flow::tcp("192.0.2.7:40000".parse()?, "192.0.2.1:80".parse()?);
    /// let connection = service.connect(&flow, &mut Context::new(Duration::ZERO)).ok_or("refused")?;
    ///
    /// // Nobody answers the SYN.
    /// assert_eq!(service.timeout_of(connection), Some(Duration::from_secs(60)));
    /// assert_eq!(service.expire_due(Duration::from_secs(59)), []);
    /// assert_eq!(service.expire_due(Duration::from_secs(60)), [connection]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn expire_due(&mut self, now: Timestamp) -> Vec<ConnectionId> {
        let now = now.max(self.now);
        let mut due: Vec<_> = self
            .connections
            .iter()
            .map(|(key, connection)| (connection.due(), ConnectionId(key)))
            .filter(|&(due, id)| due <= now && self.passing != Some(id))
            .collect();
        due.sort_unstable();
        let mut expired = Vec::with_capacity(due.len());
        for (due, id) in due {
            self.reach(due);
            self.expire(id);
            expired.push(id);
        }
        self.advance(now);
        expired
    }

    /// Adopts a connection that another director reports, if the destination is in the list. `None`
    /// if it is not. No template is looked for or made, and no scheduler asked.
    ///
    /// ```
    /// use lvs_schedulers::{
    ///     Algorithm, ConnectionState, Destination, Semantics, Synced, TcpState, VirtualService,
    /// };
    /// use std::time::Duration;
    ///
    /// let mut service = VirtualService::new(Algorithm::Rr, Semantics::LINUX_6_1);
    /// let a = service.add(Destination::new("10.2.1.1:80".parse()?))?;
    /// let report = Synced {
    ///     state: ConnectionState::Tcp(TcpState::Established),
    ///     is_active: true,
    ///     timeout: Duration::from_secs(180),
    /// };
    /// assert!(service.adopt("10.2.1.1:80".parse()?, report).is_some());
    /// assert_eq!(service.destination(a).map(|it| it.active()), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn adopt(&mut self, destination: SocketAddr, report: Synced) -> Option<ConnectionId> {
        let seen = self.now;
        let id = self.destination_at(destination)?.id();
        let entry = self.entry_mut(id)?;
        entry.bind(report.is_active);
        let is_one_way = entry.destination().forwarding().is_one_way();
        Some(ConnectionId(self.connections.insert(Connection {
            destination: id,
            state: report.state,
            is_active: report.is_active,
            is_one_way,
            timeout: report.timeout,
            seen,
            template: None,
        })))
    }

    /// Another director reports a connection again: state, activity and timeout are those of the
    /// report. Returns whether the connection exists.
    pub fn synchronise(&mut self, connection: ConnectionId, report: Synced) -> bool {
        let now = self.now;
        let Some(known) = self.connections.get_mut(connection.0) else {
            return false;
        };
        known.state = report.state;
        known.timeout = report.timeout;
        known.seen = now;
        let activity = known.set_active(report.is_active);
        let destination = known.destination;
        self.note(connection, destination, activity);
        true
    }

    /// The destination of a connection; it may have been removed since.
    pub fn destination_of(&self, connection: ConnectionId) -> Option<&DestinationEntry> {
        self.destination(self.connections.get(connection.0)?.destination)
    }

    /// The state a connection is in.
    pub fn state_of(&self, connection: ConnectionId) -> Option<ConnectionState> {
        Some(self.connections.get(connection.0)?.state)
    }

    /// Whether a connection counts as active.
    pub fn is_active(&self, connection: ConnectionId) -> Option<bool> {
        Some(self.connections.get(connection.0)?.is_active)
    }

    /// How long a connection lives after its last packet.
    pub fn timeout_of(&self, connection: ConnectionId) -> Option<Duration> {
        Some(self.connections.get(connection.0)?.timeout)
    }

    /// When a connection's time is over, without another packet.
    pub fn due_of(&self, connection: ConnectionId) -> Option<Timestamp> {
        Some(self.connections.get(connection.0)?.due())
    }

    /// Number of connections, those of removed destinations included.
    pub fn connections(&self) -> usize {
        self.connections.len() - usize::from(self.passing.is_some())
    }

    /// The template of a client, as far as it would be asked for: without testing whether it would be
    /// honoured.
    pub fn template(&self, client: IpAddr) -> Option<&Template> {
        let client = self.persistence?.mask().apply(client);
        Some(self.templates.find(client)?.1)
    }

    /// The template that a connection was made through, even if it is of no use any more.
    pub fn template_of(&self, connection: ConnectionId) -> Option<&Template> {
        self.templates
            .get(self.connections.get(connection.0)?.template?)
    }

    /// Number of clients, or networks of them, that are remembered.
    pub fn templates(&self) -> usize {
        self.templates.len()
    }
}
