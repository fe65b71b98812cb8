//! The director without arguments: everything on loopback, nothing needed.
//!
//! Three web servers, checked as any others; two directors that elect the Active one over a network
//! that is simulated, and keep a table each, in memory; and in the place of the kernel a forwarder
//! that carries each connection where the scheduler of the Active one would. What they run is an
//! ordinary configuration, printed at the start.
//!
//! ```text
//! curl ─► forwarder ─► web servers 1 2 3
//!             │            ▲  ▲
//!         the table        │  │ checks
//!      of the Active one   │  │
//!             ├─────── director A ──┐
//!             └─────────── director B ┴─ VRRP over the simulated network
//! ```
//!
//! | Module | Content |
//! |---|---|
//! | [`farm`] | web servers, the forwarder before them, and clients of its own |
//! | `station` | a director: checks, table in memory and the loop over them, on its own thread |
//! | `lan` | the simulated network, and what of the election happens on it |
//! | `configuration` | the keepalived.conf that the directors run |
//! | [`script`] | what happens when: `at 3s stop 2` |
//! | `event`, `face` | what is told and shown, and what the user wants |

mod configuration;
mod event;
mod face;
pub mod farm;
mod lan;
pub mod script;
mod station;

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use lvs_ipvs::Timestamp;
use lvs_vrrp::event::State;
use lvs_vrrp::sim::Step;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::time::{ClockId, clock_gettime};

use self::configuration::{Configuration, PRIORITIES};
use self::farm::{Config as FarmConfig, Farm, FarmError, Stats, WebServer};
use self::lan::{Lan, Occurrence};
use self::script::{Action, DIRECTORS, Script, Which};
use self::station::{Message, Mouth, Order, Station, Told};
use crate::keepalived::{Config, Diagnostic, Severity};
use crate::run::{RunError, RunStats};
use crate::setup::Setup;
use crate::signals::{Signal, Signals};

pub use self::event::Event;
pub use self::face::{DirectorStatus, Face, ServerStatus, Status, Wish};

