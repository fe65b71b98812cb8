//! Random scenarios: written and read again, played back.

use core::net::SocketAddr;
use core::time::Duration;

use lvs_schedulers::scenario::{Change, Event, Scenario, Server, Target};
use lvs_schedulers::{
    AddressHash, Algorithm, CacheLimit, Destination, MhWord, Overhead, Persistence,
    PersistenceMask, Protocol, SchedulerFlags, Semantics, TcpActive, TemplateThresholds,
    ThresholdEdits,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::fuzzed;

fn address(ipv6: bool) -> impl Strategy<Value = SocketAddr> {
    (0..6_u8, 0..3_u16).prop_map(move |(host, port)| {
        if ipv6 {
            (
                core::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host.into()),
                port,
            )
                .into()
        } else {
            ([10, 0, 0, host], port).into()
        }
    })
}

fn weight() -> impl Strategy<Value = u32> {
    prop_oneof![0..9_u32, Just(Destination::MAX_WEIGHT), 0..400_u32]
}

fn server(ipv6: bool) -> impl Strategy<Value = Server> {
    let thresholds = prop_oneof![Just((0, 0)), (0..9_u32, 0..9_u32)];
    (0..6_u32, address(ipv6), weight(), thresholds).prop_map(
        |(id, address, weight, (upper, lower))| {
            let destination = Destination::new(address)
                .with_weight(weight)
                .with_thresholds(upper, lower);
            Server::new(id, destination)
        },
    )
}

fn change(ipv6: bool) -> impl Strategy<Value = Change> {
    let given = (
        option::of(address(ipv6)),
        option::of(weight()),
        option::of(0..9_u32),
        option::of(0..9_u32),
    );
    (0..6_u32, given).prop_map(|(id, (address, weight, upper, lower))| {
        let mut change = Change::new(id);
        if let Some(address) = address {
            change = change.with_address(address);
        }
        if let Some(weight) = weight {
            change = change.with_weight(weight);
        }
        if let Some(upper) = upper {
            change = change.with_upper(upper);
        }
        if let Some(lower) = lower {
            change = change.with_lower(lower);
        }
        change
    })
}

fn event(mark: bool, ipv6: bool) -> impl Strategy<Value = Event> {
    let to = address(ipv6).prop_map(move |to| mark.then_some(to));
    prop_oneof![
        6 => (address(ipv6), to).prop_map(|(client, to)| Event::Flow { client, to }),
        1 => (0..9_usize).prop_map(|flow| Event::Establish { flow }),
        1 => (0..9_usize).prop_map(|flow| Event::Close { flow }),
        1 => (0..9_usize).prop_map(|flow| Event::Expire { flow }),
        1 => change(ipv6).prop_map(Event::Add),
        1 => change(ipv6).prop_map(Event::Edit),
        1 => (0..6_u32).prop_map(|id| Event::Remove { id }),
        1 => (0..=Event::MAX_ADVANCE.as_secs(), 0..1_000_000_000_u32)
            .prop_map(|(seconds, nanos)| Event::Advance { by: Duration::new(seconds, nanos) }),
    ]
}

fn semantics() -> impl Strategy<Value = Semantics> {
    let switches = (
        select(vec![
            ThresholdEdits::ClearOnRaise,
            ThresholdEdits::Recompute,
        ]),
        select(vec![
            TemplateThresholds::Evaluate,
            TemplateThresholds::Ignore,
        ]),
        select(vec![Overhead::ActiveAndInactive, Overhead::ActiveAndTotal]),
        select(vec![AddressHash::LowBits, AddressHash::HighBits]),
        select(vec![TcpActive::Established, TcpActive::FromSyn]),
        select(vec![CacheLimit::Soft, CacheLimit::Hard]),
        select(vec![
            MhWord::Bits32,
            MhWord::Bits64,
            MhWord::Bits32BigEndian,
            MhWord::Bits64BigEndian,
        ]),
        4..=20_u8,
        8..=17_u8,
    );
    let single = switches.prop_map(|switches| {
        let mut semantics = Semantics::LINUX_6_1;
        (
            semantics.threshold_edits,
            semantics.template_thresholds,
            semantics.overhead,
            semantics.address_hash,
            semantics.tcp_active,
            semantics.cache_limit,
            semantics.mh_word,
            semantics.sh_table_bits,
            semantics.mh_table_index,
        ) = switches;
        semantics
    });
    let presets = vec![
        Semantics::LINUX_6_1,
        Semantics::LINUX_6_12,
        Semantics::LINUX_7_2,
    ];
    prop_oneof![select(presets), single]
}

