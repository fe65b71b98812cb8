//! What the network answers, in network namespaces made for it: routes, routers, packet filters.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "support/elsewhere.rs"]
mod elsewhere;
#[path = "support/first.rs"]
mod first;
#[path = "support/namespace.rs"]
mod namespace;
#[path = "support/router.rs"]
mod router;

use core::time::Duration;
use std::process::Command;
use std::thread;

use lvs_healthcheck::probe::icmp::IcmpProbe;
use lvs_healthcheck::probe::udp::{Reply, UdpProbe};
use lvs_healthcheck::{Code, Outcome, Probe, Target, TcpProbe, Verdict};
use nix::sched::CloneFlags;

use self::first::{first_report, policy};
use self::namespace::{in_namespace, run};
use self::router::Router;

const SECOND: Duration = Duration::from_secs(1);

fn probe(target: Target) -> Outcome {
    outcome(TcpProbe::new(target), 8 * SECOND)
}

/// What one attempt of this probe finds out in this time.
fn outcome(probe: impl Probe + 'static, timeout: Duration) -> Outcome {
    let connect = timeout.min(5 * SECOND);
    let policy = policy().with_timeout(timeout).with_connect_timeout(connect);
    first_report(probe, policy).outcome
}

fn target(address: &str) -> Target {
    Target::new(address.parse().unwrap())
}

#[test]
#[ignore = "needs root: makes network namespaces"]
fn routes_of_this_host() {
    in_namespace(|| {
        for (v4, v6) in [("192.0.2.1", "2001:db8::1"), ("192.0.2.2", "2001:db8::2")] {
            let kind = if v4.ends_with('1') {
                "unreachable"
            } else {
                "prohibit"
            };
            run(&format!("ip route add {kind} {v4}"));
            run(&format!("ip route add {kind} {v6}"));
        }
        run("ip route add blackhole 192.0.2.3");
        run("ip route add blackhole 2001:db8::3");
        let rows = [
            ("192.0.2.1:80", Code::Unreachable),
            ("[2001:db8::1]:80", Code::Unreachable),
            ("192.0.2.2:80", Code::LocalDenied),
            ("[2001:db8::2]:80", Code::LocalDenied),
            ("192.0.2.3:80", Code::LocalNoRoute),
            ("[2001:db8::3]:80", Code::LocalNoRoute),
            ("192.0.2.4:80", Code::LocalNoRoute),
            ("[2001:db8::4]:80", Code::LocalNoRoute),
        ];
        for (address, code) in rows {
            let outcome = probe(target(address));
            assert_eq!(outcome.code, code, "{address}: {outcome}");
            assert_eq!(outcome.verdict, code.default_verdict());
        }
    });
}

#[test]
#[ignore = "needs root: makes network namespaces"]
fn mark_and_source_choose_the_route() {
    in_namespace(|| {
        let router = Router::new();
        run("ip rule add fwmark 7 prohibit");
        run("ip rule add from 10.9.0.9 prohibit");
        run("ip addr add 10.9.0.9/32 dev near");
        let plain = target("10.9.0.2:80");
        assert_eq!(probe(plain.clone()).code, Code::Refused);
        assert_eq!(probe(plain.clone().with_mark(8)).code, Code::Refused);
        assert_eq!(probe(plain.clone().with_mark(7)).code, Code::LocalDenied);
        let source = plain.clone().with_source("10.9.0.9".parse().unwrap());
        assert_eq!(probe(source).code, Code::LocalDenied);
        assert_eq!(probe(plain.with_device("near")).code, Code::Refused);
        run("ip addr add fe80::1/64 dev near nodad");
        router.run("ip addr add fe80::2/64 dev far nodad");
        let link_local = target("[fe80::2]:80");
        assert_eq!(
            probe(link_local.clone().with_device("near")).code,
            Code::Refused
        );
        let outcome = probe(link_local);
        assert_eq!(
            outcome.code,
            Code::LocalNoRoute,
            "no device, no scope: {outcome}"
        );
    });
}

