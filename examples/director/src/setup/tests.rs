//! Every mapping from a configuration to what is run.

use core::fmt::Write as _;

use lvs_ipvs::{Scheduler, Table};

use super::*;
use crate::Director;

fn setup(text: &str) -> Setup {
    let config = Config::parse("t.conf", text);
    assert_eq!(config.diagnostics(), [], "{text}");
    Setup::new(&config)
}

/// What is in the table before the first check.
fn table(setup: Setup) -> Table {
    let now = Duration::ZERO;
    Director::new(now, &setup, &Table::new()).unwrap().desired()
}

/// What there is to be said about a configuration.
fn told(setup: &Setup) -> Vec<String> {
    let told = setup.diagnostics().iter();
    told.map(ToString::to_string).collect()
}

/// The only service of a configuration without problems.
fn only_service(text: &str) -> VirtualService {
    let setup = setup(text);
    assert_eq!(setup.diagnostics(), [], "{text}");
    let table = table(setup);
    assert_eq!(table.len(), 1);
    table.services().next().unwrap().service.clone()
}

/// A service with these lines in it.
fn with(header: &str, lines: &str, server: &str) -> String {
    format!("virtual_server {header} {{\n{lines}\nreal_server {server} {{\n}}\n}}\n")
}

const TCP: &str = "192.0.2.1 80";
const PLAIN: &str = "lb_algo rr\nlb_kind NAT\nprotocol TCP";

#[test]
fn services_have_key_and_scheduler() {
    let service = only_service(&with(TCP, PLAIN, "10.0.0.1 80"));
    assert_eq!(
        service.key(),
        ServiceKey::tcp("192.0.2.1:80".parse().unwrap())
    );
    assert_eq!(service.flags(), ServiceFlags::empty());
    assert_eq!(service.persistence(), None);
    for (protocol, number) in [("UDP", Protocol::UDP), ("SCTP", Protocol::SCTP)] {
        let lines = PLAIN.replace("TCP", protocol);
        let service = only_service(&with("2001:db8::1 53", &lines, "2001:db8::2 53"));
        let (address, port) = ("2001:db8::1".parse().unwrap(), 53);
        assert_eq!(
            service.key(),
            ServiceKey::Address {
                protocol: number,
                address,
                port
            }
        );
    }
    for (family, expected) in [("inet", Family::Inet), ("inet6", Family::Inet6)] {
        let lines = format!("lb_algo rr\nlb_kind TUN\nip_family {family}");
        let service = only_service(&with("fwmark 7", &lines, "10.0.0.1"));
        assert_eq!(service.key(), ServiceKey::firewall_mark(expected, 7));
    }
    for name in [
        "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "mh", "dh", "fo", "ovf", "sed", "nq",
        "twos",
    ] {
        let service = only_service(&with(TCP, &PLAIN.replace("rr", name), "10.0.0.1 80"));
        assert_eq!(service.scheduler().name(), name);
        assert!(
            !matches!(service.scheduler(), Scheduler::Other(_)),
            "{name}"
        );
    }
}

#[test]
fn flags_are_those_of_the_kernel() {
    for (lines, expected) in [
        ("lb_algo sh\nsh-port", ServiceFlags::SH_PORT),
        ("lb_algo sh\nsh-fallback", ServiceFlags::SH_FALLBACK),
        (
            "lb_algo mh\nmh-port\nmh-fallback",
            ServiceFlags::MH_PORT | ServiceFlags::MH_FALLBACK,
        ),
        (
            "lb_algo sh\nflag-1\nflag-2",
            ServiceFlags::SCHED_1 | ServiceFlags::SCHED_2,
        ),
        ("lb_algo sh\nflag-3", ServiceFlags::SCHED_3),
    ] {
        let lines = format!("{lines}\nlb_kind NAT\nprotocol TCP");
        assert_eq!(
            only_service(&with(TCP, &lines, "10.0.0.1 80")).flags(),
            expected
        );
    }
    let lines = "lb_algo rr\nlb_kind NAT\nprotocol UDP\nops";
    let service = only_service(&with(TCP, lines, "10.0.0.1 80"));
    assert_eq!(service.flags(), ServiceFlags::ONE_PACKET);
}

