//! Takes chunks apart, RFC 9112 §7.1. Keeps nothing of them.

use super::reply::{Item, Malformed};

/// The longest line of a chunk's size with its extensions.
const SIZE_LINE_MAX: usize = 4 * 1024;
/// The longest trailer, all line ends included.
const TRAILER_MAX: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    /// The size of the chunk, then what of it is still to come.
    left: u64,
    /// How long the line or the trailer is so far.
    length: usize,
    /// What is wrong with the next byte.
    wrong: Option<Malformed>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The digits of a size; whether there was one.
    Size {
        digits: bool,
    },
    /// What follows the digits up to the line end.
    Extension,
    Data,
    /// The line end after the data; whether CR has come.
    DataEnd {
        cr: bool,
    },
    /// The trailer; what its last line has so far.
    Trailer(Line),
}

#[derive(Clone, Copy, Debug)]
enum Line {
    Empty,
    Cr,
    Text,
}

impl Chunked {
    pub(super) const fn new() -> Self {
        Self {
            state: State::Size { digits: false },
            left: 0,
            length: 0,
            wrong: None,
        }
    }

    /// The next piece, and whether the body is over after it.
    pub(super) fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
    ) -> Result<(Option<Item<'a>>, bool), Malformed> {
        let all = *input;
        if matches!(self.state, State::Data) {
            let count = usize::try_from(self.left)
                .unwrap_or(usize::MAX)
                .min(all.len());
            let (bytes, rest) = all.split_at_checked(count).unwrap_or((all, &[]));
            *input = rest;
            self.left = self.left.saturating_sub(count as u64);
            if self.left == 0 {
                self.state = State::DataEnd { cr: false };
            }
            let content = true;
            return Ok(((count > 0).then_some(Item::Body { bytes, content }), false));
        }
        if let Some(wrong) = self.wrong.take() {
            return Err(wrong);
        }
        let mut count = 0_usize;
        let mut over = false;
        for byte in all {
            over = match self.frame(*byte) {
                Ok(over) => over,
                // What comes before is still told, so that it counts however it was cut.
                Err(wrong) if count > 0 => {
                    self.wrong = Some(wrong);
                    break;
                }
                Err(wrong) => return Err(wrong),
            };
            count = count.saturating_add(1);
            if over || matches!(self.state, State::Data) {
                break;
            }
        }
        let (bytes, rest) = all.split_at_checked(count).unwrap_or((all, &[]));
        *input = rest;
        let content = false;
        Ok(((count > 0).then_some(Item::Body { bytes, content }), over))
    }

    /// Takes one byte that is not data. True if it was the last one of the body.
    fn frame(&mut self, byte: u8) -> Result<bool, Malformed> {
        self.length = self.length.saturating_add(1);
        match (self.state, byte) {
            (State::Size { .. }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                self.left = self
                    .left
                    .checked_mul(16)
                    .and_then(|size| size.checked_add(u64::from(digit)))
                    .ok_or_else(|| Malformed::new("chunk size is beyond 64 bits"))?;
                self.state = State::Size { digits: true };
            }
            (State::Size { digits: false }, _) => {
                let shown = byte.escape_ascii();
                return Err(Malformed(format!("chunk size begins with \"{shown}\"")));
            }
            (State::Size { .. } | State::Extension, b'\n') => {
                self.length = 0;
                self.state = if self.left == 0 {
                    State::Trailer(Line::Empty)
                } else {
                    State::Data
                };
            }
            (State::Size { .. }, b'\r' | b';' | b' ' | b'\t') => self.state = State::Extension,
            (State::Size { .. }, _) => {
                let shown = byte.escape_ascii();
                return Err(Malformed(format!("chunk size contains \"{shown}\"")));
            }
            (State::Extension, _) => {}
            (State::DataEnd { cr: false }, b'\r') => self.state = State::DataEnd { cr: true },
            (State::DataEnd { .. }, b'\n') => {
                self.length = 0;
                self.state = State::Size { digits: false };
            }
            (State::DataEnd { .. }, _) => {
                return Err(Malformed::new("chunk is longer than its size"));
            }
            (State::Trailer(Line::Empty | Line::Cr), b'\n') => return Ok(true),
            (State::Trailer(Line::Text), b'\n') => self.state = State::Trailer(Line::Empty),
            (State::Trailer(Line::Empty), b'\r') => self.state = State::Trailer(Line::Cr),
            (State::Trailer(_), _) => self.state = State::Trailer(Line::Text),
            // Data is not taken byte by byte.
            (State::Data, _) => {}
        }
        let (limit, what) = match self.state {
            State::Trailer(_) => (TRAILER_MAX, "trailer"),
            _ => (SIZE_LINE_MAX, "line of a chunk size"),
        };
        if self.length > limit {
            return Err(Malformed(format!("{what} is longer than {limit} bytes")));
        }
        Ok(false)
    }
}