#[test]
#[ignore = "needs root: makes network namespaces"]
fn answers_of_a_router() {
    in_namespace(|| {
        let router = Router::new();
        router.run("ip route add unreachable 192.0.2.1");
        router.run("ip route add prohibit 192.0.2.2");
        router.run("ip route add blackhole 192.0.2.3");
        router.run("ip route add prohibit 2001:db8::2");
        router.run("ip route add 192.0.2.4 via 10.9.0.1");
        for address in ["192.0.2.1:80", "192.0.2.2:80", "[2001:db8::2]:80"] {
            let outcome = probe(target(address));
            let from = if address.starts_with('[') {
                "fd09::2"
            } else {
                "10.9.0.2"
            };
            assert_eq!(outcome.code, Code::Unreachable, "{address}: {outcome}");
            let said = format!("by ICMP from {from}");
            assert!(outcome.detail.as_str().ends_with(&said), "{outcome}");
        }
        // A net without a route, here: the same errno as a route this host lacks.
        let outcome = probe(target("198.51.100.1:80"));
        assert_eq!(
            (outcome.code, outcome.verdict),
            (Code::Unreachable, Verdict::Fail),
            "{outcome}"
        );
        // One hop is not enough to get to the other side of a router.
        let outcome = probe(target("192.0.2.4:80").with_ttl(1));
        assert_eq!(outcome.code, Code::Unreachable, "time exceeded: {outcome}");
        assert_eq!(probe(target("192.0.2.3:80")).code, Code::TimeoutConnect);
    });
}

#[test]
#[ignore = "needs root: makes network namespaces"]
fn neighbour_that_does_not_answer_is_unreachable() {
    in_namespace(|| {
        let _router = Router::new();
        for address in ["10.9.0.77:80", "[fd09::77]:80"] {
            let outcome = probe(target(address));
            assert_eq!(outcome.code, Code::Unreachable, "{address}: {outcome}");
            assert_eq!(outcome.verdict, Verdict::Fail);
        }
    });
}

#[test]
#[ignore = "needs root and nft: makes network namespaces"]
fn packet_filters_here_and_there() {
    in_namespace(|| {
        let router = Router::new();
        run("nft add table inet t");
        run("nft add chain inet t out { type filter hook output priority 0 ; }");
        run("nft add rule inet t out tcp dport 1 reject");
        run("nft add rule inet t out tcp dport 2 reject with icmpx type admin-prohibited");
        run("nft add rule inet t out tcp dport 3 drop");
        router.run("nft add table inet t");
        router.run("nft add chain inet t in { type filter hook input priority 0 ; }");
        router.run("nft add rule inet t in tcp dport 4 reject");
        router.run("nft add rule inet t in tcp dport 5 reject with icmpx type host-unreachable");
        router.run("nft add rule inet t in tcp dport 6 reject with tcp reset");
        router.run("nft add rule inet t in tcp dport 7 drop");
        let rows = [
            (1, Code::LocalDenied),
            (2, Code::LocalDenied),
            (3, Code::TimeoutConnect),
            (4, Code::Refused),
            (5, Code::Unreachable),
            (6, Code::Refused),
            (7, Code::TimeoutConnect),
            (8, Code::Refused),
        ];
        for host in ["10.9.0.2", "[fd09::2]"] {
            for (port, code) in rows {
                let outcome = probe(target(&format!("{host}:{port}")));
                assert_eq!(outcome.code, code, "{host} {port}: {outcome}");
                let icmp = matches!(port, 1 | 2 | 4 | 5);
                assert_eq!(
                    outcome.detail.as_str().contains("by ICMP"),
                    icmp,
                    "{port}: {outcome}"
                );
            }
        }
    });
}

#[test]
#[ignore = "needs root and iproute2"]
fn echo_tells_hosts_that_answer_from_those_that_do_not() {
    in_namespace(|| {
        let router = Router::new();
        let echo = |address: &str| IcmpProbe::new(address.parse().unwrap());
        for address in ["10.9.0.2", "fd09::2"] {
            let outcome = outcome(echo(address), 5 * SECOND);
            assert_eq!(outcome.code, Code::Ok, "{address}: {outcome}");
            let spaced = echo(address)
                .with_count(3)
                .with_min_replies(3)
                .with_spacing(SECOND / 20);
            let outcome = self::outcome(spaced, 5 * SECOND);
            assert_eq!(outcome.code, Code::Ok, "{address}: {outcome}");
            assert!(
                outcome.timing.total >= Some(SECOND / 10),
                "{address}: {outcome}"
            );
        }
        router.run("sysctl -qw net.ipv4.icmp_echo_ignore_all=1");
        router.run("sysctl -qw net.ipv6.icmp.echo_ignore_all=1");
        for address in ["10.9.0.2", "fd09::2"] {
            let outcome = outcome(echo(address).with_count(2), SECOND);
            assert_eq!(outcome.code, Code::TimeoutIo, "{address}: {outcome}");
            assert!(
                outcome
                    .detail
                    .as_str()
                    .starts_with("0 replies to 2 requests")
            );
        }
        // Nobody answers its neighbour's question for these.
        for address in ["10.9.0.9", "fd09::9"] {
            let outcome = outcome(echo(address), 8 * SECOND);
            assert_eq!(outcome.code, Code::Unreachable, "{address}: {outcome}");
        }
    });
}

