//! Runs against a kernel in memory, in which things go wrong on demand.

mod reloading;

use std::sync::mpsc;
use std::thread;

use lvs_ipvs::{Fault, Generation, MemoryKernel, ServiceKey, VirtualService};
use nix::libc::{EINVAL, EIO};
use nix::sys::signal::{Signal as Number, raise};

use super::*;
use crate::director::{Finding, Role};
use crate::keepalived::Config;

const TEXT: &str = "virtual_server 192.0.2.1 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n\
                    real_server 10.0.0.1 80 {\nweight 4\n}\n}\n";

const GAINED: &str = "service TCP 192.0.2.1:80: quorum gained: weight 4, quorum 1";
const ADD_SERVICE: &str = "table   ipvsadm -A -t 192.0.2.1:80 -s rr";
const ADD_SERVER: &str = "table   ipvsadm -a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 4";
const REMOVE: &str = "table   ipvsadm -D -t 192.0.2.1:80";

/// The next request fails, which is one of a reading.
const REFUSED: Fault = Fault::RejectRequest {
    after: 0,
    errno: EIO,
};

fn runner(kernel: &MemoryKernel, text: &str) -> Result<Runner, RunError> {
    runner_with(kernel, &setup(text), None)
}

fn setup(text: &str) -> Setup {
    Setup::new(&Config::parse("t.conf", text))
}

fn runner_with(
    kernel: &MemoryKernel,
    setup: &Setup,
    ledger: Option<LedgerFile>,
) -> Result<Runner, RunError> {
    let client = Client::with_transport(kernel.socket()).unwrap();
    let driver = Driver::new(lvs_healthcheck::Config::default()).unwrap();
    Runner::new(setup, client, driver, Signals::block().unwrap(), ledger)
}

/// Does what is due now, without waiting, and returns what happened, line by line.
fn turn(runner: &mut Runner) -> Result<Vec<String>, RunError> {
    let mut lines = Vec::new();
    let now = runner.now();
    let stop = runner.run_until(Some(now), &mut |happening| {
        lines.push(happening.to_string())
    })?;
    assert_eq!(stop, Stop::Time);
    lines.retain(|line| !line.is_empty() && line != "ready");
    Ok(lines)
}

fn withdraw(runner: &mut Runner) -> Result<Vec<String>, RunError> {
    let mut lines = Vec::new();
    runner.withdraw(&mut |happening| lines.push(happening.to_string()))?;
    lines.retain(|line| !line.is_empty() && line != "ready");
    Ok(lines)
}

fn set_weight(runner: &mut Runner, weight: u32) {
    let service = ServiceKey::tcp("192.0.2.1:80".parse().unwrap());
    let server = "10.0.0.1:80".parse::<core::net::SocketAddr>().unwrap();
    assert!(runner.set_weight(&service, &server.into(), Some(weight)));
}

/// Somebody else's client of the same kernel.
fn other(kernel: &MemoryKernel) -> Client {
    Client::with_transport(kernel.socket()).unwrap()
}

#[test]
fn the_table_is_filled_followed_and_emptied() {
    let kernel = MemoryKernel::default();
    let foreign = VirtualService::udp("192.0.2.9:53".parse().unwrap());
    other(&kernel).add_service(&foreign).unwrap();
    let mut runner = runner(&kernel, TEXT).unwrap();
    assert_eq!(
        turn(&mut runner).unwrap(),
        [GAINED, ADD_SERVICE, ADD_SERVER]
    );
    assert_eq!(turn(&mut runner).unwrap(), [""; 0]);
    set_weight(&mut runner, 9);
    let lines = turn(&mut runner).unwrap();
    let edited = "table   ipvsadm -e -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 9";
    let told = "server  10.0.0.1:80 of TCP 192.0.2.1:80: weight 4 to weight 9 (healthy)";
    assert_eq!(lines, [told, edited]);
    assert_eq!(runner.table().unwrap().len(), 2);
    assert_eq!(withdraw(&mut runner).unwrap(), [REMOVE]);
    assert_eq!(withdraw(&mut runner).unwrap(), [""; 0]);
    let left = runner.table().unwrap();
    assert!(left.len() == 1 && left.get(&foreign.key()).is_some());
    let expected = RunStats {
        attempts: 0,
        changes: 4,
        failures: 0,
    };
    assert_eq!(runner.stats(), expected);
}

