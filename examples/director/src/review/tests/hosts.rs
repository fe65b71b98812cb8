//! What has to be there, and addresses.

use lvs_vrrp::net::sysctl::Finding as RouterFinding;

use super::*;

fn without(name: &str) -> Host {
    let mut host = host();
    let interfaces = host.interfaces.as_mut().unwrap();
    interfaces.retain(|interface| interface.name != name);
    host
}

fn down(name: &str) -> Host {
    let mut host = host();
    let mut interfaces = host.interfaces.iter_mut().flatten();
    interfaces.find(|it| it.name == name).unwrap().is_up = false;
    host
}

#[test]
fn ipvs_that_is_missing() {
    let missing = Host {
        ipvs: Some(Ipvs::Missing),
        ..host()
    };
    let found = the("no-ipvs", &dr("10.0.0.2 80", ""), &missing);
    is(&found, Severity::Fails, 1, &["modprobe ip_vs"]);
    none("no-ipvs", &dr("10.0.0.2 80", ""), &host());
    none("no-ipvs", &dr("10.0.0.2 80", ""), &Host::default());
    none("no-ipvs", &router("192.0.2.1/24"), &missing);
}

#[test]
fn privileges_that_are_missing() {
    let may = |bits| Host {
        capabilities: Some(Capabilities::from_bits(bits)),
        program: Some("/usr/bin/director".into()),
        ..host()
    };
    let fix = ["setcap cap_net_raw,cap_net_admin+ep '/usr/bin/director'"];
    let found = the("no-privilege", &dr("10.0.0.2 80", ""), &may(0));
    is(&found, Severity::Fails, 1, &fix);
    assert!(found.what.ends_with("lacks CAP_NET_ADMIN"), "{found}");
    let admin = 1 << 12;
    let found = the("no-privilege", &router("192.0.2.1/24"), &may(admin));
    assert!(found.what.ends_with("lacks CAP_NET_RAW"), "{found}");
    the(
        "no-privilege",
        &dr("10.0.0.2 80", "PING_CHECK {\n}"),
        &may(admin),
    );
    none(
        "no-privilege",
        &dr("10.0.0.2 80", "TCP_CHECK {\n}"),
        &may(admin),
    );
    none("no-privilege", &router("192.0.2.1/24"), &may(u64::MAX));
    none("no-privilege", "", &may(0));
}

#[test]
fn interfaces_that_are_missing_or_down() {
    let text = router("192.0.2.1/24");
    // Which one is meant instead cannot be known if there are several.
    is(
        &the("no-interface", &text, &without("eth0")),
        Severity::Fails,
        2,
        &[],
    );
    let mut one = without("eth0");
    one.interfaces
        .as_mut()
        .unwrap()
        .retain(|it| it.name != "eth2");
    let fix = ["t.conf:2: interface eth1    (in place of: interface eth0)"];
    is(&the("no-interface", &text, &one), Severity::Fails, 2, &fix);
    is(
        &the("link-down", &text, &down("eth0")),
        Severity::Fails,
        2,
        &["ip link set eth0 up"],
    );
    none("no-interface", &text, &host());
    none("link-down", &text, &host());
    none("no-interface", &text, &Host::default());
    let may_be_missing = format!("global_defs {{\n  dynamic_interfaces\n}}\n{text}");
    none("no-interface", &may_be_missing, &without("eth0"));

    for (device, fixes) in [
        ("tunl0", ["modprobe ipip", "ip link set tunl0 up"]),
        (
            "dummy7",
            ["ip link add dummy7 type dummy", "ip link set dummy7 up"],
        ),
        (
            "eth1.100",
            [
                "ip link add link eth1 name eth1.100 type vlan id 100",
                "ip link set eth1.100 up",
            ],
        ),
    ] {
        let text = router(&format!("192.0.2.1/32 dev {device}"));
        let found = the("no-interface", &text, &without("tunl0"));
        is(&found, Severity::Fails, 5, &fixes);
    }
    let placed = router("192.0.2.1/32 dev tunl0");
    none("no-interface", &placed, &host());
    none("device-down", &placed, &host());
    none("link-down", &placed, &down("tunl0"));
    let found = the("device-down", &placed, &down("tunl0"));
    is(&found, Severity::Advice, 5, &["ip link set tunl0 up"]);
    the(
        "link-down",
        &router("2001:db8::1/128 dev eth1"),
        &down("eth1"),
    );
    let of_daemon = format!("{}{}", sync(" id 3"), dr("10.0.0.2 80", ""));
    is(
        &the("no-interface", &of_daemon, &without("eth0")),
        Severity::Fails,
        2,
        &[],
    );
    none("no-interface", &of_daemon, &host());
}

