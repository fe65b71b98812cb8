//! Search through every state that a network can reach.
//!
//! From each state the next thing that happens, happens with every combination of fates of the
//! advertisements sent then; or, before it, a router crashes or is shut down, or one that is down is
//! started, each as often as the limits allow. States are taken in the order of the time at which they
//! can be reached first, and times in them count from that, so that a state is visited once.
//!
//! From each state the network is also left alone, with nothing lost any more: it has to settle.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::{BinaryHeap, HashMap, HashSet};

use lvs_vrrp::State;
use lvs_vrrp::timer::NEVER;

use crate::world::{Fate, World};

/// What may go wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How far the search goes from the start.
    pub(crate) depth: Duration,
    /// How many routers crash or are shut down.
    pub(crate) stops: u8,
    /// How many of those are started again.
    pub(crate) restarts: u8,
    /// How many advertisements are lost, counted by receiver; none: any number.
    pub(crate) losses: Option<u8>,
    /// An advertisement may also come so much later; zero: it does not.
    pub(crate) delay: Duration,
    /// Within what time a network that is left alone has to settle, after the last start.
    pub(crate) settles_within: Duration,
}

/// What the search saw.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) states: usize,
    pub(crate) transitions: usize,
    /// The search went as deep as it was to; otherwise there were no more states.
    pub(crate) is_cut: bool,
    /// States in which more than one router was Active.
    pub(crate) split: usize,
    /// The longest time that a state took to settle.
    pub(crate) slowest: Duration,
}

/// What is left of the limits.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Budget {
    stops: u8,
    restarts: u8,
    losses: u8,
}

/// Plays choices from a script, and takes the first of each beyond its end.
#[derive(Debug, Default)]
struct Script {
    choices: Vec<u8>,
    options: Vec<u8>,
    next: usize,
}

impl Script {
    fn choose(&mut self, options: u8) -> u8 {
        if self.next == self.choices.len() {
            self.choices.push(0);
            self.options.push(options);
        }
        self.options[self.next] = options;
        self.next += 1;
        self.choices[self.next - 1]
    }

    /// The next script in order, if there is one.
    fn advance(&mut self) -> bool {
        self.choices.truncate(self.next);
        self.options.truncate(self.next);
        self.next = 0;
        while let (Some(choice), Some(options)) = (self.choices.pop(), self.options.pop()) {
            if choice + 1 < options {
                self.choices.push(choice + 1);
                self.options.push(options);
                return true;
            }
        }
        false
    }
}

/// Searches from these networks on; the error is the first violation.
pub(crate) fn search(
    starts: impl IntoIterator<Item = World>,
    limits: &Limits,
) -> Result<Findings, String> {
    let mut findings = Findings::default();
    let mut seen = HashSet::new();
    let mut settling = HashMap::new();
    let mut queue = BinaryHeap::new();
    let mut arena: Vec<Option<(World, Budget)>> = Vec::new();
    let budget = Budget {
        stops: limits.stops,
        restarts: limits.restarts,
        losses: limits.losses.unwrap_or(1),
    };
    for world in starts {
        if seen.insert((world.key(), budget)) {
            queue.push(Reverse((world.now, arena.len())));
            arena.push(Some((world, budget)));
        }
    }
    while let Some(Reverse((now, place))) = queue.pop() {
        let Some((world, budget)) = arena[place].take() else {
            continue;
        };
        findings.states += 1;
        findings.split += usize::from(actives(&world) > 1);
        let slow = settle(&world, limits, &mut settling)
            .map_err(|violation| format!("{violation}\nfrom {}", world.describe()))?;
        findings.slowest = findings.slowest.max(slow);
        if now >= limits.depth {
            findings.is_cut = true;
            continue;
        }
        let mut script = Script::default();
        loop {
            let (next, left) = follow(&world, budget, limits, &mut script)
                .map_err(|violation| format!("{violation}\nfrom {}", world.describe()))?;
            findings.transitions += 1;
            if seen.insert((next.key(), left)) {
                queue.push(Reverse((next.now, arena.len())));
                arena.push(Some((next, left)));
            }
            if !script.advance() {
                break;
            }
        }
    }
    Ok(findings)
}

