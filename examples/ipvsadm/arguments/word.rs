//! The options that the library's grammar does not know: those that read instead of changing.

use lvs_ipvs::text::parse::{ChangeCommand, OptionName, RuleError, SettingsOption, TakesValue};

use crate::failure::Failure;

/// An option of any kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word {
    Change(ChangeCommand),
    Reading(Reading),
    Setting(SettingsOption),
    Display(Display),
    /// `--sort`
    Sort,
}

/// A command that changes nothing by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reading {
    List,
    Save,
    Restore,
    Help,
    Version,
}

bitflags::bitflags! {
    /// Options that say what to print.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    pub(super) struct Display: u16 {
        const NUMERIC = 1;
        const STATS = 1 << 1;
        const RATE = 1 << 2;
        const THRESHOLDS = 1 << 3;
        const PERSISTENT = 1 << 4;
        const TUNNELS = 1 << 5;
        const EXACT = 1 << 6;
        const NO_SORT = 1 << 7;
        const CONNECTION = 1 << 8;
        const TIMEOUT = 1 << 9;
        const DAEMON = 1 << 10;
        const WITH_THRESHOLDS = 1 << 11;

        /// What to list instead of services.
        const OTHERS = Self::CONNECTION.bits() | Self::TIMEOUT.bits() | Self::DAEMON.bits();
        /// Formats for services only.
        const COUNTS = Self::STATS.bits() | Self::RATE.bits() | Self::THRESHOLDS.bits();
    }
}

/// Letter, long name, how messages call it.
#[rustfmt::skip] // a table
const DISPLAY: [(Option<u8>, &str, &str, Display); 12] = [
    (Some(b'n'), "numeric",         "-n",                Display::NUMERIC),
    (None,       "stats",           "--stats",           Display::STATS),
    (None,       "rate",            "--rate",            Display::RATE),
    (None,       "thresholds",      "--thresholds",      Display::THRESHOLDS),
    (None,       "persistent-conn", "--persistent-conn", Display::PERSISTENT),
    (None,       "tun-info",        "--tun-info",        Display::TUNNELS),
    (Some(b'X'), "exact",           "--exact",           Display::EXACT),
    (None,       "nosort",          "--nosort",          Display::NO_SORT),
    (Some(b'c'), "connection",      "-c",                Display::CONNECTION),
    (None,       "timeout",         "--timeout",         Display::TIMEOUT),
    (None,       "daemon",          "--daemon",          Display::DAEMON),
    (None,       "with-thresholds", "--with-thresholds", Display::WITH_THRESHOLDS),
];

impl Display {
    /// What messages call the first of them.
    pub(super) fn name(self) -> &'static str {
        let known = DISPLAY.iter().find(|(.., bit)| self.intersects(*bit));
        known.map_or("", |(_, _, name, _)| name)
    }

    /// Refuses the ones that are not among the allowed ones of a command.
    pub(super) fn check_allowed(self, allowed: Self, command: &'static str) -> Result<(), Failure> {
        let surplus = self.difference(allowed);
        if surplus.is_empty() {
            return Ok(());
        }
        Err(Failure::Refused(RuleError::NotAllowed {
            option: surplus.name(),
            command,
        }))
    }
}

/// The option of that name, and whether it takes a value.
pub(super) fn find(name: OptionName<'_>) -> Option<(Word, TakesValue)> {
    if let Some((option, takes)) = SettingsOption::find(name) {
        return Some((Word::Setting(option), takes));
    }
    if let Some((command, takes)) = ChangeCommand::find(name) {
        return Some((Word::Change(command), takes));
    }
    let word = match name {
        OptionName::Short(b'L' | b'l') | OptionName::Long("list") => Word::Reading(Reading::List),
        OptionName::Short(b'S') | OptionName::Long("save") => Word::Reading(Reading::Save),
        OptionName::Short(b'R') | OptionName::Long("restore") => Word::Reading(Reading::Restore),
        OptionName::Short(b'h') | OptionName::Long("help") => Word::Reading(Reading::Help),
        OptionName::Short(b'v') | OptionName::Long("version") => Word::Reading(Reading::Version),
        OptionName::Long("sort") => Word::Sort,
        OptionName::Short(letter) => {
            let known = DISPLAY.iter().find(|(short, ..)| *short == Some(letter));
            Word::Display(known?.3)
        }
        OptionName::Long(long) => {
            let known = DISPLAY.iter().find(|(_, name, ..)| *name == long);
            Word::Display(known?.3)
        }
    };
    Some((word, TakesValue::Never))
}
