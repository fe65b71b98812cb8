//! Reading the statements of `global_defs` and `SSL`.

use core::ops::RangeInclusive;
use core::time::Duration;

use super::super::ast::Statement;
use super::super::command;
use super::super::diagnostic::Report;
use super::super::values;
use super::{Account, FlushOnStop, Globals, SyncDaemon};

/// Keywords of `global_defs` that exist and that nothing here needs.
const IGNORED: &[&str] = &[
    "bfd_cpu_affinity",
    "bfd_no_swap",
    "bfd_priority",
    "bfd_process_name",
    "bfd_rlimit_rttime",
    "bfd_rt_priority",
    "checker_process_name",
    "checker_rlimit_rttime",
    "config_save_dir",
    "data_use_instance",
    "dbus_service_name",
    "disable_local_igmp",
    "enable_dbus",
    "enable_snmp_checker",
    "enable_snmp_keepalived",
    "enable_snmp_rfc",
    "enable_snmp_rfcv2",
    "enable_snmp_rfcv3",
    "enable_snmp_vrrp",
    "enable_traps",
    "fifo_write_vrrp_states_on_reload",
    "include_check",
    "instance",
    "json_version",
    "linkbeat_use_polling",
    "lvs_netlink_cmd_rcv_bufs",
    "lvs_netlink_cmd_rcv_bufs_force",
    "lvs_netlink_monitor_rcv_bufs",
    "lvs_netlink_monitor_rcv_bufs_force",
    "min_auto_priority_delay",
    "namespace_with_ipsets",
    "nftables",
    "nftables_counters",
    "nftables_ifindex",
    "nftables_ipvs_priority",
    "nftables_priority",
    "no_email_faults",
    "process_monitor_rcv_bufs",
    "process_monitor_rcv_bufs_force",
    "process_name",
    "process_names",
    "random_seed",
    "reload_file",
    "reload_repeat",
    "reload_time_file",
    "snmp_socket",
    "tmp_config_directory",
    "umask",
    "use_pid_dir",
    "vmac_addr_prefix",
    "vmac_prefix",
    "vrrp_ipsets",
    "vrrp_iptables",
    "vrrp_netlink_cmd_rcv_bufs",
    "vrrp_netlink_cmd_rcv_bufs_force",
    "vrrp_netlink_monitor_rcv_bufs",
    "vrrp_netlink_monitor_rcv_bufs_force",
    "vrrp_process_name",
    "vrrp_rlimit_rttime",
    "vrrp_rx_bufs_policy",
];

pub(super) const SECONDS: RangeInclusive<u64> = 0..=4_294_967_295;

impl Globals {
    /// Reads a `global_defs` block.
    pub(in super::super) fn read(&mut self, statement: &Statement, report: &mut Report) {
        for inner in values::block(statement, report) {
            let handled = self.read_statement(inner, report)
                || self.read_mail(inner, report)
                || self.read_notify(inner, report)
                || self.read_lvs(inner, report)
                || self.read_process(inner, report)
                || self.vrrp.read(inner, report);
            if handled {
                report.feature(inner.position(), inner.keyword(), "");
            } else if IGNORED.contains(&inner.keyword()) {
                let message = format!("{} is known and has no effect here", inner.keyword());
                report.note(inner.position(), message);
            } else {
                values::unknown(inner, report);
            }
        }
    }

    /// Statements that keepalived takes outside of blocks, too.
    pub(in super::super) fn read_top(
        &mut self,
        statement: &Statement,
        report: &mut Report,
    ) -> bool {
        match statement.keyword() {
            "net_namespace" => {
                values::set(&mut self.net_namespace, values::text(statement, report))
            }
            "net_namespace_ipvs" => {
                values::set(
                    &mut self.net_namespace_ipvs,
                    values::text(statement, report),
                );
            }
            "child_wait_time" => seconds(&mut self.child_wait_time, statement, SECONDS, report),
            "SSL" => self.read_ssl(statement, report),
            _ => return false,
        }
        report.feature(statement.position(), statement.keyword(), "");
        true
    }

