//! Probes that are async functions: their outcomes, and that nothing of them outlives its time.

#![cfg(feature = "tokio")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use core::future::pending;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;

use lvs_healthcheck::policy::Spread;
use lvs_healthcheck::probe::AsyncProbe;
use lvs_healthcheck::timetable::Limits;
use lvs_healthcheck::{
    AsyncDriver, Check, CheckEvent, Code, Config, Driver, Error, Outcome, Phase, Policy, Report,
    Verdict,
};
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

fn policy() -> Policy {
    Policy::default()
        .with_spread(Spread::None)
        .with_jitter_percent(0)
        .with_interval(Duration::from_millis(30))
        .with_timeout(Duration::from_millis(20))
}

fn patient() -> Policy {
    policy().with_timeout(Duration::from_secs(60))
}

fn runtimes() -> [Runtime; 2] {
    [Builder::new_current_thread(), Builder::new_multi_thread()]
        .map(|mut builder| builder.enable_all().build().unwrap())
}

fn driver(limits: Limits) -> AsyncDriver {
    AsyncDriver::new(Driver::new(Config::default().with_limits(limits)).unwrap()).unwrap()
}

async fn next(driver: &mut AsyncDriver) -> Report {
    match driver.next().await.unwrap() {
        CheckEvent::Completed(report) => report,
        other => panic!("unexpected {other:?}"),
    }
}

fn good() -> Outcome {
    Outcome::new(Code::Ok, Phase::Match)
}

/// Counts what is alive at once, and the most there ever was.
#[derive(Clone, Debug, Default)]
struct Alive(Arc<(AtomicUsize, AtomicUsize)>);

struct Life(Alive);

impl Alive {
    fn begin(&self) -> Life {
        let now = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(now, Ordering::SeqCst);
        Life(self.clone())
    }

    fn now(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }

    fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.0.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A probe that never comes to an end by itself.
fn endless(alive: &Alive) -> AsyncProbe {
    let alive = alive.clone();
    AsyncProbe::new(move |_| {
        let life = alive.begin();
        async move {
            let _life = life;
            pending().await
        }
    })
}

#[test]
fn outcome_is_reported_and_the_attempt_is_known() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let mut under = driver(Limits::default());
            let probe = AsyncProbe::new(|attempt| async move {
                yield_now().await;
                good().with_detail(&attempt.number.to_string())
            });
            under.add(Check::new(probe, patient())).unwrap();
            for number in 1..=3 {
                let report = next(&mut under).await;
                assert_eq!((report.attempt, report.outcome.code), (number, Code::Ok));
                assert_eq!(report.outcome.detail.as_str(), number.to_string());
            }
        });
    }
}

#[test]
fn task_is_aborted_at_the_deadline_before_the_next_begins() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let (mut under, alive) = (driver(Limits::default()), Alive::default());
            under.add(Check::new(endless(&alive), policy())).unwrap();
            for number in 1..=3 {
                let report = next(&mut under).await;
                assert_eq!(
                    (report.attempt, report.outcome.code),
                    (number, Code::TimeoutIo)
                );
                let took = report.at - report.started;
                assert!(took >= Duration::from_millis(20), "{took:?}");
            }
            assert_eq!(alive.most(), 1);
        });
    }
}

#[test]
fn task_is_aborted_when_its_check_or_the_driver_goes() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let (mut under, alive) = (driver(Limits::default()), Alive::default());
            let [one, _] = [(); 2].map(|()| {
                let check = Check::new(endless(&alive), patient());
                under.add(check).unwrap()
            });
            let quick = Check::new(AsyncProbe::new(|_| async { good() }), patient());
            under.add(quick).unwrap();
            while alive.now() < 2 {
                next(&mut under).await;
            }
            assert_eq!(under.load().tasks, under.load().in_flight);
            under.remove(one).unwrap();
            while alive.now() > 1 {
                yield_now().await;
            }
            drop(under);
            while alive.now() > 0 {
                yield_now().await;
            }
        });
    }
}

#[test]
fn panic_says_nothing_about_the_destination() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let mut under = driver(Limits::default());
            let early = AsyncProbe::new(|_| -> core::future::Ready<Outcome> { panic!("early") });
            let late = AsyncProbe::new(|_| async {
                yield_now().await;
                panic!("late")
            });
            let early = under.add(Check::new(early, patient())).unwrap();
            under.add(Check::new(late, patient())).unwrap();
            for _ in 0..4 {
                let report = next(&mut under).await;
                let text = if report.check == early {
                    "early"
                } else {
                    "late"
                };
                let outcome = report.outcome;
                assert_eq!(
                    (outcome.verdict, outcome.code),
                    (Verdict::Neutral, Code::Cancelled)
                );
                assert!(outcome.detail.as_str().ends_with(text), "{outcome}");
            }
        });
    }
}

#[test]
fn so_many_at_once_and_no_more() {
    for runtime in runtimes() {
        runtime.block_on(async {
            let (mut under, alive) = (
                driver(Limits::default().with_max_tasks(2)),
                Alive::default(),
            );
            for _ in 0..6 {
                let alive = alive.clone();
                let probe = AsyncProbe::new(move |_| {
                    let life = alive.begin();
                    async move {
                        let _life = life;
                        for _ in 0..50 {
                            yield_now().await;
                        }
                        good()
                    }
                });
                under.add(Check::new(probe, patient())).unwrap();
            }
            for _ in 0..30 {
                assert_eq!(next(&mut under).await.outcome.code, Code::Ok);
                assert!(under.load().tasks <= 2);
            }
            assert_eq!(alive.most(), 2);
        });
    }
}

#[test]
fn driver_without_a_runtime_refuses_it() {
    let mut under = Driver::new(Config::default()).unwrap();
    let refused = under.add(Check::new(endless(&Alive::default()), policy()));
    let error = refused.unwrap_err();
    assert!(matches!(error, Error::NoRuntime));
    let text = "the probe is an async function, which only an AsyncDriver can run";
    assert_eq!(error.to_string(), text);
    assert_eq!(under.load().checks, 0);
}
