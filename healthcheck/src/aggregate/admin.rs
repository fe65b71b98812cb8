//! Votes of administrators.

use crate::outcome::AdminHint;

/// Who votes about a destination besides its checks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Source {
    /// The configuration.
    Config,
    /// Somebody through an interface of the program.
    Api,
    /// A file or a directory of files.
    File,
    /// Anybody else, by a number of your own.
    Other(u32),
}

/// The votes of all such sources, one each at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Votes(Vec<(Source, AdminHint)>);

impl Votes {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Takes a source's vote in place of its earlier one.
    pub(super) fn set(&mut self, source: Source, vote: Option<AdminHint>) {
        self.0.retain(|(other, _)| *other != source);
        self.0.extend(vote.map(|vote| (source, vote)));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Source, AdminHint)> {
        self.0.iter().copied()
    }
}
