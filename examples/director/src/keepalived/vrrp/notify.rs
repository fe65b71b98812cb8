//! What is run when the state of a virtual router, or of a group, changes (keepalived.conf(5)).

use core::fmt;

use super::super::ast::Statement;
use super::super::command::{self, Command};
use super::super::diagnostic::Report;
use super::super::values;
use super::write;

/// Programs to be run, and mail.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Notify {
    /// `notify_master`
    pub master: Option<Command>,
    /// `notify_backup`
    pub backup: Option<Command>,
    /// `notify_fault`
    pub fault: Option<Command>,
    /// `notify_stop`: when it ends.
    pub stop: Option<Command>,
    /// `notify_deleted`: when it is gone after the configuration was read again.
    pub deleted: Option<Command>,
    /// `notify_deleted` was there, perhaps without a program: DELETED instead of FAULT is told then.
    pub tells_deleted: bool,
    /// `notify`: whatever happens; gets `INSTANCE` or `GROUP`, name, state and priority as further
    /// arguments.
    pub any: Option<Command>,
    /// `notify_master_rx_lower_pri`: a losing advertisement was heard while active.
    pub master_rx_lower_priority: Option<Command>,
    /// `notify_priority_changes`: pipes are told of priorities, too. Default that of the globals.
    pub priority_changes: bool,
    /// `smtp_alert`: mail is sent. Default that of the globals.
    pub smtp_alert: bool,
}

/// As written: what is not set comes from the globals.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    notify: Notify,
    priority_changes: Option<bool>,
    smtp_alert: Option<bool>,
}

impl Draft {
    /// Reads a statement if it is one of these.
    pub(super) fn read(&mut self, statement: &Statement, report: &mut Report) -> bool {
        let notify = &mut self.notify;
        let command = match statement.keyword() {
            "notify_master" => &mut notify.master,
            "notify_backup" => &mut notify.backup,
            "notify_fault" => &mut notify.fault,
            "notify_stop" => &mut notify.stop,
            "notify_deleted" => {
                notify.tells_deleted = true;
                if statement.arguments().is_empty() {
                    values::leaf(statement, 0, report);
                    return true;
                }
                &mut notify.deleted
            }
            "notify" => &mut notify.any,
            "notify_master_rx_lower_pri" => &mut notify.master_rx_lower_priority,
            "notify_priority_changes" => {
                let on = values::switch(statement, report);
                values::set(&mut self.priority_changes, on);
                return true;
            }
            "smtp_alert" => {
                values::set(&mut self.smtp_alert, values::switch(statement, report));
                return true;
            }
            _ => return false,
        };
        values::leaf(statement, usize::MAX, report);
        if command.is_some() {
            let message = format!(
                "{}: there is one already; this one is ignored",
                statement.keyword()
            );
            report.warning(statement.position(), message);
        } else {
            *command = command::with_user(statement, report);
        }
        true
    }

    /// With the defaults of the globals.
    pub(super) fn finish(self, priority_changes: bool, smtp_alert: bool) -> Notify {
        Notify {
            priority_changes: self.priority_changes.unwrap_or(priority_changes),
            smtp_alert: self.smtp_alert.unwrap_or(smtp_alert),
            ..self.notify
        }
    }
}

impl Notify {
    /// The statements, as they are written in a file.
    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (keyword, command) in [
            ("notify_master", &self.master),
            ("notify_backup", &self.backup),
            ("notify_fault", &self.fault),
            ("notify_stop", &self.stop),
            ("notify_deleted", &self.deleted),
            ("notify", &self.any),
            ("notify_master_rx_lower_pri", &self.master_rx_lower_priority),
        ] {
            if let Some(command) = command {
                writeln!(f, "  {keyword} {}", write::CommandLine(command))?;
            } else if keyword == "notify_deleted" && self.tells_deleted {
                writeln!(f, "  {keyword}")?;
            }
        }
        let (priorities, mail) = (self.priority_changes, self.smtp_alert);
        writeln!(f, "  notify_priority_changes {}", write::OnOff(priorities))?;
        writeln!(f, "  smtp_alert {}", write::OnOff(mail))
    }
}
