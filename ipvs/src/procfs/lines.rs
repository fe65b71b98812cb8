//! Lines of a file, one at a time in one buffer of bounded size.

use std::io::{self, BufRead, Read};

use super::error::{MalformedLine, ReadError};

/// Longest line that is read. The kernel's longest, with three IPv6 addresses and the data of a
/// persistence engine, have less than 450 bytes.
pub(super) const LONGEST_LINE: u64 = 1024;

/// A reader of lines that keeps one of them.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    number: u64,
    failed: bool,
}

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            number: 0,
            failed: false,
        }
    }

    /// Reads the next line, for [`line`](Self::line); `None` at the end of the file, and after a
    /// failure to read.
    pub(super) fn advance(&mut self) -> Option<Result<(), ReadError>> {
        if self.failed {
            return None;
        }
        match self.read() {
            Ok(false) => None,
            Ok(true) if self.is_too_long() => Some(Err(self.skip())),
            Ok(true) => Some(Ok(())),
            Err(error) => {
                self.failed = true;
                Some(Err(ReadError::Io(error)))
            }
        }
    }

    /// The line that was read last.
    pub(super) fn line(&self) -> Line<'_> {
        let text = self.buffer.as_slice();
        Line {
            number: self.number,
            text: text.strip_suffix(b"\n").unwrap_or(text),
        }
    }

    /// Whether there was a line.
    fn read(&mut self) -> io::Result<bool> {
        self.buffer.clear();
        // One more than a line may have, so that one too long shows.
        let mut bounded = self.reader.by_ref().take(LONGEST_LINE.saturating_add(1));
        let length = bounded.read_until(b'\n', &mut self.buffer)?;
        self.number = self.number.saturating_add(1);
        Ok(length > 0)
    }

    fn is_too_long(&self) -> bool {
        let length = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        length > LONGEST_LINE && self.buffer.last() != Some(&b'\n')
    }

    /// Leaves the rest of the line out, and says so.
    fn skip(&mut self) -> ReadError {
        if let Err(error) = self.reader.skip_until(b'\n') {
            self.failed = true;
            return ReadError::Io(error);
        }
        let expected = "at most 1024 bytes";
        MalformedLine::new(self.number, 1, "line", &self.buffer, expected).into()
    }
}

/// A line without its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// From 1.
    pub(super) number: u64,
    pub(super) text: &'a [u8],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_too_long_is_left_out_and_reading_goes_on() {
        let longest = "x".repeat(1024);
        let text = format!("a\n{longest}\n{longest}y{longest}\n\nb");
        let mut lines = Lines::new(text.as_bytes());
        let mut next = || {
            let read = lines.advance()?;
            Some(read.map(|()| (lines.line().number, lines.line().text.to_vec())))
        };
        let ok = |number, text: &str| Some((number, text.as_bytes().to_vec()));
        assert_eq!(next().unwrap().ok(), ok(1, "a"));
        assert_eq!(next().unwrap().ok(), ok(2, &longest));
        let error = next().unwrap().unwrap_err().to_string();
        assert!(error.starts_with("line 3, column 1: line \"xxx"), "{error}");
        assert!(
            error.ends_with("\": expected at most 1024 bytes"),
            "{error}"
        );
        assert_eq!(next().unwrap().ok(), ok(4, ""));
        assert_eq!(next().unwrap().ok(), ok(5, "b"));
        assert!(next().is_none());
    }

    #[test]
    fn a_failure_to_read_ends_it() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::PermissionDenied.into())
            }
        }
        let mut lines = Lines::new(io::BufReader::new(Broken));
        let error = lines.advance().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "cannot read: permission denied");
        assert!(lines.advance().is_none());
    }
}
