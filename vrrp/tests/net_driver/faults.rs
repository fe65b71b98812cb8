//! What goes wrong around a driver.

use core::time::Duration;
use std::process::{Command, Stdio};
use std::thread;

use lvs_vrrp::event::{InitReason, ShutdownMode};
use lvs_vrrp::net::{DriverEventKind, Lifetime, Operation, clock};
use lvs_vrrp::node::ReportKind;
use lvs_vrrp::{State, Version};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::network::{Host, Switch, eventually};
use crate::process::Router;
use crate::running::Running;

const ADDRESS: &str = "192.0.2.100";

fn network() -> (Switch, Host, Host) {
    let switch = Switch::new();
    let (one, other) = (Host::new("one"), Host::new("other"));
    switch.connect(&one, "eth0", &["192.0.2.1/24"]);
    switch.connect(&other, "eth0", &["192.0.2.2/24"]);
    (switch, one, other)
}

fn router(priority: u8) -> Router {
    Router::new(Version::V3, priority, ADDRESS)
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn an_interface_that_is_down_is_left_and_comes_back() {
    let (switch, one, other) = network();
    let high = Running::start(&one, router(200).driver());
    high.until_state(1, State::Active);
    let low = Running::start(&other, router(100).driver());
    low.until_state(1, State::Backup);
    one.ip("link set dev eth0 down");
    high.until_state(1, State::Initialize);
    low.until_state(1, State::Active);
    assert!(!one.holds(ADDRESS) && other.holds(ADDRESS));
    one.ip("link set dev eth0 up");
    high.until_state(1, State::Active);
    low.until_state(1, State::Backup);
    high.stop(ShutdownMode::Graceful);
    low.stop(ShutdownMode::Graceful);
    switch.holding.is_clean();
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn an_interface_that_was_deleted_comes_back() {
    let (switch, one, _other) = network();
    let running = Running::start(&one, router(100).driver());
    running.until_state(1, State::Active);
    one.ip("link delete dev eth0");
    running.until("eth0 missing", |kind| {
        matches!(kind, DriverEventKind::InterfaceMissing { .. })
    });
    assert_eq!(running.router(1).state, State::Initialize);
    switch.connect(&one, "eth0", &["192.0.2.1/24"]);
    running.until_state(1, State::Active);
    assert!(one.holds(ADDRESS));
    let sent = running.router(1).counters.sent();
    eventually(|| running.router(1).counters.sent(), |now| *now > sent + 2);
    running.stop(ShutdownMode::Graceful);
    assert!(!one.holds(ADDRESS));
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn an_address_that_somebody_removes_comes_back() {
    let (_switch, one, _other) = network();
    let running = Running::start(&one, router(100).driver());
    running.until_state(1, State::Active);
    // What a command takes on this machine just now, in which the order is the least.
    let begun = clock::now();
    one.ip("address show dev eth0");
    let removed = clock::now();
    let usual = removed - begun;
    one.ip(&format!("address del {ADDRESS}/24 dev eth0"));
    let restored = running.until("restored", |kind| {
        matches!(kind, DriverEventKind::AddressRestored(_))
    });
    assert!(one.holds(ADDRESS));
    let gap = restored.at - removed;
    println!("an address was back {gap:?} after the order to remove it; orders take {usual:?}");
    assert!(
        gap < Duration::from_millis(500) + 50 * usual,
        "{gap:?} {usual:?}"
    );
    assert_eq!(running.router(1).state, State::Active);
    running.stop(ShutdownMode::Graceful);
    assert!(!one.holds(ADDRESS));
}

/// OP-5: after three down intervals it first hears that another has taken over, and does not assert
/// itself. With preemption off it stays Backup.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_process_that_stood_still_gives_way() {
    let (switch, one, other) = network();
    let still = Router {
        preempts: false,
        ..router(200)
    };
    let down = router(100).config().active_down_interval();
    let mut stopped = still.start(&one);
    stopped.until("Active");
    let low = Running::start(&other, router(100).driver());
    low.until_state(1, State::Backup);
    let from = clock::now();
    let id = Pid::from_raw(i32::try_from(stopped.running.0.id()).unwrap());
    kill(id, Signal::SIGSTOP).unwrap();
    thread::sleep(down * 3);
    kill(id, Signal::SIGCONT).unwrap();
    let awake = clock::now();
    stopped.until("Backup");
    let gave_way = clock::now() - awake;
    let active = low.router(1);
    assert_eq!(active.state, State::Active);
    assert!(active.since > from && active.since < awake);
    eventually(|| one.holds(ADDRESS), |holds| !holds);
    thread::sleep(down * 2);
    assert_eq!(low.router(1).since, active.since);
    assert_eq!(low.router(1).counters.received_resignations(), 0);
    let both = switch.holding.overlap_since(from);
    println!(
        "stood still for {:?}; gave way {gave_way:?} later; held by both for {both:?}",
        awake - from
    );
    assert!(both < down * 2 + Duration::from_millis(200), "{both:?}");
    stopped.stop();
    low.stop(ShutdownMode::Graceful);
}

/// Spec 2.10 rule 1: what came in is heard before time passes, however long it stood still. The Backup
/// without preemption is the higher one, and would stay Active.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_backup_that_stood_still_stays_backup() {
    for (on_tokio, preempts) in [(false, true), (false, false), (true, true), (true, false)] {
        let (switch, one, other) = network();
        let active = Running::start(&one, router(150).driver());
        active.until_state(1, State::Active);
        let still = Router {
            preempts,
            on_tokio,
            ..router(if preempts { 100 } else { 200 })
        };
        let down = still.config().active_down_interval();
        let mut stopped = still.start(&other);
        stopped.until("Backup");
        thread::sleep(down);
        let since = active.router(1).since;
        let id = Pid::from_raw(i32::try_from(stopped.running.0.id()).unwrap());
        for times in 1..=4 {
            kill(id, Signal::SIGSTOP).unwrap();
            thread::sleep(down * times);
            kill(id, Signal::SIGCONT).unwrap();
            thread::sleep(down);
        }
        let there = active.router(1);
        assert_eq!((there.state, there.since), (State::Active, since));
        let held = switch.holding.spans(&other, ADDRESS);
        assert!(held.is_empty(), "{on_tokio} {preempts}: {held:?}");
        active.stop(ShutdownMode::Graceful);
        let said = stopped.until("Active");
        assert!(!said.contains("Backup"), "{on_tokio} {preempts}: {said}");
        stopped.stop();
    }
}

/// A router that hears nothing would take itself for the only one.
#[test]
#[ignore = "needs root, for network namespaces"]
fn who_cannot_hear_waits_until_it_can() {
    let (switch, one, _other) = network();
    let running = Running::start(&one, router(100).driver());
    running.until_state(1, State::Active);
    one.ip("link delete dev eth0");
    running.until_state(1, State::Initialize);
    one.sysctl("ipv4/igmp_max_memberships", "0");
    switch.connect(&one, "eth0", &["192.0.2.1/24"]);
    let failed = running.until("a failure", |kind| {
        matches!(kind, DriverEventKind::Failed(_))
    });
    let DriverEventKind::Failed(error) = failed.kind else {
        unreachable!("it was looked at");
    };
    assert_eq!(error.operation(), Operation::JoinGroup, "{error}");
    thread::sleep(Duration::from_secs(1));
    let deaf = running.router(1);
    assert_eq!(
        (deaf.state, deaf.init_reason),
        (State::Initialize, Some(InitReason::NoSource))
    );
    assert!(!one.holds(ADDRESS));
    // Nothing about links tells it.
    one.sysctl("ipv4/igmp_max_memberships", "20");
    running.until_state(1, State::Active);
    assert!(one.holds(ADDRESS));
    running.stop(ShutdownMode::Graceful);
}

/// OP-4: what a dead process left is removed by the next one before it is Backup.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_restart_removes_what_was_left() {
    let (_switch, one, _other) = network();
    one.ip("address add 192.0.2.77/32 dev eth0");
    let lasting = |driver: lvs_vrrp::net::DriverConfig| {
        let (id, setup) = driver.routers().next().unwrap();
        let setup = setup
            .clone()
            .with_lifetime(Lifetime::Limited(Duration::from_secs(60)));
        driver.clone().with_router(id, setup)
    };
    let mut first = router(100).start(&one);
    first.until("Active");
    first.kill();
    assert!(one.holds(ADDRESS));
    let mut second = router(100).start(&one);
    second.until(&format!("leftover {ADDRESS}"));
    second.until("Active");
    assert!(one.holds("192.0.2.77"));
    second.kill();
    let third = Running::start(&one, lasting(router(100).driver()));
    third.until_state(1, State::Active);
    let all = one.ask("-o address show dev eth0");
    assert!(
        all.contains("valid_lft 60sec") || all.contains("valid_lft 59sec"),
        "{all}"
    );
    third.stop(ShutdownMode::Graceful);
    assert!(!one.holds(ADDRESS) && one.holds("192.0.2.77"));
}

