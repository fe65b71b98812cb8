//! What kernels do with addresses: in their own time, not always, and for as long as a lifetime says.

use core::time::Duration;

use lvs_vrrp::job::JobResult;
use lvs_vrrp::lease::{LeaseConfig, MemoryStore};
use lvs_vrrp::node::{NodeConfig, NodeRouter, ReportKind, RouterId};
use lvs_vrrp::sim::{HostId, Lan, Link, NodeHost, Pace, Step, What};
use lvs_vrrp::{AddressList, Priority, RouterConfig, State};

use crate::ms;
use crate::nodes::{LAN, ROUTERS, host, key};

const ID: RouterId = RouterId::new(10);

/// Two nodes, the first of which is to be Active.
fn lan(lease: Option<LeaseConfig>, lifetime: Option<Duration>) -> (Lan<NodeHost>, [HostId; 2]) {
    let mut lan = Lan::new(3);
    lan.set_link(Link::default().with_delay(ms(1)));
    lan.add_store(MemoryStore::new());
    let hosts = [0, 1].map(|index| {
        let host = host(index, [[200, 100][usize::from(index)]; 2], lease);
        lan.add(match lifetime {
            Some(lifetime) => host.with_address_lifetime(lifetime),
            None => host,
        })
    });
    (lan, hosts)
}

fn lease() -> LeaseConfig {
    LeaseConfig::new(ms(6000), ms(300), ms(500)).unwrap()
}

fn start(lan: &mut Lan<NodeHost>, hosts: &[HostId]) {
    for host in hosts {
        lan.start(*host);
    }
    lan.run_until(ms(10_000));
    assert_eq!(lan.holders(key(10)), &hosts[..1], "{}", lan.trace());
}

/// When this was in the trace, of router 10.
fn times(lan: &Lan<NodeHost>, host: HostId, is_it: impl Fn(&What) -> bool) -> Vec<Duration> {
    let entries = lan.trace().entries().iter();
    let of = |router: Option<lvs_vrrp::sim::RouterKey>| router.is_none_or(|r| r == key(10));
    entries
        .filter(|entry| entry.host == host && of(entry.router) && is_it(&entry.what))
        .map(|entry| entry.at)
        .collect()
}

/// OP-1: a slow Prepare delays the address and not the advertisements; a slow removal delays
/// resignation and notification.
#[test]
fn steps_take_their_time() {
    let (mut lan, hosts) = lan(None, None);
    let exactly = |time| Pace::between(time, time);
    lan.set_pace(hosts[0], Step::Prepare, exactly(ms(700)));
    lan.set_pace(hosts[0], Step::Install, exactly(ms(50)));
    lan.set_pace(hosts[0], Step::Remove, exactly(ms(250)));
    lan.set_pace(hosts[0], Step::Settle, exactly(ms(40)));
    start(&mut lan, &hosts);
    let installed = times(&lan, hosts[0], |what| *what == What::Installed);
    let active = lan
        .trace()
        .states(key(10))
        .find(|(.., state)| *state == State::Active);
    // Told when the addresses are there and announced; it had been Active for 750 ms then.
    let told = active.unwrap().0;
    assert!(
        told >= installed[0] && told < installed[0] + ms(10),
        "{told:?}"
    );
    assert!(installed[0] > ms(3600 + 750), "{installed:?}");
    // The other one heard its advertisements all the time.
    assert!(
        lan.holdings()
            .iter()
            .all(|holding| holding.host == hosts[0])
    );

    let at = lan.now();
    lan.stop(hosts[0], lvs_vrrp::event::ShutdownMode::Graceful);
    lan.run_for(ms(3000));
    assert_eq!(
        times(&lan, hosts[0], |what| *what == What::Removed),
        [at + ms(250)]
    );
    let told = lan
        .trace()
        .states(key(10))
        .filter(|(_, host, _)| *host == hosts[0]);
    assert_eq!(
        told.last(),
        Some((at + ms(290), hosts[0], State::Initialize))
    );
    assert_eq!(lan.overlaps(), []);
    assert_eq!(lan.holders(key(10)), &hosts[1..]);
}

