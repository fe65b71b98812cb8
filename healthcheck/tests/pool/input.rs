//! Bytes as settings, destinations and inputs of a pool.

use core::time::Duration;

use lvs_healthcheck::aggregate::{
    Aggregate, Contribution, Desired, Member, Removal, Source, UnknownAs,
};
use lvs_healthcheck::policy::Health;
use lvs_healthcheck::pool::{
    Connections, Drain, Guard, Leaving, OnLimit, OnLowQuorum, Pool, Settings, Shutdown, Sorry, Swap,
};
use lvs_healthcheck::{AdminHint, WeightHint};

/// A pool of numbered destinations with numbered checks.
pub(crate) type Subject = Pool<u8, u8>;

/// Names of real servers are below this.
pub(crate) const NAMES: u8 = 6;

/// Sorry servers that are no real servers begin here.
pub(crate) const SORRY: u8 = 100;

/// Bytes that decide; zeros once they are used up.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

/// Settings, and what a model has to know of them.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) quorum: u64,
    pub(crate) hysteresis: u64,
    pub(crate) eject_limit: u8,
    pub(crate) grace: Duration,
    pub(crate) removes_first: bool,
    /// Whether the sorry server may be a real server, too.
    pub(crate) shares_host: bool,
    pub(crate) settings: Settings<u8>,
}

/// A destination as configured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Configured {
    pub(crate) name: u8,
    pub(crate) weight: u32,
    pub(crate) unknown: UnknownAs,
    pub(crate) adopted: Desired,
    removal: Removal,
}

impl Configured {
    pub(crate) fn pair(&self) -> (u8, Aggregate<u8>) {
        let mut aggregate = Aggregate::new(self.weight)
            .with_removal(self.removal)
            .with_adopted(self.adopted);
        aggregate.insert(0, Member::required(self.unknown));
        (self.name, aggregate)
    }
}

/// An input of a pool.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Nothing,
    Says {
        name: u8,
        health: Health,
        hint: Option<u32>,
        no_new: bool,
    },
    Override(u8, Option<u32>),
    Vote(u8, Option<AdminHint>),
    Eject(u8),
    Readmit(u8),
    Drained(u8),
    Observe(u8, Connections),
    Add(Configured),
    Remove(u8),
    Replace(Rules, Vec<Configured>),
    Settings(Rules),
    Suspend,
    Resume(bool),
    SorryHealth(bool),
    Stop(Shutdown),
}

impl Operation {
    /// Carries it out; the destinations of a configuration in the opposite order if told.
    pub(crate) fn apply(&self, pool: &mut Subject, now: Duration, is_reversed: bool) {
        match self {
            // About nobody: only the time counts.
            Self::Nothing => assert!(!pool.drained(now, &u8::MAX)),
            Self::Says {
                name,
                health,
                hint,
                no_new,
            } => {
                let mut says = Contribution::new(*health).with_no_new(*no_new);
                says.hint = hint.map(WeightHint::Absolute);
                pool.update(now, name, &0, says);
            }
            Self::Override(name, weight) => {
                pool.set_override(now, name, *weight);
            }
            Self::Vote(name, vote) => {
                pool.set_vote(now, name, Source::Api, *vote);
            }
            Self::Eject(name) => {
                pool.eject(now, name);
            }
            Self::Readmit(name) => {
                pool.readmit(now, name);
            }
            Self::Drained(name) => {
                pool.drained(now, name);
            }
            Self::Observe(name, connections) => {
                pool.observe(now, name, *connections);
            }
            Self::Add(configured) => {
                let (name, aggregate) = configured.pair();
                pool.add(now, name, aggregate);
            }
            Self::Remove(name) => {
                pool.remove(now, name);
            }
            Self::Replace(rules, destinations) => {
                let mut pairs: Vec<_> = destinations.iter().map(Configured::pair).collect();
                if is_reversed {
                    pairs.reverse();
                }
                let _ = pool.replace(now, rules.settings.clone(), pairs);
            }
            Self::Settings(rules) => {
                let _ = pool.set_settings(now, rules.settings.clone());
            }
            Self::Suspend => pool.suspend(now),
            Self::Resume(forget) => pool.resume(now, *forget),
            Self::SorryHealth(is_up) => pool.set_sorry_health(now, *is_up),
            Self::Stop(how) => pool.stop(now, *how),
        }
    }
}

