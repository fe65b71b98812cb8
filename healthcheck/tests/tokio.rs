//! The driver on tokio: the same reports as the blocking one, nothing lost, on either runtime.

#![cfg(feature = "tokio")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use core::future::poll_fn;
use core::net::SocketAddr;
use core::pin::pin;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::Relaxed;
use core::task::Poll;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use lvs_healthcheck::policy::{Observation, Observe, Passive, Spread};
use lvs_healthcheck::probe::{Dialogue, FnProbe, Protocol, PushProbe, Turn};
use lvs_healthcheck::timetable::Limits;
use lvs_healthcheck::{
    AsyncDriver, Attempt, Check, CheckEvent, CheckId, Code, Command, CommandProbe, Config, Driver,
    Health, Outcome, Phase, Policy, Report, Source, Target, TcpProbe,
};
use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

const SECOND: Duration = Duration::from_secs(1);

fn policy() -> Policy {
    Policy::default()
        .with_spread(Spread::None)
        .with_jitter_percent(0)
        .with_interval(Duration::from_millis(100))
        .with_timeout(Duration::from_millis(80))
}

/// Waits for a byte.
#[derive(Clone, Debug)]
struct Byte;

impl Protocol for Byte {
    fn dialogue(&self, _attempt: &Attempt) -> Box<dyn Dialogue> {
        Box::new(Self)
    }
}

impl Dialogue for Byte {
    fn opened(&mut self) -> Turn {
        Turn::Listen
    }

    fn data(&mut self, bytes: &[u8]) -> Turn {
        let code = if bytes == b"!" { Code::Ok } else { Code::Proto };
        Turn::Done(Outcome::new(code, Phase::Match))
    }
}

/// A server that says this to every connection, then waits for its end.
fn server(says: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                let _ = stream.write_all(says);
                let _ = stream.read(&mut [0]);
            });
        }
    });
    address
}

/// Checks that end in every way: at once, after waiting, at the deadline, by a thread, by a command.
fn checks() -> Vec<Check> {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let greeted = |says| TcpProbe::new(Target::new(server(says))).with_protocol(Byte);
    let roomy = policy().with_interval(SECOND).with_timeout(10 * SECOND);
    vec![
        Check::new(TcpProbe::new(Target::new(server(b""))), policy()),
        Check::new(TcpProbe::new(Target::new(closed)), policy()),
        Check::new(greeted(b"!"), roomy.clone()),
        Check::new(greeted(b"?"), roomy.clone()),
        Check::new(greeted(b""), policy()),
        Check::new(
            FnProbe::new(|_| Outcome::new(Code::Busy, Phase::Match)),
            roomy.clone(),
        ),
        Check::new(CommandProbe::new(Command::new("/bin/false")), roomy),
    ]
}

/// What has to be the same whoever drives.
type Essence = (u64, Code, Health, u32, Option<(Health, Health)>);

fn essence(report: &Report) -> Essence {
    let change = report
        .change
        .as_ref()
        .map(|change| (change.from, change.to));
    (
        report.attempt,
        report.outcome.code,
        report.health,
        report.counter,
        change,
    )
}

/// The first two reports of each check, by the order in which the checks were added.
#[derive(Debug, Default, Eq, PartialEq)]
struct Seen(BTreeMap<CheckId, Vec<Essence>>);

impl Seen {
    const EACH: usize = 2;

    fn take(&mut self, event: &CheckEvent) {
        let CheckEvent::Completed(report) = event else {
            return;
        };
        let of_check = self.0.entry(report.check).or_default();
        if of_check.len() < Self::EACH {
            of_check.push(essence(report));
        }
    }

    fn is_whole(&self, checks: usize) -> bool {
        self.0.len() == checks && self.0.values().all(|seen| seen.len() == Self::EACH)
    }
}

fn driver(checks: Vec<Check>) -> Driver {
    let limits = Limits::default().with_max_in_flight_per_host(1000);
    let mut driver = Driver::new(Config::default().with_limits(limits)).unwrap();
    for check in checks {
        driver.add(check).unwrap();
    }
    driver
}

fn runtimes() -> [Runtime; 2] {
    [Builder::new_current_thread(), Builder::new_multi_thread()]
        .map(|mut builder| builder.enable_all().build().unwrap())
}

/// Polls a future once and drops it.
async fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = pin!(future);
    poll_fn(|task| Poll::Ready(future.as_mut().poll(task))).await
}

