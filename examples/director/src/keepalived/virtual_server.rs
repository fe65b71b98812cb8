//! `virtual_server … { … }` (keepalived.conf(5)).

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU32;
use core::time::Duration;

use super::ast::Statement;
use super::command::{self, Command};
use super::diagnostic::{Position, Report};
use super::forwarding::{self, Forwarding};
use super::global::Globals;
use super::groups::{Family, VirtualServerGroup};
use super::knobs::{Class, Knobs, Level, Timing};
use super::persistence::{GranularityDraft, PERSISTENCE_DEFAULT, PERSISTENCE_MAX, Persistence};
use super::real_server::{self, RealServer, WEIGHT_MAX};
use super::{correct, values};

/// The schedulers that `lb_algo` takes, by their kernel names.
pub const SCHEDULERS: [&str; 14] = [
    "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "mh", "dh", "fo", "ovf", "sed", "nq", "twos",
];

/// A virtual server with its real servers, corrected and with everything inherited filled in.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct VirtualServer {
    /// Where its block starts.
    pub position: Position,
    /// What clients connect to.
    pub address: VirtualAddress,
    /// Family of the packets. Fwmarks of a group may have their own.
    pub family: Family,
    /// `protocol`; none for a fwmark.
    pub protocol: Option<Protocol>,
    /// `lb_algo`: one of [`SCHEDULERS`]. Default wlc.
    pub scheduler: &'static str,
    /// Flags of the service and its scheduler.
    pub flags: ServiceFlags,
    /// `lb_kind`, the default of its real servers. Default NAT.
    pub forwarding: Forwarding,
    /// `persistence_timeout` and its relatives.
    pub persistence: Option<Persistence>,
    /// Timing that its checks start from, as for a `TCP_CHECK`.
    pub timing: Timing,
    /// `ha_suspend`: checks rest while the address is not a local one.
    pub ha_suspend: bool,
    /// `alpha`: checks start down.
    pub alpha: bool,
    /// `omega`: notify scripts run at the end, too.
    pub omega: bool,
    /// `quorum`: weight of healthy servers that is needed. Default 1; at most the sum of weights.
    pub quorum: u32,
    /// `hysteresis` around the quorum. Default 0; less than the quorum.
    pub hysteresis: u32,
    /// `quorum_up`
    pub quorum_up: Option<Command>,
    /// `quorum_down`
    pub quorum_down: Option<Command>,
    /// `sorry_server`: takes over without quorum.
    pub sorry_server: Option<SorryServer>,
    /// `virtualhost` for checks that ask for pages.
    pub virtualhost: Option<String>,
    /// `smtp_alert`: mail on quorum changes. Default off, unless the global setting differs.
    pub smtp_alert: bool,
    /// `snmp_name`
    pub snmp_name: Option<String>,
    /// Its real servers, in the file's order; at least one.
    pub real_servers: Vec<RealServer>,
}

/// What clients connect to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum VirtualAddress {
    /// An address; port 0 for all ports.
    Socket(SocketAddr),
    /// Packets with a firewall mark.
    Fwmark(NonZeroU32),
    /// The addresses and marks of a group.
    Group(String),
}

/// `192.0.2.1:80`, `fwmark 7`, `group WEB`
impl fmt::Display for VirtualAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Fwmark(mark) => write!(f, "fwmark {mark}"),
            Self::Group(name) => write!(f, "group {name}"),
        }
    }
}

/// Transport protocol.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
#[non_exhaustive]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}

/// Flags of a service. The named ones of a scheduler are among the numbered: `sh-fallback` and
/// `mh-fallback` are flag 1, `sh-port` and `mh-port` are flag 2.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a keyword of its own"
)]
#[non_exhaustive]
pub struct ServiceFlags {
    /// `hashed`
    pub hashed: bool,
    /// `ops`: each UDP packet is scheduled anew.
    pub one_packet: bool,
    /// `flag-1`
    pub flag_1: bool,
    /// `flag-2`
    pub flag_2: bool,
    /// `flag-3`
    pub flag_3: bool,
}

/// The server that takes over when there are not enough healthy ones. It has no checks and weight 1.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SorryServer {
    /// Where it is configured.
    pub position: Position,
    /// Its address.
    pub ip: IpAddr,
    /// Its port; 0 for the port the client asked for.
    pub port: u16,
    /// `sorry_server_inhibit`: it stays in the table with weight 0 while it is not needed.
    pub inhibit: bool,
    /// `sorry_server_lvs_method`. Default that of the virtual server.
    pub forwarding: Forwarding,
}

