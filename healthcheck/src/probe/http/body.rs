//! What is kept of a body, and how it is judged.

use super::Settings;
use super::digest::{DigestOf, Hasher};

/// The body of one reply, as far as it is of interest.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// Whether anything is to be judged.
    wanted: bool,
    /// The beginning, for the matches.
    kept: Vec<u8>,
    hasher: Option<Hasher>,
    /// How much has come: over the wire, and of it the content.
    wire: usize,
    content: usize,
}

impl Body {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            wanted: settings.digest.is_some() || !settings.body_matches.is_empty(),
            hasher: settings.digest.map(|digest| digest.hasher()),
            ..Self::default()
        }
    }

    pub(super) const fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// How much of it has come.
    pub(super) const fn length(&self) -> usize {
        self.content
    }

    /// Takes what has come. False if nothing more is wanted.
    pub(super) fn take(&mut self, settings: &Settings, bytes: &[u8], content: bool) -> bool {
        self.wire = self.wire.saturating_add(bytes.len());
        if content {
            self.content = self.content.saturating_add(bytes.len());
        }
        // What is read only because keepalived does is not kept, so it needs no limit.
        let full = settings.until_eof && !self.wanted;
        if let (Some(hasher), Some(digest)) = (&mut self.hasher, &settings.digest) {
            if content || digest.of() == DigestOf::Wire {
                hasher.update(bytes);
            }
        }
        if self.wanted && content && !settings.body_matches.is_empty() {
            let room = settings.max_body.saturating_sub(self.kept.len());
            self.kept
                .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
        full || self.counted(settings) <= settings.max_body
    }

    /// How much has come of what the limit is for.
    fn counted(&self, settings: &Settings) -> usize {
        match settings.digest {
            Some(digest) if digest.of() == DigestOf::Wire => self.wire,
            _ => self.content,
        }
    }

    /// What is wrong with it; `complete` tells whether it is all there.
    pub(super) fn judge(&mut self, settings: &Settings, complete: bool) -> Option<String> {
        if let (Some(digest), Some(hasher)) = (settings.digest, self.hasher.take()) {
            if !complete {
                let max = settings.max_body;
                return Some(format!("expected {digest}, got a body of over {max} bytes"));
            }
            let got = digest.of_same_kind(hasher);
            if got != digest {
                let count = self.counted(settings);
                return Some(format!("expected {digest}, got {got} of {count} bytes"));
            }
        }
        if !self.wanted {
            return None;
        }
        settings
            .body_matches
            .iter()
            .find_map(|wanted| wanted.refuses(&self.kept))
    }
}
