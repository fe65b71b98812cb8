//! From a keepalived.conf to the virtual routers of a node.
//!
//! Each `data/vrrp/NAME.conf` has a `NAME.txt` beside it with the plan. `UPDATE_EXPECT=1 cargo test
//! --test vrrp_plan` writes them anew; the difference is then for a person to judge.

#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use director::keepalived::{Config, MemoryFiles, Options};
use director::vrrp::{Plan, PlanError, PlannedRouter, TrackerSource, script_config};
use lvs_vrrp::checksum::{ChecksumForm, TxChecksum};
use lvs_vrrp::node::InterfaceConfig;
use lvs_vrrp::profile::{AnswerLosing, Profile};
use lvs_vrrp::receive::{Mode, Versions};
use lvs_vrrp::track::TrackerStatus;
use lvs_vrrp::{InterfaceIndex, MacAddress, Node, Version};

fn plan(text: &str) -> Plan {
    let config = Config::parse("t.conf", text);
    assert_eq!(config.diagnostics(), [], "{text}");
    Plan::new(&config)
}

/// The plan of one virtual router with these lines.
fn instance(lines: &str) -> Plan {
    plan(&format!(
        "vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n{lines}\n \
         virtual_ipaddress {{\n 192.0.2.1/24\n }}\n}}\n"
    ))
}

fn only(plan: &Plan) -> &PlannedRouter {
    assert_eq!(plan.diagnostics(), []);
    let [router] = plan.routers() else {
        panic!("one virtual router: {plan:?}")
    };
    router
}

/// Interfaces with some real addresses.
fn interfaces() -> BTreeMap<String, (InterfaceIndex, InterfaceConfig)> {
    let interface = |number: u8, addresses: [&str; 2]| {
        let mac = MacAddress::new([2, 0, 0, 0, 0, number]);
        let addresses = addresses.map(|address| address.parse().unwrap());
        let config = InterfaceConfig::new(mac).up(addresses);
        (InterfaceIndex::new(number.into()), config)
    };
    BTreeMap::from([
        ("eth0".to_owned(), interface(2, ["192.0.2.250", "fe80::2"])),
        (
            "eth1".to_owned(),
            interface(3, ["198.51.100.250", "fe80::3"]),
        ),
    ])
}

fn summary(plan: &Plan) -> String {
    let mut text = String::from("diagnostics\n");
    for diagnostic in plan.diagnostics() {
        writeln!(text, "  {diagnostic}").unwrap();
    }
    let settings = plan.settings();
    writeln!(
        text,
        "starts after {:?}, announcements space {:?}",
        settings.startup_delay, settings.announce.spacing
    )
    .unwrap();
    for (interface, spacing) in plan.spacings() {
        writeln!(text, "  on {interface} {spacing:?}").unwrap();
    }
    for router in plan.routers() {
        let (id, name) = (router.id.get(), &router.name);
        writeln!(text, "router {id} {name} on {}", router.interface).unwrap();
        let config = &router.config;
        writeln!(
            text,
            "  vrid {} {:?} {:?} priority {} owner {} every {} down factor {}",
            config.vrid().get(),
            config.family(),
            config.versions(),
            config.priority().get(),
            config.is_owner(),
            config.interval(),
            config.down_factor()
        )
        .unwrap();
        writeln!(
            text,
            "  preempts {} hold {:?} accepts {} source {:?} {:?} ttl {} {:?}",
            config.preempts(),
            config.preempt_hold(),
            config.accepts(),
            config.source(),
            config.mode(),
            config.ttl(),
            config.authentication()
        )
        .unwrap();
        let switches = config.switches();
        writeln!(
            text,
            "  answers {:?} announces again {} yields with advert {} unicast permitted {}",
            switches.answer_losing_adverts,
            switches.reannounce,
            switches.yield_with_advert,
            switches.permits.unicast
        )
        .unwrap();
        let rounds = &router.rounds;
        writeln!(
            text,
            "  announces {} times, again {:?}, every {:?} {} times, losing {}, again {:?}",
            rounds.repeat,
            rounds.second_round,
            rounds.refresh,
            rounds.refresh_repeat,
            rounds.losing_repeat,
            rounds.losing_second_round
        )
        .unwrap();
        writeln!(text, "  tracks {:?}", router.tracks).unwrap();
        writeln!(text, "  mac {:?}", router.virtual_mac).unwrap();
        if router.ignores_link {
            writeln!(text, "  whatever its link").unwrap();
        }
        for address in &router.addresses {
            writeln!(
                text,
                "  {}/{} dev {:?} scope {:?} label {:?} brd {:?} route {} preferred {:?} advert {}",
                address.ip,
                address.prefix_length,
                address.device,
                address.scope,
                address.label,
                address.broadcast,
                address.has_prefix_route,
                address.is_preferred,
                address.is_advertised
            )
            .unwrap();
        }
    }
    for group in plan.groups() {
        writeln!(text, "group {} {}", group.name, group.id.get()).unwrap();
        writeln!(text, "  {:?}", group.config).unwrap();
    }
    for tracker in plan.trackers() {
        let name = match &tracker.source {
            TrackerSource::Interface(name) => name,
            TrackerSource::Script(script) => &script.name,
            TrackerSource::File(file) => &file.name,
            TrackerSource::Process(process) => &process.name,
            other => panic!("{other:?}"),
        };
        writeln!(
            text,
            "tracker {} {name} {:?}",
            tracker.id.get(),
            tracker.status
        )
        .unwrap();
    }
    text
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vrrp")
}

