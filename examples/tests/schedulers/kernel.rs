//! Plays scenarios to a real kernel, many side by side.
//!
//! Each scenario is a service of its own; their addresses must not meet. All go forward together, in
//! rounds: each sends packets until it needs to know a pick or has something to configure; then the
//! picks are read; then everything is configured that comes next. When all of them have stopped at
//! an entry that has to leave the table, they wait together. So a thousand scenarios take as many
//! system calls and pauses as the most complicated of them.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::Instant;

use lvs_ipvs::sysctl::EXPIRE_NODEST_CONN;
use lvs_schedulers::Protocol;
use lvs_schedulers::scenario::Scenario;

use super::director::{Director, LONG, SHORT};
use super::packet::{Packet, Seen};
use super::player::Player;
use super::wire::eventually;

/// The shortest-lived entries of a kind that scenarios have: TCP after a SYN, and SCTP after an INIT.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_SCTP: Duration = Duration::from_secs(4);

/// What the kernel's timers may be late by.
const SLACK: Duration = Duration::from_millis(500);

/// The server id of each flow, `None` where nothing was picked.
pub(crate) type Picks = Vec<Option<u32>>;

/// A packet whose server is not known yet: whose, and which of its flows.
type Waiting = HashMap<(Protocol, SocketAddr), Vec<(usize, usize)>>;

/// Plays all of them in one new namespace.
pub(crate) fn play(scenarios: &[Scenario]) -> Vec<Picks> {
    Director::enter(|director| Kernel::new(director, scenarios).run())
}

struct Kernel<'a> {
    director: &'a mut Director,
    players: Vec<Player<'a>>,
    waiting: Waiting,
    /// Which player has a server of this address.
    owners: HashMap<IpAddr, usize>,
}

impl<'a> Kernel<'a> {
    fn new(director: &'a mut Director, scenarios: &'a [Scenario]) -> Self {
        let mut owners = HashMap::new();
        let mut players = Vec::new();
        for (index, scenario) in scenarios.iter().enumerate() {
            // Marks are the director's own; those of the scenarios may be the same.
            let player = Player::new(scenario, u32::try_from(index + 1).unwrap());
            for address in player.servers() {
                let former = owners.insert(address, index);
                assert!(former.is_none_or(|it| it == index), "{address} used twice");
            }
            players.push(player);
        }
        Self {
            director,
            players,
            waiting: HashMap::new(),
            owners,
        }
    }

    fn run(mut self) -> Vec<Picks> {
        let mut changes = Vec::new();
        for player in &mut self.players {
            changes.extend(player.set_up());
        }
        let start = Instant::now();
        loop {
            if !changes.is_empty() {
                let report = self.director.ipvs.execute(changes).unwrap();
                assert!(report.is_success(), "{report}");
            }
            let sent = self.send();
            self.read_picks();
            changes = self.players.iter_mut().flat_map(Player::changes).collect();
            if !sent && changes.is_empty() && !self.expire() && !self.pause(start) {
                break;
            }
        }
        // Else entries may have left that were to stay.
        let is_sctp = |player: &Player<'_>| player.protocol() == Protocol::Sctp;
        let patience = match self.players.iter().any(is_sctp) {
            true => PATIENCE_SCTP,
            false => PATIENCE,
        };
        let took = start.elapsed();
        assert!(took < patience, "took {took:?}: fewer at once, please");
        self.players.into_iter().map(Player::into_picks).collect()
    }

    /// Sends what can be sent now; false if there was nothing.
    fn send(&mut self) -> bool {
        let mut unmarked = Vec::new();
        let mut is_any = false;
        for (index, player) in self.players.iter_mut().enumerate() {
            let turn = player.packets();
            is_any |= !turn.packets.is_empty();
            for (flow, packet) in turn.first {
                let key = (packet.protocol(), packet.source);
                self.waiting.entry(key).or_default().push((index, flow));
            }
            match player.mark() {
                Some(mark) if !turn.packets.is_empty() => {
                    self.director.wire.send(mark, &turn.packets);
                }
                Some(_) => {}
                None => unmarked.extend(turn.packets),
            }
        }
        self.director.wire.send(0, &unmarked);
        is_any
    }

