//! What a storm of attempts of all kinds leaves behind when checks are removed and drivers dropped
//! at any moment: nothing. Alone in its process, because it counts everything the process has.

#![cfg(all(feature = "http", feature = "tls"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/children.rs"]
mod children;
#[path = "support/descriptors.rs"]
mod descriptors;
#[path = "support/driven.rs"]
mod driven;
#[path = "support/manners.rs"]
mod manners;
#[path = "support/settles.rs"]
mod settles;

use core::time::Duration;
use std::fs;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use lvs_healthcheck::policy::{ScheduleBase, Spread};
use lvs_healthcheck::probe::file::FileProbe;
use lvs_healthcheck::probe::http::Http;
use lvs_healthcheck::probe::smtp::Smtp;
use lvs_healthcheck::probe::tls::{Tls, Verify};
use lvs_healthcheck::probe::udp::{Reply, UdpProbe};
use lvs_healthcheck::probe::{Action, Call, Engine, Event, FnProbe, NamedProbe, Step, preset};
use lvs_healthcheck::timetable::Limits;
use lvs_healthcheck::{
    Attempt, Check, CheckEvent, CheckId, Code, Command, CommandProbe, Config, Driver, Outcome,
    Phase, Policy, Probe, Target, TcpProbe, Timestamp,
};

use self::children::children;
use self::descriptors::descriptors;
use self::driven::{registered, workers};
use self::manners::{MANNERS, Server};
use self::settles::settles;

/// Threads a driver may have for functions.
const THREADS: u32 = 3;

/// How long things may take to be gone on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

fn entries(path: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(path).unwrap();
    paths.map(|entry| entry.unwrap().path()).collect()
}

fn threads() -> usize {
    entries("/proc/self/task").len()
}

/// What commands that were ended have started themselves.
fn grandchildren() -> usize {
    let line = |path: &PathBuf| fs::read(path.join("cmdline")).unwrap_or_default();
    let all = entries("/proc");
    let sleeps = |path: &&PathBuf| line(path) == b"sleep\x0031.4159\0";
    all.iter().filter(sleeps).count()
}

/// Calls a function that takes its time, on a thread although it is no check of that kind: as those
/// that look up names do.
#[derive(Debug)]
struct Slow;

impl Probe for Slow {
    fn engine(&self, _attempt: &Attempt) -> Box<dyn Engine> {
        Box::new(Self)
    }
}

impl Engine for Slow {
    fn start(&mut self, _now: Timestamp) -> Step {
        Step::Do(vec![Action::Call(Call::new(|| {
            thread::sleep(Duration::from_millis(10));
            Outcome::new(Code::Ok, Phase::Match)
        }))])
    }

    fn on_event(&mut self, event: Event<'_>, _now: Timestamp) -> Step {
        match event {
            Event::Returned(outcome) => Step::Done(outcome),
            Event::Deadline | Event::Cancel => {
                Step::Done(Outcome::new(Code::TimeoutIo, Phase::Process))
            }
            _ => Step::Do(Vec::new()),
        }
    }
}

fn shell(script: &str) -> Command {
    Command::new("/bin/sh")
        .with_argument("-c")
        .with_argument(script)
}

/// All there is to check, and what serves it.
struct World {
    servers: Vec<Server>,
    silent_udp: UdpSocket,
    file: PathBuf,
}

impl World {
    fn new(file: PathBuf) -> Self {
        let words = b"220 hello\r\n250 hello\r\n";
        Self {
            servers: MANNERS.map(|manner| Server::start(manner, words)).into(),
            silent_udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            file,
        }
    }

