//! Runs against a kernel in memory, in which things go wrong on demand.

use lvs_ipvs::{Fault, MemoryKernel, ServiceKey, VirtualService};
use nix::libc::{EINVAL, EIO};
use nix::sys::signal::{Signal as Number, raise};

use super::*;
use crate::keepalived::Config;

const TEXT: &str = "virtual_server 192.0.2.1 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n\
                    real_server 10.0.0.1 80 {\nweight 4\n}\n}\n";

const ADD_SERVICE: &str = "table   ipvsadm -A -t 192.0.2.1:80 -s rr";
const ADD_SERVER: &str = "table   ipvsadm -a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 4";
const REMOVE: &str = "table   ipvsadm -D -t 192.0.2.1:80";

/// The next request fails, which is one of a reading.
const REFUSED: Fault = Fault::RejectRequest {
    after: 0,
    errno: EIO,
};

fn runner(kernel: &MemoryKernel, text: &str) -> Result<Runner, RunError> {
    let setup = Setup::new(&Config::parse("t.conf", text));
    let client = Client::with_transport(kernel.socket()).unwrap();
    let driver = Driver::new(lvs_healthcheck::Config::default()).unwrap();
    Runner::new(setup, client, driver, Signals::block().unwrap())
}

/// Does what is due now, without waiting, and returns what happened, line by line.
fn turn(runner: &mut Runner) -> Result<Vec<String>, RunError> {
    let mut lines = Vec::new();
    let now = runner.now();
    let stop = runner.run_until(Some(now), &mut |happening| {
        lines.push(happening.to_string())
    })?;
    assert_eq!(stop, Stop::Time);
    lines.retain(|line| !line.is_empty());
    Ok(lines)
}

fn withdraw(runner: &mut Runner) -> Result<Vec<String>, RunError> {
    let mut lines = Vec::new();
    runner.withdraw(&mut |happening| lines.push(happening.to_string()))?;
    lines.retain(|line| !line.is_empty());
    Ok(lines)
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
    assert_eq!(turn(&mut runner).unwrap(), [ADD_SERVICE, ADD_SERVER]);
    assert_eq!(turn(&mut runner).unwrap(), [""; 0]);
    runner.set_weight(0, 0, 9);
    let lines = turn(&mut runner).unwrap();
    let edited = "table   ipvsadm -e -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 9";
    let told = "server  10.0.0.1:80 of TCP 192.0.2.1:80: weight 4 to weight 9";
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
    assert_eq!(
        lines[0],
        "adopted TCP 192.0.2.1:80, which was there already"
    );
    // Its scheduler was another.
    assert_eq!(lines[1], ADD_SERVER);
    assert_eq!(lines[2], "table   ipvsadm -E -t 192.0.2.1:80 -s rr");
    assert_eq!(withdraw(&mut runner).unwrap(), [REMOVE]);
}

#[test]
fn what_cannot_be_read_at_the_start_ends_the_run() {
    let kernel = MemoryKernel::default();
    let mut runner = runner(&kernel, TEXT).unwrap();
    kernel.set_permitted(false);
    let error = turn(&mut runner).unwrap_err().to_string();
    assert!(
        error.contains("not permitted: needs CAP_NET_ADMIN"),
        "{error}"
    );
    // Nothing was put there, so there is nothing to ask the kernel for.
    assert_eq!(withdraw(&mut runner).unwrap(), [""; 0]);
}

