//! Authentication headers: one counter for sending and receiving (spec 1.3), or a new Active would
//! begin below what the Backups have heard.

use lvs_vrrp::codec::{Advertisement, AhFlavour, AhKey, AhView, Authentication, Transmission};
use lvs_vrrp::event::{ShutdownMode, State};
use lvs_vrrp::job::{JobKind, JobResult};
use lvs_vrrp::node::{Node, NodeRouter};
use lvs_vrrp::receive::{Reason, Versions};
use lvs_vrrp::{Interval, NodeConfig, Priority, Version};

use crate::rig::*;

fn key() -> Authentication {
    Authentication::Header(AhKey::new(AhFlavour::Keepalived, b"secret").unwrap())
}

fn signed() -> NodeConfig {
    let router = router_config(1)
        .with_versions(Versions::Only(Version::V2))
        .with_authentication(key());
    config(0).with_router(id(1), NodeRouter::new(LAN, router))
}

/// An advertisement of another router with this number.
fn numbered(sequence: u32, priority: u8) -> Vec<u8> {
    let router = router_config(1);
    let advertisement = Advertisement {
        version: Version::V2,
        vrid: vrid(1),
        priority: Priority::new(priority),
        interval: Interval::DEFAULT,
        addresses: router.addresses().as_addresses(),
    };
    let mut bytes = [0; 1500];
    let key = key();
    let length = Transmission::multicast(address(HIGHER))
        .with_authentication(&key, sequence)
        .emit_packet(&advertisement, &mut bytes)
        .unwrap();
    bytes[..length].to_vec()
}

/// The numbers of what is sent in the time.
fn sent(rig: &mut Rig, millis: u64) -> Vec<u32> {
    let mut numbers = Vec::new();
    let end = rig.now + ms(millis);
    loop {
        while let Some(job) = rig.node.poll_job() {
            if let JobKind::Send(send) = &job.kind {
                let mut bytes = [0; 1500];
                let group = rig.node.destinations(send)[0];
                let length = rig.node.emit_packet(rig.now, send, group, &mut bytes);
                let (header, _) = AhView::split(&bytes[20..length.unwrap()]).unwrap();
                numbers.push(header.sequence());
            }
            rig.node.complete(rig.now, job.id, JobResult::Done);
        }
        let Some(next) = rig.node.next_deadline().filter(|next| *next <= end) else {
            rig.now = end;
            return numbers;
        };
        rig.now = next;
        rig.node.tick(next);
    }
}

#[test]
fn numbers_go_on_from_the_last_one_sent_or_heard() {
    let mut rig = Rig::new(signed());
    assert_eq!(sent(&mut rig, 6000), [1, 2, 3]);
    rig.hear_bytes(&numbered(41, 200));
    assert_eq!(rig.state(1), State::Backup);
    // Neither a replay of it nor of its own counts.
    for old in [41, 40, 3] {
        rig.hear_bytes(&numbered(old, 200));
    }
    let counters = rig.node.router_counters(id(1)).unwrap();
    assert_eq!(counters.rejected(Reason::AuthReplay), 3);
    assert_eq!(counters.received(), 1);
    assert_eq!(sent(&mut rig, 6000), [42, 43, 44]);
}

/// A peer that has restarted begins with low numbers again; it is let in when this router starts.
#[test]
fn a_router_that_starts_accepts_any_number() {
    let mut rig = Rig::new(signed());
    rig.hear_bytes(&numbered(1000, 200));
    rig.hear_bytes(&numbered(1, 200));
    let counters = rig.node.router_counters(id(1)).unwrap();
    assert_eq!(counters.rejected(Reason::AuthReplay), 1);
    for is_up in [false, true] {
        rig.node.link(rig.now, LAN, is_up, &[address(OWN)]);
    }
    rig.hear_bytes(&numbered(1, 200));
    let counters = rig.node.router_counters(id(1)).unwrap();
    assert_eq!(counters.rejected(Reason::AuthReplay), 1);
    assert_eq!(counters.received(), 2);
}

/// A successor goes on with the numbers of its predecessor, or its peers would drop what it says.
#[test]
fn a_successor_goes_on_with_the_numbers() {
    let mut old = Rig::new(signed());
    assert_eq!(sent(&mut old, 6000), [1, 2, 3]);
    old.node.shutdown(old.now, ShutdownMode::Handover);
    old.work();
    let left = old.node.hand_over();
    let mut new = Rig::new(signed());
    new.node = Node::resume(signed(), old.now, &left).unwrap();
    new.now = old.now;
    assert_eq!(sent(&mut new, 1500), [4, 5]);
}
