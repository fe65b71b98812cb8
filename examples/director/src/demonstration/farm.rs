//! The server farm of the demonstration: web servers, the forwarder before them, and clients.
//!
//! [`Farm::start`] binds a few small HTTP servers and a TCP forwarder to loopback addresses and runs
//! them on one thread of their own. Neither privilege nor IPVS is needed: the forwarder asks the
//! schedulers of `lvs_schedulers` in user space what the kernel would pick.
//!
//! Nothing here checks servers or decides who gets traffic. Whoever owns the farm does that, as the
//! director does for the kernel, and hands the outcome to [`Farm::set_destinations`]; a
//! [`Script`](super::script::Script) says when to stop and restart servers, so that there is something
//! to notice.
//!
//! ```
//! use director::demonstration::farm::{Config, Farm};
//!
//! let mut config = Config::default();
//! config.algorithm = "wrr".parse()?;
//! let farm = Farm::start(&config)?;
//! let servers = farm.servers();
//! farm.set_destinations(&[(servers[0].address, 3), (servers[1].address, 1)])?;
//! println!("try: curl http://{}/", farm.address());
//! farm.stop_server(1)?;
//! let stats = farm.shutdown();
//! assert_eq!(stats.accepted, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod descriptors;
mod error;
mod forwarder;
mod listen;
mod picker;
mod pump;
mod servers;
mod stats;
mod traffic;

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use lvs_ipvs::{ServiceKey, Table};
use lvs_schedulers::{Algorithm, Semantics};
use tokio::runtime;
use tokio::sync::{mpsc, watch};

use self::forwarder::{Forwarder, ForwarderHandle};
use self::servers::{Server, ServerHandle};

pub use self::descriptors::{Descriptors, Shortage};
pub use self::error::FarmError;
pub use self::servers::WebServer;
pub use self::stats::{DestinationStats, Stats};
pub use self::traffic::MAX_RATE;

/// What a farm consists of. Change the fields of the default.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses of the HTTP servers; port 0 takes a free one. Default: 127.0.0.11 to 127.0.0.13
    /// with free ports.
    pub servers: Vec<SocketAddr>,
    /// Where the forwarder accepts connections; port 0 takes a free one. Default: 127.0.0.10 with a
    /// free port.
    pub listen: SocketAddr,
    /// How many directors there are; a single one is always Active. Default: 1.
    pub directors: usize,
    /// Who picks the server at first. Default: wrr.
    pub algorithm: Algorithm,
    /// The kernel to imitate. Default: [`Semantics::LINUX_6_1`].
    pub semantics: Semantics,
    /// How long a picked server may take to accept. Default: 5 s.
    pub connect_timeout: Duration,
    /// Connections expected at once; so many descriptors are made available. Default: 1,000.
    pub connections: u64,
}

impl Default for Config {
    fn default() -> Self {
        let address = |last| SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
        Self {
            servers: (11..=13).map(address).collect(),
            listen: address(10),
            directors: 1,
            algorithm: Algorithm::Wrr,
            semantics: Semantics::LINUX_6_1,
            connect_timeout: Duration::from_secs(5),
            connections: 1_000,
        }
    }
}

/// A running farm: servers and forwarder on a thread of their own.
///
/// Dropping it ends the thread and its connections without waiting for that;
/// [`shutdown`](Self::shutdown) waits.
#[derive(Debug)]
pub struct Farm {
    forwarder: ForwarderHandle,
    servers: Vec<ServerHandle>,
    descriptors: Descriptors,
    shortage: Option<Shortage>,
    commands: mpsc::UnboundedSender<Command>,
    traffic: watch::Sender<u32>,
    thread: JoinHandle<()>,
}

/// What the owner asks of the thread.
#[derive(Debug)]
enum Command {
    Start {
        index: usize,
        done: SyncSender<Result<bool, FarmError>>,
    },
    Stop {
        index: usize,
        done: SyncSender<Result<bool, FarmError>>,
    },
}

