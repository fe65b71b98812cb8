//! The command line.

use std::path::PathBuf;

use clap::Parser;
use lvs_vrrp::{Profile, Vrid};

use crate::router::ConfiguredRouter;

const EXPLANATION: &str = "\
Virtual routers:
  Without --vr a packet is judged by what needs no configuration. A router given by --vr adds the
  checks for which its keys say enough; packets of its interfaces and families for other virtual
  routers are then refused (vrid). Keys, with commas between; lists have + between:
    vrid=N                 1 to 255; required
    interface=NAME         as in the output; otherwise every interface
    family=4|6             otherwise that of the addresses given, or both
    version=2|3|2+3        row 8
    priority=N|owner       rows 17, 18, 21: our own priority
    interval=1s|75cs       row 20: 1 to 4095 cs, or 1 to 255 s
    addresses=A+B+...      row 19: the virtual addresses
    own=A+B+...            row 17: addresses of this router itself
    group=A                row 15: multicast, to this group
    peers=A[@TTL[-TTL]]+... rows 3, 15, 16: unicast; the range of times to live, 255 by default
    auth=none|simple|ah|ah-rfc2402
                           rows 2, 13: by default whatever comes; ah-rfc2402 leaves the time to live
                           out of the digest as RFC 2402 does, ah keeps it as keepalived does
    sequence=N             row 13d: the last sequence number heard before
    hmac=ID:HEX            keepalived's auth_hmac trailer must be there, with this key of 32 to 64
                           bytes; repeat it for more keys
    password=TEXT          of auth; must be the last key, since it takes the rest of the text

Examples:
  vrrpdump capture.pcapng                      one line for each advertisement
  vrrpdump --json --vrid 51,52 capture.pcap    one JSON object for each
  tcpdump -U -i any -w - proto 112 | vrrpdump -
                                               from standard input, as it comes
  vrrpdump --interface eth0 --stats            watch an interface (needs CAP_NET_RAW)
  vrrpdump --vr vrid=51,interval=1s,addresses=192.0.2.1,auth=simple,password=s3cr3t capture.pcap

JSON: kind (vrrp, arp, na, stats), time (seconds since 1970), interface, ok, reason and row of the
check that refused it, observations, version, vrid, priority, interval_cs, auth_type, checksum_form,
addresses, src, dst, ttl; null for what cannot be read; vlan of tagged frames, with outer_vlans
around it. The reasons are those of lvs_vrrp::receive.
Exit status: 0, 1 if interfaces cannot be watched or results not written, 2 if options are refused
or a capture cannot be read to its end.";

/// Shows VRRP advertisements from a capture or an interface, and why some would be refused.
#[derive(Debug, Parser)]
#[command(name = "vrrpdump", after_help = EXPLANATION)]
pub(crate) struct Arguments {
    /// Capture to read: pcap or pcapng, - for standard input
    #[arg(required_unless_present = "interfaces")]
    pub(crate) file: Option<PathBuf>,

    /// Interfaces to watch, any for all; with a file, those whose packets are shown
    #[arg(
        short,
        long = "interface",
        value_name = "NAME,...",
        value_delimiter = ','
    )]
    pub(crate) interfaces: Vec<String>,

    /// Show these virtual routers only
    #[arg(long = "vrid", value_name = "ID,...", value_delimiter = ',')]
    pub(crate) vrids: Vec<Vrid>,

    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,

    /// Print counters at the end
    #[arg(long)]
    pub(crate) stats: bool,

    /// Show gratuitous ARP and unsolicited neighbour advertisements of virtual MACs, too
    #[arg(long)]
    pub(crate) announcements: bool,

    /// Which standard to apply: linux, strict-3768, strict-5798, strict-9568
    #[arg(long, value_name = "NAME", default_value_t = Profile::Linux)]
    pub(crate) profile: Profile,

    /// A virtual router to judge as, see below; repeat it for more
    #[arg(long = "vr", value_name = "vrid=N,KEY=VALUE,...")]
    pub(crate) routers: Vec<ConfiguredRouter>,

    /// Stop after this many lines
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,

    /// Do not join the VRRP groups of the interfaces watched; without, the kernel and switches are
    /// asked for their packets
    #[arg(long, conflicts_with = "file")]
    pub(crate) passive: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_file_or_an_interface_is_needed() {
        assert!(Arguments::try_parse_from(["vrrpdump"]).is_err());
        assert!(Arguments::try_parse_from(["vrrpdump", "-"]).is_ok());
        assert!(Arguments::try_parse_from(["vrrpdump", "-i", "lo"]).is_ok());
        let refused = Arguments::try_parse_from(["vrrpdump", "-", "--vrid", "0"]);
        assert!(refused.unwrap_err().to_string().contains("not in 1..=255"));
    }
}