#[test]
#[ignore = "needs root, iproute2 and nftables"]
fn silence_over_udp_passes_and_what_the_network_says_fails() {
    in_namespace(|| {
        let router = Router::new();
        router.run("nft add table inet t");
        router.run("nft add chain inet t c { type filter hook input priority 0 ; }");
        router.run("nft add rule inet t c udp dport 5 drop");
        router.run("nft add rule inet t c udp dport 6 reject with icmpx type admin-prohibited");
        for host in ["10.9.0.2", "[fd09::2]"] {
            let at = |port: u16| UdpProbe::new(target(&format!("{host}:{port}")));
            let dropped = outcome(at(5), SECOND / 2);
            assert_eq!(dropped.code, Code::Ok, "{dropped}");
            let wanted = outcome(at(5).with_reply(Reply::any()), SECOND / 2);
            assert_eq!(wanted.code, Code::TimeoutIo, "{wanted}");
            let closed = outcome(at(7), 5 * SECOND);
            assert_eq!(closed.code, Code::Refused, "{closed}");
            let prohibited = outcome(at(6), 5 * SECOND);
            assert_eq!(prohibited.code, Code::Unreachable, "{prohibited}");
            assert!(prohibited.detail.as_str().starts_with("administratively"));
        }
        // A neighbour that is not there is found out in about three seconds.
        for address in ["10.9.0.9:7", "[fd09::9]:7"] {
            let outcome = outcome(UdpProbe::new(target(address)), 8 * SECOND);
            assert_eq!(outcome.code, Code::Unreachable, "{address}: {outcome}");
        }
    });
}

#[test]
#[ignore = "needs root, iproute2, nftables and iputils"]
fn errors_about_echo_requests_of_others_are_not_ours() {
    in_namespace(|| {
        let router = Router::new();
        router.run("nft add table inet t");
        router.run("nft add chain inet t c { type filter hook input priority 0 ; }");
        router.run("nft add rule inet t c ip ttl 9 icmp type echo-request reject");
        router.run("nft add rule inet t c ip6 hoplimit 9 icmpv6 type echo-request reject");
        for address in ["10.9.0.2", "fd09::2"] {
            let ours = IcmpProbe::new(address.parse().unwrap()).with_count(20);
            let ours = ours.with_min_replies(20).with_spacing(SECOND / 20);
            let namespace = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
            let others = thread::spawn(move || {
                nix::sched::setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
                let line = ["-q", "-c", "3", "-i", "0.2", "-t", "9", address];
                let said = Command::new("ping").args(line).output().unwrap();
                assert!(!said.status.success(), "nobody was refused anything");
            });
            let outcome = outcome(ours, 8 * SECOND);
            assert_eq!(outcome.code, Code::Ok, "{address}: {outcome}");
            others.join().unwrap();
            // Those about our own are heard.
            let refused = Target::new((address.parse::<core::net::IpAddr>().unwrap(), 1).into());
            let refused = IcmpProbe::new(address.parse().unwrap()).with_target(refused.with_ttl(9));
            let outcome = self::outcome(refused, 8 * SECOND);
            assert_eq!(outcome.code, Code::Refused, "{address}: {outcome}");
        }
    });
}

#[test]
#[ignore = "needs root, iproute2 and nftables"]
fn filter_of_this_host_is_known_where_anybody_may_answer() {
    in_namespace(|| {
        let router = Router::new();
        run("nft add table inet t");
        run("nft add chain inet t o { type filter hook output priority 0 ; }");
        run("nft add rule inet t o udp dport 5 reject");
        router.run("nft add table inet t");
        router.run("nft add chain inet t c { type filter hook input priority 0 ; }");
        router.run("nft add rule inet t c udp dport 6 reject");
        for host in ["10.9.0.2", "[fd09::2]"] {
            for (port, code) in [(5, Code::LocalDenied), (6, Code::Refused)] {
                let probe = UdpProbe::new(target(&format!("{host}:{port}")));
                for probe in [probe.clone().with_reply_from_any(), probe] {
                    let outcome = outcome(probe, 8 * SECOND);
                    assert_eq!(outcome.code, code, "{host} {port}: {outcome}");
                }
            }
        }
    });
}