#[test]
fn files_are_planned_as_recorded() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(folder()).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "conf") {
            continue;
        }
        count += 1;
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).expect("a file");
        let options = Options::default();
        let config = Config::parse_with(name, &text, &options, &MemoryFiles::default());
        let plan = Plan::new(&config);
        // Whatever is planned is a node.
        let node = plan.node_config(&interfaces()).expect("all interfaces");
        node.validate().expect("a valid node");
        let (driver, notes) = plan.driver_config();
        driver.validate().expect("a valid driver");
        let mut found = summary(&plan);
        writeln!(found, "for the driver").unwrap();
        for (id, router) in driver.routers() {
            writeln!(found, "  {} on {}", id.get(), router.interface()).unwrap();
        }
        for note in notes {
            writeln!(found, "  {note}").unwrap();
        }
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&expected, &found).expect("written");
        } else if fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("{name}:\n{found}"));
        }
    }
    assert!(count >= 3, "{count} files");
    assert!(
        wrong.is_empty(),
        "planned differently:\n{}",
        wrong.join("\n")
    );
}

/// A tunnel service with its virtual router, as it runs in production.
#[test]
fn production_file_is_read_and_planned_without_a_word() {
    let text = include_str!("data/vrrp/production.conf");
    let config = Config::parse("production.conf", text);
    assert_eq!(config.diagnostics(), []);
    assert_eq!(config.virtual_servers().len(), 1);
    let plan = Plan::new(&config);
    let router = only(&plan);
    assert_eq!(
        (router.name.as_str(), router.interface.as_str()),
        ("VI_1", "eth0")
    );
    let config = &router.config;
    assert_eq!((config.vrid().get(), config.priority().get()), (114, 100));
    assert_eq!(config.versions(), Versions::Only(Version::V2));
    assert_eq!(config.interval().whole_seconds(), Some(1));
    assert!(config.preempts() && config.accepts() && !config.is_owner());
    assert!(router.virtual_mac.is_none());
    let [address] = router.addresses.as_slice() else {
        panic!("one address")
    };
    assert_eq!(address.ip.to_string(), "172.1.1.114");
    assert_eq!(
        (address.prefix_length, address.device.as_deref()),
        (32, Some("tunl0"))
    );
    let (driver, notes) = plan.driver_config();
    driver.validate().unwrap();
    assert_eq!(notes, []);
    let node = plan.node_config(&interfaces()).unwrap();
    Node::new(node).expect("a node");
}

