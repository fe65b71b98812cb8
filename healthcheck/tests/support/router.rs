//! A router, and all that is behind it.

use super::elsewhere::Elsewhere;
use super::namespace::run;

/// Another namespace, behind a virtual cable: 10.9.0.1 and fd09::1 here, 10.9.0.2 and fd09::2
/// there, which is also the way to everywhere.
#[derive(Debug)]
pub(super) struct Router(Elsewhere);

impl Router {
    pub(super) fn new() -> Self {
        let router = Self(Elsewhere::new());
        run("ip link add near type veth peer name far");
        let there = router.0.id();
        run(&format!("ip link set far netns {there}"));
        run("ip addr add 10.9.0.1/24 dev near");
        run("ip addr add fd09::1/64 dev near nodad");
        run("ip link set near up");
        for line in [
            "ip addr add 10.9.0.2/24 dev far",
            "ip addr add fd09::2/64 dev far nodad",
            "ip link set far up",
            "ip link set lo up",
            "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
            // A kernel sends one host a few errors only, and then one in a second.
            "sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0",
        ] {
            router.run(line);
        }
        run("ip route add default via 10.9.0.2");
        run("ip route add default via fd09::2");
        router
    }

    /// Runs a command line on the other side.
    pub(super) fn run(&self, line: &str) {
        run(&format!("nsenter --target {} --net {line}", self.0.id()));
    }
}