    /// Each first packet has its answer when all packets have been dealt with.
    fn read_picks(&mut self) {
        let mut seen = Vec::new();
        self.director.wire.settle(|packet| seen.push(packet));
        for packet in seen {
            self.take(packet);
        }
        let waiting = &self.waiting;
        assert!(
            waiting.is_empty(),
            "neither passed nor refused: {waiting:?}"
        );
    }

    /// Notes the pick that a packet shows, if it shows one.
    fn take(&mut self, seen: Seen) {
        match seen {
            Seen::Packet(packet) => match self.owners.get(&packet.destination.ip()) {
                Some(&owner) => {
                    let is_it = |index, _: &Player<'_>, _| index == owner;
                    self.answer(packet.protocol(), packet.source, Some(packet), is_it);
                }
                // The director itself answers what IPVS does not want.
                None => self.refuse(packet.protocol(), packet.destination, packet.source),
            },
            Seen::Refused(packet) => {
                self.refuse(packet.protocol(), packet.source, packet.destination);
            }
        }
    }

    fn refuse(&mut self, protocol: Protocol, client: SocketAddr, to: SocketAddr) {
        self.answer(protocol, client, None, |_, player, flow| {
            player.is_to(flow, to)
        });
    }

    fn answer(
        &mut self,
        protocol: Protocol,
        client: SocketAddr,
        packet: Option<Packet>,
        is_it: impl Fn(usize, &Player<'a>, usize) -> bool,
    ) {
        let key = (protocol, client);
        let Some(waiting) = self.waiting.get_mut(&key) else {
            return;
        };
        let found = waiting
            .iter()
            .position(|&(index, flow)| is_it(index, &self.players[index], flow));
        let Some(found) = found else {
            return;
        };
        let (index, flow) = waiting.swap_remove(found);
        if waiting.is_empty() {
            self.waiting.remove(&key);
        }
        let server = packet.map(|packet| packet.destination);
        self.players[index].answer(flow, server);
    }

    /// Lets the time pass that has to pass next, really; false if there is none.
    fn pause(&mut self, start: Instant) -> bool {
        let pauses = self.players.iter_mut().filter_map(Player::pause);
        let Some(longest) = pauses.max() else {
            return false;
        };
        // The timers that are waited for were to go on until now.
        assert!(start.elapsed() < longest, "took {:?}", start.elapsed());
        thread::sleep(longest + SLACK);
        true
    }

    /// Has the entries leave the table that come next; false if there are none.
    fn expire(&mut self) -> bool {
        let ends: Vec<_> = self.players.iter_mut().map(Player::ends).collect();
        if ends.iter().all(|ends| ends.keys.is_empty()) {
            return false;
        }
        let Director {
            ipvs,
            namespace,
            wire,
        } = self.director;
        let sysctls = namespace.sysctls().unwrap();
        ipvs.set_timeouts(SHORT).unwrap();
        for (player, ends) in self.players.iter().zip(&ends) {
            wire.send(player.mark().unwrap_or(0), &ends.touches);
        }
        wire.settle(drop);
        ipvs.set_timeouts(LONG).unwrap();
        if ends.iter().any(|ends| !ends.provocations.is_empty()) {
            sysctls.set(EXPIRE_NODEST_CONN, &true).unwrap();
            for (player, ends) in self.players.iter().zip(&ends) {
                wire.send(player.mark().unwrap_or(0), &ends.provocations);
            }
            wire.settle(drop);
            sysctls.set(EXPIRE_NODEST_CONN, &false).unwrap();
        }
        thread::sleep(Duration::from_secs(1));
        let wanted: HashSet<_> = ends.iter().flat_map(|ends| &ends.keys).copied().collect();
        eventually("entries leave the table", || {
            let mut rows = namespace.connections().unwrap();
            while let Some(row) = rows.next_row() {
                let row = row.unwrap().connection;
                let key = |protocol| (protocol, row.client, row.virtual_address);
                if row.protocol.is_some_and(|it| wanted.contains(&key(it))) {
                    return false;
                }
            }
            true
        });
        true
    }
}
