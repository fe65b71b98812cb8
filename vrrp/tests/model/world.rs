//! A few routers on a network that does to each advertisement what it is told to.

use core::net::IpAddr;
use core::time::Duration;

use lvs_vrrp::config::RouterConfig;
use lvs_vrrp::event::{Action, Event, HeardAdvert, ShutdownMode, State};
use lvs_vrrp::machine::VirtualRouter;
use lvs_vrrp::receive::Versions;
use lvs_vrrp::timer::NEVER;
use lvs_vrrp::{AddressList, Priority, Timestamp, Version, Vrid};

use crate::observer::observe;
use crate::seeded::Bug;

/// More happens at one point of time only if routers answer each other without end.
const STORM: u32 = 200;

/// What becomes of one advertisement on the way to one router.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    Arrives { after: Duration },
    Lost,
}

/// One router.
#[derive(Clone, Debug)]
pub(crate) struct Station {
    /// The machine as it comes out of the box.
    template: VirtualRouter,
    pub(crate) router: VirtualRouter,
    pub(crate) bug: Bug,
    /// When it is started, if it does not run.
    pub(crate) starts_at: Timestamp,
    /// What the machine knows and does not show: when the preempt hold ends.
    hold: Option<Timestamp>,
}

impl Station {
    pub(crate) fn is_up(&self) -> bool {
        self.router.state() != State::Initialize
    }

    pub(crate) fn priority(&self) -> Priority {
        self.router.effective_priority()
    }
}

/// An advertisement on the way.
#[derive(Clone, Copy, Debug)]
struct Flight {
    at: Timestamp,
    to: usize,
    advert: HeardAdvert,
}

/// The network.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) stations: Vec<Station>,
    flights: Vec<Flight>,
    /// How often anybody sent something in the last step.
    pub(crate) senders: u32,
}

/// A configuration: VRRPv3, id 10, 192.0.2.100, every second.
pub(crate) fn config(priority: u8) -> RouterConfig {
    let addresses = AddressList::new(["192.0.2.100".parse().unwrap()]).unwrap();
    let config = RouterConfig::new(Vrid::new(10).unwrap(), addresses);
    if priority == 255 {
        config.as_owner()
    } else {
        config.with_priority(Priority::new(priority))
    }
}

impl World {
    /// Routers that start at these times; the later in the list, the greater the address.
    pub(crate) fn new(routers: impl IntoIterator<Item = (RouterConfig, Timestamp)>) -> Self {
        let station = |(index, (config, starts_at)): (usize, (RouterConfig, Timestamp))| {
            let mut template = VirtualRouter::new(config).unwrap();
            let last = u8::try_from(index + 1).unwrap();
            let source = IpAddr::from([192, 0, 2, last]);
            let _ = template.handle(Timestamp::ZERO, Event::Source(Some(source)));
            Station {
                router: template.clone(),
                template,
                bug: Bug::None,
                starts_at,
                hold: None,
            }
        };
        Self {
            now: Timestamp::ZERO,
            stations: routers.into_iter().enumerate().map(station).collect(),
            flights: Vec::new(),
            senders: 0,
        }
    }

    /// When something happens next.
    pub(crate) fn next_time(&self) -> Option<Timestamp> {
        let stations = self.stations.iter().map(|station| {
            let deadline = station.router.next_deadline().unwrap_or(NEVER);
            deadline.min(station.starts_at)
        });
        let flights = self.flights.iter().map(|flight| flight.at);
        stations.chain(flights).min().filter(|time| *time != NEVER)
    }

    /// Goes to the next point of time at which something happens, and lets it happen. What was
    /// received comes before what is due.
    pub(crate) fn step(&mut self, fate: &mut dyn FnMut() -> Fate) -> Result<(), String> {
        let Some(next) = self.next_time() else {
            return Ok(());
        };
        self.now = next;
        self.senders = 0;
        let mut events = 0;
        while self.next_time().is_some_and(|time| time <= self.now) {
            events += 1;
            if events > STORM {
                return Err(format!("no end of answers at {:?}", self.now));
            }
            self.one_event(fate)?;
        }
        Ok(())
    }

