//! Holders and stores, each with a clock of its own rate, and a network that delays, loses and cuts:
//! who has the addresses when, in real time.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::BinaryHeap;

use lvs_vrrp::lease::{
    HolderId, JobId, Lease, LeaseAnswer, LeaseConfig, LeaseEvent, LeaseJob, MemoryStore,
};
use lvs_vrrp::{GuardStatus, Priority, Rank, Timestamp};

/// Numbers from a seed: SplitMix64.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below the limit.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn time(&mut self, up_to: Duration) -> Duration {
        Duration::from_nanos(self.below(nanos(up_to) + 1))
    }

    /// By how much a clock is wrong.
    pub(crate) fn rate(&mut self, ppm: u32) -> i32 {
        let spread = u64::from(ppm) * 2 + 1;
        i32::try_from(self.below(spread)).unwrap() - i32::try_from(ppm).unwrap()
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap()
}

/// A clock that runs fast by parts per million, and showed `offset` at the beginning.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) offset: Duration,
    pub(crate) ppm: i32,
}

impl Clock {
    const fn rate(self) -> u64 {
        1_000_000_u64.saturating_add_signed(self.ppm as i64)
    }

    pub(crate) fn shows(self, real: Duration) -> Timestamp {
        let run = nanos(real) * self.rate() / 1_000_000;
        self.offset + Duration::from_nanos(run)
    }

    /// The first real time at which the clock shows this.
    pub(crate) fn real(self, shown: Timestamp) -> Duration {
        let run = nanos(shown.saturating_sub(self.offset));
        Duration::from_nanos((run * 1_000_000).div_ceil(self.rate()))
    }
}

/// What happens at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Wake,
    Want,
    DoNotWant,
    Stalled,
    Pause(Duration),
    Answer(JobId, LeaseAnswer),
    Gone,
    /// A job arrives at its store.
    Job(LeaseJob),
    /// A store starts anew, without memory.
    Restart(usize),
}

struct Entry {
    at: Duration,
    /// Keeps what happens at one time in order.
    number: u64,
    node: usize,
    what: What,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

pub(crate) struct Node {
    pub(crate) lease: Lease,
    pub(crate) clock: Clock,
    rank: Rank,
    paused_until: Duration,
    /// When a wake is due that was not overtaken by an earlier one.
    wakes_at: Option<Duration>,
    pub(crate) has_addresses: bool,
    is_removing: bool,
    /// Until when, in real time, no other may have the lease.
    promised_until: Duration,
    epochs: Vec<u64>,
}

/// What is to be known of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// How often a node got the addresses.
    pub(crate) tenures: usize,
    /// When two had the addresses first, in real time.
    pub(crate) first_overlap: Option<Duration>,
    /// Two were promised that no other has the lease.
    pub(crate) broken_promises: usize,
    /// Told by the leases.
    pub(crate) breaches: usize,
    pub(crate) yields: usize,
    pub(crate) losses: usize,
    /// The longest pause.
    pub(crate) longest_pause: Duration,
    /// All epochs, in order of the tenures.
    pub(crate) epochs: Vec<u64>,
}

/// How the network treats what is sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Losses of requests and of answers, each in percent.
    pub(crate) loss: u64,
    pub(crate) delay: Duration,
    /// Percent of what takes ten times as long.
    pub(crate) slow: u64,
    /// How late a node wakes up.
    pub(crate) lateness: Duration,
    /// Whether removal always takes as long as it may.
    pub(crate) slow_removal: bool,
}

pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) nodes: Vec<Node>,
    pub(crate) stores: Vec<MemoryStore>,
    /// Links that are cut: node, store, from, to.
    pub(crate) cuts: Vec<(usize, usize, Duration, Duration)>,
    pub(crate) weather: Weather,
    pub(crate) report: Report,
    pub(crate) draw: Draw,
    queue: BinaryHeap<Reverse<Entry>>,
    number: u64,
}

impl World {
    pub(crate) fn new(stores: Vec<MemoryStore>, weather: Weather, draw: Draw) -> Self {
        Self {
            now: Duration::ZERO,
            nodes: Vec::new(),
            stores,
            cuts: Vec::new(),
            weather,
            report: Report::default(),
            draw,
            queue: BinaryHeap::new(),
            number: 0,
        }
    }

    pub(crate) fn add_node(&mut self, config: LeaseConfig, clock: Clock) -> usize {
        let index = self.nodes.len();
        let number = u8::try_from(index).unwrap();
        self.nodes.push(Node {
            lease: Lease::new(config, HolderId::new(u128::from(number) + 1)),
            clock,
            rank: Rank::new(Priority::new(100 + number), [192, 0, 2, number].into()),
            paused_until: Duration::ZERO,
            wakes_at: None,
            has_addresses: false,
            is_removing: false,
            promised_until: Duration::ZERO,
            epochs: Vec::new(),
        });
        index
    }

    pub(crate) fn at(&mut self, at: Duration, node: usize, what: What) {
        self.number += 1;
        let number = self.number;
        self.queue.push(Reverse(Entry {
            at,
            number,
            node,
            what,
        }));
    }

    pub(crate) fn run(&mut self, until: Duration) {
        while let Some(Reverse(entry)) = self.queue.pop() {
            if entry.at > until {
                self.queue.push(Reverse(entry));
                break;
            }
            self.now = entry.at;
            self.step(entry.node, entry.what);
        }
        self.now = until;
    }

