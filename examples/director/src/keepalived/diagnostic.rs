//! What the reader has to say about a file: position, severity, message.
//!
//! A configuration that keepalived runs is run, so reading never fails because of its content;
//! everything noteworthy becomes a [`Diagnostic`] and the rest of the file is used:
//!
//! | Severity | Meaning | keepalived 2.2.7 `-t` |
//! |---|---|---|
//! | note | for information; nothing was changed | silent, or prints and accepts |
//! | warning | corrected or skipped the way keepalived does it; the result is well defined | prints and refuses |
//! | error | could not be used: the statement, or what it belongs to, has no effect | prints and refuses |

use core::fmt;
use std::collections::HashMap;
use std::sync::Arc;

/// A place in a configuration file.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct Position {
    /// Name of the file as it was given or found.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Position {
    /// A place: file, line and column, both from 1.
    #[must_use]
    pub fn new(file: Arc<str>, line: u32, column: u32) -> Self {
        Self { file, line, column }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// How much a [`Diagnostic`] matters.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Severity {
    /// For information.
    Note,
    /// Corrected or skipped; the outcome is the one keepalived has.
    Warning,
    /// Could not be used; it has no effect.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One message about one place.
///
/// # Examples
///
/// ```
/// let config = director::keepalived::Config::parse("d.conf", "virtual_sever 192.0.2.1 80 { }\n");
/// let first = config.diagnostics().first().expect("a misspelt keyword");
/// assert_eq!(
///     first.to_string(),
///     "d.conf:1:1: warning: unknown keyword 'virtual_sever', skipped with its block"
/// );
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// Where.
    pub position: Position,
    /// How bad.
    pub severity: Severity,
    /// What: names the keyword, the value and the limit.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.position, self.severity, self.message)
    }
}

/// Something in the file that needs an engine to run it: a check, a VRRP block, a notify script.
///
/// The reader lists all of them; whoever runs the configuration filters out what it runs and names
/// the rest to the user.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Feature {
    /// Where it is configured.
    pub position: Position,
    /// The keyword, such as `vrrp_instance`, `SMTP_CHECK` or `notify_up`.
    pub keyword: String,
    /// What distinguishes it: the block's name or the object it belongs to; may be empty.
    pub name: String,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.keyword)?;
        if !self.name.is_empty() {
            write!(f, " {}", self.name)?;
        }
        Ok(())
    }
}

/// Collects diagnostics and features, at most a set number of each.
#[derive(Debug)]
pub(super) struct Report {
    diagnostics: Vec<Diagnostic>,
    features: Vec<Feature>,
    limit: usize,
    suppressed: usize,
    worst: Option<Severity>,
}

impl Report {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            diagnostics: Vec::new(),
            features: Vec::new(),
            limit,
            suppressed: 0,
            worst: None,
        }
    }

    pub(super) fn note(&mut self, position: &Position, message: impl Into<String>) {
        self.add(position, Severity::Note, message.into());
    }

    pub(super) fn warning(&mut self, position: &Position, message: impl Into<String>) {
        self.add(position, Severity::Warning, message.into());
    }

    pub(super) fn error(&mut self, position: &Position, message: impl Into<String>) {
        self.add(position, Severity::Error, message.into());
    }

    pub(super) fn feature(
        &mut self,
        position: &Position,
        keyword: impl Into<String>,
        name: impl Into<String>,
    ) {
        if self.features.len() < self.limit {
            let (keyword, name) = (keyword.into(), name.into());
            self.features.push(Feature {
                position: position.clone(),
                keyword,
                name,
            });
        }
    }

    /// The worst severity seen, also among messages over the limit.
    pub(super) fn worst(&self) -> Option<Severity> {
        self.worst
    }

    /// Everything collected, in the order of collection.
    pub(super) fn finish(mut self) -> (Vec<Diagnostic>, Vec<Feature>) {
        if self.suppressed > 0
            && let Some(position) = self.diagnostics.last().map(|last| last.position.clone())
        {
            let message = format!("{} more messages were left out", self.suppressed);
            self.diagnostics.push(Diagnostic {
                position,
                severity: Severity::Note,
                message,
            });
        }
        (self.diagnostics, self.features)
    }

    fn add(&mut self, position: &Position, severity: Severity, message: String) {
        self.worst = self.worst.max(Some(severity));
        if self.diagnostics.len() < self.limit {
            self.diagnostics.push(Diagnostic {
                position: position.clone(),
                severity,
                message,
            });
        } else {
            self.suppressed = self.suppressed.saturating_add(1);
        }
    }
}

