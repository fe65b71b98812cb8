//! The commands that change something, and the options each of them takes.

use crate::request::Change;
use crate::text::parse::error::RuleError;
use crate::text::parse::lexer::OptionName;
use crate::text::parse::option::{Given, TakesValue};

/// A command of `ipvsadm` that changes something: the first option of a command line.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ChangeCommand {
    /// `-A`
    AddService,
    /// `-E`
    SetService,
    /// `-D`
    RemoveService,
    /// `-a`
    AddDestination,
    /// `-e`
    SetDestination,
    /// `-d`
    RemoveDestination,
    /// `-C`
    Flush,
    /// `-Z`
    Zero,
    /// `--set`, with three words that are no options
    SetTimeouts,
    /// `--start-daemon`
    StartDaemon,
    /// `--stop-daemon`
    StopDaemon,
}

/// What is known of a command.
struct Entry {
    command: ChangeCommand,
    short: Option<u8>,
    long: &'static str,
    takes: TakesValue,
    name: &'static str,
    required: Given,
    allowed: Given,
}

const SERVICE_SETTINGS: Given = Given::SCHEDULER
    .union(Given::PERSISTENT)
    .union(Given::NETMASK)
    .union(Given::ENGINE)
    .union(Given::ONE_PACKET)
    .union(Given::SCHEDULER_FLAGS);
const DESTINATION_SETTINGS: Given = Given::METHOD
    .union(Given::WEIGHT)
    .union(Given::UPPER_THRESHOLD)
    .union(Given::LOWER_THRESHOLD)
    .union(Given::TUNNEL);
const DAEMON_SETTINGS: Given = Given::SYNC_ID
    .union(Given::MCAST_INTERFACE)
    .union(Given::SYNC_MAX_LENGTH)
    .union(Given::MCAST_GROUP)
    .union(Given::MCAST_PORT)
    .union(Given::MCAST_TTL);
const NOTHING: Given = Given::empty();
const SERVICE: Given = Given::SERVICE;
const DESTINATION: Given = Given::SERVICE.union(Given::REAL_SERVER);

use ChangeCommand as C;
use TakesValue::{Always, Never};

#[rustfmt::skip] // a table
const COMMANDS: [Entry; 11] = [
    entry(C::AddService,        Some(b'A'), "add-service",    Never,  "-A", SERVICE,     SERVICE_SETTINGS),
    entry(C::AddDestination,    Some(b'a'), "add-server",     Never,  "-a", DESTINATION, DESTINATION_SETTINGS),
    entry(C::SetService,        Some(b'E'), "edit-service",   Never,  "-E", SERVICE,     SERVICE_SETTINGS),
    entry(C::SetDestination,    Some(b'e'), "edit-server",    Never,  "-e", DESTINATION, DESTINATION_SETTINGS),
    entry(C::RemoveService,     Some(b'D'), "delete-service", Never,  "-D", SERVICE,     NOTHING),
    entry(C::RemoveDestination, Some(b'd'), "delete-server",  Never,  "-d", DESTINATION, NOTHING),
    entry(C::Flush,             Some(b'C'), "clear",          Never,  "-C", NOTHING,     NOTHING),
    entry(C::Zero,              Some(b'Z'), "zero",           Never,  "-Z", NOTHING,     SERVICE),
    entry(C::SetTimeouts,       None,       "set",            Never,  "--set", NOTHING,  NOTHING),
    entry(C::StartDaemon,       None,       "start-daemon",   Always, "--start-daemon", NOTHING, DAEMON_SETTINGS),
    entry(C::StopDaemon,        None,       "stop-daemon",    Always, "--stop-daemon", NOTHING, Given::SYNC_ID),
];

const fn entry(
    command: ChangeCommand,
    short: Option<u8>,
    long: &'static str,
    takes: TakesValue,
    name: &'static str,
    required: Given,
    further: Given,
) -> Entry {
    Entry {
        command,
        short,
        long,
        takes,
        name,
        required,
        allowed: required.union(further),
    }
}

impl ChangeCommand {
    /// The command of that name, and whether it takes a value.
    #[must_use]
    pub fn find(name: OptionName<'_>) -> Option<(Self, TakesValue)> {
        let entry = match name {
            OptionName::Short(letter) => COMMANDS.iter().find(|one| one.short == Some(letter)),
            OptionName::Long(long) => COMMANDS.iter().find(|one| one.long == long),
        };
        entry.map(|entry| (entry.command, entry.takes))
    }

    /// How it is written, in the short form if it has one: `-A`, `--set`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().map_or("", |entry| entry.name)
    }

    /// The command that makes that change.
    #[must_use]
    pub const fn of(change: &Change) -> Self {
        match change {
            Change::AddService(_) => Self::AddService,
            Change::SetService(_) => Self::SetService,
            Change::RemoveService(_) => Self::RemoveService,
            Change::AddDestination(..) => Self::AddDestination,
            Change::SetDestination(..) => Self::SetDestination,
            Change::RemoveDestination(..) => Self::RemoveDestination,
            Change::StartDaemon(_) => Self::StartDaemon,
            Change::StopDaemon(_) => Self::StopDaemon,
            Change::SetTimeouts(_) => Self::SetTimeouts,
            Change::Zero(_) => Self::Zero,
            Change::Flush => Self::Flush,
        }
    }

    /// Checks that all options it needs are given, and none that it does not take.
    pub(super) fn check(self, given: Given) -> Result<(), RuleError> {
        let Some(entry) = self.entry() else {
            return Ok(());
        };
        let command = entry.name;
        if let Some(option) = entry.required.difference(given).first_name() {
            return Err(RuleError::Required { option, command });
        }
        given.check_allowed(entry.allowed, command)
    }

    fn entry(self) -> Option<&'static Entry> {
        COMMANDS.iter().find(|entry| entry.command == self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_the_table_once() {
        for (index, entry) in COMMANDS.iter().enumerate() {
            let before = COMMANDS.iter().take(index);
            for earlier in before {
                assert_ne!(earlier.command, entry.command);
                assert_ne!(earlier.long, entry.long);
                assert!(earlier.short.is_none() || earlier.short != entry.short);
            }
            let found = ChangeCommand::find(OptionName::Long(entry.long));
            assert_eq!(found, Some((entry.command, entry.takes)));
        }
        assert_eq!(ChangeCommand::find(OptionName::Short(b'L')), None);
    }
}