/// What the device's queue drops is told, and the next advertisements go out.
#[test]
#[ignore = "needs root, for network namespaces"]
fn a_full_queue_is_told_and_passes() {
    let (switch, one, other) = network();
    let high = Running::start(&one, router(200).driver());
    high.until_state(1, State::Active);
    let low = Running::start(&other, router(100).driver());
    low.until_state(1, State::Backup);
    // Room for one frame, which takes ages to leave.
    one.run(
        "tc",
        "qdisc add dev eth0 root tbf rate 8bit burst 1540 limit 100",
    );
    let failed = high.until("a failure", |kind| {
        matches!(kind, DriverEventKind::Failed(_))
    });
    let DriverEventKind::Failed(error) = failed.kind else {
        unreachable!("it was looked at");
    };
    let said = error.to_string();
    assert!(
        said.starts_with("cannot send packets (eth0): No buffer space"),
        "{said}"
    );
    high.until("a report", |kind| match kind {
        DriverEventKind::Report(report) => matches!(report.kind, ReportKind::SendFailed { .. }),
        _ => false,
    });
    let from = low.until_state(1, State::Active).at;
    one.run("tc", "qdisc del dev eth0 root");
    let drained = clock::now();
    low.until_state(1, State::Backup);
    assert_eq!(high.router(1).state, State::Active);
    assert!(one.holds(ADDRESS) && !other.holds(ADDRESS));
    high.stop(ShutdownMode::Graceful);
    low.stop(ShutdownMode::Graceful);
    // As with a cut link: while nothing leaves.
    let both = switch.holding.overlap_since(Duration::ZERO);
    println!("a full queue: held by both for {both:?}");
    let patience = Duration::from_millis(300);
    assert!(both < drained - from + patience, "{both:?}");
}

