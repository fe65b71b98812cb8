//! What is read, and what is said about what cannot be read.

use core::time::Duration;

use lvs_schedulers::scenario::{Change, Event, Place, Problem, Scenario, ScenarioError, Target};
use lvs_schedulers::{
    AddressHash, Algorithm, CacheLimit, MhWord, Overhead, Persistence, PersistenceMask, Protocol,
    SchedulerFlags, Semantics, TcpActive, TemplateThresholds, ThresholdEdits,
};

const WHOLE: &str = r#"{
  "scheduler": "wlc",
  "flags": ["sh-port"],
  "kernel": "6.1",
  "protocol": "tcp",
  "virtual": "10.1.0.100:80",
  "servers": [
    {"id": 0, "address": "10.2.1.1:80", "weight": 4},
    {"id": 1, "address": "10.2.1.2:80", "weight": 3, "upper": 100, "lower": 0}
  ],
  "events": [
    {"op": "flow", "client": "10.1.1.1:1000"},
    {"op": "establish", "flow": 0},
    {"op": "close", "flow": 0},
    {"op": "edit", "id": 1, "weight": 0},
    {"op": "add", "id": 2, "address": "10.2.1.3:80", "weight": 2},
    {"op": "remove", "id": 0},
    {"op": "advance", "seconds": 1.5},
    {"op": "expire", "flow": 0}
  ]
}"#;

/// The document of the specification, with one piece of text replaced.
fn replaced(from: &str, to: &str) -> String {
    assert_eq!(WHOLE.matches(from).count(), 1, "{from}");
    WHOLE.replace(from, to)
}

fn error_of(text: &str) -> String {
    Scenario::from_json(text).expect_err(text).to_string()
}

