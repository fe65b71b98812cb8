//! Comments and words (keepalived.conf(5)).
//!
//! A line passes through here twice. [`strip_comment`] sees it as it stands in the file: a `#` or
//! `!` outside double quotes ends it, also in the middle of a word; `\#` and `\!` are the
//! characters themselves. Between the two, parameters are replaced, so a `#` that comes out of
//! `${_HASH}` is an ordinary character. [`tokens`] then cuts the line: blanks separate words,
//! double quotes make one word without escapes and end a word they touch, braces outside quotes
//! are tokens wherever they stand.

use core::ops::Range;

use super::ast::Word;
use super::diagnostic::{Position, Report};
use super::line::Line;
use super::variables::reference;

/// keepalived cuts lines at about this many bytes.
pub(super) const LINE_LIMIT: usize = 1024;

/// A piece of a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Token {
    /// A word and its bytes in the line, quotes included.
    Word(Word, Range<usize>),
    /// `{`
    Open(Position),
    /// `}`
    Close(Position),
}

/// Takes the comment off a line of a file.
pub(super) fn strip_comment(text: &str, start: &Position) -> Line {
    let mut line = Line::new(start.clone(), 0);
    let mut quoted = false;
    let mut begin = 0;
    let mut position = start.clone();
    let mut column = start.column;
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        let next = chars.peek().map(|&(_, next)| next);
        match char {
            '"' => quoted = !quoted,
            '#' | '!' if !quoted => {
                line.push(text.get(begin..at).unwrap_or_default(), &position);
                return line;
            }
            '\\' if !quoted && matches!(next, Some('#' | '!')) => {
                line.push(text.get(begin..at).unwrap_or_default(), &position);
                begin = at.saturating_add(1);
                column = column.saturating_add(1);
                position.column = column;
                chars.next();
            }
            _ => {}
        }
        column = column.saturating_add(1);
    }
    line.push(text.get(begin..).unwrap_or_default(), &position);
    line
}

/// Cuts a line into words and braces.
pub(super) fn tokens(line: &Line, report: &mut Report) -> Vec<Token> {
    let text = line.text();
    let mut found = Vec::new();
    let mut word: Option<usize> = None;
    let mut at = 0;
    while let Some(char) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let next = at.saturating_add(char.len_utf8());
        let special = char.is_whitespace() || matches!(char, '"' | '{' | '}');
        if special && let Some(start) = word.take() {
            found.push(plain_word(line, start..at));
        }
        at = match char {
            '"' => quoted_word(line, at, &mut found, report),
            '{' => {
                found.push(Token::Open(line.position_at(at)));
                next
            }
            '}' => {
                found.push(Token::Close(line.position_at(at)));
                next
            }
            _ if special => next,
            _ => {
                word.get_or_insert(at);
                undefined_reference(line, at, report).unwrap_or(next)
            }
        };
    }
    if let Some(start) = word {
        found.push(plain_word(line, start..text.len()));
    }
    for token in &found {
        if let Token::Word(word, _) = token
            && word.text().contains(char::REPLACEMENT_CHARACTER)
        {
            report.warning(
                word.position(),
                format!("'{}' is not UTF-8 text", word.text()),
            );
        }
    }
    found
}

fn plain_word(line: &Line, range: Range<usize>) -> Token {
    let text = line
        .text()
        .get(range.clone())
        .unwrap_or_default()
        .to_owned();
    Token::Word(Word::new(text, line.position_at(range.start), false), range)
}

/// Reads from the opening quote; gives the place after the closing one.
fn quoted_word(line: &Line, open: usize, found: &mut Vec<Token>, report: &mut Report) -> usize {
    let start = open.saturating_add(1);
    let rest = line.text().get(start..).unwrap_or_default();
    let position = line.position_at(open);
    let length = rest.find('"').unwrap_or_else(|| {
        report.error(&position, "the double quote is not closed on this line");
        rest.len()
    });
    let text = rest.get(..length).unwrap_or_default().to_owned();
    let end = start
        .saturating_add(length)
        .saturating_add(1)
        .min(line.text().len());
    found.push(Token::Word(Word::new(text, position, true), open..end));
    end
}

