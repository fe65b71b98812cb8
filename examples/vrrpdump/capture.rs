//! Reading captures, pcap and pcapng, from anything that gives bytes: a file, a pipe.
//!
//! What follows a damaged record cannot be found again, so that reading ends there; the error says
//! where the record begins.

use core::fmt;
use core::time::Duration;
use std::borrow::Cow;
use std::io::{self, Read};

use pcap_file::PcapError;
use pcap_file::pcap::PcapParser;
use pcap_file::pcapng::PcapNgParser;

use crate::link::{Frame, Link};

mod blocks;
mod records;

/// Longer records are taken for damage: no frame is as long, and a wrong length would have the
/// whole file read into memory.
const MAX_RECORD: usize = 16 << 20;
/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// A capture being read.
pub(crate) struct Capture<R> {
    input: R,
    buffer: Vec<u8>,
    /// How many bytes of the buffer are used up.
    used: usize,
    /// Where in the file the buffer begins.
    offset: u64,
    at_end: bool,
    format: Format,
    frame: Vec<u8>,
}

/// The format, as soon as it is known.
enum Format {
    Unknown,
    Pcap(PcapParser),
    PcapNg(PcapNgParser),
}

/// What one record was.
enum Step {
    /// A frame, whose bytes have been copied.
    Frame {
        time: Option<Duration>,
        interface: String,
        link: Link,
        original_len: usize,
    },
    /// Something else.
    Other,
}

/// Why no record was read.
enum Stop {
    /// More bytes are needed.
    Incomplete,
    /// The record is damaged.
    Corrupt(Cow<'static, str>),
}

impl From<PcapError> for Stop {
    fn from(error: PcapError) -> Self {
        match error {
            PcapError::IncompleteBuffer => Self::Incomplete,
            other => Self::Corrupt(other.to_string().into()),
        }
    }
}

/// Why a capture cannot be read further.
#[derive(Debug)]
pub(crate) struct CaptureError {
    /// Where the record begins, in bytes.
    pub(crate) offset: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    Empty,
    Format,
    CutOff { given: usize },
    TooLong,
    Corrupt(Cow<'static, str>),
    Read(io::Error),
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of what cannot be read at all no place has to be named.
        let is_whole = matches!(self.what, What::Empty | What::Format | What::Read(_));
        if !is_whole || self.offset > 0 {
            write!(f, "byte {}: ", self.offset)?;
        }
        match &self.what {
            What::Empty => f.write_str("empty: neither pcap nor pcapng"),
            What::Format => f.write_str("neither pcap nor pcapng"),
            What::CutOff { given } => {
                write!(
                    f,
                    "the file ends within the record here, after {given} bytes of it"
                )
            }
            What::TooLong => write!(f, "corrupt: a record longer than {MAX_RECORD} bytes"),
            What::Corrupt(reason) => write!(f, "corrupt: {reason}"),
            What::Read(error) => write!(f, "cannot read: {error}"),
        }
    }
}

impl<R: Read> Capture<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            used: 0,
            offset: 0,
            at_end: false,
            format: Format::Unknown,
            frame: Vec::new(),
        }
    }

    /// The next frame, or `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        loop {
            let rest = self.buffer.get(self.used..).unwrap_or_default();
            let given = rest.len();
            if given == 0 && self.at_end && !matches!(self.format, Format::Unknown) {
                return Ok(None);
            }
            let done = match &mut self.format {
                Format::Unknown => detect(rest).map(|(left, format)| {
                    self.format = format;
                    (left, Step::Other)
                }),
                Format::Pcap(parser) => records::next(parser, rest, &mut self.frame),
                Format::PcapNg(parser) => blocks::next(parser, rest, &mut self.frame),
            };
            match done {
                Ok((left, step)) => {
                    self.used += given - left;
                    if let Step::Frame {
                        time,
                        interface,
                        link,
                        original_len,
                    } = step
                    {
                        return Ok(Some(Frame {
                            time,
                            interface: interface.into(),
                            link,
                            bytes: &self.frame,
                            original_len,
                        }));
                    }
                }
                Err(Stop::Corrupt(reason)) => {
                    return Err(self.error(match self.format {
                        Format::Unknown if given < 4 || !is_section(&self.buffer) => What::Format,
                        _ => What::Corrupt(reason),
                    }));
                }
                Err(Stop::Incomplete) if self.at_end => {
                    return Err(self.error(match self.format {
                        Format::Unknown if given == 0 => What::Empty,
                        Format::Unknown if given < 4 => What::Format,
                        _ => What::CutOff { given },
                    }));
                }
                Err(Stop::Incomplete) if given > MAX_RECORD => {
                    return Err(self.error(What::TooLong));
                }
                Err(Stop::Incomplete) => self.fill()?,
            }
        }
    }

    /// An error at the record that is next.
    fn error(&self, what: What) -> CaptureError {
        let used = u64::try_from(self.used).unwrap_or(u64::MAX);
        CaptureError {
            offset: self.offset.saturating_add(used),
            what,
        }
    }

    /// Reads more, after what is used up has been thrown away.
    fn fill(&mut self) -> Result<(), CaptureError> {
        self.buffer.drain(..self.used);
        self.offset = self
            .offset
            .saturating_add(u64::try_from(self.used).unwrap_or(u64::MAX));
        self.used = 0;
        let start = self.buffer.len();
        self.buffer.resize(start + CHUNK, 0);
        let read = loop {
            let place = self.buffer.get_mut(start..).unwrap_or_default();
            match self.input.read(place) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(start + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(count) => self.at_end = count == 0,
            Err(error) => return Err(self.error(What::Read(error))),
        }
        Ok(())
    }
}

/// Whether bytes begin as pcapng does.
fn is_section(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a])
}

/// Reads the header of the file; gives how many bytes are left.
fn detect(bytes: &[u8]) -> Result<(usize, Format), Stop> {
    let Some(magic) = bytes.first_chunk::<4>() else {
        return Err(Stop::Incomplete);
    };
    if is_section(magic) {
        let (left, parser) = PcapNgParser::new(bytes)?;
        return Ok((left.len(), Format::PcapNg(parser)));
    }
    const MAGICS: [[u8; 4]; 4] = [
        [0xa1, 0xb2, 0xc3, 0xd4],
        [0xa1, 0xb2, 0x3c, 0x4d],
        [0xd4, 0xc3, 0xb2, 0xa1],
        [0x4d, 0x3c, 0xb2, 0xa1],
    ];
    if !MAGICS.contains(magic) {
        return Err(Stop::Corrupt("magic number".into()));
    }
    let (left, parser) = PcapParser::new(bytes)?;
    Ok((left.len(), Format::Pcap(parser)))
}

#[cfg(test)]
mod tests;
