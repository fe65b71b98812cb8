//! TCP checks against real sockets on the loopback device.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/descriptors.rs"]
mod descriptors;
#[path = "support/full.rs"]
mod full;
#[path = "support/lateness.rs"]
mod lateness;
#[path = "support/reports.rs"]
mod reports;

use core::net::SocketAddr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use lvs_healthcheck::policy::{HealthChange, OnLocalError, ScheduleBase, Spread};
use lvs_healthcheck::probe::CloseMode;
use lvs_healthcheck::timetable::Limits;
use lvs_healthcheck::{
    Check, Code, Config, Driver, Health, Outcome, Phase, Policy, Report, Target, TcpProbe, Verdict,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use self::descriptors::descriptors;
use self::full::Full;
use self::lateness::Watch;
use self::reports::reports;

const SECOND: Duration = Duration::from_secs(1);

/// One test lowers the descriptor limit of the whole process, and some count descriptors.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn policy() -> Policy {
    Policy::default()
        .with_spread(Spread::None)
        .with_jitter_percent(0)
        .with_interval(Duration::from_millis(20))
        .with_schedule_base(ScheduleBase::EndToStart)
        .with_timeout(5 * SECOND)
}

fn tcp(address: SocketAddr) -> TcpProbe {
    TcpProbe::new(Target::new(address))
}

fn once(probe: TcpProbe, policy: Policy) -> Report {
    let mut driver = Driver::new(Config::default()).unwrap();
    let id = driver.add(Check::new(probe, policy)).unwrap();
    let report = reports(&mut driver, 1).remove(0);
    assert_eq!(report.check, id);
    report
}

fn outcome(probe: TcpProbe) -> Outcome {
    once(probe, policy()).outcome
}

/// A port nobody listens on.
fn closed_port(host: &str) -> SocketAddr {
    TcpListener::bind((host, 0)).unwrap().local_addr().unwrap()
}

#[test]
fn listening_port_is_ok_in_both_families() {
    let _alone = alone();
    for host in ["127.0.0.1", "::1"] {
        let server = TcpListener::bind((host, 0)).unwrap();
        let report = once(tcp(server.local_addr().unwrap()), policy());
        assert_eq!(report.outcome.code, Code::Ok, "{host}");
        assert_eq!(report.outcome.phase, Phase::Connect);
        let (connect, total) = (report.outcome.timing.connect, report.outcome.timing.total);
        assert!(connect.is_some() && connect <= total && total < Some(SECOND));
        assert_eq!((report.attempt, report.health), (1, Health::Up));
        let change = report.change.unwrap();
        assert_eq!((change.from, change.to), (Health::Unknown, Health::Up));
        assert!(report.at >= report.started);
    }
}

#[test]
fn closed_port_is_refused_in_both_families() {
    let _alone = alone();
    for host in ["127.0.0.1", "::1"] {
        let report = once(tcp(closed_port(host)), policy());
        assert_eq!(report.outcome.code, Code::Refused, "{host}");
        assert_eq!(report.outcome.verdict, Verdict::Fail);
        assert_eq!(
            report.outcome.detail.as_str(),
            "Connection refused",
            "and no ICMP said so"
        );
        assert_eq!(
            report.health,
            Health::Down,
            "the first failure takes it down"
        );
    }
}

#[test]
fn full_backlog_is_a_connect_timeout_at_the_connect_deadline() {
    let _alone = alone();
    let full = Full::new();
    let limit = Duration::from_millis(250);
    let watch = Watch::start();
    let report = once(tcp(full.address), policy().with_connect_timeout(limit));
    assert_eq!(
        (report.outcome.code, report.outcome.phase),
        (Code::TimeoutConnect, Phase::Connect)
    );
    let took = report.at - report.started;
    watch.judge("full backlog", vec![took - limit]);
    assert_eq!(report.outcome.timing.total, Some(took));
}

