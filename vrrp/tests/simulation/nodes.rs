//! Nodes on a simulated network: several routers of a host that move together.

use lvs_vrrp::event::ShutdownMode;
use lvs_vrrp::group::{GroupConfig, GroupId};
use lvs_vrrp::lease::{LeaseConfig, MemoryStore};
use lvs_vrrp::node::{InterfaceConfig, NodeConfig, NodeRouter, RouterId, Settings};
use lvs_vrrp::sim::{Lan, Link, NodeHost, Pace, Random, RouterKey, Step};
use lvs_vrrp::{
    AddressList, Family, InterfaceIndex, MacAddress, Priority, RouterConfig, State, Vrid,
};

use crate::ms;

pub(crate) const LAN: InterfaceIndex = InterfaceIndex::new(2);
const GROUP: GroupId = GroupId::new(1);
pub(crate) const ROUTERS: [u8; 2] = [10, 20];

pub(crate) fn key(vrid: u8) -> RouterKey {
    RouterKey {
        family: Family::Ipv4,
        vrid: Vrid::new(vrid).unwrap(),
    }
}

/// Two routers in a group, of these priorities; with a lease if there is one.
pub(crate) fn host(index: u8, priorities: [u8; 2], lease: Option<LeaseConfig>) -> NodeHost {
    let mac = MacAddress::new([2, 0, 0, 0, 0, index]);
    let source = [192, 0, 2, index + 1].into();
    let mut settings = Settings::default();
    settings.install_retry = ms(2000);
    settings.remove_bound = ms(300);
    let interface = InterfaceConfig::new(mac).up([source]);
    let config = NodeConfig::new().with_settings(settings);
    let mut config = config.with_interface(LAN, interface);
    for (vrid, priority) in ROUTERS.into_iter().zip(priorities) {
        let addresses = AddressList::new([[198, 51, 100, vrid].into()]).unwrap();
        let router = RouterConfig::new(key(vrid).vrid, addresses);
        let router = router.with_priority(Priority::new(priority));
        config = config.with_router(RouterId::new(vrid.into()), NodeRouter::new(LAN, router));
    }
    let mut group = GroupConfig::new(ROUTERS.map(|vrid| RouterId::new(vrid.into())));
    if let Some(lease) = &lease {
        group = group.with_guard(lease.request_timeout());
    }
    let host = NodeHost::new(config.with_group(GROUP, group), LAN).unwrap();
    match lease {
        Some(lease) => host.with_lease(GROUP, RouterId::new(10), lease, index.into()),
        None => host,
    }
}

fn states(lan: &Lan<NodeHost>, host: lvs_vrrp::sim::HostId) -> [State; 2] {
    let node = lan.host(host).unwrap().node();
    ROUTERS.map(|vrid| node.state(RouterId::new(vrid.into())).unwrap())
}

/// `VRRP-214`: whatever happens, after each step all of a group are in one state.
#[test]
fn members_of_a_group_change_together_on_a_bad_network() {
    for seed in 0..20 {
        let mut lan = Lan::new(seed);
        let link = Link::default().with_delay(ms(1)).with_jitter(ms(50));
        lan.set_link(link.with_loss(300_000));
        let hosts = [[200, 150], [100, 160]];
        let hosts = [0, 1].map(|index| lan.add(host(index, hosts[usize::from(index)], None)));
        for id in hosts {
            lan.start(id);
        }
        let mut random = Random::new(seed);
        for _ in 0..200 {
            lan.run_for(random.up_to(ms(300)));
            for id in hosts {
                let [one, other] = states(&lan, id);
                assert_eq!(
                    one,
                    other,
                    "seed {seed} at {:?}\n{}",
                    lan.now(),
                    lan.trace()
                );
            }
        }
        lan.set_link(link);
        lan.run_for(ms(20_000));
        let active = hosts.map(|id| states(&lan, id) == [State::Active; 2]);
        assert_eq!(
            active.iter().filter(|is| **is).count(),
            1,
            "{}",
            lan.trace()
        );
    }
}

/// `VRRP-216`, through the jobs of a node: cuts, crashes, pauses within the bound, removals as slow as
/// declared.
#[test]
fn with_a_lease_of_the_group_addresses_are_never_in_two_places() {
    let (removal, delay) = (ms(300), ms(500));
    let lease = LeaseConfig::new(ms(4000), removal, delay).unwrap();
    let mut without = 0;
    for seed in 0..300 {
        for guard in [Some(lease), None] {
            let mut random = Random::new(seed);
            let mut lan = Lan::new(seed);
            lan.add_store(MemoryStore::new().with_clock_rate_ppm(490));
            lan.set_store_link(Link::default().with_jitter(ms(100)).with_loss(50_000));
            let hosts = [0, 1].map(|index| {
                let priority = [200, 100][usize::from(index)];
                let id = lan.add(host(index, [priority; 2], guard));
                lan.set_pace(id, Step::Remove, Pace::between(removal, removal));
                lan.start(id);
                id
            });
            lan.run_for(ms(6000));
            let served = ROUTERS.map(|vrid| lan.holders(key(vrid)).len());
            assert_eq!(served, [1, 1], "seed {seed}\n{}", lan.trace());
            for _ in 0..6 {
                let one = hosts[usize::from(random.happens(500_000))];
                match random.below(5) {
                    0 => lan.partition(&[one]),
                    1 => lan.cut_from_stores(one),
                    2 => lan.pause(one, random.up_to(delay)),
                    3 => lan.crash(one),
                    _ => lan.mend(),
                }
                lan.run_for(ms(1000) + random.up_to(ms(5000)));
                lan.start(one);
            }
            if guard.is_some() {
                assert_eq!(lan.overlaps(), [], "seed {seed}\n{}", lan.trace());
            } else {
                without += usize::from(!lan.overlaps().is_empty());
            }
        }
    }
    assert!(without > 100, "{without}");
}

/// Spec 2.8, invariant 9: the owner advertises from a virtual address, which the other one has
/// installed while it was away.
#[test]
fn an_owner_that_returns_gets_its_addresses_back() {
    let mut lan = Lan::new(5);
    lan.set_link(Link::default().with_delay(ms(1)));
    let address = [198, 51, 100, 10].into();
    let hosts = [true, false].map(|is_owner| {
        let router = RouterConfig::new(key(10).vrid, AddressList::new([address]).unwrap());
        let (router, own) = if is_owner {
            (router.as_owner(), address)
        } else {
            (router, [198, 51, 100, 2].into())
        };
        let mac = MacAddress::new([2, 0, 0, 0, 0, u8::from(is_owner)]);
        let config = NodeConfig::new()
            .with_interface(LAN, InterfaceConfig::new(mac).up([own]))
            .with_router(RouterId::new(10), NodeRouter::new(LAN, router));
        lan.add(NodeHost::new(config, LAN).unwrap())
    });
    lan.start(hosts[1]);
    lan.run_until(ms(10_000));
    assert_eq!(lan.holders(key(10)), [hosts[1]]);
    lan.start(hosts[0]);
    lan.run_until(ms(20_000));
    assert_eq!(lan.holders(key(10)), [hosts[0]], "{}", lan.trace());
    lan.stop(hosts[0], ShutdownMode::Graceful);
    lan.run_until(ms(30_000));
    assert_eq!(lan.holders(key(10)), [hosts[1]], "{}", lan.trace());
}
