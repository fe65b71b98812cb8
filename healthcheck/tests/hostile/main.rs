//! Every probe against every kind of server that means harm, all at the same time on one driver: what
//! comes of it, how late, and what is left behind. Alone in its process, because it measures time and
//! counts everything the process has.

#![cfg(all(feature = "dns", feature = "http", feature = "tls"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "helpers of tests; what is measured is printed"
)]

mod asking;
#[path = "../support/children.rs"]
mod children;
#[path = "../support/descriptors.rs"]
mod descriptors;
#[path = "../support/driven.rs"]
mod driven;
#[path = "../support/full.rs"]
mod full;
mod kinds;
#[path = "../support/lateness.rs"]
mod lateness;
mod manner;
#[path = "../support/namespace.rs"]
mod namespace;
mod ping;
mod server;
#[path = "../support/settles.rs"]
mod settles;
mod shell;
mod table;

use core::time::Duration;
use std::collections::HashMap;
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use lvs_healthcheck::policy::Spread;
use lvs_healthcheck::timetable::Load;
use lvs_healthcheck::{CheckEvent, Code, Policy, Report};

use self::children::children;
use self::descriptors::descriptors;
use self::driven::{registered, workers};
use self::full::Full;
use self::kinds::{KINDS, Kind};
use self::lateness::Watch;
use self::manner::{Manner, Over};
use self::server::Server;
use self::settles::settles;
use self::shell::Shell;
use self::table::Expected;

/// How long an attempt may take at least: three bytes of a drip.
const TIMEOUT: Duration = Duration::from_millis(2500);

/// How much longer an attempt may take than servers that behave take all together on this machine
/// just now: hostile ones are that many times as many.
const TIMES: u32 = 10;

/// How often that is tried while this host stands still for so long that nobody can be blamed.
const TRIES: u32 = 4;

const NOTHING: [&str; 0] = [];

/// After this nothing is waited for any more.
const PATIENCE: Duration = Duration::from_secs(120);

/// A cell of the table, with its server.
struct Cell {
    kind: &'static Kind,
    manner: Manner,
    expected: Expected,
    server: Server,
}

impl Cell {
    /// When an attempt has to end that was ended by the clock; `None` if it was not, or if the time
    /// began somewhere within the attempt.
    fn deadline(&self, code: Code, policy: &Policy) -> Option<Duration> {
        match code {
            Code::TimeoutConnect if self.kind.name == "dns-again" => None,
            Code::TimeoutConnect => policy.connect_timeout(),
            Code::TimeoutIo | Code::TimeoutTls | Code::TimeoutProc => Some(policy.timeout()),
            Code::Ok if self.kind.name == "udp" && self.manner == Manner::Silent => {
                Some(policy.timeout())
            }
            _ => None,
        }
    }

    /// What is wrong with what came of it, and how late it was if the clock ended it.
    fn judge(&self, report: &Report, policy: &Policy) -> (Option<String>, Option<Duration>) {
        let (name, manner, outcome) = (self.kind.name, self.manner, &report.outcome);
        let found = Expected {
            code: outcome.code,
            verdict: outcome.verdict,
        };
        let expected = self.expected;
        let wrong =
            (found != expected).then(|| format!("{name}, {manner:?}: {outcome}, not {expected:?}"));
        let took = report.at - report.started;
        let late = self.deadline(outcome.code, policy).map(|deadline| {
            let late = took.checked_sub(deadline);
            late.unwrap_or_else(|| panic!("{name}, {manner:?}: {outcome} after {took:?}"))
        });
        (wrong, late)
    }
}

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Descriptors, children and threads for functions.
fn counted() -> [usize; 3] {
    [descriptors(), children(), workers()]
}

/// What of a driver's load has to be as before.
fn idle(load: &Load) -> (u32, u32, u32, u32, usize, usize) {
    let Load {
        checks,
        in_flight,
        processes,
        threads,
        tasks,
        waiting,
        ..
    } = *load;
    (in_flight, processes, threads, tasks, waiting, checks)
}

/// What came of a meeting.
struct Met {
    /// How late those were that ran out of time.
    late: Vec<Duration>,
    /// How long all took.
    took: Duration,
    /// What is not as the table says.
    wrong: Vec<String>,
    /// By how much this host was so late that servers are not to blame, if it was.
    stalled: Option<Duration>,
}

