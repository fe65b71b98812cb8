//! Who runs a command, and whether it may be run at all: the same for checks, for notifications of
//! both halves, and for those who read FIFOs.

use core::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use lvs_healthcheck::probe::command::{Credentials, Environment};
use lvs_healthcheck::{Command as Program, check_script_security, lookup_user};
use nix::errno::Errno;
use nix::unistd::{Group, geteuid};

use crate::keepalived::{Account, Command, Globals, Messages, Position};

/// keepalived's account for scripts, if there is one.
const USUAL: &str = "keepalived_script";

/// Why a command cannot be run by whom it is to be run.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error("the command is empty")]
    Empty,
    #[error("{0}")]
    Refused(String),
    #[error("group {0}: must be a group of this host")]
    NoGroup(String),
    #[error("group {0}: {1}")]
    Lookup(String, #[source] Errno),
    #[error("running it as {0} needs root")]
    NotRoot(String),
}

/// A user, and perhaps a group.
type Name = (String, Option<String>);

/// The accounts of a configuration. Users are looked up once each.
#[derive(Debug)]
pub(crate) struct Accounts {
    default: Option<Account>,
    is_secure: bool,
    known: RefCell<HashMap<Name, Result<Credentials, AccountError>>>,
}

impl Accounts {
    pub(crate) fn new(globals: &Globals) -> Self {
        Self {
            default: globals.script_user.clone(),
            is_secure: globals.enable_script_security,
            known: RefCell::default(),
        }
    }

    /// A command with the environment and the user that keepalived would give it.
    pub(crate) fn command(&self, command: &Command) -> Result<Program, AccountError> {
        let (first, rest) = command.words.split_first().ok_or(AccountError::Empty)?;
        let mut program = Program::new(first).with_environment(Environment::Inherit);
        for argument in rest {
            program = program.with_argument(argument);
        }
        let valid = program.validate();
        valid.map_err(|error| AccountError::Refused(error.to_string()))?;
        if let Some(credentials) = self.credentials(command)? {
            program = program.with_credentials(credentials);
        }
        if self.is_secure {
            let secure = check_script_security(&program);
            secure.map_err(|error| AccountError::Refused(error.to_string()))?;
        }
        Ok(program)
    }

    /// The same for a script that tells or is followed, and not for one that judges a server; what is
    /// in its way is said, with `owner` before it.
    pub(crate) fn script(
        &self,
        command: &Command,
        owner: &str,
        position: &Position,
        messages: &mut Messages,
    ) -> Option<Program> {
        match self.command(command) {
            Ok(program) => {
                if let Some(reason) = hindrance(command) {
                    let message = format!("{owner}: {reason}; it cannot be run as things are");
                    messages.warning(position, message);
                }
                // Scripts of unprivileged users call sudo.
                Some(program.with_new_privileges(true))
            }
            Err(error) => {
                messages.error(position, format!("{owner} cannot be run: {error}"));
                None
            }
        }
    }

    /// Whose a file is to be that a command names; none for whoever this is. Only root can give it
    /// away.
    pub(crate) fn owner(&self, command: &Command) -> Result<Option<Credentials>, AccountError> {
        let Some(user) = command.user.clone() else {
            return Ok(None);
        };
        let found = self.lookup(user, command.group.clone())?;
        Ok(Some(found).filter(|_| geteuid().is_root()))
    }

    /// Who runs it: its own user, `script_user`, `keepalived_script`, or whoever this is. Only root
    /// can become somebody else.
    fn credentials(&self, command: &Command) -> Result<Option<Credentials>, AccountError> {
        let (user, group) = match (&command.user, &self.default) {
            (Some(user), _) => (user.clone(), command.group.clone()),
            (None, Some(account)) => (account.user.clone(), account.group.clone()),
            (None, None) => {
                let usual = self.lookup(USUAL.to_owned(), None);
                return Ok(usual.ok().filter(|_| geteuid().is_root()));
            }
        };
        let credentials = self.lookup(user.clone(), group)?;
        if geteuid().is_root() {
            return Ok(Some(credentials));
        }
        // As itself it may.
        match credentials.uid == geteuid().as_raw() {
            true => Ok(None),
            false => Err(AccountError::NotRoot(user)),
        }
    }

    fn lookup(&self, user: String, group: Option<String>) -> Result<Credentials, AccountError> {
        let mut known = self.known.borrow_mut();
        let known = known.entry((user, group));
        let found = known.or_insert_with_key(|(user, group)| lookup(user, group.as_deref()));
        found.clone()
    }
}

/// Why a program with a path cannot be run now; it may come later.
fn hindrance(command: &Command) -> Option<String> {
    let path = command.words.first().filter(|path| path.starts_with('/'))?;
    match fs::metadata(path) {
        Err(error) => Some(format!("{path}: {error}")),
        Ok(found) if !found.is_file() => Some(format!("{path} is no file")),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => {
            Some(format!("{path} is not executable"))
        }
        Ok(_) => None,
    }
}

/// A user of this host, perhaps with another group.
fn lookup(user: &str, group: Option<&str>) -> Result<Credentials, AccountError> {
    let found = lookup_user(user);
    let mut credentials = found.map_err(|error| AccountError::Refused(error.to_string()))?;
    if let Some(name) = group {
        let found = Group::from_name(name);
        let found = found.map_err(|errno| AccountError::Lookup(name.to_owned(), errno))?;
        let found = found.ok_or_else(|| AccountError::NoGroup(name.to_owned()))?;
        credentials.gid = found.gid.as_raw();
    }
    Ok(credentials)
}

#[cfg(test)]
mod tests;
