//! What is found, how bad it is, and what would help.

use core::cmp::Reverse;
use core::fmt;

use serde_json::{Value, json};

use crate::keepalived::Position;

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Severity {
    /// It works; something should be known, or done elsewhere.
    Advice,
    /// It works, but not always, or not as well as it could.
    WorksBadly,
    /// Part of what is configured does not work at all.
    Fails,
}

impl Severity {
    /// As one word: `advice`, `works_badly`, `fails`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Advice => "advice",
            Self::WorksBadly => "works_badly",
            Self::Fails => "fails",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Advice => "advice",
            Self::WorksBadly => "works badly",
            Self::Fails => "fails",
        })
    }
}

/// Something that would help, in a form that can be pasted.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Fix {
    /// A line for a shell, as root, on this host.
    Command(String),
    /// A line for a shell, as root, on each real server it is about.
    OnRealServer(String),
    /// Words in the configuration instead of others, in this line.
    Replace {
        /// Where the line is.
        at: Position,
        /// What is there, its words parted by single blanks.
        old: String,
        /// What should be there.
        new: String,
    },
    /// Lines for the configuration, at the beginning of the block that begins here, or at its end for
    /// one of [`Config`](crate::keepalived::Config) itself.
    Insert {
        /// Where the block begins; none for the file itself.
        within: Option<Position>,
        /// The lines.
        lines: String,
    },
}

/// `sysctl -w net.ipv4.ip_forward=1`, `lb.conf:5: real_server 10.0.0.2 80    (in place of: …)`
impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(line) => f.write_str(line),
            Self::OnRealServer(line) => write!(f, "{line}    (on the real server)"),
            Self::Replace { at, old, new } => {
                write!(f, "{}:{}: {new}    (in place of: {old})", at.file, at.line)
            }
            Self::Insert { within, lines } => match within {
                Some(at) => write!(f, "{lines}    (in the block at {}:{})", at.file, at.line),
                None => write!(f, "{lines}    (in the configuration)"),
            },
        }
    }
}

impl Fix {
    /// As JSON: `{"command": …}`, `{"on_real_server": …}`,
    /// `{"file": …, "line": …, "replace": …, "with": …}` or `{"file": …, "line": …, "insert": …}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Command(line) => json!({ "command": line }),
            Self::OnRealServer(line) => json!({ "on_real_server": line }),
            Self::Replace { at, old, new } => {
                json!({ "file": &*at.file, "line": at.line, "replace": old, "with": new })
            }
            Self::Insert { within, lines } => json!({
                "file": within.as_ref().map(|at| &*at.file),
                "line": within.as_ref().map(|at| at.line),
                "insert": lines,
            }),
        }
    }
}

/// Something that will not work, or not well.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which it is, always the same word: `port-differs`.
    pub code: &'static str,
    /// Where in the configuration it comes from; none where there is no file.
    pub position: Option<Position>,
    /// What will not work.
    pub what: String,
    /// Why.
    pub why: String,
    /// The rule it follows: of the operations guide (`OP-18`), or a section of the specification of
    /// health checks (`3.10`).
    pub rule: &'static str,
    /// What would help, all of it together and in this order.
    pub fixes: Vec<Fix>,
    /// Whether to run it nevertheless would do harm, so that it is not started.
    pub is_refused: bool,
}

/// What was found, on one line; why and each fix on another.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = &self.position {
            write!(f, "{position}: ")?;
        }
        write!(f, "{}: {} [{}]", self.severity, self.what, self.code)?;
        let is_section = self.rule.starts_with(|first: char| first.is_ascii_digit());
        let of = if is_section { "specification " } else { "" };
        write!(f, "\n    why: {} ({of}{})", self.why, self.rule)?;
        for fix in &self.fixes {
            // Lines of one below each other.
            let fix = fix.to_string().replace('\n', "\n         ");
            write!(f, "\n    fix: {fix}")?;
        }
        Ok(())
    }
}

impl Finding {
    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let position = self.position.as_ref();
        let fixes: Vec<_> = self.fixes.iter().map(Fix::to_json).collect();
        json!({
            "severity": self.severity.as_str(),
            "code": self.code,
            "file": position.map(|at| &*at.file),
            "line": position.map(|at| at.line),
            "column": position.map(|at| at.column),
            "what": self.what,
            "why": self.why,
            "rule": self.rule,
            "fixes": fixes,
            "refused": self.is_refused,
        })
    }

    pub(super) fn new(
        severity: Severity,
        code: &'static str,
        position: &Position,
        what: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            code,
            position: Some(position.clone()),
            what: what.into(),
            why: String::new(),
            rule: "",
            fixes: Vec::new(),
            is_refused: false,
        }
    }

    pub(super) fn because(mut self, rule: &'static str, why: impl Into<String>) -> Self {
        (self.rule, self.why) = (rule, why.into());
        self
    }

    pub(super) fn with_fix(mut self, fix: Fix) -> Self {
        self.fixes.push(fix);
        self
    }

    pub(super) fn with_command(self, line: impl Into<String>) -> Self {
        self.with_fix(Fix::Command(line.into()))
    }

    pub(super) const fn refused(mut self) -> Self {
        self.is_refused = true;
        self
    }
}

/// Collects what is found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
}

impl Findings {
    /// Adds one. What is the same at several places, and has the same fixes, is said at the first.
    pub(super) fn add(&mut self, finding: Finding) {
        let is_same = |known: &Finding| {
            known.code == finding.code && known.what == finding.what && known.fixes == finding.fixes
        };
        if !self.list.iter().any(is_same) {
            self.list.push(finding);
        }
    }

    /// The worst first, then as in the file; what comes from one place stays in its order.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.list.sort_by(|one, other| {
            let key = |it: &Finding| (Reverse(it.severity), it.position.clone());
            key(one).cmp(&key(other))
        });
        self.list
    }
}
