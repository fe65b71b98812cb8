//! Address work: its order, slow jobs, failed jobs (OP-1, OP-2).

use core::time::Duration;

use lvs_vrrp::GuardStatus;
use lvs_vrrp::event::{Notification, ShutdownMode, State};
use lvs_vrrp::group::{GroupConfig, GroupId};
use lvs_vrrp::job::{JobId, JobKind, JobResult};
use lvs_vrrp::node::{OtherJob, ReportKind, Settings};

use crate::rig::*;

/// OP-1: prepare, install, establish, notify; remove, settle, notify.
#[test]
fn takes_over_and_gives_way_in_order() {
    let mut rig = Rig::new(config(1));
    assert_eq!(rig.state(1), State::Backup);
    rig.run(ms(4000));
    assert_eq!(
        rig.take_log(),
        "1 Backup, 1 send 100, 1 prepare, 1 install 1, 1 establish, 1 Active"
    );
    rig.hear(1, 200, HIGHER);
    rig.work();
    // The Linux profile says once more that it was Active.
    assert_eq!(rig.take_log(), "1 send 100, 1 remove 1, 1 settle, 1 Backup");
    rig.run(ms(3300));
    assert_eq!(rig.state(1), State::Backup);
    rig.run(ms(400));
    assert_eq!(
        rig.take_log(),
        "1 send 100, 1 prepare, 1 install 1, 1 establish, 1 Active"
    );
    rig.node.shutdown(rig.now, ShutdownMode::Graceful);
    assert!(!rig.node.is_idle());
    rig.work();
    assert_eq!(
        rig.take_log(),
        "1 send 0, 1 remove 1, 1 settle, 1 Initialize"
    );
    assert!(rig.node.is_idle());
    rig.run(ms(60_000));
    assert_eq!(rig.take_log(), "");
}

/// What is sent is what another ladder accepts (`VRRP-102`, `VRRP-105`, `VRRP-106`).
#[test]
fn emits_what_was_decided() {
    let mut rig = Rig::new(config(1));
    rig.now = rig.node.next_deadline().unwrap();
    rig.node.tick(rig.now);
    let job = rig.node.poll_job().unwrap();
    let JobKind::Send(send) = job.kind else {
        panic!("{job:?}");
    };
    let mut buffer = [0xa5; 1500];
    let destinations = rig.node.destinations(&send);
    assert_eq!(*destinations, [address("224.0.0.18")]);
    let length = rig
        .node
        .emit_packet(rig.now, &send, destinations[0], &mut buffer)
        .unwrap();
    assert_eq!(buffer[..length], advert(1, 100, OWN));
}

#[test]
fn a_failed_installation_steps_down_and_is_tried_again() {
    let mut rig = Rig::new(config(1));
    rig.run_open(ms(3700));
    rig.finish(JobResult::Done);
    assert_eq!(
        rig.take_log(),
        "1 Backup, 1 send 100, 1 prepare, 1 install 1"
    );
    rig.finish(JobResult::Failed);
    assert_eq!(rig.state(1), State::Initialize);
    assert_eq!(rig.take_reports(), [ReportKind::InstallFailed]);
    rig.work();
    assert_eq!(
        rig.take_log(),
        "1 send 0, 1 remove 1, 1 settle, 1 Initialize"
    );
    rig.run(ms(29_000));
    assert_eq!(rig.state(1), State::Initialize);
    rig.run(ms(1000));
    assert_eq!(rig.state(1), State::Backup);
}

/// What was installed and cannot be brought back is as bad as what could not be installed.
#[test]
fn addresses_that_are_lost_make_it_give_way_and_are_tried_again() {
    let mut rig = Rig::active(config(2));
    rig.node.lose_addresses(rig.now, id(1));
    rig.work();
    assert_eq!(rig.state(1), State::Initialize);
    assert_eq!(rig.state(2), State::Active);
    assert_eq!(
        rig.take_log(),
        "1 send 0, 1 remove 1, 1 settle, 1 Initialize"
    );
    assert_eq!(rig.take_reports(), [ReportKind::AddressesLost]);
    // Told once more, or of what is not there, it means nothing.
    rig.node.lose_addresses(rig.now, id(1));
    rig.node.lose_addresses(rig.now, id(9));
    rig.work();
    assert_eq!(rig.take_log(), "");
    assert_eq!(rig.take_reports(), []);
    rig.run(ms(29_900));
    assert_eq!(rig.state(1), State::Initialize);
    rig.run(ms(4000));
    assert_eq!(rig.state(1), State::Active);
    assert!(rig.take_log().contains("1 prepare, 1 install 1"));
}

