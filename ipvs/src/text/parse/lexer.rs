//! From a line to words, and from words to options with their values.

use crate::text::parse::error::RuleError;
use crate::text::parse::option::TakesValue;

/// Splits a line into words as `ipvsadm -R` does: at blanks, tabs and carriage returns, without any
/// quoting, leaving out the word `ipvsadm` wherever it stands. Of a word with NUL bytes only what
/// is before them counts, even if that is nothing.
///
/// ```
/// use lvs_ipvs::text::parse::words;
/// let line = "ipvsadm  -A -t 192.0.2.10:80\r";
/// assert_eq!(words(line).collect::<Vec<_>>(), ["-A", "-t", "192.0.2.10:80"]);
/// assert_eq!(words("-n\0ever \0 x").collect::<Vec<_>>(), ["-n", "", "x"]);
/// ```
pub fn words(line: &str) -> impl Iterator<Item = &str> + Clone {
    line.split([' ', '\t', '\r', '\n'])
        .filter(|word| !word.is_empty())
        .map(|word| word.split_once('\0').map_or(word, |(counts, _)| counts))
        .filter(|word| *word != "ipvsadm")
}

/// How an option was written.
#[expect(clippy::exhaustive_enums, reason = "options have two forms")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OptionName<'a> {
    /// One letter behind a single dash.
    Short(u8),
    /// A word behind two dashes.
    Long(&'a str),
}

/// What stands next on a command line.
#[expect(clippy::exhaustive_enums, reason = "a word is an option or it is not")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lexeme<'a, T> {
    /// An option.
    Option {
        /// What the table of options says it is.
        option: T,
        /// The word it was written in, for messages.
        word: &'a str,
        /// Its value, if it takes one.
        value: Option<&'a str>,
    },
    /// A word that is no option and no option's value.
    Rest(&'a str),
}

/// Finds options among words by the rules of popt, the library `ipvsadm` reads its command line
/// with.
///
/// - Letters may share a dash: `-Ln` is `-L -n`.
/// - A value follows at once (`-w3`, `-w=3`, `--weight=3`) or is the next word, whatever that is.
/// - An [optional](TakesValue::Optional) value is the next word only when that begins with
///   something else than a dash.
/// - Names are not shortened: `--weig` is unknown.
/// - Behind the word `--` there are no options.
///
/// Other lexers for Rust differ in one of these: they take no optional value from the next word,
/// or refuse a value that looks like an option.
///
/// ```
/// use lvs_ipvs::text::parse::{Lexeme, Lexer, OptionName, TakesValue};
///
/// let find = |name: OptionName<'_>| match name {
///     OptionName::Short(b'n') => Some(("numeric", TakesValue::Never)),
///     OptionName::Short(b'w') => Some(("weight", TakesValue::Always)),
///     _ => None,
/// };
/// let mut lexer = Lexer::new(["-nw", "3"].into_iter());
/// assert!(matches!(
///     lexer.next(find)?,
///     Some(Lexeme::Option { option: "numeric", value: None, .. })
/// ));
/// assert!(matches!(
///     lexer.next(find)?,
///     Some(Lexeme::Option { option: "weight", value: Some("3"), .. })
/// ));
/// assert_eq!(lexer.next(find)?, None);
/// # Ok::<(), lvs_ipvs::text::parse::RuleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lexer<'a, W> {
    words: W,
    /// The word of letters being read, and what of it is left.
    letters: Option<(&'a str, &'a str)>,
    /// Whether `--` was seen.
    only_rest: bool,
}

