//! What a demonstration shows itself through, and hears its user by.

use core::net::SocketAddr;
use core::time::Duration;
use std::os::fd::BorrowedFd;

use lvs_healthcheck::Health;
use lvs_schedulers::Algorithm;
use lvs_vrrp::event::State;

use super::Event;
use super::farm::Stats;
use super::script::Action;

/// Shows a demonstration, and says what its user wants.
pub trait Face {
    /// Something happened, so long after the start.
    fn tell(&mut self, at: Duration, event: &Event);

    /// How long after the start [`show`](Self::show) is wanted; `None` for never. Never by default.
    fn shows_at(&self) -> Option<Duration> {
        None
    }

    /// How everything is now.
    fn show(&mut self, status: &Status) {
        let _ = status;
    }

    /// What becomes readable when the user wants something. Nothing by default.
    fn input(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// What the user wants, without waiting for it. Nothing by default.
    fn wishes(&mut self) -> Vec<Wish> {
        Vec::new()
    }
}

/// What a user wants.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wish {
    /// That something is done.
    Act(Action),
    /// That it ends.
    End,
}

/// How everything is at one moment.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Status {
    /// So long after the start.
    pub at: Duration,
    /// Where connections are accepted.
    pub address: SocketAddr,
    /// The configured scheduler.
    pub algorithm: Algorithm,
    /// How many clients of the demonstration's own come in a second.
    pub traffic: u32,
    /// The directors, in the order of their names.
    pub directors: Vec<DirectorStatus>,
    /// The servers, in order.
    pub servers: Vec<ServerStatus>,
    /// What the forwarder did.
    pub stats: Stats,
}

/// How a director is.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DirectorStatus {
    /// Its name.
    pub name: &'static str,
    /// Its priority in the election.
    pub priority: u8,
    /// The state of its virtual router; `None` if its machine is switched off.
    pub state: Option<State>,
    /// Since when, after the start.
    pub since: Duration,
    /// Whether it has the virtual address.
    pub has_address: bool,
}

/// How a server is.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerStatus {
    /// Its number, from 1.
    pub number: usize,
    /// Its address.
    pub address: SocketAddr,
    /// Whether it really runs.
    pub is_running: bool,
    /// Its configured weight.
    pub weight: u32,
    /// Its weight in the table of each director; `None` if it is not there.
    pub tables: Vec<Option<u32>>,
    /// What the checks of each director say; `None` if it is not known.
    pub health: Vec<Option<Health>>,
    /// Connections that the Active director counts for it.
    pub open: u32,
    /// Connections for which it was picked since the start, by whichever director.
    pub picked: u64,
}