/// While they are being installed, or are removed anyway, only the result of that counts.
#[test]
fn addresses_that_are_not_there_yet_cannot_be_lost() {
    let mut rig = Rig::new(config(1));
    rig.run_open(ms(3700));
    for phase in ["1 prepare", "1 install 1"] {
        assert!(rig.take_log().ends_with(phase));
        rig.node.lose_addresses(rig.now, id(1));
        rig.fetch();
        assert_eq!(rig.state(1), State::Active);
        rig.finish(JobResult::Done);
    }
    assert_eq!(rig.take_reports(), []);
    rig.hear(1, 200, HIGHER);
    rig.take_reports();
    rig.node.lose_addresses(rig.now, id(1));
    assert_eq!(rig.state(1), State::Backup);
    assert_eq!(rig.take_reports(), []);
}

/// A successor would go on without them.
#[test]
fn addresses_that_are_lost_are_not_handed_over() {
    let mut rig = Rig::active(config(1));
    rig.node.shutdown(rig.now, ShutdownMode::Handover);
    rig.node.lose_addresses(rig.now, id(1));
    rig.work();
    assert!(rig.take_log().contains("1 remove 1"));
    assert!(rig.node.hand_over().routers.is_empty());
}

/// OP-1, OP-2: a slow Prepare delays the addresses of its router, not its advertisements, nor
/// anybody else.
#[test]
fn a_slow_preparation_delays_addresses_only() {
    let mut rig = Rig::new(config(2));
    rig.run_open(ms(3700));
    let other = rig
        .open
        .iter()
        .position(|job| job.kind == JobKind::Prepare { router: id(2) });
    let other = rig.open[other.unwrap()].id;
    rig.complete(other, JobResult::Done);
    rig.take_log();
    rig.run_open(ms(3000));
    let sends = |word: &str| rig.log.iter().filter(|other| *other == word).count();
    assert_eq!([sends("1 send 100"), sends("2 send 100")], [3, 3]);
    assert_eq!(sends("1 install 1"), 0);
}

/// A router that yields before it was told to install has nothing to remove, and resigns or
/// releases at once; what was prepared is undone.
#[test]
fn an_entry_that_ends_while_preparing_needs_no_removal() {
    let mut rig = Rig::new(config(1));
    rig.run_open(ms(3700));
    rig.hear(1, 200, HIGHER);
    assert_eq!(rig.state(1), State::Backup);
    assert_eq!(
        rig.take_log(),
        "1 Backup, 1 send 100, 1 prepare, 1 send 100"
    );
    rig.finish(JobResult::Done);
    assert_eq!(rig.take_log(), "1 settle");
    rig.finish(JobResult::Done);
    assert_eq!(rig.take_log(), "");
}

/// It leaves while it installs: removed as soon as that is over, once.
#[test]
fn an_entry_that_ends_while_installing_is_removed_after() {
    for result in [JobResult::Done, JobResult::Failed] {
        let mut rig = Rig::new(config(1));
        rig.run_open(ms(3700));
        rig.finish(JobResult::Done);
        rig.hear(1, 200, HIGHER);
        assert!(!rig.take_log().contains("remove"));
        rig.finish(result);
        assert_eq!(rig.take_log(), "1 remove 1");
        assert_eq!(rig.state(1), State::Backup, "it had stepped down anyway");
    }
}