    fn read_statement(&mut self, statement: &Statement, report: &mut Report) -> bool {
        match statement.keyword() {
            "router_id" => values::set(&mut self.router_id, values::text(statement, report)),
            "script_user" => values::set(&mut self.script_user, account(statement, report)),
            "enable_script_security" => {
                self.enable_script_security = values::flag(statement, report);
            }
            "startup_script" => {
                values::set(
                    &mut self.startup_script,
                    command::with_user(statement, report),
                );
            }
            "startup_script_timeout" => {
                seconds(
                    &mut self.startup_script_timeout,
                    statement,
                    1..=1000,
                    report,
                );
            }
            "shutdown_script" => {
                values::set(
                    &mut self.shutdown_script,
                    command::with_user(statement, report),
                );
            }
            "shutdown_script_timeout" => {
                seconds(
                    &mut self.shutdown_script_timeout,
                    statement,
                    1..=1000,
                    report,
                );
            }
            "default_interface" => {
                if let Some(name) = values::interface(statement, report) {
                    self.default_interface = name;
                }
            }
            "dynamic_interfaces" => {
                values::leaf(statement, 1, report);
                self.dynamic_interfaces = true;
            }
            "nftables_ipvs" => {
                values::leaf(statement, 1, report);
                let table = statement.argument(0).unwrap_or("keepalived_ipvs");
                self.nftables_ipvs = Some(table.to_owned());
            }
            "nftables_ipvs_start_fwmark" => {
                let mark = values::number(statement, 1..=u64::from(u32::MAX), report);
                self.nftables_ipvs_start_fwmark = mark.unwrap_or(self.nftables_ipvs_start_fwmark);
            }
            "reload_check_config" => {
                values::leaf(statement, 1, report);
                self.reload_check_config = true;
            }
            _ => return self.read_top(statement, report),
        }
        true
    }

    fn read_mail(&mut self, statement: &Statement, report: &mut Report) -> bool {
        let mail = &mut self.mail;
        match statement.keyword() {
            "notification_email" => {
                for inner in values::block(statement, report) {
                    let words = inner.arguments().iter().map(|word| word.text().to_owned());
                    mail.to.push(inner.keyword().to_owned());
                    mail.to.extend(words);
                }
            }
            "notification_email_from" => {
                values::set(&mut mail.from, values::text(statement, report))
            }
            "smtp_server" => {
                values::leaf(statement, 2, report);
                let host =
                    values::word_at(statement, 0, "a host", report, |word| Some(word.to_owned()));
                let port = match statement.argument(1) {
                    None => Some(25),
                    Some(_) => values::number_at(statement, 1, 1..=65_535, report),
                };
                values::set(&mut mail.server, host.zip(port));
            }
            "smtp_connect_timeout" => {
                seconds(&mut mail.connect_timeout, statement, SECONDS, report)
            }
            "smtp_helo_name" => values::set(&mut mail.helo_name, values::text(statement, report)),
            "smtp_alert" => values::set(&mut mail.alert, values::switch(statement, report)),
            "smtp_alert_checker" => {
                values::set(&mut mail.alert_checker, values::switch(statement, report))
            }
            "smtp_alert_vrrp" => {
                values::set(&mut mail.alert_vrrp, values::switch(statement, report))
            }
            "no_checker_emails" => mail.no_checker_emails = values::flag(statement, report),
            _ => return false,
        }
        true
    }

    fn read_notify(&mut self, statement: &Statement, report: &mut Report) -> bool {
        let fifo = match statement.keyword() {
            "notify_fifo" | "notify_fifo_script" => &mut self.notify_fifo,
            "lvs_notify_fifo" | "lvs_notify_fifo_script" => &mut self.lvs_notify_fifo,
            "vrrp_notify_fifo" | "vrrp_notify_fifo_script" => &mut self.vrrp_notify_fifo,
            "rs_init_notifies" => {
                self.rs_init_notifies = values::flag(statement, report);
                return true;
            }
            "checker_log_all_failures" => {
                let on = values::switch(statement, report);
                self.checker_log_all_failures = on.unwrap_or(self.checker_log_all_failures);
                return true;
            }
            _ => return false,
        };
        let command = command::with_user(statement, report);
        if statement.keyword().ends_with("_script") {
            values::set(&mut fifo.script, command);
        } else {
            values::set(&mut fifo.path, command);
        }
        true
    }

