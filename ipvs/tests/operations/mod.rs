//! Random operations on a small world, so that they meet: about half of what they name exists.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

pub(crate) mod malformed;

use core::net::IpAddr;

use lvs_ipvs::wire::attributes::command;
use lvs_ipvs::{
    Change, DaemonRole, Destination, DestinationKey, Encapsulation, EngineName, Family, Forwarding,
    InterfaceName, Persistence, PersistenceMask, Protocol, Query, Request, Scheduler, ServiceFlags,
    ServiceKey, SyncDaemon, Timeouts, TunnelFlags, TunnelType, VirtualService,
};
use malformed::Mutation;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Something to ask both kernels.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// A well-formed request, sensible or not.
    Request(Request),
    /// A request with its bytes changed.
    Malformed(Request, Mutation),
}

impl Operation {
    /// Name of the command, for the statistics.
    pub(crate) fn name(&self) -> &'static str {
        let Self::Request(request) = self else {
            return "malformed";
        };
        match request {
            Request::Change(change) => match change {
                Change::AddService(_) => "NEW_SERVICE",
                Change::SetService(_) => "SET_SERVICE",
                Change::RemoveService(_) => "DEL_SERVICE",
                Change::AddDestination(..) => "NEW_DEST",
                Change::SetDestination(..) => "SET_DEST",
                Change::RemoveDestination(..) => "DEL_DEST",
                Change::StartDaemon(_) => "NEW_DAEMON",
                Change::StopDaemon(_) => "DEL_DAEMON",
                Change::SetTimeouts(_) => "SET_CONFIG",
                Change::Zero(_) => "ZERO",
                Change::Flush => "FLUSH",
                other => panic!("{other:?}"),
            },
            Request::Query(Query::Service(_)) => "GET_SERVICE",
            Request::Query(other) => panic!("{other:?} is read after every step anyway"),
        }
    }
}

/// The numbers of commands that mutations choose from: all, and some that do not exist.
pub(crate) const COMMANDS: core::ops::RangeInclusive<u8> = 0..=command::FLUSH + 3;

fn addresses() -> impl Strategy<Value = IpAddr> {
    // Real servers first; then what is refused by its class, or is the host itself.
    let usual = select(vec![
        "10.0.0.1", "10.0.0.1", "10.0.0.2", "10.9.0.7", "fd00::1", "fd00::1",
    ]);
    let odd = select(vec![
        "224.0.0.1",
        "255.255.255.255",
        "0.0.0.0",
        "127.0.0.1",
        "10.9.0.1",
        "10.9.0.255",
        "10.9.0.0",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "ff02::1",
        "fd00:9::1",
    ]);
    prop_oneof![8 => usual, 1 => odd].prop_map(|text| text.parse().unwrap())
}

fn service_keys() -> impl Strategy<Value = ServiceKey> {
    let protocol = prop_oneof![
        12 => Just(Protocol::TCP),
        4 => Just(Protocol::UDP),
        1 => Just(Protocol::SCTP),
        1 => select(vec![0, 50, 300]).prop_map(Protocol::from_number),
    ];
    let virtual_address = select(vec!["192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8::1"])
        .prop_map(|text| {
            let address: IpAddr = text.parse().unwrap();
            address
        });
    let address = (protocol, virtual_address, select(vec![80, 80, 443, 0])).prop_map(
        |(protocol, address, port)| ServiceKey::Address {
            protocol,
            address,
            port,
        },
    );
    let family = select(vec![Family::Inet, Family::Inet6]);
    let mark = (family, select(vec![7, 7, 8, u32::MAX, 0]))
        .prop_map(|(family, mark)| ServiceKey::FirewallMark { family, mark });
    // Most operations are about four services, so that they meet.
    let usual = prop_oneof![
        9 => Just(ServiceKey::tcp(([192, 0, 2, 1], 80).into())),
        4 => Just(ServiceKey::tcp("[2001:db8::1]:80".parse().unwrap())),
        3 => Just(ServiceKey::firewall_mark(Family::Inet, 7)),
        2 => Just(ServiceKey::firewall_mark(Family::Inet6, 7)),
    ];
    prop_oneof![18 => usual, 4 => address, 2 => mark]
}