/// What cannot be demonstrated.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum DemonstrationError {
    /// Servers or forwarder cannot be started or told.
    #[error(transparent)]
    Farm(#[from] FarmError),
    /// A director.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The addresses do not go together, as the reader of the configuration says.
    #[error("this cannot be demonstrated: {0}")]
    Configuration(String),
    /// A director has no thread to run on.
    #[error("cannot start a director's thread: {0}")]
    Thread(#[source] io::Error),
    /// A director's thread panicked.
    #[error("a director panicked")]
    Panicked,
    /// Waiting failed.
    #[error("cannot wait for events: {0}")]
    Wait(#[from] Errno),
}

/// A demonstration that runs.
#[derive(Debug)]
pub struct Demonstration {
    farm: Farm,
    configuration: Configuration,
    lan: Lan,
    directors: Vec<Director>,
    messages: Receiver<Message>,
    mouth: Mouth,
    /// Readable when there are messages.
    wake: Arc<EventFd>,
    signals: Signals,
    start: Timestamp,
    /// Which director has the address.
    active: Option<usize>,
    events: Vec<Event>,
    stats: DemonstrationStats,
    is_asked: bool,
}

/// A director, which may be switched off.
#[derive(Debug)]
struct Director {
    station: Option<Station>,
    /// How often it was switched on.
    life: u32,
    /// Of its virtual router.
    state: State,
    /// Since when, after the start.
    since: Duration,
    /// How it said to be, last.
    status: Option<crate::run::Status>,
}

/// What a demonstration came to.
#[non_exhaustive]
#[derive(Clone, Debug, Default)]
pub struct DemonstrationStats {
    /// How long it ran.
    pub time: Duration,
    /// What the directors did, together.
    pub run: RunStats,
    /// How often a director became Active.
    pub take_overs: u64,
    /// The servers at the end.
    pub servers: Vec<WebServer>,
    /// What the forwarder did.
    pub forwarded: Stats,
}

impl Demonstration {
    /// Starts servers, forwarder and directors.
    ///
    /// # Errors
    ///
    /// An address cannot be bound, the forwarder's is of another family than the servers', or the
    /// operating system lacks what an event loop needs.
    pub fn start(config: &FarmConfig, signals: Signals) -> Result<Self, DemonstrationError> {
        let mut config = config.clone();
        config.directors = DIRECTORS.len();
        let farm = Farm::start(&config)?;
        let configuration = Configuration::new(&farm, &config);
        let numbers = 0..config.directors;
        let configs = numbers.map(|number| parse(&configuration, number));
        let configs = configs.collect::<Result<Vec<_>, _>>()?;
        let start = now();
        let lan = Lan::new(start, &configs)?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let wake = Arc::new(EventFd::from_flags(flags)?);
        let (sender, messages) = mpsc::channel();
        let mut demonstration = Self {
            farm,
            configuration,
            lan,
            directors: Vec::new(),
            messages,
            mouth: Mouth::new(sender, Arc::clone(&wake)),
            wake,
            signals,
            start,
            active: None,
            events: Vec::new(),
            stats: DemonstrationStats::default(),
            is_asked: false,
        };
        for number in 0..configs.len() {
            demonstration.directors.push(Director {
                station: None,
                life: 0,
                state: State::Initialize,
                since: Duration::ZERO,
                status: None,
            });
            demonstration.switch_on(number)?;
        }
        Ok(demonstration)
    }

    /// The servers and the forwarder.
    #[must_use]
    pub const fn farm(&self) -> &Farm {
        &self.farm
    }

    /// The configuration that a director runs, from 0.
    #[must_use]
    pub fn configuration(&self, director: usize) -> String {
        self.configuration.text(director)
    }

    /// Runs for that time (`None`: until told to stop), doing what script and user say.
    ///
    /// # Errors
    ///
    /// A director fails, or a server cannot be started again.
    pub fn run(
        &mut self,
        time: Option<Duration>,
        mut script: Script,
        face: &mut dyn Face,
    ) -> Result<(), DemonstrationError> {
        loop {
            self.go_on()?;
            let mut due: Vec<_> = script.due(self.at()).map(|step| step.action).collect();
            for action in &due {
                self.tell(None, &format_args!("script  {action}"));
            }
            for wish in face.wishes() {
                match wish {
                    Wish::Act(action) => {
                        self.tell(None, &format_args!("key     {action}"));
                        due.push(action);
                    }
                    Wish::End => self.is_asked = true,
                }
            }
            for action in &due {
                self.act(*action)?;
            }
            let at = self.at();
            for event in self.events.drain(..) {
                face.tell(at, &event);
            }
            if self.is_asked || time.is_some_and(|time| time <= at) {
                return Ok(());
            }
            if face.shows_at().is_some_and(|shows_at| shows_at <= at) {
                face.show(&self.status());
                for station in self.directors.iter().filter_map(|it| it.station.as_ref()) {
                    station.order(Order::Report);
                }
            }
            if due.is_empty() {
                let own = [script.next_at(), time, face.shows_at()]
                    .into_iter()
                    .flatten();
                let own = own.map(|at| self.start.saturating_add(at));
                let until = own.chain(self.lan.next_deadline()).min();
                self.wait(until, face.input())?;
            }
        }
    }

    /// How everything is now.
    #[must_use]
    pub fn status(&self) -> Status {
        let stats = self.farm.stats();
        let tables: Vec<_> = (0..self.directors.len())
            .map(|number| self.farm.table(number).destinations())
            .collect();
        let servers = self.farm.servers();
        let servers = servers.iter().zip(&self.configuration.servers);
        let servers = servers.map(|(server, (address, weight))| {
            let weight_in = |table: &Vec<(SocketAddr, u32)>| {
                let entry = table.iter().find(|(known, _)| known == address);
                entry.map(|(_, weight)| *weight)
            };
            let health = |director: &Director| {
                let pool = director.status.as_ref()?.pools.first()?;
                let mut servers = pool.servers.iter();
                let server = servers.find(|it| it.server == (*address).into())?;
                Some(server.health)
            };
            let mut destinations = stats.destinations.iter();
            let destination = destinations.find(|entry| entry.address == *address);
            ServerStatus {
                number: server.number,
                address: *address,
                is_running: server.running,
                weight: *weight,
                tables: tables.iter().map(weight_in).collect(),
                health: self.directors.iter().map(health).collect(),
                open: destination.map_or(0, |entry| entry.open),
                picked: stats.picked.get(address).copied().unwrap_or_default(),
            }
        });
        let servers = servers.collect();
        let directors = self.directors.iter().enumerate();
        let directors = directors.zip(DIRECTORS.into_iter().zip(PRIORITIES));
        let directors = directors.map(|((number, director), (name, priority))| DirectorStatus {
            name,
            priority,
            state: director.station.is_some().then_some(director.state),
            since: director.since,
            has_address: self.active == Some(number),
        });
        Status {
            at: self.at(),
            address: self.farm.address(),
            algorithm: self.configuration.algorithm,
            traffic: self.farm.traffic(),
            directors: directors.collect(),
            servers,
            stats,
        }
    }

    /// Ends it: directors take their services out of the tables, servers and forwarder close.
    pub fn finish(mut self, face: &mut dyn Face) -> DemonstrationStats {
        for director in &mut self.directors {
            if let Some(station) = director.station.take() {
                add(&mut self.stats.run, station.end(true));
            }
        }
        let at = self.at();
        while let Ok(message) = self.messages.try_recv() {
            if let Told::Line(line) = message.told {
                face.tell(at, &Event::new(Some(message.number), line));
            }
        }
        self.stats.time = at;
        self.stats.servers = self.farm.servers();
        self.stats.forwarded = self.farm.shutdown();
        self.stats
    }

    /// So long after the start.
    fn at(&self) -> Duration {
        now().saturating_sub(self.start)
    }

    /// Hears what directors tell, and lets the time of the network go on.
    fn go_on(&mut self) -> Result<(), DemonstrationError> {
        // Whatever was written since is seen below.
        while let Ok(1..) = self.wake.read() {}
        while let Some(signal) = self.signals.take()? {
            match signal {
                Signal::Stop => self.is_asked = true,
                Signal::Reload => {
                    self.tell(None, &"signal  SIGHUP: there is no file to read again")
                }
                // Everything is told anyway.
                Signal::Show => {}
            }
        }
        while let Ok(message) = self.messages.try_recv() {
            let director = self.directors.get(message.number);
            if director.is_some_and(|it| it.life == message.life && it.station.is_some()) {
                self.hear(message.number, message.told)?;
            }
        }
        let mut occurred = Vec::new();
        self.lan.go_on(now(), &mut occurred);
        for occurrence in occurred {
            self.happen(occurrence);
        }
        self.follow();
        Ok(())
    }

    fn hear(&mut self, number: usize, told: Told) -> Result<(), DemonstrationError> {
        match told {
            Told::Line(line) => self.tell(Some(number), &line),
            Told::Prepared(is_done) => self.lan.done(number, Step::Prepare, is_done),
            Told::Settled(is_done) => self.lan.done(number, Step::Settle, is_done),
            Told::Status(status) => {
                if let Some(director) = self.directors.get_mut(number) {
                    director.status = Some(*status);
                }
            }
            Told::Failed(error) => return Err(error),
        }
        Ok(())
    }

    fn happen(&mut self, occurrence: Occurrence) {
        let order = |number: usize, order| {
            let director = self.directors.get(number);
            if let Some(station) = director.and_then(|it| it.station.as_ref()) {
                station.order(order);
            }
        };
        match occurrence {
            Occurrence::State(number, state) => {
                if state == State::Active {
                    self.stats.take_overs += 1;
                }
                let at = self.at();
                if let Some(director) = self.directors.get_mut(number) {
                    (director.state, director.since) = (state, at);
                }
                self.tell(Some(number), &format_args!("state   {state}"));
            }
            Occurrence::Prepare(number) => order(number, Order::Prepare),
            Occurrence::Settle(number) => order(number, Order::Settle),
            Occurrence::Installed(number) => {
                let address = self.farm.address().ip();
                self.tell(Some(number), &format_args!("address {address} installed"));
            }
            Occurrence::Announced(number) => self.tell(Some(number), &"address announced"),
            Occurrence::Removed(number) => self.tell(Some(number), &"address removed"),
        }
    }

    /// Connections go to who has the address.
    fn follow(&mut self) {
        let holder = self.lan.holder();
        if holder != self.active {
            self.active = holder;
            self.farm.set_active(holder);
        }
    }

    /// Waits for directors, signals and the user, at most until then.
    fn wait(
        &self,
        until: Option<Timestamp>,
        input: Option<BorrowedFd<'_>>,
    ) -> Result<(), DemonstrationError> {
        // Rounded up: a wait cut short would only be repeated.
        let timeout = until.map_or(PollTimeout::NONE, |until| {
            let millis = until.saturating_sub(now()).as_micros().div_ceil(1000);
            let millis = i32::try_from(millis).ok();
            millis
                .and_then(|millis| PollTimeout::try_from(millis).ok())
                .unwrap_or(PollTimeout::MAX)
        });
        let own = [self.wake.as_fd(), self.signals.as_fd()];
        let all = own.into_iter().chain(input);
        let mut descriptors: Vec<_> = all
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN))
            .collect();
        match poll(&mut descriptors, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn act(&mut self, action: Action) -> Result<(), DemonstrationError> {
        match action {
            Action::Stop { server } => {
                self.farm.stop_server(server)?;
            }
            Action::Start { server } => {
                self.farm.start_server(server)?;
            }
            Action::Weight { server, weight } => {
                let place = server.saturating_sub(1);
                if let Some(server) = self.configuration.servers.get_mut(place) {
                    server.1 = weight;
                }
                self.reload()?;
            }
            Action::Scheduler { algorithm } => {
                self.configuration.algorithm = algorithm;
                self.reload()?;
            }
            Action::Traffic { per_second } => self.farm.set_traffic(per_second),
            Action::Kill { which } => self.kill(which),
            Action::Revive => {
                for number in 0..self.directors.len() {
                    self.switch_on(number)?;
                }
            }
        }
        Ok(())
    }

    /// The directors read their configuration again.
    fn reload(&self) -> Result<(), DemonstrationError> {
        for (number, director) in self.directors.iter().enumerate() {
            if let Some(station) = &director.station {
                let setup = Setup::new(&parse(&self.configuration, number)?);
                station.order(Order::Load(Box::new(setup)));
            }
        }
        Ok(())
    }

    /// A director's machine loses power.
    fn kill(&mut self, which: Which) {
        let runs = |number: &usize| {
            let director = self.directors.get(*number);
            director.is_some_and(|it| it.station.is_some())
        };
        let number = match which {
            Which::Active => self.active,
            Which::Standby => (0..self.directors.len())
                .find(|number| runs(number) && Some(*number) != self.active),
            Which::Number(number) => Some(number),
        };
        let Some(number) = number.filter(runs) else {
            return self.tell(None, &"nobody there to be killed");
        };
        self.lan.kill(number);
        self.follow();
        let director = self.directors.get_mut(number);
        if let Some(station) = director.and_then(|director| director.station.take()) {
            add(&mut self.stats.run, station.end(false));
        }
        self.farm.table(number).clear();
        self.note_power(number);
        self.tell(Some(number), &"power   off");
    }

    /// Starts a director that is not running, with an empty table.
    fn switch_on(&mut self, number: usize) -> Result<(), DemonstrationError> {
        let setup = Setup::new(&parse(&self.configuration, number)?);
        let Some(director) = self.directors.get_mut(number) else {
            return Ok(());
        };
        if director.station.is_some() {
            return Ok(());
        }
        director.life += 1;
        let mouth = self.mouth.of(number, director.life);
        let station = Station::start(&setup, self.farm.table(number), &mouth)?;
        // A director that knows of others is none alone.
        station.order(Order::Settle);
        director.station = Some(station);
        if director.life > 1 {
            self.note_power(number);
            self.lan.revive(number);
            self.tell(Some(number), &"power   on");
        }
        Ok(())
    }

    /// A director has no role yet, or none any more.
    fn note_power(&mut self, number: usize) {
        let at = self.at();
        if let Some(director) = self.directors.get_mut(number) {
            (director.state, director.since) = (State::Initialize, at);
            director.status = None;
        }
    }

    fn tell(&mut self, director: Option<usize>, text: &dyn core::fmt::Display) {
        self.events.push(Event::new(director, text));
    }
}

/// The configuration of a director, as it would be read from a file.
fn parse(configuration: &Configuration, director: usize) -> Result<Config, DemonstrationError> {
    let parsed = Config::parse("demonstration", &configuration.text(director));
    let is_error = |diagnostic: &&Diagnostic| diagnostic.severity == Severity::Error;
    if let Some(error) = parsed.diagnostics().iter().find(is_error) {
        return Err(DemonstrationError::Configuration(error.to_string()));
    }
    Ok(parsed)
}

const fn add(sum: &mut RunStats, more: RunStats) {
    sum.attempts += more.attempts;
    sum.changes += more.changes;
    sum.failures += more.failures;
}

fn now() -> Timestamp {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Timestamp::ZERO, Timestamp::from)
}