/// Active again while the addresses are being removed: they are gone and settled first.
#[test]
fn a_new_entry_waits_for_the_old_one() {
    let mut rig = Rig::active(config(1));
    rig.hear(1, 200, HIGHER);
    rig.take_log();
    rig.hear(1, 0, HIGHER);
    rig.run_open(ms(1000));
    assert_eq!(rig.state(1), State::Active);
    let log = rig.take_log();
    assert!(
        !log.contains("prepare") && log.contains("1 send 100"),
        "{log}"
    );
    rig.finish(JobResult::Done);
    assert_eq!(rig.take_log(), "1 settle");
    rig.finish(JobResult::Done);
    assert_eq!(rig.take_log(), "1 prepare, 1 Backup");
    rig.finish(JobResult::Done);
    rig.finish(JobResult::Done);
    rig.run(ms(10));
    assert_eq!(rig.take_log(), "1 install 1, 1 establish, 1 Active");
}

/// A removal that fails is a breach, and tried again until it is done; one that is slow is a breach
/// too, told once.
#[test]
fn removals_that_fail_or_last_are_breaches() {
    let mut rig = Rig::active(config(1));
    rig.node.shutdown(rig.now, ShutdownMode::ReleaseFirst);
    rig.fetch();
    rig.finish(JobResult::Failed);
    assert_eq!(rig.take_reports(), [ReportKind::RemoveFailed]);
    assert_eq!(rig.take_log(), "1 remove 1");
    rig.run_open(ms(999));
    assert_eq!(rig.take_log(), "");
    rig.run_open(ms(1));
    assert_eq!(rig.take_log(), "1 remove 1");
    rig.run_open(ms(999));
    assert_eq!(rig.take_reports(), []);
    rig.run_open(ms(5000));
    assert_eq!(rig.take_reports(), [ReportKind::RemoveLate]);
    assert!(!rig.node.is_idle());
    rig.finish(JobResult::Done);
    assert_eq!(rig.take_log(), "1 send 0, 1 settle");
    rig.finish(JobResult::Failed);
    assert_eq!(rig.take_reports(), [ReportKind::SettleFailed]);
    assert!(rig.node.is_idle());
}

#[test]
fn a_failed_preparation_steps_down() {
    let mut rig = Rig::new(config(1));
    rig.run_open(ms(3700));
    rig.finish(JobResult::Failed);
    assert_eq!(rig.take_reports(), [ReportKind::PrepareFailed]);
    assert_eq!(rig.state(1), State::Initialize);
    let log = rig.take_log();
    assert!(log.contains("1 send 0") && !log.contains("remove"), "{log}");
    // A part of it may be there: it is undone.
    assert!(log.contains("1 settle"), "{log}");
}

/// Results of jobs that nothing waits for, given twice or never handed out, change nothing; a failed
/// advertisement is told once a minute.
#[test]
fn other_results_do_nothing_but_reports() {
    let mut rig = Rig::active(config(1));
    rig.now += ms(1000);
    rig.node.tick(rig.now);
    let mut ids: Vec<JobId> = Vec::new();
    for _ in 0..3 {
        while let Some(job) = rig.node.poll_job() {
            rig.node.complete(rig.now, job.id, JobResult::Failed);
            rig.node.complete(rig.now, job.id, JobResult::Failed);
            ids.push(job.id);
            if let JobKind::Notify(report) = job.kind {
                rig.reports.push(report);
            }
        }
        rig.now += ms(1000);
        rig.node.tick(rig.now);
    }
    assert_eq!(rig.state(1), State::Active);
    assert_eq!(
        rig.take_reports(),
        [ReportKind::SendFailed { suppressed: 0 }]
    );
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
}

/// A driver that was away for long finds the newest advertisement, not all of them.
#[test]
fn advertisements_do_not_pile_up() {
    let mut rig = Rig::active(config(1));
    for _ in 0..10_000 {
        rig.now += ms(1000);
        rig.node.tick(rig.now);
    }
    rig.work();
    assert_eq!(rig.take_log(), "1 send 100");
}