    fn one_event(&mut self, fate: &mut dyn FnMut() -> Fate) -> Result<(), String> {
        let now = self.now;
        if let Some(place) = self.flights.iter().position(|flight| flight.at <= now) {
            let flight = self.flights.remove(place);
            let advert = HeardAdvert {
                received_at: now,
                ..flight.advert
            };
            return self.hear(flight.to, advert, fate);
        }
        let due = |station: &Station| {
            let deadline = station.router.next_deadline();
            station.starts_at <= now || deadline.is_some_and(|deadline| deadline <= now)
        };
        let Some(index) = self.stations.iter().position(due) else {
            return Ok(());
        };
        if self.stations[index].starts_at <= now {
            self.stations[index].starts_at = NEVER;
            return self.feed(index, Event::Startup, fate);
        }
        self.feed(index, Event::Tick, fate)?;
        let twice = self.stations[index].router.handle(now, Event::Tick);
        if twice.is_empty() {
            Ok(())
        } else {
            Err(format!("invariant 6 at {now:?}: {twice:?}"))
        }
    }

    /// What the ladder does before the machine: an owner may be told to drop, a router of VRRPv2
    /// drops other intervals. Here intervals of VRRPv2 are equal.
    fn hear(
        &mut self,
        index: usize,
        advert: HeardAdvert,
        fate: &mut dyn FnMut() -> Fate,
    ) -> Result<(), String> {
        let station = &mut self.stations[index];
        let config = station.router.config();
        let (own, hold) = (station.router.effective_priority(), config.preempt_hold());
        let bears = config.preempts() && advert.priority < own && !advert.priority.is_resign();
        station.hold = (station.router.state() == State::Backup && bears && !hold.is_zero())
            .then(|| station.hold.unwrap_or(self.now + hold));
        self.feed(index, Event::Advert(advert), fate)
    }

    fn feed(
        &mut self,
        index: usize,
        event: Event,
        fate: &mut dyn FnMut() -> Fate,
    ) -> Result<(), String> {
        let now = self.now;
        let station = &mut self.stations[index];
        let before = station.router.state();
        let event = station.bug.distort(&station.router, event);
        let actions = station.router.handle(now, event);
        if station.router.state() != before {
            station.hold = None;
        }
        let is_shutdown = matches!(event, Event::Shutdown(_));
        observe(now, before, is_shutdown, &station.router, &actions)?;
        let source = station.router.source().unwrap();
        let mut has_sent = false;
        for action in &actions {
            let Action::SendAdvert(advert) = action else {
                continue;
            };
            has_sent = true;
            let advert = HeardAdvert {
                received_at: now,
                source,
                priority: advert.priority,
                interval: advert.interval,
                version: version_of(advert.versions),
            };
            for to in (0..self.stations.len()).filter(|to| *to != index) {
                // Fates are chosen for those only who listen, or may at the time of arrival.
                let listens = self.stations[to].is_up() || self.stations[to].starts_at != NEVER;
                if !listens {
                    continue;
                }
                if let Fate::Arrives { after } = fate() {
                    let at = now + after;
                    self.flights.push(Flight { at, to, advert });
                }
            }
        }
        self.flights.sort_by_key(|flight| flight.at);
        self.senders += u32::from(has_sent);
        Ok(())
    }

    /// A router vanishes without a word, and what is on the way to it with it.
    pub(crate) fn crash(&mut self, index: usize) {
        let station = &mut self.stations[index];
        station.router = station.template.clone();
        station.hold = None;
        self.flights.retain(|flight| flight.to != index);
    }

