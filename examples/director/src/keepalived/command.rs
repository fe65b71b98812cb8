//! Commands: `misc_path`, `notify_up`, `quorum_down`, `script` and the like.
//!
//! Their text is cut twice, like a shell would do it. First the text after the keyword gives
//! shell-like words: blanks separate, `'…'` and `"…"` protect them and join what they touch, a
//! backslash protects the next character. The first of these words is the command; the others name
//! the user and the group where the keyword takes them. Then the command itself is cut the same
//! way into the program and its arguments. So a command with arguments is wrapped in double quotes,
//! and an argument with blanks in single ones inside them:
//!
//! ```text
//! notify_up "/usr/local/bin/up --name 'web server'" nobody nogroup
//! ```
//!
//! The results were compared with the configuration dump of keepalived 2.2.7.

use core::iter::Peekable;
use core::str::Chars;

use super::ast::Statement;
use super::diagnostic::Report;

/// A program with its arguments, and who runs it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Command {
    /// Program and arguments; at least the program.
    pub words: Vec<String>,
    /// User that runs it; none for the global `script_user`.
    pub user: Option<String>,
    /// Group that runs it; none for the user's group.
    pub group: Option<String>,
}

/// Reads the command of a statement that may name a user and a group after it.
pub(super) fn with_user(statement: &Statement, report: &mut Report) -> Option<Command> {
    let (mut command, mut rest) = first(statement, report)?;
    (command.user, command.group) = (rest.next(), rest.next());
    let extra: Vec<String> = rest.collect();
    if !extra.is_empty() {
        let message = format!(
            "{}: '{}' after user and group ignored; a command with arguments is one text in \
             double quotes",
            statement.keyword(),
            extra.join(" ")
        );
        report.warning(statement.position(), message);
    }
    Some(command)
}

/// Reads the command of a statement that takes nothing else.
pub(super) fn alone(statement: &Statement, report: &mut Report) -> Option<Command> {
    let (command, rest) = first(statement, report)?;
    let rest: Vec<String> = rest.collect();
    if !rest.is_empty() {
        let message = format!(
            "{}: '{}' is not part of the command and ignored; put a command with arguments in \
             double quotes",
            statement.keyword(),
            rest.join(" ")
        );
        report.warning(statement.position(), message);
    }
    Some(command)
}

fn first(
    statement: &Statement,
    report: &mut Report,
) -> Option<(Command, impl Iterator<Item = String>)> {
    let keyword = statement.keyword();
    let position = statement.argument_position(0);
    let mut fail = |reason: &str| {
        report.error(position, format!("{keyword}: {reason}; line ignored"));
        None
    };
    let mut outer = match words(statement.raw_arguments()) {
        Ok(words) => words.into_iter(),
        Err(reason) => return fail(reason),
    };
    let Some(command) = outer.next() else {
        return fail("the command is missing");
    };
    match words(&command) {
        Ok(words) if words.first().is_some_and(|program| !program.is_empty()) => Some((
            Command {
                words,
                user: None,
                group: None,
            },
            outer,
        )),
        Ok(_) => fail("the command is empty"),
        Err(reason) => fail(reason),
    }
}

