//! Text that is no rule, no command or no table.

use core::fmt;

use crate::destination::DestinationKey;
use crate::service::ServiceKey;
use crate::text::parse::command::ChangeCommand;

/// Why a command line is refused: which option, which value, what would be allowed.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RuleError {
    /// An option nobody knows.
    #[error("`{}`: unknown option", OneLine(.word))]
    UnknownOption {
        /// The word it stands in.
        word: String,
    },
    /// The value of an option is missing.
    #[error("`{}`: value missing", OneLine(.word))]
    MissingValue {
        /// The word the option stands in.
        word: String,
    },
    /// An option has a value and takes none.
    #[error("`{}`: takes no value", OneLine(.word))]
    SurplusValue {
        /// The word the option stands in.
        word: String,
    },
    /// There is no word at all.
    #[error("no command: the first option must be one, such as -A")]
    NoCommand,
    /// The first option is not a command.
    #[error("the first option must be a command such as -A, not `{}`", OneLine(.word))]
    NotACommand {
        /// What stands there instead.
        word: String,
    },
    /// There is a command already.
    #[error("`{}`: only the first option can be a command", OneLine(.word))]
    SecondCommand {
        /// The word it stands in.
        word: String,
    },
    /// A value out of range or of the wrong form.
    #[error("{option} `{}`: {limit}", OneLine(.value))]
    Value {
        /// The option.
        option: &'static str,
        /// What it was given.
        value: String,
        /// What would be allowed.
        limit: &'static str,
    },
    /// An option that may be given once only.
    #[error("{option} is given more than once")]
    Repeated {
        /// The option.
        option: &'static str,
    },
    /// An option that another one has to come before.
    #[error("{option} must follow {after}")]
    Order {
        /// The option.
        option: &'static str,
        /// What must come first.
        after: &'static str,
    },
    /// An option that the command does not take.
    #[error("{command} takes no {option}")]
    NotAllowed {
        /// The option.
        option: &'static str,
        /// The command.
        command: &'static str,
    },
    /// An option that the command needs.
    #[error("{command} needs {option}")]
    Required {
        /// The option.
        option: &'static str,
        /// The command, or another option.
        command: &'static str,
    },
    /// Options or values that exclude each other.
    #[error("{option}: {limit}")]
    Conflict {
        /// The option.
        option: &'static str,
        /// Why it cannot be.
        limit: &'static str,
    },
    /// A word that belongs to no option.
    #[error("unexpected argument `{}`", OneLine(.word))]
    Unexpected {
        /// The word.
        word: String,
    },
}

impl RuleError {
    /// What to say where a command should stand and this does.
    #[must_use]
    pub fn no_command(word: Option<&str>) -> Self {
        match word {
            None => Self::NoCommand,
            Some(word) => Self::NotACommand { word: word.into() },
        }
    }

    pub(super) fn unknown(word: &str) -> Self {
        Self::UnknownOption { word: word.into() }
    }

    pub(super) fn value(option: &'static str, value: &str, limit: &'static str) -> Self {
        Self::Value {
            option,
            value: value.into(),
            limit,
        }
    }
}

/// Text from outside within a message: control characters would break its line.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            if letter.is_control() {
                write!(f, "{}", letter.escape_default())?;
            } else {
                fmt::Write::write_char(f, letter)?;
            }
        }
        Ok(())
    }
}

/// Text that is no table: which line, and why.
///
/// ```
/// use lvs_ipvs::Table;
/// let error = "-A -t 192.0.2.10:80\n-a -t 192.0.2.10:80 -r 10.0.0.1 -w x".parse::<Table>();
/// assert_eq!(
///     error.unwrap_err().to_string(),
///     "line 2: -w `x`: must be a number from 0 to 2147483647"
/// );
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TextError {
    pub(super) line: usize,
    pub(super) problem: TextProblem,
}

/// What is wrong with a line of a table.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TextProblem {
    /// It is no rule.
    #[error("{0}")]
    Rule(RuleError),
    /// A command that does not belong in a table: only `-A` and `-a` do.
    #[error("{} does not belong in a table; -A and -a do", .0.name())]
    NotARule(ChangeCommand),
    /// A service that stands in an earlier line already.
    #[error("service {0} is there already")]
    DuplicateService(ServiceKey),
    /// A destination that its service has already.
    #[error("service {0} has destination {1} already")]
    DuplicateDestination(ServiceKey, DestinationKey),
    /// A destination of a service that is in none of the lines before.
    #[error("no line before adds service {0}")]
    NoService(ServiceKey),
}

impl TextError {
    /// The line, counted from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// What is wrong with it.
    #[must_use]
    pub const fn problem(&self) -> &TextProblem {
        &self.problem
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl core::error::Error for TextError {}
