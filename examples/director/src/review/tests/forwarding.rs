//! Marks, NAT, tunnels.

use super::*;

fn marked(marks: &[u32], partly: &[u32], has_others: bool) -> Host {
    Host {
        marks: Some(Marks {
            set: marks.iter().copied().collect(),
            partly: partly.iter().copied().collect(),
            has_others,
        }),
        ..host()
    }
}

/// What was not seen is said, and no finding is made of it.
#[test]
fn programs_that_do_not_answer() {
    let text = service("fwmark 3", "lb_kind DR", "10.0.0.2", "");
    let mut blind = host();
    blind.unanswered = vec!["nft list ruleset".to_owned()];
    let found = the("no-answer", &text, &blind);
    is(&found, Severity::Advice, 1, &["nft list ruleset"]);
    assert_eq!(found.rule, "OP-14");
    none("mark-unset", &text, &blind);
    none("no-answer", &text, &host());
}

/// OP-14: rules are the user's, and the whole mark is compared.
#[test]
fn marks_that_no_rule_sets() {
    let text = format!(
        "{}{}",
        router("192.0.2.1/24"),
        service("fwmark 3", "lb_kind DR", "10.0.0.2", "")
    );
    let found = the("mark-unset", &text, &marked(&[4], &[], false));
    let fixes = [
        "nft add table inet lvs",
        "nft 'add chain inet lvs prerouting { type filter hook prerouting priority mangle; }'",
        "nft add rule inet lvs prerouting ip daddr 192.0.2.1 meta mark set 3",
    ];
    is(&found, Severity::Fails, 8, &fixes);
    let found = the("mark-partly", &text, &marked(&[], &[3], false));
    is(&found, Severity::WorksBadly, 8, &fixes);
    let group = text.replace("fwmark 3 {", "group G {");
    let group = format!("virtual_server_group G {{\n  fwmark 5\n}}\n{group}");
    the("mark-unset", &group, &marked(&[3], &[], false));
    for fine in [marked(&[3], &[], false), marked(&[], &[], true), host()] {
        none("mark-unset", &text, &fine);
        none("mark-partly", &text, &fine);
    }
}

/// OP-15: the gateway of real servers moves with the virtual addresses.
#[test]
fn gateways_of_real_servers() {
    let text = format!("{}{}", router("192.0.2.1/24"), nat("10.0.0.2 80", ""));
    let found = the("nat-gateway", &text, &host());
    let fixes = [
        "10.0.0.254/24 dev eth1    (in the block at t.conf:4)",
        "ip route replace default via 10.0.0.254    (on the real server)",
    ];
    is(&found, Severity::WorksBadly, 12, &fixes);
    // One that is known to be somebody's is not proposed.
    let taken = text.replace("10.0.0.2 80", "10.0.0.2 80 {\n}\nreal_server 10.0.0.254 80");
    let found = the("nat-gateway", &taken, &host());
    assert!(
        found.to_string().contains("10.0.0.253/24 dev eth1"),
        "{found}"
    );
    let has = text.replace("192.0.2.1/24", "192.0.2.1/24\n    10.0.0.1/24 dev eth1");
    for fine in [
        has.as_str(),
        &nat("10.0.0.2 80", ""),
        &text.replace("NAT", "DR"),
        &text.replace("10.0.0.2", "198.51.100.2"),
    ] {
        none("nat-gateway", fine, &host());
    }
    none("nat-gateway", &text, &Host::default());
}

/// OP-15: in the same group.
#[test]
fn gateways_that_move_by_themselves() {
    let second = router("10.0.0.1/24")
        .replace("VI_1", "VI_2")
        .replace("eth0", "eth1");
    let text = format!(
        "{}{second}{}",
        router("192.0.2.1/24"),
        nat("10.0.0.2 80", "")
    );
    let found = the("nat-groups", &text, &host());
    let group = "vrrp_sync_group NAT {\n  group {\n    VI_1\n    VI_2\n  }\n}";
    is(
        &found,
        Severity::WorksBadly,
        8,
        &[&format!("{group}    (in the configuration)")],
    );
    none("nat-groups", &format!("{group}\n{text}"), &host());
    none("nat-gateway", &text, &host());
}

/// OP-15: one network for clients and real servers.
#[test]
fn clients_next_to_real_servers() {
    let mut redirects = with("ipv4/conf/all/send_redirects", "1");
    set(&mut redirects, "ipv4/conf/eth0/send_redirects", "1");
    let text = nat("192.0.2.50 80", "");
    let found = the("nat-one-network", &text, &redirects);
    let fixes = [
        "sysctl -w net.ipv4.conf.all.send_redirects=0",
        "sysctl -w net.ipv4.conf.eth0.send_redirects=0",
    ];
    is(&found, Severity::WorksBadly, 5, &fixes);
    none("nat-one-network", &text, &host());
    none("nat-one-network", &text, &Host::default());
    none("nat-one-network", &nat("10.0.0.2 80", ""), &redirects);
    none("nat-one-network", &dr("192.0.2.50 80", ""), &redirects);
}

fn tunnel(server: &str) -> String {
    service("192.0.2.1 80", "lb_kind TUN\n  protocol TCP", server, "")
}

