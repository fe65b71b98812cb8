//! From files to the lines that count: comments, conditions, parameters, sequences, includes.
//!
//! ```text
//! file ─ strip comment ─ @id? ─ $NAME=value ─ ~SEQ/~LST ─ replace $NAME ─ include ─► line
//!             ▲                        lines of values and rounds of sequences │
//!             └────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Lines are made one at a time from a stack of sources, so a sequence of a million rounds takes no
//! memory before it is read, and a parameter defined in one line (or one round) counts in the next.

use std::sync::Arc;

use super::diagnostic::{Position, Report};
use super::include::{self, Demand, Loader};
use super::lexer::{self, LINE_LIMIT};
use super::limits::{Budget, Stop};
use super::line::Line;
use super::sequence::{self, Repeat};
use super::variables::{self, Surroundings, Variables};
use super::{Limits, Options};

/// Where lines come from, the innermost last.
enum Source {
    File(OpenFile),
    /// The rest of a value of several lines.
    Value(std::vec::IntoIter<Line>),
    Repeat(Box<Repeat>),
}

struct OpenFile {
    name: Arc<str>,
    directory: String,
    text: String,
    at: usize,
    line: u32,
}

impl OpenFile {
    /// The next line without its comment.
    fn next(&mut self, report: &mut Report) -> Option<Line> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let end = rest.find('\n').unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or_default();
        self.at = self.at.saturating_add(end).saturating_add(1);
        self.line = self.line.saturating_add(1);
        let start = Position::new(Arc::clone(&self.name), self.line, 1);
        if text.len() > LINE_LIMIT {
            let length = text.len();
            let message =
                format!("the line has {length} bytes; keepalived cuts lines at {LINE_LIMIT}");
            report.note(&start, message);
        }
        let mut line = lexer::strip_comment(text, &start);
        line.continued = text.trim_end().ends_with('\\');
        Some(line)
    }
}

/// Makes the lines of a configuration.
pub(super) struct Preprocessor<'a> {
    options: &'a Options,
    loader: &'a dyn Loader,
    sources: Vec<Source>,
    variables: Variables,
    budget: Budget,
    files: usize,
}

impl<'a> Preprocessor<'a> {
    pub(super) fn new(
        name: &str,
        text: &str,
        options: &'a Options,
        loader: &'a dyn Loader,
    ) -> Self {
        let Limits {
            text: total,
            nesting,
            ..
        } = options.limits;
        let mut preprocessor = Self {
            options,
            loader,
            sources: Vec::new(),
            variables: Variables::new(options.seed, nesting),
            budget: Budget::new(total),
            files: 0,
        };
        preprocessor.open(name, text.to_owned());
        preprocessor
    }