/// Has every probe meet these manners at the same time, with so much time for each.
fn meet(
    (shell, epoll): (&mut dyn Shell, RawFd),
    kinds: &[&'static Kind],
    meets: impl Fn(Manner) -> bool,
    timeout: Duration,
) -> Met {
    // Three bytes of a drip, however much time there is.
    let over = Over::new(2 * timeout / 5);
    let full = Full::new();
    let policy = Policy::default()
        .with_spread(Spread::None)
        .with_interval(2 * timeout)
        .with_timeout(timeout)
        .with_connect_timeout(3 * timeout / 5);
    let cells = kinds.iter().flat_map(|kind| {
        let row = table::row(kind.name).into_iter();
        row.filter_map(|(manner, expected)| Some((*kind, manner, expected?)))
    });
    let cells: Vec<_> = cells
        .filter(|(_, manner, _)| meets(*manner))
        .map(|(kind, manner, expected)| Cell {
            kind,
            manner,
            expected,
            server: Server::start(kind.speech, manner, &full, &over),
        })
        .collect();
    let before = (idle(&shell.load()), registered(epoll));
    let begin = Instant::now();
    let add = |cell: Cell| {
        let check = (cell.kind.check)(cell.server.address, policy.clone());
        (shell.add(check.exclusive()), cell)
    };
    let cells: HashMap<_, _> = cells.into_iter().map(add).collect();
    let mut events = Vec::new();
    while events.len() < cells.len() {
        shell.turn(&mut events);
        let patient = begin.elapsed() < timeout + PATIENCE;
        assert!(patient, "{} of {}", events.len(), cells.len());
    }
    let took = begin.elapsed();
    let (mut wrong, mut late, mut stalled) = (Vec::new(), Vec::new(), None);
    for event in &events {
        let CheckEvent::Completed(report) = event else {
            panic!("{event:?}")
        };
        if report.outcome.code == Code::Cancelled {
            stalled = stalled.max(Some(report.at - report.started - timeout));
            continue;
        }
        let judged = cells[&report.check].judge(report, &policy);
        wrong.extend(judged.0);
        late.extend(judged.1);
    }
    over.set();
    for (check, cell) in &cells {
        shell.remove(*check);
        cell.server.wake();
    }
    // A task ends where its runtime runs, a function a moment after its time.
    let mut more = Vec::new();
    let after = || {
        shell.turn(&mut more);
        (idle(&shell.load()), registered(epoll))
    };
    settles("of the driver", after, before);
    assert!(more.is_empty(), "one outcome of each: {more:?}");
    for (_, cell) in cells {
        cell.server.end();
    }
    Met {
        late,
        took,
        wrong,
        stalled,
    }
}

/// The whole table: first the servers that behave, which shows how fast this machine is just now.
fn meet_all(what: &str, (shell, epoll): (&mut dyn Shell, RawFd), kinds: &[&'static Kind]) {
    let right = |manner| manner == Manner::Right;
    let met = meet((shell, epoll), kinds, right, PATIENCE);
    assert_eq!(met.wrong, NOTHING);
    let mut timeout = TIMEOUT.max(TIMES * met.took);
    for _ in 0..TRIES {
        println!(
            "{what}: with servers that behave {:.1?}, so {timeout:.1?} with the others",
            met.took
        );
        let watch = Watch::start();
        let met = meet((shell, epoll), kinds, |manner| !right(manner), timeout);
        watch.judge(what, met.late);
        assert_eq!(met.wrong, NOTHING);
        let Some(stalled) = met.stalled else { return };
        println!("{what}: this host stood still for {stalled:.1?}: once more, with more time");
        timeout += 2 * TIMES * stalled;
    }
    panic!("{what}: this host stands still all the time");
}

#[test]
fn every_probe_says_of_every_server_what_it_is_in_time_and_leaves_nothing_behind() {
    let _alone = alone();
    let all: Vec<_> = KINDS.iter().collect();
    let before = counted();
    let (mut driver, epoll) = shell::driver();
    meet_all("blocking", (&mut driver, epoll), &all);
    drop(driver);
    settles("of the process", counted, before);
}

#[cfg(feature = "tokio")]
#[test]
fn on_a_runtime_they_say_and_leave_the_same() {
    let _alone = alone();
    let all: Vec<_> = KINDS.iter().chain(kinds::TASK).collect();
    let before = counted();
    let (driver, epoll) = shell::driver();
    let mut shell = shell::OnTokio::new(driver);
    meet_all("tokio", (&mut shell, epoll), &all);
    drop(shell);
    settles("of the process", counted, before);
}