#[test]
fn a_table_that_cannot_be_read_for_a_while_is_looked_at_again() {
    let kernel = MemoryKernel::default();
    let mut runner = runner(&kernel, TEXT).unwrap();
    turn(&mut runner).unwrap();
    let key = ServiceKey::tcp("192.0.2.1:80".parse().unwrap());
    runner.set_weight(0, 0, 9);
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
        runner.look(&mut |_| {}).unwrap();
        waits.push((runner.retry.unwrap() - before).as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
    runner.look(&mut |_| {}).unwrap();
    assert_eq!((runner.retry, runner.failed_looks), (None, 0));
}

#[test]
fn a_refused_change_is_told_and_tried_again() {
    let kernel = MemoryKernel::default();
    let mut runner = runner(&kernel, TEXT).unwrap();
    turn(&mut runner).unwrap();
    runner.set_weight(0, 0, 9);
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
        runner.set_weight(0, 0, 10 + after);
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
fn signals_end_the_run_or_are_told() {
    let kernel = MemoryKernel::default();
    let mut runner = runner(&kernel, TEXT).unwrap();
    raise(Number::SIGHUP).unwrap();
    raise(Number::SIGTERM).unwrap();
    let mut lines = Vec::new();
    let stop = runner.run_until(None, &mut |happening| lines.push(happening.to_string()));
    assert_eq!(stop.unwrap(), Stop::Asked);
    lines.retain(|line| !line.is_empty());
    assert_eq!(
        lines,
        [
            ADD_SERVICE,
            ADD_SERVER,
            "signal  SIGHUP is not acted upon yet"
        ]
    );
}

/// Rule O3 of the specification: a ledger outlives the run that was killed.
#[test]
fn what_a_killed_run_left_behind_is_removed_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = || LedgerFile::open(folder.path().join("ledger")).unwrap();
    let kernel = MemoryKernel::default();
    let foreign = VirtualService::udp("192.0.2.9:53".parse().unwrap());
    other(&kernel).add_service(&foreign).unwrap();
    let mut killed = runner(&kernel, TEXT)
        .unwrap()
        .with_ledger(ledger())
        .unwrap();
    turn(&mut killed).unwrap();
    drop(killed);

    let elsewhere = TEXT.replace("192.0.2.1", "192.0.2.2");
    let mut next = runner(&kernel, &elsewhere).unwrap();
    let forgetful = turn(&mut next).unwrap();
    assert!(!forgetful.contains(&REMOVE.to_owned()), "{forgetful:?}");
    let mut next = runner(&kernel, &elsewhere)
        .unwrap()
        .with_ledger(ledger())
        .unwrap();
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
    let mut runner = runner(&kernel, TEXT).unwrap().with_ledger(file).unwrap();
    let lines = turn(&mut runner).unwrap();
    assert!(lines[0].starts_with("failed  cannot write"), "{lines:?}");
    assert!(other(&kernel).services().unwrap().is_empty());
}

/// Nothing is connected in a kernel in memory, so a drain takes two looks.
#[test]
fn draining_quiets_before_it_removes() {
    let kernel = MemoryKernel::default();
    let mut runner = runner(&kernel, TEXT)
        .unwrap()
        .with_drain(Duration::from_secs(60));
    turn(&mut runner).unwrap();
    let mut lines = Vec::new();
    runner
        .drain(&mut |happening| lines.push(happening.to_string()))
        .unwrap();
    lines.retain(|line| !line.is_empty());
    let quiet = "table   ipvsadm -e -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 0";
    assert_eq!(lines, [quiet, REMOVE]);
    assert_eq!(withdraw(&mut runner).unwrap(), [""; 0]);
}

/// A server that failed is dead, whatever is to drain.
#[test]
fn failed_servers_do_not_drain() {
    let kernel = MemoryKernel::default();
    let text = TEXT.replace("weight 4\n", "weight 4\nTCP_CHECK {\n}\n");
    let mut runner = runner(&kernel, &text)
        .unwrap()
        .with_drain(Duration::from_secs(60));
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
        hint_changed: false,
        log: true,
        outcome: &outcome,
    };
    let mut notices = Vec::new();
    assert!(
        runner
            .director
            .update(CheckNumber(0), &finding, &mut notices)
    );
    runner.desire();
    let lines = turn(&mut runner).unwrap();
    let removed = "table   ipvsadm -d -t 192.0.2.1:80 -r 10.0.0.1:80".to_owned();
    assert!(lines.contains(&removed), "{lines:?}");
}