/// What fails has the consequences that jobs say: the other one takes over, nothing stays behind.
#[test]
fn a_node_that_cannot_install_leaves_it_to_the_other() {
    for (step, trouble) in [
        (Step::Prepare, ReportKind::PrepareFailed),
        (Step::Install, ReportKind::InstallFailed),
    ] {
        let (mut lan, hosts) = lan(None, None);
        lan.set_pace(hosts[0], step, Pace::default().with_failures(1_000_000));
        for host in hosts {
            lan.start(host);
        }
        // A failure now and then, and what was installed in part is removed.
        lan.run_until(ms(30_000));
        let told = times(&lan, hosts[0], |what| *what == What::Trouble(trouble));
        assert!(told.len() > 1, "{}", lan.trace());
        assert_eq!(lan.holders(key(10)), &hosts[1..], "{}", lan.trace());
        let failed = times(&lan, hosts[0], |what| *what == What::Failed(step));
        assert_eq!(told, failed);
    }
}

/// Each address counts by itself, and the order is that of jobs.
#[test]
fn changes_of_addresses_are_seen_by_the_kernel() {
    let (mut lan, hosts) = lan(None, None);
    start(&mut lan, &hosts);
    let at = lan.now();
    lan.with(hosts[0], |host, now, out| {
        host.act(
            now,
            |node, now| {
                let config: NodeConfig = node.config().clone();
                let addresses = ["198.51.100.10", "198.51.100.11"].map(|a| a.parse().unwrap());
                let addresses = AddressList::new(addresses).unwrap();
                let router = RouterConfig::new(key(10).vrid, addresses);
                let router = NodeRouter::new(LAN, router.with_priority(Priority::new(200)));
                node.reconfigure(now, config.with_router(ID, router))
                    .unwrap();
            },
            out,
        );
    });
    lan.run_for(ms(1000));
    let new = lan.holdings().last().unwrap();
    assert_eq!(new.address.to_string(), "198.51.100.11");
    assert_eq!((new.host, new.from, new.until), (hosts[0], at, None));
}

/// OP-4: an address leaves by itself after its lifetime and the kernel's lag, and not before, when
/// the process is paused or killed; without one it stays, until a new process removes it.
#[test]
fn addresses_leave_by_themselves_when_nobody_extends_their_lifetime() {
    for is_killed in [false, true] {
        for lifetime in [Some(ms(11_000)), None] {
            let (mut lan, hosts) = lan(None, lifetime);
            start(&mut lan, &hosts);
            // Renewals in time leave no gap.
            lan.run_until(ms(60_000));
            assert_eq!(lan.holdings().len(), ROUTERS.len(), "{}", lan.trace());
            let at = lan.now();
            if is_killed {
                lan.kill(hosts[0]);
            } else {
                lan.pause(hosts[0], ms(40_000));
            }
            lan.run_for(ms(39_000));
            let until = lan.holdings()[0].until;
            if lifetime.is_some() {
                let left = until.unwrap() - at;
                // It was extended a third of it ago at most.
                assert!((ms(7333)..=ms(13_000)).contains(&left), "{left:?}");
                assert!(lan.overlaps().iter().all(|overlap| overlap.until.is_some()));
            } else {
                assert_eq!(until, None);
                assert!(lan.overlaps().iter().all(|overlap| overlap.until.is_none()));
            }
            // The other took over meanwhile.
            assert_eq!(lan.overlaps().len(), ROUTERS.len());
            lan.start(hosts[0]);
            lan.run_for(ms(10_000));
            let swept = times(&lan, hosts[0], |what| *what == What::Swept);
            assert_eq!(swept.len(), usize::from(is_killed && lifetime.is_none()));
            assert!(lan.overlaps().iter().all(|overlap| overlap.until.is_some()));
        }
    }
}

