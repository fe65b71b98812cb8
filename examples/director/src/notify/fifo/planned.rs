//! The FIFOs of `global_defs`.

use core::time::Duration;

use lvs_healthcheck::Command as Program;
use lvs_healthcheck::probe::command::Credentials;

use super::Half;
use crate::keepalived::{Config, Fifo, Messages, Position};
use crate::notify::account::Accounts;

/// A FIFO as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlannedFifo {
    pub(crate) path: String,
    /// Whose it is to be, if it is made here.
    pub(crate) owner: Option<Credentials>,
    /// Who reads it.
    pub(crate) reader: Option<Program>,
    /// So much time the reader has at the end.
    pub(crate) wait: Duration,
}

/// What one half writes into: the FIFO of both, and its own.
pub(crate) fn planned(
    config: &Config,
    half: Half,
    accounts: &Accounts,
    messages: &mut Messages,
) -> Vec<PlannedFifo> {
    let globals = config.globals();
    let own = match half {
        Half::Routers => ("vrrp_notify_fifo", &globals.vrrp_notify_fifo),
        Half::Servers => ("lvs_notify_fifo", &globals.lvs_notify_fifo),
    };
    let mut found: Vec<PlannedFifo> = Vec::new();
    for (keyword, fifo) in [("notify_fifo", &globals.notify_fifo), own] {
        let Some(planned) = fifo_of(config, (keyword, fifo), accounts, messages) else {
            continue;
        };
        if found.iter().any(|known| known.path == planned.path) {
            let message = format!(
                "{keyword}: {} is the notify_fifo, too; what this half tells is written there once",
                planned.path
            );
            messages.warning(&place(config, keyword), message);
            continue;
        }
        found.push(planned);
    }
    found
}

fn fifo_of(
    config: &Config,
    (keyword, fifo): (&str, &Fifo),
    accounts: &Accounts,
    messages: &mut Messages,
) -> Option<PlannedFifo> {
    let command = fifo.path.as_ref()?;
    let path = command.words.first()?;
    let reader = fifo.script.as_ref().and_then(|script| {
        let keyword = format!("{keyword}_script");
        let position = place(config, &keyword);
        let reader = accounts.script(script, &keyword, &position, messages)?;
        Some(reader.with_argument(path))
    });
    let owner = accounts.owner(command).unwrap_or_else(|error| {
        messages.error(&place(config, keyword), format!("{keyword}: {error}"));
        None
    });
    // Nobody else could open it.
    let owner = owner.or_else(|| reader.as_ref()?.credentials().cloned());
    Some(PlannedFifo {
        path: path.clone(),
        owner,
        reader,
        wait: config.globals().child_wait_time,
    })
}

/// Where a keyword of `global_defs` is.
fn place(config: &Config, keyword: &str) -> Position {
    let mut features = config.features().iter();
    let feature = features.find(|feature| feature.keyword == keyword);
    feature.map_or_else(|| config.beginning(), |feature| feature.position.clone())
}

#[cfg(test)]
mod tests {
    use lvs_healthcheck::lookup_user;
    use nix::unistd::geteuid;

    use super::*;

    fn read(lines: &str, half: Half) -> (Vec<PlannedFifo>, Vec<String>) {
        let config = Config::parse("t.conf", &format!("global_defs {{\n{lines}\n}}\n"));
        let accounts = Accounts::new(config.globals());
        let mut messages = Messages::default();
        let planned = planned(&config, half, &accounts, &mut messages);
        let told = messages.list.iter().map(ToString::to_string);
        (planned, told.collect())
    }

    #[test]
    fn each_half_has_the_common_fifo_and_its_own() {
        let lines = "notify_fifo /run/all\nvrrp_notify_fifo /run/routers\n\
                     lvs_notify_fifo /run/servers\nchild_wait_time 7";
        for (half, own) in [
            (Half::Routers, "/run/routers"),
            (Half::Servers, "/run/servers"),
        ] {
            let (planned, told) = read(lines, half);
            let paths: Vec<_> = planned.iter().map(|it| it.path.as_str()).collect();
            assert_eq!(paths, ["/run/all", own]);
            assert!(told.is_empty(), "{told:?}");
            assert_eq!(planned[0].wait, Duration::from_secs(7));
        }
    }

    #[test]
    fn the_same_path_twice_is_one_fifo() {
        let lines = "notify_fifo /run/all\nvrrp_notify_fifo /run/all";
        let (planned, told) = read(lines, Half::Routers);
        assert_eq!(planned.len(), 1);
        assert_eq!(
            told,
            [
                "t.conf:3:1: warning: vrrp_notify_fifo: /run/all is the notify_fifo, too; what this \
              half tells is written there once"
            ]
        );
    }

    #[test]
    fn unknown_accounts_are_errors_at_their_places() {
        let lines = "notify_fifo /run/all nosuchuser\nnotify_fifo_script /bin/sh nosuchuser";
        let (planned, told) = read(lines, Half::Servers);
        assert_eq!((planned.len(), told.len()), (1, 2), "{told:?}");
        assert!(planned[0].reader.is_none() && planned[0].owner.is_none());
        for (line, begin) in told.iter().zip([
            "t.conf:3:1: error: notify_fifo_script cannot be run: ",
            "t.conf:2:1: error: notify_fifo: ",
        ]) {
            assert!(
                line.starts_with(begin) && line.contains("nosuchuser"),
                "{line}"
            );
        }
    }

    /// Who reads it must be able to open it.
    #[test]
    fn a_fifo_is_its_readers_unless_it_is_said_whose() {
        let script = "script_user nobody\nnotify_fifo_script /bin/sh";
        let nobody = lookup_user("nobody").unwrap();
        let root = lookup_user("root").unwrap();
        for (line, expected) in [
            ("notify_fifo /run/all", &nobody),
            ("notify_fifo /run/all root", &root),
        ] {
            let (planned, told) = read(&format!("{line}\n{script}"), Half::Routers);
            match geteuid().is_root() {
                true => assert_eq!(planned[0].owner.as_ref(), Some(expected), "{told:?}"),
                false => assert_eq!(planned[0].owner, None, "{told:?}"),
            }
        }
    }
}
