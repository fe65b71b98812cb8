//! How much a configuration may grow: what parameters, sequences and includes multiply is bounded.

use super::diagnostic::{Position, Report};

/// Upper limits for one configuration with all its includes.
///
/// A file that reaches one is read up to that point and gets an error; the defaults leave room for
/// some hundred thousand real servers.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of text after expansion. Default 64 MiB.
    pub text: usize,
    /// Statements. Default 2,000,000.
    pub statements: usize,
    /// Files, the first one included. Default 1,000.
    pub files: usize,
    /// Files open within each other. Default 32.
    pub include_depth: usize,
    /// Values of parameters within each other. Default 32.
    pub nesting: usize,
    /// Blocks within each other. Default 32.
    pub block_depth: usize,
    /// Diagnostics kept, and features listed. Default 1,000 each.
    pub diagnostics: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            text: 64 << 20,
            statements: 2_000_000,
            files: 1_000,
            include_depth: 32,
            nesting: 32,
            block_depth: 32,
            diagnostics: 1_000,
        }
    }
}

impl Limits {
    /// Limits for input of which nothing is known, such as a fuzzer's: reading takes milliseconds.
    #[must_use]
    pub fn small() -> Self {
        Self {
            text: 256 << 10,
            statements: 10_000,
            files: 50,
            diagnostics: 100,
            ..Self::default()
        }
    }
}

/// Reading stops here; the reason is in the report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stop;

/// What is left of the text limit.
#[derive(Debug)]
pub(super) struct Budget {
    total: usize,
    left: usize,
}

impl Budget {
    pub(super) fn new(total: usize) -> Self {
        Self { total, left: total }
    }

    /// Pays for `bytes` and one step of work.
    pub(super) fn pay(
        &mut self,
        bytes: usize,
        position: &Position,
        report: &mut Report,
    ) -> Result<(), Stop> {
        match self.left.checked_sub(bytes.saturating_add(1)) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                let total = self.total;
                report.error(
                    position,
                    format!("the text grew over {total} bytes here; the rest is not read"),
                );
                Err(Stop)
            }
        }
    }
}