/// The smallest document with these fields added or replaced.
fn small(fields: &str) -> String {
    let mut text = String::from("{");
    let standard = [
        ("scheduler", r#""rr""#),
        ("virtual", r#""10.1.0.100:80""#),
        ("servers", "[]"),
    ];
    for (name, value) in standard {
        if !fields.contains(&format!("\"{name}\":")) {
            text += &format!("\"{name}\": {value}, ");
        }
    }
    text + fields + "}"
}

#[test]
fn the_whole_document_is_read_as_it_says() {
    let scenario = Scenario::from_json(WHOLE).unwrap();
    assert_eq!(scenario.algorithm(), Algorithm::Wlc);
    assert_eq!(scenario.flags(), SchedulerFlags::NONE.with_port());
    assert_eq!(scenario.semantics(), Semantics::LINUX_6_1);
    assert_eq!(scenario.protocol(), Protocol::Tcp);
    assert_eq!(
        scenario.target(),
        Target::Address("10.1.0.100:80".parse().unwrap())
    );
    let servers: Vec<_> = scenario
        .servers()
        .iter()
        .map(|server| {
            let destination = server.destination();
            let thresholds = (destination.upper(), destination.lower());
            (
                server.id(),
                destination.address().to_string(),
                destination.weight(),
                thresholds,
            )
        })
        .collect();
    assert_eq!(
        servers,
        [
            (0, "10.2.1.1:80".into(), 4, (0, 0)),
            (1, "10.2.1.2:80".into(), 3, (100, 0))
        ]
    );
    assert_eq!(
        scenario.events(),
        [
            Event::flow("10.1.1.1:1000".parse().unwrap()),
            Event::Establish { flow: 0 },
            Event::Close { flow: 0 },
            Event::Edit(Change::new(1).with_weight(0)),
            Event::Add(
                Change::new(2)
                    .with_address("10.2.1.3:80".parse().unwrap())
                    .with_weight(2)
            ),
            Event::Remove { id: 0 },
            Event::Advance {
                by: Duration::from_millis(1500)
            },
            Event::Expire { flow: 0 },
        ]
    );
}

#[test]
fn defaults_are_those_of_the_specification() {
    let scenario = Scenario::from_json(&small("")).unwrap_err();
    // A comma is left before the brace.
    assert!(
        scenario.to_string().contains("trailing comma"),
        "{scenario}"
    );
    let scenario = Scenario::from_json(&small(r#""events": []"#)).unwrap();
    assert_eq!(scenario.flags(), SchedulerFlags::NONE);
    assert_eq!(scenario.semantics(), Semantics::LINUX_6_1);
    assert_eq!(scenario.protocol(), Protocol::Tcp);
    assert_eq!(scenario.seed(), 0);
}

#[test]
fn every_algorithm_flag_protocol_and_target_has_its_name() {
    for algorithm in Algorithm::ALL {
        let text = small(&format!(r#""scheduler": "{algorithm}""#));
        assert_eq!(Scenario::from_json(&text).unwrap().algorithm(), *algorithm);
    }
    let flags = [
        ("[]", SchedulerFlags::NONE),
        (r#"["sh-fallback"]"#, SchedulerFlags::NONE.with_fallback()),
        (r#"["mh-port"]"#, SchedulerFlags::NONE.with_port()),
        (
            r#"["mh-fallback", "sh-port"]"#,
            SchedulerFlags::NONE.with_fallback().with_port(),
        ),
    ];
    for (text, flags) in flags {
        let text = small(&format!(r#""flags": {text}"#));
        assert_eq!(Scenario::from_json(&text).unwrap().flags(), flags);
    }
    let protocols = [
        ("tcp", Protocol::Tcp),
        ("udp", Protocol::Udp),
        ("sctp", Protocol::Sctp),
    ];
    for (name, protocol) in protocols {
        let text = small(&format!(r#""protocol": "{name}""#));
        assert_eq!(Scenario::from_json(&text).unwrap().protocol(), protocol);
    }
    let targets = [
        (
            "[2001:db8::1]:443",
            Target::Address("[2001:db8::1]:443".parse().unwrap()),
        ),
        ("10.0.0.1:0", Target::Address("10.0.0.1:0".parse().unwrap())),
        ("fwmark 1", Target::Mark(1)),
        ("fwmark 4294967295", Target::Mark(u32::MAX)),
    ];
    for (text, target) in targets {
        let text = small(&format!(r#""virtual": "{text}""#));
        assert_eq!(Scenario::from_json(&text).unwrap().target(), target);
    }
}

#[test]
fn persistence_is_read_with_netmask_or_prefix_length() {
    let read = |fields: &str| {
        let scenario = Scenario::from_json(&small(fields)).unwrap();
        let persistence = scenario.persistence().unwrap();
        (persistence.timeout().as_secs(), persistence.mask())
    };
    let ipv4 = |bits: u32| PersistenceMask::Inet(bits.into());
    assert_eq!(read(r#""persistent": 300"#), (300, PersistenceMask::Client));
    assert_eq!(
        read(r#""persistent": 1, "mask": "255.255.255.0""#),
        (1, ipv4(0xffff_ff00))
    );
    for (length, bits) in [(0, 0), (1, 0x8000_0000), (24, 0xffff_ff00), (32, u32::MAX)] {
        let fields = format!(r#""persistent": 1, "mask": {length}"#);
        assert_eq!(read(&fields), (1, ipv4(bits)));
    }
    let ipv6 = r#""virtual": "[2001:db8::1]:80", "persistent": 9, "mask": 48"#;
    assert_eq!(read(ipv6), (9, PersistenceMask::Inet6(48)));
    // What decides for a service by mark is the first address there is.
    let flow = r#"{"op": "flow", "client": "[2001:db8::2]:1", "to": "[2001:db8::1]:80"}"#;
    let fields =
        format!(r#""virtual": "fwmark 1", "persistent": 9, "mask": 48, "events": [{flow}]"#);
    assert_eq!(read(&fields), (9, PersistenceMask::Inet6(48)));

    // Without any address a length is one of IPv6.
    let nowhere = r#""virtual": "fwmark 1", "persistent": 9, "mask": 24"#;
    assert_eq!(read(nowhere), (9, PersistenceMask::Inet6(24)));

    let scenario = Scenario::new(Algorithm::Rr, Target::Mark(1), []).unwrap();
    for (timeout, message) in [
        (
            Duration::ZERO,
            "persistent: 0ns is not a whole number of seconds from 1 to 4294967295",
        ),
        (
            Duration::from_millis(1500),
            "persistent: 1.5s is not a whole number of seconds from 1 to 4294967295",
        ),
    ] {
        let error = scenario
            .clone()
            .with_persistence(Persistence::new(timeout))
            .unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn every_kernel_switch_can_be_set_alone() {
    let read = |kernel: &str| {
        let text = small(&format!(r#""kernel": {kernel}"#));
        Scenario::from_json(&text).unwrap().semantics()
    };
    assert_eq!(read(r#""6.1""#), Semantics::LINUX_6_1);
    assert_eq!(read(r#""6.12""#), Semantics::LINUX_6_12);
    assert_eq!(read(r#""7.2""#), Semantics::LINUX_7_2);
    assert_eq!(read("{}"), Semantics::LINUX_6_1);

    let changed = |change: fn(&mut Semantics)| {
        let mut semantics = Semantics::LINUX_6_1;
        change(&mut semantics);
        assert_ne!(semantics, Semantics::LINUX_6_1);
        semantics
    };
    let switches = [
        (
            r#"{"threshold_edits": "recompute"}"#,
            changed(|it| it.threshold_edits = ThresholdEdits::Recompute),
        ),
        (
            r#"{"template_thresholds": "ignore"}"#,
            changed(|it| it.template_thresholds = TemplateThresholds::Ignore),
        ),
        (
            r#"{"overhead": "active-and-total"}"#,
            changed(|it| it.overhead = Overhead::ActiveAndTotal),
        ),
        (
            r#"{"address_hash": "low-bits"}"#,
            changed(|it| it.address_hash = AddressHash::LowBits),
        ),
        (
            r#"{"tcp_active": "established"}"#,
            changed(|it| it.tcp_active = TcpActive::Established),
        ),
        (
            r#"{"cache_limit": "hard"}"#,
            changed(|it| it.cache_limit = CacheLimit::Hard),
        ),
        (
            r#"{"mh_word": "32-bit"}"#,
            changed(|it| it.mh_word = MhWord::Bits32),
        ),
        (
            r#"{"sh_table_bits": 20}"#,
            changed(|it| it.sh_table_bits = 20),
        ),
        (
            r#"{"mh_table_index": 17}"#,
            changed(|it| it.mh_table_index = 17),
        ),
    ];
    for (text, semantics) in switches {
        assert_eq!(read(text), semantics, "{text}");
        let target = Target::Mark(1);
        let scenario = Scenario::new(Algorithm::Rr, target, []).unwrap();
        let written = scenario.with_semantics(semantics).to_json();
        assert!(
            written.contains(&format!("\"kernel\": {text},")),
            "{written}"
        );
    }
}

/// Each message names the field and the place.
#[test]
fn what_cannot_be_read_is_named_with_line_and_column() {
    let cases = [
        (
            replaced(r#""wlc""#, r#""wcl""#),
            "scheduler: unknown scheduler \"wcl\" (known: ",
            "(line 2, column 20)",
        ),
        (
            replaced(r#""weight": 3"#, r#""weight": -1"#),
            "servers[1].weight: invalid value: integer `-1`, expected a whole number from 0 to 2147483647",
            "(line 9, column 52)",
        ),
        (
            replaced(r#""weight": 3"#, r#""weight": 2147483648"#),
            "servers[1].weight: invalid value: integer `2147483648`, expected a whole number from 0 to 2147483647",
            "(line 9, column 60)",
        ),
        (
            replaced(r#""weight": 0"#, r#""weight": "0""#),
            "events[3].weight: invalid type: string \"0\", expected a whole number from 0",
            "(line 15, column 41)",
        ),
        (
            replaced(r#""weight": 0"#, r#""weight": 0.5"#),
            "events[3].weight: invalid type: floating point `0.5`, expected a whole number from 0",
            "(line 15",
        ),
        (
            replaced("10.2.1.2:80", "10.2.1.256:80"),
            "servers[1].address: bad address \"10.2.1.256:80\", expected ADDR:PORT or [ADDR6]:PORT",
            "(line 9",
        ),
        (
            replaced("10.1.1.1:1000", "10.1.1.1"),
            "events[0].client: bad address \"10.1.1.1\", expected ADDR:PORT or [ADDR6]:PORT",
            "(line 12",
        ),
        (
            replaced("10.1.1.1:1000", "[fe80::1%3]:1000"),
            "events[0].client: bad address \"[fe80::1%3]:1000\"",
            "(line 12",
        ),
        (
            replaced("10.1.0.100:80", "web:80"),
            "virtual: bad address \"web:80\", expected ADDR:PORT, [ADDR6]:PORT or fwmark N",
            "(line 6",
        ),
        (
            replaced("10.1.0.100:80", "fwmark 4294967296"),
            "virtual: bad address \"fwmark 4294967296\"",
            "(line 6",
        ),
        (
            replaced("10.1.0.100:80", "fwmark +1"),
            "virtual: bad address \"fwmark +1\"",
            "(line 6",
        ),
        (
            replaced("sh-port", "sh-prot"),
            "flags[0]: unknown word \"sh-prot\", expected one of sh-fallback, sh-port, mh-fallback, mh-port",
            "(line 3",
        ),
        (
            replaced(r#""6.1""#, r#""5.4""#),
            "kernel: unknown word \"5.4\", expected one of 6.1, 6.12, 7.2",
            "(line 4",
        ),
        (
            replaced(r#""6.1""#, "6.1"),
            "kernel: invalid type: floating point `6.1`, expected the name of a preset or an object",
            "(line 4",
        ),
        (
            replaced(r#""6.1""#, r#"{"overheads": "soft"}"#),
            "kernel.overheads: unknown field `overheads`, expected one of `threshold_edits`",
            "(line 4",
        ),
        (
            replaced(r#""6.1""#, r#"{"overhead": "soft"}"#),
            "kernel.overhead: unknown word \"soft\", expected one of active-and-inactive, active-and-total",
            "(line 4",
        ),
        (
            replaced(r#""6.1""#, r#"{"sh_table_bits": 21}"#),
            "kernel.sh_table_bits: invalid value: integer `21`, expected a whole number from 4 to 20",
            "(line 4",
        ),
        (
            replaced(r#""6.1""#, r#"{"mh_table_index": 7}"#),
            "kernel.mh_table_index: invalid value: integer `7`, expected a whole number from 8 to 17",
            "(line 4",
        ),
        (
            replaced(r#""protocol": "tcp""#, r#""protocol": "icmp""#),
            "protocol: unknown word \"icmp\", expected one of tcp, udp, sctp",
            "(line 5",
        ),
        (
            replaced(r#""flags""#, r#""flag""#),
            "flag: unknown field `flag`, expected one of `scheduler`, `flags`",
            "(line 3",
        ),
        (
            replaced(r#""upper""#, r#""uper""#),
            "servers[1].uper: unknown field `uper`, expected one of `id`, `address`",
            "(line 9",
        ),
        (
            replaced(r#""close""#, r#""closed""#),
            "events[2].op: unknown word \"closed\", expected one of flow, establish, close, expire",
            "(line 14",
        ),
        (
            replaced(r#"{"op": "close", "flow": 0}"#, r#"{"op": "close"}"#),
            "events[2]: missing field `flow`",
            "(line 14",
        ),
        (
            replaced(r#"{"op": "close", "flow": 0}"#, r#"{"flow": 0}"#),
            "events[2]: missing field `op`",
            "(line 14",
        ),
        (
            replaced(r#""op": "close""#, r#""op": "close", "id": 3"#),
            "events[2]: unknown field `id`, expected `flow`",
            "(line 14",
        ),
        (
            replaced(
                r#""op": "close", "flow": 0"#,
                r#""op": "close", "flow": null"#,
            ),
            "events[2].flow: invalid type: null, expected a whole number from 0",
            "(line 14",
        ),
        (
            replaced(
                r#""op": "close", "flow": 0"#,
                r#""op": "close", "flow": 0, "flow": 1"#,
            ),
            "events[2]: duplicate field `flow`",
            "(line 14",
        ),
        (
            replaced(r#""seconds": 1.5"#, r#""seconds": -1.5"#),
            "events[6].seconds: invalid value: floating point `-1.5`, expected a number from 0 to 4294967295",
            "(line 18",
        ),
        (
            replaced(r#""seconds": 1.5"#, r#""seconds": 4294967296"#),
            "events[6].seconds: invalid value: integer `4294967296`, expected a number from 0 to 4294967295",
            "(line 18",
        ),
        (
            replaced(r#""servers""#, r#""seed": -1, "servers""#),
            "seed: invalid value: integer `-1`, expected a whole number from 0 to 18446744073709551615",
            "(line 7",
        ),
        (
            small(r#""persistent": 0"#),
            "persistent: invalid value: integer `0`, expected a whole number from 1 to 4294967295",
            "(line 1",
        ),
        (
            small(r#""persistent": 1, "mask": "255.255""#),
            "mask: invalid value: string \"255.255\", expected an IPv4 netmask or a prefix length from 0 to 128",
            "(line 1",
        ),
        (
            small(r#""persistent": 1, "mask": 129"#),
            "mask: invalid value: integer `129`, expected an IPv4 netmask or a prefix length from 0 to 128",
            "(line 1",
        ),
        (
            String::new(),
            "EOF while parsing a value",
            "(line 1, column 0)",
        ),
        (
            "[]".into(),
            "invalid type: sequence, expected an object that is a scenario",
            "(line 1",
        ),
        (
            small(r#""servers": {}"#),
            "servers: invalid type: map, expected a sequence",
            "(line 1",
        ),
        (
            small(r#""servers": [1]"#),
            "servers[0]: invalid type: integer `1`, expected an object that is a server",
            "(line 1",
        ),
        (
            small(r#""servers": [[1, "10.2.1.1:80", 1]]"#),
            "servers[0]: invalid type: sequence, expected an object that is a server",
            "(line 1",
        ),
        (
            small(r#""events": ["flow"]"#),
            "events[0]: invalid type: string \"flow\", expected an object that is an event",
            "(line 1",
        ),
        (
            WHOLE.to_owned() + "x",
            "trailing characters",
            "(line 21, column 2)",
        ),
    ];
    for (text, beginning, end) in cases {
        let message = error_of(&text);
        assert!(message.starts_with(beginning), "{message}");
        assert!(message.contains(end), "{message}");
    }
}

#[test]
fn every_truncation_is_an_error_that_names_the_position() {
    for end in 0..WHOLE.len() {
        let error = Scenario::from_json(&WHOLE[..end]).unwrap_err();
        let ScenarioError::Unreadable { line, message, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(*line, WHOLE[..end].matches('\n').count() + 1, "{error}");
        assert!(message.starts_with("EOF while parsing"), "{error}");
    }
    let in_the_middle = &WHOLE[..WHOLE.find("\"weight\": 0").unwrap()];
    let message = error_of(in_the_middle);
    assert!(message.starts_with("events[3]"), "{message}");
}

#[test]
fn messages_are_one_line_however_the_document_names_things() {
    let message = error_of(&small(r#""events": [{"op\n\u0000": 1}]"#));
    assert!(message.contains(r"op\n\u{0}"), "{message}");
    let message = error_of(&small(&format!("\"{}\": 1", "x".repeat(100_000))));
    assert!(message.len() < 2000, "{}", message.len());
}

/// Contradictions between parts: which part, which field.
#[test]
fn contradictions_are_named_with_place_and_field() {
    let cases = [
        (
            replaced(r#"{"id": 1,"#, r#"{"id": 0,"#),
            "servers[1].id: 0 is the id of an earlier server",
        ),
        (
            replaced("10.2.1.2:80", "10.2.1.1:80"),
            "servers[1].address: 10.2.1.1:80 is the address of server 0",
        ),
        (
            replaced("10.2.1.2:80", "[2001:db8::2]:80"),
            "servers[1].address: [2001:db8::2]:80 is not IPv4, as the addresses before are",
        ),
        (
            replaced(r#""lower": 0"#, r#""lower": 101"#),
            "servers[1].lower: 101 is above the upper threshold 100",
        ),
        (
            replaced(
                r#""op": "expire", "flow": 0"#,
                r#""op": "expire", "flow": 1"#,
            ),
            "events[7].flow: 1 is out of range: flows so far: 1",
        ),
        (
            replaced(r#""op": "remove", "id": 0"#, r#""op": "remove", "id": 9"#),
            "events[5].id: no server 9 is present",
        ),
        (
            replaced(r#""op": "edit", "id": 1"#, r#""op": "edit", "id": 2"#),
            "events[3].id: no server 2 is present",
        ),
        (
            replaced(r#""op": "add", "id": 2"#, r#""op": "add", "id": 1"#),
            "events[4].id: server 1 is present already",
        ),
        (
            replaced("10.2.1.3:80", "10.2.1.2:80"),
            "events[4].address: 10.2.1.2:80 is the address of server 1",
        ),
        (
            replaced(r#", "address": "10.2.1.3:80""#, ""),
            "events[4].address: missing, and no earlier server 2 has one",
        ),
        (
            replaced(r#""10.2.1.3:80", "weight": 2"#, r#""10.2.1.3:80""#),
            "events[4].weight: missing, and no earlier server 2 has one",
        ),
        (
            replaced(
                r#""id": 1, "weight": 0"#,
                r#""id": 1, "address": "10.2.1.9:80""#,
            ),
            "events[3].address: an edit cannot change the address; remove the server and add another",
        ),
        (
            replaced(
                r#""id": 1, "weight": 0"#,
                r#""id": 1, "upper": 5, "lower": 6"#,
            ),
            "events[3].lower: 6 is above the upper threshold 5",
        ),
        (
            replaced("10.1.1.1:1000", "[2001:db8::1]:1000"),
            "events[0].client: [2001:db8::1]:1000 is not IPv4, as the addresses before are",
        ),
        (
            replaced(
                r#""10.1.1.1:1000""#,
                r#""10.1.1.1:1000", "to": "10.1.0.100:80""#,
            ),
            "events[0].to: only for a service by mark; this one is 10.1.0.100:80",
        ),
        (
            replaced("10.1.0.100:80", "fwmark 7"),
            "events[0].to: missing: a service by mark has no address of its own",
        ),
        (
            replaced("10.1.0.100:80", "fwmark 0"),
            "virtual: a firewall mark is at least 1",
        ),
        (
            replaced("10.1.0.100:80", "[2001:db8::100]:80"),
            "servers[0].address: 10.2.1.1:80 is not IPv6, as the addresses before are",
        ),
    ];
    let persistence = [
        (small(r#""mask": 24"#), "mask: only with \"persistent\""),
        (
            small(r#""persistent": 1, "mask": 33"#),
            "mask: 33 is outside 0 to 32",
        ),
        (
            small(r#""persistent": 1, "mask": 0, "virtual": "[2001:db8::1]:80""#),
            "mask: 0 is outside 1 to 128",
        ),
        (
            small(r#""persistent": 1, "mask": "255.0.0.0", "virtual": "[2001:db8::1]:80""#),
            "mask: a mask for IPv4, but the addresses are IPv6",
        ),
    ];
    for (text, message) in cases.into_iter().chain(persistence) {
        assert_eq!(error_of(&text), message);
    }
}

#[test]
fn refused_event_changes_nothing() {
    let mut scenario = Scenario::from_json(WHOLE).unwrap();
    let before = scenario.clone();
    let address = "10.2.1.2:80".parse().unwrap();
    let refused = [
        Event::Flow {
            client: "10.1.1.1:1".parse().unwrap(),
            to: Some(address),
        },
        Event::flow("[2001:db8::1]:1".parse().unwrap()),
        Event::Add(Change::new(0).with_address(address)),
        Event::Add(Change::new(5).with_weight(1)),
        Event::Add(Change::new(0).with_weight(u32::MAX)),
        Event::Edit(Change::new(1).with_lower(200)),
        Event::Remove { id: 0 },
        Event::Advance { by: Duration::MAX },
    ];
    for event in refused {
        let error = scenario.push(event).unwrap_err();
        let ScenarioError::Inconsistent { place, problem } = error else {
            panic!("{error}");
        };
        assert_eq!(place, Place::Event(8), "{event:?}");
        assert!(!problem.field().is_empty());
        assert_eq!(scenario, before, "{event:?}");
    }
    let error = scenario.push(Event::Close { flow: 1 }).unwrap_err();
    let problem = Problem::FlowRange { flow: 1, flows: 1 };
    let place = Place::Event(8);
    assert_eq!(error, ScenarioError::Inconsistent { place, problem });
}

#[test]
fn scopes_and_flow_labels_are_dropped_as_documents_have_none() {
    let scoped = |host: u16| {
        let ip = core::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host);
        core::net::SocketAddrV6::new(ip, 80, 5, 3).into()
    };
    let mut scenario = Scenario::new(Algorithm::Rr, Target::Address(scoped(1)), []).unwrap();
    let change = Change::new(0).with_address(scoped(2)).with_weight(1);
    scenario.push(Event::Add(change)).unwrap();
    scenario.push(Event::flow(scoped(3))).unwrap();
    assert_eq!(Scenario::from_json(&scenario.to_json()), Ok(scenario));
}

/// Specification: fields not given in an `add` that brings back a removed id keep their values.
#[test]
fn returning_server_keeps_what_is_not_given() {
    let mut scenario = Scenario::from_json(WHOLE).unwrap();
    scenario.push(Event::Add(Change::new(0))).unwrap();
    scenario.push(Event::Remove { id: 1 }).unwrap();
    scenario
        .push(Event::Add(Change::new(1).with_weight(9)))
        .unwrap();
    let mut replayer = scenario.replayer();
    for event in scenario.events() {
        replayer.step(event).unwrap();
    }
    let settings = |id| {
        let destination = *replayer.server(id).unwrap().destination();
        (destination.weight(), destination.upper())
    };
    assert_eq!(settings(0), (4, 0));
    assert_eq!(settings(1), (9, 100));
}
