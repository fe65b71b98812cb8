//! Statements and blocks: the structure of a configuration, before any meaning.
//!
//! A statement is a keyword with its arguments on one line, and perhaps a block in braces. Braces
//! may stand anywhere: the opening one on the keyword's line or on the next, the closing one after
//! the last statement of its block.
//!
//! ```text
//! real_server 192.0.2.11 80 { weight 10      statement with a block; first statement in it
//!   TCP_CHECK { connect_timeout 3 } }        two blocks end here
//! ```

use core::fmt::{self, Write as _};

use super::Limits;
use super::diagnostic::{Position, Report};
use super::lexer::{self, Token};
use super::limits::Stop;
use super::line::Line;
use super::preprocess::Preprocessor;

/// A word and where it was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Word {
    text: String,
    position: Position,
    quoted: bool,
}

impl Word {
    pub(super) fn new(text: String, position: Position, quoted: bool) -> Self {
        Self {
            text,
            position,
            quoted,
        }
    }

    /// The word, without its quotes.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where it starts.
    #[must_use]
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Whether it stood in double quotes.
    #[must_use]
    pub fn is_quoted(&self) -> bool {
        self.quoted
    }
}

/// A keyword with arguments and perhaps a block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Statement {
    keyword: Word,
    arguments: Vec<Word>,
    raw: String,
    block: Option<Block>,
}

impl Statement {
    /// The first word.
    #[must_use]
    pub fn keyword(&self) -> &str {
        &self.keyword.text
    }

    /// Where the keyword stands.
    #[must_use]
    pub fn position(&self) -> &Position {
        &self.keyword.position
    }

    /// The words after the keyword, cut by the rules for ordinary keywords.
    #[must_use]
    pub fn arguments(&self) -> &[Word] {
        &self.arguments
    }

    /// The text after the keyword as it was written, for keywords with rules of their own such as
    /// commands.
    #[must_use]
    pub fn raw_arguments(&self) -> &str {
        &self.raw
    }

    /// The block in braces, if there is one.
    #[must_use]
    pub fn block(&self) -> Option<&Block> {
        self.block.as_ref()
    }

    /// The text of an argument, from 0.
    pub(super) fn argument(&self, index: usize) -> Option<&str> {
        self.arguments.get(index).map(Word::text)
    }

    /// Where an argument stands, or the keyword if there is no such argument.
    pub(super) fn argument_position(&self, index: usize) -> &Position {
        self.arguments
            .get(index)
            .map_or(&self.keyword.position, Word::position)
    }
}

/// Statements in braces.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Block {
    open: Position,
    statements: Vec<Statement>,
}

impl Block {
    /// Where the opening brace stands.
    #[must_use]
    pub fn position(&self) -> &Position {
        &self.open
    }

    /// The statements, in order.
    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quoted {
            write!(f, "\"{}\"", self.text)
        } else {
            f.write_str(&self.text)
        }
    }
}

/// Writes the statement in one layout: a statement per line, two blanks per level. Reading that
/// gives the same words again, unless a keyword means something to an earlier stage (`@id`,
/// `$NAME=`, `~SEQ`, `include`), which only text out of parameters can.
impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_statement(f, self, 0)
    }
}

fn write_statement(f: &mut fmt::Formatter<'_>, statement: &Statement, level: usize) -> fmt::Result {
    let indent = "  ".repeat(level);
    write!(f, "{indent}{}", statement.keyword)?;
    if !statement.raw.is_empty() {
        f.write_char(' ')?;
        let mut quoted = false;
        for char in statement.raw.chars() {
            quoted ^= char == '"';
            if !quoted && matches!(char, '#' | '!') {
                f.write_char('\\')?;
            }
            f.write_char(char)?;
        }
    }
    let Some(block) = &statement.block else {
        return writeln!(f);
    };
    writeln!(f, " {{")?;
    for inner in &block.statements {
        write_statement(f, inner, level.saturating_add(1))?;
    }
    writeln!(f, "{indent}}}")
}

