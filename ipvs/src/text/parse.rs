//! Reading the text format, and the grammar of `ipvsadm` behind it.
//!
//! [`Table`](crate::Table) and [`Change`](crate::Change) are read with `str::parse`. The pieces
//! are public for programs that take such command lines from elsewhere and know more words than
//! this crate does:
//!
//! | Piece | Turns |
//! |---|---|
//! | [`words`] | a line into words, as `ipvsadm -R` does |
//! | [`Lexer`] | words into options and their values |
//! | [`ChangeCommand`], [`SettingsOption`] | the names of options into what they mean |
//! | [`Settings`] | options and values into a [`Change`](crate::Change) |
//! | [`Lookup`] | names of hosts and services into numbers |
//!
//! An option is refused in the place where it stands, before what is behind it is looked at.

mod change;
mod command;
mod error;
mod keys;
mod lexer;
mod option;
mod settings;
mod table;
mod values;

pub use command::ChangeCommand;
pub use error::{RuleError, TextError, TextProblem};
pub use lexer::{Lexeme, Lexer, OptionName, words};
pub use option::{Given, SettingsOption, TakesValue};
pub use settings::Settings;
pub use values::{Lookup, NumbersOnly, number};