/// OP-1: what follows a take-over waits for the last frame of the first round to be handed out, and
/// the notification for it; advertisements and the second round wait for neither.
#[test]
fn establishes_after_the_first_round_and_notifies_then() {
    let mut rig = Rig::new(config(1));
    rig.run_open(ms(3700));
    rig.finish(JobResult::Done);
    rig.finish(JobResult::Done);
    let frames = |rig: &Rig| {
        rig.log
            .iter()
            .filter(|word| *word == "1 ~announce 1")
            .count()
    };
    let mut before = 0;
    while rig.open.is_empty() {
        before = frames(&rig);
        rig.run_open(Duration::from_micros(200));
    }
    assert_eq!((before, frames(&rig)), (4, 5), "with the last of five");
    rig.run_open(ms(10_000));
    assert_eq!(frames(&rig), 10);
    let log = rig.take_log();
    assert!(log.starts_with("1 Backup, 1 send 100, 1 prepare, 1 install 1, 1 establish, 1 send"));
    assert!(!log.contains("Active"), "{log}");
    assert_eq!(log.matches("send 100").count(), 11, "{log}");
    rig.finish(JobResult::Done);
    assert_eq!(rig.take_log(), "1 Active");
}

/// It is reported and that is all: the addresses are there.
#[test]
fn what_cannot_be_established_is_reported_and_the_addresses_stay() {
    let mut rig = Rig::new(config(1));
    rig.run_open(ms(3700));
    rig.finish(JobResult::Done);
    rig.finish(JobResult::Done);
    rig.run_open(ms(10));
    rig.take_log();
    rig.finish(JobResult::Failed);
    assert_eq!(rig.take_log(), "1 Active");
    assert_eq!(rig.take_reports(), [ReportKind::EstablishFailed]);
    rig.run(ms(60_000));
    assert_eq!(rig.state(1), State::Active);
    assert!(!rig.take_log().contains("establish"));
}

/// A router that stops while it is being established removes its addresses at once, resigns when they
/// are gone, and settles when both are over, in whatever order they are.
#[test]
fn a_router_that_stops_does_not_wait_for_what_is_being_established() {
    for establish_first in [false, true] {
        let mut rig = Rig::new(config(1));
        rig.run_open(ms(3700));
        rig.finish(JobResult::Done);
        rig.finish(JobResult::Done);
        rig.run_open(ms(10));
        let establish = rig.open[0].id;
        rig.take_log();
        rig.node.shutdown(rig.now, ShutdownMode::ReleaseFirst);
        rig.fetch();
        assert_eq!(rig.take_log(), "1 remove 1, 1 Active");
        let removal = rig.open[1].id;
        if establish_first {
            rig.complete(establish, JobResult::Done);
            assert_eq!(rig.take_log(), "");
            rig.complete(removal, JobResult::Done);
            assert_eq!(rig.take_log(), "1 send 0, 1 settle");
        } else {
            rig.complete(removal, JobResult::Done);
            assert_eq!(rig.take_log(), "1 send 0");
            rig.run_open(ms(60_000));
            assert_eq!(rig.take_log(), "");
            rig.complete(establish, JobResult::Failed);
            assert_eq!(rig.take_log(), "1 settle");
        }
        assert!(!rig.node.is_idle());
        rig.finish(JobResult::Done);
        assert_eq!(rig.take_log(), "1 Initialize");
        assert!(rig.node.is_idle());
    }
}

/// What is never answered holds back what follows, even for a router that is Active again: nobody
/// else knows whether it is still under way.
#[test]
fn what_is_never_answered_holds_back_settling() {
    let mut rig = Rig::new(config(1));
    rig.run_open(ms(3700));
    rig.finish(JobResult::Done);
    rig.finish(JobResult::Done);
    rig.run_open(ms(10));
    let establish = rig.open[0].id;
    rig.take_log();
    rig.hear(1, 200, HIGHER);
    let remove = rig.open.last().unwrap().id;
    rig.complete(remove, JobResult::Done);
    assert!(!rig.node.is_idle());
    rig.run_open(ms(60_000));
    assert_eq!(rig.state(1), State::Active);
    let log = rig.take_log();
    assert!(log.starts_with("1 send 100, 1 remove 1, "), "{log}");
    for word in ["settle", "prepare", "install", "Backup"] {
        assert!(!log.contains(word), "{word}: {log}");
    }
    rig.complete(establish, JobResult::Failed);
    rig.work();
    assert_eq!(rig.take_log(), "1 settle, 1 prepare, 1 Backup, 1 install 1");
}