/// A block being read. The first one is the file itself.
struct Frame {
    /// The statement the block belongs to; none for the file and for braces without a keyword.
    owner: Option<Statement>,
    open: Position,
    statements: Vec<Statement>,
}

/// Reads all statements.
pub(super) fn read(
    lines: &mut Preprocessor<'_>,
    limits: &Limits,
    report: &mut Report,
) -> Vec<Statement> {
    let mut tree = Tree {
        frames: Vec::new(),
        top: Vec::new(),
        left: limits.statements,
    };
    // A limit that was reached is in the report; what was read so far counts.
    let _: Result<(), Stop> = tree.read(lines, limits.block_depth, report);
    tree.finish(report)
}

struct Tree {
    frames: Vec<Frame>,
    top: Vec<Statement>,
    left: usize,
}

impl Tree {
    fn read(
        &mut self,
        lines: &mut Preprocessor<'_>,
        depth: usize,
        report: &mut Report,
    ) -> Result<(), Stop> {
        while let Some(line) = lines.next_line(report)? {
            let mut statement = None;
            for token in lexer::tokens(&line, report) {
                match token {
                    Token::Word(word, range) => match &mut statement {
                        None => statement = Some(Pending::new(word, range.end)),
                        Some(pending) => pending.push(word, range.end),
                    },
                    Token::Open(position) => {
                        let owner = match statement.take() {
                            Some(pending) => Some(pending.finish(&line)),
                            None => self.owner_above(),
                        };
                        if owner.is_none() {
                            report
                                .error(&position, "'{' without a keyword, skipped with its block");
                        }
                        if self.frames.len() >= depth {
                            report.error(
                                &position,
                                format!("blocks nest deeper than {depth}; the rest is not read"),
                            );
                            return Err(Stop);
                        }
                        self.frames.push(Frame {
                            owner,
                            open: position,
                            statements: Vec::new(),
                        });
                    }
                    Token::Close(position) => {
                        self.end_statement(statement.take(), &line, report)?;
                        if !self.close() {
                            report.error(&position, "'}' closes nothing, ignored");
                        }
                    }
                }
            }
            self.end_statement(statement.take(), &line, report)?;
        }
        Ok(())
    }

    /// The statement on an earlier line that a brace at the start of a line belongs to.
    fn owner_above(&mut self) -> Option<Statement> {
        let statements = self.statements();
        statements.pop_if(|statement| statement.block.is_none())
    }

    fn end_statement(
        &mut self,
        pending: Option<Pending>,
        line: &Line,
        report: &mut Report,
    ) -> Result<(), Stop> {
        let Some(pending) = pending else {
            return Ok(());
        };
        let Some(left) = self.left.checked_sub(1) else {
            report.error(
                &pending.keyword.position,
                "too many statements; the rest is not read",
            );
            return Err(Stop);
        };
        self.left = left;
        self.statements().push(pending.finish(line));
        Ok(())
    }

    /// Ends the innermost block; false if there is none.
    fn close(&mut self) -> bool {
        let Some(frame) = self.frames.pop() else {
            return false;
        };
        if let Some(mut owner) = frame.owner {
            owner.block = Some(Block {
                open: frame.open,
                statements: frame.statements,
            });
            self.statements().push(owner);
        }
        true
    }

    fn finish(mut self, report: &mut Report) -> Vec<Statement> {
        while let Some(frame) = self.frames.last() {
            report.error(&frame.open, "this '{' is not closed");
            self.close();
        }
        self.top
    }

    fn statements(&mut self) -> &mut Vec<Statement> {
        self.frames
            .last_mut()
            .map_or(&mut self.top, |frame| &mut frame.statements)
    }
}

/// A statement whose line is being read.
struct Pending {
    keyword: Word,
    arguments: Vec<Word>,
    keyword_end: usize,
    end: usize,
}