    /// A router stops as it should.
    pub(crate) fn shut_down(
        &mut self,
        index: usize,
        fate: &mut dyn FnMut() -> Fate,
    ) -> Result<(), String> {
        let event = Event::Shutdown(ShutdownMode::Graceful);
        self.feed(index, event, fate)?;
        self.crash(index);
        Ok(())
    }

    /// A router that stopped or crashed is started.
    pub(crate) fn restart(&mut self, index: usize) {
        self.stations[index].starts_at = self.now;
    }

    /// The only Active, if there is exactly one.
    pub(crate) fn only_active(&self) -> Option<usize> {
        let mut actives = (0..self.stations.len()).filter(|index| self.is_active(*index));
        let first = actives.next()?;
        actives.next().is_none().then_some(first)
    }

    fn is_active(&self, index: usize) -> bool {
        self.stations[index].router.state() == State::Active
    }

    /// Whether nothing changes any more, if nothing is lost: one router is Active, nobody who would
    /// preempt it is up, every Backup waits for longer than the Active is silent.
    pub(crate) fn is_settled(&self) -> bool {
        let Some(active) = self.only_active() else {
            return false;
        };
        let active = &self.stations[active];
        let is_content = |station: &Station| {
            let config = station.router.config();
            let bears = !config.preempts() || station.priority() <= active.priority();
            bears && station.router.next_deadline() > active.router.next_deadline()
        };
        let is_backup = |station: &&Station| station.router.state() == State::Backup;
        self.flights.is_empty()
            && self
                .stations
                .iter()
                .all(|station| station.starts_at == NEVER)
            && self.stations.iter().filter(is_backup).all(is_content)
    }

    /// All that decides what can happen from here on, in numbers, with times counted from now.
    ///
    /// Beside what a machine shows and the end of its hold it knows where its silence began, which
    /// only a change of its priority would bring up again; why it will become Active and who was,
    /// which it reports only; and when it may announce again.
    pub(crate) fn key(&self) -> Vec<u64> {
        let mut key = Vec::with_capacity(4 * self.stations.len() + 3 * self.flights.len());
        let from_now = |time: Option<Timestamp>| {
            time.filter(|time| *time != NEVER).map_or(u64::MAX, |time| {
                u64::try_from(time.saturating_sub(self.now).as_nanos()).unwrap()
            })
        };
        for station in &self.stations {
            let interval = station.router.active_interval().centiseconds();
            key.push(u64::from(interval) << 8 | station.router.state() as u64);
            key.push(from_now(station.router.next_deadline()));
            key.push(from_now(Some(station.starts_at)));
            key.push(from_now(station.hold));
        }
        for Flight { at, to, advert } in &self.flights {
            let IpAddr::V4(source) = advert.source else {
                panic!("IPv4 only");
            };
            let from = u64::from(source.octets()[3]);
            key.push(from << 16 | u64::from(advert.priority.get()) << 8 | *to as u64);
            key.push(from_now(Some(*at)));
        }
        key
    }

    /// Who is what, for messages.
    pub(crate) fn describe(&self) -> String {
        let describe = |station: &Station| {
            let router = &station.router;
            let (state, priority) = (router.state(), router.effective_priority());
            let deadline = router.next_deadline();
            format!("{state} {priority} until {deadline:?}")
        };
        let stations: Vec<String> = self.stations.iter().map(describe).collect();
        format!("{:?}: {}", self.now, stations.join(", "))
    }

    /// The longest down interval that any of the routers can come to wait for.
    pub(crate) fn longest_down(&self) -> Duration {
        let configs = || self.stations.iter().map(|station| station.router.config());
        let interval = configs().map(RouterConfig::interval).max().unwrap();
        configs()
            .map(|config| {
                config
                    .clone()
                    .with_interval(interval)
                    .active_down_interval()
            })
            .max()
            .unwrap()
    }
}

fn version_of(versions: Versions) -> Version {
    match versions {
        Versions::Only(version) => version,
        Versions::Dual => panic!("one version at a time here"),
    }
}
