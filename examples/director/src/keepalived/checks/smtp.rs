//! `SMTP_CHECK`: HELO to a mail server.

use super::super::ast::Statement;
use super::super::diagnostic::Report;
use super::super::values;
use super::{Connection, ConnectionDraft, Outer};

/// A dialogue with a mail server (keepalived.conf(5)).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SmtpCheck {
    /// The server asked. Each of the deprecated `host` blocks gives a check of its own.
    pub connection: Connection,
    /// `helo_name`; none for the built-in name.
    pub helo_name: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    connection: ConnectionDraft,
    hosts: Vec<ConnectionDraft>,
    helo_name: Option<String>,
}

impl Draft {
    pub(super) fn read(&mut self, statement: &Statement, report: &mut Report) -> bool {
        match statement.keyword() {
            "helo_name" => {
                values::set(&mut self.helo_name, values::text(statement, report));
            }
            "host" => {
                let message = "host blocks are deprecated; use one SMTP_CHECK per server";
                report.note(statement.position(), message);
                let mut host = ConnectionDraft::default();
                for inner in values::block(statement, report) {
                    if !host.read(inner, report) {
                        values::unknown(inner, report);
                    }
                }
                self.hosts.push(host);
            }
            _ => return self.connection.read(statement, report),
        }
        true
    }

    pub(super) fn finish(
        &self,
        outer: &Outer<'_>,
        statement: &Statement,
        report: &mut Report,
    ) -> Vec<SmtpCheck> {
        let own = core::slice::from_ref(&self.connection);
        let drafts = if self.hosts.is_empty() {
            own
        } else {
            &self.hosts
        };
        let checks = drafts.iter().map(|draft| SmtpCheck {
            connection: draft.finish(outer, true, statement, report),
            helo_name: self.helo_name.clone(),
        });
        checks.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::CheckKind;
    use super::super::tests_support::checks;
    use super::*;

    fn smtp(text: &str) -> (Vec<SmtpCheck>, Vec<String>) {
        let (checks, messages) = checks(text);
        let checks = checks.into_iter().map(|check| match check.kind {
            CheckKind::Smtp(smtp) => smtp,
            other => panic!("{other:?}"),
        });
        (checks.collect(), messages)
    }

    #[test]
    fn one_server_by_default() {
        let (smtp, messages) = smtp("SMTP_CHECK {\n helo_name mx.example\n connect_port 25\n}");
        assert_eq!(smtp.len(), 1);
        assert_eq!(smtp[0].helo_name.as_deref(), Some("mx.example"));
        assert_eq!(smtp[0].connection.port, 25);
        assert!(messages.is_empty());
    }

    #[test]
    fn deprecated_host_blocks_give_several() {
        let (smtp, messages) =
            smtp("SMTP_CHECK {\n host {\n connect_ip 192.0.2.1\n }\n host {\n bogus 1\n }\n}");
        let ips: Vec<_> = smtp
            .iter()
            .map(|check| check.connection.ip.to_string())
            .collect();
        assert_eq!(ips, ["192.0.2.1", "192.0.2.11"]);
        assert_eq!(messages.len(), 3);
        assert!(
            messages[2].contains("unknown keyword 'bogus'"),
            "{messages:?}"
        );
    }
}
