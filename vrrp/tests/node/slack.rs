//! Advertisements that leave together: earlier only, never later, and not too early.

use core::time::Duration;
use std::collections::BTreeMap;

use lvs_vrrp::event::State;
use lvs_vrrp::job::{JobKind, JobResult};
use lvs_vrrp::node::{Node, NodeRouter, Settings};
use lvs_vrrp::receive::Meta;
use lvs_vrrp::{Interval, NodeConfig, Timestamp};

use crate::rig::*;

/// Routers at these intervals in centiseconds.
fn routers(intervals: &[u16], slack: Duration, spread: bool) -> NodeConfig {
    let mut settings = Settings::default();
    settings.slack = slack;
    settings.spread = spread;
    // Announcements have their own times.
    settings.announce.rounds.repeat = 0;
    settings.announce.rounds.second_round = None;
    let config = config(0).with_settings(settings);
    let numbered = (1..=u8::MAX).zip(intervals);
    numbered.fold(config, |config, (number, interval)| {
        let interval = Interval::from_centiseconds(*interval).unwrap();
        let router = router_config(number).with_interval(interval);
        config.with_router(id(number.into()), NodeRouter::new(LAN, router))
    })
}

/// When each router advertised, and how often the node had to be called.
struct Run {
    sent: BTreeMap<u32, Vec<Timestamp>>,
    wakes: usize,
}

fn run(node: &mut Node, from: Timestamp, to: Timestamp) -> Run {
    let mut run = Run {
        sent: BTreeMap::new(),
        wakes: 0,
    };
    let mut now = from;
    while let Some(next) = node
        .next_deadline()
        .map(|next| next.max(now))
        .filter(|next| *next <= to)
    {
        now = next;
        node.tick(now);
        run.wakes += 1;
        while let Some(job) = node.poll_job() {
            if let JobKind::Send(send) = &job.kind {
                run.sent.entry(send.router().get()).or_default().push(now);
            }
            node.complete(now, job.id, JobResult::Done);
        }
        assert!(
            node.next_deadline().is_none_or(|next| next > now),
            "twice at {now:?}"
        );
    }
    run
}

/// Least and greatest time between two advertisements of a router.
fn gaps(times: &[Timestamp]) -> (Duration, Duration) {
    let gaps = || times.windows(2).map(|pair| pair[1] - pair[0]);
    (gaps().min().unwrap(), gaps().max().unwrap())
}

/// 250 routers, spread over the interval, at 10 advertisements per second: they gather within a few
/// intervals, and what leaves together stays together.
#[test]
fn many_routers_need_few_wakes() {
    let second = Duration::from_secs;
    let mut wakes = [ms(10), Duration::ZERO].map(|slack| {
        let mut node = Node::new(routers(&[10; 250], slack, true)).unwrap();
        run(&mut node, second(10), second(14));
        let first = run(&mut node, second(14), second(18));
        let run = run(&mut node, second(18), second(22));
        assert_eq!(run.sent.len(), 250);
        for (router, times) in &run.sent {
            assert_eq!(gaps(times), (ms(100), ms(100)), "router {router}");
        }
        let wakes = [first.wakes, run.wakes];
        println!("slack {slack:?}: {wakes:?} wakes in 4 s, then in another 4 s");
        wakes
    });
    assert!(
        wakes[1][1] > 8000,
        "without slack one for each, but for those at the same time"
    );
    // A sixteenth of the interval: at most 16 of them fit.
    assert!(wakes[0][1] <= 16 * 40 + 1, "{wakes:?}");
    wakes[0].sort_unstable();
    assert!(wakes[0][0] + 1 >= wakes[0][1], "they stay together");
}

/// Never later than an interval after the last, never earlier than the slack allows, whatever
/// intervals others have; on average no more often than that.
#[test]
fn an_advertisement_is_never_late_and_early_by_the_slack_at_most() {
    let second = Duration::from_secs;
    let intervals = [100, 10, 7, 33, 100, 25, 1, 400];
    for slack in [ms(10), ms(3), Duration::ZERO, second(100)] {
        let mut node = Node::new(routers(&intervals, slack, true)).unwrap();
        run(&mut node, second(10), second(25));
        let run = run(&mut node, second(25), second(45));
        for (router, interval) in (1..).zip(intervals) {
            let interval = ms(u64::from(interval) * 10);
            let (least, most) = gaps(&run.sent[&router]);
            let early = slack.min(interval / 16);
            assert!(
                most <= interval,
                "router {router}, slack {slack:?}: {most:?}"
            );
            assert!(
                least >= interval - early,
                "router {router}, slack {slack:?}: {least:?}"
            );
        }
    }
}

/// A Backup waits as long as ever.
#[test]
fn a_backup_is_never_early() {
    let mut rig = Rig::new(routers(&[100, 100], ms(10), false));
    rig.now += ms(5);
    let packet = advert(2, 50, LOWER);
    rig.node
        .receive(rig.now, &Meta::ipv4(LAN, rig.now), &packet);
    rig.hear(2, 100, HIGHER);
    let down = rig.node.machine(id(2)).unwrap().next_deadline().unwrap();
    rig.now = rig.node.next_deadline().unwrap();
    while rig.now < down {
        rig.node.tick(rig.now);
        rig.work();
        assert_eq!(rig.state(2), State::Backup);
        rig.now = rig.node.next_deadline().unwrap();
    }
    assert_eq!(rig.now, down);
    rig.node.tick(down);
    assert_eq!(rig.state(2), State::Active);
}

/// A late driver sends nothing twice, and a tick that comes before anything is due does nothing.
#[test]
fn early_is_no_second_time() {
    let second = Duration::from_secs;
    let mut node = Node::new(routers(&[100, 100], ms(10), false)).unwrap();
    node.tick(second(10));
    // One is 5 ms behind the other.
    let config = routers(&[100, 100], ms(10), false);
    let late = config
        .clone()
        .with_router(id(3), NodeRouter::new(LAN, router_config(3)));
    node.tick(second(10) + ms(5));
    node.reconfigure(second(10) + ms(5), late).unwrap();
    let sent = run(&mut node, second(10), second(20)).sent;
    assert_eq!(sent[&1].last(), sent[&3].last(), "they leave together");
    let due = node.next_deadline().unwrap();
    for early in [ms(9), ms(5), ms(1)] {
        node.tick(due - early);
        assert!(node.poll_job().is_none(), "nothing is due {early:?} before");
    }
    node.tick(due + ms(400));
    let mut jobs = 0;
    while let Some(job) = node.poll_job() {
        jobs += usize::from(matches!(job.kind, JobKind::Send(_)));
    }
    assert_eq!(jobs, 3);
    node.tick(due + ms(400));
    assert!(node.poll_job().is_none());
}

/// Whoever drives it can be awake before a Backup takes over, and need not be for anything else.
#[test]
fn a_take_over_is_known_before_it_comes() {
    let mut rig = Rig::new(config(1));
    let at = rig.node.next_take_over().unwrap();
    assert_eq!(at - rig.now, router_config(1).active_down_interval());
    rig.now += ms(500);
    rig.hear(1, 200, HIGHER);
    let later = rig.node.next_take_over().unwrap();
    assert_eq!(later - at, ms(500));
    assert_eq!(rig.node.next_deadline(), Some(later));
    rig.run(later - rig.now - ms(1));
    assert_eq!(rig.state(1), State::Backup);
    assert_eq!(rig.node.next_take_over(), Some(later));
    rig.run(ms(1));
    assert_eq!(rig.state(1), State::Active);
    assert_eq!(rig.node.next_take_over(), None);
}
