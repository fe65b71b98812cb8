//! Check blocks of a real server (keepalived.conf(5)).
//!
//! All ten kinds are read into typed values, each with what it inherits filled in. Which of them
//! run is not decided here.

mod dns;
mod file;
mod http;
mod misc;
mod smtp;
mod udp;

use core::net::IpAddr;
use core::time::Duration;

use super::ast::Statement;
use super::diagnostic::{Position, Report};
use super::knobs::{Class, Knobs, Level, Timing};
use super::values;

pub use dns::{DnsCheck, DnsType};
pub use file::FileCheck;
pub use http::{HttpCheck, HttpProtocol, HttpUrl, Regex};
pub use misc::MiscCheck;
pub use smtp::SmtpCheck;
pub use udp::{ReplyPattern, UdpCheck};

/// A check with everything it inherits.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Check {
    /// Where its block starts.
    pub position: Position,
    /// When it runs.
    pub timing: Timing,
    /// Whether it counts as down until its first success.
    pub alpha: bool,
    /// Whether failures that are tolerated are logged too.
    pub log_all_failures: bool,
    /// What it does.
    pub kind: CheckKind,
}

/// What a check does.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CheckKind {
    /// `TCP_CHECK`: the connection is accepted.
    Tcp(Connection),
    /// `MISC_CHECK`: a program exits with 0.
    Misc(MiscCheck),
    /// `HTTP_GET`: pages are as expected.
    Http(HttpCheck),
    /// `SSL_GET`: the same over TLS.
    Https(HttpCheck),
    /// `SMTP_CHECK`: the mail server answers HELO.
    Smtp(SmtpCheck),
    /// `DNS_CHECK`: the name server answers.
    Dns(DnsCheck),
    /// `UDP_CHECK`: no error comes back, or a reply does.
    Udp(UdpCheck),
    /// `PING_CHECK`: the host answers an ICMP echo.
    Ping(Connection),
    /// `BFD_CHECK`: the named BFD session is up.
    Bfd {
        /// Name of the `bfd_instance`.
        name: String,
    },
    /// `FILE_CHECK`: a number in a file.
    File(FileCheck),
}

impl CheckKind {
    /// The block's keyword.
    #[must_use]
    pub fn keyword(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "TCP_CHECK",
            Self::Misc(_) => "MISC_CHECK",
            Self::Http(_) => "HTTP_GET",
            Self::Https(_) => "SSL_GET",
            Self::Smtp(_) => "SMTP_CHECK",
            Self::Dns(_) => "DNS_CHECK",
            Self::Udp(_) => "UDP_CHECK",
            Self::Ping(_) => "PING_CHECK",
            Self::Bfd { .. } => "BFD_CHECK",
            Self::File(_) => "FILE_CHECK",
        }
    }
}

/// Where a check connects to, and from where.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Connection {
    /// `connect_ip`; default the real server's address.
    pub ip: IpAddr,
    /// `connect_port`; default the real server's port, or else the virtual server's. 0 if none of
    /// them has one; the diagnostics then say so.
    pub port: u16,
    /// `bindto`: source address, of the same family.
    pub bind_ip: Option<IpAddr>,
    /// `bind_port`: source port, 1..=65535.
    pub bind_port: Option<u16>,
    /// `bind_if`: interface.
    pub bind_interface: Option<String>,
    /// `fwmark` of the packets sent; 0 for none.
    pub fwmark: u32,
}

/// What a check takes from what surrounds it.
pub(super) struct Outer<'a> {
    /// Knobs of the real server within those of the virtual server.
    pub(super) knobs: Knobs,
    /// Default of `misc_timeout`.
    pub(super) service_delay_loop: Duration,
    pub(super) log_all_failures: bool,
    pub(super) ip: IpAddr,
    /// Port to check; 0 if there is none.
    pub(super) port: u16,
    pub(super) service_virtualhost: Option<&'a str>,
    pub(super) server_virtualhost: Option<&'a str>,
}

/// `connect_ip` and its relatives, as written.
#[derive(Clone, Debug, Default)]
struct ConnectionDraft {
    ip: Option<IpAddr>,
    port: Option<u16>,
    bind_ip: Option<(IpAddr, Position)>,
    bind_port: Option<u16>,
    bind_interface: Option<String>,
    fwmark: Option<u32>,
}

