//! The text format on tables of all kinds: what is written is read again.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lvs_ipvs::{
    Destination, DestinationKey, Encapsulation, Family, Forwarding, Persistence, PersistenceMask,
    Protocol, Scheduler, ServiceFlags, ServiceKey, Snapshot, Table, TunnelFlags, VirtualService,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Few addresses, so that sorting has something to do, in three clusters that form a ring in
/// ipvsadm's order; and some that are written in a form of their own.
fn address(family: Family) -> BoxedStrategy<IpAddr> {
    let cluster = select(vec![0x0500_0000_u32, 0x5a00_0000, 0xb000_0000]);
    match family {
        Family::Inet => (cluster, 1..4_u32)
            .prop_map(|(high, low)| IpAddr::V4(Ipv4Addr::from_bits(high | low)))
            .boxed(),
        Family::Inet6 => {
            let plain = (cluster, 0..3_u128, 1..4_u128).prop_map(|(high, middle, low)| {
                let bits = u128::from(high) << 96 | middle << 63 | low;
                IpAddr::V6(Ipv6Addr::from_bits(bits))
            });
            let special = ["::1.2.3.4", "::ffff:1.2.3.4", "::5:0:1", "1:0:0:2::"];
            let special = select(special.map(|text| text.parse().unwrap()).to_vec());
            prop_oneof![4 => plain, 1 => special.prop_map(IpAddr::V6)].boxed()
        }
    }
}

fn family() -> impl Strategy<Value = Family> {
    select(vec![Family::Inet, Family::Inet6])
}

fn key() -> impl Strategy<Value = ServiceKey> {
    let marks = vec![1, 2, 5, 0x7fff_ffff, 0x8000_0000, 0x8000_0005, u32::MAX];
    let mark = (family(), select(marks))
        .prop_map(|(family, mark)| ServiceKey::firewall_mark(family, mark));
    let protocols = vec![Protocol::TCP, Protocol::UDP, Protocol::SCTP];
    let address = (select(protocols), family().prop_flat_map(address), 1..4_u16).prop_map(
        |(protocol, address, port)| ServiceKey::Address {
            protocol,
            address,
            port,
        },
    );
    prop_oneof![1 => mark, 3 => address]
}

fn mask(family: Family) -> BoxedStrategy<PersistenceMask> {
    match family {
        Family::Inet => (0..=32_u32)
            .prop_map(|length| u32::MAX.checked_shl(32 - length).unwrap_or(0))
            .prop_map(|mask| PersistenceMask::Inet(Ipv4Addr::from_bits(mask)))
            .boxed(),
        Family::Inet6 => (1..=128_u32).prop_map(PersistenceMask::Inet6).boxed(),
    }
}

fn service() -> impl Strategy<Value = VirtualService> {
    let schedulers = ["rr", "wlc", "sh", "mh", "fancy"].map(|name| name.parse().unwrap());
    (key(), select(schedulers.to_vec()), 0..8_u32, any::<bool>()).prop_flat_map(
        |(key, scheduler, flags, one_packet): (_, Scheduler, _, _)| {
            let persistence = (1..=2_678_400_u32, option::of(mask(key.family())), any::<bool>());
            option::of(persistence).prop_map(move |persistence| {
                let mut flags = ServiceFlags::from_bits_retain(flags << 3);
                flags.set(
                    ServiceFlags::ONE_PACKET,
                    one_packet && !matches!(key, ServiceKey::Address { protocol, .. } if protocol != Protocol::UDP),
                );
                let service = VirtualService::new(key)
                    .with_scheduler(scheduler)
                    .with_flags(flags);
                match persistence {
                    None => service,
                    Some((timeout, mask, engine)) => {
                        let mut persistence = Persistence::new(timeout);
                        persistence.mask = mask;
                        persistence.engine = engine.then(|| "sip".parse().unwrap());
                        service.with_persistence(persistence)
                    }
                }
            })
        },
    )
}