impl<'a, W: Iterator<Item = &'a str> + Clone> Lexer<'a, W> {
    /// Reads those words.
    pub const fn new(words: W) -> Self {
        Self {
            words,
            letters: None,
            only_rest: false,
        }
    }

    /// The next option or other word; `None` at the end.
    ///
    /// # Errors
    ///
    /// An option that `find` does not know, that lacks its value or has one it does not take.
    pub fn next<T>(
        &mut self,
        find: impl Fn(OptionName<'_>) -> Option<(T, TakesValue)>,
    ) -> Result<Option<Lexeme<'a, T>>, RuleError> {
        if let Some((word, rest)) = self.letters.take() {
            return self.letter(word, rest, find).map(Some);
        }
        let Some(word) = self.words.next() else {
            return Ok(None);
        };
        if self.only_rest {
            return Ok(Some(Lexeme::Rest(word)));
        }
        match word.strip_prefix('-') {
            None | Some("") => Ok(Some(Lexeme::Rest(word))),
            Some("-") => {
                self.only_rest = true;
                self.next(find)
            }
            Some(rest) => match rest.strip_prefix('-') {
                Some(long) => self.long(word, long, find).map(Some),
                None => self.letter(word, rest, find).map(Some),
            },
        }
    }

    fn long<T>(
        &mut self,
        word: &'a str,
        long: &'a str,
        find: impl Fn(OptionName<'_>) -> Option<(T, TakesValue)>,
    ) -> Result<Lexeme<'a, T>, RuleError> {
        let (name, attached) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        let (option, takes) =
            find(OptionName::Long(name)).ok_or_else(|| RuleError::unknown(word))?;
        let value = self.value(word, takes, attached)?;
        Ok(Lexeme::Option {
            option,
            word,
            value,
        })
    }

    /// Reads one letter of a word; `rest` begins with it.
    fn letter<T>(
        &mut self,
        word: &'a str,
        rest: &'a str,
        find: impl Fn(OptionName<'_>) -> Option<(T, TakesValue)>,
    ) -> Result<Lexeme<'a, T>, RuleError> {
        let unknown = || RuleError::unknown(word);
        let letter = rest.as_bytes().first().ok_or_else(unknown)?;
        let (option, takes) = find(OptionName::Short(*letter)).ok_or_else(unknown)?;
        // Known letters are ASCII, so that the word can be cut behind them.
        let rest = rest.get(1..).unwrap_or_default();
        let attached = match (takes, rest.strip_prefix('=')) {
            (_, Some(value)) => Some(value),
            (TakesValue::Never, None) => None,
            (_, None) => Some(rest).filter(|rest| !rest.is_empty()),
        };
        let value = self.value(word, takes, attached)?;
        if takes == TakesValue::Never && !rest.is_empty() {
            self.letters = Some((word, rest));
        }
        Ok(Lexeme::Option {
            option,
            word,
            value,
        })
    }

    fn value(
        &mut self,
        word: &'a str,
        takes: TakesValue,
        attached: Option<&'a str>,
    ) -> Result<Option<&'a str>, RuleError> {
        match (takes, attached) {
            (TakesValue::Never, None) => Ok(None),
            (TakesValue::Never, Some(_)) => Err(RuleError::SurplusValue { word: word.into() }),
            (_, Some(_)) => Ok(attached),
            (TakesValue::Always, None) => match self.words.next() {
                None => Err(RuleError::MissingValue { word: word.into() }),
                next => Ok(next),
            },
            (TakesValue::Optional, None) => {
                let mut ahead = self.words.clone();
                let next = ahead.next().filter(|next| !next.starts_with('-'));
                if next.is_some() {
                    self.words = ahead;
                }
                Ok(next)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(name: OptionName<'_>) -> Option<(char, TakesValue)> {
        Some(match name {
            OptionName::Short(b'n') | OptionName::Long("numeric") => ('n', TakesValue::Never),
            OptionName::Short(b'w') | OptionName::Long("weight") => ('w', TakesValue::Always),
            OptionName::Short(b'p') | OptionName::Long("persistent") => ('p', TakesValue::Optional),
            _ => return None,
        })
    }

    /// Options as `n`, `w:VALUE`, other words in quotes; errors end it.
    fn read(line: &str) -> String {
        // Split by hand: the empty word matters here.
        let words: Vec<&str> = line.split(' ').collect();
        let mut lexer = Lexer::new(words.into_iter());
        let mut seen = Vec::new();
        loop {
            match lexer.next(find) {
                Ok(None) => return seen.join(" "),
                Ok(Some(Lexeme::Rest(word))) => seen.push(format!("'{word}'")),
                Ok(Some(Lexeme::Option {
                    option,
                    value: None,
                    ..
                })) => seen.push(option.to_string()),
                Ok(Some(Lexeme::Option {
                    option,
                    value: Some(value),
                    ..
                })) => seen.push(format!("{option}:{value}")),
                Err(error) => {
                    seen.push(error.to_string());
                    return seen.join(" ");
                }
            }
        }
    }

    #[test]
    fn popts_rules() {
        for (line, expected) in [
            ("-n -n", "n n"),
            ("-nn", "n n"),
            ("-w 3", "w:3"),
            ("-w3", "w:3"),
            ("-w=3", "w:3"),
            ("-w==3", "w:=3"),
            ("-w =3", "w:=3"),
            ("-nw3 x", "n w:3 'x'"),
            ("-nw x", "n w:x"),
            ("-w -n", "w:-n"),
            ("-w -- -n", "w:-- n"),
            ("-w= -n", "w: n"),
            ("--weight 3", "w:3"),
            ("--weight=3", "w:3"),
            ("--weight=", "w:"),
            ("-p 3", "p:3"),
            ("-p3", "p:3"),
            ("-p=3", "p:3"),
            ("-p -n", "p n"),
            ("-p", "p"),
            ("-p ", "p:"),
            ("-p - x", "p '-' 'x'"),
            ("-p -- -n", "p '-n'"),
            ("--persistent=-3", "p:-3"),
            ("-pn", "p:n"),
            ("- x ", "'-' 'x' ''"),
            ("-- -n --", "'-n' '--'"),
            ("-n x -n", "n 'x' n"),
            ("--weig 3", "`--weig`: unknown option"),
            ("--=3", "`--=3`: unknown option"),
            ("-=3", "`-=3`: unknown option"),
            ("-nz", "n `-nz`: unknown option"),
            ("-é", "`-é`: unknown option"),
            ("-né", "n `-né`: unknown option"),
            ("-w", "`-w`: value missing"),
            ("-nw", "n `-nw`: value missing"),
            ("-n=3", "`-n=3`: takes no value"),
            ("--numeric=", "`--numeric=`: takes no value"),
            ("---n", "`---n`: unknown option"),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
    }
}
