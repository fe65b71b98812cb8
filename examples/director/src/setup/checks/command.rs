//! A command with the account it runs under.

use lvs_healthcheck::probe::command::{Credentials, Environment};
use lvs_healthcheck::{Command, check_script_security, lookup_user};
use nix::unistd::{Group, geteuid};

use super::CheckError;
use crate::keepalived::{self, Config};

/// The account keepalived runs scripts under when there is one of that name.
pub(super) const SCRIPT_USER: &str = "keepalived_script";

/// A user of this host, perhaps with another group.
pub(in crate::setup) fn credentials(
    user: &str,
    group: Option<&str>,
) -> Result<Credentials, CheckError> {
    let mut credentials = lookup_user(user)?;
    if let Some(group) = group {
        credentials.gid = match Group::from_name(group)? {
            Some(group) => group.gid.as_raw(),
            None => return Err(CheckError::NoGroup(group.to_owned())),
        };
    }
    Ok(credentials)
}

/// A command with the environment and the user that keepalived would give it.
pub(in crate::setup) fn command(
    config: &Config,
    written: &keepalived::Command,
) -> Result<Command, CheckError> {
    let mut words = written.words.iter();
    let mut command = Command::new(words.next().map_or("", String::as_str));
    for word in words {
        command = command.with_argument(word);
    }
    command = command.with_environment(Environment::Inherit);
    let globals = config.globals();
    let account = match (&written.user, &globals.script_user) {
        (Some(user), _) => Some((user.as_str(), written.group.as_deref())),
        (None, Some(account)) => Some((account.user.as_str(), account.group.as_deref())),
        (None, None) => None,
    };
    if let Some((user, group)) = account {
        let credentials = credentials(user, group)?;
        // Only root can change its accounts, and needs to.
        if geteuid().is_root() {
            command = command.with_credentials(credentials);
        } else if credentials.uid != geteuid().as_raw() {
            return Err(CheckError::NotRoot(user.to_owned()));
        }
    } else if geteuid().is_root()
        && let Ok(credentials) = lookup_user(SCRIPT_USER)
    {
        command = command.with_credentials(credentials);
    }
    if globals.enable_script_security {
        check_script_security(&command)?;
    }
    Ok(command)
}
