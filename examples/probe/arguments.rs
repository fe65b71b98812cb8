//! The command line.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, ValueEnum};
use lvs_healthcheck::probe::http::{Digest, Method, StatusSet, Version};
use lvs_healthcheck::probe::tls::Pin;

use crate::duration;
use crate::escape::{self, Bytes};
use crate::failure::Failure;
use crate::kind::Kind;

/// What stands before everything else: the first screen.
const EXAMPLES: &str = "\
Examples:
  probe http://127.0.0.1:8080/health --expect 200-299 --timeout 2s
  probe https://www.example.org/ --ca ca.pem --sni www.example.org
  probe tcp://127.0.0.1:22                         tls://HOST for the handshake only
  probe expect 127.0.0.1:6379 --send 'PING\\r\\n' --expect-prefix +PONG
  probe smtp://127.0.0.1 --starttls                redis:// mysql:// postgres:// ldap://
  probe dns://127.0.0.1/example.org?type=SOA       memcached:// imap:// pop3:// ftp://
  probe dns @127.0.0.1 example.org SOA
  probe udp://127.0.0.1:4711 --send ping --expect-prefix pong
  probe ntp://127.0.0.1      radius://:SECRET@HOST snmp://COMMUNITY@HOST sip:// quic://
  probe icmp 127.0.0.1
  probe agent://127.0.0.1:9777
  probe command -- /usr/lib/checks/load --warn 4
  probe --watch --interval 1s --rise 2 --fall 3 http://127.0.0.1:8080/health
  probe --count 3 --json --preset keepalived tcp://127.0.0.1:22
Exit status: 0 up, 1 down or nothing known, 2 wrong usage.";

/// What comes last.
const EXPLANATION: &str = "\
Targets: SCHEME://HOST[:PORT], or SCHEME HOST[:PORT]. A name is looked up once, at the start.
  http https    /path?query is asked for; --expect is a set of statuses (200-299)
  tcp tls       connects; with --send and --expect… as expect
  expect        steps in the order of their options; --expect TEXT is --expect-contains TEXT
  smtp smtps    greeting, EHLO, QUIT; with --starttls TLS in between
  dns           dns://SERVER/NAME?type=TYPE (RFC 4501), or as dig has it: dns @SERVER NAME TYPE;
                type A unless given, without a name the SOA of the root; --expect is one of the
                answers
  udp           --send; without --expect… silence passes, and only an ICMP error fails
  ntp           the server's clock is synchronized
  radius        radius://:SECRET@HOST: an answer to Status-Server that is signed with the secret
  sip           OPTIONS; --expect is a status or a range of them (200-299)
  snmp          snmp://COMMUNITY@HOST[/?version=1]: sysUpTime; version 2c unless 1 is given
  quic          which versions the server speaks; no handshake
  icmp          echo; needs a group in net.ipv4.ping_group_range, or CAP_NET_RAW
  command       -- PROGRAM ARGUMENTS…; exit code 0 passes
  agent         a line of HAProxy's agent protocol
  redis rediss  redis://[:PASSWORD@]HOST[/?key=NAME]: PING, or passes while the key does not exist
  mysql         mysql://[USER@]HOST: greeting, or lets the user in without password
  postgres      postgres://[USER@]HOST: asks for authentication; user postgres unless given
  ldap ldaps memcached imap imaps pop3 pop3s ftp ftps
Bytes (--send, --expect-…): \\r \\n \\t \\0 \\\\ \\xNN. Times: 500ms, 2s, 1.5s, 1m.

Health: a counter h runs from 0 to H = rise + fall - 1, and the target is up while h >= rise. It starts
as --initial says, so that by default the first failure takes it down and the first success brings it
up. What is wrong on this host counts for nothing. The first attempt starts at once, and there is no
jitter, whatever the preset; a preset also asks as that program asks (http, smtp, dns).