/// The rights over its own network namespace are enough, as in a container without root.
#[test]
#[ignore = "needs root, for user namespaces"]
fn who_may_do_all_that_is_needed_needs_no_more() {
    let host = Host::new("outer");
    let setup = Router {
        interval: Duration::from_millis(20),
        ..router(100)
    };
    let inner = setup.command();
    let mut command = Command::new("unshare");
    let prepare = "ip link add eth0 type veth peer name eth1 && ip link set eth1 up \
                   && ip address add 192.0.2.1/24 dev eth0 && ip link set eth0 up && exec \"$0\" \"$@\"";
    command.args(["--user", "--map-root-user", "--net", "sh", "-c", prepare]);
    command.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap());
    }
    let mut running = setup.start_as(&host, command);
    running.until("Active");
    running.stop();
}

/// Without one of the rights it does not begin, and says which.
#[test]
#[ignore = "needs root, for network namespaces"]
fn what_is_missing_is_said_at_the_start() {
    let (_switch, one, _other) = network();
    let setup = router(100);
    for (without, said) in [
        ("-net_admin", "cannot add an address: "),
        ("-net_raw", "cannot open a raw socket (eth0): "),
    ] {
        let mut command = setup.command();
        let program = command.get_program().to_owned();
        let mut dropping = Command::new("setpriv");
        dropping.args(["--bounding-set", without]).arg(program);
        dropping.args(command.get_args());
        for (name, value) in command.get_envs() {
            dropping.env(name, value.unwrap());
        }
        command = dropping;
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = one.enter(|| command.output().unwrap());
        let text = String::from_utf8_lossy(&output.stderr);
        let capability = without.replace('-', "CAP_").to_uppercase();
        assert!(!output.status.success() && text.contains(said), "{text}");
        let needs = format!("; needs {capability}: run it as root");
        assert!(text.contains(&needs), "{text}");
    }
    assert!(!one.holds(ADDRESS));
}
