//! Random networks of two to five routers, with delays and nothing lost: they settle.

use core::ops::Range;
use core::time::Duration;

use lvs_vrrp::config::RouterConfig;
use lvs_vrrp::profile::AnswerLosing;
use lvs_vrrp::receive::Versions;
use lvs_vrrp::{Interval, Priority, Profile, State, Timestamp, Version};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;

use crate::setting;
use crate::world::{Fate, World, config};

/// What is drawn for a network.
#[derive(Clone, Debug)]
struct Network {
    version: Version,
    routers: Vec<Drawn>,
    /// Advertisements take up to so many thousandths of the shortest interval.
    delay: u32,
    seed: u64,
}

/// What is drawn for a router.
#[derive(Clone, Debug)]
struct Drawn {
    priority: u8,
    interval_cs: u16,
    hold: Duration,
    starts_at: Duration,
    answers: AnswerLosing,
    preempts: bool,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let answers = [AnswerLosing::Never, AnswerLosing::V3, AnswerLosing::Always];
    let interval = prop_oneof![Just(100_u16), select(vec![50, 75, 120, 200, 300])];
    let hold = prop_oneof![3 => Just(0), 1 => 1_u64..10_000];
    (
        prop_oneof![1 => select(vec![100_u8, 200]), 2 => 1_u8..=254],
        interval,
        hold.prop_map(Duration::from_millis),
        (0_u64..8_000_000_000).prop_map(Duration::from_nanos),
        select(answers.to_vec()),
        any::<bool>(),
    )
        .prop_map(
            |(priority, interval_cs, hold, starts_at, answers, preempts)| Drawn {
                priority,
                interval_cs,
                hold,
                starts_at,
                answers,
                preempts,
            },
        )
}

fn network(routers: Range<usize>) -> impl Strategy<Value = Network> {
    let version = select(vec![Version::V2, Version::V3, Version::V3]);
    let delay = prop_oneof![Just(0), 1_u32..500];
    (version, vec(drawn(), routers), delay, any::<u64>()).prop_map(
        |(version, routers, delay, seed)| Network {
            version,
            routers,
            delay,
            seed,
        },
    )
}

impl Network {
    /// The routers; all preempt, or as drawn.
    fn configs(&self, all_preempt: bool) -> Vec<RouterConfig> {
        let config = |drawn: &Drawn| {
            let mut switches = Profile::Linux.switches();
            switches.answer_losing_adverts = drawn.answers;
            // Routers of VRRPv2 that differ in it do not hear each other.
            let interval_cs = match self.version {
                Version::V2 => 100,
                Version::V3 => drawn.interval_cs,
            };
            config(drawn.priority)
                .with_versions(Versions::Only(self.version))
                .with_switches(switches)
                .with_interval(Interval::from_centiseconds(interval_cs).unwrap())
                .with_preempt(all_preempt || drawn.preempts)
                .with_preempt_hold(drawn.hold)
        };
        self.routers.iter().map(config).collect()
    }

    fn starts(&self) -> impl Iterator<Item = Timestamp> + '_ {
        self.routers.iter().map(|drawn| drawn.starts_at)
    }

    fn last_start(&self) -> Timestamp {
        self.starts().max().unwrap()
    }

    fn run(&self, configs: Vec<RouterConfig>, starts: Vec<Timestamp>) -> Run {
        let shortest = configs.iter().map(RouterConfig::interval).min().unwrap();
        Run {
            longest_delay: shortest.as_duration() * self.delay / 1000,
            random: self.seed,
            world: World::new(configs.into_iter().zip(starts)),
        }
    }
}

/// A network while it runs.
struct Run {
    world: World,
    longest_delay: Duration,
    random: u64,
}

impl Run {
    fn step(&mut self) {
        let (random, longest) = (&mut self.random, self.longest_delay);
        let mut fate = || Fate::Arrives {
            after: Duration::from_nanos(next(random) % (nanos(longest) + 1)),
        };
        self.world.step(&mut fate).unwrap();
    }

    fn until(&mut self, end: Timestamp) {
        while self.world.next_time().is_some_and(|time| time <= end) {
            self.step();
        }
    }

