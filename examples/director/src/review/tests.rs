//! Each finding with a configuration that has it, and some that have not.

mod forwarding;
mod hosts;
mod sync;

use core::net::IpAddr;

use super::*;
use crate::keepalived::Config;
use crate::vrrp::Plan;

/// Knows what the tests build on: two networks, sysctls as they should be.
fn host() -> Host {
    let mut host = Host {
        interfaces: Some(vec![
            interface("lo", &[("127.0.0.1", 8), ("::1", 128)]),
            interface("eth0", &[("192.0.2.10", 24), ("2001:db8::10", 64)]),
            interface("eth1", &[("10.0.0.10", 24)]),
            interface("eth2", &[]),
            interface("tunl0", &[]),
        ]),
        sysctls: Some(std::collections::BTreeMap::new()),
        ipvs: Some(Ipvs::Ready),
        daemons: Some(Vec::new()),
        capabilities: Some(Capabilities::from_bits(u64::MAX)),
        ..Host::default()
    };
    for interface in host.interfaces.iter_mut().flatten() {
        interface.is_loopback = interface.name == "lo";
        if interface.name == "tunl0" {
            interface.has_no_arp = true;
            interface.kind = Some("ipip".to_owned());
        }
    }
    for (path, value) in [
        ("ipv4/ip_forward", "1"),
        ("ipv6/conf/all/forwarding", "1"),
        ("ipv4/vs/expire_nodest_conn", "1"),
        ("ipv4/vs/expire_quiescent_template", "1"),
        ("ipv4/vs/conn_reuse_mode", "1"),
        ("ipv4/vs/backup_only", "0"),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/all/send_redirects", "0"),
        ("ipv4/conf/all/arp_ignore", "0"),
    ] {
        set(&mut host, path, value);
    }
    host
}

fn interface(name: &str, addresses: &[(&str, u8)]) -> Interface {
    let addresses = addresses
        .iter()
        .map(|(ip, length)| InterfaceAddress::new(ip.parse().unwrap(), *length));
    Interface {
        name: name.to_owned(),
        is_up: true,
        mtu: 1500,
        addresses: addresses.collect(),
        ..Interface::default()
    }
}

fn set(host: &mut Host, path: &str, value: &str) {
    let sysctls = host.sysctls.as_mut().unwrap();
    sysctls.insert(path.to_owned(), value.to_owned());
}

fn with(path: &str, value: &str) -> Host {
    let mut host = host();
    set(&mut host, path, value);
    host
}

fn give(mut host: Host, name: &str, ip: &str, length: u8) -> Host {
    let mut interfaces = host.interfaces.iter_mut().flatten();
    let interface = interfaces.find(|it| it.name == name).unwrap();
    let ip: IpAddr = ip.parse().unwrap();
    interface.addresses.push(InterfaceAddress::new(ip, length));
    host
}

fn findings(text: &str, host: &Host) -> Vec<Finding> {
    let config = Config::parse("t.conf", text);
    let plan = Plan::new(&config);
    let found = review(&Subject::new(&config, &plan), host);
    // Nothing else decides.
    let again = Config::parse("t.conf", text);
    let plan = Plan::new(&again);
    assert_eq!(review(&Subject::new(&again, &plan), &host.clone()), found);
    found
}

/// A service with one real server.
fn service(head: &str, lines: &str, server: &str, inside: &str) -> String {
    format!(
        "virtual_server {head} {{\n  lb_algo rr\n  {lines}\n  real_server {server} {{\n    \
         {inside}\n  }}\n}}\n"
    )
}

fn nat(server: &str, inside: &str) -> String {
    service(
        "192.0.2.1 80",
        "lb_kind NAT\n  protocol TCP",
        server,
        inside,
    )
}

fn dr(server: &str, inside: &str) -> String {
    service("192.0.2.1 80", "lb_kind DR\n  protocol TCP", server, inside)
}

/// A virtual router with its addresses.
fn router(addresses: &str) -> String {
    format!(
        "vrrp_instance VI_1 {{\n  interface eth0\n  virtual_router_id 51\n  virtual_ipaddress {{\n    \
         {addresses}\n  }}\n}}\n"
    )
}

fn sync(rest: &str) -> String {
    format!("global_defs {{\n  lvs_sync_daemon eth0{rest}\n}}\n")
}

/// The finding with that code, which must be there once.
#[track_caller]
fn the(code: &str, text: &str, host: &Host) -> Finding {
    let found = findings(text, host);
    let mut with_code = found.iter().filter(|it| it.code == code);
    let (one, more) = (with_code.next(), with_code.next());
    let one = one.unwrap_or_else(|| panic!("no {code} in {found:#?} of\n{text}"));
    assert_eq!(more, None, "{code} twice");
    assert!(
        !one.what.is_empty() && !one.why.is_empty() && !one.rule.is_empty(),
        "{one:?}"
    );
    assert!(one.position.is_some(), "{one:?}");
    one.clone()
}

