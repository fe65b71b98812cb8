//! Reads a reply as it comes: heads, then the body in whatever framing.
//!
//! RFC 9112 §§2.2, 4, 5, 6; a line may end in a bare LF (§2.2), one empty line before the status
//! line is skipped. A reader holds at most one head.

use super::chunked::Chunked;

/// The longest status line, line end included.
const STATUS_LINE_MAX: usize = 8 * 1024;
/// The longest block of header fields, all line ends included.
const FIELDS_MAX: usize = 64 * 1024;
/// The most header fields.
const FIELD_COUNT_MAX: usize = 128;
/// The most interim replies (1xx) before the real one.
const INTERIM_MAX: u8 = 8;

/// What is wrong with a reply, for people.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Malformed(pub(super) String);

impl Malformed {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// The next part of a reply.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Item<'a> {
    /// The head is complete: [`Reader::head`].
    Head,
    /// Bytes of the body as they came; `content` is false for what only frames chunks.
    Body { bytes: &'a [u8], content: bool },
    /// The reply is complete.
    End,
}

/// How the bodies of replies end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Framing {
    /// As RFC 9112 §6 says.
    Standard,
    /// As keepalived has it: with the connection; chunks are taken as they come, and what is
    /// beyond Content-Length is dropped.
    Connection,
}

#[derive(Debug)]
pub(super) struct Reader {
    state: State,
    head: Head,
    /// Where the line that is being read begins.
    line: usize,
    fields: usize,
    interim: u8,
    /// Whether an empty line may still be skipped.
    may_skip: bool,
    framing: Framing,
    /// Whether the request was HEAD.
    to_head: bool,
}

#[derive(Debug)]
enum State {
    StatusLine,
    Fields,
    Body(Body),
    Over,
}

#[derive(Debug)]
enum Body {
    /// So many bytes are still to come.
    Length(u64),
    Chunked(Chunked),
    /// Everything until the connection ends.
    UntilEof,
    /// As many bytes until the connection ends, then nothing of interest until it really does.
    AtMost(u64),
}

/// Status line and header fields, checked.
#[derive(Debug, Default)]
pub(super) struct Head {
    bytes: Vec<u8>,
    /// Where the fields begin.
    fields: usize,
    status: u16,
    minor: u8,
}

impl Head {
    pub(super) const fn status(&self) -> u16 {
        self.status
    }

    /// Status and reason, such as `404 Not Found`.
    pub(super) fn status_text(&self) -> String {
        let line = self.bytes.get(..self.fields).unwrap_or_default();
        let text = line.get(9..).unwrap_or_default().trim_ascii();
        let text = text.get(..64).unwrap_or(text);
        String::from_utf8_lossy(text).into_owned()
    }

    /// Every field: name and value without the white space around it.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let block = self.bytes.get(self.fields..).unwrap_or_default();
        block.split(|byte| *byte == b'\n').filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at_checked(colon)?;
            Some((name, value.get(1..)?.trim_ascii()))
        })
    }

    /// The values of every field of this name.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields()
            .filter(|(this, _)| this.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// The elements of every list field of this name.
    pub(super) fn elements<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.values(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
    }

    /// Whether the connection may be used for another request, RFC 9112 §9.3.
    pub(super) fn keeps_connection(&self) -> bool {
        let says = |option: &[u8]| {
            self.elements("connection")
                .any(|this| this.eq_ignore_ascii_case(option))
        };
        !says(b"close") && (self.minor >= 1 || says(b"keep-alive"))
    }

    /// Content-Length, if there is one.
    fn length(&self) -> Result<Option<u64>, Malformed> {
        let mut length = None;
        for value in self.elements("content-length") {
            let shown = || value.escape_ascii();
            let number = core::str::from_utf8(value)
                .ok()
                .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|text| text.parse::<u64>().ok())
                .ok_or_else(|| Malformed(format!("Content-Length is \"{}\"", shown())))?;
            if let Some(other) = length.filter(|other| *other != number) {
                let both = format!("Content-Length is both {other} and {number}");
                return Err(Malformed(both));
            }
            length = Some(number);
        }
        Ok(length)
    }

    /// How the body ends, RFC 9112 §6.3.
    fn body(&self, framing: Framing, to_head: bool) -> Result<Option<Body>, Malformed> {
        if to_head || matches!(self.status, 204 | 304) {
            return Ok(match framing {
                Framing::Standard => None,
                Framing::Connection => Some(Body::AtMost(0)),
            });
        }
        if framing == Framing::Connection {
            return Ok(Some(self.length()?.map_or(Body::UntilEof, Body::AtMost)));
        }
        if let Some(coding) = self.elements("transfer-encoding").last() {
            return Ok(Some(if coding.eq_ignore_ascii_case(b"chunked") {
                Body::Chunked(Chunked::new())
            } else {
                Body::UntilEof
            }));
        }
        Ok(match self.length()? {
            Some(0) => None,
            Some(length) => Some(Body::Length(length)),
            None => Some(Body::UntilEof),
        })
    }
}

