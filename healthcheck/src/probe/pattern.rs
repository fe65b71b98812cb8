//! Patterns for what a server says.

use core::fmt;
use core::hash::{Hash, Hasher};

use regex::bytes::{Regex, RegexBuilder};

use crate::error::Invalid;

/// A regular expression over bytes, in the syntax of the `regex` package; matching takes time
/// linear in what is searched, whatever the pattern.
///
/// Has no look-around and no back-references: a pattern that needs them is refused when it is
/// made. Cheap to clone.
///
/// ```
/// use lvs_healthcheck::probe::Pattern;
///
/// let pattern = Pattern::new("status: (ok|fine)")?;
/// assert!(pattern.is_match(b"status: fine") && !pattern.is_match(b"status: bad"));
/// let refused = Pattern::new(r"(a)\1").unwrap_err();
/// assert!(refused.to_string().starts_with(r#"pattern is "(a)\\1""#));
/// # Ok::<_, lvs_healthcheck::Invalid>(())
/// ```
#[derive(Clone)]
pub struct Pattern {
    regex: Regex,
    /// The options it was made with.
    options: [bool; 6],
    /// Whether a match has to begin at the first offset allowed.
    anchored: bool,
    min_offset: usize,
    max_offset: usize,
}

impl Pattern {
    /// Letters and classes are those of ASCII, and a dot is one byte; `(?u)` in the pattern makes
    /// them those of Unicode.
    ///
    /// # Errors
    ///
    /// Not a pattern, one that needs look-around or back-references, or one that is too large.
    pub fn new(pattern: &str) -> Result<Self, Invalid> {
        Self::build(pattern, pattern, false, [false; 6])
    }

    /// A pattern and its options as a keepalived.conf has them: `regex` and `regex_options`.
    ///
    /// `$` also matches before a line end that ends the text, as in PCRE2, unless `dollar_endonly`
    /// or `multiline` is set.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and an option this cannot do: all but `anchored`, `caseless`,
    /// `dollar_endonly`, `dotall`, `endanchored`, `extended`, `literal`, `multiline`,
    /// `no_auto_capture`, `ucp`, `ungreedy` and `utf`.
    pub fn keepalived(pattern: &str, options: &str) -> Result<Self, Invalid> {
        let (mut end_only, mut multiline) = (false, false);
        let (mut anchored, mut end_anchored, mut literal) = (false, false, false);
        let (mut caseless, mut dotall, mut extended) = (false, false, false);
        let (mut ungreedy, mut unicode) = (false, false);
        for option in options.split_ascii_whitespace() {
            *match option.to_ascii_lowercase().as_str() {
                "anchored" => &mut anchored,
                "caseless" => &mut caseless,
                "dollar_endonly" => &mut end_only,
                "dotall" => &mut dotall,
                "endanchored" => &mut end_anchored,
                "extended" => &mut extended,
                "literal" => &mut literal,
                "multiline" => &mut multiline,
                // Nothing is captured anyway.
                "no_auto_capture" => continue,
                "ungreedy" => &mut ungreedy,
                "utf" | "ucp" => &mut unicode,
                _ => {
                    let limit = "must be known options of PCRE2 that need no PCRE2";
                    return Err(Invalid::new("regex_options", format!("{option:?}"), limit));
                }
            } = true;
        }
        let mut source = if literal {
            regex::escape(pattern)
        } else if end_only || multiline {
            pattern.to_owned()
        } else {
            with_final_line_end(pattern)
        };
        if end_anchored {
            // A comment ends with its line.
            let line_end = if extended { "\n" } else { "" };
            source = format!(r"(?:{source}{line_end})\z");
        }
        let options = [caseless, dotall, extended, multiline, ungreedy, unicode];
        Self::build(pattern, &source, anchored, options)
    }

    fn build(
        pattern: &str,
        source: &str,
        anchored: bool,
        options: [bool; 6],
    ) -> Result<Self, Invalid> {
        let [caseless, dotall, extended, multiline, ungreedy, unicode] = options;
        let mut builder = RegexBuilder::new(source);
        builder
            .case_insensitive(caseless)
            .dot_matches_new_line(dotall)
            .ignore_whitespace(extended)
            .multi_line(multiline)
            .swap_greed(ungreedy)
            .unicode(unicode);
        let regex = builder.build().map_err(|error| {
            let limit = match error {
                regex::Error::CompiledTooBig(_) => "must not be that large",
                _ => "must be a regular expression without look-around and back-references",
            };
            Invalid::new("pattern", format!("{pattern:?}"), limit)
        })?;
        Ok(Self {
            regex,
            options,
            anchored,
            min_offset: 0,
            max_offset: usize::MAX,
        })
    }

    /// A match begins at this offset or later. Default 0. keepalived's `regex_min_offset`.
    #[must_use]
    pub const fn with_min_offset(mut self, offset: usize) -> Self {
        self.min_offset = offset;
        self
    }

    /// A match begins at this offset or earlier. Default: anywhere. keepalived's
    /// `regex_max_offset`.
    #[must_use]
    pub const fn with_max_offset(mut self, offset: usize) -> Self {
        self.max_offset = offset;
        self
    }

