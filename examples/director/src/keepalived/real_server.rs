//! `real_server IP [PORT] { … }` (keepalived.conf(5)).

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use super::ast::Statement;
use super::checks::{Check, CheckDraft, Outer};
use super::command::{self, Command};
use super::diagnostic::{Position, Report};
use super::forwarding::{self, Forwarding};
use super::knobs::{Knobs, Level};
use super::values;
use super::virtual_server::Defaults;

/// The range of weights, and of what reaches the kernel.
pub(super) const WEIGHT_MAX: u64 = 2_147_483_647;

/// A server behind a virtual server, with everything it inherits.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RealServer {
    /// Where its block starts.
    pub position: Position,
    /// Its address.
    pub ip: IpAddr,
    /// Its port; 0 for the port the client asked for.
    pub port: u16,
    /// `weight`, 0..=2147483647. Default that of the virtual server, or 1.
    pub weight: u32,
    /// `lvs_method`. Default that of the virtual server.
    pub forwarding: Forwarding,
    /// `inhibit_on_failure`: failed means weight 0, not removed.
    pub inhibit_on_failure: bool,
    /// `uthreshold`: connections from which on it gets no more; 0 for no limit.
    pub upper_threshold: u32,
    /// `lthreshold`: connections below which it gets some again; 0 for the kernel's choice.
    pub lower_threshold: u32,
    /// `notify_up`
    pub notify_up: Option<Command>,
    /// `notify_down`
    pub notify_down: Option<Command>,
    /// Whether it counts as down until its checks succeeded; each check has its own value.
    pub alpha: bool,
    /// `smtp_alert`: mail on changes. Default on, unless the global setting differs.
    pub smtp_alert: bool,
    /// `virtualhost` for checks that ask for pages.
    pub virtualhost: Option<String>,
    /// `snmp_name`
    pub snmp_name: Option<String>,
    /// Its checks, in the file's order. Without any it is always up.
    pub checks: Vec<Check>,
}

/// `192.0.2.11:80`
impl fmt::Display for RealServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.ip, self.port).fmt(f)
    }
}

/// A real server as written.
#[derive(Clone, Debug)]
pub(super) struct Draft<'s> {
    pub(super) position: Position,
    pub(super) ip: IpAddr,
    pub(super) port: u16,
    weight: Option<u32>,
    forwarding: Option<Forwarding>,
    inhibit_on_failure: Option<bool>,
    upper_threshold: u32,
    lower_threshold: u32,
    notify_up: Option<Command>,
    notify_down: Option<Command>,
    smtp_alert: Option<bool>,
    virtualhost: Option<String>,
    snmp_name: Option<String>,
    knobs: Knobs,
    checks: Vec<CheckDraft<'s>>,
}

/// Reads the address and port of a `real_server` or `sorry_server`.
pub(super) fn endpoint(statement: &Statement, report: &mut Report) -> Option<(IpAddr, u16)> {
    let ip = values::word_at(statement, 0, "an IPv4 or IPv6 address", report, |word| {
        word.parse().ok()
    })?;
    let port = match statement.argument(1) {
        None => 0,
        Some(_) => values::number_at(statement, 1, 0..=65_535, report)?,
    };
    if let Some(extra) = statement.argument(2) {
        let message = format!("{}: '{extra}' is ignored", statement.keyword());
        report.note(statement.argument_position(2), message);
    }
    Some((ip, port))
}

impl<'s> Draft<'s> {
    /// Reads a block; none if its address is unusable (reported).
    pub(super) fn read(statement: &'s Statement, report: &mut Report) -> Option<Self> {
        let (ip, port) = endpoint(statement, report)?;
        let mut draft = Self {
            position: statement.position().clone(),
            ip,
            port,
            weight: None,
            forwarding: None,
            inhibit_on_failure: None,
            upper_threshold: 0,
            lower_threshold: 0,
            notify_up: None,
            notify_down: None,
            smtp_alert: None,
            virtualhost: None,
            snmp_name: None,
            knobs: Knobs::default(),
            checks: Vec::new(),
        };
        for inner in values::block(statement, report) {
            draft.read_statement(inner, report);
        }
        Some(draft)
    }

