//! Names and values of blocks: reading the name behind a keyword, and writing values so that
//! reading gives them again.

use core::fmt::{self, Write as _};
use core::time::Duration;

use super::super::ast::Statement;
use super::super::command::Command;
use super::super::diagnostic::Report;
use super::super::values;

/// The name of a block.
pub(super) fn name(statement: &Statement, report: &mut Report) -> Option<String> {
    let keyword = statement.keyword();
    if let Some(extra) = statement.argument(1) {
        let message = format!("{keyword}: '{extra}' and what follows on the line is ignored");
        report.note(statement.argument_position(1), message);
    }
    let name = statement.argument(0).filter(|name| !name.is_empty());
    if name.is_none() {
        report.error(
            statement.position(),
            format!("{keyword}: the name is missing; the block is ignored"),
        );
    }
    name.map(str::to_owned)
}

/// A user and perhaps a group.
pub(super) fn account(
    statement: &Statement,
    report: &mut Report,
) -> Option<(String, Option<String>)> {
    values::leaf(statement, 2, report);
    let name = |word: &str| Some(word.to_owned());
    let user = values::word_at(statement, 0, "a user name", report, name)?;
    Some((user, statement.argument(1).map(str::to_owned)))
}

/// A word, quoted where it must be.
pub(super) struct Word<'a>(pub(super) &'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |char: char| char.is_ascii_alphanumeric() || "_.:/=+-@".contains(char);
        if !self.0.is_empty() && self.0.chars().all(plain) {
            f.write_str(self.0)
        } else {
            write!(f, "\"{}\"", self.0)
        }
    }
}

/// Seconds with as many decimal places as there are, at most 6.
pub(super) struct Seconds(pub(super) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:06}", self.0.as_secs(), self.0.subsec_micros());
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// `on` or `off`.
pub(super) struct OnOff(pub(super) bool);

impl fmt::Display for OnOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { "on" } else { "off" })
    }
}

/// A program with its arguments, in one pair of double quotes.
pub(super) struct Program<'a>(pub(super) &'a [String]);

impl fmt::Display for Program<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for (number, word) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_char(' ')?;
            }
            let plain = |char: char| char.is_ascii_alphanumeric() || "_.,:/=+-@%".contains(char);
            if !word.is_empty() && word.chars().all(plain) {
                f.write_str(word)?;
                continue;
            }
            // Cut twice when it is read: once with the whole text, once as a command.
            let mut inner = String::from("'");
            for char in word.chars() {
                if matches!(char, '\'' | '\\') {
                    inner.push('\\');
                }
                inner.push(char);
            }
            inner.push('\'');
            for char in inner.chars() {
                if matches!(char, '"' | '\\') {
                    f.write_char('\\')?;
                }
                f.write_char(char)?;
            }
        }
        f.write_char('"')
    }
}

/// A command with its user and group.
pub(super) struct CommandLine<'a>(pub(super) &'a Command);

impl fmt::Display for CommandLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Program(&self.0.words))?;
        for word in self.0.user.iter().chain(&self.0.group) {
            write!(f, " {}", Word(word))?;
        }
        Ok(())
    }
}