#[test]
fn defaults_are_those_of_keepalived() {
    let plan = instance("");
    let switches = only(&plan).config.switches();
    assert_eq!(switches.answer_losing_adverts, AnswerLosing::Always);
    assert!(switches.reannounce && !switches.yield_with_advert);
    let rounds = only(&plan).rounds;
    assert_eq!((rounds.repeat, rounds.losing_repeat), (5, 5));
    let second = Some(Duration::from_secs(5));
    assert_eq!(
        (rounds.second_round, rounds.losing_second_round),
        (second, second)
    );
    assert_eq!(rounds.refresh, None);
}

#[test]
fn switches_follow_the_keywords() {
    let plan = instance("lower_prio_no_advert\nhigher_prio_send_advert\ngarp_lower_prio_repeat 0");
    let switches = only(&plan).config.switches();
    assert_eq!(switches.answer_losing_adverts, AnswerLosing::Never);
    assert!(!switches.reannounce && switches.yield_with_advert);
    let plan = instance("version 3\nv3_checksum_as_v2");
    let fixed = TxChecksum::Fixed(ChecksumForm::MessageOnly);
    assert_eq!(only(&plan).config.switches().tx_checksum, fixed);
    let plan = instance("nopreempt\nno_accept\ndown_timer_adverts 5");
    let config = &only(&plan).config;
    assert!(!config.preempts() && !config.accepts());
    assert_eq!(config.down_factor(), 5);
    let plan = instance("preempt_delay 4.12");
    assert_eq!(
        only(&plan).config.preempt_hold(),
        Duration::from_millis(4120)
    );
}

#[test]
fn strict_mode_is_the_strict_profile_of_the_version() {
    let two = instance("strict_mode");
    assert_eq!(
        only(&two).config.switches(),
        &Profile::Strict3768.switches()
    );
    assert!(!only(&two).config.accepts());
    let three = instance("strict_mode\nversion 3\naccept");
    assert_eq!(
        only(&three).config.switches(),
        &Profile::Strict9568.switches()
    );
    assert!(only(&three).config.accepts());
}

#[test]
fn peers_have_the_range_that_is_set() {
    let plan = instance("unicast_peer {\n192.0.2.8 min_ttl 254\n192.0.2.9 max_ttl 255\n}");
    let Mode::Unicast { peers } = only(&plan).config.mode() else {
        panic!("unicast")
    };
    let ranges: Vec<_> = peers.iter().map(|peer| peer.ttl().clone()).collect();
    assert_eq!(ranges, [254..=255, 0..=255]);
    let silent = instance("unicast_peer {\n192.0.2.8\n}");
    let expected = "t.conf:5:1: note: vrrp_instance VI_1: packets from 192.0.2.8 must have a time \
                    to live of 255; min_ttl allows less";
    assert_eq!(silent.diagnostics()[0].to_string(), expected);
}

/// Routers of a group have their addresses together: one that two of them have, and the second does
/// not advertise, comes with the first. Elsewhere the second is not run.
#[test]
fn an_excluded_address_may_be_shared_in_a_group() {
    let block = |number: u8| {
        format!(
            "vrrp_instance V{number} {{\ninterface eth0\nvirtual_router_id {number}\n\
             virtual_ipaddress {{\n192.0.2.{number}\n}}\n\
             virtual_ipaddress_excluded {{\n192.0.2.99\n192.0.2.10{number}\n}}\n}}\n"
        )
    };
    let text = block(1) + &block(2);
    let apart = plan(&text);
    let said: Vec<_> = apart
        .diagnostics()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        said,
        [
            "t.conf:19:1: error: vrrp_instance V2: 192.0.2.99 is an address of vrrp_instance V1 on \
             eth0; not run"
        ]
    );
    assert_eq!(apart.routers().len(), 1);
    let together = plan(&(text + "vrrp_sync_group G {\ngroup {\nV1\nV2\n}\n}\n"));
    let said: Vec<_> = together
        .diagnostics()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        said,
        [
            "t.conf:19:1: note: vrrp_instance V2: 192.0.2.99 comes and goes with vrrp_instance V1 of \
             the same group"
        ]
    );
    let excluded = together.routers().iter();
    let excluded = excluded.map(|router| router.config.excluded_addresses().len());
    assert_eq!(excluded.collect::<Vec<_>>(), [2, 1]);
    together.driver_config().0.validate().unwrap();
    let node = together.node_config(&interfaces()).unwrap();
    assert_eq!(node.validate(), Ok(()));
}