#[test]
fn a_service_that_is_there_already_is_taken_over() {
    let kernel = MemoryKernel::default();
    let ours = VirtualService::tcp("192.0.2.1:80".parse().unwrap());
    other(&kernel).add_service(&ours).unwrap();
    let mut runner = runner(&kernel, TEXT).unwrap();
    let lines = turn(&mut runner).unwrap();
    let adopted = "adopted TCP 192.0.2.1:80, which was there already";
    assert_eq!(lines[..2], [GAINED, adopted]);
    // Its scheduler was another.
    assert_eq!(lines[2], ADD_SERVER);
    assert_eq!(lines[3], "table   ipvsadm -E -t 192.0.2.1:80 -s rr");
    assert_eq!(withdraw(&mut runner).unwrap(), [REMOVE]);
}

#[test]
fn what_cannot_be_read_at_the_start_is_no_start() {
    let kernel = MemoryKernel::default();
    kernel.set_permitted(false);
    let error = runner(&kernel, TEXT).unwrap_err().to_string();
    assert!(
        error.contains("not permitted: needs CAP_NET_ADMIN"),
        "{error}"
    );
}

#[test]
fn a_table_that_cannot_be_read_for_a_while_is_looked_at_again() {
    let kernel = MemoryKernel::default();
    let mut runner = runner(&kernel, TEXT).unwrap();
    turn(&mut runner).unwrap();
    let key = ServiceKey::tcp("192.0.2.1:80".parse().unwrap());
    set_weight(&mut runner, 9);
    kernel.inject(REFUSED);
    let lines = turn(&mut runner).unwrap();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].starts_with("failed  "), "{lines:?}");
    assert!(
        lines[1].ends_with("; the table is looked at again"),
        "{lines:?}"
    );
    // Not at once: a kernel in trouble is left alone for a second.
    assert_eq!(turn(&mut runner).unwrap(), [""; 0]);
    let end = runner.now() + Duration::from_millis(1500);
    let mut lines = Vec::new();
    let stop = runner.run_until(Some(end), &mut |happening| {
        lines.push(happening.to_string())
    });
    assert_eq!(stop.unwrap(), Stop::Time);
    assert_eq!(
        lines[0],
        "table   ipvsadm -e -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 9"
    );
    assert_eq!(
        other(&kernel).destinations(key).unwrap()[0]
            .destination
            .weight(),
        9
    );
}