impl ConnectionDraft {
    /// Reads a statement if it is about the connection.
    fn read(&mut self, statement: &Statement, report: &mut Report) -> bool {
        let port = 1..=65_535;
        match statement.keyword() {
            "connect_ip" => self.ip = values::address(statement, report).or(self.ip),
            "connect_port" => self.port = values::number(statement, port, report).or(self.port),
            "bindto" => {
                if let Some(ip) = values::address(statement, report) {
                    self.bind_ip = Some((ip, statement.argument_position(0).clone()));
                }
            }
            "bind_port" => {
                self.bind_port = values::number(statement, port, report).or(self.bind_port);
            }
            "bind_if" => {
                let name = values::interface(statement, report);
                values::set(&mut self.bind_interface, name);
            }
            "fwmark" => {
                let range = 0..=u64::from(u32::MAX);
                self.fwmark = values::number(statement, range, report).or(self.fwmark);
            }
            _ => return false,
        }
        true
    }

    /// `ported` tells whether the check needs a port at all.
    fn finish(
        &self,
        outer: &Outer<'_>,
        ported: bool,
        statement: &Statement,
        report: &mut Report,
    ) -> Connection {
        let ip = self.ip.unwrap_or(outer.ip);
        let port = self.port.unwrap_or(outer.port);
        if ported && port == 0 {
            let message = format!(
                "{}: neither real server nor virtual server has a port, so 'connect_port' is \
                 needed; the check will fail",
                statement.keyword()
            );
            report.warning(statement.position(), message);
        }
        let bind_ip = self.bind_ip.as_ref().and_then(|(bind, position)| {
            if bind.is_ipv4() == ip.is_ipv4() {
                return Some(*bind);
            }
            let message = format!("bindto: {bind} is of another family than {ip}; line ignored");
            report.error(position, message);
            None
        });
        Connection {
            ip,
            port,
            bind_ip,
            bind_port: self.bind_port,
            bind_interface: self.bind_interface.clone(),
            fwmark: self.fwmark.unwrap_or(0),
        }
    }
}

/// A check block as written; it is finished when all around it is known.
#[derive(Clone, Debug)]
pub(super) struct CheckDraft<'s> {
    statement: &'s Statement,
    knobs: Knobs,
    log_all_failures: Option<bool>,
    kind: KindDraft,
}

#[derive(Clone, Debug)]
enum KindDraft {
    Tcp(ConnectionDraft),
    Misc(misc::Draft),
    Http(http::Draft),
    Https(http::Draft),
    Smtp(smtp::Draft),
    Dns(dns::Draft),
    Udp(udp::Draft),
    Ping(ConnectionDraft),
    Bfd(Option<String>),
    File(file::Draft),
}

impl KindDraft {
    fn new(keyword: &str) -> Option<Self> {
        Some(match keyword {
            "TCP_CHECK" => Self::Tcp(ConnectionDraft::default()),
            "MISC_CHECK" => Self::Misc(misc::Draft::default()),
            "HTTP_GET" => Self::Http(http::Draft::default()),
            "SSL_GET" => Self::Https(http::Draft::default()),
            "SMTP_CHECK" => Self::Smtp(smtp::Draft::default()),
            "DNS_CHECK" => Self::Dns(dns::Draft::default()),
            "UDP_CHECK" => Self::Udp(udp::Draft::default()),
            "PING_CHECK" => Self::Ping(ConnectionDraft::default()),
            "BFD_CHECK" => Self::Bfd(None),
            "FILE_CHECK" => Self::File(file::Draft::default()),
            _ => return None,
        })
    }

    /// Where its knobs stand; none for checks that take only `alpha`.
    fn level(&self) -> Option<Level> {
        match self {
            Self::Misc(_) => Some(Level::LocalChecker),
            Self::Bfd(_) | Self::File(_) => None,
            _ => Some(Level::Checker),
        }
    }

    fn class(&self) -> Class {
        match self {
            Self::Misc(_) => Class::Misc,
            Self::Http(_) | Self::Https(_) => Class::Http,
            Self::Dns(_) => Class::Dns,
            _ => Class::Plain,
        }
    }