    /// A check by chance, which keeps on.
    fn check(&self, chance: &mut Chance) -> Check {
        let at = usize::try_from(chance.below(100)).unwrap() % self.servers.len();
        let target = self.servers.get(at).unwrap().target();
        let udp = Target::new(self.silent_udp.local_addr().unwrap());
        let tcp = TcpProbe::new(target.clone());
        let policy = Policy::default()
            .with_spread(Spread::None)
            .with_schedule_base(ScheduleBase::EndToStart)
            .with_interval(Policy::MIN_TIME)
            .with_timeout(Duration::from_millis(10 + chance.below(150)));
        let command = |script| CommandProbe::new(shell(script));
        match chance.below(14) {
            0 => Check::new(tcp, policy),
            1 => Check::new(tcp.with_protocol(preset::ftp()), policy),
            2 => Check::new(tcp.with_protocol(Smtp::new()), policy),
            3 => Check::new(tcp.with_protocol(Http::get("/")), policy),
            4 => Check::new(tcp.with_tls(Tls::new().with_verify(Verify::None)), policy),
            5 => Check::new(UdpProbe::new(udp).with_reply(Reply::any()), policy),
            6 => Check::new(command("exit 1"), policy),
            7 => Check::new(
                command("trap '' TERM; sleep 31.4159 & sleep 31.4159"),
                policy,
            ),
            8 => Check::new(command("(sleep 0.2) & head -c 100000 /dev/zero"), policy),
            9 => Check::new(CommandProbe::new(Command::new("/no/such/program")), policy),
            10 => {
                let nap = Duration::from_millis(chance.below(30));
                let function = move |_: &Attempt| {
                    thread::sleep(nap);
                    Outcome::new(Code::Ok, Phase::Match)
                };
                Check::new(FnProbe::new(function), policy)
            }
            11 => Check::new(FileProbe::new(self.file.clone()), policy),
            12 => {
                let name = target.address().to_string();
                let make = |address| TcpProbe::new(Target::new(address));
                Check::new(NamedProbe::new(&name, make), policy)
            }
            _ => Check::new(Slow, policy),
        }
    }
}

/// Some hundred milliseconds of weather; half the drivers are dropped in the middle of it.
fn round(world: &World, chance: &mut Chance, dropped: bool) -> usize {
    let limits = Limits::default()
        .with_max_threads(THREADS)
        .with_fork_rate(10_000)
        .with_start_rate(10_000);
    let mut driver = Driver::new(Config::default().with_limits(limits)).unwrap();
    let epoll = driver.as_fd().as_raw_fd();
    let (idle, _) = registered(epoll);
    let mut checks: Vec<CheckId> = Vec::new();
    let mut events = Vec::new();
    let end = Instant::now() + Duration::from_millis(400);
    while Instant::now() < end {
        while checks.len() < 60 {
            checks.push(driver.add(world.check(chance)).unwrap());
        }
        let wait = Duration::from_millis(chance.below(8));
        driver.poll(Some(wait), &mut events).unwrap();
        for _ in 0..chance.below(6) {
            let at = usize::try_from(chance.below(60)).unwrap();
            driver
                .remove(checks.swap_remove(at % checks.len()))
                .unwrap();
        }
        fs::write(&world.file, chance.below(9).to_string()).unwrap();
        assert!(workers() <= THREADS as usize, "{} threads", workers());
    }
    let of_attempts = |event: &CheckEvent| match event {
        CheckEvent::Completed(report) => report.attempt > 0,
        _ => false,
    };
    assert!(events.iter().all(of_attempts));
    if dropped {
        return events.len();
    }
    for check in checks {
        driver.remove(check).unwrap();
    }
    let end = Instant::now() + PATIENCE;
    // Commands are given time to end, and functions do end.
    while driver.load().in_flight > 0 {
        assert!(Instant::now() < end, "still running: {:?}", driver.load());
        let reports = events.len();
        driver
            .poll(Some(Duration::from_millis(10)), &mut events)
            .unwrap();
        assert_eq!(
            events.len(),
            reports,
            "a report of a check that was removed"
        );
    }
    driver.poll(Some(Duration::ZERO), &mut events).unwrap();
    assert_eq!(driver.load().checks, 0);
    assert_eq!(children(), 0, "commands that nobody waits for");
    let (left, timer) = registered(epoll);
    // Files stay watched, by one descriptor for all of them.
    assert!(
        left <= idle + 1,
        "{left} descriptors waited for, {idle} at first"
    );
    assert!(!timer, "the timer is set although there is nothing to do");
    events.len()
}

#[test]
fn nothing_is_left_behind() {
    let directory = tempfile::tempdir().unwrap();
    let before = (descriptors(), threads());
    assert_eq!(children(), 0);
    let world = World::new(directory.path().join("file"));
    let served = (descriptors(), threads());
    let mut chance = Chance(7);
    let mut reports = 0;
    for number in 0..12 {
        reports += round(&world, &mut chance, number % 2 == 1);
        // Servers find out that their clients are gone, and functions come to their end.
        settles("children", children, 0);
        settles("grandchildren", grandchildren, 0);
        settles("descriptors", descriptors, served.0);
        settles("threads", threads, served.1);
    }
    println!("{reports} reports of 12 drivers; {served:?} descriptors and threads at the end");
    assert!(reports > 200, "{reports}");
    drop(world);
    settles("descriptors", descriptors, before.0);
    settles("threads", threads, before.1);
}