    fn read_lvs(&mut self, statement: &Statement, report: &mut Report) -> bool {
        match statement.keyword() {
            "lvs_timeouts" => self.lvs_timeouts.read(statement, report),
            "lvs_sync_daemon" => values::set(
                &mut self.lvs_sync_daemon,
                SyncDaemon::read(statement, report),
            ),
            "lvs_flush" => self.lvs_flush = values::flag(statement, report),
            "lvs_flush_on_stop" => {
                values::leaf(statement, 1, report);
                let mode = match statement.argument(0) {
                    None => Some(FlushOnStop::Everything),
                    Some(_) => values::word_at(statement, 0, "VS or nothing", report, |word| {
                        (word == "VS").then_some(FlushOnStop::VirtualServers)
                    }),
                };
                self.lvs_flush_on_stop = mode.unwrap_or(self.lvs_flush_on_stop);
            }
            _ => return false,
        }
        true
    }

    fn read_process(&mut self, statement: &Statement, report: &mut Report) -> bool {
        let keyword = statement.keyword();
        if keyword == "max_auto_priority" {
            values::leaf(statement, 1, report);
            let most = match statement.argument(0) {
                None => Some(99),
                Some(_) => values::signed(statement, -1..=99, report),
            };
            self.max_auto_priority = most.unwrap_or(self.max_auto_priority);
            return true;
        }
        let (process, setting) = match keyword.split_once('_') {
            Some(("checker", setting)) => (&mut self.checker_process, setting),
            Some(("vrrp", setting)) => (&mut self.vrrp_process, setting),
            _ => return false,
        };
        match setting {
            "priority" => {
                values::leaf(statement, 1, report);
                values::set(
                    &mut process.nice,
                    values::signed(statement, -20..=19, report),
                );
            }
            "rt_priority" => values::set(
                &mut process.realtime,
                values::number(statement, 1..=99, report),
            ),
            "no_swap" => process.no_swap = values::flag(statement, report),
            "cpu_affinity" => {
                values::leaf(statement, usize::MAX, report);
                let count = statement.arguments().len().max(1);
                let cpus = (0..count).map(|index| {
                    values::number_at(statement, index, 0..=u64::from(u16::MAX), report)
                });
                if let Some(cpus) = cpus.collect() {
                    process.cpus = cpus;
                }
            }
            _ => return false,
        }
        true
    }

    fn read_ssl(&mut self, statement: &Statement, report: &mut Report) {
        let ssl = self.ssl.get_or_insert_default();
        for inner in values::block(statement, report) {
            let file = match inner.keyword() {
                "password" => &mut ssl.password,
                "ca" => &mut ssl.ca,
                "certificate" => &mut ssl.certificate,
                "key" => &mut ssl.key,
                _ => {
                    values::unknown(inner, report);
                    continue;
                }
            };
            values::set(file, values::text(inner, report));
        }
    }
}

fn account(statement: &Statement, report: &mut Report) -> Option<Account> {
    values::leaf(statement, 2, report);
    let name = |word: &str| Some(word.to_owned());
    let user = values::word_at(statement, 0, "a user name", report, name)?;
    Some(Account {
        user,
        group: statement.argument(1).map(str::to_owned),
    })
}