/// Collects what those who plan have to say about a file, without a limit: the reader has left out
/// what is too much.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    pub(crate) list: Vec<Diagnostic>,
}

impl Messages {
    pub(crate) fn note(&mut self, position: &Position, message: String) {
        self.add(position, Severity::Note, message);
    }

    pub(crate) fn warning(&mut self, position: &Position, message: String) {
        self.add(position, Severity::Warning, message);
    }

    pub(crate) fn error(&mut self, position: &Position, message: String) {
        self.add(position, Severity::Error, message);
    }

    fn add(&mut self, position: &Position, severity: Severity, message: String) {
        self.list.push(Diagnostic {
            position: position.clone(),
            severity,
            message,
        });
    }
}

/// Sorts file by file, in the order in which they are first mentioned, and within a file from top to
/// bottom.
pub(crate) fn sort(diagnostics: &mut [Diagnostic]) {
    let mut files: HashMap<Arc<str>, usize> = HashMap::new();
    for diagnostic in diagnostics.iter() {
        let next = files.len();
        files
            .entry(Arc::clone(&diagnostic.position.file))
            .or_insert(next);
    }
    diagnostics.sort_by_key(|Diagnostic { position, .. }| {
        (
            files.get(&position.file).copied(),
            position.line,
            position.column,
        )
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: u32) -> Position {
        Position::new("director.conf".into(), line, 5)
    }

    #[test]
    fn diagnostic_reads_like_a_compiler_message() {
        let diagnostic = Diagnostic {
            position: place(12),
            severity: Severity::Warning,
            message: "weight: too heavy".into(),
        };
        assert_eq!(
            diagnostic.to_string(),
            "director.conf:12:5: warning: weight: too heavy"
        );
    }

    #[test]
    fn feature_without_name_has_no_trailing_blank() {
        let mut report = Report::new(10);
        report.feature(&place(1), "SSL", "");
        report.feature(&place(2), "vrrp_instance", "VI_1");
        let shown: Vec<_> = report.finish().1.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "director.conf:1:5: SSL",
                "director.conf:2:5: vrrp_instance VI_1"
            ]
        );
    }

    #[test]
    fn messages_are_sorted_within_their_files() {
        let mut diagnostics: Vec<Diagnostic> = [("b", 2, 1), ("a", 9, 9), ("b", 1, 7), ("b", 1, 2)]
            .into_iter()
            .map(|(file, line, column)| Diagnostic {
                position: Position::new(file.into(), line, column),
                severity: Severity::Note,
                message: String::new(),
            })
            .collect();
        sort(&mut diagnostics);
        let places: Vec<_> = diagnostics
            .iter()
            .map(|found| found.position.to_string())
            .collect();
        assert_eq!(places, ["b:1:2", "b:1:7", "b:2:1", "a:9:9"]);
    }

    #[test]
    fn messages_over_the_limit_are_counted_and_still_decide_the_worst() {
        let mut report = Report::new(2);
        for line in 1..=4 {
            report.note(&place(line), "n");
        }
        report.error(&place(9), "e");
        assert_eq!(report.worst(), Some(Severity::Error));
        let (diagnostics, _) = report.finish();
        assert_eq!(diagnostics.len(), 3);
        assert!(diagnostics[2].message.starts_with("3 more messages"));
    }
}