/// What real servers take from their virtual server.
pub(super) struct Defaults<'a> {
    pub(super) globals: &'a Globals,
    pub(super) knobs: &'a Knobs,
    pub(super) weight: Option<u32>,
    pub(super) forwarding: Forwarding,
    pub(super) inhibit_on_failure: bool,
    pub(super) virtualhost: Option<&'a str>,
    /// Port of the virtual server; 0 if there is none or several.
    pub(super) port: u16,
}

impl Defaults<'_> {
    pub(super) fn delay_loop(&self) -> Duration {
        self.knobs.timing(Class::Plain).delay_loop
    }
}

/// A flag that only some schedulers know, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct SchedulerFlag {
    pub(super) position: Position,
    pub(super) keyword: String,
    pub(super) scheduler: &'static str,
    number: u8,
}

/// A virtual server as written.
#[derive(Debug)]
pub(super) struct Draft<'s> {
    pub(super) position: Position,
    pub(super) address: VirtualAddress,
    pub(super) ip_family: Option<(Family, Position)>,
    pub(super) protocol: Option<(Protocol, Position)>,
    pub(super) scheduler: Option<&'static str>,
    pub(super) flags: ServiceFlags,
    pub(super) scheduler_flags: Vec<SchedulerFlag>,
    pub(super) forwarding: Option<Forwarding>,
    pub(super) persistence_secs: Option<u32>,
    pub(super) granularity: Option<(GranularityDraft, Position)>,
    pub(super) engine: Option<String>,
    knobs: Knobs,
    weight: Option<u32>,
    inhibit_on_failure: bool,
    pub(super) ha_suspend: bool,
    omega: bool,
    pub(super) quorum: u32,
    pub(super) hysteresis: u32,
    quorum_up: Option<Command>,
    quorum_down: Option<Command>,
    pub(super) sorry_server: Option<SorryDraft>,
    virtualhost: Option<String>,
    smtp_alert: Option<bool>,
    snmp_name: Option<String>,
    pub(super) real_servers: Vec<real_server::Draft<'s>>,
}

#[derive(Debug)]
pub(super) struct SorryDraft {
    pub(super) position: Position,
    pub(super) ip: IpAddr,
    pub(super) port: u16,
    inhibit: bool,
    forwarding: Option<Forwarding>,
}

impl SorryDraft {
    pub(super) fn forwarding(&self, default: Forwarding) -> Forwarding {
        self.forwarding.unwrap_or(default)
    }
}

/// Reads the words after `virtual_server`.
fn header(statement: &Statement, report: &mut Report) -> Option<VirtualAddress> {
    match statement.argument(0) {
        Some("fwmark") => {
            let mark = values::number_at(statement, 1, 1..=u64::from(u32::MAX), report)?;
            Some(VirtualAddress::Fwmark(NonZeroU32::new(mark)?))
        }
        Some("group") => {
            let name = |word: &str| Some(word.to_owned());
            values::word_at(statement, 1, "a group name", report, name).map(VirtualAddress::Group)
        }
        Some(word) if word.contains('/') => {
            let (ip, mask) = word.split_once('/')?;
            let ip: IpAddr = ip.parse().ok().or_else(|| {
                let message = format!("virtual_server: '{word}' is not an address; skipped");
                report.error(statement.argument_position(0), message);
                None
            })?;
            let message = format!(
                "virtual_server: '/{mask}' is ignored; a range needs a virtual_server_group"
            );
            report.warning(statement.argument_position(0), message);
            port(statement, report).map(|port| VirtualAddress::Socket(SocketAddr::new(ip, port)))
        }
        _ => {
            let expected = "an address, 'fwmark' or 'group'";
            let ip = values::word_at(statement, 0, expected, report, |word| word.parse().ok())?;
            port(statement, report).map(|port| VirtualAddress::Socket(SocketAddr::new(ip, port)))
        }
    }
}

fn port(statement: &Statement, report: &mut Report) -> Option<u16> {
    match statement.argument(1) {
        None => Some(0),
        Some(_) => values::number_at(statement, 1, 0..=65_535, report),
    }
}