    /// Reads a statement of this kind of block.
    fn read(&mut self, statement: &Statement, report: &mut Report) -> bool {
        match self {
            Self::Tcp(draft) | Self::Ping(draft) => draft.read(statement, report),
            Self::Misc(draft) => draft.read(statement, report),
            Self::Http(draft) | Self::Https(draft) => draft.read(statement, report),
            Self::Smtp(draft) => draft.read(statement, report),
            Self::Dns(draft) => draft.read(statement, report),
            Self::Udp(draft) => draft.read(statement, report),
            Self::File(draft) => draft.read(statement, report),
            Self::Bfd(name) if statement.keyword() == "name" => {
                values::set(name, values::text(statement, report));
                true
            }
            Self::Bfd(_) => false,
        }
    }
}

impl<'s> CheckDraft<'s> {
    /// Reads a statement if it is a check block.
    pub(super) fn read(statement: &'s Statement, report: &mut Report) -> Option<Self> {
        let kind = KindDraft::new(statement.keyword())?;
        let knobs = Knobs::default();
        let mut draft = Self {
            statement,
            knobs,
            log_all_failures: None,
            kind,
        };
        for inner in values::block(statement, report) {
            let handled = draft.kind.read(inner, report) || draft.read_common(inner, report);
            if !handled {
                values::unknown(inner, report);
            }
        }
        Some(draft)
    }

    fn read_common(&mut self, statement: &Statement, report: &mut Report) -> bool {
        let Some(level) = self.kind.level() else {
            return statement.keyword() == "alpha"
                && self.knobs.read(statement, Level::Checker, report);
        };
        if statement.keyword() == "nb_get_retry" && self.kind.class() == Class::Http {
            report.warning(
                statement.position(),
                "nb_get_retry is deprecated, use 'retry'",
            );
            self.knobs.read_retry(statement, level, report);
            return true;
        }
        if statement.keyword() == "log_all_failures" {
            let value = values::switch(statement, report);
            self.log_all_failures = value.or(self.log_all_failures);
            return true;
        }
        self.knobs.read(statement, level, report)
    }

    pub(super) fn statement(&self) -> &'s Statement {
        self.statement
    }

    /// Fills in what is inherited; none if the block lacks what it cannot do without (reported), and
    /// several for an old `SMTP_CHECK` with several hosts.
    pub(super) fn finish(&self, outer: &Outer<'_>, report: &mut Report) -> Vec<Check> {
        let kinds = self.kinds(outer, report).unwrap_or_default();
        let knobs = self.knobs.within(&outer.knobs);
        let checks = kinds.into_iter().map(|kind| Check {
            position: self.statement.position().clone(),
            timing: knobs.timing(self.kind.class()),
            alpha: knobs.alpha(),
            log_all_failures: self.log_all_failures.unwrap_or(outer.log_all_failures),
            kind,
        });
        checks.collect()
    }

    fn kinds(&self, outer: &Outer<'_>, report: &mut Report) -> Option<Vec<CheckKind>> {
        let statement = self.statement;
        let kind = match &self.kind {
            KindDraft::Tcp(draft) => CheckKind::Tcp(draft.finish(outer, true, statement, report)),
            KindDraft::Ping(draft) => {
                CheckKind::Ping(draft.finish(outer, false, statement, report))
            }
            KindDraft::Misc(draft) => CheckKind::Misc(draft.finish(outer, statement, report)?),
            KindDraft::Http(draft) => CheckKind::Http(draft.finish(outer, statement, report)?),
            KindDraft::Https(draft) => CheckKind::Https(draft.finish(outer, statement, report)?),
            KindDraft::Smtp(draft) => {
                let checks = draft.finish(outer, statement, report).into_iter();
                return Some(checks.map(CheckKind::Smtp).collect());
            }
            KindDraft::Dns(draft) => CheckKind::Dns(draft.finish(outer, statement, report)),
            KindDraft::Udp(draft) => CheckKind::Udp(draft.finish(outer, statement, report)),
            KindDraft::File(draft) => CheckKind::File(draft.finish(statement, report)?),
            KindDraft::Bfd(Some(name)) => CheckKind::Bfd { name: name.clone() },
            KindDraft::Bfd(None) => {
                missing(statement, "name", report);
                return None;
            }
        };
        Some(vec![kind])
    }
}

/// Reports a block without a statement that it cannot do without.
fn missing(statement: &Statement, keyword: &str, report: &mut Report) {
    let message = format!(
        "{}: '{keyword}' is missing, check ignored",
        statement.keyword()
    );
    report.error(statement.position(), message);
}

#[cfg(test)]
mod tests_support {
    use super::super::ast::tests_support::statement;
    use super::*;