    /// The next line that is not empty, with nothing left to replace.
    ///
    /// # Errors
    ///
    /// A limit was reached (reported).
    pub(super) fn next_line(&mut self, report: &mut Report) -> Result<Option<Line>, Stop> {
        while let Some(line) = self.next_raw(report) {
            let position = line.position_at(0);
            self.budget.pay(line.text().len(), &position, report)?;
            if let Some(line) = self.process(line, report)? {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    fn open(&mut self, name: &str, text: String) {
        self.files = self.files.saturating_add(1);
        let directory = include::directory(name).to_owned();
        self.sources.push(Source::File(OpenFile {
            name: name.into(),
            directory,
            text,
            at: 0,
            line: 0,
        }));
    }

    /// A line as its source has it.
    fn next_raw(&mut self, report: &mut Report) -> Option<Line> {
        loop {
            let line = match self.sources.last_mut()? {
                Source::File(file) => file.next(report),
                Source::Value(lines) => lines.next(),
                Source::Repeat(repeat) => match repeat.advance() {
                    None => None,
                    Some(values) => {
                        for (name, value) in values {
                            self.variables.set(&name, &value);
                        }
                        Some(repeat.line.clone())
                    }
                },
            };
            if line.is_some() {
                return line;
            }
            self.sources.pop();
        }
    }

    /// Takes a line through all stages; none if it left nothing to read.
    fn process(&mut self, line: Line, report: &mut Report) -> Result<Option<Line>, Stop> {
        let whole = 0..line.text().len();
        let mut line = line.part(whole);
        loop {
            if line.text().starts_with('@') {
                let Some(rest) = self.condition(&line) else {
                    // The value of a definition that does not count does not count either.
                    if line.continued {
                        self.value_lines(String::new(), &line, report)?;
                    }
                    return Ok(None);
                };
                line = rest;
                continue;
            }
            if variables::definition(line.text()).is_some() {
                self.define(&line, report)?;
                return Ok(None);
            }
            if sequence::is_sequence(line.text()) {
                self.repeat(&line, report)?;
                return Ok(None);
            }
            if line.depth > self.options.limits.nesting {
                let message = format!(
                    "values of several lines nest deeper than {}; line ignored",
                    self.options.limits.nesting
                );
                report.error(&line.position_at(0), message);
                return Ok(None);
            }
            match self.expand(&line, report)? {
                None => break,
                Some(expanded) => {
                    let several = !expanded.rest.is_empty();
                    if several {
                        self.sources.push(Source::Value(expanded.rest.into_iter()));
                    }
                    let whole = 0..expanded.line.text().len();
                    line = expanded.line.part(whole);
                    // What a parameter put at the start may be a condition or a sequence, and the
                    // first line of several is not expanded yet.
                    if !expanded.lines && !line.text().starts_with(['@', '~']) {
                        break;
                    }
                }
            }
        }
        if line.is_empty() || self.include(&line, report) {
            return Ok(None);
        }
        Ok(Some(line))
    }

    /// The rest of a line `@id rest` or `@^id rest` that counts here.
    fn condition(&self, line: &Line) -> Option<Line> {
        let text = line.text();
        let word = text.split_whitespace().next().unwrap_or_default();
        let id = word.strip_prefix('@').unwrap_or_default();
        let (wanted, id) = match id.strip_prefix('^') {
            Some(id) => (false, id),
            None => (true, id),
        };
        ((id == self.options.config_id) == wanted).then(|| line.part(word.len()..text.len()))
    }

    fn define(&mut self, line: &Line, report: &mut Report) -> Result<(), Stop> {
        let Some((name, value)) = variables::definition(line.text()) else {
            return Ok(());
        };
        let name = name.to_owned();
        let first = line.part(value..line.text().len());
        if first.continued {
            self.value_lines(name, &first, report)
        } else {
            self.variables.set(&name, first.text());
            Ok(())
        }
    }

    /// Reads a value whose lines end in `\` from the innermost source. An empty name keeps none.
    fn value_lines(&mut self, name: String, first: &Line, report: &mut Report) -> Result<(), Stop> {
        let mut lines = Vec::new();
        let mut line = first.clone();
        loop {
            let text = line.text();
            let mut part = line.part(0..text.strip_suffix('\\').unwrap_or(text).len());
            part.continued = false;
            if !line.continued {
                lines.push(part);
                break;
            }
            // The definition's own line counts only if something stands there.
            if !(lines.is_empty() && part.is_empty()) {
                lines.push(part);
            }
            let next = match self.sources.last_mut() {
                Some(Source::File(file)) => file.next(report),
                Some(Source::Value(lines)) => lines.next(),
                _ => None,
            };
            let Some(next) = next else { break };
            self.budget
                .pay(next.text().len(), &next.position_at(0), report)?;
            let whole = 0..next.text().len();
            line = next.part(whole);
        }
        if !name.is_empty() {
            self.variables.set_lines(&name, lines);
        }
        Ok(())
    }

    fn repeat(&mut self, line: &Line, report: &mut Report) -> Result<(), Stop> {
        let mut line = line.clone();
        // Only the parentheses: the rest is for the rounds to replace.
        if let Some(range) = sequence::parentheses(line.text()) {
            let inside = line.part(range.clone());
            if let Some(expanded) = self.expand(&inside, report)? {
                let mut whole = Line::new(line.position_at(0), line.depth);
                whole.push_part(&line, 0..range.start);
                whole.push_part(&expanded.line, 0..expanded.line.text().len());
                whole.push_part(&line, range.end..line.text().len());
                line = whole;
            }
        }
        match sequence::parse(&line) {
            Ok(mut repeat) => {
                repeat.line.depth = line.depth.saturating_add(1);
                self.sources.push(Source::Repeat(Box::new(repeat)));
            }
            Err(reason) => report.error(&line.position_at(0), format!("{reason}; line ignored")),
        }
        Ok(())
    }

    fn expand(
        &mut self,
        line: &Line,
        report: &mut Report,
    ) -> Result<Option<variables::Expanded>, Stop> {
        let loader = self.loader;
        let directory = directory(&self.sources);
        let around = Surroundings {
            directory: &|| loader.absolute(directory),
            config_id: &self.options.config_id,
            environment: &|name| loader.environment(name),
        };
        self.variables
            .expand(line, &around, &mut self.budget, report)
    }

    /// Opens the files of an include; false if the line is none.
    fn include(&mut self, line: &Line, report: &mut Report) -> bool {
        let text = line.text();
        let keyword = text.split_whitespace().next().unwrap_or_default();
        let Some(demand) = include::demand(keyword) else {
            return false;
        };
        let position = line.position_at(0);
        let pattern = text.get(keyword.len()..).unwrap_or_default().trim();
        let pattern = pattern
            .strip_prefix('"')
            .and_then(|p| p.strip_suffix('"'))
            .unwrap_or(pattern);
        if pattern.is_empty() {
            report.error(&position, format!("{keyword}: the file name is missing"));
            return true;
        }
        let paths = self.matches(pattern, demand, &position, report);
        // The first file is read first, so it goes on the stack last.
        let mut opened = Vec::new();
        for path in paths {
            if let Some(text) = self.load(&path, demand, &position, report) {
                opened.push((path, text));
            }
        }
        for (path, text) in opened.into_iter().rev() {
            self.open(&path, text);
        }
        true
    }

    /// The files a pattern stands for; tells what is missing.
    fn matches(
        &self,
        pattern: &str,
        demand: Demand,
        position: &Position,
        report: &mut Report,
    ) -> Vec<String> {
        let alternatives = include::alternatives(pattern, self.options.limits.files);
        let braces = alternatives.len() > 1;
        let mut paths = Vec::new();
        for alternative in alternatives {
            let path = include::join(directory(&self.sources), &alternative);
            let found = self.loader.find(&path);
            if found.is_empty() {
                let required = if include::has_wildcard(&alternative) {
                    demand.wildcard
                } else if braces {
                    demand.braces
                } else {
                    demand.exists
                };
                let message = format!("no file matches '{path}'");
                if required {
                    report.error(position, message);
                } else {
                    report.note(position, message);
                }
            }
            paths.extend(found);
        }
        paths
    }

    fn load(
        &mut self,
        path: &str,
        demand: Demand,
        position: &Position,
        report: &mut Report,
    ) -> Option<String> {
        let limits = &self.options.limits;
        let mut depth = 0_usize;
        for source in &self.sources {
            if let Source::File(file) = source {
                depth = depth.saturating_add(1);
                if &*file.name == path {
                    report.error(
                        position,
                        format!("'{path}' includes itself; not read again"),
                    );
                    return None;
                }
            }
        }
        if depth >= limits.include_depth || self.files >= limits.files {
            let (files, depth) = (limits.files, limits.include_depth);
            let message =
                format!("'{path}' not read: at most {files} files, {depth} within each other");
            report.error(position, message);
            return None;
        }
        match self.loader.read(path) {
            Ok(text) => Some(text),
            Err(error) => {
                let message = format!("'{path}' cannot be read: {error}");
                if demand.readable {
                    report.error(position, message);
                } else {
                    report.warning(position, message);
                }
                None
            }
        }
    }
}

/// The directory of the innermost file.
fn directory(sources: &[Source]) -> &str {
    let mut files = sources.iter().rev();
    let file = files.find_map(|source| match source {
        Source::File(file) => Some(file.directory.as_str()),
        _ => None,
    });
    file.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::include::{MemoryFiles, Nothing};
    use super::*;

    fn lines_of(text: &str, options: &Options, loader: &dyn Loader) -> (Vec<Line>, Vec<String>) {
        let mut report = Report::new(100);
        let mut preprocessor = Preprocessor::new("k/main.conf", text, options, loader);
        let mut lines = Vec::new();
        while let Ok(Some(line)) = preprocessor.next_line(&mut report) {
            lines.push(line);
        }
        (
            lines,
            report.finish().0.iter().map(ToString::to_string).collect(),
        )
    }

    fn texts(text: &str) -> Vec<String> {
        let options = Options {
            config_id: "main".into(),
            ..Options::default()
        };
        let (lines, messages) = lines_of(text, &options, &Nothing);
        assert!(messages.is_empty(), "{messages:?}");
        lines.iter().map(|line| line.text().to_owned()).collect()
    }

    #[test]
    fn conditions_pick_lines() {
        let text = "@main a\n@other b\n@^main c\n@^other d\n$IF=@main\n$IF e\n$IF=@other\n$IF f\n";
        assert_eq!(texts(text), ["a", "d", "e"]);
    }

    #[test]
    fn condition_covers_all_lines_of_a_definition() {
        let text = "@other $A= \\\n x \\\n y\n@main $A= \\\n p \\\n q\n$A\n";
        assert_eq!(texts(text), ["p", "q"]);
    }

    /// The manual's example of a template with parameters defined inside.
    #[test]
    fn values_of_several_lines_nest() {
        let text = "$RS= \\\nreal 10.0.${VS}.${RSN} { \\\n } # x \\\n\n\
                    $VS_BLOCK= \\\nvirtual ${VS} { \\\n $RSN=1 \\\n $RS \\\n $RSN=2 \\\n $RS \\\n }\n\
                    $VS=7\n$VS_BLOCK\n";
        let expected = [
            "virtual 7 {",
            "real 10.0.7.1 {",
            "}",
            "real 10.0.7.2 {",
            "}",
            "}",
        ];
        assert_eq!(texts(text), expected);
    }

    /// Seen with 2.2.7: a comment does not hide the backslash.
    #[test]
    fn value_goes_on_after_a_comment() {
        assert_eq!(texts("$A= \\\none # c \\\ntwo\n$A\n"), ["one", "two"]);
        assert_eq!(texts("$B=x\n$A= \\\none ${B}\n$A\n"), ["one x"]);
    }

    #[test]
    fn sequences_repeat_lines_and_values() {
        assert_eq!(texts("~SEQ(N,2) a${N}\n"), ["a1", "a2"]);
        assert_eq!(texts("$E=2\n~SEQ(N,1,${E}) a$N\n"), ["a1", "a2"]);
        let text = "$B= \\\nx ${N}.${M} \\\ny\n~LST(N,p,q) ~SEQ(M,1,2) $B\n";
        let expected = ["x p.1", "y", "x p.2", "y", "x q.1", "y", "x q.2", "y"];
        assert_eq!(texts(text), expected);
        // Seen with 2.2.7: only at the start of a line, and the parameter keeps its last value.
        assert_eq!(texts("a ~SEQ(N,2) b\n"), ["a ~SEQ(N,2) b"]);
        assert_eq!(texts("~SEQ(N,2) a\nq$N\n"), ["a", "a", "q2"]);
    }

    #[test]
    fn text_from_a_template_points_into_the_template() {
        let text = "$T= \\\n first \\\n  weight ${W}\n$W=3\n$T\nx $W\n";
        let (lines, _) = lines_of(text, &Options::default(), &Nothing);
        let places: Vec<_> = lines
            .iter()
            .map(|line| line.position_at(7).to_string())
            .collect();
        assert_eq!(places[1], "k/main.conf:3:10");
        assert_eq!(lines[2].position_at(2).to_string(), "k/main.conf:6:3");
    }

    #[test]
    fn includes_are_relative_to_their_file_and_sorted() {
        let mut files = MemoryFiles::default();
        for (path, text) in [
            ("k/d/a.conf", "a1\ninclude e/x\na2 ${_PWD}\n"),
            ("k/d/b.conf", "b\n"),
            ("k/d/e/x", "x ${_PWD}\n"),
        ] {
            files.files.insert(path.into(), text.into());
        }
        let text = "start\ninclude d/*.conf\nend\n";
        let (lines, messages) = lines_of(text, &Options::default(), &files);
        let texts: Vec<_> = lines.iter().map(Line::text).collect();
        assert_eq!(texts, ["start", "a1", "x k/d/e", "a2 k/d", "b", "end"]);
        assert_eq!(lines[2].position_at(0).to_string(), "k/d/e/x:1:1");
        assert!(messages.is_empty());
    }

    #[test]
    fn include_variants_demand_their_files() {
        let cases = [
            ("include nope", "note"),
            ("includer nope", "note"),
            ("includem nope", "error"),
            ("includem nope*", "note"),
            ("includew nope*", "error"),
            ("includeb a{b,c}", "error"),
            ("includea nope*", "error"),
        ];
        for (text, severity) in cases {
            let (_, messages) = lines_of(text, &Options::default(), &Nothing);
            let expected = format!("k/main.conf:1:1: {severity}: no file matches");
            assert!(messages[0].starts_with(&expected), "{text}: {messages:?}");
        }
    }

    #[test]
    fn include_of_itself_ends() {
        let mut files = MemoryFiles::default();
        files
            .files
            .insert("k/main.conf".into(), "a\ninclude main.conf\n".into());
        files.files.insert("k/b".into(), "b\ninclude c\n".into());
        files.files.insert("k/c".into(), "c\ninclude b\n".into());
        let (lines, messages) = lines_of(
            "a\ninclude main.conf\ninclude b\n",
            &Options::default(),
            &files,
        );
        assert_eq!(
            lines.iter().map(Line::text).collect::<Vec<_>>(),
            ["a", "b", "c"]
        );
        assert_eq!(messages.len(), 2);
        assert!(
            messages[0].contains("'k/main.conf' includes itself"),
            "{messages:?}"
        );
    }

    #[test]
    fn endless_templates_end() {
        for text in [
            "$A= \\\n x \\\n $A\n$A\n",
            "$A= \\\n $A x \\\n $A\n$A\n",
            "$A=~SEQ(N,9) $A\n$A\n",
            "~SEQ(N,1000000000000) x\n",
            "~SEQ(A,99999) ~SEQ(B,99999) ~SEQ(C,99999)\n",
        ] {
            let options = Options {
                limits: Limits::small(),
                ..Options::default()
            };
            let (lines, messages) = lines_of(text, &options, &Nothing);
            assert!(lines.len() < 300_000);
            assert!(
                messages.iter().any(|message| message.contains("error")),
                "{text}"
            );
        }
    }

    #[test]
    fn long_line_is_noted() {
        let text = format!("path /{}\n", "x".repeat(1100));
        let (_, messages) = lines_of(&text, &Options::default(), &Nothing);
        let expected =
            "k/main.conf:1:1: note: the line has 1106 bytes; keepalived cuts lines at 1024";
        assert_eq!(messages, [expected]);
    }
}
