//! A director in a network namespace of its own, between clients and servers that are packets only.
//!
//! ```text
//! clients 10.0.0.0/10  ──┐ lo                                    dummy ┌── servers 10.128.0.0/9
//!         fd01::/16      └── virtual addresses 10.64.0.0/10, fd02::/16 ┘           fd03::/16
//! ```
//!
//! Both sides' packets are written to `lo` and both sides' packets leave by the dummy: to the
//! director they are hosts behind routers.

use std::io::Write;
use std::process::{Command, Stdio};
use std::{fs, panic, thread};

use lvs_ipvs::sysctl::RUN_ESTIMATION;
use lvs_ipvs::{Client, Namespace, Timeouts};
use nix::sched::{CloneFlags, unshare};

use super::wire::Wire;

const NETWORK: &str = "\
    link set lo up\n\
    link add outside type dummy\n\
    link set outside up\n\
    address add 10.0.0.1/32 dev outside\n\
    address add fd01::1/128 dev outside nodad\n\
    route add 10.0.0.0/8 dev outside\n\
    route add fd00::/8 dev outside\n\
    route add local 10.64.0.0/10 dev lo\n\
    route add local fd02::/16 dev lo\n";

/// Below `/proc/sys/net`: packets pass through, and each that is refused is answered.
const SYSCTLS: [(&str, &str); 4] = [
    ("ipv4/ip_forward", "1"),
    ("ipv6/conf/all/forwarding", "1"),
    // Which kinds of messages have a limited rate: none that comes here.
    ("ipv4/icmp_ratemask", "0"),
    ("ipv6/icmp/ratemask", "0"),
];

/// The kernel's own timeouts.
pub(crate) const LONG: Timeouts = timeouts(900, 120, 300);

/// What makes entries leave the table soon.
pub(crate) const SHORT: Timeouts = timeouts(1, 1, 1);

const fn timeouts(tcp: u32, fin: u32, udp: u32) -> Timeouts {
    Timeouts {
        tcp_secs: Some(tcp),
        tcp_fin_secs: Some(fin),
        udp_secs: Some(udp),
    }
}

/// What is needed to configure, feed and watch the IPVS of the namespace.
#[derive(Debug)]
pub(crate) struct Director {
    pub(crate) ipvs: Client,
    pub(crate) namespace: Namespace,
    pub(crate) wire: Wire,
}

impl Director {
    /// Runs something with a new director, which is gone afterwards with all that it knows.
    pub(crate) fn enter<T: Send>(work: impl FnOnce(&mut Self) -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| work(&mut Self::new()));
            inside
                .join()
                .unwrap_or_else(|panic| panic::resume_unwind(panic))
        })
    }

    /// Takes the thread into a new namespace.
    fn new() -> Self {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let mut ip = Command::new("ip")
            .args(["-batch", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut commands = ip.stdin.take().unwrap();
        commands.write_all(NETWORK.as_bytes()).unwrap();
        drop(commands);
        assert!(ip.wait().unwrap().success());
        for (key, value) in SYSCTLS {
            let path = format!("/proc/sys/net/{key}");
            fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        let namespace = Namespace::current().unwrap();
        // Where it can be: rates take time, and a 6.12 kernel was seen to fall over the thread that
        // estimates them in a namespace that goes away.
        match namespace.sysctls().unwrap().set(RUN_ESTIMATION, &false) {
            Err(lvs_ipvs::Error::Sysctl(error)) if error.is_absent() => {}
            done => done.unwrap(),
        }
        let mut ipvs = Client::connect().unwrap();
        ipvs.set_timeouts(LONG).unwrap();
        Self {
            ipvs,
            namespace,
            wire: Wire::open("lo", "outside"),
        }
    }
}
