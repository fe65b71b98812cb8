//! `/proc/net/ip_vs_status`: how full the kernel's tables are.

use std::fs::File;
use std::io::{self, BufRead, BufReader};

use super::error::ReadError;
use super::lines::{Line, Lines};
use super::words::decimal;
use crate::error::Error;

/// What the kernel says of its tables and its estimator (Linux 7.1 and later **(unsure)**).
///
/// The file is for people: its lines come and go with the kernel. So reading is lenient: what is
/// not understood is in [`lines`](Self::lines), and only a failure to read is an error.
///
/// ```
/// use lvs_ipvs::procfs::Status;
///
/// let file = "Conns:\t16\nConn buckets:\t256 (8 bits, lfactor -2)\nWhatever else:\t1 (2)\n";
/// let status = Status::read(file.as_bytes())?;
/// assert_eq!((status.connections, status.connection_buckets), (Some(16), Some(256)));
/// assert_eq!(status.lines[2], ("Whatever else".to_owned(), "1 (2)".to_owned()));
/// # Ok::<(), lvs_ipvs::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Status {
    /// Entries in the connection table, templates included.
    pub connections: Option<u64>,
    /// Buckets of the connection table at present.
    pub connection_buckets: Option<u64>,
    /// Services.
    pub services: Option<u64>,
    /// Buckets of the service table at present.
    pub service_buckets: Option<u64>,
    /// All lines: what stands before the first colon, and after it without blanks around it. At
    /// most 256, and none longer than 1024 bytes.
    pub lines: Vec<(String, String)>,
}

/// Many times what the kernel writes, so that a wrong file does no harm.
const MOST_LINES: usize = 256;

impl Status {
    /// Reads the file of the calling thread's network namespace; `None` when there is none, on
    /// an older kernel or without the module `ip_vs`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it may not be read: it is for root and its group.
    pub fn current() -> Result<Option<Self>, Error> {
        let path = "/proc/thread-self/net/ip_vs_status";
        match File::open(path) {
            Ok(file) => Ok(Some(Self::read(BufReader::new(file))?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(format!("cannot open {path}"), error)),
        }
    }

    /// Reads the file from any source.
    ///
    /// # Errors
    ///
    /// [`ReadError::Io`] only.
    pub fn read(reader: impl BufRead) -> Result<Self, ReadError> {
        let mut lines = Lines::new(reader);
        let mut status = Self::default();
        while let Some(read) = lines.advance() {
            match read {
                Ok(()) => status.take(lines.line()),
                Err(ReadError::Malformed(_)) => {}
                Err(error) => return Err(error),
            }
            if status.lines.len() == MOST_LINES {
                break;
            }
        }
        Ok(status)
    }

    fn take(&mut self, line: Line<'_>) {
        let colon = line.text.iter().position(|byte| *byte == b':');
        let (label, value) = line
            .text
            .split_at_checked(colon.unwrap_or(line.text.len()))
            .unwrap_or((line.text, &[]));
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        let number = value.split(|byte| *byte == b' ').next().and_then(decimal);
        match label {
            b"Conns" => self.connections = number,
            b"Conn buckets" => self.connection_buckets = number,
            b"Services" => self.services = number,
            b"Service buckets" => self.service_buckets = number,
            _ => {}
        }
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        self.lines.push((text(label), text(value)));
    }
}
