//! A command line as text.

use core::str::FromStr;

use super::Command;
use crate::error::Invalid;

impl FromStr for Command {
    type Err = Invalid;

    /// Splits at white space, with the shell's quoting but without its expansions: within `'…'`
    /// everything is literal; within `"…"` a backslash makes `"`, `\`, `$` and `` ` `` literal;
    /// outside of quotes it makes any character literal.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let arguments = split(text).ok_or_else(|| {
            Invalid::new(
                "command",
                format!("{text:?}"),
                "must not end within quotes or after \\",
            )
        })?;
        let mut arguments = arguments.into_iter();
        let program = arguments.next().unwrap_or_default();
        let command = arguments.fold(Self::new(&program), |command, argument| {
            command.with_argument(&argument)
        });
        command.validate()?;
        Ok(command)
    }
}

/// The words of a line; `None` if a quote stays open.
fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match letter {
            '\\' => word.push(letters.next()?),
            '\'' => loop {
                match letters.next()? {
                    '\'' => break,
                    other => word.push(other),
                }
            },
            '"' => loop {
                match letters.next()? {
                    '"' => break,
                    '\\' => match letters.next()? {
                        special @ ('"' | '\\' | '$' | '`') => word.push(special),
                        other => word.extend(['\\', other]),
                    },
                    other => word.push(other),
                }
            },
            other => word.push(other),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.parse::<Command>().unwrap().arguments().to_vec()
    }

    #[test]
    fn quoting_is_that_of_the_shell() {
        assert_eq!(words("  a  b\tc\n"), ["a", "b", "c"]);
        assert_eq!(words(r#"a 'b  "c' "d 'e""#), ["a", r#"b  "c"#, "d 'e"]);
        assert_eq!(words(r#"a x"y"'z' "" ''"#), ["a", "xyz", "", ""]);
        assert_eq!(
            words(r#"a \"b\ c "\"\\\$\`\n" '\n'"#),
            ["a", "\"b c", r#""\$`\n"#, r"\n"]
        );
        assert_eq!(words("a $HOME `b` #c *"), ["a", "$HOME", "`b`", "#c", "*"]);
    }

    #[test]
    fn open_quotes_and_empty_lines_are_refused() {
        for text in ["a 'b", "a \"b", "a \"b\\", "a \\", "", "  ", "'' a"] {
            let error = text.parse::<Command>().unwrap_err();
            assert_eq!(error.field, "command", "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_words_or_an_error(text in ".*") {
            let _ = text.parse::<Command>();
        }

        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec("[^'\0]*", 1..5)) {
            prop_assume!(!words[0].is_empty());
            let line: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
            let parsed: Command = line.join(" ").parse().unwrap();
            prop_assert_eq!(parsed.arguments(), words);
        }
    }
}
