//! `global_defs { … }`, `SSL { … }` and the global statements outside of blocks
//! (keepalived.conf(5)).

mod lvs;
mod read;
mod vrrp;

use core::net::IpAddr;
use core::time::Duration;

use super::command::Command;

pub use vrrp::VrrpGlobals;

/// Settings of the whole program.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a keyword of its own"
)]
#[non_exhaustive]
pub struct Globals {
    /// `router_id`: name in messages. Default the host's name.
    pub router_id: Option<String>,
    /// `script_user`: account for scripts. Default `keepalived_script` if there is one, else the
    /// user of the process.
    pub script_user: Option<Account>,
    /// `enable_script_security`: scripts that run as root must not be writable by others.
    pub enable_script_security: bool,
    /// `startup_script`
    pub startup_script: Option<Command>,
    /// `startup_script_timeout`. Default 10 s.
    pub startup_script_timeout: Duration,
    /// `shutdown_script`
    pub shutdown_script: Option<Command>,
    /// `shutdown_script_timeout`. Default 10 s.
    pub shutdown_script_timeout: Duration,
    /// Mail.
    pub mail: Mail,
    /// `checker_log_all_failures`: default of `log_all_failures`.
    pub checker_log_all_failures: bool,
    /// `rs_init_notifies`: notify scripts also run at the start.
    pub rs_init_notifies: bool,
    /// `lvs_timeouts`
    pub lvs_timeouts: LvsTimeouts,
    /// `lvs_sync_daemon`
    pub lvs_sync_daemon: Option<SyncDaemon>,
    /// `lvs_flush`: the table is emptied at the start.
    pub lvs_flush: bool,
    /// `lvs_flush_on_stop`
    pub lvs_flush_on_stop: FlushOnStop,
    /// `notify_fifo`: events of everything.
    pub notify_fifo: Fifo,
    /// `lvs_notify_fifo`: events of virtual and real servers.
    pub lvs_notify_fifo: Fifo,
    /// `vrrp_notify_fifo`: events of virtual routers.
    pub vrrp_notify_fifo: Fifo,
    /// `default_interface`. Default `eth0`.
    pub default_interface: String,
    /// `dynamic_interfaces`: interfaces may be missing.
    pub dynamic_interfaces: bool,
    /// `max_auto_priority`, -1..=99: how far the process priority is raised by itself. Default 0.
    pub max_auto_priority: i8,
    /// Scheduling of the process that checks.
    pub checker_process: ProcessSettings,
    /// Scheduling of the process that runs virtual routers.
    pub vrrp_process: ProcessSettings,
    /// `net_namespace`: network namespace to run in.
    pub net_namespace: Option<String>,
    /// `net_namespace_ipvs`: network namespace of the table.
    pub net_namespace_ipvs: Option<String>,
    /// `nftables_ipvs [TABLE]`: groups are served by marks; the name of the nftables table.
    pub nftables_ipvs: Option<String>,
    /// `nftables_ipvs_start_fwmark`. Default 1000.
    pub nftables_ipvs_start_fwmark: u32,
    /// `child_wait_time`: time for children to end. Default 5 s.
    pub child_wait_time: Duration,
    /// `reload_check_config`: a configuration is checked before it is loaded again.
    pub reload_check_config: bool,
    /// Defaults of virtual routers.
    pub vrrp: VrrpGlobals,
    /// `SSL { … }`, for `SSL_GET`.
    pub ssl: Option<SslFiles>,
}

/// A user and perhaps a group.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Account {
    /// User name.
    pub user: String,
    /// Group name; none for the user's group.
    pub group: Option<String>,
}

/// Where mail about changes goes.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Mail {
    /// `notification_email`: receivers.
    pub to: Vec<String>,
    /// `notification_email_from`
    pub from: Option<String>,
    /// `smtp_server`: host and port. Default port 25.
    pub server: Option<(String, u16)>,
    /// `smtp_connect_timeout`. Default 30 s.
    pub connect_timeout: Duration,
    /// `smtp_helo_name`
    pub helo_name: Option<String>,
    /// `smtp_alert`: default for everything.
    pub alert: Option<bool>,
    /// `smtp_alert_checker`: default for virtual and real servers.
    pub alert_checker: Option<bool>,
    /// `smtp_alert_vrrp`: default for virtual routers.
    pub alert_vrrp: Option<bool>,
    /// `no_checker_emails`: no mail when a check changes state, only when a server does.
    pub no_checker_emails: bool,
}

/// `lvs_timeouts`: none leaves a time-out as it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LvsTimeouts {
    /// Established TCP connections.
    pub tcp: Option<Duration>,
    /// TCP connections after a FIN.
    pub tcp_fin: Option<Duration>,
    /// UDP.
    pub udp: Option<Duration>,
}