JSON (--json), one object for each attempt; null where nothing is known:
  target, address    as given, without password; where it went
  attempt, time      number from 1; seconds since 1970 when the outcome was known
  verdict, code, phase, detail
                     pass, pass_no_new, fail, fail_now, neutral; the library's codes (ok, refused,
                     timeout_connect, …); how far it came (resolve, bind, connect, tls, send, recv,
                     match, process); text
  expected, got, advice
                     of a failure: what was wanted, what came, what to do
  connect_ms, tls_ms, first_byte_ms, total_ms
                     since the start of the attempt
  health, counter, counter_max, changed, next_ms
                     unknown, up, down; h and H; whether health is another than before; time until
                     the next attempt is planned
  weight, admin      what the target asks for
  tls                version, cipher_suite, alpn, resumed, not_after (seconds since 1970), days_left
  output             what a command wrote";

const TEMPLATE: &str =
    "{about-with-newline}\n{usage-heading} {usage}\n\n{before-help}{all-args}{after-help}";

/// Runs one health check against one target, and explains the outcome.
#[derive(Debug, Parser)]
#[command(
    name = "probe",
    version,
    before_help = EXAMPLES,
    after_help = EXPLANATION,
    help_template = TEMPLATE
)]
pub(crate) struct Options {
    /// What to check: a URL, or a kind of check (icmp, command, …)
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    /// What follows a kind: a host; program and arguments; @SERVER NAME TYPE
    #[arg(value_name = "ARGUMENT")]
    pub(crate) rest: Vec<String>,

    /// End after so many attempts; 1 unless watching
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Go on, and show how health, counter and outcomes change, until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,
    /// Print JSON, one object for each attempt; see below
    #[arg(long)]
    pub(crate) json: bool,
    /// Print nothing; the exit status tells
    #[arg(long, conflicts_with_all = ["json", "watch"])]
    pub(crate) quiet: bool,

    #[command(flatten, next_help_heading = "What is said and expected")]
    pub(crate) words: Words,
    #[command(flatten, next_help_heading = "Where to, and from where")]
    pub(crate) place: Place,
    #[command(flatten, next_help_heading = "TLS")]
    pub(crate) tls: TlsOptions,
    #[command(flatten, next_help_heading = "How it is judged")]
    pub(crate) judging: Judging,
}