/// OP-16: the larger one of two settings counts.
#[test]
fn filters_behind_tunnels() {
    let strict = |value: &str| {
        let mut host = with("ipv4/conf/all/rp_filter", value);
        set(&mut host, "ipv4/conf/eth0/rp_filter", "0");
        set(&mut host, "ipv4/conf/tunl0/rp_filter", "1");
        host
    };
    let alone = tunnel("10.0.0.10 80");
    let own = format!("{alone}{}", router("192.0.2.1/24"));
    let found = the("tunnel-rp-filter", &own, &strict("1"));
    let fixes = [
        "sysctl -w net.ipv4.conf.eth0.rp_filter=1",
        "sysctl -w net.ipv4.conf.all.rp_filter=0",
        "sysctl -w net.ipv4.conf.tunl0.rp_filter=0",
    ];
    is(&found, Severity::Fails, 5, &fixes);
    let found = the("tunnel-rp-filter", &own, &strict("0"));
    is(
        &found,
        Severity::Fails,
        5,
        &["sysctl -w net.ipv4.conf.tunl0.rp_filter=0"],
    );
    let loose = the("tunnel-rp-filter", &own, &strict("2"));
    assert_eq!(loose.severity, Severity::WorksBadly);
    let held = format!(
        "{}{}",
        router("192.0.2.1/32 dev tunl0"),
        tunnel("10.0.0.2 80")
    );
    let found = the("tunnel-rp-filter", &held, &strict("1"));
    assert_eq!(found.severity, Severity::WorksBadly);
    none("tunnel-rp-filter", &own, &host());
    none("tunnel-rp-filter", &alone, &strict("1"));
    none("tunnel-rp-filter", &tunnel("10.0.0.2 80"), &strict("1"));
    none("tunnel-rp-filter", &dr("10.0.0.10 80", ""), &strict("1"));
}

/// OP-16: large receive offload.
#[test]
fn cards_that_merge_packets() {
    let merging = |merges| {
        let mut host = host();
        let mut interfaces = host.interfaces.iter_mut().flatten();
        interfaces
            .find(|it| it.name == "eth0")
            .unwrap()
            .merges_packets = merges;
        host
    };
    let found = the("tunnel-lro", &tunnel("10.0.0.2 80"), &merging(Some(true)));
    is(
        &found,
        Severity::WorksBadly,
        1,
        &["ethtool -K eth0 lro off"],
    );
    none("tunnel-lro", &tunnel("10.0.0.2 80"), &merging(Some(false)));
    none("tunnel-lro", &tunnel("10.0.0.2 80"), &merging(None));
    none("tunnel-lro", &dr("10.0.0.2 80", ""), &merging(Some(true)));
}

/// OP-16: the tunnel's header makes packets too large.
#[test]
fn what_real_servers_behind_tunnels_need() {
    let found = the("tunnel-servers", &tunnel("10.0.0.2 80"), &host());
    assert_eq!((found.severity, found.fixes.len()), (Severity::Advice, 4));
    assert!(found.what.contains("more than 1480 bytes"), "{found}");
    let clamp = "nft add rule inet lvs output ip saddr 192.0.2.1 tcp flags syn tcp option maxseg size set \
                 1440    (on the real server)";
    assert_eq!(found.fixes[2].to_string(), clamp);
    let gue = tunnel("10.0.0.2 80").replace("TUN", "TUN type gue port 6080");
    let found = the("tunnel-servers", &gue, &host());
    assert!(found.what.contains("more than 1468 bytes"), "{found}");
    none("tunnel-servers", &dr("10.0.0.2 80", ""), &host());
    none("tunnel-servers", &tunnel("10.0.0.2 80"), &Host::default());
    // Nothing has to be made smaller where larger packets fit.
    let mut jumbo = host();
    for interface in jumbo.interfaces.iter_mut().flatten() {
        interface.mtu = if interface.name == "eth1" { 1520 } else { 1500 };
    }
    none("tunnel-servers", &tunnel("10.0.0.2 80"), &jumbo);
}

/// Specification 2.0: direct routing reaches neighbours only.
#[test]
fn servers_behind_a_router() {
    let route = |network: &str, length, gateway: Option<&str>| {
        let network = InterfaceAddress::new(network.parse().unwrap(), length);
        let gateway = gateway.map(|gateway| gateway.parse().unwrap());
        Route::new(network, gateway, "eth1".to_owned())
    };
    let mut routed = host();
    routed.routes = Some(vec![
        route("0.0.0.0", 0, Some("10.0.0.254")),
        route("10.0.0.0", 24, None),
        route("10.0.7.0", 24, None),
    ]);
    let found = the("not-on-link", &dr("10.0.8.2 80", ""), &routed);
    let fix = "lvs_method TUN    (in the block at t.conf:5)";
    is(&found, Severity::Fails, 5, &[fix]);
    let found = the("not-on-link", &dr("10.0.8.2 80", "lvs_method DR"), &routed);
    let fix = "t.conf:6: lvs_method TUN    (in place of: lvs_method DR)";
    is(&found, Severity::Fails, 5, &[fix]);
    // Next to the director; by a route without a router; the director itself; another method.
    for fine in ["10.0.0.2 80", "10.0.7.2 80", "192.0.2.10 80"] {
        none("not-on-link", &dr(fine, ""), &routed);
    }
    none("not-on-link", &tunnel("10.0.8.2 80"), &routed);
    none("not-on-link", &nat("10.0.8.2 80", ""), &routed);
    none("not-on-link", &dr("10.0.8.2 80", ""), &Host::default());
}
