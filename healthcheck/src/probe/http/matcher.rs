//! What a reply's fields and body are compared with.

use core::fmt;

use super::reply::Head;
use crate::error::Invalid;
#[cfg(feature = "regex")]
use crate::probe::Pattern;

/// What some bytes are compared with.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Wanted {
    Anything,
    Exactly(Box<[u8]>),
    Contains(Box<[u8]>),
    #[cfg(feature = "regex")]
    Matches(Pattern),
}

impl Wanted {
    fn fits(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Anything => true,
            Self::Exactly(wanted) => bytes == &**wanted,
            Self::Contains(wanted) => {
                wanted.is_empty() || bytes.windows(wanted.len()).any(|part| part == &**wanted)
            }
            #[cfg(feature = "regex")]
            Self::Matches(pattern) => pattern.is_match(bytes),
        }
    }

    fn validate(&self) -> Result<(), Invalid> {
        match self {
            Self::Contains(wanted) if wanted.is_empty() => {
                Err(Invalid::new("contains", "\"\"", "must not be empty"))
            }
            #[cfg(feature = "regex")]
            Self::Matches(pattern) => pattern.validate(),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anything => f.write_str("be present"),
            Self::Exactly(wanted) => write!(f, "be \"{}\"", wanted.escape_ascii()),
            Self::Contains(wanted) => write!(f, "contain \"{}\"", wanted.escape_ascii()),
            #[cfg(feature = "regex")]
            Self::Matches(pattern) => write!(f, "match /{pattern}/"),
        }
    }
}

/// What a body must, or must not, look like.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct BodyMatch {
    wanted: Wanted,
    negated: bool,
}

impl BodyMatch {
    /// The body contains this. HAProxy's `http-check expect string`.
    pub fn contains(text: impl AsRef<[u8]>) -> Self {
        Self::of(Wanted::Contains(text.as_ref().into()))
    }

    /// The body matches this. keepalived's `regex`, HAProxy's `http-check expect rstring`.
    #[cfg(feature = "regex")]
    pub const fn matches(pattern: Pattern) -> Self {
        Self {
            wanted: Wanted::Matches(pattern),
            negated: false,
        }
    }

    const fn of(wanted: Wanted) -> Self {
        Self {
            wanted,
            negated: false,
        }
    }

    /// The other way round: what would have passed fails. keepalived's `regex_no_match`, `!` in
    /// HAProxy.
    pub const fn negated(mut self) -> Self {
        self.negated = !self.negated;
        self
    }

    /// What is wrong with this body.
    pub(super) fn refuses(&self, body: &[u8]) -> Option<String> {
        if self.wanted.fits(body) != self.negated {
            return None;
        }
        let not = if self.negated { "not " } else { "" };
        let shown = body.get(..64).unwrap_or(body).escape_ascii();
        let more = if body.len() > 64 { "…" } else { "" };
        Some(format!(
            "expected body {not}to {}, got \"{shown}\"{more}",
            self.wanted
        ))
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        self.wanted.validate()
    }
}

/// A header field a reply must, or must not, have.
///
/// If a reply has several fields of the name, one that fits will do. HAProxy's `http-check expect
/// hdr` and `fhdr`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct HeaderMatch {
    name: Box<str>,
    wanted: Wanted,
    negated: bool,
    list: bool,
}

impl HeaderMatch {
    /// There is such a field, whatever its value.
    pub fn present(name: &str) -> Self {
        Self {
            name: name.into(),
            wanted: Wanted::Anything,
            negated: false,
            list: false,
        }
    }

    /// The value is this one.
    pub fn is(mut self, value: impl AsRef<[u8]>) -> Self {
        self.wanted = Wanted::Exactly(value.as_ref().into());
        self
    }

    /// The value contains this.
    pub fn contains(mut self, part: impl AsRef<[u8]>) -> Self {
        self.wanted = Wanted::Contains(part.as_ref().into());
        self
    }

    /// The value matches this.
    #[cfg(feature = "regex")]
    pub fn matches(mut self, pattern: Pattern) -> Self {
        self.wanted = Wanted::Matches(pattern);
        self
    }

    /// The field is a list, and one of its elements must fit: HAProxy's `hdr`. Without it the
    /// whole value must: `fhdr`.
    pub const fn in_list(mut self) -> Self {
        self.list = true;
        self
    }

    /// The other way round: what would have passed fails.
    pub const fn negated(mut self) -> Self {
        self.negated = !self.negated;
        self
    }

    /// What is wrong with this head.
    pub(super) fn refuses(&self, head: &Head) -> Option<String> {
        let fits = if self.list {
            head.elements(&self.name)
                .any(|element| self.wanted.fits(element))
        } else {
            head.values(&self.name).any(|value| self.wanted.fits(value))
        };
        if fits != self.negated {
            return None;
        }
        let not = if self.negated { "not " } else { "" };
        let got = head.values(&self.name).next().map_or_else(
            || "none".to_owned(),
            |value| format!("\"{}\"", value.get(..64).unwrap_or(value).escape_ascii()),
        );
        let Self { name, wanted, .. } = self;
        Some(format!(
            "expected header {name} {not}to {wanted}, got {got}"
        ))
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        super::request::check_name("reply_header", &self.name)?;
        self.wanted.validate()
    }
}
