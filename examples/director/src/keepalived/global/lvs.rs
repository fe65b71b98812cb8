//! Reading `lvs_timeouts` and `lvs_sync_daemon`.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use super::super::ast::Statement;
use super::super::diagnostic::Report;
use super::super::values;
use super::{LvsTimeouts, SyncDaemon};

impl LvsTimeouts {
    /// Reads the words of `lvs_timeouts`.
    pub(super) fn read(&mut self, statement: &Statement, report: &mut Report) {
        values::leaf(statement, usize::MAX, report);
        let mut words = statement
            .arguments()
            .iter()
            .enumerate()
            .step_by(2)
            .peekable();
        if words.peek().is_none() {
            let message =
                "lvs_timeouts: the values are missing, expected [tcp N] [tcpfin N] [udp N]";
            report.error(statement.position(), message);
        }
        for (index, word) in words {
            let timeout = match word.text() {
                "tcp" => &mut self.tcp,
                "tcpfin" => &mut self.tcp_fin,
                "udp" => &mut self.udp,
                other => {
                    let message = format!(
                        "lvs_timeouts: '{other}' is none of tcp, tcpfin, udp; rest of line ignored"
                    );
                    report.error(word.position(), message);
                    return;
                }
            };
            let limit = 0..=2_147_483;
            let seconds = values::number_at(statement, index.saturating_add(1), limit, report);
            // 0 leaves the time-out as it is, as in the kernel.
            values::set(
                timeout,
                seconds
                    .filter(|seconds| *seconds != 0)
                    .map(Duration::from_secs),
            );
        }
    }
}

impl SyncDaemon {
    /// Reads the words of `lvs_sync_daemon`.
    pub(super) fn read(statement: &Statement, report: &mut Report) -> Option<Self> {
        values::leaf(statement, usize::MAX, report);
        let name = |word: &str| Some(word.to_owned());
        let mut daemon = Self {
            interface: values::word_at(statement, 0, "an interface", report, name)?,
            instance: None,
            id: None,
            max_length: None,
            port: 8848,
            ttl: None,
            group: IpAddr::V4(Ipv4Addr::new(224, 0, 0, 81)),
        };
        let mut index: usize = 1;
        while let Some(word) = statement.argument(index) {
            let at = index.saturating_add(1);
            index = index.saturating_add(2);
            match word {
                "inst" => values::set(
                    &mut daemon.instance,
                    values::word_at(statement, at, "a name", report, name),
                ),
                "id" => values::set(
                    &mut daemon.id,
                    values::number_at(statement, at, 0..=255, report),
                ),
                "maxlen" => {
                    values::set(
                        &mut daemon.max_length,
                        values::number_at(statement, at, 1..=65_507, report),
                    );
                }
                "port" => {
                    let port = values::number_at(statement, at, 1..=65_535, report);
                    daemon.port = port.unwrap_or(daemon.port);
                }
                "ttl" => values::set(
                    &mut daemon.ttl,
                    values::number_at(statement, at, 1..=255, report),
                ),
                "group" => {
                    let expected = "a multicast address";
                    let group = values::word_at(statement, at, expected, report, |word| {
                        word.parse().ok().filter(IpAddr::is_multicast)
                    });
                    daemon.group = group.unwrap_or(daemon.group);
                }
                // The old form names the virtual router without a word before it.
                old if index == 3 => {
                    daemon.instance = Some(old.to_owned());
                    index = 2;
                }
                other => {
                    let message = format!(
                        "lvs_sync_daemon: '{other}' is none of inst, id, maxlen, port, ttl, group; \
                     rest of line ignored"
                    );
                    report.error(statement.argument_position(at.saturating_sub(1)), message);
                    break;
                }
            }
        }
        Some(daemon)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests_support::{clean, globals};
    use super::*;

    #[test]
    fn kernel_timeouts() {
        let timeouts = clean("lvs_timeouts tcp 900 udp 300\nlvs_timeouts tcpfin 0").lvs_timeouts;
        assert_eq!(timeouts.tcp, Some(Duration::from_secs(900)));
        assert_eq!(
            (timeouts.tcp_fin, timeouts.udp),
            (None, Some(Duration::from_secs(300)))
        );
        let (_, messages) = globals("lvs_timeouts\nlvs_timeouts tcp abc\nlvs_timeouts foo 1");
        assert_eq!(messages.len(), 3);
        assert!(
            messages[1].contains("lvs_timeouts: 'abc' is not a whole number"),
            "{messages:?}"
        );
        assert!(
            messages[2].contains("'foo' is none of tcp, tcpfin, udp"),
            "{messages:?}"
        );
    }

    #[test]
    fn sync_daemon_in_both_forms() {
        let daemon = clean(
            "lvs_sync_daemon eth1 inst VI_1 id 5 maxlen 1400 port 8000 ttl 3 group 224.0.0.90",
        );
        let daemon = daemon.lvs_sync_daemon.unwrap();
        assert_eq!(
            (daemon.interface.as_str(), daemon.instance.as_deref()),
            ("eth1", Some("VI_1"))
        );
        assert_eq!(
            (daemon.id, daemon.max_length, daemon.port),
            (Some(5), Some(1400), 8000)
        );
        assert_eq!(
            (daemon.ttl, daemon.group.to_string()),
            (Some(3), "224.0.0.90".to_owned())
        );
        let old = clean("lvs_sync_daemon eth1 VI_1 id 9")
            .lvs_sync_daemon
            .unwrap();
        assert_eq!(
            (old.instance.as_deref(), old.id, old.port),
            (Some("VI_1"), Some(9), 8848)
        );
        let (globals, messages) = globals("lvs_sync_daemon eth1 id 300\nlvs_sync_daemon eth1 a b");
        assert!(
            messages[0].contains("'300' is not a whole number in 0..=255"),
            "{messages:?}"
        );
        assert!(messages[1].contains("'b' is none of inst"), "{messages:?}");
        assert_eq!(globals.lvs_sync_daemon.unwrap().id, None);
    }
}