/// Without announcements there is nothing to wait for; another try establishes again.
#[test]
fn establishes_at_once_where_nothing_is_announced_and_each_time() {
    let mut settings = Settings::default();
    settings.spread = false;
    settings.announce.rounds.repeat = 0;
    let mut rig = Rig::new(config(1).with_settings(settings));
    rig.run_open(ms(3700));
    rig.finish(JobResult::Done);
    rig.take_log();
    rig.finish(JobResult::Done);
    assert_eq!(rig.take_log(), "1 establish");
    rig.work();
    rig.hear(1, 200, HIGHER);
    rig.work();
    rig.hear(1, 0, HIGHER);
    rig.run(ms(700));
    let log = rig.take_log();
    assert!(
        log.ends_with("1 prepare, 1 install 1, 1 establish, 1 Active"),
        "{log}"
    );
}

/// Nothing waits for these jobs; each failure is reported as what it is.
#[test]
fn failures_of_other_jobs_say_which() {
    let group = GroupId::new(1);
    let members = GroupConfig::new([id(1)]).with_guard(ms(500));
    let mut rig = Rig::new(config(1).with_group(group, members));
    let mut failed = Vec::new();
    let mut fail = |rig: &mut Rig| {
        while let Some(job) = rig.node.poll_job() {
            let is_other = matches!(
                job.kind,
                JobKind::DataPlane { .. }
                    | JobKind::Announce(_)
                    | JobKind::AcquireGuard { .. }
                    | JobKind::ReleaseGuard { .. }
            );
            if let JobKind::Notify(report) = job.kind {
                if let ReportKind::JobFailed { job, suppressed: 0 } = report.kind {
                    failed.push(job);
                }
            }
            let result = if is_other {
                JobResult::Failed
            } else {
                JobResult::Done
            };
            rig.node.complete(rig.now, job.id, result);
        }
    };
    rig.now += ms(3700);
    rig.node.tick(rig.now);
    fail(&mut rig);
    let until = rig.now + ms(60_000);
    let held = GuardStatus::Held { until, epoch: 1 };
    rig.node.set_guard(rig.now, group, held);
    fail(&mut rig);
    rig.node.shutdown(rig.now, ShutdownMode::Graceful);
    fail(&mut rig);
    assert!(rig.node.is_idle());
    assert_eq!(
        failed,
        [
            OtherJob::DataPlane,
            OtherJob::AcquireGuard,
            OtherJob::Announce,
            OtherJob::ReleaseGuard
        ]
    );
}

/// It was never Active with its addresses, so nobody is told that it was.
#[test]
fn a_failed_installation_is_not_told_as_active() {
    let mut rig = Rig::new(config(1));
    rig.run_open(ms(3700));
    rig.take_log();
    rig.finish(JobResult::Done);
    rig.finish(JobResult::Failed);
    rig.work();
    let log = rig.take_log();
    assert!(!log.contains("Active"), "{log}");
    assert!(log.ends_with("1 settle, 1 Initialize"), "{log}");
    let last = rig.reports.last().unwrap();
    let ReportKind::Router(Notification::Transition(transition)) = last.kind else {
        panic!("{last:?}");
    };
    assert_eq!(
        (transition.from, transition.to),
        (State::Backup, State::Initialize)
    );
}

/// OP-2: a removal that was late is told though nobody looked while it was, once.
#[test]
fn a_late_removal_is_told_when_it_ends() {
    for (late, ticks) in [(false, false), (true, false), (true, true)] {
        let mut rig = Rig::active(config(1));
        rig.hear(1, 200, HIGHER);
        rig.take_reports();
        rig.now += ms(if late { 1001 } else { 1000 });
        if ticks {
            rig.node.tick(rig.now);
        }
        rig.finish(JobResult::Done);
        let expected = [ReportKind::RemoveLate];
        assert_eq!(rig.take_reports(), expected[..usize::from(late)]);
    }
}