    fn step(&mut self, node: usize, what: What) {
        match what {
            What::Job(job) => return self.arrive(node, &job),
            What::Restart(store) => {
                let silence = self.nodes[0].lease.config().duration();
                return self.stores[store].restart(self.now, silence);
            }
            What::Pause(length) => {
                // Two in a row would be a longer one.
                if self.nodes[node].paused_until < self.now {
                    self.nodes[node].paused_until = self.now + length;
                    self.report.longest_pause = self.report.longest_pause.max(length);
                }
                return;
            }
            What::Gone => {
                // The kernel does this, whether or not the process runs.
                self.nodes[node].has_addresses = false;
            }
            _ => {}
        }
        let paused_until = self.nodes[node].paused_until;
        if self.now < paused_until {
            return self.at(paused_until, node, what);
        }
        let Node {
            lease,
            clock,
            rank,
            wakes_at,
            is_removing,
            promised_until,
            ..
        } = &mut self.nodes[node];
        let now = clock.shows(self.now);
        match what {
            What::Wake => {
                if wakes_at.is_some_and(|at| at <= self.now) {
                    *wakes_at = None;
                }
                lease.tick(now);
            }
            What::Want => lease.request(now, *rank),
            What::DoNotWant => lease.withdraw(now),
            What::Stalled => lease.stalled(now),
            What::Answer(id, answer) => lease.answer(now, id, answer),
            What::Gone => {
                *is_removing = false;
                *promised_until = Duration::ZERO;
                lease.addresses_gone(now);
            }
            What::Pause(_) | What::Job(_) | What::Restart(_) => {}
        }
        self.drain(node);
    }

    /// Does what the lease wants.
    fn drain(&mut self, node: usize) {
        while let Some(event) = self.nodes[node].lease.poll_event() {
            self.perform(node, event);
        }
        while let Some(job) = self.nodes[node].lease.poll_job() {
            if let Some(delay) = self.travel(node, usize::from(job.id.store())) {
                self.at(self.now + delay, node, What::Job(job));
            }
        }
        let promised = self.nodes[node].lease.exclusive_until();
        if let Some(until) = promised {
            // To be on the safe side: the nanosecond before.
            let until = self.nodes[node].clock.real(until);
            self.nodes[node].promised_until = until.saturating_sub(Duration::from_nanos(1));
        } else if !self.nodes[node].has_addresses {
            self.nodes[node].promised_until = Duration::ZERO;
        }
        if let Some(deadline) = self.nodes[node].lease.next_deadline() {
            let at = self.nodes[node].clock.real(deadline).max(self.now);
            if self.nodes[node].wakes_at.is_none_or(|wakes| at < wakes) {
                self.nodes[node].wakes_at = Some(at);
                let late = self.draw.time(self.weather.lateness);
                self.at(at + late, node, What::Wake);
            }
        }
    }

    fn perform(&mut self, node: usize, event: LeaseEvent) {
        let now = self.now;
        match event {
            LeaseEvent::Status(GuardStatus::Held { epoch, .. }) => {
                if self.nodes[node].has_addresses {
                    assert!(
                        !self.nodes[node].is_removing,
                        "held before the addresses went"
                    );
                    return;
                }
                self.report.tenures += 1;
                self.report.epochs.push(epoch);
                self.nodes[node].epochs.push(epoch);
                let others = || (0..).zip(&self.nodes).filter(|(other, _)| *other != node);
                if others().any(|(_, other)| other.has_addresses) {
                    self.report.first_overlap.get_or_insert(now);
                }
                if others().any(|(_, other)| now < other.promised_until) {
                    self.report.broken_promises += 1;
                }
                self.nodes[node].has_addresses = true;
            }
            LeaseEvent::Status(_) => {
                let lease = &self.nodes[node].lease;
                let longest = lease.config().removal_time();
                let clock = self.nodes[node].clock;
                let shown = clock.shows(now);
                if self.nodes[node].has_addresses {
                    if !self.nodes[node].is_removing {
                        self.nodes[node].is_removing = true;
                        let removal = if self.weather.slow_removal {
                            longest
                        } else {
                            self.draw.time(longest)
                        };
                        // At the latest when the declared time is over on the node's own clock.
                        let gone = clock.real(shown + removal);
                        self.at(gone, node, What::Gone);
                    }
                } else {
                    self.nodes[node].lease.addresses_gone(shown);
                }
            }
            LeaseEvent::Yield(_) => {
                self.report.yields += 1;
                let shown = self.nodes[node].clock.shows(now);
                self.nodes[node].lease.withdraw(shown);
                // As a Backup that hears nothing does.
                let again = now + self.draw.time(Duration::from_secs(8));
                self.at(again, node, What::Want);
            }
            LeaseEvent::Lost(_) => {
                self.report.losses += 1;
                let again = now + self.draw.time(Duration::from_secs(4));
                self.at(again, node, What::Want);
            }
            LeaseEvent::Breach { .. } => self.report.breaches += 1,
            _ => {}
        }
    }

    /// How long something is under way between a node and a store, if it arrives.
    fn travel(&mut self, node: usize, store: usize) -> Option<Duration> {
        let is_cut = self
            .cuts
            .iter()
            .any(|(n, s, from, to)| (*n, *s) == (node, store) && (*from..*to).contains(&self.now));
        if is_cut || self.draw.chance(self.weather.loss) {
            return None;
        }
        let delay = self.draw.time(self.weather.delay);
        Some(if self.draw.chance(self.weather.slow) {
            delay * 10
        } else {
            delay
        })
    }

    fn arrive(&mut self, node: usize, job: &LeaseJob) {
        let store = usize::from(job.id.store());
        let answer = self.stores[store].handle(self.now, &job.request);
        if let Some(delay) = self.travel(node, store) {
            self.at(self.now + delay, node, What::Answer(job.id, answer));
        } else if self.draw.chance(30) {
            // The connection was reset.
            let failed = What::Answer(job.id, LeaseAnswer::Failed);
            self.at(self.now, node, failed);
        }
    }
}