#[test]
fn persistence_has_timeout_mask_and_engine() {
    let persistence = |header: &str, lines: &str, server: &str| {
        let service = only_service(&with(header, &format!("{PLAIN}\n{lines}"), server));
        service.persistence().unwrap()
    };
    let v4 = |lines: &str| persistence(TCP, lines, "10.0.0.1 80");
    let v6 = |lines: &str| persistence("2001:db8::1 80", lines, "2001:db8::2 80");
    assert_eq!(v4("persistence_timeout 10"), Persistence::new(10));
    assert_eq!(v4("persistence_timeout"), Persistence::new(360));
    let mask = PersistenceMask::Inet([255, 255, 255, 0].into());
    let masked = "persistence_timeout 10\npersistence_granularity 255.255.255.0";
    assert_eq!(v4(masked), Persistence::new(10).with_mask(mask));
    assert_eq!(v6("persistence_timeout 10"), Persistence::new(10));
    let masked = "persistence_timeout 10\npersistence_granularity 64";
    assert_eq!(
        v6(masked),
        Persistence::new(10).with_mask(PersistenceMask::Inet6(64))
    );
    let engine = EngineName::new("sip").unwrap();
    let lines =
        "lb_algo rr\nlb_kind NAT\nprotocol UDP\npersistence_timeout 9\npersistence_engine sip";
    let service = only_service(&with("192.0.2.1 5060", lines, "10.0.0.1 5060"));
    assert_eq!(
        service.persistence(),
        Some(Persistence::new(9).with_engine(engine))
    );

    // Its mask cannot be that of the other family in the group.
    let group = "virtual_server_group G {\n192.0.2.1 80\nfwmark 7 inet6\n}\n";
    let lines = "lb_algo rr\nlb_kind TUN\nprotocol TCP\npersistence_timeout 10\n\
                 persistence_granularity 255.0.0.0";
    let setup = setup(&format!("{group}{}", with("group G", lines, "10.0.0.1")));
    assert_eq!(setup.diagnostics(), []);
    let table = table(setup);
    let masks: Vec<_> = table.services().map(|entry| entry.service.mask()).collect();
    let whole = PersistenceMask::full(Family::Inet6);
    assert_eq!(masks, [PersistenceMask::Inet([255, 0, 0, 0].into()), whole]);
}

#[test]
fn destinations_have_port_weight_thresholds_and_forwarding() {
    let destination = |kind: &str, header: &str, server: &str, inside: &str| {
        let text = format!(
            "virtual_server {header} {{\nlb_algo rr\nlb_kind {kind}\nprotocol TCP\n\
             real_server {server} {{\n{inside}\n}}\n}}\n"
        );
        let setup = setup(&text);
        assert_eq!(setup.diagnostics(), [], "{text}");
        table(setup).services().next().unwrap().destinations[0].clone()
    };
    let at = |text: &str| text.parse().unwrap();
    let masqueraded = destination(
        "NAT",
        TCP,
        "10.0.0.1 8080",
        "weight 7\nuthreshold 20\nlthreshold 10",
    );
    let expected = Destination::masquerade(at("10.0.0.1:8080"));
    assert_eq!(masqueraded, expected.with_weight(7).with_thresholds(10, 20));
    let routed = destination("DR", TCP, "10.0.0.1 80", "");
    assert_eq!(
        routed,
        Destination::direct_route(at("10.0.0.1:80")).with_weight(1)
    );
    let other = destination(
        "NAT",
        "2001:db8::1 80",
        "10.0.0.1 80",
        "lvs_method TUN\nweight 2",
    );
    assert_eq!(other, Destination::tunnel(at("10.0.0.1:80")).with_weight(2));
    let heaviest = destination("NAT", TCP, "10.0.0.1 80", "weight 2147483647");
    assert_eq!(heaviest.weight(), 2_147_483_647);

    let checksum = TunnelFlags::CHECKSUM;
    for (kind, expected) in [
        ("TUN", Encapsulation::ipip()),
        ("TUN type ipip", Encapsulation::ipip()),
        ("TUN type gre", Encapsulation::gre()),
        (
            "TUN type gre csum",
            Encapsulation::gre().with_flags(checksum),
        ),
        ("TUN type gue port 6080", Encapsulation::gue(6080)),
        ("TUN type gue port 6080 nocsum", Encapsulation::gue(6080)),
        (
            "TUN type gue port 6080 csum",
            Encapsulation::gue(6080).with_flags(checksum),
        ),
        (
            "TUN type gue port 6080 remcsum",
            Encapsulation::gue(6080).with_flags(TunnelFlags::REMOTE_CHECKSUM),
        ),
    ] {
        let tunnel = destination(kind, TCP, "10.0.0.1 80", "");
        assert_eq!(tunnel.forwarding(), Forwarding::Tunnel);
        assert_eq!(tunnel.encapsulation(), expected, "{kind}");
    }
}

#[test]
fn timeouts_are_set_only_when_written() {
    let text = with(TCP, PLAIN, "10.0.0.1 80");
    assert_eq!(setup(&text).timeouts, Timeouts::default());
    let globals = "global_defs {\nlvs_timeouts tcp 900 udp 300\n}\n";
    let timeouts = setup(&format!("{globals}{text}")).timeouts;
    let expected = (Some(900), None, Some(300));
    assert_eq!(
        (timeouts.tcp_secs, timeouts.tcp_fin_secs, timeouts.udp_secs),
        expected
    );
}

