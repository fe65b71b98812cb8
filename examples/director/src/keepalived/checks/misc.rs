//! `MISC_CHECK`: a program decides.

use core::time::Duration;

use super::super::ast::Statement;
use super::super::command::{self, Command};
use super::super::diagnostic::Report;
use super::super::values;
use super::{Outer, missing};

/// A program whose exit code is the outcome (keepalived.conf(5)).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct MiscCheck {
    /// `misc_path`, with `user`.
    pub command: Command,
    /// `misc_timeout`: time after which the program is ended; whole seconds, default the virtual
    /// server's delay loop.
    pub timeout: Duration,
    /// `misc_dynamic`: exit codes from 2 set the weight.
    pub dynamic: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    command: Option<Command>,
    user: Option<(String, Option<String>)>,
    timeout: Option<Duration>,
    dynamic: bool,
}

impl Draft {
    pub(super) fn read(&mut self, statement: &Statement, report: &mut Report) -> bool {
        match statement.keyword() {
            "misc_path" => {
                values::leaf(statement, usize::MAX, report);
                values::set(&mut self.command, command::alone(statement, report));
            }
            "misc_timeout" => {
                // 0 stands for the default.
                let seconds = values::number(statement, 0..=u64::from(u32::MAX), report);
                self.timeout = seconds.map(Duration::from_secs).or(self.timeout);
            }
            "misc_dynamic" => self.dynamic = values::flag(statement, report),
            "user" => {
                values::leaf(statement, 2, report);
                let user = values::word_at(statement, 0, "a user name", report, |word| {
                    Some(word.to_owned())
                });
                if let Some(user) = user {
                    self.user = Some((user, statement.argument(1).map(str::to_owned)));
                }
            }
            _ => return false,
        }
        true
    }

    pub(super) fn finish(
        &self,
        outer: &Outer<'_>,
        statement: &Statement,
        report: &mut Report,
    ) -> Option<MiscCheck> {
        let Some(mut command) = self.command.clone() else {
            missing(statement, "misc_path", report);
            return None;
        };
        if let Some((user, group)) = &self.user {
            (command.user, command.group) = (Some(user.clone()), group.clone());
        }
        let timeout = self.timeout.filter(|timeout| !timeout.is_zero());
        Some(MiscCheck {
            command,
            timeout: timeout.unwrap_or(outer.service_delay_loop),
            dynamic: self.dynamic,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::CheckKind;
    use super::super::tests_support::{check, clean};
    use super::*;

    fn misc(text: &str) -> MiscCheck {
        let CheckKind::Misc(misc) = clean(text).kind else {
            panic!("misc")
        };
        misc
    }

    #[test]
    fn program_timeout_and_weights() {
        let misc = misc(
            "MISC_CHECK {\n misc_path \"/data/es_check.sh 172.1.1.54 9200\"\n misc_timeout 3\n\
             misc_dynamic\n user nobody nogroup\n}",
        );
        assert_eq!(
            misc.command.words,
            ["/data/es_check.sh", "172.1.1.54", "9200"]
        );
        assert_eq!(misc.command.user.as_deref(), Some("nobody"));
        assert_eq!(misc.command.group.as_deref(), Some("nogroup"));
        assert_eq!(misc.timeout, Duration::from_secs(3));
        assert!(misc.dynamic);
    }

    #[test]
    fn timeout_defaults_to_the_delay_loop() {
        for line in ["", "misc_timeout 0"] {
            let misc = misc(&format!("MISC_CHECK {{\n misc_path /bin/true\n {line}\n}}"));
            assert_eq!(misc.timeout, Duration::from_secs(60));
        }
    }

    #[test]
    fn timeout_takes_whole_seconds() {
        let (_, messages) = check("MISC_CHECK {\n misc_path /bin/true\n misc_timeout 1.5\n}");
        assert!(
            messages[0].contains("misc_timeout: '1.5' is not a whole number"),
            "{messages:?}"
        );
    }

    #[test]
    fn check_without_program_is_ignored() {
        let (check, messages) = check("MISC_CHECK {\n misc_path \"/bin/x 'a\"\n}");
        assert_eq!(check, None);
        assert!(messages[0].contains("a quote is not closed"));
        assert!(messages[1].contains("MISC_CHECK: 'misc_path' is missing"));
    }

    #[test]
    fn connect_timeout_means_nothing_here() {
        let (_, messages) = check("MISC_CHECK {\n misc_path /bin/true\n connect_timeout 3\n}");
        assert!(
            messages[0].contains("unknown keyword 'connect_timeout'"),
            "{messages:?}"
        );
    }
}
