//! Changes and keys are the same after they were written and read again, and what cannot be read
//! is told with its place. Tables are written and read in `text_properties.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::net::{IpAddr, Ipv4Addr};

use lvs_ipvs::{
    Change, DaemonRole, Destination, DestinationKey, Encapsulation, Family, Forwarding,
    Persistence, PersistenceMask, Protocol, Scheduler, ServiceFlags, ServiceKey, SyncDaemon, Table,
    Timeouts, TunnelFlags, VirtualService,
};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn any_address() -> impl Strategy<Value = IpAddr> {
    // Few enough that destinations and services collide now and then.
    prop_oneof![
        (0..4_u8).prop_map(|host| IpAddr::from([10, 0, 0, host])),
        (0..4_u16).prop_map(|host| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, host])),
        any::<IpAddr>(),
    ]
}

fn any_port() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0), Just(80), any::<u16>()]
}

fn any_key() -> impl Strategy<Value = ServiceKey> {
    let protocol = select(vec![Protocol::TCP, Protocol::UDP, Protocol::SCTP]);
    let family = select(vec![Family::Inet, Family::Inet6]);
    prop_oneof![
        3 => (protocol, any_address(), any_port()).prop_map(|(protocol, address, port)| {
            ServiceKey::Address { protocol, address, port }
        }),
        1 => (family, prop_oneof![1..4_u32, 1..=u32::MAX])
            .prop_map(|(family, mark)| ServiceKey::firewall_mark(family, mark)),
    ]
}

fn any_scheduler() -> impl Strategy<Value = Scheduler> {
    let names = vec![
        "rr",
        "wlc",
        "sh",
        "mh",
        "none",
        "twos",
        "fancy",
        "fifteen-letters",
    ];
    select(names).prop_map(|name| name.parse().unwrap())
}

fn any_persistence(family: Family) -> BoxedStrategy<Persistence> {
    let mask = match family {
        Family::Inet => (0..=32_u32)
            .prop_map(|bits| !u32::MAX.checked_shr(bits).unwrap_or(0))
            .prop_map(|bits| PersistenceMask::Inet(Ipv4Addr::from_bits(bits)))
            .boxed(),
        Family::Inet6 => (1..=128_u32).prop_map(PersistenceMask::Inet6).boxed(),
    };
    (1..=2_678_400_u32, option::of(mask), any::<bool>())
        .prop_map(|(secs, mask, engine)| {
            let mut persistence = Persistence::new(secs);
            persistence.mask = mask;
            persistence.engine = engine.then(|| "sip".parse().unwrap());
            persistence
        })
        .boxed()
}

fn any_service() -> impl Strategy<Value = VirtualService> {
    any_key().prop_flat_map(|key| {
        let must_persist = key.port() == Some(0);
        let persistence = any_persistence(key.family());
        let flags = any::<[bool; 4]>();
        (
            any_scheduler(),
            option::of(persistence.clone()),
            persistence,
            flags,
        )
            .prop_map(
                move |(scheduler, maybe, always, [first, second, third, one_packet])| {
                    let may_ops = !matches!(key, ServiceKey::Address { protocol, .. }
                    if protocol != Protocol::UDP);
                    let mut flags = ServiceFlags::empty();
                    for (flag, on) in [
                        (ServiceFlags::SCHED_1, first),
                        (ServiceFlags::SCHED_2, second),
                        (ServiceFlags::SCHED_3, third),
                        (ServiceFlags::ONE_PACKET, one_packet && may_ops),
                    ] {
                        flags.set(flag, on);
                    }
                    let service = VirtualService::new(key)
                        .with_scheduler(scheduler)
                        .with_flags(flags);
                    match maybe.or_else(|| must_persist.then_some(always)) {
                        Some(persistence) => service.with_persistence(persistence),
                        None => service,
                    }
                },
            )
    })
}

/// Destinations that can be said: others than masqueraded ones get the port of the service.
fn any_destination(service: ServiceKey) -> impl Strategy<Value = Destination> {
    let tunnel = prop_oneof![
        Just(Encapsulation::ipip()),
        Just(Encapsulation::gre()),
        Just(Encapsulation::gre().with_flags(TunnelFlags::CHECKSUM)),
        (1..=u16::MAX).prop_map(Encapsulation::gue),
        (1..=u16::MAX)
            .prop_map(|port| Encapsulation::gue(port).with_flags(TunnelFlags::REMOTE_CHECKSUM)),
    ];
    let same_family = any_address().prop_filter("family", move |address| {
        Family::of(*address) == service.family()
    });
    let numbers = (
        0..=2_147_483_647_u32,
        prop_oneof![Just(0), 0..=2_147_483_647_u32],
    );
    (
        0..3_u8,
        same_family,
        any_address(),
        any_port(),
        tunnel,
        numbers,
        0..100_u32,
    )
        .prop_map(
            move |(method, same_family, any_family, port, tunnel, (weight, upper), lower)| {
                let forwarding = match method {
                    0 => Forwarding::Masquerade,
                    1 => Forwarding::DirectRoute,
                    _ => Forwarding::Tunnel,
                };
                let (address, port) = match forwarding {
                    Forwarding::Masquerade => (same_family, port),
                    Forwarding::DirectRoute => (same_family, service.port().unwrap_or(port)),
                    _ => (any_family, service.port().unwrap_or(port)),
                };
                let destination = Destination::new(DestinationKey { address, port }, forwarding)
                    .with_weight(weight)
                    .with_thresholds(lower.min(upper), upper);
                if forwarding == Forwarding::Tunnel {
                    destination.with_encapsulation(tunnel)
                } else {
                    destination
                }
            },
        )
}