impl Farm {
    /// Raises the limit of open files if needed, binds all addresses and starts serving. The
    /// forwarder has no destinations yet.
    ///
    /// The raised limit is the process's and is inherited by the programs it starts. If it cannot be
    /// raised far enough, the demonstration runs nevertheless and [`shortage`](Self::shortage) says
    /// what is missing.
    ///
    /// # Errors
    ///
    /// [`FarmError::Bind`] names the address that cannot be had; [`FarmError::Runtime`] if the
    /// event loop, its thread or the limits of the process are unavailable.
    pub fn start(config: &Config) -> Result<Self, FarmError> {
        let wanted = Descriptors::needed(config.connections);
        let descriptors = Descriptors::raise(wanted).map_err(FarmError::Runtime)?;
        let shortage = descriptors.shortage(config.connections);

        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(FarmError::Runtime)?;
        let (forwarder, mut servers) = runtime.block_on(async {
            let mut servers = Vec::new();
            for (index, &address) in config.servers.iter().enumerate() {
                servers.push(Server::bind(index + 1, address)?);
            }
            Ok::<_, FarmError>((Forwarder::bind(config)?, servers))
        })?;
        let handle = forwarder.handle();
        let server_handles = servers.iter().map(Server::handle).collect();

        let (commands, mut received) = mpsc::unbounded_channel();
        let (traffic, rate) = watch::channel(0);
        let clients = traffic::run(handle.address(), rate, handle.counters());
        let thread = thread::Builder::new()
            .name("farm".into())
            .spawn(move || {
                runtime.block_on(async move {
                    tokio::spawn(forwarder.run());
                    tokio::spawn(clients);
                    while let Some(command) = received.recv().await {
                        obey(command, &mut servers).await;
                    }
                });
                // Dropping the runtime drops every task, and with it every connection.
            })
            .map_err(FarmError::Runtime)?;
        Ok(Self {
            forwarder: handle,
            servers: server_handles,
            descriptors,
            shortage,
            commands,
            traffic,
            thread,
        })
    }

    /// The address on which the forwarder accepts connections.
    pub fn address(&self) -> SocketAddr {
        self.forwarder.address()
    }

    /// The servers in order, with the addresses they are really on.
    pub fn servers(&self) -> Vec<WebServer> {
        self.servers.iter().map(ServerHandle::status).collect()
    }

    /// Makes `destinations` (address and weight) those of the first director.
    ///
    /// The present ones are changed by the difference: who is not named is removed, who has another
    /// weight is edited, who is new is added, in the order given. The rest is left alone, so that the
    /// scheduler's picks stay what the kernel's would be. Connections that go to a removed destination
    /// are carried to their end.
    ///
    /// # Errors
    ///
    /// [`FarmError::Destinations`] if an address is named twice or a weight is too high; nothing has
    /// changed then.
    pub fn set_destinations(&self, destinations: &[(SocketAddr, u32)]) -> Result<(), FarmError> {
        self.forwarder
            .set_table(0, None, destinations)
            .map_err(FarmError::Destinations)
    }

    /// The table of a director, from 0, as the forwarder has it; one of a director that there is not
    /// has no effect.
    #[must_use]
    pub fn table(&self, director: usize) -> ForwardingTable {
        ForwardingTable {
            forwarder: self.forwarder.clone(),
            director,
        }
    }

    /// Says which director is Active, from 0: connections go where its table says. While none is,
    /// they wait.
    pub fn set_active(&self, director: Option<usize>) {
        self.forwarder.set_active(director);
    }

    /// Starts server `number` (from 1) on its former address; `false` if it is running.
    ///
    /// # Errors
    ///
    /// [`FarmError::NoSuchServer`]; [`FarmError::Bind`] if somebody else has taken the address.
    ///
    /// # Blocking
    ///
    /// Until the server accepts connections.
    pub fn start_server(&self, number: usize) -> Result<bool, FarmError> {
        self.command(number, |index, done| Command::Start { index, done })
    }

