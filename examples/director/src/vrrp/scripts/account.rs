//! Who runs a command, and whether it may be run at all.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use lvs_healthcheck::probe::command::{Credentials, Environment};
use lvs_healthcheck::{Command as Program, check_script_security, lookup_user};
use nix::unistd::{Group, geteuid};

use crate::keepalived::{Account, Command, Config, Diagnostic, Position};
use crate::vrrp::plan::Messages;

/// keepalived's account for scripts, if there is one.
const USUAL: &str = "keepalived_script";

/// The accounts of a configuration. Users are looked up once each.
#[derive(Debug)]
pub(super) struct Accounts<'a> {
    config: &'a Config,
    default: Option<Account>,
    is_secure: bool,
    known: HashMap<(String, Option<String>), Result<Credentials, String>>,
    messages: Messages,
}

impl<'a> Accounts<'a> {
    pub(super) fn new(config: &'a Config) -> Self {
        let globals = config.globals();
        Self {
            config,
            default: globals.script_user.clone(),
            is_secure: globals.enable_script_security,
            known: HashMap::new(),
            messages: Messages::default(),
        }
    }

    /// What was wrong.
    pub(super) fn finish(self) -> Vec<Diagnostic> {
        self.messages.list
    }

    /// A command as it is to be run; if it cannot be, that is an error at this place.
    pub(super) fn program(
        &mut self,
        command: &Command,
        owner: &str,
        position: &Position,
    ) -> Option<Program> {
        match self.build(command) {
            Ok(program) => {
                if let Some(reason) = hindrance(command) {
                    let message = format!("{owner}: {reason}; it cannot be run as things are");
                    self.messages.warning(position, message);
                }
                Some(program)
            }
            Err(reason) => {
                self.messages.error(position, format!("{owner}: {reason}"));
                None
            }
        }
    }

    pub(super) fn warn(&mut self, position: &Position, message: String) {
        self.messages.warning(position, message);
    }

    /// The same for the command of a keyword of `global_defs`.
    pub(super) fn global(&mut self, command: &Command, keyword: &str) -> Option<Program> {
        let position = self.position(keyword);
        self.program(command, keyword, &position)
    }

    /// Whose a file that this keyword of `global_defs` names is to be; none for whoever this is.
    pub(super) fn owner(&mut self, command: &Command, keyword: &str) -> Option<Credentials> {
        let user = command.user.clone()?;
        match self.lookup(user, command.group.clone()) {
            Ok(found) => Some(found).filter(|_| geteuid().is_root()),
            Err(reason) => {
                let position = self.position(keyword);
                self.messages
                    .error(&position, format!("{keyword}: {reason}"));
                None
            }
        }
    }

    fn position(&self, keyword: &str) -> Position {
        let mut features = self.config.features().iter();
        let feature = features.find(|feature| feature.keyword == keyword);
        feature.map_or_else(
            || Position::new("".into(), 0, 0),
            |feature| feature.position.clone(),
        )
    }

    fn build(&mut self, command: &Command) -> Result<Program, String> {
        let (first, rest) = command.words.split_first().ok_or("the command is empty")?;
        let mut program = Program::new(first)
            .with_environment(Environment::Inherit)
            // Scripts of unprivileged users call sudo.
            .with_new_privileges(true);
        for argument in rest {
            program = program.with_argument(argument);
        }
        program.validate().map_err(|error| error.to_string())?;
        if let Some(credentials) = self.credentials(command)? {
            program = program.with_credentials(credentials);
        }
        if self.is_secure {
            check_script_security(&program).map_err(|error| error.to_string())?;
        }
        Ok(program)
    }

    /// Who runs it: its own user, `script_user`, `keepalived_script`, or whoever this is. Only root
    /// can become somebody else.
    fn credentials(&mut self, command: &Command) -> Result<Option<Credentials>, String> {
        let (user, group) = match (&command.user, &self.default) {
            (Some(user), _) => (user.clone(), command.group.clone()),
            (None, Some(account)) => (account.user.clone(), account.group.clone()),
            (None, None) => {
                let usual = self.lookup(USUAL.to_owned(), None);
                return Ok(usual.ok().filter(|_| geteuid().is_root()));
            }
        };
        let credentials = self.lookup(user, group)?;
        if !geteuid().is_root() {
            // As itself it may.
            return match credentials.uid == geteuid().as_raw() {
                true => Ok(None),
                false => Err("only root can run a script as another user".to_owned()),
            };
        }
        Ok(Some(credentials))
    }

    fn lookup(&mut self, user: String, group: Option<String>) -> Result<Credentials, String> {
        let key = (user, group);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let found = lookup(&key.0, key.1.as_deref());
        self.known.insert(key, found.clone());
        found
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

fn lookup(user: &str, group: Option<&str>) -> Result<Credentials, String> {
    let mut credentials = lookup_user(user).map_err(|error| error.to_string())?;
    if let Some(name) = group {
        let found = Group::from_name(name).map_err(|errno| format!("group {name}: {errno}"))?;
        let found = found.ok_or_else(|| format!("group {name}: must be a group of this host"))?;
        credentials.gid = found.gid.as_raw();
    }
    Ok(credentials)
}
