//! Every sysctl there is: name, meaning, range, default, first kernel.

use core::fmt;
use core::time::Duration;

use super::value::{ConnReuse, CpuList, Defence, SyncThreshold, Value};

/// What is known of a sysctl, whatever its type.
///
/// `Display` writes its name as `sysctl(8)` does: `net.ipv4.vs.conntrack`.
#[non_exhaustive]
#[derive(Debug, Eq, PartialEq)]
pub struct Definition {
    /// Its file, relative to `/proc/sys/net`.
    pub path: &'static str,
    /// What it does, with its unit.
    pub meaning: &'static str,
    /// The kernel's default, as the kernel writes it; `None` where it depends on the machine.
    pub default: Option<&'static str>,
    /// What this crate sets; in words, after "must be".
    pub accepted: &'static str,
    /// The kernel that brought it; `None` for those older than Linux 3.18 or so. Remembered
    /// rather than looked up **(unsure)**: whether the file is there decides.
    pub since: Option<&'static str>,
    /// Why it may be missing besides, for error messages.
    pub needs: &'static str,
}

impl Definition {
    /// The last part of its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }
}

impl fmt::Display for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("net")?;
        self.path
            .split('/')
            .try_for_each(|part| write!(f, ".{part}"))
    }
}

/// A sysctl whose values are of type `T`: one of the constants of this module.
#[derive(Debug)]
pub struct Sysctl<T: 'static> {
    definition: &'static Definition,
    accepts: fn(&T) -> bool,
}

impl<T> Clone for Sysctl<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Sysctl<T> {}

impl<T: Value> Sysctl<T> {
    /// What is known of it.
    #[must_use]
    pub const fn definition(&self) -> &'static Definition {
        self.definition
    }

    /// Whether this crate sets that value.
    #[must_use]
    pub fn accepts(&self, value: &T) -> bool {
        (self.accepts)(value)
    }
}

const IPVS: &str = "the module ip_vs is not loaded, or the network namespace is one of a user \
                    namespace (which have these since Linux 6.11)";
const NFCT: &str = "the kernel is built without CONFIG_IP_VS_NFCT, the module ip_vs is not \
                    loaded, or the network namespace is one of a user namespace (which have \
                    these since Linux 6.11)";
const DEBUG: &str = "the kernel is built without CONFIG_IP_VS_DEBUG, or the module ip_vs is not \
                     loaded";
const LBLC: &str = "the module ip_vs_lblc is not loaded";
const LBLCR: &str = "the module ip_vs_lblcr is not loaded";
const IPV4: &str = "/proc/sys is not mounted";
const IPV6: &str = "the module ipv6 is not loaded, or IPv6 is off";

/// The kernel counts these in ticks, in 31 bits; 1000 a second is the most there are.
const LONGEST: Duration = Duration::from_secs(i32::MAX as u64 / 1000);

fn any<T>(_: &T) -> bool {
    true
}

const fn seconds(value: &Duration) -> bool {
    value.subsec_nanos() == 0 && value.as_secs() <= LONGEST.as_secs()
}

const fn not_negative(value: &i64) -> bool {
    *value >= 0 && *value <= i32::MAX as i64
}

macro_rules! sysctls {
    ($($name:ident: $type:ty = $path:literal {
        $meaning:literal, default $default:expr, $accepts:expr => $accepted:literal,
        since $since:expr, needs $needs:ident
    })*) => {
        $(
            #[doc = concat!("`", $path, "`: ", $meaning, ". Accepted: ", $accepted, ".")]
            pub const $name: Sysctl<$type> = Sysctl {
                definition: {
                    const DEFINITION: &Definition = &Definition {
                        path: $path,
                        meaning: $meaning,
                        default: $default,
                        accepted: $accepted,
                        since: $since,
                        needs: $needs,
                    };
                    DEFINITION
                },
                accepts: $accepts,
            };
        )*

        /// All of them, in the order of their paths.
        pub const ALL: &[&Definition] = &[$($name.definition),*];
    };
}