/// As ipvsadm takes them: only tunnels cross families, and only masquerading and marks have ports
/// of their own.
fn destination(service: ServiceKey) -> impl Strategy<Value = Destination> {
    let encapsulations = vec![
        Encapsulation::ipip(),
        Encapsulation::gue(6080),
        Encapsulation::gue(1).with_flags(TunnelFlags::CHECKSUM),
        Encapsulation::gue(65535).with_flags(TunnelFlags::REMOTE_CHECKSUM),
        Encapsulation::gre(),
        Encapsulation::gre().with_flags(TunnelFlags::CHECKSUM),
    ];
    let forwarding = vec![
        Forwarding::Masquerade,
        Forwarding::DirectRoute,
        Forwarding::Tunnel,
    ];
    let settings = (0..=0x7fff_ffff_u32, option::of((0..50_u32, 50..100_u32)));
    (
        family(),
        select(forwarding),
        select(encapsulations),
        0..4_u16,
        settings,
    )
        .prop_flat_map(
            move |(family, forwarding, encapsulation, port, (weight, thresholds))| {
                let family = match forwarding {
                    Forwarding::Tunnel => family,
                    _ => service.family(),
                };
                address(family).prop_map(move |address| {
                    let port = match (forwarding, service.port()) {
                        (Forwarding::Masquerade, _) | (_, None) => port,
                        (_, Some(port)) => port,
                    };
                    let mut destination =
                        Destination::new(DestinationKey { address, port }, forwarding)
                            .with_weight(weight);
                    if forwarding == Forwarding::Tunnel {
                        destination = destination.with_encapsulation(encapsulation);
                    }
                    if let Some((lower, upper)) = thresholds {
                        destination = destination.with_thresholds(lower, upper);
                    }
                    destination
                })
            },
        )
}

fn table() -> impl Strategy<Value = Table> {
    let entry = service().prop_flat_map(|service| {
        let destinations = vec(destination(service.key()), 0..6);
        (Just(service), destinations)
    });
    vec(entry, 0..8).prop_map(|entries| {
        let mut table = Table::new();
        for (service, destinations) in entries {
            table.insert(service, destinations);
        }
        table
    })
}

/// Whether `ipvsadm -S` writes the service so that it can be loaded.
fn is_loadable(service: &VirtualService) -> bool {
    let third = service.flags().contains(ServiceFlags::SCHED_3)
        && matches!(service.scheduler(), Scheduler::Sh | Scheduler::Mh);
    let mark = match service.key() {
        ServiceKey::FirewallMark { mark, .. } => mark,
        ServiceKey::Address { .. } => 0,
    };
    !third && mark < 0x8000_0000
}

proptest! {
    #[test]
    fn lossless_text_is_the_table(table in table()) {
        let text = table.text().lossless().to_string();
        let read: Table = text.parse().unwrap();
        prop_assert_eq!(read, table, "{}", text);
    }

    #[test]
    fn plain_text_loses_thresholds_and_order_only(table in table()) {
        let services = table.services().filter(|entry| is_loadable(&entry.service));
        let mut expected = Table::new();
        for entry in services {
            let destinations = entry.destinations.iter().cloned();
            expected.insert(
                entry.service.clone(),
                destinations.map(|destination| destination.with_thresholds(0, 0)),
            );
        }
        let read: Table = expected.to_string().parse().unwrap();
        prop_assert_eq!(read.len(), expected.len());
        for (read, expected) in read.services().zip(expected.services()) {
            prop_assert_eq!(&read.service, &expected.service);
            let sorted = |destinations: &[Destination]| {
                let mut destinations = destinations.to_vec();
                destinations.sort_by_key(Destination::key);
                destinations
            };
            prop_assert_eq!(sorted(&read.destinations), sorted(&expected.destinations));
        }
    }

    #[test]
    fn a_snapshot_and_its_table_have_the_same_rules(table in table()) {
        let lines = |text: String| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let snapshot = Snapshot::from(&table);
        prop_assert_eq!(snapshot.text().to_string(), table.to_string());
        // Whatever the order of the services and the style, each rule is there once.
        let mut reversed = snapshot;
        reversed.services.reverse();
        prop_assert_eq!(lines(reversed.text().to_string()), lines(table.to_string()));
        let count = table.services().map(|entry| entry.destinations.len() + 1).sum::<usize>();
        prop_assert_eq!(table.text().lossless().to_string().lines().count(), count);
    }
}
