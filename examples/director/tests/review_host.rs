//! The start-up review looks at a host: a network namespace with what it should see.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests and their helpers"
)]

#[expect(dead_code, reason = "made for other tests as well")]
#[path = "../../../ipvs/tests/network/mod.rs"]
mod network;

use core::net::IpAddr;
use std::process::Command;

use director::keepalived::Config;
use director::review::{self, InterfaceAddress, Subject};
use director::vrrp::Plan;
use network::{Host, cable};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A host with one interface, whose other end is on a second one.
fn hosts() -> [Host; 2] {
    let hosts = ["review", "neighbour"].map(Host::new);
    cable(&hosts[0], "eth0", &hosts[1], "eth0");
    hosts[0].ip(
        "address add 192.0.2.10/24 dev eth0\naddress add 2001:db8::10/64 dev eth0\n\
         address add 198.51.100.1/28 dev lo\nlink set eth0 mtu 1400\n\
         route add default via 192.0.2.254\nroute add local 203.0.113.0/24 dev lo table 100",
    );
    hosts
}

#[test]
#[ignore = "needs root, for network namespaces"]
fn a_host_is_seen_as_it_is() {
    let [host, _other] = hosts();
    host.sysctl("ipv4/ip_forward", "1");
    host.sysctl("ipv4/conf/eth0/rp_filter", "2");
    host.sysctl("ipv4/conf/all/rp_filter", "1");
    let found = host.enter(review::Host::look);

    let names = found.interfaces.iter().flatten();
    let names: Vec<_> = names.map(|it| it.name.as_str()).collect();
    assert!(
        names.contains(&"lo") && names.contains(&"eth0"),
        "{names:?}"
    );
    let eth0 = found.interface("eth0").unwrap();
    assert!(eth0.is_up && eth0.is_asked(), "{eth0:?}");
    assert_eq!((eth0.mtu, eth0.kind.as_deref()), (1400, Some("veth")));
    assert!(found.interface("lo").unwrap().is_loopback);
    for (address, length) in [("192.0.2.10", 24), ("2001:db8::10", 64)] {
        let address = InterfaceAddress::new(ip(address), length);
        assert!(eth0.addresses.contains(&address), "{eth0:?}");
    }

    assert_eq!(found.number("ipv4/ip_forward"), Some(1));
    assert_eq!(found.number("ipv4/conf/eth0/rp_filter"), Some(2));
    assert_eq!(found.larger("eth0", "rp_filter"), Some(2));
    assert_eq!(found.larger("lo", "rp_filter"), Some(1));

    // All of a network on lo is local, and so is what a route of another table says.
    for (address, is_local) in [
        ("192.0.2.10", true),
        ("192.0.2.11", false),
        ("198.51.100.5", true),
        ("198.51.100.16", false),
        ("203.0.113.200", true),
        ("2001:db8::10", true),
        ("2001:db8::11", false),
    ] {
        assert_eq!(found.is_local(ip(address)), is_local, "{address}");
    }
    let route = |to: &str| {
        found
            .route(ip(to))
            .map(|it| (it.gateway, it.interface.as_str()))
    };
    assert_eq!(route("192.0.2.77"), Some((None, "eth0")));
    assert_eq!(route("10.9.9.9"), Some((Some(ip("192.0.2.254")), "eth0")));
    assert_eq!(route("2001:db8::77"), Some((None, "eth0")));

    let may = found.capabilities.unwrap();
    assert!(may.net_admin && may.net_raw, "{may:?}");
    assert!(found.program.is_some_and(|path| path.is_absolute()));
}

const MARKED: &str = "virtual_server fwmark 3 {\n  lb_algo rr\n  lb_kind DR\n  real_server 10.0.0.2 {\n  \
                      }\n}\n";

const ROUTED: &str = "vrrp_instance VI_1 {\n  interface eth0\n  virtual_router_id 51\n  \
                      virtual_ipaddress {\n    192.0.2.1/32 dev lo\n  }\n}\n";

#[test]
#[ignore = "needs root, for network namespaces"]
fn rules_and_settings_are_looked_at_where_they_matter() {
    let [host, _other] = hosts();
    host.sysctl("ipv4/conf/eth0/arp_ignore", "1");
    host.sysctl("ipv4/conf/eth0/proxy_arp", "1");
    host.enter(|| {
        for arguments in [
            &["add", "table", "inet", "lvs"][..],
            &["add chain inet lvs pre { type filter hook prerouting priority mangle; }"],
            &["add rule inet lvs pre ip daddr 192.0.2.1 meta mark set 3"],
            &["add rule inet lvs pre ip daddr 192.0.2.2 meta mark set meta mark or 0x10"],
        ] {
            let status = Command::new("nft").args(arguments).status().unwrap();
            assert!(status.success(), "{arguments:?}");
        }
    });
    let look = |text: &str| {
        let config = Config::parse("t.conf", text);
        let plan = Plan::new(&config);
        let found = host.enter(|| review::Host::look_for(&Subject::new(&config, &plan)));
        (review::review(&Subject::new(&config, &plan), &found), found)
    };

    let (_, found) = look(MARKED);
    let marks = found.marks.unwrap();
    assert_eq!((marks.set, marks.partly), ([3].into(), [16].into()));
    assert!(found.routers.is_empty());

    let (findings, found) = look(ROUTED);
    assert_eq!(found.marks, None);
    assert_eq!(found.routers.len(), 2, "{:?}", found.routers);
    let codes: Vec<_> = findings.iter().map(|it| it.code).collect();
    assert!(codes.contains(&"arp-ignored"), "{codes:?}");
    assert!(codes.contains(&"proxy-arp"), "{codes:?}");
}

/// OP-14: marks are set by rules of the user's own, which the review proposes.
#[test]
#[ignore = "needs root, for network namespaces"]
fn proposed_rules_give_the_marks_that_were_missing() {
    let [host, _other] = hosts();
    let text = format!("{}{MARKED}", ROUTED.replace("/32 dev lo", "/24"));
    let config = Config::parse("t.conf", &text);
    let plan = Plan::new(&config);
    let subject = Subject::new(&config, &plan);
    let unset = || {
        let found = host.enter(|| review::Host::look_for(&subject));
        let findings = review::review(&subject, &found);
        findings.into_iter().find(|it| it.code == "mark-unset")
    };
    let finding = unset().unwrap();
    assert_eq!(finding.fixes.len(), 3, "{finding}");
    for fix in &finding.fixes {
        let line = fix.to_string();
        let mut command = Command::new("sh");
        let status = host
            .enter(|| command.args(["-ec", &line]).status())
            .unwrap();
        assert!(status.success(), "{line}");
    }
    assert_eq!(unset(), None);
}