impl Reader {
    /// A reader of one reply, to a HEAD request or to another one.
    pub(super) fn new(framing: Framing, to_head: bool) -> Self {
        Self {
            state: State::StatusLine,
            head: Head::default(),
            line: 0,
            fields: 0,
            interim: 0,
            may_skip: true,
            framing,
            to_head,
        }
    }

    /// The head, once it was announced.
    pub(super) const fn head(&self) -> &Head {
        &self.head
    }

    /// Whether nothing of the reply has come.
    pub(super) fn is_untouched(&self) -> bool {
        matches!(self.state, State::StatusLine) && self.interim == 0 && self.head.bytes.is_empty()
    }

    /// What is being read, for people.
    pub(super) const fn place(&self) -> &'static str {
        match self.state {
            State::StatusLine => "status line",
            State::Fields => "header",
            State::Body(_) | State::Over => "body",
        }
    }

    /// Whether the reply's end can be told without the end of the connection.
    pub(super) const fn is_delimited(&self) -> bool {
        !matches!(self.state, State::Body(Body::UntilEof | Body::AtMost(_)))
    }

    /// Takes from the input and tells what it was; `None` when more is needed.
    pub(super) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Item<'a>>, Malformed> {
        loop {
            match &mut self.state {
                State::StatusLine => {
                    if !self.status_line(input)? {
                        return Ok(None);
                    }
                    self.state = State::Fields;
                }
                State::Fields => {
                    if !self.field_line(input)? {
                        return Ok(None);
                    }
                    if self.finish_head()? {
                        return Ok(Some(Item::Head));
                    }
                }
                State::Body(body) => {
                    let (item, over) = body.next(input)?;
                    if over {
                        self.state = State::Over;
                    }
                    if item.is_some() || !over {
                        return Ok(item);
                    }
                }
                State::Over => return Ok(Some(Item::End)),
            }
        }
    }

    /// The connection has ended. True if that ends the reply in order.
    pub(super) fn eof(&self, orderly: bool) -> bool {
        match &self.state {
            State::StatusLine | State::Fields | State::Body(Body::Length(_) | Body::Chunked(_)) => {
                false
            }
            State::Body(Body::UntilEof) => orderly,
            // keepalived only logs that bytes are missing.
            State::Body(Body::AtMost(_)) | State::Over => true,
        }
    }

    /// How many bytes of the body are missing that the reply promised.
    pub(super) const fn missing(&self) -> u64 {
        match self.state {
            State::Body(Body::Length(left) | Body::AtMost(left)) => left,
            _ => 0,
        }
    }

    /// Adds the rest of a line to what began at `start`. True if the line is complete.
    fn line(
        &mut self,
        input: &mut &[u8],
        (start, limit): (usize, usize),
        what: &str,
    ) -> Result<bool, Malformed> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let count = end.map_or(input.len(), |end| end.saturating_add(1));
        let (taken, rest) = input.split_at_checked(count).unwrap_or((input, &[]));
        let length = self.head.bytes.len().saturating_sub(start);
        if length.saturating_add(taken.len()) > limit {
            return Err(Malformed(format!("{what} is longer than {limit} bytes")));
        }
        self.head.bytes.extend_from_slice(taken);
        *input = rest;
        Ok(end.is_some())
    }

    fn status_line(&mut self, input: &mut &[u8]) -> Result<bool, Malformed> {
        const START: &[u8] = b"HTTP/1.";
        loop {
            let complete = self.line(input, (0, STATUS_LINE_MAX), "status line")?;
            let line = &self.head.bytes;
            if self.may_skip && matches!(line.as_slice(), b"\r\n" | b"\n") {
                self.head.bytes.clear();
                self.may_skip = false;
                continue;
            }
            let begins = line.iter().zip(START).all(|(this, that)| this == that)
                || (self.may_skip && line == b"\r");
            if !begins {
                let shown = line.get(..32).unwrap_or(line).trim_ascii().escape_ascii();
                return Err(Malformed(format!("expected HTTP/1, got \"{shown}\"")));
            }
            if !complete {
                return Ok(false);
            }
            let (minor, status) = status(line).ok_or_else(|| {
                let shown = line.get(..64).unwrap_or(line).trim_ascii().escape_ascii();
                Malformed(format!("status line is \"{shown}\""))
            })?;
            self.head.minor = minor;
            self.head.status = status;
            self.head.fields = line.len();
            self.line = line.len();
            return Ok(true);
        }
    }

    /// Adds fields. True when the empty line after them has come.
    fn field_line(&mut self, input: &mut &[u8]) -> Result<bool, Malformed> {
        while self.line(input, (self.head.fields, FIELDS_MAX), "header")? {
            let line = self.head.bytes.get(self.line..).unwrap_or_default();
            if matches!(line, b"\r\n" | b"\n") {
                return Ok(true);
            }
            if matches!(line, [b' ' | b'\t', ..]) {
                return Err(Malformed::new("header field goes on in the next line"));
            }
            self.fields = self.fields.saturating_add(1);
            if self.fields > FIELD_COUNT_MAX {
                return Err(Malformed(format!(
                    "more than {FIELD_COUNT_MAX} header fields"
                )));
            }
            self.line = self.head.bytes.len();
        }
        Ok(false)
    }

    /// Checks the head. False if it was an interim one and the real one is still to come.
    fn finish_head(&mut self) -> Result<bool, Malformed> {
        let block = self.head.bytes.get(self.head.fields..).unwrap_or_default();
        let mut fields = [httparse::EMPTY_HEADER; FIELD_COUNT_MAX];
        if let Err(error) = httparse::parse_headers(block, &mut fields) {
            return Err(Malformed(format!("header: {error}")));
        }
        match self.head.status {
            101 => return Err(Malformed::new("unexpected 101 Switching Protocols")),
            100..200 => {
                self.interim = self.interim.saturating_add(1);
                if self.interim > INTERIM_MAX {
                    return Err(Malformed(format!(
                        "more than {INTERIM_MAX} interim replies"
                    )));
                }
                self.head.bytes.clear();
                self.fields = 0;
                self.may_skip = false;
                self.state = State::StatusLine;
                return Ok(false);
            }
            _ => {}
        }
        self.state = match self.head.body(self.framing, self.to_head)? {
            Some(body) => State::Body(body),
            None => State::Over,
        };
        Ok(true)
    }
}