impl<'s> Draft<'s> {
    /// Reads a block; none if its header is unusable (reported).
    pub(super) fn read(statement: &'s Statement, report: &mut Report) -> Option<Self> {
        let address = header(statement, report)?;
        if let Some(extra) = statement.argument(2) {
            let message = format!("virtual_server: '{extra}' is ignored");
            report.note(statement.argument_position(2), message);
        }
        if matches!(address, VirtualAddress::Group(_)) {
            report.feature(statement.position(), "virtual_server", address.to_string());
        }
        let mut draft = Self {
            position: statement.position().clone(),
            address,
            ip_family: None,
            protocol: None,
            scheduler: None,
            flags: ServiceFlags::default(),
            scheduler_flags: Vec::new(),
            forwarding: None,
            persistence_secs: None,
            granularity: None,
            engine: None,
            knobs: Knobs::default(),
            weight: None,
            inhibit_on_failure: false,
            ha_suspend: false,
            omega: false,
            quorum: 1,
            hysteresis: 0,
            quorum_up: None,
            quorum_down: None,
            sorry_server: None,
            virtualhost: None,
            smtp_alert: None,
            snmp_name: None,
            real_servers: Vec::new(),
        };
        for inner in values::block(statement, report) {
            let handled = draft.read_service(inner, report)
                || draft.read_pool(inner, report)
                || draft.knobs.read(inner, Level::VirtualServer, report);
            if !handled {
                values::unknown(inner, report);
            }
        }
        Some(draft)
    }