#[test]
fn both_drivers_report_the_same() {
    let count = checks().len();
    let mut blocking = Seen::default();
    let mut under = driver(checks());
    while !blocking.is_whole(count) {
        let mut events = Vec::new();
        under.poll(None, &mut events).unwrap();
        events.iter().for_each(|event| blocking.take(event));
    }
    let codes: Vec<_> = blocking.0.values().map(|seen| seen[0].1).collect();
    assert_eq!(
        codes,
        [
            Code::Ok,
            Code::Refused,
            Code::Ok,
            Code::Proto,
            Code::TimeoutIo,
            Code::Busy,
            Code::ExitNonzero
        ]
    );
    for runtime in runtimes() {
        let task = async move {
            let mut under = AsyncDriver::new(driver(checks())).unwrap();
            let mut seen = Seen::default();
            while !seen.is_whole(count) {
                seen.take(&under.next().await.unwrap());
            }
            seen
        };
        // As a task, so that on the second runtime it moves from thread to thread.
        let seen = runtime.block_on(runtime.spawn(task)).unwrap();
        assert_eq!(seen, blocking);
    }
}

#[test]
fn future_dropped_wherever_it_waits_loses_nothing() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let fast = policy().with_interval(Duration::from_millis(20));
            let fast = fast.with_timeout(Duration::from_millis(15));
            let byte = TcpProbe::new(Target::new(server(b"!"))).with_protocol(Byte);
            let mute = TcpProbe::new(Target::new(server(b""))).with_protocol(Byte);
            let checks = [byte, mute].map(|probe| Check::new(probe, fast.clone()));
            let mut under = AsyncDriver::new(driver(checks.into())).unwrap();
            let mut last = BTreeMap::new();
            let (mut dropped, mut taken) = (0, Vec::new());
            while last.len() < 2 || last.values().any(|attempt| *attempt < 20) {
                // Polled once and dropped, alternately in either form; without a pause in between,
                // so that the budget of the task runs out from time to time.
                for _ in 0..200 {
                    let polled = if dropped % 2 == 0 {
                        let next = poll_once(under.next()).await;
                        next.map_ok(|event| taken.push(event))
                    } else {
                        poll_once(under.events(&mut taken)).await
                    };
                    match polled {
                        Poll::Pending => dropped += 1,
                        Poll::Ready(result) => result.unwrap(),
                    }
                    for event in taken.drain(..) {
                        let CheckEvent::Completed(report) = event else {
                            continue;
                        };
                        let before = last.insert(report.check, report.attempt);
                        assert_eq!(before.unwrap_or(0) + 1, report.attempt);
                    }
                }
                yield_now().await;
            }
            assert!(dropped > 1000, "{dropped}");
        });
    }
}

#[test]
fn more_ready_at_once_than_one_look_sees() {
    const COUNT: usize = 300;
    for runtime in runtimes() {
        runtime.block_on(async {
            // All connect before anybody accepts.
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let listener = socket.listen(1024).unwrap();
            let target = Target::new(listener.local_addr().unwrap());
            let server = tokio::spawn(async move {
                let mut streams = Vec::new();
                while streams.len() < COUNT {
                    streams.push(listener.accept().await.unwrap().0);
                }
                for stream in &streams {
                    assert_eq!(stream.try_write(b"!").unwrap(), 1);
                }
                streams
            });
            let once = policy().with_interval(600 * SECOND).with_timeout(60 * SECOND);
            let check = || {
                let probe = TcpProbe::new(target.clone()).with_protocol(Byte);
                Check::new(probe, once.clone())
            };
            let checks = (0..COUNT).map(|_| check()).collect();
            let mut under = AsyncDriver::new(driver(checks)).unwrap();
            let mut events = Vec::new();
            while events.len() < COUNT {
                under.events(&mut events).await.unwrap();
            }
            assert!(events.iter().all(
                |event| matches!(event, CheckEvent::Completed(report) if report.outcome.code == Code::Ok)
            ));
            assert_eq!(under.load().in_flight, 0);
            server.await.unwrap();
        });
    }
}

/// Takes its time with what it hears, and hears so much.
#[derive(Clone, Debug)]
struct Slow(Arc<AtomicUsize>);

/// More than a turn of the driver hears.
const MUCH: usize = 300;

impl Protocol for Slow {
    fn dialogue(&self, _attempt: &Attempt) -> Box<dyn Dialogue> {
        Box::new(self.clone())
    }
}

impl Dialogue for Slow {
    fn opened(&mut self) -> Turn {
        Turn::Listen
    }

