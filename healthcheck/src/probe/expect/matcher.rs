//! Texts and patterns to be found in what a server says.

use core::fmt;

use crate::error::Invalid;

#[cfg(feature = "regex")]
use crate::probe::Pattern;

/// Something that can be found in bytes.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Matcher {
    /// These bytes and no others.
    Exact(Vec<u8>),
    /// These bytes first.
    Prefix(Vec<u8>),
    /// These bytes somewhere.
    Contains(Vec<u8>),
    /// All of these somewhere, one after the other.
    InOrder(Vec<Vec<u8>>),
    /// This pattern somewhere.
    #[cfg(feature = "regex")]
    Pattern(Pattern),
}

/// Whether something was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::probe) enum Found {
    /// Yes, and it ends here.
    Yes(usize),
    /// No, and more bytes change nothing.
    No,
    /// Not yet.
    Maybe,
}

impl Matcher {
    /// These bytes and no others.
    pub fn exact(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Exact(bytes.into())
    }

    /// These bytes first.
    pub fn prefix(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Prefix(bytes.into())
    }

    /// These bytes somewhere.
    pub fn contains(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Contains(bytes.into())
    }

    /// Refuses a pattern that can never match.
    #[cfg_attr(
        not(feature = "regex"),
        expect(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "patterns only"
        )
    )]
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        #[cfg(feature = "regex")]
        if let Self::Pattern(pattern) = self {
            return pattern.validate();
        }
        Ok(())
    }

    /// Looks for it; `complete` says that there will be no more bytes.
    pub(in crate::probe) fn find(&self, bytes: &[u8], complete: bool) -> Found {
        let found = match self {
            Self::Exact(wanted) if bytes == wanted => Found::Yes(bytes.len()),
            Self::Prefix(wanted) if bytes.starts_with(wanted) => Found::Yes(wanted.len()),
            Self::Exact(wanted) | Self::Prefix(wanted) => {
                let begun = bytes.len() < wanted.len() && wanted.starts_with(bytes);
                if begun { Found::Maybe } else { Found::No }
            }
            Self::Contains(wanted) => {
                position(bytes, wanted).map_or(Found::Maybe, |at| Found::Yes(at + wanted.len()))
            }
            Self::InOrder(parts) => {
                let mut from = 0;
                for part in parts {
                    let rest = bytes.get(from..).unwrap_or_default();
                    match position(rest, part) {
                        Some(at) => from += at + part.len(),
                        None => return if complete { Found::No } else { Found::Maybe },
                    }
                }
                Found::Yes(from)
            }
            #[cfg(feature = "regex")]
            Self::Pattern(pattern) => pattern.find(bytes).map_or(Found::Maybe, Found::Yes),
        };
        match found {
            Found::Maybe if complete => Found::No,
            found => found,
        }
    }
}

/// Where bytes are first found in others.
fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// The beginning of some bytes as people can read it, in quotation marks.
pub(in crate::probe) fn printable(bytes: &[u8]) -> String {
    const SHOWN: usize = 60;
    let shown = bytes.get(..SHOWN).unwrap_or(bytes);
    let more = if shown.len() < bytes.len() { "…" } else { "" };
    format!("\"{}\"{more}", shown.escape_ascii())
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(bytes) => write!(f, "exactly {}", printable(bytes)),
            Self::Prefix(bytes) => f.write_str(&printable(bytes)),
            Self::Contains(bytes) => write!(f, "{} in it", printable(bytes)),
            Self::InOrder(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| printable(part)).collect();
                write!(f, "{} in it in this order", parts.join(", "))
            }
            #[cfg(feature = "regex")]
            Self::Pattern(pattern) => write!(f, "a match of {pattern}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_judged_as_soon_as_they_can_be() {
        let exact = Matcher::exact("abc");
        assert_eq!(exact.find(b"ab", false), Found::Maybe);
        assert_eq!(exact.find(b"abc", false), Found::Yes(3));
        assert_eq!(exact.find(b"abcd", false), Found::No);
        assert_eq!(exact.find(b"ax", false), Found::No);
        assert_eq!(exact.find(b"ab", true), Found::No);
        let prefix = Matcher::prefix("abc");
        assert_eq!(prefix.find(b"", false), Found::Maybe);
        assert_eq!(prefix.find(b"abcd", false), Found::Yes(3));
        assert_eq!(prefix.find(b"x", false), Found::No);
    }

    #[test]
    fn texts_somewhere_may_still_come() {
        let contains = Matcher::contains("bc");
        assert_eq!(contains.find(b"aab", false), Found::Maybe);
        assert_eq!(contains.find(b"aabcc", false), Found::Yes(4));
        assert_eq!(contains.find(b"aab", true), Found::No);
        assert_eq!(Matcher::contains("").find(b"", false), Found::Yes(0));
        let parts = Matcher::InOrder(vec![b"a".to_vec(), b"c".to_vec(), b"a".to_vec()]);
        assert_eq!(parts.find(b"xaxca", false), Found::Yes(5));
        assert_eq!(parts.find(b"caac", false), Found::Maybe, "in this order");
        assert_eq!(parts.find(b"caac", true), Found::No);
    }

    #[test]
    #[cfg(feature = "regex")]
    fn patterns_end_where_their_match_does() {
        let pattern = Matcher::Pattern(Pattern::new("[0-9]+;").unwrap());
        assert_eq!(pattern.find(b"a12", false), Found::Maybe);
        assert_eq!(pattern.find(b"a12;34", false), Found::Yes(4));
        assert_eq!(pattern.find(b"a", true), Found::No);
    }

    #[test]
    fn what_was_heard_is_shown_in_one_line_and_cut_off() {
        assert_eq!(printable(b"a\r\n\xff\""), r#""a\r\n\xff\"""#);
        assert_eq!(printable(&[b'x'; 61]), format!("\"{}\"…", "x".repeat(60)));
    }
}
