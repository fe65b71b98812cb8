//! Sets of status codes: `200-299,301`.

use core::fmt;
use core::str::FromStr;

use crate::error::Invalid;

/// A set of HTTP status codes, 100 to 599.
///
/// Written as a list of codes and ranges, separated by commas or blanks; both ends of a range
/// belong to it. keepalived's `status_code`, HAProxy's `http-check expect status`.
///
/// ```
/// use lvs_healthcheck::probe::http::StatusSet;
///
/// let set: StatusSet = "301 200-204, 205-299".parse()?;
/// assert!(set.contains(299) && !set.contains(300));
/// assert_eq!(set.to_string(), "200-299,301");
/// # Ok::<_, lvs_healthcheck::Invalid>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct StatusSet([u64; WORDS]);

/// Enough bits for 500 codes.
const WORDS: usize = 8;
const FIRST: u16 = 100;
const LAST: u16 = 599;

impl StatusSet {
    /// No status at all.
    pub const EMPTY: Self = Self([0; WORDS]);
    /// Every status there is, 100 to 599.
    pub const ALL: Self = Self::range(FIRST, LAST);
    /// What keepalived accepts unless told otherwise, and this library: 200 to 299.
    pub const SUCCESS: Self = Self::range(200, 299);
    /// What HAProxy accepts unless told otherwise: 200 to 399.
    pub const SUCCESS_OR_REDIRECT: Self = Self::range(200, 399);

    /// The codes from `first` to `last`; those outside 100 to 599 are left out.
    #[must_use]
    pub const fn range(first: u16, last: u16) -> Self {
        let mut bits = [0; WORDS];
        let mut rest: &mut [u64] = &mut bits;
        let mut base = FIRST;
        // Word by word, because a constant function has no iterators.
        while let Some((word, others)) = rest.split_first_mut() {
            let mut bit = 0;
            while bit < u64::BITS as u16 {
                let code = base.saturating_add(bit);
                if code >= first && code <= last && code <= LAST {
                    *word |= 1 << bit;
                }
                bit = bit.saturating_add(1);
            }
            base = base.saturating_add(u64::BITS as u16);
            rest = others;
        }
        Self(bits)
    }

    /// Whether this status belongs to it.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        let Some(at) = status.checked_sub(FIRST) else {
            return false;
        };
        let bits = u64::BITS as u16;
        self.0
            .get(usize::from(at / bits))
            .is_some_and(|word| word & (1 << (at % bits)) != 0)
    }

    /// Whether no status belongs to it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// What belongs to one of the two.
    #[must_use]
    pub fn union(mut self, other: Self) -> Self {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
        self
    }
}

impl FromStr for StatusSet {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = |limit| Invalid::new("status", format!("{text:?}"), limit);
        let code = |text: &str| {
            let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            digits
                .then(|| text.parse().ok())
                .flatten()
                .filter(|code| (FIRST..=LAST).contains(code))
                .ok_or_else(|| invalid("must be codes from 100 to 599, or ranges such as 200-299"))
        };
        let mut set = Self::EMPTY;
        let separator = |letter: char| letter == ',' || letter.is_ascii_whitespace();
        for part in text.split(separator).filter(|part| !part.is_empty()) {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (code(first)?, code(last)?),
                None => (code(part)?, code(part)?),
            };
            if first > last {
                return Err(invalid("must have ranges that end after they begin"));
            }
            set = set.union(Self::range(first, last));
        }
        if set.is_empty() {
            return Err(invalid("must name a status"));
        }
        Ok(set)
    }
}

impl fmt::Display for StatusSet {
    /// The shortest list, in order: `200-299,301`; nothing for the empty set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        let mut start = None;
        // One beyond the last, which no set contains, ends the last range.
        for code in FIRST..=LAST.saturating_add(1) {
            match (start, self.contains(code)) {
                (None, true) => start = Some(code),
                (Some(first), false) => {
                    let last = code.saturating_sub(1);
                    write!(f, "{comma}{first}")?;
                    if last > first {
                        write!(f, "-{last}")?;
                    }
                    comma = ",";
                    start = None;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl fmt::Debug for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusSet({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ends_belong_to_a_range_and_nothing_beyond() {
        for (first, last) in [(100, 100), (163, 164), (200, 299), (599, 599), (100, 599)] {
            let set = StatusSet::range(first, last);
            for code in 0..=1000 {
                assert_eq!(set.contains(code), (first..=last).contains(&code), "{code}");
            }
        }
        assert_eq!(StatusSet::range(0, u16::MAX), StatusSet::ALL);
        assert_eq!(StatusSet::range(300, 200), StatusSet::EMPTY);
        assert!(StatusSet::EMPTY.is_empty() && !StatusSet::SUCCESS.is_empty());
    }

    #[test]
    fn list_is_read_and_written_in_its_shortest_form() {
        for (text, shortest) in [
            ("200", "200"),
            ("200-200", "200"),
            ("200,201", "200-201"),
            (" 404, 200-299\t301 ", "200-299,301,404"),
            ("100-599", "100-599"),
            ("300-399 250-310", "250-399"),
        ] {
            let set: StatusSet = text.parse().unwrap();
            assert_eq!(set.to_string(), shortest);
        }
        assert_eq!(format!("{:?}", StatusSet::SUCCESS), "StatusSet(200-299)");
    }

    #[test]
    fn what_is_no_status_is_refused_and_named() {
        for text in [
            "", " ,", "099", "600", "20", "2000", "2xx", "-200", "200-", "200-299-", "299-200",
            "+20",
        ] {
            let invalid = text.parse::<StatusSet>().unwrap_err();
            assert_eq!(invalid.field, "status", "{text}");
            assert_eq!(invalid.value, format!("{text:?}"));
        }
    }

    proptest! {
        #[test]
        fn written_sets_read_back(ranges in proptest::collection::vec((100u16..600, 0u16..50), 1..6)) {
            let set = ranges.iter().fold(StatusSet::EMPTY, |set, (first, more)| {
                set.union(StatusSet::range(*first, first + more))
            });
            prop_assert_eq!(set.to_string().parse::<StatusSet>().unwrap(), set);
        }
    }
}