    fn data(&mut self, _bytes: &[u8]) -> Turn {
        thread::sleep(Duration::from_millis(1));
        if self.0.fetch_add(1, Relaxed) < MUCH {
            return Turn::Listen;
        }
        Turn::Done(Outcome::new(Code::Ok, Phase::Match))
    }
}

#[test]
fn server_that_floods_keeps_no_task_of_the_thread_waiting() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::new(listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        while stream.write_all(&[b'x'; 1 << 16]).is_ok() {}
    });
    let heard = Arc::new(AtomicUsize::new(0));
    let probe = TcpProbe::new(target).with_protocol(Slow(heard.clone()));
    let check = Check::new(
        probe,
        policy()
            .with_interval(600 * SECOND)
            .with_timeout(60 * SECOND),
    );
    let [runtime, _] = runtimes();
    let longest = runtime.block_on(async {
        let mut under = AsyncDriver::new(driver(vec![check])).unwrap();
        let other = tokio::spawn(async move {
            let (mut last, mut longest) = (0, 0);
            while last <= MUCH {
                let now = heard.load(Relaxed);
                longest = longest.max(now - last);
                last = now;
                yield_now().await;
            }
            longest
        });
        let CheckEvent::Completed(report) = under.next().await.unwrap() else {
            unreachable!()
        };
        assert_eq!(report.outcome.code, Code::Ok, "{}", report.outcome);
        other.await.unwrap()
    });
    server.join().unwrap();
    assert!(
        longest < MUCH / 4,
        "{longest} pieces heard between two turns"
    );
}

#[test]
fn removed_check_reports_nothing_more_and_the_rest_is_handed_back() {
    let [runtime, _] = runtimes();
    runtime.block_on(async {
        let instant = || FnProbe::new(|_| Outcome::new(Code::Ok, Phase::Match));
        let mut under = AsyncDriver::new(driver(Vec::new())).unwrap();
        let [a, b, c] = core::array::from_fn(|_| {
            let once = policy()
                .with_interval(600 * SECOND)
                .with_timeout(10 * SECOND);
            under.add(Check::new(instant(), once)).unwrap()
        });
        // Taken one at a time, until all have reported.
        let CheckEvent::Completed(first) = under.next().await.unwrap() else {
            return;
        };
        while [a, b, c]
            .iter()
            .any(|check| under.health(*check) == Some(Health::Unknown))
        {
            let polled = poll_once(under.next()).await;
            if let Poll::Ready(event) = polled {
                assert!(matches!(event, Ok(CheckEvent::Completed(_))));
            }
            yield_now().await;
        }
        under.set_policy(first.check, policy()).unwrap();
        for check in [a, b, c] {
            under.remove(check).unwrap();
            assert!(under.remove(check).is_err());
        }
        let (under, events) = under.into_inner();
        assert!(events.is_empty());
        assert_eq!(under.load().checks, 0);
    });
}

#[test]
fn what_it_is_told_wakes_it_and_suspension_holds() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let nothing = Driver::new(Config::default()).unwrap();
            let mut driver = AsyncDriver::new(nothing).unwrap();
            let hour = Duration::from_secs(3600);
            let passive = Passive::new(Observe::Layer4).with_error_limit(1);
            let policy = policy().with_fall(1).with_passive(passive);
            let pushed = Check::new(PushProbe::new(hour), policy);
            let check = driver.add(pushed).unwrap();
            driver.set_traffic(check, true).unwrap();
            let due = driver.next_attempt(check).unwrap();
            assert!(due > driver.now());

            let ok = Outcome::new(Code::Ok, Phase::Match);
            driver.report(check, ok).unwrap();
            let CheckEvent::Completed(report) = driver.next().await.unwrap() else {
                unreachable!()
            };
            assert_eq!(
                (report.source, report.health),
                (Source::Reporter, Health::Up)
            );
            driver.observe(check, Observation::ConnectFailed).unwrap();
            let mut events = Vec::new();
            driver.events(&mut events).await.unwrap();
            assert_eq!(driver.health(check), Some(Health::Down));
            assert_eq!(events.len(), 1);

            driver.suspend(check).unwrap();
            assert!(driver.is_suspended(check));
            driver.resume(check).unwrap();
            driver.suspend_all().unwrap();
            assert_eq!(driver.next_attempt(check), None);
            driver.resume_all().unwrap();
            assert!(driver.next_attempt(check).is_some());
            assert_eq!(driver.overload(), None);
        });
    }
}