#[test]
fn everything_is_there_from_the_start_except_what_waits_for_its_checks() {
    let text = "virtual_server 192.0.2.1 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\nweight 3\n\
                real_server 10.0.0.1 80 {\n}\n\
                real_server 10.0.0.2 80 {\nTCP_CHECK {\n}\n}\n\
                real_server 10.0.0.3 80 {\nTCP_CHECK {\nalpha\n}\nTCP_CHECK {\nconnect_port 1\n}\n}\n\
                real_server 10.0.0.4 80 {\nalpha\ninhibit_on_failure\nTCP_CHECK {\n}\n}\n\
                real_server 10.0.0.5 80 {\ninhibit_on_failure\nTCP_CHECK {\n}\n}\n}\n";
    let setup = setup(text);
    let names: Vec<_> = setup
        .checks
        .iter()
        .map(|check| check.name.as_str())
        .collect();
    let places: Vec<_> = setup
        .checks
        .iter()
        .map(|check| (check.pool, check.server))
        .collect();
    assert_eq!(
        names,
        [
            "TCP_CHECK 10.0.0.2:80",
            "TCP_CHECK 10.0.0.3:80",
            "TCP_CHECK 10.0.0.3:1",
            "TCP_CHECK 10.0.0.4:80",
            "TCP_CHECK 10.0.0.5:80"
        ]
    );
    assert_eq!(places, [(0, 1), (0, 2), (0, 2), (0, 3), (0, 4)]);
    let table = table(setup);
    let entries = &table.services().next().unwrap().destinations;
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| (entry.key().address.to_string(), entry.weight()))
        .collect();
    let expected = [
        ("10.0.0.1", 3),
        ("10.0.0.2", 3),
        ("10.0.0.4", 0),
        ("10.0.0.5", 3),
    ];
    assert_eq!(
        entries,
        expected.map(|(address, weight)| (address.to_owned(), weight))
    );
}

#[test]
fn servers_are_left_out_only_of_services_of_the_other_family() {
    let text = "virtual_server_group G {\n192.0.2.1 80\n2001:db8::1-3 80\nfwmark 7 inet6\n}\n\
                virtual_server group G {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n\
                real_server 10.0.0.1 80 {\n}\n\
                real_server 2001:db8::11 {\nlvs_method TUN\n}\n}\n";
    let setup = setup(text);
    assert_eq!(
        told(&setup),
        [
            "t.conf:10:1: warning: real_server 10.0.0.1 for TCP [2001:db8::1]:80 and 3 more: another family \
             needs lvs_method TUN; left out there"
        ]
    );
    let table = table(setup);
    let servers = |key: &ServiceKey| table.destinations(key).len();
    let counts: Vec<_> = table
        .services()
        .map(|entry| servers(&entry.service.key()))
        .collect();
    assert_eq!(table.len(), 5);
    assert_eq!(
        servers(&ServiceKey::tcp("192.0.2.1:80".parse().unwrap())),
        2
    );
    assert_eq!(counts.iter().sum::<usize>(), 2 + 4);
}

#[test]
fn a_service_is_served_by_the_first_block_that_names_it() {
    let mut text = with("192.0.2.9 80", PLAIN, "10.0.0.1 80");
    let _ = write!(
        text,
        "virtual_server_group G {{\n192.0.2.8-10 80\n192.0.2.0/24 80\n}}\n{}",
        with("group G", PLAIN, "10.0.0.2 80")
    );
    let setup = setup(&text);
    assert_eq!(
        told(&setup),
        [
            "t.conf:12:1: warning: TCP 192.0.2.9:80 and 3 more: already served by the virtual_server at \
             t.conf:1:1; left out here"
        ]
    );
    let table = table(setup);
    assert_eq!(table.len(), 256);
    let first = table.destinations(&ServiceKey::tcp("192.0.2.9:80".parse().unwrap()));
    assert_eq!(
        first,
        [Destination::masquerade("10.0.0.1:80".parse().unwrap()).with_weight(1)]
    );
}

#[test]
fn what_is_run_is_not_named_and_what_is_not_is() {
    let globals = "global_defs {\nrouter_id R\nscript_user root\nenable_script_security\n\
                   checker_log_all_failures\nlvs_timeouts tcp 9\nchild_wait_time 3\n\
                   net_namespace_ipvs other\n}\n\
                   virtual_server_group G {\n192.0.2.1 80\n}\n";
    let pool = "ha_suspend\nomega\nquorum 2\nhysteresis 1\nsorry_server 10.0.0.9 80";
    let checks = "weight 2\nTCP_CHECK {\n}\nMISC_CHECK {\nmisc_path /bin/true\n}";
    let text = format!(
        "{globals}virtual_server group G {{\n{PLAIN}\n{pool}\nreal_server 10.0.0.1 80 {{\n{checks}\n}}\n}}\n"
    );
    let config = Config::parse("t.conf", &text);
    let named: Vec<_> = config
        .features()
        .iter()
        .map(|f| f.keyword.as_str())
        .collect();
    for keyword in RUN {
        assert!(
            named.contains(&keyword),
            "{keyword} is never a feature: {named:?}"
        );
    }
    assert_eq!(setup(&text).diagnostics(), []);

    let empty = setup("vrrp_script x {\nscript /bin/true\n}\n");
    assert_eq!(
        told(&empty),
        ["t.conf:1:1: warning: nothing to run: there is no usable virtual_server"]
    );
}