/// Cuts text into shell-like words; in all of them a backslash has the meanings of [`escape`].
pub(super) fn words(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match (char, quote) {
            ('\\', _) => word.get_or_insert_default().push(escape(&mut chars)?),
            (char, Some(open)) if char == open => quote = None,
            (char, Some(_)) => word.get_or_insert_default().push(char),
            ('\'' | '"', None) => {
                word.get_or_insert_default();
                quote = Some(char);
            }
            (char, None) if char.is_whitespace() => words.extend(word.take()),
            (char, None) => word.get_or_insert_default().push(char),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    words.extend(word);
    Ok(words)
}

/// What stands for a backslash and what follows: `\a \b \E \f \n \r \t \v`, `\NNN` octal, `\xHH`
/// hexadecimal, `\cC` control; any other character stands for itself.
fn escape(chars: &mut Peekable<Chars<'_>>) -> Result<char, &'static str> {
    let Some(char) = chars.next() else {
        return Err("the text ends with a backslash");
    };
    let code = match char {
        'a' => 0x07,
        'b' => 0x08,
        'E' => 0x1b,
        'f' => 0x0c,
        'n' => 0x0a,
        'r' => 0x0d,
        't' => 0x09,
        'v' => 0x0b,
        '0'..='7' => {
            let first = char.to_digit(8).unwrap_or(0);
            digits(chars, 8, 2, first)
        }
        'x' if chars.peek().is_some_and(char::is_ascii_hexdigit) => digits(chars, 16, 2, 0),
        'c' => match chars.next() {
            Some(control) if control.is_ascii() => u32::from(control) & 0x1f,
            _ => return Err("\\c is not followed by an ASCII character"),
        },
        other => return Ok(other),
    };
    match char::from_u32(code) {
        Some('\0') => Err("an escape stands for the byte 0"),
        Some(char) if char.is_ascii() => Ok(char),
        _ => Err("an escape stands for a byte over 127"),
    }
}

/// Adds up to `most` more digits to a number.
fn digits(chars: &mut Peekable<Chars<'_>>, radix: u32, most: u32, first: u32) -> u32 {
    let mut number = first;
    for _ in 0..most {
        let Some(digit) = chars.peek().and_then(|char| char.to_digit(radix)) else {
            break;
        };
        number = number.saturating_mul(radix).saturating_add(digit);
        chars.next();
    }
    number
}

#[cfg(test)]
mod tests {
    use super::super::ast::tests_support::statement;
    use super::*;

    fn read(text: &str) -> (Option<Command>, Vec<String>) {
        let mut report = Report::new(10);
        let command = with_user(&statement(text), &mut report);
        (
            command,
            report.finish().0.iter().map(ToString::to_string).collect(),
        )
    }

    /// The pairs are what the configuration dump of keepalived 2.2.7 shows for a script.
    #[test]
    fn words_are_cut_like_keepalived_cuts_them() {
        let cases: [(&str, &[&str]); 16] = [
            (r#""/bin/echo \"a b\" c""#, &["/bin/echo", "a b", "c"]),
            (r#""/bin/echo 'a  b' c""#, &["/bin/echo", "a  b", "c"]),
            ("'/bin/echo a b'", &["/bin/echo", "a", "b"]),
            (r#""/bin/echo a\nb \t""#, &["/bin/echo", "a", "b"]),
            (r#""/bin/echo a # b""#, &["/bin/echo", "a", "#", "b"]),
            (r#""/bin/echo ${X}""#, &["/bin/echo", "${X}"]),
            (r#""/bin/echo a {b} c""#, &["/bin/echo", "a", "{b}", "c"]),
            (r#""/bin/echo ''""#, &["/bin/echo", ""]),
            (r#""/bin/echo 'x'y'z w'""#, &["/bin/echo", "xyz w"]),
            (
                r#""/bin/echo $HOME ${HOME}""#,
                &["/bin/echo", "$HOME", "${HOME}"],
            ),
            ("\"/bin/echo a\tb\"", &["/bin/echo", "a", "b"]),
            (r#""/bin/echo  >/dev/null""#, &["/bin/echo", ">/dev/null"]),
            (r#""/bin/echo a\b c""#, &["/bin/echo", "a\u{8}", "c"]),
            (r#""/bin/echo "a b" c""#, &["/bin/echo", "a"]),
            ("/bin/echo", &["/bin/echo"]),
            (r"/bin/echo a\ b", &["/bin/echo"]),
        ];
        for (text, expected) in cases {
            let (command, _) = read(&format!("notify_up {text}"));
            assert_eq!(command.expect(text).words, expected, "{text}");
        }
    }

    #[test]
    fn user_and_group_follow_the_command() {
        let (command, messages) = read("notify_up \"/bin/up now\" nobody nogroup");
        let command = command.unwrap();
        assert_eq!(command.words, ["/bin/up", "now"]);
        assert_eq!(command.user.as_deref(), Some("nobody"));
        assert_eq!(command.group.as_deref(), Some("nogroup"));
        assert!(messages.is_empty());
        let (_, messages) = read("notify_up /bin/up a b c");
        assert!(
            messages[0].contains("notify_up: 'c' after user and group"),
            "{messages:?}"
        );
    }

    #[test]
    fn unquoted_arguments_are_not_passed_silently() {
        let mut report = Report::new(10);
        let command = alone(&statement("misc_path /bin/check 192.0.2.1 80"), &mut report).unwrap();
        assert_eq!(command.words, ["/bin/check"]);
        let (diagnostics, _) = report.finish();
        assert_eq!(
            diagnostics[0].to_string(),
            "test.conf:1:1: warning: misc_path: '192.0.2.1 80' is not part of the command and \
             ignored; put a command with arguments in double quotes"
        );
    }

    #[test]
    fn what_gives_no_command_is_refused_with_the_reason() {
        let cases = [
            ("notify_up", "the command is missing"),
            ("notify_up \"\"", "the command is empty"),
            ("notify_up \"  \"", "the command is empty"),
            ("notify_up \"/bin/true 'a b\"", "a quote is not closed"),
            (r"notify_up /bin/x\", "ends with a backslash"),
            (r"notify_up /bin/\000", "the byte 0"),
            (r"notify_up /bin/\xff", "over 127"),
            (r"notify_up /bin/\cä", "not followed by an ASCII"),
        ];
        for (text, reason) in cases {
            let (command, messages) = read(text);
            assert_eq!(command, None, "{text}");
            assert!(messages[0].contains(reason), "{text}: {messages:?}");
        }
    }

    #[test]
    fn escapes_stand_for_characters() {
        assert_eq!(words(r"\x41\101\cA\E\\\q").unwrap(), ["AA\u{1}\u{1b}\\q"]);
        assert_eq!(words(r"'a\'b'").unwrap(), ["a'b"]);
    }
}