/// What is said and expected.
#[derive(Debug, clap::Args)]
pub(crate) struct Words {
    /// http: statuses (200-299,301); sip: a status or a range; dns: one of the answers; tcp, expect,
    /// udp: a part of the reply
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) expect: Vec<String>,
    /// Say this (tcp, expect, udp, agent)
    #[arg(long, value_name = "BYTES", value_parser = escape::parse, allow_hyphen_values = true)]
    pub(crate) send: Vec<Bytes>,
    /// Expect the reply to begin with this (tcp, expect, udp)
    #[arg(long, value_name = "BYTES", value_parser = escape::parse, allow_hyphen_values = true)]
    pub(crate) expect_prefix: Vec<Bytes>,
    /// Expect exactly this reply (tcp, expect, udp)
    #[arg(long, value_name = "BYTES", value_parser = escape::parse, allow_hyphen_values = true)]
    pub(crate) expect_exact: Vec<Bytes>,
    /// Expect this in the reply (tcp, expect, udp), in the body (http)
    #[arg(long, value_name = "BYTES", value_parser = escape::parse, allow_hyphen_values = true)]
    pub(crate) expect_contains: Vec<Bytes>,
    /// Expect this regular expression to match the reply (tcp, expect, udp), the body (http)
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true)]
    pub(crate) expect_regex: Vec<String>,
    /// Compare line by line: the first line that comes must be the one expected
    #[arg(long)]
    pub(crate) line: bool,

    /// http: GET, HEAD, OPTIONS or POST [default: GET]
    #[arg(long, value_name = "NAME", value_parser = method)]
    pub(crate) method: Option<Method>,
    /// http: the Host field [default: as in the URL]
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// http: a field of the request; repeat it for more
    #[arg(long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,
    /// http: the body of the request
    #[arg(long, value_name = "BYTES", value_parser = escape::parse, allow_hyphen_values = true)]
    pub(crate) body: Option<Bytes>,
    /// http: 1.0, 1.0C or 1.1 [default: 1.1]
    #[arg(long, value_name = "VERSION")]
    pub(crate) http_version: Option<Version>,
    /// http: a field the reply must have, with this value if one is given
    #[arg(long, value_name = "NAME[: VALUE]")]
    pub(crate) expect_header: Vec<String>,
    /// http: md5:… or sha256:… of the body
    #[arg(long, value_name = "DIGEST")]
    pub(crate) digest: Option<Digest>,
    /// http: bytes of the body that are looked at [default: 65536]
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_body: Option<usize>,
    /// http: follow up to three redirects to the same host
    #[arg(long)]
    pub(crate) follow: bool,
    /// http: statuses that ask for no new connections
    #[arg(long, value_name = "STATUSES")]
    pub(crate) drain_on: Option<StatusSet>,

    /// smtp: begin TLS with STARTTLS
    #[arg(long)]
    pub(crate) starttls: bool,
    /// smtp: the name to say EHLO with [default: this host's]
    #[arg(long, value_name = "NAME")]
    pub(crate) helo: Option<String>,

    /// dns: ask over TCP
    #[arg(long)]
    pub(crate) dns_tcp: bool,
    /// dns: response codes that pass (NOERROR, NXDOMAIN, SERVFAIL, REFUSED, …) [default: NOERROR]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) rcode: Vec<String>,
    /// dns: how many records the answer must have [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) min_answers: Option<u16>,
    /// dns: do not ask the server to ask others
    #[arg(long)]
    pub(crate) no_recursion: bool,

    /// udp: take the answer from whatever address it comes
    #[arg(long)]
    pub(crate) any_source: bool,

    /// icmp: how many requests, 1 to 1000 [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) requests: Option<u16>,
    /// icmp: how many must be answered [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) min_replies: Option<u16>,
    /// icmp: bytes of data in each, 8 to 65507 [default: 56]
    #[arg(long, value_name = "BYTES")]
    pub(crate) size: Option<usize>,

    /// command: exit codes 2 to 125 pass, and are a weight plus 2 (keepalived's misc_dynamic)
    #[arg(long)]
    pub(crate) dynamic: bool,
    /// command: give it this environment; otherwise it gets a PATH and nothing else
    #[arg(long)]
    pub(crate) inherit_environment: bool,

    /// redis, radius: a file whose first line is the password, which then nobody sees in the process
    /// list
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

/// Where to, and from where.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// Use the first IPv4 address of the name
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub(crate) ipv4: bool,
    /// Use the first IPv6 address of the name
    #[arg(short = '6', long)]
    pub(crate) ipv6: bool,
    /// Connect to this address; the URL still says which name and path is asked for
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) connect: Option<String>,
    /// Bind to this address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) source: Option<IpAddr>,
    /// Bind to this port
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) source_port: Option<u16>,
    /// Bind to this network device
    #[arg(long, value_name = "NAME")]
    pub(crate) device: Option<String>,
    /// Mark the packets (needs CAP_NET_ADMIN); decimal, or 0x and hexadecimal
    #[arg(long, value_name = "NUMBER", value_parser = mark)]
    pub(crate) mark: Option<u32>,
    /// Time to live, 1 to 255
    #[arg(long, value_name = "N")]
    pub(crate) ttl: Option<u8>,
    /// Differentiated services code point, 0 to 63
    #[arg(long, value_name = "N")]
    pub(crate) dscp: Option<u8>,
    /// Ask from this network namespace (needs CAP_SYS_ADMIN): a name as for ip netns, or a file.
    /// Names are looked up in the present one
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) namespace: Option<PathBuf>,
    /// Begin with a header of the PROXY protocol
    #[arg(long, value_name = "VERSION")]
    pub(crate) proxy_header: Option<ProxyVersion>,
    /// What the header says: own, or SOURCE,DESTINATION [default: that the connection is nobody's]
    #[arg(long, value_name = "ADDRESSES", requires = "proxy_header", value_parser = proxy_addresses)]
    pub(crate) proxy_addresses: Option<ProxyAddresses>,
    /// How to close the connection [default: fin]
    #[arg(long, value_name = "MODE")]
    pub(crate) close: Option<Close>,
}