    /// Reads one check block of a real server 192.0.2.11:80 that sets nothing itself.
    pub(super) fn checks(text: &str) -> (Vec<Check>, Vec<String>) {
        let mut report = Report::new(20);
        let statement = statement(text);
        let draft = CheckDraft::read(&statement, &mut report).expect("a check");
        let outer = Outer {
            knobs: Knobs::default(),
            service_delay_loop: Duration::from_secs(60),
            log_all_failures: false,
            ip: "192.0.2.11".parse().expect("an address"),
            port: 80,
            service_virtualhost: Some("service.example"),
            server_virtualhost: Some("server.example"),
        };
        let checks = draft.finish(&outer, &mut report);
        (
            checks,
            report.finish().0.iter().map(ToString::to_string).collect(),
        )
    }

    /// Reads a block that gives at most one check.
    pub(super) fn check(text: &str) -> (Option<Check>, Vec<String>) {
        let (checks, messages) = checks(text);
        assert!(checks.len() < 2, "{checks:?}");
        (checks.into_iter().next(), messages)
    }

    /// The check of a text without any diagnostic.
    pub(super) fn clean(text: &str) -> Check {
        let (check, messages) = check(text);
        assert!(messages.is_empty(), "{messages:?}");
        check.expect("a check")
    }
}

#[cfg(test)]
mod tests {
    use super::tests_support::{check, clean};
    use super::*;

    #[test]
    fn connection_defaults_to_the_real_server() {
        let CheckKind::Tcp(connection) = clean("TCP_CHECK { }").kind else {
            panic!("tcp")
        };
        assert_eq!(
            (connection.ip, connection.port),
            ("192.0.2.11".parse().unwrap(), 80)
        );
        assert_eq!(
            (connection.bind_ip, connection.bind_port, connection.fwmark),
            (None, None, 0)
        );
    }

    #[test]
    fn connection_keywords_are_read() {
        let text = "TCP_CHECK {\n connect_ip 2001:db8::1\n connect_port 8080\n bindto 2001:db8::2\n\
                    bind_port 4000\n bind_if eth0\n fwmark 7\n connect_timeout 3\n alpha\n\
                    log_all_failures\n retry 0\n}";
        let check = clean(text);
        let CheckKind::Tcp(connection) = check.kind else {
            panic!("tcp")
        };
        assert_eq!(connection.ip, "2001:db8::1".parse::<IpAddr>().unwrap());
        assert_eq!(connection.bind_ip, Some("2001:db8::2".parse().unwrap()));
        assert_eq!((connection.port, connection.bind_port), (8080, Some(4000)));
        assert_eq!(connection.bind_interface.as_deref(), Some("eth0"));
        assert_eq!(connection.fwmark, 7);
        assert_eq!(check.timing.connect_timeout, Duration::from_secs(3));
        assert!(check.alpha && check.log_all_failures);
        assert_eq!(check.timing.retry, 0);
    }

    #[test]
    fn source_of_another_family_is_ignored() {
        let (_, messages) = check("TCP_CHECK {\n bindto 2001:db8::2\n}");
        assert_eq!(
            messages,
            [
                "test.conf:2:9: error: bindto: 2001:db8::2 is of another family than 192.0.2.11; \
              line ignored"
            ]
        );
    }

    #[test]
    fn unknown_keywords_are_skipped_with_their_block() {
        let (check, messages) = check("TCP_CHECK {\n bogus {\n retry 9\n }\n retry 2\n}");
        assert_eq!(check.unwrap().timing.retry, 2);
        assert_eq!(
            messages,
            ["test.conf:2:2: warning: unknown keyword 'bogus', skipped with its block"]
        );
    }

    #[test]
    fn bfd_takes_a_name_and_alpha_only() {
        let bfd = clean("BFD_CHECK {\n name link\n alpha\n}");
        assert_eq!(
            bfd.kind,
            CheckKind::Bfd {
                name: "link".into()
            }
        );
        assert!(bfd.alpha);
        let (check, messages) = check("BFD_CHECK {\n retry 3\n}");
        assert_eq!(check, None);
        assert!(messages[0].contains("unknown keyword 'retry'"));
        assert!(messages[1].contains("BFD_CHECK: 'name' is missing, check ignored"));
    }

    #[test]
    fn ping_needs_no_port() {
        let check = clean("PING_CHECK {\n connect_ip 192.0.2.99\n}");
        assert_eq!(check.kind.keyword(), "PING_CHECK");
    }
}