#[track_caller]
fn none(code: &str, text: &str, host: &Host) {
    let found = findings(text, host);
    assert!(
        found.iter().all(|it| it.code != code),
        "{found:#?} of\n{text}"
    );
}

/// Severity, line and fixes of a finding.
#[track_caller]
fn is(found: &Finding, severity: Severity, line: u32, fixes: &[&str]) {
    let of = found.fixes.iter().map(ToString::to_string);
    let position = found.position.as_ref().map(|at| at.line);
    assert_eq!(
        (found.severity, position, of.collect::<Vec<_>>()),
        (
            severity,
            Some(line),
            fixes.iter().map(ToString::to_string).collect()
        ),
        "{found}"
    );
}

/// Specification 3.1: only masquerading changes ports.
#[test]
fn ports_that_only_nat_would_translate() {
    let of_tunnel = service(
        "192.0.2.1 80",
        "lb_kind TUN\nprotocol TCP",
        "10.0.0.2 8080",
        "",
    );
    let found = the("port-differs", &dr("10.0.0.2 8080", ""), &host());
    is(
        &found,
        Severity::Fails,
        5,
        &["t.conf:5: real_server 10.0.0.2 80    (in place of: real_server 10.0.0.2 8080)"],
    );
    the("port-differs", &of_tunnel, &Host::default());
    let sorry = dr(
        "10.0.0.2 80",
        "}\nsorry_server 10.0.0.3 81\nreal_server 10.0.0.4 80 {",
    );
    let found = the("port-differs", &sorry, &host());
    assert!(
        found.what.starts_with("sorry_server 10.0.0.3 port 81"),
        "{found}"
    );
    for fine in [
        nat("10.0.0.2 8080", ""),
        dr("10.0.0.2 80", ""),
        dr("10.0.0.2", ""),
        service("fwmark 3", "lb_kind DR", "10.0.0.2 8080", ""),
        dr("10.0.0.2 8080", "lvs_method NAT"),
    ] {
        none("port-differs", &fine, &host());
    }
}

#[test]
fn networks_on_lo() {
    let found = the("lo-prefix", &router("192.0.2.1/24 dev lo"), &host());
    let fix = "t.conf:5: 192.0.2.1/32 dev lo    (in place of: 192.0.2.1/24 dev lo)";
    is(&found, Severity::Fails, 5, &[fix]);
    the(
        "lo-prefix",
        &router("192.0.2.1/24 dev lo"),
        &Host::default(),
    );
    let by_hand = give(host(), "lo", "192.0.2.1", 24);
    let found = the("lo-prefix", &dr("10.0.0.2 80", ""), &by_hand);
    let fixes = [
        "ip address del 192.0.2.1/24 dev lo",
        "ip address add 192.0.2.1/32 dev lo",
    ];
    is(&found, Severity::Fails, 1, &fixes);
    let fine = give(host(), "lo", "192.0.2.1", 32);
    none("lo-prefix", &dr("10.0.0.2 80", ""), &fine);
    none("lo-prefix", &router("192.0.2.1/32 dev lo"), &host());
    none("lo-prefix", &router("192.0.2.1/24 dev eth0"), &host());
    none(
        "lo-prefix",
        &dr("10.0.0.2 80", ""),
        &give(host(), "lo", "192.0.2.9", 24),
    );
}

/// OP-18: a check of an address of the director tests the director.
#[test]
fn checks_of_the_director_itself() {
    let check = "TCP_CHECK {\n      connect_ip 192.0.2.1\n    }";
    let found = the("self-check", &dr("10.0.0.2 80", check), &host());
    let fix = "t.conf:7: connect_ip 10.0.0.2    (in place of: connect_ip 192.0.2.1)";
    is(&found, Severity::Fails, 7, &[fix]);
    the("self-check", &dr("10.0.0.2 80", check), &Host::default());
    let local = check.replace("192.0.2.1", "192.0.2.10");
    the("self-check", &dr("10.0.0.2 80", &local), &host());
    let marked = check.replace("connect_ip", "fwmark 9\nconnect_ip");
    for fine in [
        dr("10.0.0.2 80", "TCP_CHECK {\n}"),
        dr("10.0.0.2 80", &check.replace("192.0.2.1", "10.0.0.3")),
        dr("10.0.0.2 80", &marked),
        // This host is a real server itself.
        dr("10.0.0.10 80", "TCP_CHECK {\n}"),
    ] {
        none("self-check", &fine, &host());
    }
    none("self-check", &dr("10.0.0.2 80", &local), &Host::default());
}