/// A scenario of what is possible among random servers and events, and how many were not.
fn scenario() -> impl Strategy<Value = Scenario> {
    let settings = (
        select(Algorithm::ALL),
        semantics(),
        select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp]),
        (any::<bool>(), any::<bool>()),
        any::<u64>(),
        option::weighted(0.3, (1..=u32::MAX, any::<u32>(), option::of(0..=128_u8))),
    );
    (any::<bool>(), any::<bool>(), settings)
        .prop_flat_map(|(mark, ipv6, settings)| {
            let target = if mark {
                (1..=u32::MAX).prop_map(Target::Mark).boxed()
            } else {
                address(ipv6).prop_map(Target::Address).boxed()
            };
            let servers = vec(server(ipv6), 0..6);
            (
                Just((settings, ipv6)),
                target,
                servers,
                vec(event(mark, ipv6), 0..60),
            )
        })
        .prop_map(|((settings, ipv6), target, candidates, events)| {
            let (algorithm, semantics, protocol, (fallback, port), seed, persistence) = settings;
            let mut servers: Vec<Server> = Vec::new();
            for server in candidates {
                let mut more = servers.clone();
                more.push(server);
                if Scenario::new(algorithm, target, more.iter().copied()).is_ok() {
                    servers = more;
                }
            }
            let mut flags = SchedulerFlags::NONE;
            if fallback {
                flags = flags.with_fallback();
            }
            if port {
                flags = flags.with_port();
            }
            let mut scenario = Scenario::new(algorithm, target, servers)
                .unwrap()
                .with_flags(flags)
                .with_semantics(semantics)
                .with_protocol(protocol)
                .with_seed(seed);
            if let Some((seconds, mask, length)) = persistence {
                let mask = match (length, ipv6) {
                    (None, _) => PersistenceMask::Client,
                    (Some(_), false) => PersistenceMask::Inet(mask.into()),
                    (Some(length), true) => PersistenceMask::Inet6(length.max(1)),
                };
                let timeout = Duration::from_secs(seconds.into());
                let persistence = Persistence::new(timeout).with_mask(mask);
                scenario = scenario.with_persistence(persistence).unwrap();
            }
            for event in events {
                let _ = scenario.push(event);
            }
            scenario
        })
}

proptest! {
    /// What was written is read as the same value, and written again as the same text.
    #[test]
    fn written_scenario_is_read_back(scenario in scenario()) {
        let text = scenario.to_json();
        let again = Scenario::from_json(&text);
        prop_assert_eq!(again.as_ref(), Ok(&scenario), "{}", text);
        prop_assert_eq!(again.unwrap().to_json(), text.as_str());
        fuzzed::check(&text);
    }

    /// Only servers that are present are picked, and without persistence only those with weight.
    #[test]
    fn picks_are_present_and_not_quiesced(scenario in scenario()) {
        let mut replayer = scenario.replayer();
        for event in scenario.events() {
            if let lvs_schedulers::scenario::Outcome::Picked(id) = replayer.step(event).unwrap() {
                let server = replayer.server(id).unwrap();
                prop_assert!(server.is_available());
                prop_assert!(server.weight() > 0 || scenario.persistence().is_some());
            }
        }
    }

    /// Whatever a document is cut to and changed to, reading ends with a value or a message.
    #[test]
    fn damaged_documents_never_panic(
        scenario in scenario(),
        changes in vec((any::<prop::sample::Index>(), select(b"{}[]\",:-0.eE \\ntu".to_vec())), 1..5),
        cut in option::of(any::<prop::sample::Index>()),
    ) {
        let mut text = scenario.to_json().into_bytes();
        for (place, byte) in changes {
            let place = place.index(text.len());
            text[place] = byte;
        }
        if let Some(cut) = cut {
            text.truncate(cut.index(text.len()));
        }
        fuzzed::check(&String::from_utf8(text).unwrap());
    }

    #[test]
    fn any_text_never_panics(text in any::<String>()) {
        fuzzed::check(&text);
    }
}