/// `lvs_sync_daemon`: connections are copied to other directors.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SyncDaemon {
    /// Interface.
    pub interface: String,
    /// `inst`: the virtual router whose state decides the role; none for both roles at once.
    pub instance: Option<String>,
    /// `id`, 0..=255. Default the virtual router id, or 0.
    pub id: Option<u8>,
    /// `maxlen` of a message in bytes, 1..=65507. Default by the kernel.
    pub max_length: Option<u16>,
    /// `port`, 1..=65535. Default 8848.
    pub port: u16,
    /// `ttl`, 1..=255. Default by the kernel.
    pub ttl: Option<u8>,
    /// `group`: multicast address. Default 224.0.0.81.
    pub group: IpAddr,
}

/// `lvs_flush_on_stop`
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum FlushOnStop {
    /// Servers are removed one by one.
    #[default]
    No,
    /// The table is emptied.
    Everything,
    /// `VS`: virtual servers are removed with what they contain.
    VirtualServers,
}

/// A pipe for events, and a script that reads it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Fifo {
    /// The pipe and its owner.
    pub path: Option<Command>,
    /// The script.
    pub script: Option<Command>,
}

/// Scheduling of a process.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ProcessSettings {
    /// `…_priority`: nice value, -20..=19.
    pub nice: Option<i8>,
    /// `…_rt_priority`: real-time priority, 1..=99.
    pub realtime: Option<u8>,
    /// `…_cpu_affinity`: processors it may use; empty for all.
    pub cpus: Vec<u16>,
    /// `…_no_swap`: its memory stays.
    pub no_swap: bool,
}

/// `SSL { … }`: files for `SSL_GET`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SslFiles {
    /// `password` of the key.
    pub password: Option<String>,
    /// `ca`: file with trusted certificates.
    pub ca: Option<String>,
    /// `certificate`: own certificate.
    pub certificate: Option<String>,
    /// `key`: its key.
    pub key: Option<String>,
}

impl Default for Globals {
    fn default() -> Self {
        Self {
            router_id: None,
            script_user: None,
            enable_script_security: false,
            startup_script: None,
            startup_script_timeout: Duration::from_secs(10),
            shutdown_script: None,
            shutdown_script_timeout: Duration::from_secs(10),
            mail: Mail {
                to: Vec::new(),
                from: None,
                server: None,
                connect_timeout: Duration::from_secs(30),
                helo_name: None,
                alert: None,
                alert_checker: None,
                alert_vrrp: None,
                no_checker_emails: false,
            },
            checker_log_all_failures: false,
            rs_init_notifies: false,
            lvs_timeouts: LvsTimeouts::default(),
            lvs_sync_daemon: None,
            lvs_flush: false,
            lvs_flush_on_stop: FlushOnStop::No,
            notify_fifo: Fifo::default(),
            lvs_notify_fifo: Fifo::default(),
            vrrp_notify_fifo: Fifo::default(),
            default_interface: "eth0".to_owned(),
            dynamic_interfaces: false,
            max_auto_priority: 0,
            checker_process: ProcessSettings::default(),
            vrrp_process: ProcessSettings::default(),
            net_namespace: None,
            net_namespace_ipvs: None,
            nftables_ipvs: None,
            nftables_ipvs_start_fwmark: 1000,
            child_wait_time: Duration::from_secs(5),
            reload_check_config: false,
            vrrp: VrrpGlobals::default(),
            ssl: None,
        }
    }
}

impl Globals {
    /// The default of `smtp_alert` for virtual and real servers, if it is set.
    pub(super) fn checker_alerts(&self) -> Option<bool> {
        self.mail.alert_checker.or(self.mail.alert)
    }

    /// The default of `smtp_alert` for virtual routers, if it is set.
    pub(super) fn vrrp_alerts(&self) -> Option<bool> {
        self.mail.alert_vrrp.or(self.mail.alert)
    }
}

#[cfg(test)]
mod tests_support {
    use super::super::ast::tests_support::statement;
    use super::super::diagnostic::Report;
    use super::Globals;

    /// Reads the lines of a `global_defs` block.
    pub(super) fn globals(lines: &str) -> (Globals, Vec<String>) {
        let mut globals = Globals::default();
        let mut report = Report::new(50);
        globals.read(
            &statement(&format!("global_defs {{\n{lines}\n}}")),
            &mut report,
        );
        (
            globals,
            report.finish().0.iter().map(ToString::to_string).collect(),
        )
    }

    /// The settings of lines without any diagnostic.
    pub(super) fn clean(lines: &str) -> Globals {
        let (globals, messages) = globals(lines);
        assert!(messages.is_empty(), "{messages:?}");
        globals
    }
}