/// OP-18, for scripts.
#[test]
fn scripts_that_are_given_a_virtual_address() {
    let text = |words: &str| {
        let check = format!("MISC_CHECK {{\n      misc_path \"/bin/check {words}\"\n    }}");
        dr("10.0.0.2 80", &check)
    };
    let fix = "t.conf:7: 10.0.0.2    (in place of: 192.0.2.1)";
    let found = the("self-check", &text("-H 192.0.2.1 80"), &host());
    is(&found, Severity::Advice, 7, &[fix]);
    the("self-check", &text("192.0.2.1:80"), &Host::default());
    none("self-check", &text("-H 10.0.0.2 80"), &host());
    none("self-check", &text("--source 192.0.2.10"), &host());
}

/// OP-9: the preset of `lvs-ipvs`, by what is configured.
#[test]
fn sysctls_that_a_director_wants() {
    let closed = with("ipv4/ip_forward", "0");
    let found = the("sysctl", &nat("10.0.0.2 80", ""), &closed);
    is(
        &found,
        Severity::Fails,
        5,
        &["sysctl -w net.ipv4.ip_forward=1"],
    );
    none("sysctl", &dr("10.0.0.2 80", ""), &closed);
    none("sysctl", &nat("10.0.0.2 80", ""), &Host::default());

    let v6 = nat("2001:db8::2 80", "").replace("192.0.2.1", "2001:db8::1");
    let found = the("sysctl", &v6, &with("ipv6/conf/all/forwarding", "0"));
    is(
        &found,
        Severity::Fails,
        5,
        &["sysctl -w net.ipv6.conf.all.forwarding=1"],
    );

    let hangs = with("ipv4/vs/expire_nodest_conn", "0");
    let found = the("sysctl", &dr("10.0.0.2 80", "TCP_CHECK {\n}"), &hangs);
    is(
        &found,
        Severity::WorksBadly,
        1,
        &["sysctl -w net.ipv4.vs.expire_nodest_conn=1"],
    );
    none("sysctl", &dr("10.0.0.2 80", ""), &hangs);
    none(
        "sysctl",
        &dr("10.0.0.2 80", "inhibit_on_failure\nTCP_CHECK {\n}"),
        &hangs,
    );

    let sticks = with("ipv4/vs/expire_quiescent_template", "0");
    let persistent = "lb_kind DR\nprotocol TCP\npersistence_timeout 60";
    let inhibit = "inhibit_on_failure\nTCP_CHECK {\n}";
    the(
        "sysctl",
        &service("192.0.2.1 80", persistent, "10.0.0.2 80", inhibit),
        &sticks,
    );
    none("sysctl", &dr("10.0.0.2 80", inhibit), &sticks);
}

/// OP-10: UDP does not end at weight 0.
#[test]
fn udp_at_weight_0() {
    let udp = "lb_kind DR\n  protocol UDP";
    let check = "UDP_CHECK {\n}";
    let kept = service(
        "192.0.2.1 53",
        udp,
        "10.0.0.2 53",
        &format!("inhibit_on_failure\n{check}"),
    );
    let found = the("udp-weight-0", &kept, &host());
    let fix = "t.conf:6: inhibit_on_failure off    (in place of: inhibit_on_failure)";
    is(&found, Severity::WorksBadly, 6, &[fix]);
    for fine in [
        kept.replace("inhibit_on_failure", "inhibit_on_failure off"),
        kept.replace("protocol UDP", "protocol UDP\nops"),
        kept.replace("protocol UDP", "protocol TCP"),
        service("192.0.2.1 53", udp, "10.0.0.2 53", check),
    ] {
        none("udp-weight-0", &fine, &host());
    }
}

/// OP-12: with hashing schedulers failed servers keep their places.
#[test]
fn hashes_whose_order_changes() {
    let hashing = |scheduler: &str, lines: &str| {
        let text = dr("10.0.0.2 80", "TCP_CHECK {\n}");
        text.replace("lb_algo rr", &format!("lb_algo {scheduler}\n{lines}"))
    };
    let found = the("hash-order", &hashing("sh", ""), &host());
    let fixes = [
        "inhibit_on_failure    (in the block at t.conf:1)",
        "sh-fallback    (in the block at t.conf:1)",
    ];
    is(&found, Severity::WorksBadly, 1, &fixes);
    let found = the("hash-order", &hashing("mh", "inhibit_on_failure"), &host());
    let fix = "mh-fallback    (in the block at t.conf:1)";
    is(&found, Severity::WorksBadly, 1, &[fix]);
    is(
        &the("hash-order", &hashing("dh", ""), &host()),
        Severity::Advice,
        1,
        &[],
    );
    for fine in [
        hashing("sh", "inhibit_on_failure\nsh-fallback"),
        hashing("mh", "inhibit_on_failure\nmh-fallback"),
        hashing("dh", "inhibit_on_failure"),
        hashing("wrr", ""),
        hashing("sh", "sh-fallback").replace("TCP_CHECK {\n}", ""),
    ] {
        none("hash-order", &fine, &host());
    }
}