/// Accepts for a while and counts; the connections are closed at once.
fn counting_server() -> (SocketAddr, Arc<AtomicUsize>) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    thread::spawn(move || {
        for stream in server.incoming() {
            if stream.is_ok() {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    (address, count)
}

/// How many of 100 probes a server's program gets to see.
fn accepted_of_100(close: CloseMode) -> usize {
    let (address, count) = counting_server();
    let mut driver = Driver::new(Config::default()).unwrap();
    let fast = policy().with_interval(Policy::MIN_TIME);
    let id = driver
        .add(Check::new(tcp(address).with_close(close), fast))
        .unwrap();
    let reports = reports(&mut driver, 100);
    driver.remove(id).unwrap();
    assert!(reports.iter().all(|report| report.outcome.code == Code::Ok));
    // The server is another thread; give it the time to take what is in its queue.
    let mut seen = count.load(Ordering::SeqCst);
    for _ in 0..100 {
        if seen >= 100 {
            break;
        }
        thread::sleep(Duration::from_millis(5));
        seen = count.load(Ordering::SeqCst);
    }
    seen
}

#[test]
fn fin_and_rst_are_accepted_and_half_open_is_not() {
    let _alone = alone();
    assert_eq!(accepted_of_100(CloseMode::Fin), 100);
    assert_eq!(accepted_of_100(CloseMode::Rst), 100);
    assert_eq!(accepted_of_100(CloseMode::HalfOpen), 0);
}

#[test]
fn closing_in_order_and_by_reset_look_different_to_the_server() {
    use std::io::Read;

    let _alone = alone();
    let read_after = |close| {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        assert_eq!(outcome(tcp(address).with_close(close)).code, Code::Ok);
        let (mut stream, _) = server.accept().unwrap();
        stream.read(&mut [0; 1])
    };
    assert_eq!(read_after(CloseMode::Fin).unwrap(), 0);
    let error = read_after(CloseMode::Rst).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn source_address_and_port_are_used() {
    let _alone = alone();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let port = closed_port("127.0.0.3").port();
    let targets = [
        (
            Target::new(address).with_source("127.0.0.2".parse().unwrap()),
            None,
        ),
        (
            Target::new(address)
                .with_source("127.0.0.3".parse().unwrap())
                .with_source_port(port),
            Some(port),
        ),
    ];
    for (target, port) in targets {
        let source = target.source().unwrap();
        assert_eq!(outcome(TcpProbe::new(target)).code, Code::Ok);
        let (_, peer) = server.accept().unwrap();
        assert_eq!(peer.ip(), source);
        assert!(port.is_none_or(|port| port == peer.port()));
    }
}

#[test]
fn foreign_source_address_and_missing_device_are_local_and_say_nothing() {
    let _alone = alone();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let foreign = Target::new(address).with_source("192.0.2.99".parse().unwrap());
    let missing = Target::new(address).with_device("no-such-device");
    for target in [foreign, missing] {
        let report = once(TcpProbe::new(target), policy());
        assert_eq!(report.outcome.code, Code::LocalBind, "{}", report.outcome);
        assert_eq!(report.outcome.verdict, Verdict::Neutral);
        assert_eq!((report.health, report.change), (Health::Unknown, None));
        assert_eq!((report.local_errors, report.log), (1, true));
    }
}

#[test]
fn time_to_live_and_loopback_device_are_accepted() {
    let _alone = alone();
    for host in ["127.0.0.1", "::1"] {
        let server = TcpListener::bind((host, 0)).unwrap();
        let target = Target::new(server.local_addr().unwrap())
            .with_ttl(1)
            .with_device("lo");
        assert_eq!(outcome(TcpProbe::new(target)).code, Code::Ok);
    }
}

#[test]
fn wrong_settings_are_refused_when_added() {
    let _alone = alone();
    let mut driver = Driver::new(Config::default()).unwrap();
    let target = Target::new("127.0.0.1:0".parse().unwrap());
    let error = driver
        .add(Check::new(TcpProbe::new(target), policy()))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("port is 0: must be 1 to 65535"),
        "{error}"
    );
    let probe = tcp("127.0.0.1:1".parse().unwrap());
    let error = driver
        .add(Check::new(probe, policy().with_rise(0)))
        .unwrap_err();
    assert_eq!(error.to_string(), "rise is 0: must be at least 1");
    let limits = Limits::default().with_start_rate(0);
    let error = Driver::new(Config::default().with_limits(limits)).unwrap_err();
    assert_eq!(error.to_string(), "start_rate is 0: must be at least 1");
}

/// Runs with no descriptor left.
fn without_descriptors<T>(work: impl FnOnce() -> T) -> T {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // The lowest free number is the limit: nothing can be opened.
    let free = std::fs::File::open("/dev/null").unwrap();
    let limit = std::os::fd::AsRawFd::as_raw_fd(&free) as u64;
    drop(free);
    setrlimit(Resource::RLIMIT_NOFILE, limit, hard).unwrap();
    let result = work();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    result
}

#[test]
fn no_descriptor_left_is_local_socket_and_health_stays() {
    let _alone = alone();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let mut driver = Driver::new(Config::default()).unwrap();
    let id = driver
        .add(Check::new(tcp(address), policy().with_fall(1)))
        .unwrap();
    assert_eq!(reports(&mut driver, 1)[0].health, Health::Up);

    let starved = without_descriptors(|| reports(&mut driver, 5));
    for (report, count) in starved.iter().zip(1..) {
        assert_eq!(report.outcome.code, Code::LocalSocket, "{}", report.outcome);
        assert_eq!((report.health, report.change), (Health::Up, None));
        assert_eq!(report.local_errors, count);
    }
    let report = reports(&mut driver, 1).remove(0);
    assert_eq!((report.outcome.code, report.local_errors), (Code::Ok, 0));

    let strict = policy()
        .with_fall(1)
        .with_on_local_error(OnLocalError::FailAfter(3));
    driver.set_policy(id, strict).unwrap();
    let starved = without_descriptors(|| reports(&mut driver, 3));
    let healths: Vec<_> = starved.iter().map(|report| report.health).collect();
    assert_eq!(healths, [Health::Up, Health::Up, Health::Down]);
}

fn change(report: &Report) -> Option<(Health, Health)> {
    report
        .change
        .map(|HealthChange { from, to, .. }| (from, to))
}

#[test]
fn server_that_stops_and_returns_goes_down_and_up() {
    let _alone = alone();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let mut driver = Driver::new(Config::default()).unwrap();
    let id = driver
        .add(Check::new(tcp(address), policy().with_fall(3)))
        .unwrap();
    assert_eq!(
        change(&reports(&mut driver, 1)[0]),
        Some((Health::Unknown, Health::Up))
    );
    drop(server);
    let down = reports(&mut driver, 3);
    assert_eq!(
        down.iter().map(change).collect::<Vec<_>>(),
        [None, None, Some((Health::Up, Health::Down))]
    );
    assert_eq!(driver.health(id), Some(Health::Down));
    let server = TcpListener::bind(address).unwrap();
    let up = reports(&mut driver, 1).remove(0);
    assert_eq!(change(&up), Some((Health::Down, Health::Up)));
    drop(server);
}

#[test]
fn removed_check_reports_nothing_and_leaves_nothing() {
    let _alone = alone();
    let full = Full::new();
    let mut driver = Driver::new(Config::default()).unwrap();
    let before = descriptors();
    let id = driver
        .add(Check::new(tcp(full.address), policy()).exclusive())
        .unwrap();
    let mut events = Vec::new();
    driver
        .poll(Some(Duration::from_millis(50)), &mut events)
        .unwrap();
    assert_eq!((events.len(), driver.load().in_flight), (0, 1), "under way");
    assert_eq!(descriptors(), before + 1);
    driver.remove(id).unwrap();
    assert_eq!((driver.load().in_flight, driver.load().checks), (0, 0));
    assert_eq!(descriptors(), before);
    assert_eq!(driver.health(id), None);
    assert!(driver.remove(id).is_err());
    assert!(driver.set_policy(id, policy()).is_err());
    driver
        .poll(Some(Duration::from_millis(50)), &mut events)
        .unwrap();
    assert!(events.is_empty());
}

#[test]
fn dropping_the_driver_closes_everything() {
    let _alone = alone();
    let full = Full::new();
    let before = descriptors();
    let mut driver = Driver::new(Config::default()).unwrap();
    for _ in 0..5 {
        driver
            .add(Check::new(tcp(full.address), policy()).exclusive())
            .unwrap();
    }
    driver
        .poll(Some(Duration::from_millis(50)), &mut Vec::new())
        .unwrap();
    assert_eq!(descriptors(), before + 3 + 5);
    drop(driver);
    assert_eq!(descriptors(), before);
}

/// Whether the driver's descriptor becomes readable within this time.
fn is_ready(driver: &Driver, millis: u16) -> bool {
    let mut descriptors = [PollFd::new(driver.as_fd(), PollFlags::POLLIN)];
    poll(&mut descriptors, PollTimeout::from(millis)).unwrap() == 1
}

#[test]
fn descriptor_tells_another_loop_when_to_poll() {
    let _alone = alone();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut driver = Driver::new(Config::default()).unwrap();
    let probe = tcp(server.local_addr().unwrap());
    driver
        .add(Check::new(
            probe,
            policy().with_interval(Duration::from_millis(200)),
        ))
        .unwrap();
    let mut events = Vec::new();
    let mut polls = 0;
    while events.len() < 3 {
        assert!(
            is_ready(&driver, 5000),
            "the timer or a socket must wake the outer loop"
        );
        driver.poll(Some(Duration::ZERO), &mut events).unwrap();
        polls += 1;
        assert!(polls < 50, "woken for nothing");
    }
}

#[test]
fn descriptor_is_quiet_while_there_is_nothing_to_do() {
    let _alone = alone();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut driver = Driver::new(Config::default()).unwrap();
    let probe = tcp(server.local_addr().unwrap());
    driver
        .add(Check::new(probe, policy().with_interval(3600 * SECOND)))
        .unwrap();
    reports(&mut driver, 1);
    let woken = (0..20).filter(|_| {
        let ready = is_ready(&driver, 5);
        driver.poll(Some(Duration::ZERO), &mut Vec::new()).unwrap();
        ready
    });
    // The timing wheel may look once on the way, hardly ever twice.
    assert!(woken.count() <= 2);
}

#[test]
fn poll_keeps_its_time_limit_and_an_idle_driver_sleeps() {
    let _alone = alone();
    let mut driver = Driver::new(Config::default()).unwrap();
    let mut events = Vec::new();
    let limit = Duration::from_millis(100);
    let watch = Watch::start();
    let start = driver.now();
    driver.poll(Some(limit), &mut events).unwrap();
    watch.judge("poll", vec![driver.now() - start - limit]);
    driver.poll(Some(Duration::ZERO), &mut events).unwrap();
    assert!(events.is_empty());
}

#[test]
fn one_machine_gets_only_so_many_attempts_at_once() {
    let _alone = alone();
    let full = Full::new();
    let limits = Limits::default().with_max_in_flight_per_host(3);
    let mut driver = Driver::new(Config::default().with_limits(limits)).unwrap();
    for _ in 0..10 {
        driver
            .add(Check::new(tcp(full.address), policy()).exclusive())
            .unwrap();
    }
    driver
        .poll(Some(Duration::from_millis(50)), &mut Vec::new())
        .unwrap();
    assert_eq!((driver.load().in_flight, driver.load().waiting), (3, 7));
}

#[test]
fn thousand_targets_are_checked_without_a_thread_or_descriptor_each() {
    let _alone = alone();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    drop(server);
    let mut driver = Driver::new(Config::default().with_seed(1)).unwrap();
    let before = descriptors();
    for n in 0..1000_u16 {
        let [high, low] = n.to_be_bytes();
        let address = SocketAddr::from(([127, 1, high, low], port));
        driver
            .add(Check::new(
                tcp(address),
                policy().with_interval(60 * SECOND),
            ))
            .unwrap();
    }
    let reports = reports(&mut driver, 1000);
    assert!(
        reports
            .iter()
            .all(|report| report.outcome.code == Code::Refused)
    );
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().count();
    assert!(tasks < 30, "{tasks} threads");
    assert_eq!(descriptors(), before);
}
