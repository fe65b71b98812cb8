//! The order of a take-over and of its end, as the kernel was asked for it (`OP-1`): the table is
//! complete and the sync daemon *backup* stopped before an address is there, that is announced before
//! *active* starts; on the way back the addresses go first.
//!
//! Runs inside a kernel with IPVS: `.ci/guest target/debug/deps/kernel_order-… --include-ignored`.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

#[expect(dead_code, reason = "made for other tests as well")]
mod electing;
#[expect(dead_code, reason = "made for other tests as well")]
mod masquerading;
#[expect(dead_code, reason = "made for other tests as well")]
#[path = "../../../ipvs/tests/network/mod.rs"]
mod network;
mod program;
mod tap;

use std::net::TcpListener;

use electing::{director, wait_state};
use lvs_ipvs::DaemonRole;
use masquerading::{GATEWAY, Network, SERVER, VIRTUAL, is};
use nix::sys::signal::Signal;
use program::Program;
use tap::{Record, Stage, Tap};

/// What comes before the first address.
const FIRST_STEPS: [&str; 4] = [
    "NEW_SERVICE",
    "NEW_DEST",
    "NEW_DAEMON backup",
    "DEL_DAEMON backup",
];

/// What it says last, as it has stepped down.
const STANDBY: &str = "VI_1: table as a standby's";

/// One that takes over, steps down as a better one comes, and takes over again when that resigns.
fn recorded(options: &[&str]) -> Record {
    let network = Network::new();
    let _server = network
        .server
        .enter(|| TcpListener::bind((SERVER, 80)).unwrap());
    let [host, other] = &network.directors;
    let mut ipvs = host.ipvs();
    let tap = Tap::start(host);
    let program = director(host, &network.configuration(100), options);
    wait_state(&program, "backup", "active");
    is(&mut ipvs, DaemonRole::Active);
    let better = director(other, &network.configuration(150), options);
    wait_state(&program, "active", "backup");
    is(&mut ipvs, DaemonRole::Backup);
    program.wait_for(|line| line.contains(STANDBY).then_some(()));
    ends(better);
    let mut times = 0;
    program.wait_for(|line| {
        times += usize::from(line.contains("VI_1: sync daemon active started"));
        (times == 2).then_some(())
    });
    let record = tap.finish();
    ends(program);
    record
}

fn ends(program: Program) {
    program.signal(Signal::SIGTERM);
    let end = program.end();
    assert_eq!(end.code, Some(0), "{}\n{}", end.out, end.err);
}

/// Where something is for the first time from that place on.
fn place(record: &Record, from: usize, stage: Stage, what: &str) -> usize {
    let mut rest = record.iter().enumerate().skip(from);
    let found = rest.find(|(_, (its, name))| (*its, name.as_str()) == (stage, what));
    let Some((place, _)) = found else {
        panic!("no {stage:?} {what} from {from} on: {record:#?}");
    };
    place
}

/// From that place on, for each address: what has to be done before it is asked for, and what may be
/// asked for only then.
fn a_take_over_is_in_order(record: &Record, from: usize, before: &[&str]) {
    for address in [VIRTUAL, GATEWAY].map(|address| address.to_string()) {
        let new = format!("NEWADDR {address}");
        let [asked, done] = [Stage::Asked, Stage::Done].map(|it| place(record, from, it, &new));
        for step in before {
            let step = place(record, from, Stage::Done, step);
            assert!(step < asked, "{new}: {record:#?}");
        }
        let announced = place(record, from, Stage::Announced, &address);
        let active = place(record, from, Stage::Asked, "NEW_DAEMON active");
        assert!(done < announced && announced < active, "{new}: {record:#?}");
    }
}

/// Gives the place after the last step that both kinds of standby have.
fn a_demotion_is_in_order(record: &Record) -> usize {
    let mut gone = 0;
    for address in [VIRTUAL, GATEWAY] {
        let done = place(record, 0, Stage::Done, &format!("DELADDR {address}"));
        gone = gone.max(done);
    }
    let active = place(record, 0, Stage::Done, "NEW_DAEMON active");
    assert!(active < gone, "{record:#?}");
    // Nothing is said to the sync daemons while an address is there.
    let stopped = place(record, active, Stage::Asked, "DEL_DAEMON active");
    assert!(gone < stopped, "{record:#?}");
    let stopped = place(record, stopped, Stage::Done, "DEL_DAEMON active");
    let started = place(record, active, Stage::Asked, "NEW_DAEMON backup");
    assert!(stopped < started, "{record:#?}");
    place(record, started, Stage::Done, "NEW_DAEMON backup")
}

#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_standby_with_its_table_ready() {
    let record = recorded(&[]);
    a_take_over_is_in_order(&record, 0, &FIRST_STEPS);
    let end = a_demotion_is_in_order(&record);
    a_take_over_is_in_order(&record, end, &["DEL_DAEMON backup"]);
    // The table stays.
    let is_removed = |(_, what): &(Stage, String)| what == "DEL_SERVICE" || what == "DEL_DEST";
    assert!(!record.iter().any(is_removed), "{record:#?}");
}

/// `OP-19`: the table is built within the take-over, and is cleared as the last thing.
#[test]
#[ignore = "needs a kernel with IPVS: run through .ci/test"]
fn a_standby_with_an_empty_table() {
    let record = recorded(&["--standby-table", "empty"]);
    a_take_over_is_in_order(&record, 0, &FIRST_STEPS);
    let end = a_demotion_is_in_order(&record);
    let removed = place(&record, 0, Stage::Asked, "DEL_SERVICE");
    assert!(end < removed, "{record:#?}");
    let again = ["NEW_SERVICE", "NEW_DEST", "DEL_DAEMON backup"];
    a_take_over_is_in_order(&record, removed, &again);
    let filled = place(&record, 0, Stage::Asked, "NEW_SERVICE");
    // Until its turn came it had nothing.
    let standby = place(&record, 0, Stage::Done, "NEW_DAEMON backup");
    assert!(standby < filled, "{record:#?}");
}
