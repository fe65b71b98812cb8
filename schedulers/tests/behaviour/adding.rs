//! Many destinations added at once come to the same as added one after the other.

use core::net::SocketAddr;
use core::time::Duration;

use lvs_schedulers::{
    Algorithm, Context, Destination, Error, Flow, SchedulerFlags, Semantics, VirtualService,
};
use proptest::prelude::*;

use crate::support::{self, address};

fn server(number: u32, weight: u32) -> Destination {
    let [_, b, c, d] = number.to_be_bytes();
    Destination::new(([10, b, c, d], 80).into()).with_weight(weight)
}

fn picks(service: &mut VirtualService) -> Vec<Option<SocketAddr>> {
    let mut draw = |highest| highest / 2;
    let mut context = Context::new(Duration::ZERO).with_draw(&mut draw);
    (0..80_u8)
        .map(|client| {
            let client = ([192, 0, 2, client], 40_000).into();
            let virtual_address = ([198, 51, 100, client_net(client)], 80).into();
            let connection = service.connect(&Flow::tcp(client, virtual_address), &mut context)?;
            Some(service.destination_of(connection)?.address())
        })
        .collect()
}

/// lblc, lblcr and dh look at where the client sends to.
fn client_net(client: SocketAddr) -> u8 {
    u8::try_from(client.port() % 7).unwrap() + u8::from(client.ip().to_string().len() > 10)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// 251 slots are fewer than some lists have destinations: mh keeps an old table then.
    #[test]
    fn at_once_and_one_by_one_give_the_same_picks(
        algorithm in prop::sample::select(Algorithm::ALL),
        weights in prop::collection::vec(0_u32..6, 0..300),
        cut in any::<prop::sample::Index>(),
        fallback in any::<bool>(),
    ) {
        let mut semantics = Semantics::LINUX_6_1;
        semantics.mh_table_index = 8;
        semantics.sh_table_bits = 6;
        let flags = if fallback { SchedulerFlags::NONE.with_fallback() } else { SchedulerFlags::NONE };
        let service = || VirtualService::new(algorithm, semantics).with_flags(flags);
        let servers: Vec<_> = (0..).zip(&weights).map(|(n, &weight)| server(n, weight)).collect();

        let mut one_by_one = service();
        let ids: Vec<_> = servers.iter().map(|&it| one_by_one.add(it).unwrap()).collect();
        let (first, second) = servers.split_at(cut.index(servers.len() + 1));
        let mut at_once = service();
        let mut names = at_once.add_all(first.iter().copied()).unwrap();
        names.extend(at_once.add_all(second.iter().copied()).unwrap());
        prop_assert_eq!(names, ids);
        prop_assert_eq!(picks(&mut at_once), picks(&mut one_by_one));
    }
}

#[test]
fn what_comes_before_a_refused_destination_is_added() {
    let mut service = VirtualService::new(Algorithm::Sh, Semantics::LINUX_6_1);
    let servers = [('A', 1), ('B', 1), ('A', 2), ('C', 1)]
        .map(|(name, weight)| Destination::new(address(name)).with_weight(weight));
    let refused = service.add_all(servers).unwrap_err();
    assert_eq!(
        refused,
        Error::Exists {
            address: address('A')
        }
    );
    let names: Vec<_> = service.destinations().map(support::name).collect();
    assert_eq!(names, ['B', 'A']);
    assert!(
        picks(&mut service).iter().all(Option::is_some),
        "the table was filled"
    );

    let heavy = Destination::new(address('D')).with_weight(u32::MAX);
    assert!(matches!(
        service.add_all([heavy]),
        Err(Error::Weight { .. })
    ));
    assert_eq!(service.destinations().count(), 2);
}

/// The kernel's table knows neither scope nor flow label.
#[test]
fn an_ipv6_address_is_the_same_with_and_without_scope() {
    let mut service = VirtualService::new(Algorithm::Rr, Semantics::LINUX_6_1);
    let plain = "[fe80::1]:80".parse().unwrap();
    let scoped: SocketAddr = "[fe80::1%3]:80".parse().unwrap();
    let id = service.add(Destination::new(scoped)).unwrap();
    assert_eq!(
        service.add(Destination::new(plain)),
        Err(Error::Exists { address: plain })
    );
    assert_eq!(
        service
            .destination_at(scoped)
            .map(|it| (it.id(), it.address())),
        Some((id, plain))
    );
    service.remove(scoped).unwrap();
    assert_eq!(service.add(Destination::new(plain)), Ok(id));
}