/// OP-14: what is balanced is delivered locally.
#[test]
fn addresses_that_nobody_has() {
    let service = dr("10.0.0.2 80", "");
    let alone = service.replace("192.0.2.1 ", "192.0.2.77 ");
    let found = the("no-address", &alone, &host());
    is(
        &found,
        Severity::WorksBadly,
        1,
        &["ip address add 192.0.2.77/32 dev eth0"],
    );
    let routed = format!("{}{alone}", router("192.0.2.1/24"));
    let found = the("no-address", &routed, &host());
    is(
        &found,
        Severity::WorksBadly,
        8,
        &["192.0.2.77/32    (in the block at t.conf:4)"],
    );
    none(
        "no-address",
        &alone,
        &give(host(), "tunl0", "192.0.2.77", 32),
    );
    none("no-address", &routed.replace("2.1/24", "2.77/24"), &host());
    none("no-address", &alone, &Host::default());
    let mut delivered = host();
    let network = InterfaceAddress::new("192.0.2.64".parse().unwrap(), 26);
    delivered.local = Some(vec![network]);
    none("no-address", &alone, &delivered);
}

/// OP-7: neighbour solicitations are answered where the address is.
#[test]
fn ipv6_addresses_where_neighbours_do_not_find_them() {
    let text = router("fe80::1\n    2001:db8::1/128 dev lo preferred_lft forever");
    let found = the("ipv6-off-link", &text, &host());
    let fix = "t.conf:6: 2001:db8::1/128 preferred_lft forever    (in place of: 2001:db8::1/128 dev lo \
               preferred_lft forever)";
    is(&found, Severity::Fails, 6, &[fix]);
    assert!(found.is_refused);
    the("ipv6-off-link", &text, &Host::default());
    the(
        "ipv6-off-link",
        &text.replace("dev lo", "dev tunl0"),
        &host(),
    );
    none(
        "ipv6-off-link",
        &text.replace("dev lo", "dev eth1"),
        &host(),
    );
    none("ipv6-off-link", &text.replace(" dev lo", ""), &host());
    none("ipv6-off-link", &router("192.0.2.1/32 dev lo"), &host());
}

/// OP-6, OP-16: what the library of virtual routers finds.
#[test]
fn settings_in_the_way_of_virtual_routers() {
    let finds = |found: RouterFinding, path: &str, value: &str| Host {
        routers: vec![found],
        ..with(path, value)
    };
    let text = router("192.0.2.1/32 dev lo");
    let ignored = RouterFinding::ArpIgnored {
        device: "eth0".into(),
        setting_of: "all".into(),
        value: 1,
        address: "192.0.2.1".parse().unwrap(),
        holder: "lo".into(),
    };
    let host_of = finds(ignored, "ipv4/conf/all/arp_ignore", "1");
    let fix = ["sysctl -w net.ipv4.conf.all.arp_ignore=0"];
    is(
        &the("arp-ignored", &text, &host_of),
        Severity::Fails,
        1,
        &fix,
    );
    none("arp-ignored", &text, &host());

    let proxy = RouterFinding::ProxyArp {
        device: "eth0".into(),
        setting: "proxy_arp",
    };
    let host_of = finds(proxy, "ipv4/conf/eth0/proxy_arp", "1");
    let fix = ["sysctl -w net.ipv4.conf.eth0.proxy_arp=0"];
    is(
        &the("proxy-arp", &text, &host_of),
        Severity::WorksBadly,
        1,
        &fix,
    );
    none("proxy-arp", &text, &host());

    let filtered = RouterFinding::RpFilterOfAll {
        device: "vrrp.51".into(),
        value: 1,
    };
    let mut host_of = finds(filtered, "ipv4/conf/all/rp_filter", "1");
    set(&mut host_of, "ipv4/conf/eth0/rp_filter", "0");
    let text = text.replace("interface", "use_vmac\n  interface");
    let fixes = [
        "sysctl -w net.ipv4.conf.eth0.rp_filter=1",
        "sysctl -w net.ipv4.conf.all.rp_filter=0",
    ];
    is(
        &the("rp-filter", &text, &host_of),
        Severity::WorksBadly,
        1,
        &fixes,
    );
    none("rp-filter", &text, &host());
}

/// OP-17: two nodes can split.
#[test]
fn two_nodes_without_arbitration() {
    let text = router("192.0.2.1/24");
    let mut routed = host();
    let default = InterfaceAddress::new("0.0.0.0".parse().unwrap(), 0);
    let gateway = Some("192.0.2.254".parse().unwrap());
    routed.routes = Some(vec![Route::new(default, gateway, "eth0".to_owned())]);
    let found = the("no-arbitration", &text, &routed);
    assert_eq!((found.severity, found.fixes.len()), (Severity::Advice, 2));
    let shown = found.to_string();
    assert!(shown.contains("ping -c 1 -W 1 192.0.2.254\""), "{shown}");
    the("no-arbitration", &text, &Host::default());
    let peers = |peers: &str| {
        text.replace(
            "interface",
            &format!("unicast_peer {{\n{peers}\n}}\n  interface"),
        )
    };
    the("no-arbitration", &peers("192.0.2.11"), &host());
    none("no-arbitration", &peers("192.0.2.11\n192.0.2.12"), &host());
    let script = "vrrp_script router {\n  script /bin/true\n}\n";
    let tracked = text.replace("interface", "track_script {\n    router\n  }\n  interface");
    none("no-arbitration", &format!("{script}{tracked}"), &host());
    none("no-arbitration", &dr("10.0.0.2 80", ""), &host());
}