fn any_daemon() -> impl Strategy<Value = SyncDaemon> {
    let role = select(vec![DaemonRole::Active, DaemonRole::Backup]);
    let group = prop_oneof![
        any::<u8>().prop_map(|last| IpAddr::from([224, 0, 0, last])),
        any::<u16>().prop_map(|last| IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, last])),
    ];
    let rest = (
        option::of(1..=65_507_u16),
        option::of(group),
        option::of(1..=u16::MAX),
        option::of(1..=u8::MAX),
    );
    (role, any::<u8>(), rest).prop_map(|(role, id, (length, group, port, ttl))| {
        let mut daemon = SyncDaemon::new(role, "eth0.100".parse().unwrap(), id);
        daemon.max_length = length;
        daemon.group = group;
        daemon.port = port;
        daemon.ttl = ttl;
        daemon
    })
}

fn any_change() -> impl Strategy<Value = Change> {
    let with_destination = || any_key().prop_flat_map(|key| (Just(key), any_destination(key)));
    let key_of_server =
        (any_address(), any_port()).prop_map(|(address, port)| DestinationKey { address, port });
    let seconds = || (0..=2_678_400_u32).prop_map(Some);
    prop_oneof![
        any_service().prop_map(Change::AddService),
        any_service().prop_map(Change::SetService),
        any_key().prop_map(Change::RemoveService),
        with_destination().prop_map(|(key, server)| Change::AddDestination(key, server)),
        with_destination().prop_map(|(key, server)| Change::SetDestination(key, server)),
        (any_key(), key_of_server).prop_map(|(key, server)| Change::RemoveDestination(key, server)),
        any_daemon().prop_map(Change::StartDaemon),
        select(vec![DaemonRole::Active, DaemonRole::Backup]).prop_map(Change::StopDaemon),
        (seconds(), seconds(), seconds()).prop_map(|(tcp_secs, tcp_fin_secs, udp_secs)| {
            Change::SetTimeouts(Timeouts {
                tcp_secs,
                tcp_fin_secs,
                udp_secs,
            })
        }),
        option::of(any_key()).prop_map(Change::Zero),
        Just(Change::Flush),
    ]
}

proptest! {
    #[test]
    fn changes_are_read_as_they_are_printed(change in any_change()) {
        let text = change.to_string();
        prop_assert_eq!(text.parse::<Change>(), Ok(change.clone()), "{}", text);
        let bare = text.strip_prefix("ipvsadm ").unwrap();
        prop_assert_eq!(bare.parse::<Change>(), Ok(change));
    }

    #[test]
    fn keys_are_read_as_they_are_printed(key in any_key()) {
        prop_assert_eq!(key.to_string().parse(), Ok(key));
    }
}

/// The line, and what is said about it.
#[test]
fn errors_name_line_option_value_and_limit() {
    let service = "-A -t 192.0.2.10:80\n";
    for (rest, message) in [
        (
            "-a -t 192.0.2.10:80 -r 10.0.0.300:80",
            "line 2: -r `10.0.0.300:80`: must be ADDRESS, ADDRESS:PORT or [IPV6]:PORT, with names \
             that can be found",
        ),
        (
            "\n# x\n-A -t 192.0.2.10:80 -s rr",
            "line 4: service TCP 192.0.2.10:80 is there already",
        ),
        (
            "-a -t 192.0.2.10:80 -r 10.0.0.1\n-a -t 192.0.2.10:80 -r 10.0.0.1 -m",
            "line 3: service TCP 192.0.2.10:80 has destination 10.0.0.1:80 already",
        ),
        (
            "-a -t 192.0.2.10:81 -r 10.0.0.1",
            "line 2: no line before adds service TCP 192.0.2.10:81",
        ),
        (
            "-D -t 192.0.2.10:80",
            "line 2: -D does not belong in a table; -A and -a do",
        ),
        (
            "--set 1 2 3",
            "line 2: --set does not belong in a table; -A and -a do",
        ),
        ("-L -n", "line 2: `-L`: unknown option"),
        (
            "-t 192.0.2.10:80",
            "line 2: the first option must be a command such as -A, not `-t`",
        ),
        (
            "x",
            "line 2: the first option must be a command such as -A, not `x`",
        ),
        (
            "-A -t 192.0.2.11:http",
            "line 2: -t `192.0.2.11:http`: must be ADDRESS, ADDRESS:PORT or [IPV6]:PORT, with \
             names that can be found",
        ),
        (
            "-A -f -1",
            "line 2: -f `-1`: must be a mark from 1 to 4294967295",
        ),
    ] {
        let error = format!("{service}{rest}").parse::<Table>().unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

/// As `ipvsadm -R` does.
#[test]
fn ports_of_direct_routes_are_those_of_the_service() {
    let table: Table = "-A -t 192.0.2.10:80\n-a -t 192.0.2.10:80 -r 10.0.0.1:8080 -g"
        .parse()
        .unwrap();
    assert_eq!(
        table.to_string(),
        "-A -t 192.0.2.10:80 -s wlc\n-a -t 192.0.2.10:80 -r 10.0.0.1:80 -g -w 1\n"
    );
}
