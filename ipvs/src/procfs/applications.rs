//! `/proc/net/ip_vs_app`: helpers for protocols that carry addresses.

use std::fs::File;
use std::io::{BufRead, BufReader};

use super::error::{MalformedLine, ReadError};
use super::lines::{Line, Lines};
use super::open;
use super::words::{Words, protocol};
use crate::error::Error;
use crate::name::Name;
use crate::service::Protocol;

/// A reader of `/proc/net/ip_vs_app`, one row for each port of each helper. The kernel ships one
/// helper, `ftp`; it is there in a namespace while its module `ip_vs_ftp` is loaded.
///
/// ```
/// use lvs_ipvs::procfs::Applications;
///
/// let file = "prot port    usecnt name\nTCP  21      0      ftp              \n";
/// let ftp = Applications::new(file.as_bytes()).next().unwrap()?;
/// assert_eq!((ftp.port, ftp.name.as_str()), (21, "ftp"));
/// # Ok::<(), lvs_ipvs::Error>(())
/// ```
#[derive(Debug)]
pub struct Applications<R = BufReader<File>> {
    lines: Lines<R>,
}

impl Applications {
    /// Opens the file of the calling thread's network namespace. No privilege is needed.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when there is no such file, [`Error::Io`] when it may not be read.
    pub fn open() -> Result<Self, Error> {
        open("ip_vs_app").map(Self::new)
    }
}

impl<R: BufRead> Applications<R> {
    /// Reads rows from any source.
    pub const fn new(reader: R) -> Self {
        Self {
            lines: Lines::new(reader),
        }
    }
}

impl<R: BufRead> Iterator for Applications<R> {
    type Item = Result<Application, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Err(error) = self.lines.advance()? {
                return Some(Err(error));
            }
            let line = self.lines.line();
            if !(line.number == 1 && line.text.starts_with(b"prot ")) {
                return Some(Application::read(line).map_err(ReadError::from));
            }
        }
    }
}

/// A helper on a port.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Application {
    /// The protocol; `None` for a name that this crate does not know.
    pub protocol: Option<Protocol>,
    /// The virtual port it looks at.
    pub port: u16,
    /// Connections that use it.
    pub connections: u32,
    /// Its name, at most 16 bytes.
    pub name: Name<16>,
}

impl Application {
    fn read(line: Line<'_>) -> Result<Self, MalformedLine> {
        let mut words = Words::new(line);
        let word = words.word();
        if word.text.is_empty() {
            return Err(word.malformed("protocol", "a name"));
        }
        let protocol = protocol(word.text);
        let word = words.word();
        let port = word.decimal("port")?.try_into();
        let port = port.map_err(|_| word.malformed("port", "a number of at most 65535"))?;
        let word = words.word();
        let connections = word.decimal("use count")?.try_into();
        let connections =
            connections.map_err(|_| word.malformed("use count", "a number of at most 32 bits"))?;
        let word = words.word();
        let name = Name::from_kernel(word.text)
            .ok_or_else(|| word.malformed("name", "a name of 1 to 16 bytes"))?;
        words.end()?;
        Ok(Self {
            protocol,
            port,
            connections,
            name,
        })
    }
}