impl Pending {
    fn new(keyword: Word, end: usize) -> Self {
        Self {
            keyword,
            arguments: Vec::new(),
            keyword_end: end,
            end,
        }
    }

    fn push(&mut self, word: Word, end: usize) {
        self.arguments.push(word);
        self.end = end;
    }

    fn finish(self, line: &Line) -> Statement {
        let raw = line
            .text()
            .get(self.keyword_end..self.end)
            .unwrap_or_default()
            .trim();
        let (keyword, arguments) = (self.keyword, self.arguments);
        Statement {
            keyword,
            arguments,
            raw: raw.to_owned(),
            block: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::super::include::Nothing;
    use super::*;

    fn read_text(text: &str) -> (Vec<Statement>, Vec<String>) {
        let options = Options::default();
        let mut report = Report::new(100);
        let mut lines = Preprocessor::new("t.conf", text, &options, &Nothing);
        let statements = read(&mut lines, &options.limits, &mut report);
        (
            statements,
            report.finish().0.iter().map(ToString::to_string).collect(),
        )
    }

    fn shown(text: &str) -> String {
        let (statements, messages) = read_text(text);
        assert!(messages.is_empty(), "{messages:?}");
        statements.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn braces_may_stand_anywhere() {
        let expected = "a 1 {\n  b 2\n  c {\n    d 3\n  }\n}\n";
        for text in [
            "a 1 {\n b 2\n c {\n d 3\n}\n}\n",
            "a 1 { b 2\n c { d 3 } }\n",
            "a 1{b 2\nc{d 3}}",
            "a 1\n{\nb 2\nc\n{ d 3\n} }",
            "a 1 {\n b 2\n c { d 3 }\n }",
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_follows_a_closing_brace_is_a_statement() {
        assert_eq!(shown("a { } b c\n"), "a {\n}\nb c\n");
    }

    #[test]
    fn stray_braces_are_reported_and_skipped() {
        let (statements, messages) = read_text("a\n}\nb { } {\n x\n}\nc {\n d\n");
        let shown: String = statements.iter().map(ToString::to_string).collect();
        assert_eq!(shown, "a\nb {\n}\nc {\n  d\n}\n");
        assert_eq!(
            messages,
            [
                "t.conf:2:1: error: '}' closes nothing, ignored",
                "t.conf:3:7: error: '{' without a keyword, skipped with its block",
                "t.conf:6:3: error: this '{' is not closed",
            ]
        );
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let (_, messages) = read_text(&"a {\n".repeat(10_000));
        assert!(messages[0].contains("nest deeper than 32"), "{messages:?}");
        let options = Options {
            limits: Limits::small(),
            ..Options::default()
        };
        let mut report = Report::new(100);
        let text = "a\n".repeat(20_000);
        let mut lines = Preprocessor::new("t.conf", &text, &options, &Nothing);
        assert_eq!(read(&mut lines, &options.limits, &mut report).len(), 10_000);
        assert!(report.finish().0[0].message.contains("too many statements"));
    }

    #[test]
    fn raw_arguments_keep_quotes_and_blanks() {
        let (statements, _) = read_text("misc_path  \"/bin/x 'a  b'\"  # comment\n");
        assert_eq!(statements[0].raw_arguments(), "\"/bin/x 'a  b'\"");
        assert_eq!(statements[0].arguments().len(), 1);
        assert_eq!(statements[0].argument_position(0).column, 12);
    }
}

#[cfg(test)]
pub(super) mod tests_support {
    use super::super::Options;
    use super::super::include::Nothing;
    use super::*;

    /// The one statement of a text.
    pub(in super::super) fn statement(text: &str) -> Statement {
        let options = Options::default();
        let mut report = Report::new(1);
        let mut lines = Preprocessor::new("test.conf", text, &options, &Nothing);
        let mut statements = read(&mut lines, &options.limits, &mut report);
        assert_eq!(statements.len(), 1, "one statement: {text}");
        statements.remove(0)
    }
}