/// Specification 3.10, OP-3: the loop of local nodes.
#[test]
fn directors_that_are_each_others_servers() {
    let servers = dr("10.0.0.10 80", "}\nreal_server 10.0.0.11 80 {");
    let routed = format!("{}{servers}", router("192.0.2.1/24"));
    let found = the("local-loop", &routed, &host());
    let fixes = [
        "global_defs { lvs_sync_daemon eth0 inst VI_1 }    (in the configuration)",
        "sysctl -w net.ipv4.vs.backup_only=1",
    ];
    is(&found, Severity::WorksBadly, 12, &fixes);
    let daemon = |rest| format!("{}{routed}", sync(rest));
    let found = the("local-loop", &daemon(" id 1"), &host());
    assert_eq!(found.fixes.len(), 2, "{found}");
    let found = the("local-loop", &daemon(" inst VI_1"), &host());
    is(
        &found,
        Severity::WorksBadly,
        15,
        &["sysctl -w net.ipv4.vs.backup_only=1"],
    );
    none(
        "local-loop",
        &daemon(" inst VI_1"),
        &with("ipv4/vs/backup_only", "1"),
    );
    // Alone; with another forwarding method; by a mark; with no table on standby; elsewhere.
    none("local-loop", &servers, &host());
    none(
        "local-loop",
        &routed.replace("kind DR", "kind NAT"),
        &host(),
    );
    none(
        "local-loop",
        &routed.replace("192.0.2.1 80", "fwmark 3"),
        &host(),
    );
    none(
        "local-loop",
        &routed.replace("10.0.0.10", "10.0.0.12"),
        &host(),
    );
    let config = Config::parse("t.conf", &routed);
    let plan = Plan::new(&config);
    let found = review(&Subject::new(&config, &plan).with_empty_standby(), &host());
    assert!(found.iter().all(|it| it.code != "local-loop"), "{found:#?}");
}

/// Specification 1.3.4.
#[test]
fn checks_that_do_not_wait_for_the_kernel() {
    let check = |kind: &str, lines: &str| nat("10.0.0.2 80", &format!("{kind} {{\n{lines}\n}}"));
    let hasty = check("TCP_CHECK", "retry 0\nconnect_timeout 0.5");
    let found = the("short-timeout", &hasty, &host());
    let fix = "t.conf:8: connect_timeout 3    (in place of: connect_timeout 0.5)";
    is(&found, Severity::WorksBadly, 8, &[fix]);
    let inherited = hasty.replace("\nconnect_timeout 0.5", "");
    let inherited = inherited.replace("lb_kind", "connect_timeout 0.5\nlb_kind");
    let found = the("short-timeout", &inherited, &host());
    let fix = "connect_timeout 3    (in the block at t.conf:7)";
    is(&found, Severity::WorksBadly, 7, &[fix]);
    let silent = check("UDP_CHECK", "connect_timeout 3");
    let found = the("short-timeout", &silent, &host());
    assert_eq!(found.severity, Severity::Advice);
    for fine in [
        check("TCP_CHECK", "retry 1\nconnect_timeout 0.5"),
        check("TCP_CHECK", "retry 0\nconnect_timeout 1"),
        check("UDP_CHECK", "connect_timeout 4"),
        check("PING_CHECK", "retry 0\nconnect_timeout 0.5"),
        check("MISC_CHECK", "misc_path /bin/true"),
    ] {
        none("short-timeout", &fine, &host());
    }
}

#[test]
fn a_large_configuration_is_reviewed_once_for_each_network() {
    let mut text = router("192.0.2.1/24");
    for number in 0..300 {
        let servers = "TCP_CHECK {\n}\n}\nreal_server 10.0.0.3 80 {\nTCP_CHECK {\n}";
        let service = nat("10.0.0.2 80", servers);
        text += &service.replace("192.0.2.1 80", &format!("192.0.2.1 {}", 1000 + number));
    }
    let found = findings(&text, &with("ipv4/conf/all/send_redirects", "1"));
    let codes: Vec<_> = found.iter().map(|it| it.code).collect();
    assert_eq!(codes, ["nat-gateway", "no-arbitration"]);
}