pub(super) fn seconds(
    value: &mut Duration,
    statement: &Statement,
    range: RangeInclusive<u64>,
    report: &mut Report,
) {
    if let Some(seconds) = values::number(statement, range, report) {
        *value = Duration::from_secs(seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Fifo;
    use super::super::tests_support::{clean, globals};
    use super::*;

    #[test]
    fn nothing_said_gives_the_defaults() {
        assert_eq!(clean(""), Globals::default());
    }

    #[test]
    fn texts_and_flags() {
        let globals = clean(
            "router_id LVS_1\nscript_user nobody nogroup\nenable_script_security\n\
             default_interface bond0\ndynamic_interfaces allow_if_changes\nlvs_flush\n\
             lvs_flush_on_stop VS\nrs_init_notifies\nchecker_log_all_failures yes\n\
             net_namespace red\nnftables_ipvs\nstartup_script \"/bin/up -v\"\n\
             startup_script_timeout 20\nchild_wait_time 7",
        );
        assert_eq!(globals.router_id.as_deref(), Some("LVS_1"));
        let account = globals.script_user.unwrap();
        assert_eq!(
            (account.user.as_str(), account.group.as_deref()),
            ("nobody", Some("nogroup"))
        );
        assert!(globals.enable_script_security && globals.lvs_flush && globals.rs_init_notifies);
        assert!(globals.dynamic_interfaces && globals.checker_log_all_failures);
        assert_eq!(globals.default_interface, "bond0");
        assert_eq!(globals.lvs_flush_on_stop, FlushOnStop::VirtualServers);
        assert_eq!(globals.net_namespace.as_deref(), Some("red"));
        assert_eq!(globals.nftables_ipvs.as_deref(), Some("keepalived_ipvs"));
        assert_eq!(globals.startup_script.unwrap().words, ["/bin/up", "-v"]);
        assert_eq!(globals.startup_script_timeout, Duration::from_secs(20));
        assert_eq!(globals.child_wait_time, Duration::from_secs(7));
    }

    #[test]
    fn mail() {
        let globals = clean(
            "notification_email {\n a@example.org\n b@example.org c@example.org\n}\n\
             notification_email_from k@example.org\nsmtp_server 192.0.2.25 2525\n\
             smtp_connect_timeout 10\nsmtp_alert\nsmtp_alert_checker no\nno_checker_emails",
        );
        let mail = &globals.mail;
        assert_eq!(mail.to, ["a@example.org", "b@example.org", "c@example.org"]);
        assert_eq!(mail.server, Some(("192.0.2.25".to_owned(), 2525)));
        assert_eq!(mail.connect_timeout, Duration::from_secs(10));
        assert!(mail.no_checker_emails);
        assert_eq!(
            (mail.alert, globals.checker_alerts()),
            (Some(true), Some(false))
        );
    }

    #[test]
    fn processes() {
        let globals = clean(
            "checker_priority -5\nchecker_rt_priority 20\nchecker_cpu_affinity 0 2\n\
             vrrp_no_swap\nmax_auto_priority",
        );
        let checker = &globals.checker_process;
        assert_eq!((checker.nice, checker.realtime), (Some(-5), Some(20)));
        assert_eq!(checker.cpus, [0, 2]);
        assert!(globals.vrrp_process.no_swap && !checker.no_swap);
        assert_eq!(globals.max_auto_priority, 99);
    }

    #[test]
    fn pipes_with_scripts() {
        let globals = clean("lvs_notify_fifo /run/lvs.fifo nobody\nlvs_notify_fifo_script /bin/r");
        let fifo = globals.lvs_notify_fifo;
        assert_eq!(fifo.path.unwrap().user.as_deref(), Some("nobody"));
        assert_eq!(fifo.script.unwrap().words, ["/bin/r"]);
        assert_eq!(globals.notify_fifo, Fifo::default());
    }

    #[test]
    fn known_keywords_without_effect_are_noted_and_unknown_ones_warned_about() {
        let (_, messages) = globals("enable_dbus\nbogus {\n router_id x\n}");
        assert_eq!(messages.len(), 2);
        assert!(
            messages[0].contains("note: enable_dbus is known"),
            "{messages:?}"
        );
        assert!(
            messages[1].contains("warning: unknown keyword 'bogus'"),
            "{messages:?}"
        );
        assert!(IGNORED.is_sorted());
    }
}
