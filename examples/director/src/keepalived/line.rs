//! A line of text that remembers where each part of it was written.
//!
//! Comments, conditions and parameters change a line before it is cut into words, and a word may
//! end up in a line (or a file) other than its own. [`Line`] carries the origin along, so that a
//! message still points at the text the user wrote.

use core::ops::Range;

use super::diagnostic::Position;

/// From `offset` on the text comes from `position`.
#[derive(Clone, Debug)]
struct Mark {
    offset: usize,
    position: Position,
    /// The whole part comes from that one place (it was substituted there); otherwise the column
    /// advances with the text.
    fixed: bool,
}

/// Text and its origin.
#[derive(Clone, Debug)]
pub(super) struct Line {
    text: String,
    marks: Vec<Mark>,
    start: Position,
    /// Number of multi-line values that led to this line.
    pub(super) depth: usize,
    /// Whether the line ends in `\` in its file, perhaps within a comment.
    pub(super) continued: bool,
}

impl Line {
    /// An empty line that begins at `start`.
    pub(super) fn new(start: Position, depth: usize) -> Self {
        Self {
            text: String::new(),
            marks: Vec::new(),
            start,
            depth,
            continued: false,
        }
    }

    /// A line whose text stands in its file as it is.
    #[cfg(test)]
    pub(super) fn plain(text: &str) -> Self {
        let start = Position::new("test.conf".into(), 1, 1);
        let mut line = Self::new(start.clone(), 0);
        line.push(text, &start);
        line
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Appends text that was written at `position`.
    pub(super) fn push(&mut self, text: &str, position: &Position) {
        self.mark(position.clone(), false);
        self.text.push_str(text);
    }

    /// Appends text that stands for a reference at `position`.
    pub(super) fn push_fixed(&mut self, text: &str, position: &Position) {
        self.mark(position.clone(), true);
        self.text.push_str(text);
    }

    /// Appends a part of another line with its origin.
    pub(super) fn push_part(&mut self, other: &Self, range: Range<usize>) {
        let Some(part) = other.text.get(range.clone()) else {
            return;
        };
        let base = self.text.len();
        self.mark(other.position_at(range.start), other.fixed_at(range.start));
        for mark in &other.marks {
            if mark.offset > range.start && mark.offset < range.end {
                let offset = base.saturating_add(mark.offset.saturating_sub(range.start));
                self.marks.push(Mark {
                    offset,
                    ..mark.clone()
                });
            }
        }
        self.text.push_str(part);
    }

    /// A part of this line, without blanks at either end.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        let part = self.text.get(range.clone()).unwrap_or_default();
        let leading = part.len().saturating_sub(part.trim_start().len());
        let start = range.start.saturating_add(leading);
        let end = start.saturating_add(part.trim().len());
        let mut line = Self::new(self.position_at(start), self.depth);
        line.continued = self.continued;
        line.push_part(self, start..end);
        line
    }

    /// Where the text at this byte was written.
    pub(super) fn position_at(&self, offset: usize) -> Position {
        let Some(mark) = self.mark_at(offset) else {
            return self.start.clone();
        };
        let mut position = mark.position.clone();
        if !mark.fixed {
            let before = self.text.get(mark.offset..offset).unwrap_or_default();
            let columns = u32::try_from(before.chars().count()).unwrap_or(u32::MAX);
            position.column = position.column.saturating_add(columns);
        }
        position
    }

    fn fixed_at(&self, offset: usize) -> bool {
        self.mark_at(offset).is_some_and(|mark| mark.fixed)
    }

    fn mark_at(&self, offset: usize) -> Option<&Mark> {
        let after = self.marks.partition_point(|mark| mark.offset <= offset);
        self.marks.get(after.checked_sub(1)?)
    }

    fn mark(&mut self, position: Position, fixed: bool) {
        let offset = self.text.len();
        // An empty part leaves no trace.
        if self.marks.last().is_some_and(|last| last.offset == offset) {
            self.marks.pop();
        }
        self.marks.push(Mark {
            offset,
            position,
            fixed,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: &Line, offset: usize) -> (u32, u32) {
        let position = line.position_at(offset);
        (position.line, position.column)
    }

    #[test]
    fn columns_count_characters() {
        let line = Line::plain("äö x");
        assert_eq!(at(&line, 5), (1, 4));
    }

    #[test]
    fn substituted_text_points_at_the_reference() {
        let file: std::sync::Arc<str> = "f".into();
        let mut line = Line::new(Position::new(file.clone(), 7, 1), 0);
        line.push("weight ", &Position::new(file.clone(), 7, 1));
        line.push_fixed("12345", &Position::new(file.clone(), 7, 8));
        line.push(" x", &Position::new(file, 7, 12));
        assert_eq!(at(&line, 7), (7, 8));
        assert_eq!(at(&line, 11), (7, 8));
        assert_eq!(at(&line, 13), (7, 13));
        let part = line.part(9..14);
        assert_eq!(part.text(), "345 x");
        assert_eq!(at(&part, 0), (7, 8));
        assert_eq!(at(&part, 4), (7, 13));
    }

    #[test]
    fn part_drops_blanks_and_keeps_columns() {
        let line = Line::plain("ab   cd  ");
        let part = line.part(2..9);
        assert_eq!(part.text(), "cd");
        assert_eq!(at(&part, 0), (1, 6));
    }
}
