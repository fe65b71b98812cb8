//! The command line.

use core::net::IpAddr;
use core::time::Duration;
use std::path::PathBuf;

use clap::{ArgGroup, Parser, ValueEnum, value_parser};
use director::vrrp::run::Loop;
use lvs_vrrp::net::Lifetime;
use lvs_vrrp::net::addresses::TAG;
use lvs_vrrp::receive::Peer;
use lvs_vrrp::{Interval, Profile, Version, Vrid};

use crate::flags::{self, Address, Tracked};

const EXPLANATION: &str = "\
Examples:
  vrrpd --interface eth0 --vrid 51 --address 192.0.2.1/24 --priority 150
  vrrpd --interface eth0 --vrid 51 --address fe80::51 --address 2001:db8::51/64 --interval 100ms
  vrrpd --interface eth0 --vrid 51 --address 192.0.2.1/24 --version 2 --password s3cr3t
  vrrpd --interface eth0 --vrid 51 --address 192.0.2.1/24 --source 192.0.2.11 --peer 192.0.2.12
  vrrpd --use-file /etc/keepalived/keepalived.conf     virtual routers, groups, scripts, trackers
  vrrpd --check --use-file keepalived.conf             what would be run, and what would not

Signals:
  SIGHUP             read the file again; what is as it was goes on undisturbed, and a file with
                     errors changes nothing
  SIGUSR1            print how things are
  SIGTERM, SIGINT    resign, remove the addresses, end

A new version, or other flags, without an interruption: start it with --take-over, beside the one
that runs and with the same --tag, as the same user or root. It asks that one to leave everything as
it is (what keepalived's --dont-release-vrrp is for), goes on within milliseconds, and
the other ends with status 0. A virtual router is the same if interface, family and id are; one that
only the old one has is not resigned for: take it out of the file and reload first.
Scripts are told the states anew.

Accept mode: packets to the addresses are accepted while they are here. Who does not want that
(keepalived's no_accept) needs a packet filter, such as
  nft 'add table inet vrrp; add chain inet vrrp input { type filter hook input priority filter; }'
  nft add rule inet vrrp input ip daddr 192.0.2.1 drop
and for IPv6 one that lets neighbour solicitations and advertisements pass.

JSON, one object a line when the output is no terminal: sequence (where numbers are missing, lines
were dropped because nobody read them), time (seconds since 1970), event, and what belongs to it.
Privileges: CAP_NET_RAW for advertisements, CAP_NET_ADMIN for addresses; --check needs none.
Exit status: 0, 1 if the configuration has errors or the system refuses something, 2 for a wrong
command line.";

/// Runs virtual routers: VRRPv2 and VRRPv3, IPv4 and IPv6.
#[derive(Debug, Parser)]
#[command(name = "vrrpd", after_help = EXPLANATION)]
#[command(group = ArgGroup::new("what").required(true))]
pub(crate) struct Arguments {
    /// Run the virtual routers of this keepalived.conf
    #[arg(short = 'f', long = "use-file", value_name = "FILE", group = "what")]
    pub(crate) file: Option<PathBuf>,

    /// Which @ID lines of the file count [default: the first label of the host's name]
    #[arg(
        long,
        value_name = "ID",
        requires = "file",
        conflicts_with = "interface"
    )]
    pub(crate) config_id: Option<String>,

    /// Only say what is wrong with the configuration; exit status 1 if there are errors
    #[arg(short = 't', long, visible_alias = "config-test")]
    pub(crate) check: bool,

    /// Refuse a file that asks for anything that is corrected, unknown or not supported
    #[arg(long, requires = "file", conflicts_with = "interface")]
    pub(crate) strict: bool,

    /// Go on where the vrrpd that runs leaves off, and let that end: virtual routers that are Active
    /// stay so, without a resignation, and their addresses stay. If none runs this is an ordinary
    /// start
    #[arg(long, conflicts_with = "check")]
    pub(crate) take_over: bool,

    /// For how long the kernel keeps an address when this program does not renew it any more, such
    /// as 5s, or unlimited [default: three times the down interval, at least 3s]
    #[arg(long, value_name = "TIME", value_parser = flags::lifetime)]
    pub(crate) lifetime: Option<Lifetime>,

    /// What addresses and devices are marked with, 4 to 255; each vrrpd in a network namespace needs
    /// a number of its own
    #[arg(long, value_name = "NUMBER", default_value_t = TAG, value_parser = value_parser!(u8).range(4..))]
    pub(crate) tag: u8,

    /// Which loop runs the virtual routers
    #[arg(long, value_enum, default_value_t = Runtime::Blocking)]
    pub(crate) driver: Runtime,

    /// Print JSON on a terminal, too
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) router: RouterFlags,
}