#[test]
fn looks_that_fail_again_and_again_become_rare() {
    let kernel = MemoryKernel::default();
    let mut runner = runner(&kernel, TEXT).unwrap();
    turn(&mut runner).unwrap();
    let mut waits = Vec::new();
    for _ in 0..8 {
        kernel.inject(REFUSED);
        let before = runner.now();
        runner.look(&mut |_| {});
        waits.push((runner.retry.unwrap() - before).as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
    runner.look(&mut |_| {});
    assert_eq!((runner.retry, runner.failed_looks), (None, 0));
}

#[test]
fn a_refused_change_is_told_and_tried_again() {
    let kernel = MemoryKernel::default();
    let mut runner = runner(&kernel, TEXT).unwrap();
    turn(&mut runner).unwrap();
    set_weight(&mut runner, 9);
    let edit = |line: &String| line.contains("-e -t 192.0.2.1:80");
    // Reading takes some requests; the one after them is the change.
    let mut after = 0;
    let lines = loop {
        kernel.inject(Fault::RejectRequest {
            after,
            errno: EINVAL,
        });
        let lines = turn(&mut runner).unwrap();
        kernel.clear_faults();
        if lines.iter().any(edit) {
            break lines;
        }
        // A reading was refused instead; make the next look due.
        runner.retry = None;
        set_weight(&mut runner, 10 + after);
        after += 1;
        assert!(after < 20, "{lines:?}");
    };
    assert!(
        lines.iter().any(|line| line.contains("\nfailed  ")),
        "{lines:?}"
    );
    assert_eq!(runner.stats().failures, 1);
    let end = runner.now() + Duration::from_millis(1500);
    let mut lines = Vec::new();
    runner
        .run_until(Some(end), &mut |happening| {
            lines.push(happening.to_string())
        })
        .unwrap();
    assert!(lines.iter().any(edit), "{lines:?}");
    assert_eq!(runner.stats().failures, 1);
}

#[test]
fn a_withdrawal_looks_again_when_it_is_disturbed() {
    let kernel = MemoryKernel::default();
    let mut runner = runner(&kernel, TEXT).unwrap();
    turn(&mut runner).unwrap();
    kernel.inject(Fault::FailReceive(EIO));
    let mut lines = withdraw(&mut runner).unwrap();
    assert_eq!(lines.pop().unwrap(), REMOVE);
    assert!(!lines.is_empty());
    assert!(
        lines.iter().all(|line| line.starts_with("failed  ")),
        "{lines:?}"
    );
    assert!(runner.table().unwrap().is_empty());
}

#[test]
fn timeouts_of_the_configuration_are_set_at_the_start() {
    let kernel = MemoryKernel::default();
    let text = format!("global_defs {{\nlvs_timeouts tcp 1000 udp 200\n}}\n{TEXT}");
    let before = other(&kernel).timeouts().unwrap();
    runner(&kernel, &text).unwrap();
    let timeouts = other(&kernel).timeouts().unwrap();
    let expected = (Some(1000), before.tcp_fin_secs, Some(200));
    assert_eq!(
        (timeouts.tcp_secs, timeouts.tcp_fin_secs, timeouts.udp_secs),
        expected
    );
}

#[test]
fn signals_interrupt_the_run_one_by_one() {
    let kernel = MemoryKernel::default();
    let mut runner = runner(&kernel, TEXT).unwrap();
    raise(Number::SIGHUP).unwrap();
    raise(Number::SIGTERM).unwrap();
    let mut lines = Vec::new();
    for expected in [Stop::Reload, Stop::Asked] {
        let stop = runner.run_until(None, &mut |happening| lines.push(happening.to_string()));
        assert_eq!(stop.unwrap(), expected);
    }
    lines.retain(|line| !line.is_empty());
    assert_eq!(lines, [GAINED, "ready", ADD_SERVICE, ADD_SERVER]);
}

/// Rule O3 of the specification: a ledger outlives the run that was killed.
#[test]
fn what_a_killed_run_left_behind_is_removed_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = || LedgerFile::open(folder.path().join("ledger")).unwrap();
    let kernel = MemoryKernel::default();
    let foreign = VirtualService::udp("192.0.2.9:53".parse().unwrap());
    other(&kernel).add_service(&foreign).unwrap();
    let mut killed = runner_with(&kernel, &setup(TEXT), Some(ledger())).unwrap();
    turn(&mut killed).unwrap();
    drop(killed);

    let elsewhere = TEXT.replace("192.0.2.1", "192.0.2.2");
    let mut next = runner(&kernel, &elsewhere).unwrap();
    let forgetful = turn(&mut next).unwrap();
    assert!(!forgetful.contains(&REMOVE.to_owned()), "{forgetful:?}");
    let mut next = runner_with(&kernel, &setup(&elsewhere), Some(ledger())).unwrap();
    let lines = turn(&mut next).unwrap();
    assert!(lines.contains(&REMOVE.to_owned()), "{lines:?}");
    withdraw(&mut next).unwrap();
    let left = other(&kernel).snapshot().unwrap().table();
    assert!(left.len() == 1 && left.get(&foreign.key()).is_some());
    assert_eq!(ledger().load().unwrap(), lvs_ipvs::Ledger::new());
}

#[test]
fn a_ledger_that_cannot_be_written_keeps_the_table_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = LedgerFile::open(folder.path().join("no/ledger")).unwrap();
    let kernel = MemoryKernel::default();
    let mut runner = runner_with(&kernel, &setup(TEXT), Some(file)).unwrap();
    let lines = turn(&mut runner).unwrap();
    assert!(lines[1].starts_with("failed  cannot write"), "{lines:?}");
    assert!(other(&kernel).services().unwrap().is_empty());
}