    /// Statements about the kernel's service.
    fn read_service(&mut self, statement: &Statement, report: &mut Report) -> bool {
        match statement.keyword() {
            "ip_family" => {
                let read = Family::from_keyword;
                if let Some(family) = values::word(statement, "inet or inet6", report, read) {
                    self.ip_family = Some((family, statement.position().clone()));
                }
            }
            "lb_algo" | "lvs_sched" => {
                let expected = format!("one of {}", SCHEDULERS.join(", "));
                let found = values::word(statement, expected, report, |word| {
                    SCHEDULERS.into_iter().find(|known| *known == word)
                });
                self.scheduler = found.or(self.scheduler);
            }
            "lb_kind" | "lvs_method" => {
                self.forwarding = forwarding::read(statement, report).or(self.forwarding);
            }
            "hashed" => {
                self.flags.hashed = values::flag(statement, report);
                self.scheduler_flag(statement, "sh", 0);
            }
            "ops" => self.flags.one_packet = values::flag(statement, report),
            "flag-1" => self.flags.flag_1 = values::flag(statement, report),
            "flag-2" => self.flags.flag_2 = values::flag(statement, report),
            "flag-3" => self.flags.flag_3 = values::flag(statement, report),
            keyword @ ("sh-fallback" | "mh-fallback" | "sh-port" | "mh-port") => {
                values::flag(statement, report);
                let scheduler = if keyword.starts_with("sh") {
                    "sh"
                } else {
                    "mh"
                };
                let number = if keyword.ends_with("fallback") { 1 } else { 2 };
                self.scheduler_flag(statement, scheduler, number);
            }
            "persistence_timeout" if statement.arguments().is_empty() => {
                values::leaf(statement, 0, report);
                self.persistence_secs = Some(PERSISTENCE_DEFAULT);
            }
            "persistence_timeout" => {
                let secs = values::number(statement, 1..=PERSISTENCE_MAX, report);
                self.persistence_secs = secs.or(self.persistence_secs);
            }
            "persistence_granularity" => {
                let found = GranularityDraft::read(statement, report);
                if let Some(found) = found {
                    self.granularity = Some((found, statement.argument_position(0).clone()));
                }
            }
            "persistence_engine" => {
                values::set(&mut self.engine, values::text(statement, report));
                if let Some(engine) = self.engine.as_deref().filter(|engine| *engine != "sip") {
                    let message =
                        format!("persistence_engine: the kernel knows 'sip', not '{engine}'");
                    report.warning(statement.argument_position(0), message);
                }
            }
            "protocol" => {
                let found = values::word(statement, "TCP, UDP or SCTP", report, |word| {
                    [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
                        .into_iter()
                        .find(|known| known.to_string().eq_ignore_ascii_case(word))
                });
                if let Some(found) = found {
                    self.protocol = Some((found, statement.position().clone()));
                }
            }
            _ => return false,
        }
        true
    }

    fn scheduler_flag(&mut self, statement: &Statement, scheduler: &'static str, number: u8) {
        self.scheduler_flags.push(SchedulerFlag {
            position: statement.position().clone(),
            keyword: statement.keyword().to_owned(),
            scheduler,
            number,
        });
    }

    /// Statements about the pool of real servers.
    fn read_pool(&mut self, statement: &'s Statement, report: &mut Report) -> bool {
        let whole = u64::from(u32::MAX);
        let keyword = statement.keyword();
        if matches!(
            keyword,
            "ha_suspend"
                | "omega"
                | "quorum"
                | "hysteresis"
                | "quorum_up"
                | "quorum_down"
                | "sorry_server"
                | "smtp_alert"
        ) {
            report.feature(statement.position(), keyword, self.address.to_string());
        }
        match keyword {
            "real_server" => self
                .real_servers
                .extend(real_server::Draft::read(statement, report)),
            "weight" => {
                self.weight = values::number(statement, 1..=WEIGHT_MAX, report).or(self.weight);
            }
            "inhibit_on_failure" => self.inhibit_on_failure = values::flag(statement, report),
            "ha_suspend" => self.ha_suspend = values::flag(statement, report),
            "omega" => self.omega = values::flag(statement, report),
            "quorum" => self.quorum = values::number(statement, 1..=whole, report).unwrap_or(1),
            "hysteresis" => {
                let weight = values::number(statement, 0..=whole, report);
                self.hysteresis = weight.unwrap_or(self.hysteresis);
            }
            "quorum_up" => {
                values::set(&mut self.quorum_up, command::with_user(statement, report));
            }
            "quorum_down" => {
                values::set(&mut self.quorum_down, command::with_user(statement, report));
            }
            "sorry_server" => {
                if let Some((ip, port)) = real_server::endpoint(statement, report) {
                    let position = statement.position().clone();
                    let sorry = SorryDraft {
                        position,
                        ip,
                        port,
                        inhibit: false,
                        forwarding: None,
                    };
                    self.sorry_server = Some(sorry);
                }
            }
            "sorry_server_inhibit" => {
                values::flag(statement, report);
                match &mut self.sorry_server {
                    Some(sorry) => sorry.inhibit = true,
                    None => needs_sorry_server(statement, report),
                }
            }
            "sorry_server_lvs_method" => {
                let method = forwarding::read(statement, report);
                match &mut self.sorry_server {
                    Some(sorry) => sorry.forwarding = method.or(sorry.forwarding),
                    None => needs_sorry_server(statement, report),
                }
            }
            "virtualhost" => {
                values::set(&mut self.virtualhost, values::text(statement, report));
            }
            "smtp_alert" => {
                self.smtp_alert = values::switch(statement, report).or(self.smtp_alert);
            }
            "snmp_name" => {
                values::set(&mut self.snmp_name, values::text(statement, report));
            }
            _ => return false,
        }
        true
    }

    /// Corrects what keepalived corrects and fills in what is inherited; none if there is nothing
    /// to serve (reported).
    pub(super) fn finish(
        mut self,
        groups: &[VirtualServerGroup],
        globals: &Globals,
        report: &mut Report,
    ) -> Option<VirtualServer> {
        let corrected = correct::service(&mut self, groups, report)?;
        for flag in &self.scheduler_flags {
            match flag.number {
                1 => self.flags.flag_1 = true,
                2 => self.flags.flag_2 = true,
                _ => {}
            }
        }
        let defaults = Defaults {
            globals,
            knobs: &self.knobs,
            weight: self.weight,
            forwarding: corrected.forwarding,
            inhibit_on_failure: self.inhibit_on_failure,
            virtualhost: self.virtualhost.as_deref(),
            port: corrected.port,
        };
        let real_servers = core::mem::take(&mut self.real_servers);
        let real_servers: Vec<RealServer> = real_servers
            .into_iter()
            .filter_map(|draft| correct::real_server(draft, &corrected, &defaults, report))
            .collect();
        let sorry_server = correct::sorry_server(self.sorry_server.take(), &corrected, report);
        let persistence = self.persistence_secs.map(|timeout_secs| Persistence {
            timeout_secs,
            granularity: corrected.granularity,
            engine: self.engine.take(),
        });
        let mut service = VirtualServer {
            position: self.position,
            address: self.address,
            family: corrected.family,
            protocol: corrected.protocol,
            scheduler: corrected.scheduler,
            flags: self.flags,
            forwarding: corrected.forwarding,
            persistence,
            timing: self.knobs.timing(Class::Plain),
            ha_suspend: self.ha_suspend,
            alpha: self.knobs.alpha(),
            omega: self.omega,
            quorum: self.quorum,
            hysteresis: self.hysteresis,
            quorum_up: self.quorum_up,
            quorum_down: self.quorum_down,
            sorry_server,
            virtualhost: self.virtualhost,
            smtp_alert: self
                .smtp_alert
                .or_else(|| globals.checker_alerts())
                .unwrap_or(false),
            snmp_name: self.snmp_name,
            real_servers,
        };
        correct::pool(&mut service, report).then_some(service)
    }
}

impl SorryDraft {
    pub(super) fn finish(self, port: u16, default: Forwarding) -> SorryServer {
        SorryServer {
            position: self.position,
            ip: self.ip,
            port,
            inhibit: self.inhibit,
            forwarding: self.forwarding.unwrap_or(default),
        }
    }
}

fn needs_sorry_server(statement: &Statement, report: &mut Report) {
    let message = format!(
        "{} needs a 'sorry_server' before it; line ignored",
        statement.keyword()
    );
    report.warning(statement.position(), message);
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::super::{Config, Granularity};
    use super::*;

    /// The one virtual server of a block with a real server; complete but for the lines given.
    fn service(header: &str, lines: &str) -> VirtualServer {
        let text =
            format!("virtual_server {header} {{\n{lines}\nreal_server 10.0.0.2 80 {{ }}\n}}\n");
        let config = Config::parse("t.conf", &text);
        config
            .virtual_servers()
            .first()
            .expect("a virtual server")
            .clone()
    }

    #[test]
    fn headers_have_three_forms() {
        let of = |header: &str| service(header, "lb_algo rr").address;
        assert_eq!(
            of("10.0.0.1 80"),
            VirtualAddress::Socket("10.0.0.1:80".parse().unwrap())
        );
        assert_eq!(
            of("10.0.0.1"),
            VirtualAddress::Socket("10.0.0.1:0".parse().unwrap())
        );
        assert_eq!(
            of("fwmark 4294967295"),
            VirtualAddress::Fwmark(NonZeroU32::MAX)
        );
        assert_eq!(of("10.0.0.1 80").to_string(), "10.0.0.1:80");
        assert_eq!(of("fwmark 7").to_string(), "fwmark 7");
    }

    #[test]
    fn defaults_are_those_of_keepalived() {
        let service = service("10.0.0.1 80", "");
        assert_eq!(
            (service.scheduler, service.forwarding),
            ("wlc", Forwarding::Masquerade)
        );
        assert_eq!(
            (service.protocol, service.persistence),
            (Some(Protocol::Udp), None)
        );
        assert_eq!(
            (service.quorum, service.hysteresis, service.smtp_alert),
            (1, 0, false)
        );
        assert_eq!(service.timing.delay_loop, Duration::from_secs(60));
    }

    #[test]
    fn named_flags_are_numbered_flags() {
        let flags = |lines: &str| service("10.0.0.1 80", lines).flags;
        let sh = flags("lb_algo sh\nsh-fallback\nhashed");
        assert_eq!((sh.flag_1, sh.flag_2, sh.hashed), (true, false, true));
        let mh = flags("mh-port\nlb_algo mh\nflag-3");
        assert_eq!((mh.flag_1, mh.flag_2, mh.flag_3), (false, true, true));
        assert_eq!(
            flags("lb_algo rr\nmh-port\nhashed"),
            ServiceFlags::default()
        );
        assert!(flags("protocol UDP\nops").one_packet);
    }

    #[test]
    fn persistence_from_any_of_its_keywords() {
        let of = |lines: &str| {
            service("10.0.0.1 80", lines)
                .persistence
                .expect("persistence")
        };
        assert_eq!(of("persistence_timeout").timeout_secs, 360);
        assert_eq!(
            of("persistence_timeout 50\npersistence_timeout 0").timeout_secs,
            50
        );
        let masked = of("persistence_granularity 255.255.0.0");
        assert_eq!(masked.timeout_secs, 360);
        assert_eq!(
            masked.granularity,
            Granularity::Mask(Ipv4Addr::new(255, 255, 0, 0))
        );
        let engine = of("persistence_timeout 50\npersistence_engine sip").engine;
        assert_eq!(engine.as_deref(), Some("sip"));
    }
}
