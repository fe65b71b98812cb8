//! Reading one command.

use core::str::FromStr;

use crate::request::Change;
use crate::text::parse::command::ChangeCommand;
use crate::text::parse::error::RuleError;
use crate::text::parse::lexer::{Lexeme, Lexer, OptionName, words};
use crate::text::parse::option::{SettingsOption, TakesValue};
use crate::text::parse::settings::Settings;
use crate::text::parse::values::{Lookup, NumbersOnly};

#[derive(Clone, Copy)]
enum Word {
    Command(ChangeCommand),
    Option(SettingsOption),
}

fn find(name: OptionName<'_>) -> Option<(Word, TakesValue)> {
    if let Some((option, takes)) = SettingsOption::find(name) {
        return Some((Word::Option(option), takes));
    }
    let (command, takes) = ChangeCommand::find(name)?;
    Some((Word::Command(command), takes))
}

/// Reads a command line of words.
pub(super) fn read<'a>(
    words: impl Iterator<Item = &'a str> + Clone,
    lookup: &mut dyn Lookup,
) -> Result<Change, RuleError> {
    let mut lexer = Lexer::new(words);
    let mut settings = Settings::default();
    let mut first = None;
    let (command, value) = loop {
        match lexer.next(find)? {
            Some(Lexeme::Rest(word)) => {
                first.get_or_insert(word);
                settings.take_rest(word);
            }
            Some(Lexeme::Option {
                option: Word::Command(command),
                value,
                ..
            }) => break (command, value),
            Some(Lexeme::Option { word, .. }) => return Err(RuleError::no_command(Some(word))),
            None => return Err(RuleError::no_command(first)),
        }
    };
    while let Some(lexeme) = lexer.next(find)? {
        match lexeme {
            Lexeme::Rest(word) => settings.take_rest(word),
            Lexeme::Option {
                option: Word::Command(_),
                word,
                ..
            } => return Err(RuleError::SecondCommand { word: word.into() }),
            Lexeme::Option {
                option: Word::Option(option),
                value,
                ..
            } => settings.take(option, value, lookup)?,
        }
    }
    settings.into_change(command, value)
}

/// Reads a command as `Display` writes it, with or without the word `ipvsadm` before it.
///
/// Everything is taken that `ipvsadm` takes, except names of hosts and services. As there, a
/// destination by direct routing or tunnel gets the port of its service, whatever is said.
///
/// ```
/// use lvs_ipvs::Change;
/// let change: Change = "ipvsadm --add-server -t 192.0.2.10:80 -r 10.0.0.11 -w3 -m".parse()?;
/// assert_eq!(
///     change.to_string(),
///     "ipvsadm -a -t 192.0.2.10:80 -r 10.0.0.11:80 -m -w 3"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl FromStr for Change {
    type Err = RuleError;

    fn from_str(line: &str) -> Result<Self, RuleError> {
        read(words(line), &mut NumbersOnly)
    }
}