/// TLS.
#[derive(Debug, clap::Args)]
pub(crate) struct TlsOptions {
    /// Speak TLS from the beginning, as https:// and the like do
    #[arg(long)]
    pub(crate) tls: bool,
    /// What is asked of the certificate [default: name]
    #[arg(long, value_name = "MODE", conflicts_with = "pin")]
    pub(crate) verify: Option<VerifyMode>,
    /// Accept the certificate with this public key: sha256//BASE64 or 64 digits; repeat it for more
    #[arg(long, value_name = "PIN")]
    pub(crate) pin: Vec<Pin>,
    /// Trust the authorities in this file, instead of the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Ask for this name, and find it in the certificate [default: the host]
    #[arg(long, value_name = "NAME")]
    pub(crate) sni: Option<String>,
    /// Show this certificate to a server that asks for one
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Lowest version [default: 1.2]
    #[arg(long, value_name = "VERSION")]
    pub(crate) tls_min: Option<TlsVersionName>,
    /// Highest version [default: 1.3]
    #[arg(long, value_name = "VERSION")]
    pub(crate) tls_max: Option<TlsVersionName>,
    /// Offer these protocols [default: http/1.1 with http, none otherwise and with a preset]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) alpn: Vec<String>,
    /// Say so when the certificate ends within so many days [default: 14]
    #[arg(long, value_name = "DAYS")]
    pub(crate) expiry_warning: Option<u16>,
}

/// How it is judged.
#[derive(Debug, clap::Args)]
pub(crate) struct Judging {
    /// Time for one attempt [default: 3s, or as the preset has it]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) timeout: Option<Duration>,
    /// Time for connecting, within that [default: all of it]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) connect_timeout: Option<Duration>,
    /// Longest silence of the server while something is expected [default: no limit of its own]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) idle_timeout: Option<Duration>,
    /// Time from one attempt to the next [default: 5s, or as the preset has it]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) interval: Option<Duration>,
    /// The same while up and failing [default: the interval]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) fast_interval: Option<Duration>,
    /// The same while down and passing [default: the interval]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) rising_interval: Option<Duration>,
    /// The same while down [default: the interval]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) down_interval: Option<Duration>,
    /// Successes in a row that bring it up [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) rise: Option<u16>,
    /// Failures in a row that take it down [default: 2, agent 1]
    #[arg(long, value_name = "N")]
    pub(crate) fall: Option<u16>,
    /// Where the counter starts [default: up]
    #[arg(long, value_name = "STATE")]
    pub(crate) initial: Option<InitialState>,
    /// Ask and judge as this program does, where no option says otherwise
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) preset: Option<Preset>,
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ProxyVersion {
    V1,
    V2,
}

/// What a PROXY header says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ProxyAddresses {
    Own,
    Between(SocketAddr, SocketAddr),
}

/// How a connection is closed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Close {
    /// In order
    Fin,
    /// By reset
    Rst,
    /// By reset before the server's program sees it, if nothing is said
    HalfOpen,
}

/// What is asked of a certificate.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum VerifyMode {
    /// Nothing
    None,
    /// That a trusted authority signed it
    Chain,
    /// That also its name is the one asked for
    Name,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TlsVersionName {
    #[value(name = "1.2")]
    V1_2,
    #[value(name = "1.3")]
    V1_3,
}

/// Where the counter starts.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum InitialState {
    /// It takes all of --fall to go down
    FullyUp,
    /// The first failure takes it down
    Up,
    /// The first success brings it up
    Down,
    /// It takes all of --rise to come up
    FullyDown,
    /// Neither, before one of the two counts is reached
    Undecided,
}

/// Whose rules apply.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Preset {
    Keepalived,
    Haproxy,
}

/// The command line, and which options were on it in which order.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) options: Options,
    matches: ArgMatches,
}