/// The holder is cut off from all others, and its next removals go like this.
fn cut_off(
    outcomes: &[(Duration, JobResult)],
    lifetime: Option<Duration>,
) -> (Lan<NodeHost>, [HostId; 2]) {
    let (mut lan, hosts) = lan(Some(lease()), lifetime);
    for (step, pace) in [(Step::Prepare, ms(100)), (Step::Install, ms(50))] {
        lan.set_pace(hosts[0], step, Pace::between(pace, pace));
    }
    start(&mut lan, &hosts);
    lan.partition(&hosts[..1]);
    lan.cut_from_stores(hosts[0]);
    lan.script(hosts[0], Step::Remove, outcomes.iter().copied());
    lan.run_for(ms(20_000));
    assert!(lan.holders(key(10)).contains(&hosts[1]), "{}", lan.trace());
    (lan, hosts)
}

/// OP-4: a removal that fails again and again, and one that overruns its bound, are told as breaches;
/// with a lifetime the addresses are gone before the lease ends even so, without one they are at two
/// nodes.
#[test]
fn a_removal_that_fails_or_is_late_is_a_breach_and_harms_nobody() {
    let failing = vec![(ms(100), JobResult::Failed); 200];
    let late = vec![(ms(8000), JobResult::Done); 2];
    let in_time = vec![(ms(300), JobResult::Done); 2];
    for (outcomes, trouble) in [
        (&failing, Some(ReportKind::RemoveFailed)),
        (&late, Some(ReportKind::RemoveLate)),
        (&in_time, None),
    ] {
        for lifetime in [None, Some(ms(10_000))] {
            let (lan, hosts) = cut_off(outcomes, lifetime);
            let told = times(&lan, hosts[0], |what| matches!(what, What::Trouble(_)));
            let as_expected = times(&lan, hosts[0], |what| {
                trouble.is_some_and(|t| *what == What::Trouble(t))
            });
            assert_eq!(told, as_expected);
            assert_eq!(told.is_empty(), trouble.is_none(), "{}", lan.trace());
            let breaches = times(&lan, hosts[0], |what| matches!(what, What::Breach(_)));
            assert_eq!(
                breaches.len(),
                usize::from(trouble.is_some()),
                "{}",
                lan.trace()
            );
            let is_double = trouble.is_some() && lifetime.is_none();
            assert_eq!(!lan.overlaps().is_empty(), is_double, "{}", lan.trace());
            if let (Some(_), Some(breach), Some(_)) = (trouble, breaches.first(), lifetime) {
                // The kernel's work was done before the lease was over.
                let gone = times(&lan, hosts[0], |what| *what == What::Expired);
                assert!(gone[0] < *breach, "{gone:?} {breach:?}");
            }
        }
    }
}

/// A better claim moves the lease, and the addresses with it, without a moment of two.
#[test]
fn a_better_claim_takes_the_addresses_over() {
    let preempting = lease().with_preemption(ms(3600)).unwrap();
    for lifetime in [None, Some(ms(10_000))] {
        let (mut lan, hosts) = lan(Some(preempting), lifetime);
        for id in hosts {
            lan.set_pace(id, Step::Remove, Pace::between(ms(200), ms(200)));
        }
        lan.start(hosts[1]);
        lan.run_until(ms(15_000));
        assert_eq!(lan.holders(key(10)), &hosts[1..], "{}", lan.trace());
        lan.start(hosts[0]);
        lan.run_for(ms(20_000));
        assert_eq!(lan.holders(key(10)), &hosts[..1], "{}", lan.trace());
        assert_eq!(lan.overlaps(), []);
        // Within a renewal and a down interval, not at the end of a lease.
        let moved = lan
            .holdings()
            .iter()
            .find(|holding| holding.host == hosts[0]);
        assert!(
            moved.unwrap().from < ms(15_000 + 3600 + 2000 + 1000),
            "{moved:?}"
        );
    }
}

/// The same seed gives the same run, failures included.
#[test]
fn a_run_with_failures_can_be_repeated() {
    let run = || {
        let (mut lan, hosts) = lan(None, Some(ms(4000)));
        for step in [Step::Prepare, Step::Install, Step::Remove, Step::Settle] {
            let pace = Pace::between(ms(0), ms(900)).with_failures(300_000);
            lan.set_pace(hosts[0], step, pace);
        }
        for host in hosts {
            lan.start(host);
        }
        for _ in 0..5 {
            lan.run_for(ms(7000));
            lan.pause(hosts[0], ms(5000));
        }
        lan.trace().to_string()
    };
    assert_eq!(run(), run());
}