    fn read_statement(&mut self, statement: &'s Statement, report: &mut Report) {
        let thresholds = 0..=u64::from(u32::MAX);
        let owner = SocketAddr::new(self.ip, self.port);
        match statement.keyword() {
            "weight" => {
                self.weight = values::number(statement, 0..=WEIGHT_MAX, report).or(self.weight);
            }
            "lvs_method" => {
                self.forwarding = forwarding::read(statement, report).or(self.forwarding)
            }
            "inhibit_on_failure" => {
                let on = values::switch(statement, report);
                self.inhibit_on_failure = on.or(self.inhibit_on_failure);
            }
            "uthreshold" => {
                let limit = values::number(statement, thresholds, report);
                self.upper_threshold = limit.unwrap_or(self.upper_threshold);
            }
            "lthreshold" => {
                let limit = values::number(statement, thresholds, report);
                self.lower_threshold = limit.unwrap_or(self.lower_threshold);
            }
            "notify_up" => {
                values::set(&mut self.notify_up, command::with_user(statement, report));
                report.feature(statement.position(), "notify_up", owner.to_string());
            }
            "notify_down" => {
                values::set(&mut self.notify_down, command::with_user(statement, report));
                report.feature(statement.position(), "notify_down", owner.to_string());
            }
            "smtp_alert" => {
                self.smtp_alert = values::switch(statement, report).or(self.smtp_alert);
                report.feature(statement.position(), "smtp_alert", owner.to_string());
            }
            "virtualhost" => {
                values::set(&mut self.virtualhost, values::text(statement, report));
            }
            "snmp_name" => {
                values::set(&mut self.snmp_name, values::text(statement, report));
            }
            _ if self.knobs.read(statement, Level::RealServer, report) => {}
            keyword => match CheckDraft::read(statement, report) {
                Some(check) => {
                    report.feature(check.statement().position(), keyword, owner.to_string());
                    self.checks.push(check);
                }
                None => values::unknown(statement, report),
            },
        }
    }

    /// How packets reach it.
    pub(super) fn forwarding(&self, default: Forwarding) -> Forwarding {
        self.forwarding.unwrap_or(default)
    }

    /// Fills in what is inherited; `port` is the one it has after corrections.
    pub(super) fn finish(
        self,
        port: u16,
        defaults: &Defaults<'_>,
        report: &mut Report,
    ) -> RealServer {
        let knobs = self.knobs.within(defaults.knobs);
        let outer = Outer {
            knobs,
            service_delay_loop: defaults.delay_loop(),
            log_all_failures: defaults.globals.checker_log_all_failures,
            ip: self.ip,
            // A port that forwarding has no use for still says where the service listens.
            port: [port, self.port, defaults.port]
                .into_iter()
                .find(|port| *port != 0)
                .unwrap_or(0),
            service_virtualhost: defaults.virtualhost,
            server_virtualhost: self.virtualhost.as_deref(),
        };
        let checks = self
            .checks
            .iter()
            .flat_map(|draft| draft.finish(&outer, report))
            .collect();
        RealServer {
            position: self.position,
            ip: self.ip,
            port,
            weight: self.weight.or(defaults.weight).unwrap_or(1),
            forwarding: self.forwarding.unwrap_or(defaults.forwarding),
            inhibit_on_failure: self
                .inhibit_on_failure
                .unwrap_or(defaults.inhibit_on_failure),
            upper_threshold: self.upper_threshold,
            lower_threshold: self.lower_threshold,
            notify_up: self.notify_up,
            notify_down: self.notify_down,
            alpha: knobs.alpha(),
            smtp_alert: self
                .smtp_alert
                .or_else(|| defaults.globals.checker_alerts())
                .unwrap_or(true),
            virtualhost: self.virtualhost,
            snmp_name: self.snmp_name,
            checks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn server(service: &str, lines: &str) -> RealServer {
        let text = format!(
            "virtual_server 10.0.0.1 80 {{\n{service}\nreal_server 10.0.0.2 80 {{\n{lines}\n}}\n}}\n"
        );
        let config = Config::parse("t.conf", &text);
        config.virtual_servers()[0].real_servers[0].clone()
    }

    #[test]
    fn defaults_come_from_the_virtual_server() {
        let own = server("", "");
        assert_eq!((own.weight, own.forwarding), (1, Forwarding::Masquerade));
        assert!(own.smtp_alert && !own.alpha && !own.inhibit_on_failure);
        let outer = "weight 7\nlb_kind DR\nalpha\ninhibit_on_failure";
        let inherited = server(outer, "");
        assert_eq!(
            (inherited.weight, inherited.forwarding),
            (7, Forwarding::DirectRoute)
        );
        assert!(inherited.alpha && inherited.inhibit_on_failure);
        let set = server(
            outer,
            "weight 0\nlvs_method NAT\nalpha off\ninhibit_on_failure no",
        );
        assert_eq!((set.weight, set.forwarding), (0, Forwarding::Masquerade));
        assert!(!set.alpha && !set.inhibit_on_failure);
    }

    #[test]
    fn order_of_service_and_server_does_not_matter() {
        let text = "virtual_server 10.0.0.1 80 {\nreal_server 10.0.0.2 80 { TCP_CHECK { } }\n\
                    lb_kind DR\ndelay_loop 7\n}\n";
        let config = Config::parse("t.conf", text);
        let server = &config.virtual_servers()[0].real_servers[0];
        assert_eq!(server.forwarding, Forwarding::DirectRoute);
        assert_eq!(server.checks[0].timing.delay_loop.as_secs(), 7);
    }

    #[test]
    fn an_unusable_value_leaves_the_one_before() {
        assert_eq!(server("", "weight 5\nweight x").weight, 5);
    }

    #[test]
    fn address_and_port_are_shown_as_usual() {
        assert_eq!(server("", "").to_string(), "10.0.0.2:80");
    }
}