impl Arguments {
    /// Reads the command line; ends the program if it asks for help or cannot be read.
    pub(crate) fn from_command_line() -> Self {
        Self::read(Options::command().get_matches()).unwrap_or_else(|error| error.exit())
    }

    fn read(matches: ArgMatches) -> Result<Self, clap::Error> {
        let options = Options::from_arg_matches(&matches)?;
        Ok(Self { options, matches })
    }

    #[cfg(test)]
    pub(crate) fn of(line: &[&str]) -> Self {
        let line = core::iter::once(&"probe").chain(line);
        Self::read(Options::command().get_matches_from(line)).unwrap()
    }

    /// Refuses what means nothing to this kind of check.
    pub(crate) fn check_meaning(&self, scheme: &str, kind: Kind) -> Result<(), Failure> {
        for id in self.matches.ids() {
            let name = id.as_str();
            let given = self.matches.try_contains_id(name).is_ok()
                && self.matches.value_source(name) == Some(ValueSource::CommandLine);
            if given && !kind.takes(name) {
                let option = format!("--{}", name.replace('_', "-"));
                let why = format!("means nothing to a check of the kind {scheme}");
                return Err(Failure::Meaningless(option, why));
            }
        }
        Ok(())
    }

    /// The values of an option with their places on the command line.
    pub(crate) fn placed<T: Clone + Send + Sync + 'static>(&self, id: &str) -> Vec<(usize, T)> {
        let places = self.matches.indices_of(id).into_iter().flatten();
        let values = self.matches.get_many::<T>(id).into_iter().flatten();
        places.zip(values.cloned()).collect()
    }
}

fn method(text: &str) -> Result<Method, &'static str> {
    match text.to_ascii_uppercase().as_str() {
        "GET" => Ok(Method::Get),
        "HEAD" => Ok(Method::Head),
        "OPTIONS" => Ok(Method::Options),
        "POST" => Ok(Method::Post),
        _ => Err("must be GET, HEAD, OPTIONS or POST"),
    }
}

fn mark(text: &str) -> Result<u32, &'static str> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| "must be 0 to 4294967295, or 0x0 to 0xffffffff")
}

fn proxy_addresses(text: &str) -> Result<ProxyAddresses, &'static str> {
    const LIMIT: &str = "must be own, or two addresses with ports: 192.0.2.1:4711,192.0.2.2:80";
    if text == "own" {
        return Ok(ProxyAddresses::Own);
    }
    let (source, destination) = text.split_once(',').ok_or(LIMIT)?;
    match (source.parse(), destination.parse()) {
        (Ok(source), Ok(destination)) => Ok(ProxyAddresses::Between(source, destination)),
        _ => Err(LIMIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn examples_are_on_the_first_screen() {
        let help = Options::command().render_help().to_string();
        let first: Vec<_> = help.lines().take(24).collect();
        let shown = |part: &str| first.iter().any(|line| line.contains(part));
        assert!(
            shown("--expect 200-299") && shown("Exit status: 0 up"),
            "{help}"
        );
    }

    #[test]
    fn order_of_options_is_known() {
        let arguments = Arguments::of(&[
            "tcp://h:1",
            "--send",
            "a",
            "--expect-prefix",
            "-b",
            "--send",
            "c",
        ]);
        let sent: Vec<(usize, Bytes)> = arguments.placed("send");
        let expected: Vec<(usize, Bytes)> = arguments.placed("expect_prefix");
        assert!(sent[0].0 < expected[0].0 && expected[0].0 < sent[1].0);
    }

    #[test]
    fn options_without_meaning_are_refused() {
        let refused = |line: &[&str], kind| {
            let refused = Arguments::of(line).check_meaning("x", kind);
            refused.err().map(|failure| failure.to_string())
        };
        assert_eq!(refused(&["h", "--ttl", "3"], Kind::Tcp), None);
        let text = refused(&["h", "--expect-prefix", "x"], Kind::Redis).unwrap();
        assert_eq!(
            text,
            "--expect-prefix: means nothing to a check of the kind x"
        );
    }
}