/// One virtual router.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "One virtual router, without a file")]
pub(crate) struct RouterFlags {
    /// Its interface
    #[arg(
        short,
        long,
        value_name = "NAME",
        group = "what",
        requires_all = ["vrid", "addresses"]
    )]
    pub(crate) interface: Option<String>,

    /// Its virtual router id, 1 to 255
    #[arg(long, value_name = "ID", requires = "interface")]
    pub(crate) vrid: Option<Vrid>,

    /// A virtual address; repeat it for more. For IPv6 the first is link-local
    #[arg(
        long = "address",
        value_name = "IP[/LENGTH]",
        value_delimiter = ',',
        requires = "interface"
    )]
    pub(crate) addresses: Vec<Address>,

    /// 1 to 254, or owner (255)
    #[arg(long, value_name = "N", value_parser = flags::priority, conflicts_with = "file", default_value = "100")]
    pub(crate) priority: u8,

    /// From one advertisement to the next: 10ms to 40.95s in VRRPv3, whole seconds in VRRPv2
    #[arg(long, value_name = "TIME", value_parser = flags::interval, conflicts_with = "file", default_value = "1s")]
    pub(crate) interval: Interval,

    /// Version of the protocol: 2 or 3
    #[arg(long, value_name = "N", value_parser = flags::version, conflicts_with = "file", default_value = "3")]
    pub(crate) version: Version,

    /// Leave an Active of lower priority alone
    #[arg(long, requires = "interface")]
    pub(crate) nopreempt: bool,

    /// Leave it alone for this time
    #[arg(
        long,
        value_name = "TIME",
        value_parser = flags::time,
        requires = "interface",
        conflicts_with = "nopreempt"
    )]
    pub(crate) preempt_delay: Option<Duration>,

    /// Give the router a device with its virtual MAC [default name: vrrp.ID, or vrrp6.ID for IPv6]
    #[arg(
        long,
        value_name = "DEVICE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        requires = "interface"
    )]
    pub(crate) virtual_mac: Option<String>,

    /// Address of the interface to advertise from [default: its first, link-local for IPv6]
    #[arg(
        long,
        visible_alias = "unicast-source",
        value_name = "IP",
        requires = "interface"
    )]
    pub(crate) source: Option<IpAddr>,

    /// Send to this router instead of the group; repeat it for more. TTL: which times to live its
    /// packets may have, instead of 255
    #[arg(
        long = "peer",
        value_name = "IP[@TTL[-TTL]]",
        value_parser = flags::peer,
        value_delimiter = ',',
        requires = "interface"
    )]
    pub(crate) peers: Vec<Peer>,

    /// Password of VRRPv2; other users of this host can see it here, but not in a file
    #[arg(long, value_name = "TEXT", requires = "interface")]
    pub(crate) password: Option<String>,

    /// Authentication headers with the password, as keepalived sends them
    #[arg(long, requires = "password")]
    pub(crate) ah: bool,

    /// Follow this interface, too; without WEIGHT the router does not run while it is down. Repeat
    /// it for more
    #[arg(
        long = "track-interface",
        value_name = "NAME[:WEIGHT]",
        value_delimiter = ',',
        requires = "interface"
    )]
    pub(crate) tracked: Vec<Tracked>,

    /// Run while its interface is down, as on a cable between two routers, where the link fails with
    /// the other router
    #[arg(long, requires = "interface")]
    pub(crate) dont_track_primary: bool,

    /// Which standard to keep to: linux, strict-3768, strict-5798, strict-9568
    #[arg(long, value_name = "NAME", default_value_t = Profile::Linux, conflicts_with = "file")]
    pub(crate) profile: Profile,
}

/// Which loop.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Runtime {
    /// Its own, on epoll.
    Blocking,
    /// That of tokio.
    Tokio,
}

impl From<Runtime> for Loop {
    fn from(runtime: Runtime) -> Self {
        match runtime {
            Runtime::Blocking => Self::Blocking,
            Runtime::Tokio => Self::Tokio,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_file_or_a_router_is_needed_and_not_both() {
        let said = parse("vrrpd").unwrap_err().to_string();
        assert!(
            said.contains("--use-file <FILE>|--interface <NAME>"),
            "{said}"
        );
        for good in [
            "vrrpd -f x.conf",
            "vrrpd -t --use-file x.conf --strict",
            "vrrpd -i eth0 --vrid 51 --address 192.0.2.1/24",
            "vrrpd -f x.conf --take-over",
            "vrrpd --config-test -i eth0 --vrid 51 --address 192.0.2.1,192.0.2.2",
        ] {
            assert!(parse(good).is_ok(), "{good}: {:?}", parse(good));
        }
        for bad in [
            "vrrpd",
            "vrrpd --check",
            "vrrpd -i eth0",
            "vrrpd -i eth0 --vrid 51",
            "vrrpd -i eth0 --address 192.0.2.1",
            "vrrpd --vrid 51 --address 192.0.2.1",
            "vrrpd -f x.conf -i eth0 --vrid 51 --address 192.0.2.1",
            "vrrpd -f x.conf --check --take-over",
            "vrrpd -f x.conf --vrid 51",
            "vrrpd -f x.conf --nopreempt",
            "vrrpd -f x.conf --priority 150",
            "vrrpd -f x.conf --interval 1s",
            "vrrpd -f x.conf --version 2",
            "vrrpd -f x.conf --profile linux",
            "vrrpd -i eth0 --vrid 51 --address 192.0.2.1 --strict",
            "vrrpd -i eth0 --vrid 51 --address 192.0.2.1 --ah",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