#[test]
fn priority_255_is_the_owner() {
    let plan = instance("priority 255\nstate MASTER");
    assert!(only(&plan).config.is_owner());
}

#[test]
fn names_keep_their_numbers_when_the_file_changes() {
    let block = |name: &str, number: u8| {
        format!(
            "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {number}\n \
             virtual_ipaddress {{\n 192.0.2.{number}\n }}\n}}\n"
        )
    };
    let first = plan(&(block("A", 1) + &block("B", 2)));
    let text = block("C", 3) + &block("B", 2);
    let second = first.following(&Config::parse("t.conf", &text));
    let third = second.following(&Config::parse("t.conf", &(block("A", 1) + &block("D", 4))));
    let ids = |plan: &Plan| {
        let routers = plan.routers().iter();
        let ids = routers.map(|router| (router.name.clone(), router.id.get()));
        ids.collect::<Vec<_>>()
    };
    let named = |name: &str, id| (name.to_owned(), id);
    assert_eq!(ids(&first), [named("A", 1), named("B", 2)]);
    assert_eq!(ids(&second), [named("C", 3), named("B", 2)]);
    assert_eq!(ids(&third), [named("A", 1), named("D", 4)]);
}

#[test]
fn scripts_are_timed_as_the_file_says() {
    let plan = plan(
        "vrrp_script check {\n script /bin/check\n interval 2\n timeout 1\n rise 3\n fall 4\n \
         init_fail\n}\nvrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n \
         track_script {\n check weight -20 reverse\n }\n virtual_ipaddress {\n 192.0.2.1\n }\n}\n",
    );
    let [track] = only(&plan).tracks.as_slice() else {
        panic!("one track")
    };
    assert_eq!((track.weight(), track.contribution(false)), (-20, Some(20)));
    let [tracker] = plan.trackers() else {
        panic!("one tracker")
    };
    assert_eq!(
        (tracker.id, tracker.status),
        (track.tracker(), TrackerStatus::Failed)
    );
    let TrackerSource::Script(script) = &tracker.source else {
        panic!("a script")
    };
    let config = script_config(script);
    config.validate().unwrap();
    assert_eq!((config.rise, config.fall, config.init_fail), (3, 4, true));
    assert_eq!(config.interval, Duration::from_secs(2));
    assert_eq!(config.timeout, Some(Duration::from_secs(1)));
}

#[test]
fn ipv6_addresses_alone_in_their_network_are_no_sources() {
    let plan = plan(
        "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {\n \
         fe80::1/64\n 2001:db8::1\n 2001:db8::2 preferred_lft forever\n \
         2001:db8::3/64 preferred_lft 0\n }\n}\n",
    );
    let addresses = only(&plan).addresses.iter();
    let preferred: Vec<bool> = addresses.map(|address| address.is_preferred).collect();
    assert_eq!(preferred, [true, false, true, false]);
}

#[test]
fn a_missing_interface_is_named_with_its_place() {
    let error = instance("").node_config(&BTreeMap::new()).unwrap_err();
    assert!(matches!(error, PlanError::NoInterface { .. }));
    let expected = "t.conf:1:1: vrrp_instance VI_1: there is no interface eth0";
    assert_eq!(error.to_string(), expected);
}