/// `${NAME}` that no parameter replaced: its braces are not tokens.
fn undefined_reference(line: &Line, at: usize, report: &mut Report) -> Option<usize> {
    let rest = line.text().get(at..)?;
    let found = reference(rest).filter(|found| found.braced)?;
    let message = format!("the parameter '{}' is not defined", found.name);
    report.warning(&line.position_at(at), message);
    Some(at.saturating_add(found.length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip(text: &str) -> String {
        strip_comment(text, &Position::new("t".into(), 1, 1))
            .text()
            .to_owned()
    }

    /// The tokens in one string: words as they are, quoted ones in quotes, braces.
    fn cut(text: &str) -> Vec<String> {
        let mut report = Report::new(10);
        tokens(&Line::plain(text), &mut report)
            .into_iter()
            .map(|token| match token {
                Token::Word(word, _) if word.is_quoted() => format!("\"{}\"", word.text()),
                Token::Word(word, _) => word.text().to_owned(),
                Token::Open(_) => "{".into(),
                Token::Close(_) => "}".into(),
            })
            .collect()
    }

    #[test]
    fn comment_ends_a_line_also_inside_a_word() {
        assert_eq!(strip("lb_algo rr#x"), "lb_algo rr");
        assert_eq!(strip("path /a!b"), "path /a");
        assert_eq!(strip("! all"), "");
        assert_eq!(strip("path \"/a!b#c\" # d"), "path \"/a!b#c\" ");
    }

    #[test]
    fn backslash_protects_comment_characters_outside_quotes_only() {
        assert_eq!(strip(r"a\#b\!c#d"), "a#b!c");
        assert_eq!(strip(r#""a\#b""#), r#""a\#b""#);
        assert_eq!(strip(r"a\b"), r"a\b");
        let line = strip_comment(r"a\#b c", &Position::new("t".into(), 1, 1));
        assert_eq!(line.position_at(2).column, 4);
        assert_eq!(line.position_at(4).column, 6);
    }

    #[test]
    fn braces_are_tokens_wherever_they_stand() {
        assert_eq!(cut("TCP_CHECK{"), ["TCP_CHECK", "{"]);
        assert_eq!(cut("weight 3 }"), ["weight", "3", "}"]);
        assert_eq!(cut("a{b}c"), ["a", "{", "b", "}", "c"]);
        assert_eq!(cut("\"a{b\""), ["\"a{b\""]);
    }

    /// Confirmed with keepalived 2.2.7: the error for `lb_algo a"b c"d` names `a`.
    #[test]
    fn double_quotes_end_the_word_they_touch() {
        assert_eq!(cut("a\"b c\"d e"), ["a", "\"b c\"", "d", "e"]);
        assert_eq!(cut("\"a\"\"b\""), ["\"a\"", "\"b\""]);
        assert_eq!(cut("x \"\""), ["x", "\"\""]);
        assert_eq!(cut(r#""a\b""#), [r#""a\b""#]);
    }

    #[test]
    fn single_quotes_mean_nothing_to_ordinary_keywords() {
        assert_eq!(cut("'a b'"), ["'a", "b'"]);
    }

    #[test]
    fn open_quote_runs_to_the_end_and_is_reported() {
        let mut report = Report::new(10);
        let found = tokens(&Line::plain("a \"b c"), &mut report);
        assert_eq!(found.len(), 2);
        let (diagnostics, _) = report.finish();
        assert_eq!(
            diagnostics[0].to_string(),
            "test.conf:1:3: error: the double quote is not closed on this line"
        );
    }

    #[test]
    fn undefined_reference_is_one_word_and_is_reported() {
        let mut report = Report::new(10);
        let found = tokens(&Line::plain("weight ${W}5"), &mut report);
        assert_eq!(found.len(), 2);
        assert!(report.finish().0[0].message.contains("'W' is not defined"));
    }

    #[test]
    fn words_in_another_encoding_are_reported() {
        let mut report = Report::new(10);
        tokens(&Line::plain("router_id M\u{fffd}nchen"), &mut report);
        let expected = "test.conf:1:11: warning: 'M\u{fffd}nchen' is not UTF-8 text";
        assert_eq!(report.finish().0[0].to_string(), expected);
    }

    #[test]
    fn words_know_their_bytes_and_columns() {
        let mut report = Report::new(10);
        let found = tokens(&Line::plain("ä \"b c\" d"), &mut report);
        let Token::Word(word, range) = &found[1] else {
            panic!("a word")
        };
        assert_eq!((word.position().column, range.clone()), (3, 3..8));
    }
}