impl Input<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    fn below(&mut self, count: u8) -> u8 {
        self.byte() % count
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        let place = usize::from(self.byte()) % choices.len();
        choices.get(place).copied().unwrap()
    }

    fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    fn name(&mut self) -> u8 {
        self.below(NAMES)
    }

    /// A time to let pass: often none.
    pub(crate) fn pause(&mut self) -> Duration {
        Duration::from_secs(self.of(&[0, 0, 0, 1, 2, 7, 60, 400]))
    }

    fn removal(&mut self) -> Removal {
        let limit = |seconds| Removal::DrainThenRemove {
            limit: Some(Duration::from_secs(seconds)),
        };
        let endless = Removal::DrainThenRemove { limit: None };
        self.of(&[
            Removal::Remove,
            Removal::Inhibit,
            limit(3),
            limit(60),
            limit(0),
            endless,
        ])
    }

    fn found(&mut self) -> Desired {
        let present = |weight| Desired::Present { weight };
        self.of(&[Desired::Absent, Desired::Absent, present(0), present(3)])
    }

    pub(crate) fn configured(&mut self, name: u8) -> Configured {
        Configured {
            name,
            weight: self.of(&[1, 2, 3, 10, 0]),
            unknown: self.of(&[UnknownAs::Up, UnknownAs::Down, UnknownAs::Hold]),
            adopted: self.found(),
            removal: self.removal(),
        }
    }

    /// Some of the destinations, in any order.
    pub(crate) fn destinations(&mut self) -> Vec<Configured> {
        let (chosen, turn) = (self.byte(), self.below(NAMES));
        let names = (0..NAMES).map(|place| (place + turn) % NAMES);
        names
            .filter(|name| chosen & (1 << name) != 0)
            .map(|name| self.configured(name))
            .collect()
    }

    fn sorry(&mut self) -> (Option<Sorry<u8>>, bool, bool) {
        let name = match self.below(5) {
            0 => return (None, false, false),
            1 => self.name(),
            _ => SORRY + self.below(2),
        };
        let swap = self.of(&[Swap::AddFirst, Swap::AddFirst, Swap::RemoveFirst]);
        let sorry = Sorry::new(name)
            .with_weight(self.of(&[1, 7]))
            .with_removal(self.removal())
            .with_swap(swap)
            .with_adopted(self.found())
            .with_on_low_quorum(self.of(&[
                OnLowQuorum::Replace,
                OnLowQuorum::AddAlongside,
                OnLowQuorum::OnlyWhenEmpty,
            ]));
        (Some(sorry), swap == Swap::RemoveFirst, name < NAMES)
    }

    /// Settings, seldom wrong ones.
    pub(crate) fn rules(&mut self) -> Rules {
        let quorum = self.of(&[1, 1, 2, 5, 13]);
        let hysteresis = self.of(&[0, 0, 1, 4]);
        let eject_limit = self.of(&[10, 50, 100, 0]);
        let grace = Duration::from_secs(self.of(&[5, 0, 90]));
        let (sorry, removes_first, shares_host) = self.sorry();
        let limit = self.of(&[Some(5), Some(100), Some(0), None]);
        let drain = Drain::new()
            .with_limit(limit.map(Duration::from_secs))
            .with_on_limit(self.of(&[OnLimit::Delete, OnLimit::KeepZero]))
            .with_wait_persistent(self.flag())
            .with_remove_voted(self.flag());
        let mut settings = Settings::new()
            .with_quorum(quorum)
            .with_hysteresis(hysteresis)
            .with_eject_limit(eject_limit)
            .with_grace(grace)
            .with_sorry(sorry)
            .with_drain(drain)
            .with_leaving(self.of(&[Leaving::ByRemoval, Leaving::Delete, Leaving::Drain]))
            .with_omega(self.flag());
        settings = match self.below(5) {
            1 => settings.with_guard(50, Guard::FailOpen),
            2 => settings.with_guard(70, Guard::Freeze),
            3 => settings.with_watermarks(30, 60),
            _ => settings,
        };
        Rules {
            quorum,
            hysteresis,
            eject_limit,
            grace,
            removes_first,
            shares_host,
            settings,
        }
    }

    pub(crate) fn operation(&mut self) -> Operation {
        match self.below(34) {
            0 => Operation::Nothing,
            32 | 33 => {
                let votes = [None, Some(AdminHint::Drain), Some(AdminHint::Maint)];
                Operation::Vote(self.name(), self.of(&votes))
            }
            1 => Operation::Override(self.name(), self.of(&[None, Some(0), Some(4)])),
            2 => Operation::Eject(self.name()),
            3 => Operation::Readmit(self.name()),
            4 => Operation::Drained(self.of(&[0, 1, 2, 3, 4, 5, SORRY, SORRY + 1])),
            5 => {
                let counters = [self.below(2), self.below(2), self.below(2)];
                let [active, inactive, persistent] = counters.map(u32::from);
                let connections = Connections {
                    active,
                    inactive,
                    persistent,
                };
                Operation::Observe(self.name(), connections)
            }
            6 | 7 => {
                let name = self.name();
                Operation::Add(self.configured(name))
            }
            8 => Operation::Remove(self.name()),
            9 => {
                let rules = self.rules();
                Operation::Replace(rules, self.destinations())
            }
            10 => Operation::Settings(self.rules()),
            11 => Operation::Suspend,
            12 | 13 => Operation::Resume(self.flag()),
            14 => Operation::SorryHealth(self.flag()),
            15 => match self.of(&[None, None, None, Some(())]) {
                None => Operation::Nothing,
                Some(()) => Operation::Stop(self.of(&[
                    Shutdown::Leave,
                    Shutdown::Remove,
                    Shutdown::Drain,
                    Shutdown::Zero,
                ])),
            },
            _ => Operation::Says {
                name: self.name(),
                health: self.of(&[Health::Up, Health::Down, Health::Up, Health::Down]),
                hint: self.of(&[None, None, Some(0), Some(4)]),
                no_new: self.below(8) == 7,
            },
        }
    }
}