sysctls! {
    IP_FORWARD: bool = "ipv4/ip_forward" {
        "whether packets for others are forwarded. Masquerading needs it. Setting it sets the \
         same of each interface and puts other settings of routers and hosts back to their \
         defaults, so set it first",
        default Some("0"), any => "true or false", since None, needs IPV4
    }
    AM_DROPRATE: i64 = "ipv4/vs/am_droprate" {
        "in mode 3 of `drop_packet`, one of how many packets is dropped",
        default Some("10"), not_negative => "0 to 2147483647", since None, needs IPVS
    }
    AMEMTHRESH: i64 = "ipv4/vs/amemthresh" {
        "below how many pages of free memory the automatic defences go on",
        default Some("1024"), not_negative => "0 to 2147483647", since None, needs IPVS
    }
    BACKUP_ONLY: bool = "ipv4/vs/backup_only" {
        "whether this host does not act as a director while a backup sync daemon runs, whether \
         or not one in the master role runs too",
        default Some("0"), any => "true or false", since None, needs IPVS
    }
    CACHE_BYPASS: bool = "ipv4/vs/cache_bypass" {
        "whether packets of a mark service without a destination go where they were addressed to",
        default Some("0"), any => "true or false", since None, needs IPVS
    }
    CONN_LFACTOR: i64 = "ipv4/vs/conn_lfactor" {
        "size of the connection table: 2 to this power entries for each bucket. By default -4 in \
         the first namespace, -2 in others",
        default None, |value| (-8..=8).contains(value) => "-8 to 8",
        since Some("7.1"), needs IPVS
    }
    CONN_MAX: u64 = "ipv4/vs/conn_max" {
        "most connections of the namespace; a new one has the limit of the first",
        default None, |value| *value <= 1 << 30 => "0 to 1073741824",
        since Some("7.2"), needs IPVS
    }
    CONN_REUSE_MODE: ConnReuse = "ipv4/vs/conn_reuse_mode" {
        "what happens to a new connection from a client port whose previous connection is still \
         in the table: with 0 it goes on with the old entry, and to a server that was quiesced \
         since, else it is scheduled anew where the old entry is in one of these states",
        default Some("1"), any => "a set of bits", since Some("4.1"), needs IPVS
    }
    CONNTRACK: bool = "ipv4/vs/conntrack" {
        "whether netfilter keeps track of balanced connections: needed for its rules on their \
         state, costs time for each packet",
        default Some("0"), any => "true or false", since None, needs NFCT
    }
    DEBUG_LEVEL: i64 = "ipv4/vs/debug_level" {
        "how much goes to the kernel's log; for all namespaces, read-only in all but the first",
        default Some("0"), not_negative => "0 to 2147483647", since None, needs DEBUG
    }
    DROP_ENTRY: Defence = "ipv4/vs/drop_entry" {
        "whether half-open connections are dropped at random, a 32nd of the table each second",
        default Some("0"), any => "0 to 3", since None, needs IPVS
    }
    DROP_PACKET: Defence = "ipv4/vs/drop_packet" {
        "whether some packets of new connections are dropped",
        default Some("0"), any => "0 to 3", since None, needs IPVS
    }
    EST_CPULIST: CpuList = "ipv4/vs/est_cpulist" {
        "the CPUs that statistics are estimated on; with none, they stand still",
        default None, any => "a list of CPUs", since Some("6.2"), needs IPVS
    }
    EST_NICE: i64 = "ipv4/vs/est_nice" {
        "niceness of the threads that estimate statistics",
        default Some("0"), |value| (-20..=19).contains(value) => "-20 to 19",
        since Some("6.2"), needs IPVS
    }
    EXPIRE_NODEST_CONN: bool = "ipv4/vs/expire_nodest_conn" {
        "whether a connection whose destination was removed ends at its next packet, instead of \
         having its packets dropped in silence until it times out",
        default Some("0"), any => "true or false", since None, needs IPVS
    }
    EXPIRE_QUIESCENT_TEMPLATE: bool = "ipv4/vs/expire_quiescent_template" {
        "whether a persistent client is scheduled anew once its destination has weight 0",
        default Some("0"), any => "true or false", since None, needs IPVS
    }
    IGNORE_TUNNELED: bool = "ipv4/vs/ignore_tunneled" {
        "whether packets of unknown protocols are left alone, and what is inside them with them",
        default Some("0"), any => "true or false", since Some("4.4"), needs IPVS
    }
    LBLC_EXPIRATION: Duration = "ipv4/vs/lblc_expiration" {
        "seconds after which scheduler `lblc` forgets a destination address that nobody asked for",
        default Some("86400"), seconds => "whole seconds, at most 2147483", since None, needs LBLC
    }
    LBLCR_EXPIRATION: Duration = "ipv4/vs/lblcr_expiration" {
        "seconds after which scheduler `lblcr` forgets a destination address that nobody asked for",
        default Some("86400"), seconds => "whole seconds, at most 2147483", since None, needs LBLCR
    }
    NAT_ICMP_SEND: bool = "ipv4/vs/nat_icmp_send" {
        "whether a real server learns by ICMP that its answer belongs to no known connection",
        default Some("0"), any => "true or false", since None, needs IPVS
    }
    PMTU_DISC: bool = "ipv4/vs/pmtu_disc" {
        "whether packets too large for the way to the server are answered by ICMP; 0 lets \
         tunnels fragment them",
        default Some("1"), any => "true or false", since None, needs IPVS
    }
    RUN_ESTIMATION: bool = "ipv4/vs/run_estimation" {
        "whether statistics are renewed; without, counters and rates stand still",
        default Some("1"), any => "true or false", since Some("5.16"), needs IPVS
    }
    SCHEDULE_ICMP: bool = "ipv4/vs/schedule_icmp" {
        "whether an ICMP error about an unknown connection is scheduled like the packet it is \
         about",
        default Some("0"), any => "true or false", since Some("4.4"), needs IPVS
    }
    SECURE_TCP: Defence = "ipv4/vs/secure_tcp" {
        "whether TCP states have shorter timeouts, and a connection needs an answer to be \
         established",
        default Some("0"), any => "0 to 3", since None, needs IPVS
    }
    SLOPPY_SCTP: bool = "ipv4/vs/sloppy_sctp" {
        "whether any chunk makes a connection, not INIT alone",
        default Some("0"), any => "true or false", since None, needs IPVS
    }
    SLOPPY_TCP: bool = "ipv4/vs/sloppy_tcp" {
        "whether any packet makes a connection, not SYN alone",
        default Some("0"), any => "true or false", since None, needs IPVS
    }
    SNAT_REROUTE: bool = "ipv4/vs/snat_reroute" {
        "whether answers of masqueraded servers are routed by their new source address",
        default Some("1"), any => "true or false", since None, needs IPVS
    }
    SVC_LFACTOR: i64 = "ipv4/vs/svc_lfactor" {
        "size of the service table: 2 to this power services for each bucket. By default -3 in the \
         first namespace, -2 in others",
        default None, |value| (-8..=8).contains(value) => "-8 to 8",
        since Some("7.1"), needs IPVS
    }
    SYNC_PERSIST_MODE: bool = "ipv4/vs/sync_persist_mode" {
        "whether of persistent services the sync daemon sends only the templates",
        default Some("0"), any => "true or false", since None, needs IPVS
    }
    SYNC_PORTS: u64 = "ipv4/vs/sync_ports" {
        "threads of a sync daemon, each with a UDP port of its own; takes effect when the next \
         one starts",
        default Some("1"), |value| value.is_power_of_two() && *value <= 64 =>
        "a power of two, 1 to 64", since None, needs IPVS
    }
    SYNC_QLEN_MAX: u64 = "ipv4/vs/sync_qlen_max" {
        "most messages that wait for the sync daemon to send them",
        default None, any => "a number that is not negative", since None, needs IPVS
    }
    SYNC_REFRESH_PERIOD: Duration = "ipv4/vs/sync_refresh_period" {
        "by how many seconds the remaining time of a connection must have changed for the sync \
         daemon to send it again; 0 goes by packets alone, and idle connections leave the standby",
        default Some("0"), seconds => "whole seconds, at most 2147483", since None, needs IPVS
    }
    SYNC_RETRIES: i64 = "ipv4/vs/sync_retries" {
        "how often the sync daemon sends again, at an eighth of the refresh period",
        default Some("0"), |value| (0..=3).contains(value) => "0 to 3", since None, needs IPVS
    }
    SYNC_SOCK_SIZE: i64 = "ipv4/vs/sync_sock_size" {
        "bytes of the sync daemon's socket buffer; 0 for the system's default",
        default Some("0"), not_negative => "0 to 2147483647", since None, needs IPVS
    }
    SYNC_THRESHOLD: SyncThreshold = "ipv4/vs/sync_threshold" {
        "at which packets of a connection the sync daemon sends it",
        default Some("3\t50"),
        |value| (value.packets < value.period || value.period == 0)
            && value.packets <= i32::MAX as u32 && value.period <= i32::MAX as u32 =>
        "two numbers, the first less than the second unless that is 0", since None, needs IPVS
    }
    SYNC_VERSION: i64 = "ipv4/vs/sync_version" {
        "version of the protocol that the sync daemon sends; it receives both",
        default Some("1"), |value| (0..=1).contains(value) => "0 or 1", since None, needs IPVS
    }
    IPV6_FORWARDING: bool = "ipv6/conf/all/forwarding" {
        "whether IPv6 packets for others are forwarded. Masquerading needs it. Setting it sets \
         the same of each interface, and with it whether routes are learned from advertisements",
        default Some("0"), any => "true or false", since None, needs IPV6
    }
}