fn schedulers() -> impl Strategy<Value = Scheduler> {
    select(vec![
        "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh",
        "none", "nosuch",
    ])
    .prop_map(|name| name.parse().unwrap())
}

fn masks(family: Family) -> BoxedStrategy<PersistenceMask> {
    match family {
        Family::Inet => any::<u32>()
            .prop_map(|bits| PersistenceMask::Inet(bits.into()))
            .boxed(),
        Family::Inet6 => select(vec![1, 64, 128, 128, 0, 129, 128_u32.swap_bytes()])
            .prop_map(PersistenceMask::Inet6)
            .boxed(),
    }
}

fn services() -> impl Strategy<Value = VirtualService> {
    service_keys().prop_flat_map(|key| {
        let engines =
            prop_oneof![8 => Just(None), 1 => Just(Some("sip")), 1 => Just(Some("nosuch"))];
        let timeouts = select(vec![0, 1, 360, 2_678_400, 42_949_672, 42_949_673, u32::MAX]);
        let persistence = proptest::option::weighted(0.3, (timeouts, masks(key.family()), engines));
        // Named bits, and one without a name.
        let flags = select(vec![0, 0, 0, 0x04, 0x08, 0x18, 0x20, 0x40, 0x8000_0000]);
        (schedulers(), persistence, flags).prop_map(move |(scheduler, persistence, flags)| {
            let service = VirtualService::new(key)
                .with_scheduler(scheduler)
                .with_flags(ServiceFlags::from_bits_retain(flags));
            match persistence {
                None => service,
                Some((timeout, mask, engine)) => {
                    let mut persistence = Persistence::new(timeout).with_mask(mask);
                    persistence.engine = engine.and_then(EngineName::new);
                    service.with_persistence(persistence)
                }
            }
        })
    })
}

fn destination_keys() -> impl Strategy<Value = DestinationKey> {
    (addresses(), select(vec![80, 80, 80, 80, 80, 80, 8080, 0]))
        .prop_map(|(address, port)| DestinationKey { address, port })
}

fn destinations() -> impl Strategy<Value = Destination> {
    let forwarding = prop_oneof![
        4 => Just(Forwarding::Masquerade),
        4 => Just(Forwarding::Tunnel),
        2 => Just(Forwarding::DirectRoute),
        1 => (0_u32..8).prop_map(Forwarding::from_bits),
    ];
    let weight = prop_oneof![
        8 => 0_u32..5,
        1 => select(vec![65_535, i32::MAX.unsigned_abs(), 1 << 31, u32::MAX]),
    ];
    let threshold = || {
        prop_oneof![
            6 => Just(0),
            2 => 0_u32..10,
            1 => select(vec![i32::MAX.unsigned_abs(), 1 << 31, u32::MAX]),
        ]
    };
    let encapsulation = prop_oneof![
        6 => Just(Encapsulation::ipip()),
        1 => Just(Encapsulation::gue(6080)),
        1 => (select(vec![0_u8, 1, 2, 9]), select(vec![0_u16, 6080]), select(vec![0_u16, 1, 2, 77]))
            .prop_map(|(kind, port, flags)| Encapsulation {
                tunnel_type: TunnelType::from_number(kind),
                port,
                flags: TunnelFlags::from_bits_retain(flags),
            }),
    ];
    (
        destination_keys(),
        forwarding,
        weight,
        threshold(),
        threshold(),
        encapsulation,
    )
        .prop_map(|(key, forwarding, weight, lower, upper, encapsulation)| {
            Destination::new(key, forwarding)
                .with_weight(weight)
                .with_thresholds(lower, upper)
                .with_encapsulation(encapsulation)
        })
}