    /// Whether it matches somewhere, offsets considered.
    #[must_use]
    pub fn is_match(&self, bytes: &[u8]) -> bool {
        self.find(bytes).is_some()
    }

    /// Where the first match ends, offsets considered.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Option<usize> {
        let max = if self.anchored {
            self.min_offset.min(self.max_offset)
        } else {
            self.max_offset
        };
        // The leftmost match is found, so no other one begins before it.
        if self.min_offset > bytes.len() {
            return None;
        }
        let found = self.regex.find_at(bytes, self.min_offset)?;
        (found.start() <= max).then_some(found.end())
    }

    pub(in crate::probe) fn validate(&self) -> Result<(), Invalid> {
        if self.min_offset > self.max_offset {
            let both = format!("{} to {}", self.min_offset, self.max_offset);
            return Err(Invalid::new(
                "offset",
                both,
                "must not end before it begins",
            ));
        }
        Ok(())
    }
}

impl Pattern {
    /// All that decides what matches.
    fn meaning(&self) -> impl Eq + Hash + '_ {
        (
            self.regex.as_str(),
            self.options,
            self.anchored,
            self.min_offset,
            self.max_offset,
        )
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.meaning() == other.meaning()
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.meaning().hash(state);
    }
}

/// Writes `$` so that it also matches before a final line end.
fn with_final_line_end(pattern: &str) -> String {
    let mut written = String::with_capacity(pattern.len());
    let mut letters = pattern.chars();
    let mut in_class = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => {
                written.push(letter);
                written.extend(letters.next());
                continue;
            }
            '[' => in_class = true,
            ']' => in_class = false,
            '$' if !in_class => {
                written.push_str(r"(?:\n?\z)");
                continue;
            }
            _ => {}
        }
        written.push(letter);
    }
    written
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pattern")
            .field("regex", &self.regex.as_str())
            .field("min_offset", &self.min_offset)
            .field("max_offset", &self.max_offset)
            .finish()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.regex.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_limit_where_a_match_begins() {
        let pattern = Pattern::new("b+").unwrap();
        let matches = |min, max| {
            let pattern = pattern.clone().with_min_offset(min).with_max_offset(max);
            pattern.is_match(b"aabbaab")
        };
        assert!(matches(0, usize::MAX) && matches(2, 2) && matches(0, 2));
        assert!(!matches(0, 1) && !matches(4, 5) && !matches(7, 9));
        assert!(matches(6, 6), "the last byte");
        assert!(!matches(8, 9), "beyond the end");
        let odd = pattern.with_min_offset(3).with_max_offset(2);
        assert_eq!(odd.validate().unwrap_err().field, "offset");
    }

    #[test]
    fn bytes_need_not_be_text() {
        assert!(Pattern::new(r"a.\xffb").unwrap().is_match(b"a\xfe\xffb"));
        assert!(Pattern::new(r"(?u)ä+").unwrap().is_match("xää".as_bytes()));
    }

    #[test]
    fn options_of_keepalived_mean_the_same() {
        let matches = |pattern, options, text: &[u8]| {
            Pattern::keepalived(pattern, options)
                .unwrap()
                .is_match(text)
        };
        assert!(matches("ok", "caseless", b"OK") && !matches("ok", "", b"OK"));
        assert!(matches("a.b", "dotall", b"a\nb") && !matches("a.b", "", b"a\nb"));
        assert!(matches("a b # c", "extended", b"ab") && !matches("a b", "", b"ab"));
        assert!(matches("^b", "multiline", b"a\nb") && !matches("^b", "", b"a\nb"));
        assert!(matches("b", "", b"ab") && !matches("b", "anchored", b"ab"));
        assert!(
            !matches("a", "endanchored", b"ab") && matches("b #", "extended endanchored", b"ab")
        );
        assert!(matches("a.b", "literal", b"a.b") && !matches("a.b", "literal", b"aab"));
        assert!(matches("ä", "utf ucp", "Ä ä".as_bytes()));
    }

    #[test]
    fn dollar_matches_before_a_final_line_end_as_in_pcre() {
        let matches = |pattern, options, text: &[u8]| {
            Pattern::keepalived(pattern, options)
                .unwrap()
                .is_match(text)
        };
        assert!(matches("ok$", "", b"ok\n") && matches("ok$", "", b"ok"));
        assert!(!matches("ok$", "", b"ok\n\n") && !matches("ok$", "", b"ok\nx"));
        assert!(!matches("ok$", "dollar_endonly", b"ok\n"));
        assert!(matches("ok$", "multiline", b"ok\nx"));
        assert!(matches(r"[$]\$", "", b"$$"));
    }

    #[test]
    fn what_this_cannot_do_is_refused_and_named() {
        for pattern in ["(?=a)b", r"(a)\1", "(", "a{1000}{1000}{1000}"] {
            let invalid = Pattern::keepalived(pattern, "").unwrap_err();
            assert_eq!(invalid.field, "pattern");
            assert_eq!(invalid.value, format!("{pattern:?}"));
        }
        let invalid = Pattern::keepalived("a", "caseless match_unset_backref").unwrap_err();
        assert_eq!(invalid.field, "regex_options");
        assert_eq!(invalid.value, "\"match_unset_backref\"");
    }
}