    /// When everything that can happen after the last start has happened: whoever waits has waited,
    /// then held back, then waited again; the last advertisements have arrived.
    fn settled_by(&self, last_start: Timestamp) -> Timestamp {
        let configs = self.world.stations.iter().map(|s| s.router.config());
        let hold = configs.map(RouterConfig::preempt_hold).max().unwrap();
        last_start + hold + self.world.longest_down() * 3 + self.longest_delay * 4
    }

    /// For two down intervals exactly this router is Active, and only it sends.
    fn assert_stays(&mut self, active: usize) {
        let end = self.world.now + self.world.longest_down() * 2;
        while self.world.next_time().is_some_and(|time| time <= end) {
            self.step();
            assert!(self.world.senders <= 1);
            assert_eq!(
                self.world.only_active(),
                Some(active),
                "{}",
                self.world.describe()
            );
        }
    }
}

/// Two fast Backups and a slow Active that bears losing advertisements in silence. The last word of
/// the one that gives way is what the other one hears last, and must not make it expect
/// advertisements at a rate that the Active does not keep: they would take turns without end.
#[test]
fn last_words_do_not_wake_the_others() {
    for answers in [AnswerLosing::Never, AnswerLosing::V3] {
        let of = |priority, interval_cs| {
            let mut switches = Profile::Linux.switches();
            switches.answer_losing_adverts = answers;
            assert!(switches.yield_with_advert);
            config(priority)
                .with_switches(switches)
                .with_interval(Interval::from_centiseconds(interval_cs).unwrap())
        };
        // The last one starts between two advertisements of the owner, and hears none in time.
        let late = Duration::from_millis(7009);
        let starts = [Duration::from_millis(814), Duration::ZERO, late];
        let configs = [of(255, 200), of(100, 50), of(100, 50)];
        let mut run = Run {
            world: World::new(configs.into_iter().zip(starts)),
            longest_delay: Duration::ZERO,
            random: 0,
        };
        run.until(Duration::from_secs(20));
        run.assert_stays(0);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap()
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn cases(share: u32) -> ProptestConfig {
    ProptestConfig {
        cases: setting("VRRP_MODEL_CASES", 10_000) / share,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(1))]

    /// Invariant 7.
    #[test]
    fn the_best_ends_up_alone(network in network(2..6)) {
        let mut run = network.run(network.configs(true), network.starts().collect());
        run.until(run.settled_by(network.last_start()));
        let active = run.world.only_active();
        let best = run.world.stations.iter().map(|station| station.priority()).max().unwrap();
        let active = active.unwrap_or_else(|| panic!("several or none: {}", run.world.describe()));
        assert_eq!(run.world.stations[active].priority(), best);
        run.assert_stays(active);
    }
}

proptest! {
    #![proptest_config(cases(4))]

    /// Invariant 8: the others start while one is Active.
    #[test]
    fn without_preemption_the_active_stays(network in network(2..6)) {
        let configs = network.configs(true);
        let configs: Vec<_> = configs.into_iter().map(|c| c.with_preempt(false)).collect();
        let down = configs[0].active_down_interval();
        let mut starts: Vec<_> = network.starts().map(|time| time + down).collect();
        starts[0] = Duration::ZERO;
        let mut run = network.run(configs, starts);
        run.until(down);
        assert_eq!(run.world.only_active(), Some(0));
        let end = run.settled_by(network.last_start() + down);
        while run.world.now < end {
            run.step();
            // A fast router that starts beside a slow one may not have heard it in time (`VRRP-022`);
            // it gives way if the other is better, and takes over if not.
            let first = &run.world.stations[0];
            let patient = |s: &crate::world::Station| {
                s.router.config().interval() >= first.router.config().interval()
            };
            if run.world.stations.iter().all(patient) {
                assert_eq!(run.world.only_active(), Some(0), "{}", run.world.describe());
            }
        }
    }

    /// Invariant 9, with others that preempt or do not.
    #[test]
    fn the_owner_ends_up_active(network in network(2..6), owner in any::<proptest::sample::Index>()) {
        let owner = owner.index(network.routers.len());
        let mut configs = network.configs(false);
        configs[owner] = configs[owner].clone().as_owner();
        let mut run = network.run(configs, network.starts().collect());
        run.until(run.settled_by(network.last_start()));
        run.assert_stays(owner);
        assert_eq!(run.world.stations[owner].priority(), Priority::OWNER);
        assert_eq!(run.world.stations[owner].router.state(), State::Active);
    }
}