fn daemons() -> impl Strategy<Value = SyncDaemon> {
    let groups = select(vec![
        None,
        None,
        Some("224.0.0.99"),
        Some("10.0.0.1"),
        Some("ff02::77"),
    ]);
    let interfaces = prop_oneof![6 => Just("d0"), 1 => Just("nosuch0")];
    (
        select(vec![DaemonRole::Active, DaemonRole::Backup]),
        interfaces,
        select(vec![0, 7, 255, 300]),
        groups,
        proptest::option::of(select(vec![8848_u16, 9000])),
        proptest::option::of(select(vec![1_u8, 255])),
        proptest::option::of(select(vec![10_u16, 1000, 1400])),
    )
        .prop_map(|(role, interface, sync_id, group, port, ttl, max_length)| {
            let interface = InterfaceName::new(interface).unwrap();
            let mut daemon = SyncDaemon::new(role, interface, 0);
            daemon.sync_id = sync_id;
            daemon.group = group.map(|text| text.parse().unwrap());
            (daemon.port, daemon.ttl, daemon.max_length) = (port, ttl, max_length);
            daemon
        })
}

fn timeouts() -> impl Strategy<Value = Timeouts> {
    // The limit is (2³¹-1)/HZ: 21474836 at HZ=100.
    let value = || {
        let numbers = select(vec![0, 1, 900, 21_474_836, 21_474_837, 1 << 31, u32::MAX]);
        proptest::option::weighted(0.4, numbers)
    };
    (value(), value(), value()).prop_map(|(tcp_secs, tcp_fin_secs, udp_secs)| Timeouts {
        tcp_secs,
        tcp_fin_secs,
        udp_secs,
    })
}

fn requests() -> impl Strategy<Value = Request> {
    let change = prop_oneof![
        14 => services().prop_map(Change::AddService),
        8 => services().prop_map(Change::SetService),
        3 => service_keys().prop_map(Change::RemoveService),
        26 => (service_keys(), destinations()).prop_map(|(s, d)| Change::AddDestination(s, d)),
        12 => (service_keys(), destinations()).prop_map(|(s, d)| Change::SetDestination(s, d)),
        8 => (service_keys(), destination_keys())
            .prop_map(|(s, d)| Change::RemoveDestination(s, d)),
        3 => daemons().prop_map(Change::StartDaemon),
        2 => select(vec![DaemonRole::Active, DaemonRole::Backup]).prop_map(Change::StopDaemon),
        5 => timeouts().prop_map(Change::SetTimeouts),
        4 => proptest::option::of(service_keys()).prop_map(Change::Zero),
        1 => Just(Change::Flush),
    ];
    prop_oneof![
        30 => change.prop_map(Request::Change),
        3 => service_keys().prop_map(|key| Request::Query(Query::Service(key))),
    ]
}

/// One operation; one in eight with its bytes changed.
fn operations() -> impl Strategy<Value = Operation> {
    prop_oneof![
        7 => requests().prop_map(Operation::Request),
        1 => (requests(), malformed::mutations())
            .prop_map(|(request, mutation)| Operation::Malformed(request, mutation)),
    ]
}

/// A sequence: the usual services first, then whatever comes.
pub(crate) fn sequences() -> impl Strategy<Value = Vec<Operation>> {
    let usual = [
        VirtualService::new(ServiceKey::tcp(([192, 0, 2, 1], 80).into())),
        VirtualService::new(ServiceKey::tcp("[2001:db8::1]:80".parse().unwrap())),
        VirtualService::firewall_mark(Family::Inet, 7),
        VirtualService::firewall_mark(Family::Inet6, 7),
    ];
    vec(operations(), 30..60).prop_map(move |operations| {
        let first = usual.iter().cloned().map(|service| {
            Operation::Request(Change::AddService(service.with_scheduler(Scheduler::Rr)).into())
        });
        first.chain(operations).collect()
    })
}
