//! Lines of a listing, put together in columns.

use core::fmt::Display;
use std::io::Write;

/// Lines that are being put together.
///
/// Widths count bytes, as those of printf(3) do, and what is wider than its column pushes the
/// rest to the right.
#[derive(Debug, Default)]
pub(super) struct Columns {
    bytes: Vec<u8>,
}

impl Columns {
    /// Starts anew.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends text as it is.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    /// Appends a value as it is.
    pub(super) fn value(&mut self, value: impl Display) -> &mut Self {
        // Memory takes all there is.
        let _ = write!(self.bytes, "{value}");
        self
    }

    /// Appends text in a column, aligned to the left.
    pub(super) fn left(&mut self, text: &str, width: usize) -> &mut Self {
        let end = self.bytes.len() + width;
        self.text(text);
        self.pad(end)
    }

    /// Appends a number in a column, aligned to the left.
    pub(super) fn left_number(&mut self, number: u32, width: usize) -> &mut Self {
        let end = self.bytes.len() + width;
        self.value(number);
        self.pad(end)
    }

    /// Appends a number in a column, aligned to the right.
    pub(super) fn right_number(&mut self, number: u64, width: usize) -> &mut Self {
        let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
        self.pad(self.bytes.len() + width.saturating_sub(digits));
        self.value(number)
    }

    fn pad(&mut self, end: usize) -> &mut Self {
        if self.bytes.len() < end {
            self.bytes.resize(end, b' ');
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_padded_and_never_cut() {
        let mut columns = Columns::default();
        columns
            .left("ab", 4)
            .left("abcde", 4)
            .left_number(7, 3)
            .text("|");
        columns
            .right_number(0, 3)
            .right_number(10, 3)
            .right_number(1234, 3);
        assert_eq!(columns.as_bytes(), b"ab  abcde7  |  0 101234");
        columns.clear();
        columns.left("\u{e9}", 4).text("|");
        assert_eq!(columns.as_bytes(), "\u{e9}  |".as_bytes());
    }
}
