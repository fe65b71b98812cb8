//! Causes that need root: routes, routers, packet filters, limits of other users.

use std::os::unix::process::CommandExt;
use std::process;

use lvs_healthcheck::probe::command::Credentials;
use lvs_healthcheck::probe::udp::{Reply, UdpProbe};
use lvs_healthcheck::{Code, Command, CommandProbe, Outcome, Phase, Target, TcpProbe, Verdict};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::namespace::{in_namespace, run};
use super::router::Router;
use super::{LONG, Row, SECOND, outcome, row};

fn tcp(address: &str) -> Outcome {
    outcome(TcpProbe::new(Target::new(address.parse().unwrap())), LONG)
}

/// The packet filter of this host, told `rule` about everything that goes out.
fn filtered(rule: &'static str) -> Outcome {
    in_namespace(move || {
        run("nft add table inet t");
        run("nft add chain inet t out { type filter hook output priority 0 ; }");
        run(&format!("nft add rule inet t out {rule}"));
        tcp("127.0.0.1:80")
    })
}

/// A route of this host, and what is beyond it.
fn routed(route: &'static str) -> Outcome {
    in_namespace(move || {
        run(&format!("ip route add {route} 192.0.2.1"));
        tcp("192.0.2.1:80")
    })
}

/// A route of a router's.
fn routed_there(route: &'static str) -> Outcome {
    in_namespace(move || {
        let router = Router::new();
        router.run(&format!("ip route add {route} 192.0.2.1"));
        tcp("192.0.2.1:80")
    })
}

/// The device is there, but down, and so are its routes.
fn device_down() -> Outcome {
    in_namespace(|| {
        run("ip link add idle type veth peer name other");
        run("ip addr add 10.9.1.1/24 dev idle");
        tcp("10.9.1.2:80")
    })
}

/// A user who has a process and may have none more, which only `exec` finds out.
fn no_more_processes() -> Outcome {
    const USER: u32 = 54_321;
    let mut other = process::Command::new("sleep");
    let mut other = other.arg("60").uid(USER).spawn().unwrap();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NPROC).unwrap();
    setrlimit(Resource::RLIMIT_NPROC, 0, hard).unwrap();
    let command = Command::new("/bin/true").with_credentials(Credentials::new(USER, USER));
    let outcome = outcome(CommandProbe::new(command), LONG);
    setrlimit(Resource::RLIMIT_NPROC, soft, hard).unwrap();
    other.kill().unwrap();
    other.wait().unwrap();
    outcome
}

use Code::{LocalBind, LocalDenied, LocalNoRoute, Refused, Spawn, TimeoutConnect, Unreachable};
use Phase::{Bind, Connect, Process};
use Verdict::{Fail, Neutral};

pub(super) const TABLE: &[Row] = &[
    row(
        LocalBind,
        Bind,
        Neutral,
        "EADDRNOTAVAIL in a namespace",
        || {
            in_namespace(|| {
                let target = Target::new("127.0.0.1:80".parse().unwrap());
                let source = "10.9.0.1".parse().unwrap();
                outcome(TcpProbe::new(target.with_source(source)), LONG)
            })
        },
    ),
    row(
        LocalDenied,
        Connect,
        Neutral,
        "reject by the own packet filter",
        || filtered("tcp dport 80 reject"),
    ),
    row(
        LocalDenied,
        Connect,
        Neutral,
        "reject, administratively",
        || filtered("tcp dport 80 reject with icmpx type admin-prohibited"),
    ),
    row(
        LocalDenied,
        Connect,
        Neutral,
        "EACCES of a prohibiting route",
        || routed("prohibit"),
    ),
    row(
        LocalNoRoute,
        Connect,
        Neutral,
        "ENETUNREACH: no route",
        || in_namespace(|| tcp("192.0.2.1:80")),
    ),
    row(
        LocalNoRoute,
        Connect,
        Neutral,
        "EINVAL of a black hole",
        || routed("blackhole"),
    ),
    row(
        LocalNoRoute,
        Connect,
        Neutral,
        "a device that is down",
        device_down,
    ),
    row(
        Refused,
        Connect,
        Fail,
        "a router's side without a listener",
        || {
            in_namespace(|| {
                let _router = Router::new();
                tcp("10.9.0.2:80")
            })
        },
    ),
    row(
        Unreachable,
        Connect,
        Fail,
        "EHOSTUNREACH of a route here",
        || routed("unreachable"),
    ),
    row(Unreachable, Connect, Fail, "ICMP host unreachable", || {
        routed_there("unreachable")
    }),
    row(
        Unreachable,
        Connect,
        Fail,
        "ICMP administratively prohibited",
        || routed_there("prohibit"),
    ),
    row(
        Unreachable,
        Connect,
        Fail,
        "ICMP network unreachable",
        || {
            in_namespace(|| {
                let _router = Router::new();
                tcp("198.51.100.1:80")
            })
        },
    ),
    row(Unreachable, Connect, Fail, "no answer to ARP", || {
        in_namespace(|| {
            let _router = Router::new();
            tcp("10.9.0.77:80")
        })
    }),
    row(Unreachable, Connect, Fail, "ICMP about a datagram", || {
        in_namespace(|| {
            let router = Router::new();
            router.run("ip route add unreachable 192.0.2.1");
            let target = Target::new("192.0.2.1:80".parse().unwrap());
            outcome(UdpProbe::new(target).with_reply(Reply::any()), LONG)
        })
    }),
    row(TimeoutConnect, Connect, Fail, "no SYN/ACK: dropped", || {
        in_namespace(|| {
            let router = Router::new();
            router.run("ip route add blackhole 192.0.2.1");
            let target = Target::new("192.0.2.1:80".parse().unwrap());
            outcome(TcpProbe::new(target), SECOND)
        })
    }),
    row(
        Spawn,
        Process,
        Neutral,
        "EAGAIN: no more processes",
        no_more_processes,
    ),
];