    /// Stops server `number` (from 1) as if its process had died: it no longer accepts connections
    /// and its open ones are closed. `false` if it was not running.
    ///
    /// # Errors
    ///
    /// [`FarmError::NoSuchServer`].
    ///
    /// # Blocking
    ///
    /// Until the listener and the connections are closed.
    pub fn stop_server(&self, number: usize) -> Result<bool, FarmError> {
        self.command(number, |index, done| Command::Stop { index, done })
    }

    /// Lets that many clients come in a second, at most [`MAX_RATE`]. None at first.
    pub fn set_traffic(&self, per_second: u32) {
        self.traffic.send_replace(per_second.min(MAX_RATE));
    }

    /// How many clients come in a second.
    #[must_use]
    pub fn traffic(&self) -> u32 {
        *self.traffic.borrow()
    }

    /// What the forwarder has done so far.
    pub fn stats(&self) -> Stats {
        self.forwarder.stats()
    }

    /// The limit of open files in force.
    pub const fn descriptors(&self) -> Descriptors {
        self.descriptors
    }

    /// What is missing for the expected number of connections; its `Display` tells the user.
    pub const fn shortage(&self) -> Option<Shortage> {
        self.shortage
    }

    /// Closes every listener and connection, ends the thread and returns the final figures.
    ///
    /// # Blocking
    ///
    /// Until the thread has ended.
    pub fn shutdown(self) -> Stats {
        drop(self.commands);
        // The thread has nothing to return; had it panicked, its connections would be closed as well.
        let _ = self.thread.join();
        self.forwarder.stats()
    }

    fn command(
        &self,
        number: usize,
        command: impl FnOnce(usize, SyncSender<Result<bool, FarmError>>) -> Command,
    ) -> Result<bool, FarmError> {
        let count = self.servers.len();
        if !(1..=count).contains(&number) {
            return Err(FarmError::NoSuchServer { number, count });
        }
        let (done, answer) = sync_channel(1);
        self.commands
            .send(command(number - 1, done))
            .map_err(|_| FarmError::Ended)?;
        answer.recv().map_err(|_| FarmError::Ended)?
    }
}

/// The table of one director, to be changed from any thread.
#[derive(Clone, Debug)]
pub struct ForwardingTable {
    forwarder: ForwarderHandle,
    director: usize,
}

impl ForwardingTable {
    /// Takes over what an IPVS table says of the service on the forwarder's address: its scheduler,
    /// and its destinations by the difference. A table without that service has no destinations.
    ///
    /// # Errors
    ///
    /// [`FarmError::Scheduler`] for one that is none of the kernel's; [`FarmError::Destinations`] for
    /// a weight that is too high.
    pub fn follow(&self, table: &Table) -> Result<(), FarmError> {
        let key = ServiceKey::tcp(self.forwarder.address());
        let algorithm = match table.get(&key) {
            Some(entry) => Some(entry.service.scheduler().name().parse()?),
            None => None,
        };
        let destinations: Vec<_> = table
            .destinations(&key)
            .iter()
            .map(|entry| {
                let address = (entry.key().address, entry.key().port).into();
                (address, entry.weight())
            })
            .collect();
        self.forwarder
            .set_table(self.director, algorithm, &destinations)
            .map_err(FarmError::Destinations)
    }

    /// Its destinations with their weights, in the order in which they were added.
    #[must_use]
    pub fn destinations(&self) -> Vec<(SocketAddr, u32)> {
        self.forwarder.destinations(self.director)
    }

    /// Forgets destinations and the connections counted, as a machine does that loses power.
    pub fn clear(&self) {
        self.forwarder.clear_table(self.director);
    }
}

async fn obey(command: Command, servers: &mut [Server]) {
    let (done, result) = match command {
        Command::Start { index, done } => match servers.get_mut(index) {
            Some(server) => (done, server.start()),
            None => return,
        },
        Command::Stop { index, done } => match servers.get_mut(index) {
            Some(server) => (done, Ok(server.stop().await)),
            None => return,
        },
    };
    // The owner waits for the answer, unless it was dropped meanwhile.
    let _ = done.send(result);
}
