//! How much a node looks at, by the number of its routers: counted, since time is not the same
//! everywhere.

use core::time::Duration;
use std::{println, vec};

use super::places::looks;
use super::{InterfaceConfig, Node, NodeConfig, NodeRouter, RouterId, Settings};
use crate::address::{AddressList, InterfaceIndex, MacAddress};
use crate::config::RouterConfig;
use crate::event::{DataPlane, State};
use crate::group::{GroupConfig, GroupId};
use crate::job::{Job, JobKind, JobResult};
use crate::timer::Timestamp;
use crate::track::{Track, TrackerId};
use crate::vrid::Vrid;

const START: Timestamp = Duration::from_secs(100);

/// 250 routers on each interface; every fourth is in a group with the next one.
fn config(count: u32) -> NodeConfig {
    let settings = Settings {
        spread: false,
        ..Settings::default()
    };
    let mut config = NodeConfig::new().with_settings(settings);
    for number in 0..count {
        let [_, _, high, low] = (number / 250).to_be_bytes();
        let last = u8::try_from(number % 250 + 1).unwrap();
        let lan = InterfaceIndex::new(number / 250 + 1);
        let interface = InterfaceConfig::new(MacAddress::new([2, 0, 0, 0, high, low]));
        let address = [10, high, low, last].into();
        let addresses = AddressList::new([address]).unwrap();
        let router = RouterConfig::new(Vrid::new(last).unwrap(), addresses);
        config = config
            .with_interface(lan, interface.up([[192, 0, 2, low + 1].into()]))
            .with_router(RouterId::new(number), NodeRouter::new(lan, router));
        if number % 4 == 1 {
            let members = [number - 1, number].map(RouterId::new);
            config = config.with_group(GroupId::new(number), GroupConfig::new(members));
        }
    }
    config
}

/// All jobs done, time stands still; frames are left alone.
fn work(now: Timestamp, node: &mut Node) -> u32 {
    let mut jobs = 0;
    while let Some(Job { id, kind }) = node.poll_job() {
        jobs += u32::from(!matches!(kind, JobKind::Announce(_)));
        node.complete(now, id, JobResult::Done);
    }
    jobs
}

/// How much was looked at meanwhile, for each router.
fn cost(count: u32, act: impl FnOnce()) -> u64 {
    let before = looks();
    act();
    (looks() - before) / u64::from(count)
}

/// What each of these costs for a router: take-over of all at once; an advertisement of all; a change
/// of one; the loss of all links; the removal of all from the configuration.
fn costs(count: u32) -> [u64; 5] {
    let mut node = Node::new(config(count)).unwrap();
    let mut now = START;
    let take_over = cost(count, || {
        node.tick(now);
        work(now, &mut node);
        now += Duration::from_secs(4);
        node.tick(now);
        work(now, &mut node);
        assert_eq!(node.state(RouterId::new(count - 1)), Some(State::Active));
    });
    for _ in 0..20_000 {
        now = node
            .next_deadline()
            .unwrap()
            .min(START + Duration::from_secs(12));
        node.tick(now);
        work(now, &mut node);
    }
    assert_eq!(now, START + Duration::from_secs(12), "all is announced");
    let advert = cost(count, || {
        now += Duration::from_secs(1);
        node.tick(now);
        assert_eq!(work(now, &mut node), count);
    });
    let one = cost(1, || {
        let id = RouterId::new(2);
        assert!(node.router_counters(id).is_some());
        let key = node.routers.key_of(id).unwrap();
        node.queue_plane(key, DataPlane::default());
        node.doubt(key);
        node.continue_work(key);
        node.settle();
    });
    let links = cost(count, || {
        for index in 1..=count / 250 {
            node.link(now, InterfaceIndex::new(index), false, &[]);
        }
        work(now, &mut node);
        assert_eq!(
            node.state(RouterId::new(count - 1)),
            Some(State::Initialize)
        );
    });
    let removal = cost(count, || {
        node.reconfigure(now, NodeConfig::new()).unwrap();
        work(now, &mut node);
        assert_eq!(node.routers.len(), 0, "all have gone");
    });
    [take_over, advert, one, links, removal]
}

#[test]
fn work_grows_with_the_number_of_routers_and_not_with_its_square() {
    let few = costs(250);
    let many = costs(2000);
    println!("looks for each router of 250: {few:?}, of 2000: {many:?}");
    for (few, many) in few.into_iter().zip(many) {
        assert!(many <= few + few / 4 + 2, "{few} of 250, {many} of 2000");
    }
}

/// What it costs in all to tell of a tracker that one router follows, and of one that a group does.
fn tracker_costs(count: u32) -> [u64; 2] {
    let (of_router, of_group) = (TrackerId::new(1), TrackerId::new(2));
    let mut config = config(count)
        .with_tracker(of_router, true)
        .with_tracker(of_group, true);
    let followers = [(of_router, 2), (of_group, 0)];
    let tracked = |tracker| Track::new(tracker, 0);
    config.routers.get_mut(&RouterId::new(2)).unwrap().tracks = vec![tracked(of_router)];
    let group = config.groups.get_mut(&GroupId::new(1)).unwrap();
    group.tracks = vec![tracked(of_group)];
    let mut node = Node::new(config).unwrap();
    node.tick(START);
    followers.map(|(tracker, router)| {
        assert_eq!(node.state(RouterId::new(router)), Some(State::Backup));
        let looked = cost(1, || node.set_tracker(START, tracker, false));
        assert_eq!(node.state(RouterId::new(router)), Some(State::Initialize));
        looked
    })
}

#[test]
fn a_tracker_costs_what_its_followers_cost() {
    let (few, many) = (tracker_costs(250), tracker_costs(2000));
    println!("looks for a tracker among 250: {few:?}, among 2000: {many:?}");
    assert_eq!(few, many);
}
