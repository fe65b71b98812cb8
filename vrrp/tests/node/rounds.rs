//! Rounds of announcements that meet others: of the same router, and of other ones.

use lvs_vrrp::event::State;
use lvs_vrrp::job::{JobKind, JobResult};
use lvs_vrrp::node::{EmitError, NodeRouter, Settings};
use lvs_vrrp::{AddressList, NodeConfig};

use crate::rig::*;

fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    settings.spread = false;
    change(&mut settings);
    settings
}

/// One router with so many addresses, 198.51.100.1 and so on.
fn many(count: u8) -> NodeConfig {
    let addresses = (1..=count).map(|number| [198, 51, 100, number].into());
    let router = router_config(1).with_addresses(AddressList::new(addresses).unwrap());
    config(0).with_router(id(1), NodeRouter::new(LAN, router))
}

/// The announcements that were logged, as "router/last octet", and the log without them.
fn announced(rig: &mut Rig) -> Vec<String> {
    let is_one = |word: &String| word.contains("~announce");
    let log = core::mem::take(&mut rig.log);
    let (ours, others) = log.into_iter().partition(is_one);
    rig.log = others;
    let ours: Vec<String> = ours;
    let short = ours.iter().map(|word| word.replace(" ~announce ", "/"));
    short.collect()
}

/// Lets the addresses be there, without a tick after that.
fn install(rig: &mut Rig) {
    rig.run_open(ms(3700));
    rig.finish(JobResult::Done);
    rig.finish(JobResult::Done);
}

/// A round that begins anew keeps the passes that it still has to make.
#[test]
fn a_shorter_round_does_not_cut_a_longer_one() {
    let few = settings(|settings| {
        settings.announce.rounds.second_round = None;
        settings.announce.rounds.losing_repeat = 1;
        settings.announce.rounds.repeat = 4;
    });
    let mut rig = Rig::active(many(20).with_settings(few));
    rig.run(ms(1000));
    // Another address: all are announced, four times.
    let more = router_config(1).with_addresses(
        AddressList::new((1..=21).map(|number| [198, 51, 100, number].into())).unwrap(),
    );
    let more = rig
        .node
        .config()
        .clone()
        .with_router(id(1), NodeRouter::new(LAN, more));
    rig.node.reconfigure(rig.now, more).unwrap();
    rig.work();
    rig.run(ms(1));
    let before = announced(&mut rig).len();
    assert!((1..21).contains(&before), "{before}");
    rig.hear(1, 50, LOWER);
    rig.run(ms(1000));
    assert_eq!(announced(&mut rig).len(), 4 * 21, "all four once more");
}

/// Each pass over the addresses of a router lets the other routers of the interface go first.
#[test]
fn rounds_of_several_routers_take_turns() {
    let plain = settings(|settings| settings.announce.rounds.repeat = 3);
    let mut rig = Rig::new(config(2).with_settings(plain));
    rig.run(ms(4000));
    // The second one began when the addresses of the first were not there.
    let frames = ["2/2", "2/2", "1/1", "2/2", "1/1", "1/1"];
    assert_eq!(announced(&mut rig), frames);
}

/// A driver that woke up late sends eight frames, however many it missed.
#[test]
fn eight_frames_at_once_are_the_most() {
    let mut rig = Rig::new(many(200));
    install(&mut rig);
    rig.now += ms(500);
    announced(&mut rig);
    rig.node.tick(rig.now);
    rig.fetch();
    assert_eq!(announced(&mut rig).len(), 8);
}

/// An interface that announced nothing for long gives no right to a burst.
#[test]
fn rounds_begin_with_one_frame() {
    let mut rig = Rig::new(many(200));
    rig.run_open(ms(60_000));
    rig.finish(JobResult::Done);
    rig.finish(JobResult::Done);
    assert_eq!(announced(&mut rig).len(), 1);
}

/// Spec 3.5: a loser that is heard gets a round, and a second one only if that is wanted.
#[test]
fn an_advertisement_that_loses_begins_its_own_rounds_only() {
    let without = settings(|settings| settings.announce.rounds.losing_second_round = None);
    for (config, frames) in [(config(1), 10), (config(1).with_settings(without), 5)] {
        let mut rig = Rig::active(config);
        rig.run(ms(20_000));
        announced(&mut rig);
        rig.hear(1, 50, LOWER);
        rig.run(ms(20_000));
        assert_eq!(announced(&mut rig).len(), frames);
    }
}

#[test]
fn a_refresh_is_as_long_as_the_settings_say() {
    let refresh = settings(|settings| {
        settings.announce.rounds.refresh = Some(ms(10_000));
        settings.announce.rounds.refresh_repeat = 2;
        settings.announce.rounds.second_round = None;
    });
    let mut rig = Rig::active(config(1).with_settings(refresh));
    announced(&mut rig);
    rig.run(ms(30_000));
    assert_eq!(announced(&mut rig).len(), 3 * 2);
}

/// Frames that were handed to nobody yet are taken back with the addresses.
#[test]
fn frames_that_wait_are_cancelled() {
    let mut rig = Rig::new(many(200));
    rig.run_open(ms(3700));
    rig.finish(JobResult::Done);
    let install = rig.open.pop().unwrap();
    rig.node.complete(rig.now, install.id, JobResult::Done);
    rig.now += ms(1);
    rig.node.tick(rig.now);
    let packet = advert(1, 200, HIGHER);
    let meta = lvs_vrrp::receive::Meta::ipv4(LAN, rig.now);
    rig.node.receive(rig.now, &meta, &packet);
    assert_eq!(rig.state(1), State::Backup);
    rig.fetch();
    assert_eq!(announced(&mut rig), [""; 0]);
}

/// One that was handed out and is built too late is not sent.
#[test]
fn a_frame_is_not_built_when_the_addresses_are_gone() {
    let mut rig = Rig::new(config(1));
    rig.run_open(ms(3700));
    rig.finish(JobResult::Done);
    let install = rig.open.pop().unwrap();
    rig.node.complete(rig.now, install.id, JobResult::Done);
    let jobs = core::iter::from_fn(|| rig.node.poll_job());
    let mut kinds = jobs.map(|job| job.kind);
    let frame = kinds.find_map(|kind| match kind {
        JobKind::Announce(announcement) => Some(announcement),
        _ => None,
    });
    let frame = frame.unwrap();
    let mut buffer = [0; 100];
    assert!(rig.node.emit_announcement(&frame, &mut buffer).is_ok());
    rig.hear(1, 200, HIGHER);
    let built = rig.node.emit_announcement(&frame, &mut buffer);
    assert_eq!(built, Err(EmitError::Withdrawn));
}