/// Nothing is connected in a kernel in memory, so a drain takes two looks.
#[test]
fn draining_quiets_before_it_removes() {
    let kernel = MemoryKernel::default();
    let setup = setup(TEXT).with_drain(Duration::from_secs(60));
    let mut runner = runner_with(&kernel, &setup, None).unwrap();
    turn(&mut runner).unwrap();
    let mut lines = Vec::new();
    runner
        .stop(Shutdown::Drain, &mut |happening| {
            lines.push(happening.to_string())
        })
        .unwrap();
    lines.retain(|line| line.starts_with("table"));
    let quiet = "table   ipvsadm -e -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 0";
    assert_eq!(lines, [quiet, REMOVE]);
    assert_eq!(withdraw(&mut runner).unwrap(), [""; 0]);
}

/// A server that failed is dead, whatever is to drain.
#[test]
fn failed_servers_do_not_drain() {
    let kernel = MemoryKernel::default();
    let text = TEXT.replace("weight 4\n", "weight 4\nTCP_CHECK {\n}\n");
    let setup = setup(&text).with_drain(Duration::from_secs(60));
    let mut runner = runner_with(&kernel, &setup, None).unwrap();
    turn(&mut runner).unwrap();
    let health = lvs_healthcheck::policy::Health::Down;
    let outcome = lvs_healthcheck::Outcome::new(
        lvs_healthcheck::Code::Refused,
        lvs_healthcheck::Phase::Connect,
    );
    let finding = Finding {
        health,
        change: Some((lvs_healthcheck::policy::Health::Up, health)),
        hint: None,
        no_new: false,
        admin: None,
        hint_changed: false,
        log: true,
        is_local: false,
        outcome: &outcome,
    };
    let (check, _) = runner.director.checks().next().unwrap();
    let now = runner.now();
    runner.director.report(now, check, finding);
    let lines = turn(&mut runner).unwrap();
    let removed = "table   ipvsadm -d -t 192.0.2.1:80 -r 10.0.0.1:80".to_owned();
    assert!(lines.contains(&removed), "{lines:?}");
}