/// One way to go on.
fn follow(
    world: &World,
    budget: Budget,
    limits: &Limits,
    script: &mut Script,
) -> Result<(World, Budget), String> {
    let mut world = world.clone();
    let mut left = budget;
    let up: Vec<usize> = indices(&world, |world, index| world.stations[index].is_up());
    let down: Vec<usize> = indices(&world, |world, index| {
        let station = &world.stations[index];
        !station.is_up() && station.starts_at == NEVER
    });
    let stops = if budget.stops > 0 { up.len() } else { 0 };
    let restarts = if budget.restarts > 0 { down.len() } else { 0 };
    let options = u8::try_from(1 + 2 * stops + restarts).unwrap();
    let what = usize::from(script.choose(options));
    let mut losses = budget.losses;
    let mut fate = || {
        let can_be_lost = losses > 0;
        let options = 1 + u8::from(can_be_lost) + u8::from(!limits.delay.is_zero());
        match (script.choose(options), can_be_lost) {
            (0, _) => Fate::Arrives {
                after: Duration::ZERO,
            },
            (1, true) => {
                losses -= u8::from(limits.losses.is_some());
                Fate::Lost
            }
            _ => Fate::Arrives {
                after: limits.delay,
            },
        }
    };
    if what == 0 {
        world.step(&mut fate)?;
    } else if what <= stops {
        left.stops -= 1;
        world.crash(up[what - 1]);
    } else if what <= 2 * stops {
        left.stops -= 1;
        world.shut_down(up[what - stops - 1], &mut fate)?;
    } else {
        left.restarts -= 1;
        world.restart(down[what - 2 * stops - 1]);
    }
    left.losses = losses;
    Ok((world, left))
}

/// How long the network takes to settle if it is left alone. Once it has settled it stays so.
fn settle(
    world: &World,
    limits: &Limits,
    known: &mut HashMap<Vec<u64>, Duration>,
) -> Result<Duration, String> {
    let mut world = world.clone();
    let begin = world.now;
    let starts = world.stations.iter().map(|station| station.starts_at);
    let last_start = starts.filter(|time| *time != NEVER).max().unwrap_or(begin);
    let limit = limits.settles_within + last_start.saturating_sub(begin);
    let mut path = Vec::new();
    let rest = loop {
        let key = world.key();
        if let Some(rest) = known.get(&key) {
            break *rest;
        }
        path.push((key, world.now));
        if world.next_time().is_none() {
            break Duration::ZERO;
        }
        let settled = world.is_settled().then(|| world.only_active());
        let now = world.now;
        if settled.is_none() && now - begin > limit {
            return Err(format!("does not settle: {}", world.describe()));
        }
        world.step(&mut || Fate::Arrives {
            after: Duration::ZERO,
        })?;
        if let Some(active) = settled {
            if !world.is_settled() || world.only_active() != active || world.senders > 1 {
                return Err(format!("had settled and changed: {}", world.describe()));
            }
            world.now = now;
            break Duration::ZERO;
        }
    };
    let whole = world.now - begin + rest;
    for (key, time) in path {
        known.insert(key, world.now - time + rest);
    }
    if whole > limit {
        return Err(format!("takes {whole:?} to settle"));
    }
    Ok(whole)
}

fn indices(world: &World, is_it: impl Fn(&World, usize) -> bool) -> Vec<usize> {
    (0..world.stations.len())
        .filter(|index| is_it(world, *index))
        .collect()
}

fn actives(world: &World) -> usize {
    let is_active =
        |world: &World, index: usize| world.stations[index].router.state() == State::Active;
    indices(world, is_active).len()
}
