//! Lines that cannot be read.

use core::fmt;
use std::io;

use crate::error::Error;

/// Why a row of a `/proc` file could not be read.
#[non_exhaustive]
#[derive(Debug)]
pub enum ReadError {
    /// The file could not be read on; nothing comes after it.
    Io(io::Error),
    /// A line does not have the form it should; the next one may.
    Malformed(MalformedLine),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot read: {error}"),
            Self::Malformed(line) => line.fmt(f),
        }
    }
}

// `Display` says everything, so there is no source.
impl core::error::Error for ReadError {}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => Self::io("cannot read a file of /proc/net", error),
            ReadError::Malformed(line) => Self::Malformed(line),
        }
    }
}

impl From<MalformedLine> for ReadError {
    fn from(line: MalformedLine) -> Self {
        Self::Malformed(line)
    }
}

/// A line that does not have the form it should: where, which field, what stands there.
///
/// ```
/// use lvs_ipvs::procfs::Connections;
///
/// let mut rows = Connections::new(&b"TCP 0A01000 E7EC C000020A 0050 0A020002 1F90 NONE 7\n"[..]);
/// let error = rows.next_row().unwrap().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "line 1, column 5: client address \"0A01000\": \
///      expected 8 hexadecimal digits or 8 groups of 4",
/// );
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MalformedLine {
    // Boxed, since it travels in the result of every row that is read well.
    inner: Box<Inner>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Inner {
    line: u64,
    column: usize,
    field: &'static str,
    expected: &'static str,
    text: String,
}

/// Bytes of the text that an error keeps.
const KEPT: usize = 64;

impl MalformedLine {
    pub(super) fn new(
        line: u64,
        column: usize,
        field: &'static str,
        text: &[u8],
        expected: &'static str,
    ) -> Self {
        let kept = text.get(..KEPT).unwrap_or(text);
        let inner = Inner {
            line,
            column,
            field,
            expected,
            text: kept.escape_ascii().to_string(),
        };
        Self {
            inner: Box::new(inner),
        }
    }

    /// Number of the line, from 1; the captions count.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.inner.line
    }

    /// Byte of the line at which the field starts, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.inner.column
    }

    /// The field, in the words of the documentation.
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.inner.field
    }

    /// What stands there: its first 64 bytes, with escapes for those that are not printable.
    /// Empty where the line ends.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// What would be right.
    #[must_use]
    pub fn expected(&self) -> &'static str {
        self.inner.expected
    }
}

impl fmt::Display for MalformedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            line,
            column,
            field,
            expected,
            text,
        } = self.inner.as_ref();
        write!(f, "line {line}, column {column}: {field}")?;
        if text.is_empty() {
            write!(f, " missing: expected {expected}")
        } else {
            write!(f, " \"{text}\": expected {expected}")
        }
    }
}

impl core::error::Error for MalformedLine {}