impl Body {
    /// The next piece, and whether the body is over after it.
    fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<(Option<Item<'a>>, bool), Malformed> {
        let mut take = |most: u64| {
            let count = usize::try_from(most).unwrap_or(usize::MAX).min(input.len());
            let (taken, rest) = input.split_at_checked(count).unwrap_or((input, &[]));
            *input = rest;
            taken
        };
        let (bytes, content, over) = match self {
            Self::Length(left) => {
                let bytes = take(*left);
                *left = left.saturating_sub(bytes.len() as u64);
                (bytes, true, *left == 0)
            }
            Self::UntilEof => (take(u64::MAX), true, false),
            Self::AtMost(left) => {
                let bytes = take(*left);
                *left = left.saturating_sub(bytes.len() as u64);
                if *left == 0 {
                    take(u64::MAX);
                }
                (bytes, true, false)
            }
            Self::Chunked(chunked) => return chunked.next(input),
        };
        let item = (!bytes.is_empty()).then_some(Item::Body { bytes, content });
        Ok((item, over))
    }
}

/// Minor version and status of a status line: `HTTP/1.x SP 3DIGIT [SP reason]`.
fn status(line: &[u8]) -> Option<(u8, u16)> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let (&[minor, blank, a, b, c], rest) = rest.split_first_chunk()?;
    let reason = rest.trim_ascii_end();
    if blank != b' '
        || ![minor, a, b, c].iter().all(u8::is_ascii_digit)
        || !(reason.is_empty() || reason.starts_with(b" "))
    {
        return None;
    }
    let digit = |byte: u8| u16::from(byte.wrapping_sub(b'0'));
    let status = [a, b, c].into_iter().fold(0, |number: u16, byte| {
        number.saturating_mul(10).saturating_add(digit(byte))
    });
    (status >= 100).then_some((minor.wrapping_sub(b'0'), status))
}