/// A runner on a thread of its own until it is stopped; what it tells.
fn run_aside(kernel: &MemoryKernel, setup: Setup) -> (Remote, thread::JoinHandle<Vec<String>>) {
    let (sender, remote) = mpsc::sync_channel(1);
    let kernel = kernel.clone();
    let running = thread::spawn(move || {
        let mut runner = runner_with(&kernel, &setup, None).unwrap();
        sender.send(runner.remote()).unwrap();
        let mut lines = Vec::new();
        let stop = runner.run_until(None, &mut |happening| lines.push(happening.to_string()));
        assert_eq!(stop.unwrap(), Stop::Asked);
        lines
    });
    (remote.recv_timeout(PATIENCE).unwrap(), running)
}

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn other_threads_ask_and_are_answered() {
    let kernel = MemoryKernel::default();
    let (remote, running) = run_aside(&kernel, setup(TEXT));
    remote.prepare(PATIENCE).unwrap();
    let key = ServiceKey::tcp("192.0.2.1:80".parse().unwrap());
    let weights = || {
        let entries = other(&kernel).destinations(key).unwrap();
        let weights = entries.iter().map(|entry| entry.destination.weight());
        weights.collect::<Vec<_>>()
    };
    assert_eq!(weights(), [4]);

    let status = remote.status(PATIENCE).unwrap();
    assert_eq!(status.role, Role::Active);
    let [pool] = status.pools.as_slice() else {
        panic!("{status:?}")
    };
    assert_eq!(pool.name, "TCP 192.0.2.1:80");
    assert!(pool.status.has_quorum && pool.is_configured);
    assert_eq!(pool.servers[0].server.to_string(), "10.0.0.1:80");

    let server = pool.servers[0].server;
    assert_eq!(remote.set_weight(key, server, Some(9), PATIENCE), Ok(true));
    // Nothing else happens, but the table is looked at before that is said.
    remote.prepare(PATIENCE).unwrap();
    assert_eq!(weights(), [9]);
    remote.stand_alone(PATIENCE).unwrap();
    assert_eq!(remote.status(PATIENCE).unwrap().role, Role::Alone);
    let drain = Some(lvs_healthcheck::AdminHint::Drain);
    assert_eq!(remote.set_vote(key, server, drain, PATIENCE), Ok(true));
    remote.stand_by(PATIENCE).unwrap();
    assert_eq!(weights(), [0]);
    assert_eq!(remote.set_vote(key, server, None, PATIENCE), Ok(true));
    let more = TEXT.replace("}\n}\n", "}\nreal_server 10.0.0.2 80 {\n}\n}\n");
    remote.reload(setup(&more), PATIENCE).unwrap();
    remote.stand_by(PATIENCE).unwrap();
    assert_eq!(weights().len(), 2);

    remote.stop();
    let lines = running.join().unwrap();
    for expected in [
        "role    active",
        "role    standby",
        "reload  done: 0 services new, 0 gone",
        "service TCP 192.0.2.1:80: 10.0.0.2:80 added",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{lines:#?}");
    }
    assert_eq!(remote.prepare(PATIENCE), Err(RemoteError::Ended));
}

#[test]
fn a_table_that_cannot_be_completed_is_not_called_complete() {
    let kernel = MemoryKernel::default();
    let (remote, running) = run_aside(&kernel, setup(TEXT));
    remote.prepare(PATIENCE).unwrap();
    kernel.set_permitted(false);
    let limit = Duration::from_millis(50);
    assert_eq!(remote.stand_by(limit), Err(RemoteError::Timeout(limit)));
    kernel.set_permitted(true);
    // It is looked at again by itself.
    remote.stand_by(PATIENCE).unwrap();
    remote.stop();
    running.join().unwrap();
}

/// Otherwise neither director would ever take over.
#[test]
fn a_service_that_the_kernel_refuses_keeps_nobody_from_taking_over() {
    let mut generation = Generation::LINUX_6_1;
    generation.schedulers = &["rr"];
    let kernel = MemoryKernel::new(generation);
    let other_service = TEXT.replace("192.0.2.1", "192.0.2.2");
    let refused = other_service.replace("lb_algo rr", "lb_algo mh");
    assert_ne!(refused, other_service);
    let (remote, running) = run_aside(&kernel, setup(&(TEXT.to_owned() + &refused)));
    remote.prepare(PATIENCE).unwrap();
    let table = other(&kernel).snapshot().unwrap().table();
    let keys: Vec<_> = table.services().map(|it| it.service.key()).collect();
    assert_eq!(keys, [ServiceKey::tcp("192.0.2.1:80".parse().unwrap())]);
    remote.stop();
    let lines = running.join().unwrap();
    let failed = |line: &&String| line.contains("192.0.2.2:80 -s mh");
    assert!(lines.iter().filter(failed).count() >= 2, "{lines:#?}");
}
